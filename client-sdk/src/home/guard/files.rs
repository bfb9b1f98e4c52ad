//! The files of one home as they lie there: read, replaced, and whether they were written here.

use std::cmp::Ordering;

use crypto::HomeSealKey;
use protocol_spec::defence::Defence;

use crate::{
    Error, Result,
    ground::{Behind, Ground, HomeFiles, System},
    home::{
        chain::{At, FIRST},
        seal::{End, LINE, Seal, Sealed},
    },
};

/// Where the files lie, and the key that tags them.
pub(super) struct TaggedFiles {
    pub(super) key: HomeSealKey,
    pub(super) ground: Ground,
}

impl TaggedFiles {
    /// The last line of a file that must be there.
    pub(super) fn read_end(&self, name: &str) -> Result<Sealed> {
        let end = self.files().read_end(name, LINE);
        let end = end.map_err(self.files().failed(READ, name))?;
        let end = end.ok_or_else(|| self.altered(name, MISSING))?;
        let (_, sealed) = Sealed::split(&end).ok_or_else(|| self.altered(name, CHANGED))?;
        Ok(sealed)
    }

    /// Writes behind a place of a file.
    pub(super) fn put_after(&self, name: &str, place: u64, bytes: &[u8], durable: bool) -> Result<()> {
        let put = self.files().put_after(name, place, bytes, durable);
        put.map_err(self.files().failed(WRITE, name))
    }

    /// Makes what was written to a file durable.
    pub(super) fn sync(&self, name: &str) -> Result<()> {
        let synced = self.files().sync(name);
        synced.map_err(self.files().failed(SYNC, name))
    }

    /// Makes what was replaced in a folder durable.
    pub(super) fn sync_folder(&self, folder: &str) -> Result<()> {
        let synced = self.files().sync_folder(folder);
        synced.map_err(self.files().failed(SYNC, folder))
    }

    /// Whether a file that grows is there, and as long as it was; what is in it is seen when it is read.
    pub(super) fn check_length(&self, name: &str, end: &End) -> Result<()> {
        let begin = self.read_behind(name, u64::MAX)?;
        let Behind { first, length, .. } = begin.ok_or_else(|| self.altered(name, MISSING))?;
        let begin = At::read_begin(&self.key, name, &first).ok_or_else(|| self.altered(name, CHANGED))?;
        match begin.epoch().cmp(&end.epoch) {
            Ordering::Less => Err(self.altered(name, OLDER)),
            Ordering::Equal if length < end.bytes => Err(self.altered(name, CUT)),
            _ => Ok(()),
        }
    }

    /// A content with the last line of a file whose age does not count.
    pub(super) fn sealed(&self, name: &str, content: &[u8]) -> Vec<u8> {
        Sealed::put(&self.key, name, (0, 0), content)
    }

    pub(super) fn files(&self) -> &dyn HomeFiles {
        &*self.ground.files
    }

    pub(super) fn system(&self) -> &dyn System {
        &*self.ground.system
    }

    /// The error that a file is not as it was written.
    pub(super) fn altered(&self, name: &str, how: &'static str) -> Error {
        Error::HomeAltered {
            file: self.files().place(name),
            how,
        }
    }

    /// The seal that lies there, none if there is none.
    pub(super) fn read_seal(&self) -> Result<Option<Seal>> {
        let Some(bytes) = self.read(SEAL)? else {
            return Ok(None);
        };
        let split = Sealed::split(&bytes);
        let content = split
            .filter(|(content, sealed)| Defence::HomeSeal.is_off() || sealed.is_of(&self.key, SEAL, content));
        let seal = content.and_then(|(content, _)| serde_json::from_slice::<Seal>(content).ok());
        match seal.filter(Seal::is_readable) {
            Some(seal) => Ok(Some(seal)),
            None => Err(self.altered(SEAL, CHANGED)),
        }
    }

    /// The first entry, if it is one, and the bytes behind `at`, or behind the first entry if `at` is of another file.
    pub(super) fn read_from(&self, name: &str, at: &At) -> Result<Option<(Option<At>, Vec<u8>)>> {
        let mut from = at.offset().max(FIRST as u64);
        loop {
            let Some(Behind { first, rest, .. }) = self.read_behind(name, from)? else {
                return Ok(None);
            };
            let begin = At::read_begin(&self.key, name, &first);
            let goes_on = begin.as_ref().is_some_and(|begin| at.is_of(begin));
            if goes_on || from == FIRST as u64 {
                return Ok(Some((begin, rest)));
            }
            // It was written anew: all of it counts.
            from = FIRST as u64;
        }
    }

    /// The first entry of a file that grows, and what is behind a place.
    fn read_behind(&self, name: &str, from: u64) -> Result<Option<Behind>> {
        let read = self.files().read_behind(name, FIRST, from);
        read.map_err(self.files().failed(READ, name))
    }

    /// The bytes that lie there, whatever they are.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let read = self.files().read(name);
        read.map_err(self.files().failed(READ, name))
    }

    /// Replaces a file by these bytes.
    pub(super) fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> Result<()> {
        let replaced = self.files().replace(name, bytes, durable);
        replaced.map_err(self.files().failed(WRITE, name))
    }
}

pub(in crate::home) const SEAL: &str = "home.seal";

pub(in crate::home) const READ: &str = "cannot read";
const WRITE: &str = "cannot write";
const SYNC: &str = "cannot sync";

pub(super) const MISSING: &str = "is missing";
pub(super) const CHANGED: &str = "is not as medvault wrote it";
pub(super) const OLDER: &str = "is an older one that was put back";
pub(super) const CUT: &str = "lacks what was in it";
