//! PDF pages: the day on which the document was made, of its information dictionary (ISO 32000-1 §14.3.3) or its XMP metadata.
//!
//! A document is not parsed: its first and its last mebibyte are searched, and what lies packed in streams there. One that is encrypted says
//! only what stands outside of that.

mod packed;
mod search;

use std::io::{Read, Seek, SeekFrom};

use self::search::{LONGEST_DICTIONARY, MOST_PLACES, backwards, find, is_space, last};
use crate::day::Days;

/// When it was made, if it says so where it is looked for.
pub(crate) fn days(file: &mut (impl Read + Seek)) -> Option<Days> {
    let head = window(file, 0)?;
    let length = file.seek(SeekFrom::End(0)).ok()?;
    let rest = length.saturating_sub(WINDOW).max(head.len() as u64);
    let tail = window(file, rest)?;
    let parts = [tail.as_slice(), head.as_slice()];
    by_dictionary(&parts).or_else(|| parts.iter().find_map(|part| by_metadata(part)))
}

fn window(file: &mut (impl Read + Seek), from: u64) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The trailer names the object, which has the date. Of several the last one counts, since changes are appended.
fn by_dictionary(parts: &[&[u8]]) -> Option<Days> {
    let (number, generation) = parts.iter().find_map(|part| last(part, b"/Info", reference))?;
    let begin = [&number, &b" "[..], &generation, b" obj"].concat();
    let places = parts.iter().flat_map(|part| backwards(part, &begin));
    // Behind another digit it is the end of another number.
    let whole = places.filter(|(before, _)| before.last().is_some_and(|byte| is_space(*byte)));
    let plain = whole.take(MOST_PLACES).find_map(|(_, rest)| {
        let rest = rest.get(..LONGEST_DICTIONARY).unwrap_or(rest);
        creation(rest.get(..find(rest, b"endobj").unwrap_or(rest.len()))?)
    });
    // What is packed has no generation but the first.
    let packed = || packed::object(parts, &number, creation).filter(|_| generation == b"0");
    plain.or_else(packed)
}

/// The date of an information dictionary.
fn creation(dictionary: &[u8]) -> Option<Days> {
    let at = find(dictionary, b"/CreationDate")?;
    date(dictionary.get(at + b"/CreationDate".len()..)?)
}

/// Number and generation of ` 12 0 R`.
fn reference(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = text.get(..32).unwrap_or(text);
    let mut words = text.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let (number, generation, mark) = (words.next()?, words.next()?, words.next()?);
    let digits = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    (digits(number) && digits(generation) && mark.starts_with(b"R"))
        .then(|| (number.to_vec(), generation.to_vec()))
}

/// `(D:20260501…)`, or the same in hexadecimal, as ASCII or as UTF-16.
fn date(text: &[u8]) -> Option<Days> {
    let text = text.trim_ascii_start();
    let plain: Vec<u8> = match text {
        [b'(', rest @ ..] => rest
            .iter()
            .copied()
            .take(LONGEST_DATE)
            .take_while(|byte| *byte != b')')
            .collect(),
        [b'<', rest @ ..] => {
            let digits = rest
                .iter()
                .take(4 * LONGEST_DATE)
                .map_while(|byte| char::from(*byte).to_digit(16));
            let digits: Vec<u8> = digits.filter_map(|digit| u8::try_from(digit).ok()).collect();
            digits
                .as_chunks::<2>()
                .0
                .iter()
                .map(|[high, low]| high << 4 | low)
                .collect()
        }
        _ => return None,
    };
    // A byte order mark and the high halves of UTF-16 are no part of it.
    let plain: Vec<u8> = plain
        .into_iter()
        .filter(|byte| byte.is_ascii() && *byte != 0)
        .collect();
    let plain = plain.strip_prefix(b"D:").unwrap_or(&plain);
    // Behind the day stands a time, an offset such as `Z00'00'`, or nothing.
    let end = plain.iter().position(|byte| !byte.is_ascii_digit());
    Days::compact(plain.get(..end.unwrap_or(plain.len()))?)
}

/// `<xmp:CreateDate>2026-05-01T…<` or `xmp:CreateDate="2026-05-01T…"`.
fn by_metadata(part: &[u8]) -> Option<Days> {
    last(part, b"CreateDate", |rest| {
        let ([b'>', rest @ ..] | [b'=', b'"' | b'\'', rest @ ..]) = rest else {
            return None;
        };
        let rest = rest.get(..LONGEST_DATE).unwrap_or(rest);
        let end = rest.iter().position(|byte| matches!(byte, b'<' | b'"' | b'\''))?;
        Days::iso(rest.get(..end)?)
    })
}

/// Of the beginning, and as much of the end.
const WINDOW: u64 = 1 << 20;
/// `2026-05-01T23:59:59.999+02:00`, in two bytes each, and more.
const LONGEST_DATE: usize = 80;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn day(text: &str) -> Option<String> {
        days(&mut Cursor::new(text)).map(|days| days.first.to_string())
    }

    fn with(date: &str) -> String {
        let object = format!("12 0 obj\n<< /Producer (x) /CreationDate {date} >>\nendobj\n");
        format!(
            "%PDF-1.4\n112 0 obj\n<</CreationDate(D:19990101)>>\nendobj\n{object}trailer << /Info 12 0 R >>\n%%EOF"
        )
    }

    /// CNT-20
    #[test]
    fn the_day_is_that_of_the_information_dictionary_or_of_the_metadata() {
        let hex: String = "D:20260501".bytes().map(|byte| format!("{byte:02x}")).collect();
        let wide: String = "D:20260501".bytes().map(|byte| format!("00{byte:02X}")).collect();
        for written in [
            "(D:20260501120000+02'00')".to_owned(),
            "(D:20260501)".into(),
            "(20260501)".into(),
            format!("<{hex}>"),
            format!("<FEFF{wide}>"),
        ] {
            assert_eq!(day(&with(&written)), Some("2026-05-01".into()), "{written}");
        }
        let long = with("(D:20260501Z)").replace("trailer", &format!("{}\ntrailer", " ".repeat(3 << 20)));
        assert_eq!(day(&long), Some("2026-05-01".into()));
        for xmp in [
            "<xmp:CreateDate>2026-05-02T08:00:00Z</xmp:CreateDate>",
            "xmp:CreateDate='2026-05-02'",
        ] {
            assert_eq!(
                day(&format!("%PDF-1.7\n{xmp}\n%%EOF")),
                Some("2026-05-02".into()),
                "{xmp}"
            );
        }
        for none in [
            "%PDF-1.7",
            "%PDF-1.7 /Info 12 0 R",
            &with("(yesterday)"),
            "%PDF-1.7 /CreationDate (D:20260501)",
        ] {
            assert_eq!(day(none), None, "{none}");
        }
    }

    /// CNT-19: a place that leads nowhere costs no more than looking at it.
    #[test]
    fn many_places_that_lead_nowhere_end() {
        let text = "/Info x CreateDate>".repeat(60_000);
        assert_eq!(day(&text), None);
    }

    /// CNT-19, ATK-91: of places that cost a search each, only so many are looked at, in both parts together.
    #[test]
    fn so_many_objects_of_one_number_are_looked_at() {
        let nowhere = "12 0 obj\n";
        for between in [0, 3 << 20] {
            let with = |others: usize| {
                let (before, behind) = (" ".repeat(between), nowhere.repeat(others));
                let object = "12 0 obj <</CreationDate(D:20260501)>>endobj\n";
                format!("%PDF-1.4\n{object}{before}\n{behind}trailer << /Info 12 0 R >>")
            };
            assert_eq!(day(&with(MOST_PLACES - 1)), Some("2026-05-01".into()));
            assert_eq!(day(&with(MOST_PLACES)), None);
        }
        // Ends of longer numbers are no places.
        let others = "112 0 obj\n".repeat(1000);
        let text = with("(D:20260501)").replace("trailer", &format!("{others}trailer"));
        assert_eq!(day(&text), Some("2026-05-01".into()));
    }

    /// CNT-20: a change is appended by another program, which ends its lines in another way.
    #[test]
    fn the_last_of_several_counts_however_their_lines_end() {
        for (one, other) in [("\n", "\r"), ("\r", "\n"), (" ", "\r\n"), ("\r\n", "\t")] {
            let object = |end: &str, day| format!("{end}12 0 obj <</CreationDate(D:{day})>> endobj");
            let text = format!(
                "%PDF-1.4{}{}{other}trailer <</Info 12 0 R>>",
                object(one, "20250101"),
                object(other, "20260501")
            );
            assert_eq!(day(&text), Some("2026-05-01".into()), "{text:?}");
        }
    }
}
