//! XML 1.0, read element by element. Nothing is kept but where it is, and one name and value at a time; a document type with
//! what it declares is not looked into, so no entity is ever expanded.

use std::io::{Read, Seek};

use crate::{
    Description,
    bytes::{Bytes, keep},
    cda::Cda,
    fhir::Fhir,
    json::{Ended, LONGEST, MOST_NESTED, Visit},
};

/// A FHIR resource or a clinical document; none for any other.
pub(crate) fn describe(file: &mut (impl Read + Seek)) -> Option<Description> {
    let mut root = Root::default();
    let read = document(&mut Bytes::new(file), &mut root);
    match root.is {
        Is::Fhir => Some(root.fhir.described("application/fhir+xml", read.is_ok())),
        Is::Cda => Some(root.cda.described(read.is_ok())),
        Is::Unknown | Is::Other => None,
    }
}

/// What the outermost element shows it to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Is {
    #[default]
    Unknown,
    Fhir,
    Cda,
    Other,
}

#[derive(Default)]
struct Root {
    is: Is,
    name: Vec<u8>,
    fhir: Fhir,
    cda: Cda,
}

impl Root {
    /// The namespace decides, under whatever prefix it stands.
    fn namespace(&mut self, uri: &[u8]) {
        self.is = match (self.is, uri) {
            (Is::Unknown, b"http://hl7.org/fhir") => Is::Fhir,
            (Is::Unknown, b"urn:hl7-org:v3") if self.name == b"ClinicalDocument" => Is::Cda,
            (is, _) => is,
        };
    }

    /// The outermost element has been read up to its content.
    fn decide(&mut self) -> Result<(), Ended> {
        match self.is {
            Is::Unknown => {
                self.is = Is::Other;
                Err(Ended)
            }
            Is::Fhir => {
                self.fhir.root(&self.name);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn visit(&mut self) -> &mut dyn Visit {
        match self.is {
            Is::Fhir => &mut self.fhir,
            _ => &mut self.cda,
        }
    }
}

fn document<R: Read>(bytes: &mut Bytes<R>, root: &mut Root) -> Result<(), Ended> {
    let mut depth = 0_usize;
    loop {
        until(bytes, b"<")?;
        match bytes.peek().ok_or(Ended)? {
            b'?' => until(bytes, b"?>")?,
            b'!' => declaration(bytes, depth)?,
            b'/' => {
                until(bytes, b">")?;
                depth = depth.checked_sub(1).ok_or(Ended)?;
                if depth == 0 {
                    return Ok(());
                }
                root.visit().leave();
            }
            _ if depth == MOST_NESTED => return Err(Ended),
            _ => {
                let open = element(bytes, root, depth == 0)?;
                if depth == 0 {
                    root.decide()?;
                }
                match (open, depth) {
                    (true, _) => depth += 1,
                    (false, 0) => return Ok(()),
                    (false, _) => root.visit().leave(),
                }
            }
        }
    }
}

/// A comment, characters as they are, or what declares the document's type.
fn declaration<R: Read>(bytes: &mut Bytes<R>, depth: usize) -> Result<(), Ended> {
    bytes.next();
    match bytes.peek() {
        Some(b'-') => {
            expect(bytes, b"--")?;
            until(bytes, b"-->")
        }
        Some(b'[') if depth > 0 => {
            expect(bytes, b"[CDATA[")?;
            until(bytes, b"]]>")
        }
        _ => Err(Ended),
    }
}

/// A start tag; whether the element has content.
fn element<R: Read>(bytes: &mut Bytes<R>, root: &mut Root, outermost: bool) -> Result<bool, Ended> {
    let mut text = Vec::with_capacity(LONGEST + 1);
    name(bytes, &mut text)?;
    if outermost {
        root.name = local(&text).to_vec();
    } else {
        root.visit().enter(local(&text));
    }
    loop {
        skip_space(bytes);
        match bytes.peek().ok_or(Ended)? {
            b'>' => {
                bytes.next();
                return Ok(true);
            }
            b'/' => {
                expect(bytes, b"/>")?;
                return Ok(false);
            }
            _ => {}
        }
        name(bytes, &mut text)?;
        let (value, space) = (text == b"value", text.starts_with(b"xmlns"));
        quoted(bytes, &mut text)?;
        if outermost && space {
            root.namespace(&text);
        } else if value && !outermost {
            root.visit().value(&text);
        }
    }
}

fn name<R: Read>(bytes: &mut Bytes<R>, text: &mut Vec<u8>) -> Result<(), Ended> {
    text.clear();
    while let Some(byte) = bytes.peek() {
        if !(byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte) || byte >= 0x80) {
            break;
        }
        keep(text, byte, LONGEST);
        bytes.next();
    }
    if text.is_empty() { Err(Ended) } else { Ok(()) }
}

/// Behind its prefix.
fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|&byte| byte == b':').next().unwrap_or(name)
}

fn quoted<R: Read>(bytes: &mut Bytes<R>, text: &mut Vec<u8>) -> Result<(), Ended> {
    skip_space(bytes);
    expect(bytes, b"=")?;
    skip_space(bytes);
    let quote = bytes
        .next()
        .filter(|byte| matches!(byte, b'"' | b'\''))
        .ok_or(Ended)?;
    text.clear();
    loop {
        match bytes.next().ok_or(Ended)? {
            byte if byte == quote => return Ok(()),
            b'<' => return Err(Ended),
            byte => keep(text, byte, LONGEST),
        }
    }
}

fn skip_space<R: Read>(bytes: &mut Bytes<R>) {
    crate::json::space(bytes);
}

fn expect<R: Read>(bytes: &mut Bytes<R>, text: &[u8]) -> Result<(), Ended> {
    let same = text.iter().all(|byte| bytes.next() == Some(*byte));
    if same { Ok(()) } else { Err(Ended) }
}

/// Up to and with a mark of at most three bytes.
fn until<R: Read>(bytes: &mut Bytes<R>, mark: &[u8]) -> Result<(), Ended> {
    let mut last = [0; 3];
    loop {
        last.rotate_left(1);
        if let Some(end) = last.last_mut() {
            *end = bytes.next().ok_or(Ended)?;
        }
        if last.ends_with(mark) {
            return Ok(());
        }
    }
}
