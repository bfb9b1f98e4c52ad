//! A few tags of a DICOM file: study, series, dates.
//!
//! A reader of our own, because files come from strangers and the libraries there are build the whole object: they reserve what a
//! file claims, and follow its nesting by recursion. Here memory is one buffer and one
//! value, nesting is a short list, and what is looked at is bounded by [`MOST_ELEMENTS`]: a file that needs more is left
//! without a description. Values that are not wanted are passed over, however long they are.
//!
//! Read are the encodings of DICOM PS3.5 §7 and Annex A: implicit VR, explicit VR of both byte orders, and data sets that are deflated as a
//! whole. Where a file is not what it says, it goes by what it sees.

mod data;

use std::io::{self, Read, Seek};

use self::data::{DataSet, Skip};
use crate::{bytes::MOST, day::Days, description::Description, inflate::Inflated, sniff::Start};

/// Looks into a file from its beginning; none for one that is not DICOM, as far as that can be told.
pub(crate) fn describe(file: &mut (impl Read + Seek), start: Start) -> Option<Description> {
    let mut found = DicomTags::default();
    // What cannot be read to the end has said what came before.
    drop(read(file, start, &mut found));
    let sure = start == Start::Preamble || !found.study_uid.is_empty();
    let days = found.dates.into_iter().find_map(|date| Days::compact(&date));
    sure.then(|| Description {
        media_type: "application/dicom".into(),
        dicom_study_uid: found.study_uid,
        dicom_series_uid: found.series_uid,
        days,
        ..Description::default()
    })
}

#[derive(Default)]
struct DicomTags {
    study_uid: String,
    series_uid: String,
    /// Of the study, the series, the acquisition, the content: the first that there is counts.
    dates: [Vec<u8>; 4],
}

/// Reads the file's own header, which says how the rest is written, and the rest.
fn read(file: &mut (impl Read + Seek), start: Start, found: &mut DicomTags) -> io::Result<()> {
    let mut header = DataSetReader::new(DataSet::new(&mut *file), Syntax::Explicit);
    if start == Start::Preamble {
        header.data.skip(PREAMBLE)?;
    }
    let mut named = None;
    while Syntax::Explicit.tag(header.data.peek()?).0 == META_GROUP {
        let element = header.element()?;
        if element.tag == TRANSFER_SYNTAX {
            named = Some(header.text(&element)?);
        } else {
            header.skip(&element)?;
        }
    }
    let said = named.as_deref().map(Syntax::of);
    if said != Some(Syntax::Deflated) {
        let syntax = Syntax::seen(header.data.peek()?, said);
        return DataSetReader::new(header.data, syntax).look(found);
    }
    let ahead = header.data.ahead();
    file.seek_relative(-ahead)?;
    let mut data = DataSet::new(Inflated::new(file, MOST, MOST_BLOCKS));
    let syntax = Syntax::seen(data.peek()?, None);
    DataSetReader::new(data, syntax).look(found)
}

/// How the elements of a file are written: the transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Implicit,
    Explicit,
    ExplicitBig,
    /// As a whole; explicit when it is inflated.
    Deflated,
}

impl Syntax {
    /// By its UID. Most say how pixels are written, and nothing about elements.
    fn of(uid: &str) -> Self {
        match uid {
            "1.2.840.10008.1.2" => Self::Implicit,
            "1.2.840.10008.1.2.2" => Self::ExplicitBig,
            "1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205" => Self::Deflated,
            _ => Self::Explicit,
        }
    }

    /// Of a data set by its first element, and by what the header says, which is not always so: an
    /// explicit one has two capital letters behind the tag.
    fn seen([a, _, _, _, v, r]: [u8; 6], said: Option<Self>) -> Self {
        let letters = v.is_ascii_uppercase() && r.is_ascii_uppercase();
        match (letters, said, a) {
            (_, Some(Self::ExplicitBig), _) | (true, None, 0) => Self::ExplicitBig,
            (true, ..) => Self::Explicit,
            (false, ..) => Self::Implicit,
        }
    }

    /// Of an item of an unknown sequence. By PS3.5 §6.2.2 its elements are implicit, and some programs write them explicit all the same.
    fn of_unknown([_, _, _, _, v, r]: [u8; 6]) -> Self {
        if VRS.contains(&&[v, r]) {
            Self::Explicit
        } else {
            Self::Implicit
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

/// The header of a data element, which stands before its value (PS3.5 section 7.1).
#[derive(Debug)]
struct Element {
    tag: Tag,
    /// Bytes of the value; none where the length is undefined, and a delimiter ends the value.
    length: Option<u32>,
    /// The VR is UN: what the value holds is unknown.
    unknown: bool,
}

struct DataSetReader<S> {
    data: DataSet<S>,
    syntax: Syntax,
    /// It is within a sequence of which nobody has said that it is one.
    unknown: bool,
    /// The same of whatever is around, at most [`MOST_NESTED`].
    around: Vec<(Syntax, bool)>,
    left: u32,
}

impl<S: Skip> DataSetReader<S> {
    const fn new(data: DataSet<S>, syntax: Syntax) -> Self {
        Self {
            data,
            syntax,
            unknown: false,
            around: Vec::new(),
            left: MOST_ELEMENTS,
        }
    }

    /// Elements stand in the order of their tags, so whatever comes behind the last one that is wanted is not looked at.
    fn look(mut self, found: &mut DicomTags) -> io::Result<()> {
        loop {
            let element = self.element()?;
            let (tag, own) = (element.tag, self.around.is_empty());
            if own && tag > SERIES_UID && tag.0 != ITEMS_GROUP {
                return Ok(());
            }
            let date = DATES.iter().position(|wanted| *wanted == tag);
            if let (true, Some(date)) = (own, date.and_then(|at| found.dates.get_mut(at))) {
                *date = self.text(&element)?.replace('.', "").into_bytes();
            } else if own && tag == STUDY_UID {
                found.study_uid = self.text(&element)?;
            } else if own && tag == SERIES_UID {
                found.series_uid = self.text(&element)?;
                return Ok(());
            } else if matches!(tag, ITEM_END | SEQUENCE_END) {
                (self.syntax, self.unknown) = self.around.pop().ok_or(io::ErrorKind::InvalidData)?;
            } else if element.length.is_some() {
                self.skip(&element)?;
            } else {
                self.enter(&element)?;
            }
        }
    }

    /// A value without a length is items, or the elements of an item.
    fn enter(&mut self, element: &Element) -> io::Result<()> {
        if self.around.len() == MOST_NESTED {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.around.push((self.syntax, self.unknown));
        if element.unknown {
            (self.syntax, self.unknown) = (Syntax::Implicit, true);
        } else if element.tag == ITEM && self.unknown {
            self.syntax = Syntax::of_unknown(self.data.peek()?);
        }
        Ok(())
    }

    /// The next element up to its value.
    fn element(&mut self) -> io::Result<Element> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::FileTooLarge)?;
        let tag = self.syntax.tag(self.data.take()?);
        // Items and delimiters are written alike everywhere.
        if self.syntax == Syntax::Implicit || tag.0 == ITEMS_GROUP {
            return Ok(Element {
                tag,
                length: self.long()?,
                unknown: false,
            });
        }
        let vr = self.data.take::<2>()?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = if LONG.contains(&&vr) {
            self.data.take::<2>()?;
            self.long()?
        } else {
            let short = self.data.take()?;
            Some(self.syntax.u16(short).into())
        };
        Ok(Element {
            tag,
            length,
            unknown: &vr == b"UN",
        })
    }

    fn long(&mut self) -> io::Result<Option<u32>> {
        let length = self.data.take()?;
        let length = self.syntax.u32(length);
        Ok((length != u32::MAX).then_some(length))
    }

    /// A short value of digits and dots; another one, or one that is longer than those that are looked for, is passed over.
    fn text(&mut self, element: &Element) -> io::Result<String> {
        let mut buffer = [0; LONGEST_VALUE];
        let length = element.length.and_then(|length| usize::try_from(length).ok());
        let Some(value) = length.and_then(|length| buffer.get_mut(..length)) else {
            self.skip(element)?;
            return Ok(String::new());
        };
        self.data.read_exact(value)?;
        let text = String::from_utf8_lossy(value);
        let text = text.trim_end_matches(['\0', ' ']);
        let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        Ok(if plain { text.to_owned() } else { String::new() })
    }

    fn skip(&mut self, element: &Element) -> io::Result<()> {
        let length = element.length.ok_or(io::ErrorKind::InvalidData)?;
        self.data.skip(length.into())
    }
}

const PREAMBLE: u64 = 132;
const META_GROUP: u16 = 0x0002;
const ITEMS_GROUP: u16 = 0xfffe;
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const DATES: [Tag; 4] = [
    (0x0008, 0x0020),
    (0x0008, 0x0021),
    (0x0008, 0x0022),
    (0x0008, 0x0023),
];
const STUDY_UID: Tag = (0x0020, 0x000d);
const SERIES_UID: Tag = (0x0020, 0x000e);
const ITEM: Tag = (ITEMS_GROUP, 0xe000);
const ITEM_END: Tag = (ITEMS_GROUP, 0xe00d);
const SEQUENCE_END: Tag = (ITEMS_GROUP, 0xe0dd);
/// VRs with a length of 32 bits (PS3.5 §7.1.2).
const LONG: [&[u8; 2]; 13] = [
    b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
];
/// All that there are (PS3.5 §6.2).
const VRS: [&[u8; 2]; 34] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"OB", b"OD", b"OF",
    b"OL", b"OV", b"OW", b"PN", b"SH", b"SL", b"SQ", b"SS", b"ST", b"SV", b"TM", b"UC", b"UI", b"UL", b"UN",
    b"UR", b"US", b"UT", b"UV",
];
/// A UID has 64 letters, a date fewer.
const LONGEST_VALUE: usize = 64;
/// Images have some hundred elements before those that are wanted, and some have long sequences of other images.
const MOST_ELEMENTS: u32 = 1 << 16;
const MOST_NESTED: usize = 64;
/// As many as there may be elements. Programs that deflate begin one every sixteen thousand letters or so, or for each piece that they flush.
const MOST_BLOCKS: u32 = 1 << 16;

#[cfg(test)]
pub(crate) mod tests;
