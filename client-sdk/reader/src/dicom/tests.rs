//! Files in every encoding, files that are none, and files by somebody who means harm. Those are harmless to any
//! reader that reads to the end: short, and with claims that are only claims.

use std::{
    cell::Cell,
    io::{Cursor, SeekFrom},
    rc::Rc,
};

use miniz_oxide::deflate::compress_to_vec;
use proptest::prelude::*;

use super::*;
use crate::day::Days;

const STUDY_DATE: Tag = (0x0008, 0x0020);
const BUFFER: usize = 4096;

/// How a test file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Implicit,
    Explicit,
    ExplicitBig,
    Deflated,
}

impl Written {
    const fn uid(self) -> &'static str {
        match self {
            Self::Implicit => "1.2.840.10008.1.2",
            Self::Explicit => "1.2.840.10008.1.2.1",
            Self::ExplicitBig => "1.2.840.10008.1.2.2",
            Self::Deflated => "1.2.840.10008.1.2.1.99",
        }
    }

    fn short(self, number: u16) -> [u8; 2] {
        match self {
            Self::ExplicitBig => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        }
    }

    fn long(self, number: u32) -> [u8; 4] {
        match self {
            Self::ExplicitBig => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        }
    }

    /// What stands before a value of this length.
    fn before(self, (group, element): Tag, vr: &str, length: u32) -> Vec<u8> {
        let tag = [self.short(group), self.short(element)].concat();
        let vr = vr.as_bytes();
        if self == Self::Implicit || group == ITEMS_GROUP {
            [&tag[..], &self.long(length)].concat()
        } else if LONG.iter().any(|long| long.as_slice() == vr) {
            [&tag[..], vr, &[0, 0], &self.long(length)].concat()
        } else {
            [&tag[..], vr, &self.short(u16::try_from(length).unwrap())].concat()
        }
    }

    fn element(self, tag: Tag, vr: &str, value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap();
        [self.before(tag, vr, length), value.to_vec()].concat()
    }

    /// A sequence of one item, neither with a length, and within it a study that is another one.
    fn sequence(self) -> Vec<u8> {
        let end = |tag| self.before(tag, "", 0);
        [
            self.before((0x0008, 0x1140), "SQ", u32::MAX),
            self.before((ITEMS_GROUP, 0xe000), "", u32::MAX),
            self.element(STUDY_UID, "UI", b"2.25.9\0\0"),
            end(ITEM_END),
            end(SEQUENCE_END),
        ]
        .concat()
    }

    fn data_set(self) -> Vec<u8> {
        [
            self.element((0x0008, 0x0016), "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
            self.element(STUDY_DATE, "DA", b"20260914"),
            self.sequence(),
            self.element((0x0009, 0x1001), "OB", &[7; 9000]),
            self.element((0x0009, 0x1002), "SQ", &[7; 20]),
            self.element(STUDY_UID, "UI", b"2.25.2"),
            self.element(SERIES_UID, "UI", b"2.25.3"),
            self.element((0x0028, 0x0010), "US", &self.short(2)),
        ]
        .concat()
    }
}

/// Preamble and the file's own header.
fn header(uid: &str) -> Vec<u8> {
    let syntax = Written::Explicit.element(TRANSFER_SYNTAX, "UI", uid.as_bytes());
    let length = u32::try_from(syntax.len()).unwrap().to_le_bytes();
    let group = Written::Explicit.element((META_GROUP, 0), "UL", &length);
    [&[0; 128][..], b"DICM", &group, &syntax].concat()
}

/// A whole file, but for its pixels.
pub(crate) fn of_a_study(written: Written) -> Vec<u8> {
    file(written, &written.data_set())
}

/// A data set behind its header, deflated if that is how it is written.
fn file(written: Written, data_set: &[u8]) -> Vec<u8> {
    let data_set = match written {
        Written::Deflated => compress_to_vec(data_set, 6),
        _ => data_set.to_vec(),
    };
    [header(written.uid()), data_set].concat()
}

fn described(bytes: &[u8]) -> Option<Description> {
    crate::describe("IMG", Cursor::new(bytes))
        .ok()
        .filter(|found| found.media_type == "application/dicom")
}

fn the_study() -> Description {
    Description {
        dicom_study_uid: "2.25.2".into(),
        dicom_series_uid: "2.25.3".into(),
        days: Days::iso(b"2026-09-14"),
        ..nothing_said()
    }
}

fn nothing_said() -> Description {
    Description {
        media_type: "application/dicom".into(),
        ..Description::default()
    }
}

const ALL: [Written; 4] = [
    Written::Implicit,
    Written::Explicit,
    Written::ExplicitBig,
    Written::Deflated,
];
const LOOKED_INTO: [Written; 3] = [Written::Implicit, Written::Explicit, Written::ExplicitBig];

/// CNT-20
#[test]
fn every_encoding_is_read_and_what_lies_in_sequences_is_not_taken_for_the_files_own() {
    for written in ALL {
        assert_eq!(described(&of_a_study(written)), Some(the_study()), "{written:?}");
    }
}

/// CNT-20: a private sequence of VR UN and without a length, whose items are implicit (PS3.5 §6.2.2, CP-246), or explicit all the same, in
/// items with and without a length, and in one another.
#[test]
fn sequences_of_an_unknown_kind_are_passed_over() {
    let nested = |inner: Written, within: &[u8]| {
        let item = |length: u32| Written::Implicit.before(ITEM, "", length);
        let end = |tag| Written::Implicit.before(tag, "", 0);
        let value = inner.element((0x0009, 0x1002), "LO", b"abcd");
        let study = inner.element(STUDY_UID, "UI", b"2.25.9\0\0");
        let known = u32::try_from(value.len()).unwrap();
        [
            item(u32::MAX),
            value.clone(),
            within.to_vec(),
            study,
            end(ITEM_END),
            item(known),
            value,
            end(SEQUENCE_END),
        ]
        .concat()
    };
    for outer in [Written::Explicit, Written::ExplicitBig, Written::Deflated] {
        for inner in [Written::Implicit, Written::Explicit] {
            let deeper = [
                inner.before((0x0009, 0x1003), "UN", u32::MAX),
                nested(Written::Implicit, b""),
            ]
            .concat();
            for within in [&b""[..], &deeper] {
                let data_set = [
                    outer.element(STUDY_DATE, "DA", b"20260914"),
                    outer.before((0x0009, 0x1001), "UN", u32::MAX),
                    nested(inner, within),
                    outer.element(STUDY_UID, "UI", b"2.25.2"),
                    outer.element(SERIES_UID, "UI", b"2.25.3"),
                ];
                let file = file(outer, &data_set.concat());
                assert_eq!(
                    described(&file),
                    Some(the_study()),
                    "{inner:?} in {outer:?}, {within:?}"
                );
            }
        }
    }
}

/// CNT-20
#[test]
fn very_long_elements_and_very_many_are_passed_over() {
    for written in ALL {
        let long = written.element((0x0009, 0x1001), "OB", &vec![7; 9_000_000]);
        let many = written.element((0x0009, 0x1002), "LO", b"").repeat(20_000);
        let rest = written.data_set();
        let data_set = [&long, &many, &rest[..]].concat();
        assert_eq!(
            described(&file(written, &data_set)),
            Some(the_study()),
            "{written:?}"
        );
    }
}

/// CNT-20: the study's date before the others, in the form of ACR-NEMA too.
#[test]
fn the_first_date_that_there_is_counts() {
    let dated = |dates: &[(u16, &str)]| {
        let date = |(element, date): &(u16, &str)| {
            Written::Explicit.element((0x0008, *element), "DA", date.as_bytes())
        };
        let dates: Vec<u8> = dates.iter().flat_map(date).collect();
        let found = described(&file(Written::Explicit, &dates)).unwrap();
        found.days.map(|days| days.first.to_string())
    };
    let all = [
        (0x20, ""),
        (0x21, "20260915"),
        (0x22, "20260916"),
        (0x23, "20260917"),
    ];
    assert_eq!(dated(&all), Some("2026-09-15".into()));
    assert_eq!(dated(&all[2..]), Some("2026-09-16".into()));
    assert_eq!(
        dated(&[(0x20, "2026.09.14"), (0x21, "20260915")]),
        Some("2026-09-14".into())
    );
    assert_eq!(dated(&[(0x20, "99999999")]), None);
}

#[test]
fn files_without_preamble_or_header_are_read() {
    for written in LOOKED_INTO {
        let whole = of_a_study(written);
        assert_eq!(described(&whole[132..]), Some(the_study()), "{written:?}");
        assert_eq!(described(&written.data_set()), Some(the_study()), "{written:?}");
    }
    for other in [&b""[..], b"\x08\0", b"\x08\0 a text", b"%PDF-1.7", &[0; 200]] {
        assert_eq!(described(other), None);
    }
}

/// As real files have it, whose makers took the encoding of the pixels for that of the elements.
#[test]
fn a_header_that_names_the_wrong_encoding_misleads_nobody() {
    const JPEG: &str = "1.2.840.10008.1.2.4.50";
    for (said, is) in [
        (JPEG, Written::Implicit),
        (Written::Explicit.uid(), Written::Implicit),
        (Written::Implicit.uid(), Written::Explicit),
    ] {
        let file = [header(said), is.data_set()].concat();
        assert_eq!(described(&file), Some(the_study()), "{said} over {is:?}");
    }
}

#[test]
fn what_is_cut_off_says_less_and_is_dicom_all_the_same() {
    for written in ALL {
        let whole = of_a_study(written);
        for length in 132..whole.len() {
            let found = described(&whole[..length]).unwrap();
            let less = found.dicom_series_uid.is_empty();
            assert!(found == the_study() || less, "{written:?} {length}");
        }
    }
    let unknown = [
        header(Written::Explicit.uid()),
        Written::Explicit.before((0x0009, 0x1001), "UN", u32::MAX),
        b"not an item".to_vec(),
    ];
    assert_eq!(described(&unknown.concat()), Some(nothing_said()));
}

#[test]
fn values_that_are_none_are_left_out() {
    let with = |value: &[u8]| {
        let study = Written::Explicit.element(STUDY_UID, "UI", value);
        let rest = Written::Explicit.element(SERIES_UID, "UI", b"2.25.3");
        described(&[header(Written::Explicit.uid()), study, rest].concat()).unwrap()
    };
    for value in [&b"2.25.\x1b[2J"[..], "2.25.é".as_bytes(), &[b'1'; 66]] {
        let found = with(value);
        assert_eq!(
            (found.dicom_study_uid.as_str(), found.dicom_series_uid.as_str()),
            ("", "2.25.3")
        );
    }
}

/// Counts what is read of a file.
struct Counted<R>(R, Rc<Cell<usize>>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.set(self.1.get() + read);
        Ok(read)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// How much of a file is read.
fn read_of(bytes: &[u8]) -> usize {
    let read = Rc::new(Cell::new(0));
    crate::describe("IMG", Counted(Cursor::new(bytes), Rc::clone(&read))).unwrap();
    read.get()
}

/// A file that claims a value of 1 GiB and ends there.
fn with_a_long_claim() -> Vec<u8> {
    let claim = Written::Explicit.before((0x0009, 0x1001), "OB", 1 << 30);
    [header(Written::Explicit.uid()), claim].concat()
}

/// A file whose sequences lie in one another.
fn nested(levels: usize) -> Vec<u8> {
    let level = [
        Written::Implicit.before((0x0008, 0x1140), "SQ", u32::MAX),
        Written::Implicit.before((ITEMS_GROUP, 0xe000), "", u32::MAX),
    ]
    .concat();
    [header(Written::Implicit.uid()), level.repeat(levels)].concat()
}

/// ATK-91, CNT-19.
#[test]
fn neither_memory_nor_time_is_for_a_file_to_say() {
    assert_eq!(described(&with_a_long_claim()), Some(nothing_said()));
    let deep = nested(100_000);
    assert_eq!(described(&deep), Some(nothing_said()));
    assert!(read_of(&deep) <= 2 * BUFFER, "{}", read_of(&deep));
    let flat = Written::Explicit
        .element((0x0009, 0x1001), "LO", b"")
        .repeat(1_000_000);
    let flat = [header(Written::Explicit.uid()), flat].concat();
    assert_eq!(described(&flat), Some(nothing_said()));
    let most = usize::try_from(MOST_ELEMENTS).unwrap() * 8 + 2 * BUFFER;
    assert!(read_of(&flat) <= most, "{}", read_of(&flat));
}

/// A file that goes on for ever with the same bytes.
struct Endless {
    begin: Vec<u8>,
    again: Vec<u8>,
    at: u64,
}

impl Endless {
    fn new(written: Written, again: &[u8]) -> Self {
        Self {
            begin: header(written.uid()),
            again: again.to_vec(),
            at: 0,
        }
    }

    fn next(&mut self) -> u8 {
        let at = usize::try_from(self.at).unwrap();
        self.at += 1;
        let again = |at: usize| self.again[at % self.again.len()];
        let in_begin = self.begin.get(at).copied();
        in_begin.unwrap_or_else(|| again(at - self.begin.len()))
    }

    /// What is said of it, and how much is read for that.
    fn described(self) -> (Description, usize) {
        let read = Rc::new(Cell::new(0));
        let found = crate::describe("IMG", Counted(self, Rc::clone(&read))).unwrap();
        (found, read.get())
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill_with(|| self.next());
        Ok(buffer.len())
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
            SeekFrom::End(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(self.at)
    }
}

/// CNT-19, ATK-91: what comes to nothing when it is inflated is read no further than what comes to something.
#[test]
fn blocks_of_nothing_are_not_read_to_the_end() {
    let stored = [0, 0, 0, 0xff, 0xff];
    // Four of ten bits each: not the last one, fixed tables, and their end.
    let fixed = [0x02, 0x08, 0x20, 0x80, 0x00];
    for (blocks, per_block) in [(stored, 5), (fixed, 2)] {
        let (found, read) = Endless::new(Written::Deflated, &blocks).described();
        assert_eq!(found, nothing_said());
        let most = usize::try_from(MOST_BLOCKS).unwrap() * per_block + 3 * BUFFER;
        assert!(read <= most, "{read}");
        let some = [header(Written::Deflated.uid()), blocks.repeat(1000)].concat();
        let whole = [some, compress_to_vec(&Written::Deflated.data_set(), 6)].concat();
        assert_eq!(described(&whole), Some(the_study()));
    }
}

/// CNT-19: passing over values reads ahead each time, and a long file is not read as a whole for that.
#[test]
fn reading_ahead_is_bounded_as_well() {
    let element = Written::Explicit.element((0x0009, 0x1001), "OB", &[7; 2 * BUFFER]);
    let (found, read) = Endless::new(Written::Explicit, &element).described();
    assert_eq!(found, nothing_said());
    assert!(read <= usize::try_from(MOST).unwrap() + 2 * BUFFER, "{read}");
}

/// What a reader comes to that believes a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Believed {
    reserved: u64,
    levels: usize,
}

/// As libraries are written that build the whole object: a value is reserved before it is read, a level is a call.
/// This one only counts.
fn believe(bytes: &[u8], so_far: Believed) -> Believed {
    let Some(&[_, _, _, _, a, b, c, d]) = bytes.first_chunk::<8>() else {
        return so_far;
    };
    match u32::from_le_bytes([a, b, c, d]) {
        u32::MAX => believe(
            &bytes[8..],
            Believed {
                levels: so_far.levels + 1,
                ..so_far
            },
        ),
        claimed => Believed {
            reserved: so_far.reserved + u64::from(claimed),
            ..so_far
        },
    }
}

/// ATK-91, the control: a reader that believes what a file says reserves a gigabyte for a few bytes, and is as deep as the
/// file likes.
#[test]
fn a_reader_that_believes_a_file_is_led_by_it() {
    let claim = Written::Implicit.before((0x0009, 0x1001), "OB", 1 << 30);
    assert_eq!(believe(&claim, Believed::default()).reserved, 1 << 30);
    let before = header(Written::Implicit.uid()).len();
    // As deep as the stack of a test allows with ease.
    let deep = nested(500);
    assert_eq!(believe(&deep[before..], Believed::default()).levels, 1000);
}

proptest! {
    #[test]
    fn any_bytes_end_and_little_is_read(bytes in prop::collection::vec(any::<u8>(), 0..2000), written in 0..4_usize) {
        let written = [Written::Implicit, Written::Explicit, Written::ExplicitBig, Written::Deflated][written];
        let file = [header(written.uid()), bytes].concat();
        prop_assert!(described(&file).is_some());
        prop_assert!(read_of(&file) <= file.len() * 8 + 3 * BUFFER);
    }

    #[test]
    fn a_file_with_wrong_bytes_ends(at in 0..600_usize, byte in any::<u8>(), written in 0..3_usize) {
        let mut file = of_a_study(LOOKED_INTO[written]);
        let at = at % file.len();
        file[at] = byte;
        described(&file);
    }
}
