//! JSON (RFC 8259), read member by member. Nothing is kept but where it is, one name or value at a time.

use std::io::Read;

use crate::bytes::{Bytes, keep};

/// Receives the members and values of a JSON text in their order. The elements of an array come one behind the other, within the member that has the array.
pub(crate) trait Visit {
    /// A member of an object begins; its name comes without quotes and escapes.
    fn enter(&mut self, name: &[u8]);
    /// A string, a number or a word: the value of the member that was entered last, or an element of its array.
    fn value(&mut self, value: &[u8]);
    /// The member that was entered last ends.
    fn leave(&mut self);
}

/// Why a text was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// Reads one object, and stands behind it.
pub(crate) fn object<R: Read>(bytes: &mut Bytes<R>, visit: &mut impl Visit) -> Result<(), Ended> {
    // In what it is: true in an object.
    let mut around: Vec<bool> = Vec::new();
    let mut text = Vec::with_capacity(LONGEST + 1);
    loop {
        match space(bytes).ok_or(Ended)? {
            open @ (b'{' | b'[') => {
                bytes.next();
                if around.len() == MOST_NESTED {
                    return Err(Ended);
                }
                around.push(open == b'{');
                let close = if open == b'{' { b'}' } else { b']' };
                if space(bytes) == Some(close) {
                    bytes.next();
                    around.pop();
                } else {
                    if open == b'{' {
                        name(bytes, &mut text, visit)?;
                    }
                    continue;
                }
            }
            b'"' => {
                string(bytes, &mut text)?;
                visit.value(&text);
            }
            _ => scalar(bytes, &mut text, visit)?,
        }
        if value_ended(bytes, &mut text, visit, &mut around)? {
            return Ok(());
        }
    }
}

/// A value has ended, and so may what is around it: whether that is the whole object. If not, the next value follows.
fn value_ended<R: Read>(
    bytes: &mut Bytes<R>,
    text: &mut Vec<u8>,
    visit: &mut impl Visit,
    around: &mut Vec<bool>,
) -> Result<bool, Ended> {
    while let Some(&in_object) = around.last() {
        if in_object {
            visit.leave();
        }
        match (space(bytes), in_object) {
            (Some(b','), _) => {
                bytes.next();
                if in_object {
                    name(bytes, text, visit)?;
                }
                return Ok(false);
            }
            (Some(b'}'), true) | (Some(b']'), false) => {
                bytes.next();
                around.pop();
            }
            _ => return Err(Ended),
        }
    }
    Ok(true)
}

/// The next byte that is not white space; it stays the next one.
pub(crate) fn space<R: Read>(bytes: &mut Bytes<R>) -> Option<u8> {
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.peek() {
        bytes.next();
    }
    bytes.peek()
}

fn name<R: Read>(bytes: &mut Bytes<R>, text: &mut Vec<u8>, visit: &mut impl Visit) -> Result<(), Ended> {
    if space(bytes) != Some(b'"') {
        return Err(Ended);
    }
    string(bytes, text)?;
    visit.enter(text);
    if space(bytes) != Some(b':') {
        return Err(Ended);
    }
    bytes.next();
    Ok(())
}

/// A string, of which no more is kept than is looked for.
fn string<R: Read>(bytes: &mut Bytes<R>, text: &mut Vec<u8>) -> Result<(), Ended> {
    text.clear();
    bytes.next();
    loop {
        match bytes.next().ok_or(Ended)? {
            b'"' => return Ok(()),
            b'\\' => match bytes.next().ok_or(Ended)? {
                b'u' => {
                    let mut code = 0_u32;
                    for _ in 0..4 {
                        let digit = char::from(bytes.next().ok_or(Ended)?).to_digit(16).ok_or(Ended)?;
                        code = code << 4 | digit;
                    }
                    // What is looked for is ASCII.
                    keep(
                        text,
                        u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(b'?'),
                        LONGEST,
                    );
                }
                plain @ (b'"' | b'\\' | b'/') => keep(text, plain, LONGEST),
                b'b' | b'f' | b'n' | b'r' | b't' => keep(text, b'?', LONGEST),
                _ => return Err(Ended),
            },
            0..0x20 => return Err(Ended),
            byte => keep(text, byte, LONGEST),
        }
    }
}

/// A number, or a word.
fn scalar<R: Read>(bytes: &mut Bytes<R>, text: &mut Vec<u8>, visit: &mut impl Visit) -> Result<(), Ended> {
    text.clear();
    while let Some(byte) = bytes.peek() {
        if !(byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            break;
        }
        keep(text, byte, LONGEST);
        bytes.next();
    }
    if text.is_empty() {
        return Err(Ended);
    }
    visit.value(text);
    Ok(())
}

/// Of a name or a value that is looked for.
pub(crate) const LONGEST: usize = 64;
pub(crate) const MOST_NESTED: usize = 128;
