//! Which kind a file is, by its first bytes.

use std::io::{self, Read};

use crate::xml;

/// What a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Its first bytes are all there is to know.
    Known(&'static str),
    Dicom(Start),
    Pdf,
    /// Or something else in braces.
    Json,
    Xml,
    Hl7,
}

/// How a DICOM file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// PS3.10 §7.1: 128 bytes, then `DICM`.
    Preamble,
    /// With a group that files have which were written without it.
    Bare,
}

/// The first bytes of a file, as many as there are.
pub(crate) fn head(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// What a file that begins so may be, the likeliest first. A preamble may be the head of another format, so DICOM comes first.
pub(crate) fn kinds(head: &[u8]) -> impl Iterator<Item = FileKind> {
    let preamble = head
        .get(128..132)
        .filter(|mark| mark == b"DICM")
        .map(|_| FileKind::Dicom(Start::Preamble));
    let pdf = head
        .windows(5)
        .any(|window| window == b"%PDF-")
        .then_some(FileKind::Pdf);
    let bare = matches!(head, [2 | 8, 0, ..] | [0, 8, ..]).then_some(FileKind::Dicom(Start::Bare));
    [preamble, by_magic(head), written(head), pdf, bare]
        .into_iter()
        .flatten()
}

fn by_magic(head: &[u8]) -> Option<FileKind> {
    let media_type = match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        // 43 is of those that may be longer than 4 GiB, as slides of pathology are.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => "image/tiff",
        [0x7f, b'E', b'L', b'F', ..] => "application/x-executable",
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => "application/x-mach-binary",
        [b'M', b'Z', ..] if is_windows_program(head) => "application/vnd.microsoft.portable-executable",
        _ => return None,
    };
    Some(FileKind::Known(media_type))
}

/// `MZ` alone may begin any text: a program says where its second header lies.
fn is_windows_program(head: &[u8]) -> bool {
    let at = head.get(0x3c..0x40).and_then(|at| at.try_into().ok());
    let at = at.map(u32::from_le_bytes).and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| head.get(at..)?.get(..4))
        .is_some_and(|magic| magic == b"PE\0\0")
}

/// By the first letter, behind a byte order mark and white space.
fn written(head: &[u8]) -> Option<FileKind> {
    if let Some(order) = xml::ByteOrder::of(head) {
        let mut units = head.as_chunks::<2>().0.iter().skip(1);
        let first =
            units.find_map(|unit| Some(order.letter(*unit)).filter(|letter| !letter.is_ascii_whitespace()));
        return (first == Some(b'<')).then_some(FileKind::Xml);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = text.trim_ascii_start();
    // MLLP puts a vertical tab before a message.
    let message = text.strip_prefix(b"\x0b").unwrap_or(text);
    match message {
        [b'{', ..] => Some(FileKind::Json),
        [b'<', ..] => Some(FileKind::Xml),
        [b'M', b'S', b'H', separator, rest @ ..] | [b'F' | b'B', b'H', b'S', separator, rest @ ..] => {
            let encoding = rest.iter().position(|byte| byte == separator);
            (separator.is_ascii_punctuation() && matches!(encoding, Some(3..=6))).then_some(FileKind::Hl7)
        }
        _ => None,
    }
}

/// A PDF may begin within its first 1,024 bytes.
const HEAD: usize = 1024 + 5;
