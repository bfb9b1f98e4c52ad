//! XML 1.0, read element by element. Nothing is kept but where it is, and one name and value at a time; a document type with
//! what it declares is not looked into, so no entity is ever expanded.

use std::io::{Read, Seek};

mod names;
mod wide;

pub(crate) use self::wide::ByteOrder;
use self::{names::Names, wide::Letters};
use crate::{
    bytes::{Bytes, keep},
    cda::Cda,
    description::Description,
    fhir::Fhir,
    json::{Ended, LONGEST, MOST_NESTED, Visit},
};

/// A FHIR resource or a clinical document; none for any other.
pub(crate) fn describe(file: &mut (impl Read + Seek)) -> Option<Description> {
    let mut root = Root::default();
    let letters = Letters::new(file).ok()?;
    let read = document(&mut Bytes::new(letters), &mut root);
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
    /// Of the outermost element; elements of another one are not what they are called.
    namespace: Vec<u8>,
    fhir: Fhir,
    cda: Cda,
}

impl Root {
    /// The namespace of the outermost element decides, under whatever prefix it stands, and not what others it declares.
    fn decide(&mut self, namespace: &[u8], name: &[u8]) -> Result<(), Ended> {
        self.namespace = namespace.to_vec();
        self.is = match (namespace, name) {
            (b"http://hl7.org/fhir", _) => Is::Fhir,
            (b"urn:hl7-org:v3", b"ClinicalDocument") => Is::Cda,
            _ => Is::Other,
        };
        match self.is {
            Is::Unknown | Is::Other => return Err(Ended),
            Is::Fhir => self.fhir.root(name),
            Is::Cda => {}
        }
        Ok(())
    }

    /// Goes into an element, with the value that it has as an attribute.
    fn enter(&mut self, (namespace, name): (&[u8], &[u8]), value: Option<&[u8]>) {
        let own = namespace == self.namespace;
        let visit = self.visit();
        visit.enter(if own { name } else { FOREIGN });
        if let Some(value) = value.filter(|_| own) {
            visit.value(value);
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
    let (mut names, mut tag) = (Names::default(), Tag::default());
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
                names.leave(depth);
                root.visit().leave();
            }
            _ if depth == MOST_NESTED => return Err(Ended),
            _ => {
                tag.read(bytes, &mut names, depth)?;
                let (namespace, name) = names.resolve(&tag.name);
                if depth == 0 {
                    root.decide(namespace, name)?;
                } else {
                    root.enter((namespace, name), tag.value());
                }
                match (tag.is_open, depth) {
                    (true, _) => depth += 1,
                    (false, 0) => return Ok(()),
                    (false, _) => {
                        names.leave(depth);
                        root.visit().leave();
                    }
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

/// A start tag. Its name and its attribute `value` count only when all its attributes are known, so they are kept until then.
#[derive(Default)]
struct Tag {
    name: Vec<u8>,
    /// The attribute that is being read.
    attribute: Vec<u8>,
    text: Vec<u8>,
    value: Vec<u8>,
    has_value: bool,
    /// The element has content, and an end tag.
    is_open: bool,
}

impl Tag {
    fn read<R: Read>(&mut self, bytes: &mut Bytes<R>, names: &mut Names, depth: usize) -> Result<(), Ended> {
        self.has_value = false;
        name(bytes, &mut self.name)?;
        loop {
            skip_space(bytes);
            match bytes.peek().ok_or(Ended)? {
                b'>' => {
                    bytes.next();
                    self.is_open = true;
                    return Ok(());
                }
                b'/' => {
                    self.is_open = false;
                    return expect(bytes, b"/>");
                }
                _ => {}
            }
            name(bytes, &mut self.attribute)?;
            quoted(bytes, &mut self.text)?;
            names.attribute(depth, &self.attribute, &self.text)?;
            if self.attribute == b"value" {
                self.value.clone_from(&self.text);
                self.has_value = true;
            }
        }
    }

    fn value(&self) -> Option<&[u8]> {
        self.has_value.then_some(&self.value)
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

/// What an element of another namespace is called here: no element has such a name.
const FOREIGN: &[u8] = b"?";

#[cfg(test)]
mod tests;
