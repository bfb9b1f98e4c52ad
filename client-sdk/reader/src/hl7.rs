//! HL7 v2 messages in vertical bars: when what they report was observed, OBR-7, OBX-14 and TXA-4; else when they were sent, MSH-7.

use std::io::{Read, Seek};

use crate::{
    bytes::{Bytes, keep},
    day::{Days, joined},
    description::Description,
};

/// All messages of a file; none for one that has no header behind all.
pub(crate) fn describe(file: &mut (impl Read + Seek)) -> Option<Description> {
    let mut bytes = Bytes::new(file);
    let mut found = SeenFields::default();
    while found.segment(&mut bytes)? {}
    let days = found.observed.or(found.sent);
    found.separator.map(|_| Description {
        // As HAPI's HL7 over HTTP has it; none is registered.
        media_type: "application/hl7-v2".into(),
        days: days.filter(|_| !bytes.is_cut()),
        ..Description::default()
    })
}

#[derive(Default)]
struct SeenFields {
    /// Between fields, as the first header says.
    separator: Option<u8>,
    observed: Option<Days>,
    sent: Option<Days>,
}

impl SeenFields {
    /// Reads one segment; whether there may be more. None if there was no header before it.
    fn segment<R: Read>(&mut self, bytes: &mut Bytes<R>) -> Option<bool> {
        let mut kind = Vec::with_capacity(LONGEST);
        while kind.len() < 3 {
            match bytes.next() {
                None => return Some(false),
                // Ends of lines, MLLP's marks, and what stands before a first segment.
                Some(b'\r' | b'\n' | 0x0b | 0x1c | 0xef | 0xbb | 0xbf) if kind.is_empty() => {}
                Some(byte) => kind.push(byte),
            }
        }
        if self.separator.is_none() {
            self.separator = bytes.peek().filter(u8::is_ascii_punctuation);
        }
        let separator = self.separator?;
        // The first field of a header is the separator itself.
        let (wanted, observed) = match kind.as_slice() {
            b"MSH" => (Some(6), false),
            b"OBR" => (Some(7), true),
            b"OBX" => (Some(14), true),
            b"TXA" => (Some(4), true),
            _ => (None, false),
        };
        let days = field(bytes, separator, wanted);
        let known = if observed {
            &mut self.observed
        } else {
            &mut self.sent
        };
        *known = joined(*known, days);
        Some(true)
    }
}

/// Reads the rest of a segment, and the days in one of its fields.
fn field<R: Read>(bytes: &mut Bytes<R>, separator: u8, wanted: Option<usize>) -> Option<Days> {
    let mut text = Vec::with_capacity(LONGEST);
    let (mut number, mut in_first) = (0, true);
    while let Some(byte) = bytes.next().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        if byte == separator {
            (number, in_first) = (number + 1, true);
        } else if Some(number) == wanted {
            in_first &= !matches!(byte, b'^' | b'~' | b'&');
            if in_first {
                keep(&mut text, byte, LONGEST);
            }
        }
    }
    Days::compact(text.trim_ascii())
}

/// A moment with parts of seconds and an offset has 24 letters.
const LONGEST: usize = 32;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn days(text: &str) -> Option<(String, String)> {
        let days = describe(&mut Cursor::new(text)).unwrap().days?;
        Some((days.first.to_string(), days.last.to_string()))
    }

    const HEADER: &str = "MSH|^~\\&|LAB|ANNA|GP|BERT|20260510120000||ORU^R01|1|P|2.5\r";

    /// CNT-20: OBR-7 and OBX-14, and MSH-7 only where they say nothing.
    #[test]
    fn what_was_observed_counts_before_when_it_was_sent() {
        let order = "PID|1||77\rOBR|1|||718-7^Hb^LN|||20260501080000+0200\r";
        let results = "OBX|1|NM|718-7||13|g/dl|||||F||| 20260502\r";
        let day = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(days(HEADER), day("2026-05-10", "2026-05-10"));
        assert_eq!(days(&format!("{HEADER}{order}")), day("2026-05-01", "2026-05-01"));
        assert_eq!(
            days(&format!("{HEADER}{order}{results}")),
            day("2026-05-01", "2026-05-02")
        );
        let lines = format!("\x0b{HEADER}{order}\x1c\r").replace('\r', "\r\n");
        assert_eq!(days(&lines), day("2026-05-01", "2026-05-01"));
        let other = "MSH#^~\\&#LAB#ANNA#GP#BERT#202605\rOBR#1######2026^x\r";
        assert_eq!(days(other), day("2026-01-01", "2026-12-31"));
        assert_eq!(days("MSH|^~\\&|LAB|ANNA|GP|BERT||\rOBR|1\r"), None);
    }
}
