//! What lies in a home, held against what was written there (KEY-19). Each file's last line, or each entry of a file
//! that grows, has a tag under a key that only who has unlocked the home can make; `home.seal` says how new each is at least.
//!
//! The seal follows what is written, within seconds and at the end, and never runs ahead of what is durable: so no power
//! cut makes it accuse somebody. What a process that was killed has written last may be set back unnoticed, and so may all
//! files of the home at once: only the server's log tells that.

mod files;
mod known;
mod worth;

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crypto::HomeSealKey;
use protocol_spec::defence::Defence;

pub(super) use self::files::{READ, SEAL};
use self::{
    files::{CHANGED, CUT, MISSING, OLDER, TaggedFiles},
    known::KnownSeal,
    worth::Worth,
};
use super::{
    chain::{At, Entries},
    lock::{Lock, take_lock},
    seal::{Seal, Sealed},
};
use crate::{
    Error, Result,
    ground::{Ground, HomeFiles},
};

/// Who reads and writes the files of one unlocked home.
pub(super) struct Guard {
    disk: TaggedFiles,
    known: Mutex<KnownSeal>,
}

/// What a file that grows has behind a place.
pub(crate) struct More {
    /// The file was written anew: this is all of it.
    pub(crate) anew: bool,
    pub(crate) entries: Vec<Vec<u8>>,
}

impl Guard {
    /// Of a home that is being made: nothing is there.
    pub(super) fn begin(key: HomeSealKey, ground: Ground) -> Self {
        Self {
            disk: TaggedFiles { key, ground },
            known: Mutex::default(),
        }
    }

    /// Of a home that is there: all that its seal names is there too, and none of it older.
    pub(super) fn load(key: HomeSealKey, ground: Ground) -> Result<Self> {
        let guard = Self::begin(key, ground);
        let seal = guard.disk.read_seal()?;
        if Defence::HomeSeal.is_off() {
            guard.known().seal = seal.unwrap_or_default();
            return Ok(guard);
        }
        let seal = seal.ok_or_else(|| guard.disk.altered(SEAL, MISSING))?;
        let floors = seal.floors.clone();
        guard.known().seal = seal;
        for (name, floor) in &floors.files {
            let sealed = guard.disk.read_end(name)?;
            if sealed.version < *floor {
                return Err(guard.disk.altered(name, OLDER));
            }
            guard.check_generation(sealed.generation)?;
        }
        for (name, end) in &floors.chains {
            guard.disk.check_length(name, end)?;
        }
        Ok(guard)
    }

    /// The content of a file, out of the bytes that lie there.
    pub(super) fn open(&self, name: &str, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        let (kind, strict) = (Worth::of(name), !Defence::HomeSeal.is_off());
        let Some(bytes) = bytes else {
            let floor = self.known().floor(name);
            return match floor {
                1.. if kind == Worth::Protects && strict => Err(self.disk.altered(name, MISSING)),
                _ => Ok(None),
            };
        };
        if kind == Worth::Plain {
            return Ok(Some(bytes));
        }
        let split = Sealed::split(&bytes);
        let whole = split.filter(|(content, sealed)| !strict || sealed.is_of(&self.disk.key, name, content));
        let Some((content, sealed)) = whole else {
            return match kind {
                _ if !strict => Ok(Some(bytes)),
                Worth::Cache => Ok(None),
                _ => Err(self.disk.altered(name, CHANGED)),
            };
        };
        if strict && kind == Worth::Protects {
            if sealed.version < self.known().floor(name) {
                return Err(self.disk.altered(name, OLDER));
            }
            self.check_generation(sealed.generation)?;
        }
        Ok(Some(content.to_vec()))
    }

    /// Replaces a file: the old content or the new, never something between. If `durable`, a power cut leaves the new one.
    pub(super) fn write(&self, name: &str, content: &[u8], durable: bool) -> Result<()> {
        match Worth::of(name) {
            Worth::Plain => return self.disk.replace(name, content, durable),
            Worth::Cache | Worth::Marked => {
                return self.disk.replace(name, &self.disk.sealed(name, content), durable);
            }
            Worth::Protects => {}
        }
        {
            let _writing = self.writing()?;
            let version = self.version(name)?.saturating_add(1);
            let generation = self.known().seal.generation;
            let sealed = Sealed::put(&self.disk.key, name, (version, generation), content);
            self.disk.replace(name, &sealed, durable)?;
            self.known().ahead.files.insert(name.to_owned(), version);
        }
        self.seal_if_due()
    }

    /// Writes over a file in its place, torn or whole after a power cut.
    pub(super) fn write_over(&self, name: &str, content: &[u8]) -> Result<()> {
        let bytes = self.disk.sealed(name, content);
        self.disk.put_after(name, 0, &bytes, false)
    }

    /// What a file that grows has behind a place, which is behind that afterwards; none if there is no such file.
    pub(super) fn read_chain(&self, name: &str, at: &mut At) -> Result<Option<More>> {
        let floor = self.known().chain_floor(name);
        let floor = floor.filter(|_| Worth::of(name) == Worth::Protects && !Defence::HomeSeal.is_off());
        let Some((begin, bytes)) = self.disk.read_from(name, at)? else {
            return match floor {
                Some(_) => Err(self.disk.altered(name, MISSING)),
                None => Ok(None),
            };
        };
        let Some(begin) = begin else {
            return match floor {
                Some(_) => Err(self.disk.altered(name, CHANGED)),
                // Torn before anything was behind it.
                None => Ok(None),
            };
        };
        let anew = !at.is_of(&begin);
        if anew {
            *at = begin;
        }
        let mut entries = Entries::new(&self.disk.key, name, &bytes);
        let mut all = Vec::new();
        let mut passed = floor.is_none();
        loop {
            if let Some(floor) = &floor {
                let here = at.end();
                let other = here.place() == floor.place() && here.tag != floor.tag;
                if other {
                    return Err(self.disk.altered(name, OLDER));
                }
                passed |= here.place() >= floor.place();
            }
            match entries.next(at) {
                Some(payload) => all.push(payload.to_vec()),
                None if passed => return Ok(Some(More { anew, entries: all })),
                None => return Err(self.disk.altered(name, CUT)),
            }
        }
    }

    /// Puts entries behind a place, if nothing is there yet; else gives what is there and writes nothing. Unless `durable`, a power
    /// cut may take some of the entries away.
    pub(super) fn extend_chain(
        &self,
        name: &str,
        at: &mut At,
        payloads: &[&[u8]],
        durable: bool,
    ) -> Result<Option<More>> {
        {
            let _writing = self.writing()?;
            let mut new = Vec::new();
            match self.read_chain(name, at)? {
                Some(more) if more.anew || !more.entries.is_empty() => return Ok(Some(more)),
                Some(_) => {}
                None => (*at, new) = At::begin(&self.disk.key, name, 1),
            }
            let before = at.offset() - new.len() as u64;
            for payload in payloads {
                new.extend(at.put(&self.disk.key, name, payload));
            }
            self.disk.put_after(name, before, &new, durable)?;
            if Worth::of(name) == Worth::Protects {
                self.known().ahead.chains.insert(name.to_owned(), at.end());
            }
        }
        self.seal_if_due()?;
        Ok(None)
    }

    /// Writes a file that grows anew, with these entries, if nothing has come behind a place.
    pub(super) fn rewrite_chain(
        &self,
        name: &str,
        at: &mut At,
        payloads: &[Vec<u8>],
    ) -> Result<Option<More>> {
        let _writing = self.writing()?;
        match self.read_chain(name, at)? {
            Some(more) if more.anew || !more.entries.is_empty() => return Ok(Some(more)),
            _ => {}
        }
        let (mut fresh, mut bytes) = At::begin(&self.disk.key, name, at.epoch().saturating_add(1));
        for payload in payloads {
            bytes.extend(fresh.put(&self.disk.key, name, payload));
        }
        self.disk.replace(name, &bytes, true)?;
        self.known().ahead.chains.insert(name.to_owned(), fresh.end());
        *at = fresh;
        Ok(None)
    }

    /// Brings the seal up to what was written. First all of that becomes durable.
    pub(super) fn seal(&self) -> Result<()> {
        let ahead = self.known().ahead.clone();
        if ahead.is_empty() || self.known().discarded {
            return Ok(());
        }
        let _writing = self.writing()?;
        for name in ahead.chains.keys() {
            self.disk.sync(name)?;
        }
        let names = ahead.files.keys().map(|name| folder_of(name));
        let folders: BTreeSet<_> = names.chain([""]).collect();
        for folder in folders {
            self.disk.sync_folder(folder)?;
        }
        let next = self.newest_seal()?.next(&ahead);
        let text = serde_json::to_vec_pretty(&next).map_err(|_| self.disk.altered(SEAL, CHANGED))?;
        let numbers = (next.generation, next.generation);
        self.disk
            .replace(SEAL, &Sealed::put(&self.disk.key, SEAL, numbers, &text), true)?;
        let mut known = self.known();
        known.ahead.without(&next.floors);
        known.seal = next;
        known.sealed_at = Some(self.disk.system().uptime());
        Ok(())
    }

    /// Says that a file will be there, before it is: for the one whose appearance makes the home.
    pub(super) fn announce(&self, name: &str) {
        self.known().ahead.files.insert(name.to_owned(), 1);
    }

    /// The home is given up: what the seal names, to be removed.
    pub(super) fn discard(&self) -> Vec<String> {
        let mut known = self.known();
        known.discarded = true;
        let floors = known.floors();
        floors
            .files
            .into_keys()
            .chain(floors.chains.into_keys())
            .collect()
    }

    pub(super) fn ground(&self) -> &Ground {
        &self.disk.ground
    }

    pub(super) fn files(&self) -> &dyn HomeFiles {
        self.disk.files()
    }

    /// The bytes that lie there, whatever they are.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.disk.read(name)
    }

    /// Names of all that the seal has, to be looked at: files, and files that grow.
    pub(super) fn names(&self) -> (Vec<String>, Vec<String>) {
        let floors = self.known().floors();
        (
            floors.files.into_keys().collect(),
            floors.chains.into_keys().collect(),
        )
    }

    /// How new the file is that lies there.
    fn version(&self, name: &str) -> Result<u64> {
        let bytes = self.disk.read(name)?.unwrap_or_default();
        let whole =
            Sealed::split(&bytes).filter(|(content, sealed)| sealed.is_of(&self.disk.key, name, content));
        let there = whole.map_or(0, |(_, sealed)| sealed.version);
        Ok(there.max(self.known().floor(name)))
    }

    /// A file may not be of a later seal than the one that lies there: another process may have written that since, and nobody else.
    fn check_generation(&self, generation: u64) -> Result<()> {
        if generation <= self.known().seal.generation {
            return Ok(());
        }
        let seal = self.newest_seal()?;
        if generation > seal.generation {
            return Err(self.disk.altered(SEAL, OLDER));
        }
        self.known().seal = seal;
        Ok(())
    }

    /// The seal that lies there, or the one that this process knows if that is newer: nobody makes it forget.
    fn newest_seal(&self) -> Result<Seal> {
        let known = self.known().seal.clone();
        match self.disk.read_seal()? {
            Some(seal) if seal.generation >= known.generation || Defence::HomeSeal.is_off() => Ok(seal),
            None if known.generation == 0 => Ok(known),
            None => Err(self.disk.altered(SEAL, MISSING)),
            Some(_) => Err(self.disk.altered(SEAL, OLDER)),
        }
    }

    fn seal_if_due(&self) -> Result<()> {
        let due = {
            let mut known = self.known();
            let at = *known.sealed_at.get_or_insert_with(|| self.disk.system().uptime());
            self.disk.system().since(at) >= SEAL_EVERY
        };
        if due { self.seal() } else { Ok(()) }
    }

    /// Held while a version is read and the next one written.
    fn writing(&self) -> Result<Lock> {
        for _ in 0..LOCK_TRIES {
            match take_lock(self.files(), SEAL_LOCK) {
                Err(Error::HomeLocked { .. }) => self.disk.system().hold_up(LOCK_PAUSE),
                result => return result,
            }
        }
        take_lock(self.files(), SEAL_LOCK)
    }

    fn known(&self) -> MutexGuard<'_, KnownSeal> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Without it the seal is older than it could be.
        drop(self.seal());
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(super) const SEAL_LOCK: &str = "seal.lock";
/// Sealing after each writing would cost more than what is written; what is set back of a killed process is less than this old.
const SEAL_EVERY: Duration = Duration::from_secs(5);
/// What is written under it takes milliseconds.
const LOCK_TRIES: u32 = 5_000;
const LOCK_PAUSE: Duration = Duration::from_millis(2);
