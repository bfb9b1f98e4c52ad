//! Places of a text within the parts of a document that are looked at.

/// What is found behind the last place of a text where anything is. Looking at a place is a few steps.
pub(super) fn last<T>(part: &[u8], text: &[u8], found: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    backwards(part, text).find_map(|(_, rest)| found(rest))
}

/// What is before and behind each place of a text, the last place first. However many there are, each byte is passed over once.
pub(super) fn backwards<'a>(part: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let mut end = part.len();
    std::iter::from_fn(move || {
        let windows = part.get(..end)?.windows(text.len());
        let at = windows.rev().position(|window| window == text)?;
        let behind = end - at;
        // The next one is another place.
        end = behind - 1;
        Some((part.get(..behind - text.len())?, part.get(behind..)?))
    })
}

/// White space as ISO 32000-1 §7.2.2 has it.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

pub(super) fn find(part: &[u8], text: &[u8]) -> Option<usize> {
    part.windows(text.len()).position(|window| window == text)
}

/// Bytes of a dictionary that are looked at.
pub(super) const LONGEST_DICTIONARY: usize = 4096;
/// Of the beginnings of one object, each of which is searched as far as a dictionary may be long. A document has one for each time that it was saved.
pub(super) const MOST_PLACES: usize = 64;
