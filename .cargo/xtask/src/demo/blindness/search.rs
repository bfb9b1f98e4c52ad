//! Search for many byte strings at once.
//!
//! A table over the first four bytes decides at nearly every place that nothing starts there; each place
//! costs one look into it.

use std::collections::{BTreeSet, HashMap};

/// Shortest string worth searching for: shorter ones occur in random data by chance.
pub(super) const SHORTEST: usize = 7;

/// What is searched for, without repetition.
#[derive(Default)]
pub(super) struct Needles {
    by_start: HashMap<[u8; 4], Vec<usize>>,
    strings: Vec<Vec<u8>>,
}

impl Needles {
    /// Adds a string unless it is too short or already there.
    pub(super) fn add(&mut self, string: &[u8]) {
        let Some(start) = string.first_chunk::<4>() else {
            return;
        };
        let same_start = self.by_start.entry(*start).or_default();
        let known = same_start
            .iter()
            .any(|index| self.strings.get(*index).is_some_and(|other| other == string));
        if string.len() >= SHORTEST && !known {
            same_start.push(self.strings.len());
            self.strings.push(string.to_vec());
        }
    }

    pub(super) fn count(&self) -> usize {
        self.strings.len()
    }

    fn starting_at<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let candidates = bytes
            .first_chunk::<4>()
            .and_then(|start| self.by_start.get(start));
        let candidates = candidates.into_iter().flatten().copied();
        candidates.filter(move |index| {
            self.strings
                .get(*index)
                .is_some_and(|string| bytes.starts_with(string))
        })
    }

    /// Which first two bytes occur at all.
    fn prefixes(&self) -> Vec<bool> {
        let mut prefixes = vec![false; 1 << 16];
        for [first, second, ..] in self.by_start.keys() {
            prefixes[usize::from(u16::from_be_bytes([*first, *second]))] = true;
        }
        prefixes
    }
}

/// What was searched, and which of the strings were found.
#[derive(Default)]
pub(super) struct Haystack {
    files: usize,
    bytes: u64,
    found: BTreeSet<usize>,
}

impl Haystack {
    /// Searches a file's content and counts it.
    pub(super) fn search_file(&mut self, needles: &Needles, content: &[u8]) {
        self.files += 1;
        self.bytes += content.len() as u64;
        self.search(needles, content);
    }

    /// Searches bytes that are no file.
    pub(super) fn search(&mut self, needles: &Needles, bytes: &[u8]) {
        let prefixes = needles.prefixes();
        for (place, pair) in bytes.windows(2).enumerate() {
            let [first, second] = pair else { continue };
            if prefixes[usize::from(u16::from_be_bytes([*first, *second]))] {
                self.found
                    .extend(needles.starting_at(bytes.get(place..).unwrap_or_default()));
            }
        }
    }

    pub(super) fn files(&self) -> usize {
        self.files
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn found(&self) -> usize {
        self.found.len()
    }

    /// The first few strings that were found.
    pub(super) fn describe(&self, needles: &Needles) -> String {
        let strings = self
            .found
            .iter()
            .filter_map(|index| needles.strings.get(*index))
            .take(5);
        let strings: Vec<String> = strings
            .map(|string| format!("“{}”", string.escape_ascii()))
            .collect();
        format!("{} strings, such as {}", self.found.len(), strings.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_string_at_any_place_and_nothing_else() {
        let mut needles = Needles::default();
        for string in ["patient name", "patient number", "absent string", "patient name"] {
            needles.add(string.as_bytes());
        }
        assert_eq!(needles.count(), 3);
        let mut haystack = Haystack::default();
        haystack.search_file(&needles, b"patient name, then patient number");
        assert_eq!((haystack.files(), haystack.bytes(), haystack.found()), (1, 33, 2));
        haystack.search(&needles, b"absent strin");
        assert_eq!(haystack.found(), 2);
    }
}
