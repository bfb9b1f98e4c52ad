//! Files that only grow: entries, each with a tag over all before it. What a power cut has torn off the end is not there;
//! what the seal knows of must be (KEY-19).
//!
//! ```text
//! entry = length (u32, big-endian) ‖ payload ‖ tag (16)        tag = TAG("chain", name, tag before, payload)
//! ```
//! The first entry is the epoch (u64, big-endian): one more each time the file is written anew, shorter.

use crypto::HomeSealKey;
use data_encoding::HEXLOWER;
use protocol_spec::defence::Defence;

use super::seal::End;

/// A place behind an entry of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    epoch: u64,
    /// Number of entries behind the first.
    count: u64,
    offset: u64,
    tag: [u8; TAG],
}

/// The bytes of a file, as entries behind a place.
pub(super) struct Entries<'a> {
    key: &'a HomeSealKey,
    name: &'a str,
    rest: &'a [u8],
}

impl At {
    /// The first entry of a new chain, and the place behind it.
    pub(super) fn begin(key: &HomeSealKey, name: &str, epoch: u64) -> (Self, Vec<u8>) {
        let mut at = Self {
            epoch,
            ..Self::default()
        };
        let entry = at.put(key, name, &epoch.to_be_bytes());
        at.count = 0;
        (at, entry)
    }

    /// The place behind the first entry of a file.
    pub(super) fn read_begin(key: &HomeSealKey, name: &str, file: &[u8]) -> Option<Self> {
        let mut at = Self::default();
        let first = file.get(..FIRST)?;
        let mut entries = Entries {
            key,
            name,
            rest: first,
        };
        let epoch = entries.next(&mut at)?;
        at.epoch = u64::from_be_bytes(epoch.try_into().ok()?);
        at.count = 0;
        Some(at)
    }

    /// The next entry; the place is behind it then.
    pub(super) fn put(&mut self, key: &HomeSealKey, name: &str, payload: &[u8]) -> Vec<u8> {
        let tag = key.tag(&[b"chain", name.as_bytes(), &self.tag, payload]);
        let tag: [u8; TAG] = *tag.first_chunk().unwrap_or(&[0; TAG]);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.pass(payload.len(), tag);
        [&length.to_be_bytes()[..], payload, &tag].concat()
    }

    pub(super) fn end(&self) -> End {
        End {
            epoch: self.epoch,
            count: self.count,
            bytes: self.offset,
            tag: HEXLOWER.encode(&self.tag),
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether it is a place of this epoch.
    pub(super) fn is_of(&self, begin: &Self) -> bool {
        self.offset > 0 && self.epoch == begin.epoch
    }

    fn pass(&mut self, payload: usize, tag: [u8; TAG]) {
        self.count += 1;
        self.offset += (payload + 4 + TAG) as u64;
        self.tag = tag;
    }
}

impl<'a> Entries<'a> {
    pub(super) fn new(key: &'a HomeSealKey, name: &'a str, rest: &'a [u8]) -> Self {
        Self { key, name, rest }
    }

    /// The next whole entry of this chain; what is behind the last one was torn, or is none.
    pub(super) fn next(&mut self, at: &mut At) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (payload, rest) = rest.split_at_checked(length)?;
        let (tag, rest) = rest.split_first_chunk::<TAG>()?;
        let parts: [&[u8]; 4] = [b"chain", self.name.as_bytes(), &at.tag, payload];
        if !Defence::HomeSeal.holds(self.key.check(&parts, tag)) {
            return None;
        }
        self.rest = rest;
        at.pass(length, *tag);
        Some(payload)
    }
}

const TAG: usize = 16;
/// Bytes of the first entry.
pub(super) const FIRST: usize = 4 + 8 + TAG;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> HomeSealKey {
        HomeSealKey::derive(&[1; 32], b"")
    }

    fn chain(payloads: &[&[u8]]) -> (At, Vec<u8>) {
        let (mut at, mut file) = At::begin(&key(), "met", 1);
        for payload in payloads {
            file.extend(at.put(&key(), "met", payload));
        }
        (at, file)
    }

    fn read(name: &str, file: &[u8]) -> Option<(At, Vec<Vec<u8>>)> {
        let key = key();
        let mut at = At::read_begin(&key, name, file)?;
        let mut entries = Entries::new(&key, name, &file[FIRST..]);
        let mut all = Vec::new();
        while let Some(payload) = entries.next(&mut at) {
            all.push(payload.to_vec());
        }
        Some((at, all))
    }

    /// KEY-19
    #[test]
    fn what_is_torn_off_is_not_there_and_what_is_changed_ends_it() {
        let payloads: [&[u8]; 3] = [b"one", b"", b"three"];
        let (end, file) = chain(&payloads);
        let (at, all) = read("met", &file).unwrap();
        assert_eq!((&at, all.len()), (&end, 3));
        assert_eq!(at.offset(), file.len() as u64);
        for length in FIRST..file.len() {
            let (_, some) = read("met", &file[..length]).unwrap();
            assert_eq!(some, payloads[..some.len()], "{length}");
            assert!(some.len() < 3);
            let zeros = [&file[..length], &vec![0; file.len() - length]].concat();
            assert!(read("met", &zeros).unwrap().1.len() < 3, "{length}");
        }
        for byte in FIRST..file.len() {
            let mut changed = file.clone();
            changed[byte] ^= 1;
            assert!(read("met", &changed).unwrap().1.len() < 3, "{byte}");
        }
        assert!(read("used", &file).is_none());
        assert!(read("met", &file[..FIRST - 1]).is_none());
    }

    /// KEY-19
    #[test]
    fn entries_cannot_change_places() {
        let (_, file) = chain(&[b"aaa", b"bbb"]);
        let (first, second) = file[FIRST..].split_at(3 + 4 + TAG);
        let swapped = [&file[..FIRST], second, first].concat();
        assert!(read("met", &swapped).unwrap().1.is_empty());
    }
}
