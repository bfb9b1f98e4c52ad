//! The seal of a home: `home.seal` names every file that the home must have, and how new each is at least; and each
//! file ends with a line that says for which name and time it was written (KEY-19).
//!
//! ```text
//! <content> LF "sealed " version (16 hex) SP generation (16 hex) SP tag (64 hex) LF
//! ```
//! `version` counts the writings of this file, `generation` is that of the seal when it was written: so neither a
//! file nor the seal can be set back without the other ones.

use std::collections::BTreeMap;

use crypto::HomeSealKey;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// What the home has at least.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seal {
    format: u32,
    /// One more with each writing of the seal.
    pub(super) generation: u64,
    #[serde(flatten)]
    pub(super) floors: Floors,
}

/// How new each file is at least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Floors {
    /// Versions of files that are replaced.
    pub(super) files: BTreeMap<String, u64>,
    /// Ends of files that grow.
    pub(super) chains: BTreeMap<String, End>,
}

/// How far a file that grows goes at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) epoch: u64,
    pub(super) count: u64,
    /// How long it is then.
    pub(super) bytes: u64,
    /// Hex of the tag of the last entry.
    pub(super) tag: String,
}

impl Seal {
    pub(super) fn is_readable(&self) -> bool {
        self.format == FORMAT
    }

    /// The next one, with what has been written since.
    pub(super) fn next(mut self, ahead: &Floors) -> Self {
        self.format = FORMAT;
        self.generation = self.generation.saturating_add(1);
        self.floors.raise(ahead);
        self
    }
}

impl Floors {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.chains.is_empty()
    }

    /// Takes over whatever is newer in another one.
    pub(super) fn raise(&mut self, ahead: &Self) {
        for (name, version) in &ahead.files {
            let floor = self.files.entry(name.clone()).or_default();
            *floor = (*floor).max(*version);
        }
        for (name, end) in &ahead.chains {
            match self.chains.get_mut(name) {
                Some(floor) if floor.place() >= end.place() => {}
                Some(floor) => floor.clone_from(end),
                None => drop(self.chains.insert(name.clone(), end.clone())),
            }
        }
    }

    /// Forgets what is no newer than this.
    pub(super) fn without(&mut self, sealed: &Self) {
        self.files
            .retain(|name, version| sealed.files.get(name).is_none_or(|floor| *version > *floor));
        self.chains.retain(|name, end| {
            let floor = sealed.chains.get(name);
            floor.is_none_or(|floor| end.place() > floor.place())
        });
    }
}

impl End {
    pub(super) fn place(&self) -> (u64, u64) {
        (self.epoch, self.count)
    }
}

/// What stands in the last line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) version: u64,
    pub(super) generation: u64,
    tag: [u8; 32],
}

impl Sealed {
    /// Puts the line behind a content.
    pub(super) fn put(
        key: &HomeSealKey,
        name: &str,
        (version, generation): (u64, u64),
        content: &[u8],
    ) -> Vec<u8> {
        let numbers = (version.to_be_bytes(), generation.to_be_bytes());
        let tag = key.tag(&[b"file", name.as_bytes(), &numbers.0, &numbers.1, content]);
        let line = format!(
            "\nsealed {version:016x} {generation:016x} {}\n",
            HEXLOWER.encode(&tag)
        );
        [content, line.as_bytes()].concat()
    }

    /// Content and last line, whether or not that is right.
    pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], Self)> {
        let (content, line) = bytes.split_at_checked(bytes.len().checked_sub(LINE)?)?;
        let line = std::str::from_utf8(line).ok()?;
        let line = line.strip_prefix("\nsealed ")?.strip_suffix('\n')?;
        let mut words = line.split(' ');
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        let (version, generation) = (number()?, number()?);
        let tag = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
        let sealed = Self {
            version,
            generation,
            tag: tag.try_into().ok()?,
        };
        words.next().is_none().then_some((content, sealed))
    }

    /// Whether this home has written that.
    pub(super) fn is_of(&self, key: &HomeSealKey, name: &str, content: &[u8]) -> bool {
        let numbers = (self.version.to_be_bytes(), self.generation.to_be_bytes());
        let parts: [&[u8]; 5] = [b"file", name.as_bytes(), &numbers.0, &numbers.1, content];
        key.check(&parts, &self.tag)
    }
}

const FORMAT: u32 = 1;
/// Bytes of a last line.
pub(super) const LINE: usize = "\nsealed ".len() + 16 + 1 + 16 + 1 + 64 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// KEY-19
    #[test]
    fn a_line_is_of_its_name_content_and_numbers() {
        let key = HomeSealKey::derive(&[1; 32], b"");
        for content in [&b""[..], b"text\n", &[0, 255]] {
            let file = Sealed::put(&key, "vault", (3, 7), content);
            let (back, sealed) = Sealed::split(&file).unwrap();
            assert_eq!((back, sealed.version, sealed.generation), (content, 3, 7));
            assert!(sealed.is_of(&key, "vault", content));
            assert!(!sealed.is_of(&key, "other", content));
            assert!(!Sealed { version: 4, ..sealed }.is_of(&key, "vault", content));
            assert!(
                !Sealed {
                    generation: 8,
                    ..sealed
                }
                .is_of(&key, "vault", content)
            );
            assert!(!sealed.is_of(&key, "vault", &[content, b"x"].concat()));
        }
    }

    #[test]
    fn what_has_no_such_line_is_told_apart() {
        let key = HomeSealKey::derive(&[1; 32], b"");
        let file = Sealed::put(&key, "vault", (3, 7), b"text");
        for length in 0..file.len() {
            assert!(Sealed::split(&file[..length]).is_none(), "{length}");
        }
        assert!(Sealed::split(&vec![0; file.len()]).is_none());
    }

    #[test]
    fn floors_rise_and_what_is_sealed_is_forgotten() {
        let end = |epoch, count| End {
            epoch,
            count,
            bytes: 0,
            tag: String::new(),
        };
        let floors = |version, end: End| Floors {
            files: [("a".to_owned(), version)].into(),
            chains: [("b".to_owned(), end)].into(),
        };
        let mut seal = Seal::default().next(&floors(2, end(1, 5)));
        assert!(seal.is_readable() && seal.generation == 1);
        seal = seal.next(&floors(1, end(1, 4)));
        assert_eq!(seal.floors, floors(2, end(1, 5)));
        seal = seal.next(&floors(3, end(2, 1)));
        assert_eq!(seal.floors, floors(3, end(2, 1)));
        let mut ahead = floors(4, end(2, 1));
        ahead.without(&seal.floors);
        assert_eq!((ahead.files.len(), ahead.chains.len()), (1, 0));
        ahead.without(&floors(4, end(2, 1)));
        assert!(ahead.is_empty());
    }
}
