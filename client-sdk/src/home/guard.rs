//! What lies in a home, held against what was written there (KEY-19). Each file's last line, or each entry of a file
//! that grows, has a tag under a key that only who has unlocked the home can make; `home.seal` says how new each is at least.
//!
//! The seal follows what is written, within seconds and at the end, and never runs ahead of what is durable: so no power
//! cut makes it accuse somebody. What a process that was killed has written last may be set back unnoticed, and so may all
//! files of the home at once: only the server's log tells that.

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crypto::HomeSealKey;
use protocol_spec::defence::Defence;

use super::{
    Lock,
    chain::{At, Entries, FIRST},
    seal::{End, Floors, LINE, Seal, Sealed},
    take_lock,
};
use crate::{
    Error, Result,
    ground::{Behind, Ground, HomeFiles, System},
};

/// Who reads and writes the files of one unlocked home.
pub(super) struct Guard {
    key: HomeSealKey,
    ground: Ground,
    known: Mutex<Known>,
}

/// What this process knows of the seal.
#[derive(Default)]
struct Known {
    /// As it lies in the home, durably.
    seal: Seal,
    /// What was written since.
    ahead: Floors,
    /// By [`System::uptime`].
    sealed_at: Option<Duration>,
    /// The home is given up: nothing is written any more.
    discarded: bool,
}

/// What a file is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It protects: it must be there, unchanged and not set back.
    Protects,
    /// It is believed as it was written; that it is there, and the newest, follows from elsewhere.
    Marked,
    /// It can be made again: what is torn or changed is not there.
    Cache,
    /// It is for others to read, and nothing here follows from it.
    Plain,
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
            key,
            ground,
            known: Mutex::default(),
        }
    }

    /// Of a home that is there: all that its seal names is there too, and none of it older.
    pub(super) fn load(key: HomeSealKey, ground: Ground) -> Result<Self> {
        let guard = Self::begin(key, ground);
        let seal = guard.read_seal()?;
        if Defence::HomeSeal.is_off() {
            guard.known().seal = seal.unwrap_or_default();
            return Ok(guard);
        }
        let seal = seal.ok_or_else(|| guard.altered(SEAL, MISSING))?;
        let floors = seal.floors.clone();
        guard.known().seal = seal;
        for (name, floor) in &floors.files {
            let read = guard.files().read_end(name, LINE);
            let end = read.map_err(guard.files().failed(READ, name))?;
            let end = end.ok_or_else(|| guard.altered(name, MISSING))?;
            let (_, sealed) = Sealed::split(&end).ok_or_else(|| guard.altered(name, CHANGED))?;
            if sealed.version < *floor {
                return Err(guard.altered(name, OLDER));
            }
            guard.check_generation(sealed.generation)?;
        }
        for (name, end) in &floors.chains {
            guard.check_length(name, end)?;
        }
        Ok(guard)
    }

    /// Whether a file that grows is there, and as long as it was; what is in it is seen when it is read.
    fn check_length(&self, name: &str, end: &End) -> Result<()> {
        let begin = self.read_behind(name, u64::MAX)?;
        let Behind { first, length, .. } = begin.ok_or_else(|| self.altered(name, MISSING))?;
        let begin = At::read_begin(&self.key, name, &first).ok_or_else(|| self.altered(name, CHANGED))?;
        match begin.epoch().cmp(&end.epoch) {
            Ordering::Less => Err(self.altered(name, OLDER)),
            Ordering::Equal if length < end.bytes => Err(self.altered(name, CUT)),
            _ => Ok(()),
        }
    }

    /// The content of a file, out of the bytes that lie there.
    pub(super) fn open(&self, name: &str, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        let (kind, strict) = (kind(name), !Defence::HomeSeal.is_off());
        let Some(bytes) = bytes else {
            return match self.floor(name) {
                1.. if kind == Kind::Protects && strict => Err(self.altered(name, MISSING)),
                _ => Ok(None),
            };
        };
        if kind == Kind::Plain {
            return Ok(Some(bytes));
        }
        let split = Sealed::split(&bytes);
        let whole = split.filter(|(content, sealed)| !strict || sealed.is_of(&self.key, name, content));
        let Some((content, sealed)) = whole else {
            return match kind {
                _ if !strict => Ok(Some(bytes)),
                Kind::Cache => Ok(None),
                _ => Err(self.altered(name, CHANGED)),
            };
        };
        if strict && kind == Kind::Protects {
            if sealed.version < self.floor(name) {
                return Err(self.altered(name, OLDER));
            }
            self.check_generation(sealed.generation)?;
        }
        Ok(Some(content.to_vec()))
    }

    /// Replaces a file: the old content or the new, never something between. `durable` when an older one would not do after a power
    /// cut.
    pub(super) fn write(&self, name: &str, content: &[u8], durable: bool) -> Result<()> {
        match kind(name) {
            Kind::Plain => return self.replace(name, content, durable),
            Kind::Cache | Kind::Marked => return self.replace(name, &self.sealed(name, content), durable),
            Kind::Protects => {}
        }
        {
            let _writing = self.writing()?;
            let version = self.version(name)?.saturating_add(1);
            let generation = self.known().seal.generation;
            let sealed = Sealed::put(&self.key, name, (version, generation), content);
            self.replace(name, &sealed, durable)?;
            self.known().ahead.files.insert(name.to_owned(), version);
        }
        self.seal_if_due()
    }

    /// Writes over a file in its place, torn or whole after a power cut.
    pub(super) fn write_over(&self, name: &str, content: &[u8]) -> Result<()> {
        let put = self
            .files()
            .put_after(name, 0, &self.sealed(name, content), false);
        put.map_err(self.files().failed(WRITE, name))
    }

    /// A content with the last line of a file whose age does not count.
    fn sealed(&self, name: &str, content: &[u8]) -> Vec<u8> {
        Sealed::put(&self.key, name, (0, 0), content)
    }

    /// What a file that grows has behind a place, which is behind that afterwards; none if there is no such file.
    pub(super) fn read_chain(&self, name: &str, at: &mut At) -> Result<Option<More>> {
        let floor = self.chain_floor(name);
        let floor = floor.filter(|_| kind(name) == Kind::Protects && !Defence::HomeSeal.is_off());
        let Some((begin, bytes)) = self.read_from(name, at)? else {
            return match floor {
                Some(_) => Err(self.altered(name, MISSING)),
                None => Ok(None),
            };
        };
        let Some(begin) = begin else {
            return match floor {
                Some(_) => Err(self.altered(name, CHANGED)),
                // Torn before anything was behind it.
                None => Ok(None),
            };
        };
        let anew = !at.is_of(&begin);
        if anew {
            *at = begin;
        }
        let mut entries = Entries::new(&self.key, name, &bytes);
        let mut all = Vec::new();
        let mut passed = floor.is_none();
        loop {
            if let Some(floor) = &floor {
                let here = at.end();
                let other = here.place() == floor.place() && here.tag != floor.tag;
                if other {
                    return Err(self.altered(name, OLDER));
                }
                passed |= here.place() >= floor.place();
            }
            match entries.next(at) {
                Some(payload) => all.push(payload.to_vec()),
                None if passed => return Ok(Some(More { anew, entries: all })),
                None => return Err(self.altered(name, CUT)),
            }
        }
    }

    /// Puts entries behind a place, if nothing is there yet; else what is there, and nothing was written. After a power cut some may
    /// be missing unless `durable`.
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
                None => (*at, new) = At::begin(&self.key, name, 1),
            }
            let before = at.offset() - new.len() as u64;
            for payload in payloads {
                new.extend(at.put(&self.key, name, payload));
            }
            let put = self.files().put_after(name, before, &new, durable);
            put.map_err(self.files().failed(WRITE, name))?;
            if kind(name) == Kind::Protects {
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
        let (mut fresh, mut bytes) = At::begin(&self.key, name, at.epoch().saturating_add(1));
        for payload in payloads {
            bytes.extend(fresh.put(&self.key, name, payload));
        }
        self.replace(name, &bytes, true)?;
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
            let synced = self.files().sync(name);
            synced.map_err(self.files().failed(SYNC, name))?;
        }
        let names = ahead.files.keys().map(|name| folder_of(name));
        let folders: BTreeSet<_> = names.chain([""]).collect();
        for folder in folders {
            let synced = self.files().sync_folder(folder);
            synced.map_err(self.files().failed(SYNC, folder))?;
        }
        let next = self.newest_seal()?.next(&ahead);
        let text = serde_json::to_vec_pretty(&next).map_err(|_| self.altered(SEAL, CHANGED))?;
        let numbers = (next.generation, next.generation);
        self.replace(SEAL, &Sealed::put(&self.key, SEAL, numbers, &text), true)?;
        let mut known = self.known();
        known.ahead.without(&next.floors);
        known.seal = next;
        known.sealed_at = Some(self.system().uptime());
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
        let mut floors = known.seal.floors.clone();
        floors.raise(&known.ahead);
        floors
            .files
            .into_keys()
            .chain(floors.chains.into_keys())
            .collect()
    }

    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }

    pub(super) fn files(&self) -> &dyn HomeFiles {
        &*self.ground.files
    }

    fn system(&self) -> &dyn System {
        &*self.ground.system
    }

    pub(super) fn altered(&self, name: &str, how: &'static str) -> Error {
        Error::HomeAltered {
            file: self.files().place(name),
            how,
        }
    }

    /// Names of all that the seal has, to be looked at.
    pub(super) fn names(&self) -> (Vec<String>, Vec<String>) {
        let mut floors = self.known().seal.floors.clone();
        floors.raise(&self.known().ahead);
        (
            floors.files.into_keys().collect(),
            floors.chains.into_keys().collect(),
        )
    }

    /// How new a file is at least.
    fn floor(&self, name: &str) -> u64 {
        let known = self.known();
        let of = |floors: &Floors| floors.files.get(name).copied().unwrap_or_default();
        of(&known.seal.floors).max(of(&known.ahead))
    }

    fn chain_floor(&self, name: &str) -> Option<End> {
        let known = self.known();
        let mut floors = Floors::default();
        for from in [&known.seal.floors, &known.ahead] {
            if let Some(end) = from.chains.get(name) {
                floors.raise(&Floors {
                    chains: [(name.to_owned(), end.clone())].into(),
                    ..Floors::default()
                });
            }
        }
        floors.chains.remove(name)
    }

    /// How new the file is that lies there.
    fn version(&self, name: &str) -> Result<u64> {
        let bytes = self.read(name)?.unwrap_or_default();
        let whole = Sealed::split(&bytes).filter(|(content, sealed)| sealed.is_of(&self.key, name, content));
        let there = whole.map_or(0, |(_, sealed)| sealed.version);
        Ok(there.max(self.floor(name)))
    }

    /// A file may not be of a later seal than the one that lies there: another process may have written that since, and nobody else.
    fn check_generation(&self, generation: u64) -> Result<()> {
        if generation <= self.known().seal.generation {
            return Ok(());
        }
        let seal = self.newest_seal()?;
        if generation > seal.generation {
            return Err(self.altered(SEAL, OLDER));
        }
        self.known().seal = seal;
        Ok(())
    }

    /// The seal that lies there, or the one that this process knows if that is newer: nobody makes it forget.
    fn newest_seal(&self) -> Result<Seal> {
        let known = self.known().seal.clone();
        match self.read_seal()? {
            Some(seal) if seal.generation >= known.generation || Defence::HomeSeal.is_off() => Ok(seal),
            None if known.generation == 0 => Ok(known),
            None => Err(self.altered(SEAL, MISSING)),
            Some(_) => Err(self.altered(SEAL, OLDER)),
        }
    }

    fn read_seal(&self) -> Result<Option<Seal>> {
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
    fn read_from(&self, name: &str, at: &At) -> Result<Option<(Option<At>, Vec<u8>)>> {
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

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> Result<()> {
        let replaced = self.files().replace(name, bytes, durable);
        replaced.map_err(self.files().failed(WRITE, name))
    }

    fn seal_if_due(&self) -> Result<()> {
        let due = {
            let mut known = self.known();
            let at = *known.sealed_at.get_or_insert_with(|| self.system().uptime());
            self.system().since(at) >= SEAL_EVERY
        };
        if due { self.seal() } else { Ok(()) }
    }

    /// Held while a version is read and the next one written.
    fn writing(&self) -> Result<Lock> {
        for _ in 0..LOCK_TRIES {
            match take_lock(self.files(), SEAL_LOCK) {
                Err(Error::HomeLocked { .. }) => self.system().hold_up(LOCK_PAUSE),
                result => return result,
            }
        }
        take_lock(self.files(), SEAL_LOCK)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
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

fn kind(name: &str) -> Kind {
    let begins = |with: &[&str]| with.iter().any(|with| name.starts_with(with));
    if begins(&["log-conflict.", "directory-conflict."]) {
        Kind::Plain
    } else if begins(&[
        "uploads/",
        "fetches/",
        "exposed/",
        "directory-audited.json",
        "rules/cursor.json",
    ]) {
        Kind::Cache
    } else if begins(&["rules/answers/"]) {
        Kind::Marked
    } else {
        Kind::Protects
    }
}

pub(super) const SEAL: &str = "home.seal";
pub(super) const SEAL_LOCK: &str = "seal.lock";
/// Sealing after each writing would cost more than what is written; what is set back of a killed process is less than this old.
const SEAL_EVERY: Duration = Duration::from_secs(5);
/// What is written under it takes milliseconds.
const LOCK_TRIES: u32 = 5_000;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

pub(super) const READ: &str = "cannot read";
const WRITE: &str = "cannot write";
const SYNC: &str = "cannot sync";

const MISSING: &str = "is missing";
const CHANGED: &str = "is not as medvault wrote it";
const OLDER: &str = "is an older one that was put back";
const CUT: &str = "lacks what was in it";
