//! Objects that lie packed in a stream (ISO 32000-1 §7.5.7), as most programs write them today: the stream begins with the number of each
//! object and where it is.

use std::io::Read;

use super::search::{LONGEST_DICTIONARY, MOST_PLACES, backwards, find, is_space};
use crate::inflate::Inflated;

/// What is found in the object with this number, in the last stream where anything is.
pub(super) fn object<T>(parts: &[&[u8]], number: &[u8], found: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    let number = digits(number)?;
    let places = parts.iter().flat_map(|part| backwards(part, b"/ObjStm"));
    places.take(MOST_PLACES).find_map(|(before, behind)| {
        let object = Stream::at(before, behind)?.object(number)?;
        found(&object)
    })
}

/// An object stream (ISO 32000-1 §7.5.7), with its dictionary read.
struct Stream<'a> {
    /// How many objects it holds.
    count: usize,
    /// Where the first one begins, and their numbers and places end.
    first: usize,
    /// As they lie in the file, and whatever is behind them.
    data: &'a [u8],
    deflated: bool,
}

impl<'a> Stream<'a> {
    /// Reads the dictionary around the word that says its type.
    fn at(before: &[u8], behind: &'a [u8]) -> Option<Self> {
        let before = before.get(before.len().saturating_sub(LONGEST_HEAD)..)?;
        let begin = backwards(before, b"obj").next()?.1;
        let end = find(behind.get(..LONGEST_HEAD).unwrap_or(behind), b"stream")?;
        let (rest, data) = behind.split_at_checked(end)?;
        let head = [begin, rest].concat();
        let data = data.strip_prefix(b"stream")?;
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        let filtered = find(&head, b"/Filter").is_some();
        let deflated = find(&head, b"/FlateDecode").is_some() && find(&head, b"/DecodeParms").is_none();
        (deflated || !filtered).then_some(Self {
            count: entry(&head, b"/N")?,
            first: entry(&head, b"/First")?,
            data: data.strip_prefix(b"\n").unwrap_or(data),
            deflated,
        })
    }

    /// The object with this number, as far as it may be long.
    fn object(&self, number: usize) -> Option<Vec<u8>> {
        let head = self.read(self.first.min(LONGEST_NUMBERS))?;
        let words = head.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
        let numbers: Vec<usize> = words
            .map_while(digits)
            .take(self.count.saturating_mul(2))
            .collect();
        let pairs = numbers.as_chunks::<2>().0;
        let [_, at] = *pairs.iter().find(|[found, _]| *found == number)?;
        let next = pairs
            .iter()
            .map(|[_, next]| *next)
            .filter(|next| *next > at)
            .min();
        let longest = at.checked_add(LONGEST_DICTIONARY)?;
        let end = next.map_or(longest, |next| next.min(longest));
        let whole = self.read(self.first.checked_add(end)?)?;
        whole.get(self.first.checked_add(at)?..).map(<[u8]>::to_vec)
    }

    /// So much of it from its beginning, or all if it is less.
    fn read(&self, length: usize) -> Option<Vec<u8>> {
        let most = (length as u64).min(MOST_UNPACKED);
        let mut out = Vec::new();
        if self.deflated {
            // Two bytes of zlib's (RFC 1950) stand before it.
            let mut unpacked = Inflated::new(self.data.get(2..)?, most, MOST_BLOCKS);
            unpacked.read_to_end(&mut out).ok()?;
        } else {
            self.data.take(most).read_to_end(&mut out).ok()?;
        }
        Some(out)
    }
}

/// The number that an entry of a dictionary is.
fn entry(dictionary: &[u8], name: &[u8]) -> Option<usize> {
    backwards(dictionary, name).find_map(|(_, rest)| {
        let value = rest.trim_ascii_start();
        let length = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Another name may begin with this one.
        (value.len() < rest.len())
            .then(|| digits(value.get(..length)?))
            .flatten()
    })
}

fn digits(word: &[u8]) -> Option<usize> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The dictionary of a stream, on either side of its type.
const LONGEST_HEAD: usize = 512;
/// Numbers and places of the objects in a stream. Programs put some hundred into one.
const LONGEST_NUMBERS: usize = 1 << 16;
const MOST_UNPACKED: u64 = 1 << 20;
/// Each stands for some sixteen thousand letters.
const MOST_BLOCKS: u32 = 1 << 10;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use miniz_oxide::deflate::compress_to_vec_zlib;

    fn day(document: &[u8]) -> Option<String> {
        super::super::days(&mut Cursor::new(document)).map(|days| days.first.to_string())
    }

    /// Objects with these numbers, packed, behind whatever comes first in the document.
    fn document(before: &[u8], objects: &[(u32, &str)], filter: &str) -> Vec<u8> {
        let (mut numbers, mut texts) = (String::new(), String::new());
        for (number, text) in objects {
            numbers += &format!("{number} {} ", texts.len());
            texts += text;
            texts.push('\n');
        }
        let plain = [numbers.as_bytes(), texts.as_bytes()].concat();
        let data = if filter.is_empty() {
            plain
        } else {
            compress_to_vec_zlib(&plain, 6)
        };
        let (count, first) = (objects.len(), numbers.len());
        let head = format!("9 0 obj\n<</Type/ObjStm/N {count}/First {first}{filter}/Length 1>>stream\r\n");
        let end = b"\nendstream endobj\n22 0 obj <</Type/XRef/Info 2 0 R>>stream";
        [before, b"%PDF-1.5\n", head.as_bytes(), &data, end].concat()
    }

    const DEFLATED: &str = "/Filter/FlateDecode";

    /// CNT-20: as pdfTeX, iText and others write it since PDF 1.5; the date of no other object is taken for it.
    #[test]
    fn the_information_dictionary_may_be_packed() {
        let note = (12, "<</Type/Annot/CreationDate(D:20200101)>>");
        let info = (2, "<</Producer(x)/CreationDate(D:20260501)>>");
        let without = (2, "<</Producer(x)>>");
        for filter in ["", DEFLATED, "/Filter [ /FlateDecode ]"] {
            let day = |objects: &[(u32, &str)]| day(&document(b"", objects, filter));
            assert_eq!(day(&[note, info]), Some("2026-05-01".into()), "{filter}");
            assert_eq!(day(&[info, note]), Some("2026-05-01".into()), "{filter}");
            assert_eq!(day(&[without, note]), None, "{filter}");
            assert_eq!(day(&[note]), None, "{filter}");
        }
        for other in [
            "/Filter/LZWDecode",
            "/Filter/FlateDecode/DecodeParms<</Predictor 12>>",
        ] {
            assert_eq!(day(&document(b"", &[info], other)), None, "{other}");
        }
        let long = document(&[b' '; 3 << 20], &[info], DEFLATED);
        assert_eq!(day(&[b"%PDF-1.5", &long[..]].concat()), Some("2026-05-01".into()));
    }

    /// CNT-19: of streams too only so many are looked at, and each is inflated up to a bound.
    #[test]
    fn what_is_packed_is_bounded() {
        let info = (2, "<</CreationDate(D:20260501)>>");
        let packed = document(b"", &[info], DEFLATED);
        let with =
            |others: usize| [&packed[..], &b"9 0 obj <</Type/ObjStm>>stream\n".repeat(others)].concat();
        assert_eq!(day(&with(super::MOST_PLACES - 1)), Some("2026-05-01".into()));
        assert_eq!(day(&with(super::MOST_PLACES)), None);
        let long = "x".repeat(2 << 20);
        assert_eq!(day(&document(b"", &[(3, &long), info], DEFLATED)), None);
        assert_eq!(
            day(&document(b"", &[info, (3, &long)], DEFLATED)),
            Some("2026-05-01".into())
        );
    }
}
