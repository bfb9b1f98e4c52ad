//! Three tags of a DICOM file: study, series, date (CNT-19).
//!
//! A reader of our own, because files come from strangers and the libraries there are build the whole object: they reserve what a
//! file claims, and follow its nesting by recursion, in a process that holds keys. Here memory is one buffer and one
//! value, nesting is a number, and what is looked at is bounded by [`MOST_ELEMENTS`]: a file that needs more is left
//! without a description.
//!
//! Read are the encodings of DICOM PS3.5 §7 and Annex A: implicit VR, explicit VR of both byte orders. A data set that is deflated as a whole
//! is not looked into.

use std::io::{self, BufReader, Read, Seek};

/// What a file says of itself; whatever it does not say, or not well, is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) study_uid: String,
    pub(super) series_uid: String,
    /// `YYYYMMDD`.
    pub(super) date: String,
}

/// Looks into a file; none for one that is not DICOM, as far as that can be told.
pub(super) fn describe(file: impl Read + Seek) -> Option<Described> {
    let mut file = BufReader::with_capacity(BUFFER, file);
    let start = start(&mut file)?;
    let mut found = Described::default();
    // What cannot be read to the end has said what came before.
    drop(Reader::new(file).and_then(|reader| reader.read(&mut found)));
    let sure = start == Start::Preamble || !found.study_uid.is_empty();
    sure.then_some(found)
}

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// PS3.10 §7.1: 128 bytes, then `DICM`.
    Preamble,
    /// With a group that files have which were written without it.
    Bare,
}

fn start(file: &mut (impl Read + Seek)) -> Option<Start> {
    let mut head = [0; 132];
    let length = fill(file, &mut head).ok()?;
    let head = head.get(..length)?;
    if head.len() == 132 && head.ends_with(b"DICM") {
        return Some(Start::Preamble);
    }
    let bare = matches!(head, [2 | 8, 0, ..] | [0, 8, ..]);
    file.rewind().ok()?;
    bare.then_some(Start::Bare)
}

/// As many bytes as there are.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Implicit,
    Explicit,
    ExplicitBig,
}

impl Syntax {
    /// By its UID; none for what cannot be looked into.
    fn of(uid: &str) -> Option<Self> {
        match uid {
            "1.2.840.10008.1.2" => Some(Self::Implicit),
            "1.2.840.10008.1.2.2" => Some(Self::ExplicitBig),
            // Deflated as a whole.
            "1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205" => None,
            _ => Some(Self::Explicit),
        }
    }

    /// Of a data set by its first element, and by what the header says, which is not always so: an explicit one has two capital
    /// letters behind the tag.
    fn seen(tag: [u8; 4], behind: [u8; 2], said: Option<Self>) -> Self {
        match (behind.iter().all(u8::is_ascii_uppercase), said, tag) {
            (_, Some(Self::ExplicitBig), _) | (true, None, [0, ..]) => Self::ExplicitBig,
            (true, ..) => Self::Explicit,
            (false, ..) => Self::Implicit,
        }
    }

    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::ExplicitBig => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::ExplicitBig => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        }
    }

    fn tag(self, [a, b, c, d]: [u8; 4]) -> Tag {
        (self.u16([a, b]), self.u16([c, d]))
    }
}

type Tag = (u16, u16);

/// What stands before a value.
#[derive(Debug)]
struct Element {
    tag: Tag,
    /// None: up to a delimiter.
    length: Option<u32>,
    /// Its value is elements, in this same encoding.
    nests: bool,
}

struct Reader<R: Read + Seek> {
    file: BufReader<R>,
    syntax: Syntax,
    /// The tag of the element that comes next, which was read already.
    ahead: Option<[u8; 4]>,
    left: u32,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the file's own header, which says how the rest is written.
    fn new(file: BufReader<R>) -> io::Result<Self> {
        let mut reader = Self {
            file,
            syntax: Syntax::Explicit,
            ahead: None,
            left: MOST_ELEMENTS,
        };
        let mut named = None;
        loop {
            let raw = reader.bytes::<4>()?;
            reader.ahead = Some(raw);
            if Syntax::Explicit.tag(raw).0 != META_GROUP {
                break;
            }
            let element = reader.element()?;
            if element.tag == TRANSFER_SYNTAX {
                named = Some(reader.text(&element)?);
            } else {
                reader.skip(&element)?;
            }
        }
        let said = match named {
            Some(uid) => Some(Syntax::of(&uid).ok_or(io::ErrorKind::Unsupported)?),
            None => None,
        };
        let behind = reader.bytes::<2>()?;
        reader.file.seek_relative(-2)?;
        reader.syntax = Syntax::seen(reader.ahead.unwrap_or_default(), behind, said);
        Ok(reader)
    }

    /// Elements stand in the order of their tags, so whatever comes behind the last one that is wanted is not looked at.
    fn read(mut self, found: &mut Described) -> io::Result<()> {
        let mut depth = 0_u32;
        loop {
            let element = self.element()?;
            let text = match element.tag {
                ITEM_END | SEQUENCE_END => {
                    depth = depth.checked_sub(1).ok_or(io::ErrorKind::InvalidData)?;
                    continue;
                }
                tag if depth == 0 && tag > SERIES_UID => return Ok(()),
                STUDY_DATE if depth == 0 => &mut found.date,
                STUDY_UID if depth == 0 => &mut found.study_uid,
                SERIES_UID if depth == 0 => &mut found.series_uid,
                _ if element.length.is_some() => {
                    self.skip(&element)?;
                    continue;
                }
                _ if element.nests && depth < MOST_NESTED => {
                    depth += 1;
                    continue;
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            *text = self.text(&element)?;
        }
    }

    /// The next element up to its value.
    fn element(&mut self) -> io::Result<Element> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::FileTooLarge)?;
        let raw = match self.ahead.take() {
            Some(raw) => raw,
            None => self.bytes()?,
        };
        let tag = self.syntax.tag(raw);
        // Items and delimiters are written alike everywhere.
        if self.syntax == Syntax::Implicit || tag.0 == ITEMS_GROUP {
            let length = self.long()?;
            return Ok(Element {
                tag,
                length,
                // That a value is a sequence is not said; what has no length can be nothing else.
                nests: true,
            });
        }
        let vr = self.bytes::<2>()?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = if LONG.contains(&&vr) {
            self.bytes::<2>()?;
            self.long()?
        } else {
            let short = self.bytes()?;
            Some(self.syntax.u16(short).into())
        };
        Ok(Element {
            tag,
            length,
            // Elements of an unknown sequence are written in another way (PS3.5 §6.2.2): those are not followed.
            nests: &vr == b"SQ",
        })
    }

    fn long(&mut self) -> io::Result<Option<u32>> {
        let length = self.bytes()?;
        let length = self.syntax.u32(length);
        Ok((length != u32::MAX).then_some(length))
    }

    /// A short value; one that is longer than those that are looked for is passed over.
    fn text(&mut self, element: &Element) -> io::Result<String> {
        let mut buffer = [0; LONGEST_VALUE];
        let length = element.length.and_then(|length| usize::try_from(length).ok());
        let Some(value) = length.and_then(|length| buffer.get_mut(..length)) else {
            self.skip(element)?;
            return Ok(String::new());
        };
        self.file.read_exact(value)?;
        let text = String::from_utf8_lossy(value);
        let text = text.trim_end_matches(['\0', ' ']);
        let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        Ok(if plain { text.to_owned() } else { String::new() })
    }

    fn skip(&mut self, element: &Element) -> io::Result<()> {
        let length = element.length.ok_or(io::ErrorKind::InvalidData)?;
        self.file.seek_relative(length.into())
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

const META_GROUP: u16 = 0x0002;
const ITEMS_GROUP: u16 = 0xfffe;
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const STUDY_DATE: Tag = (0x0008, 0x0020);
const STUDY_UID: Tag = (0x0020, 0x000d);
const SERIES_UID: Tag = (0x0020, 0x000e);
const ITEM_END: Tag = (ITEMS_GROUP, 0xe00d);
const SEQUENCE_END: Tag = (ITEMS_GROUP, 0xe0dd);
/// VRs with a length of 32 bits (PS3.5 §7.1.2).
const LONG: [&[u8; 2]; 13] = [
    b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
];
/// A UID has 64 letters, a date fewer.
const LONGEST_VALUE: usize = 64;
/// Images have some hundred elements before those that are wanted.
const MOST_ELEMENTS: u32 = 4096;
const MOST_NESTED: u32 = 16;
const BUFFER: usize = 4096;

#[cfg(test)]
pub(super) mod tests;
