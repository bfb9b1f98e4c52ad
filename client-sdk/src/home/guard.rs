//! What lies in a home, held against what was written there (KEY-19). Each file's last line, or each entry of a file
//! that grows, has a tag under a key that only who has unlocked the home can make; `home.seal` says how new each is at least.
//!
//! The seal follows what is written, within seconds and at the end, and never runs ahead of what is durable: so no power
//! cut makes it accuse somebody. What a process that was killed has written last may be set back unnoticed, and so may all
//! files of the home at once: only the server's log tells that.

use std::{
    cmp::Ordering,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crypto::HomeSealKey;
use protocol_spec::defence::Defence;

use super::{
    Lock,
    chain::{At, Entries, FIRST},
    files, lock_file,
    seal::{End, Floors, LINE, Seal, Sealed},
};
use crate::{Error, Result};

/// Who reads and writes the files of one unlocked home.
pub(super) struct Guard {
    dir: PathBuf,
    key: HomeSealKey,
    known: Mutex<Known>,
}

/// What this process knows of the seal.
#[derive(Default)]
struct Known {
    /// As it lies in the home, durably.
    seal: Seal,
    /// What was written since.
    ahead: Floors,
    sealed_at: Option<Instant>,
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
    pub(super) fn begin(dir: &Path, key: HomeSealKey) -> Self {
        Self {
            dir: dir.to_owned(),
            key,
            known: Mutex::default(),
        }
    }

    /// Of a home that is there: all that its seal names is there too, and none of it older.
    pub(super) fn load(dir: &Path, key: HomeSealKey) -> Result<Self> {
        let guard = Self::begin(dir, key);
        let seal = guard.read_seal()?;
        if Defence::HomeSeal.is_off() {
            guard.known().seal = seal.unwrap_or_default();
            return Ok(guard);
        }
        let seal = seal.ok_or_else(|| guard.altered(SEAL, MISSING))?;
        let floors = seal.floors.clone();
        guard.known().seal = seal;
        for (name, floor) in &floors.files {
            let end = files::read_end(&dir.join(name), LINE)?;
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
        let begin = files::read_begin(&self.dir.join(name), FIRST)?;
        let (first, length) = begin.ok_or_else(|| self.altered(name, MISSING))?;
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
        let path = self.dir.join(name);
        let replace: fn(&Path, &[u8]) -> Result<()> = if durable {
            files::replace
        } else {
            files::replace_soon
        };
        match kind(name) {
            Kind::Plain => return replace(&path, content),
            Kind::Cache | Kind::Marked => return replace(&path, &self.sealed(name, content)),
            Kind::Protects => {}
        }
        {
            let _writing = self.writing()?;
            let version = self.version(name)?.saturating_add(1);
            let generation = self.known().seal.generation;
            replace(
                &path,
                &Sealed::put(&self.key, name, (version, generation), content),
            )?;
            self.known().ahead.files.insert(name.to_owned(), version);
        }
        self.seal_if_due()
    }

    /// A content with its last line, for a file that is written otherwise.
    pub(super) fn sealed(&self, name: &str, content: &[u8]) -> Vec<u8> {
        Sealed::put(&self.key, name, (0, 0), content)
    }

    /// What a file that grows has behind a place, which is behind that afterwards; none if there is no such file.
    pub(super) fn read_chain(&self, name: &str, at: &mut At) -> Result<Option<More>> {
        let floor = self.chain_floor(name);
        let floor = floor.filter(|_| kind(name) == Kind::Protects && !Defence::HomeSeal.is_off());
        let read = self
            .read_behind(name, at)
            .map_err(Error::io("cannot read", &self.dir.join(name)))?;
        let Some((begin, bytes)) = read else {
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
            files::put_after(&self.dir.join(name), before, &new, durable)?;
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
        files::replace(&self.dir.join(name), &bytes)?;
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
            files::sync(&self.dir.join(name))?;
        }
        let mut folders: Vec<_> = ahead
            .files
            .keys()
            .filter_map(|name| Path::new(name).parent())
            .collect();
        folders.push(Path::new(""));
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            files::sync_folder(&self.dir.join(folder))?;
        }
        let next = self.newest_seal()?.next(&ahead);
        let text = serde_json::to_vec_pretty(&next).map_err(|_| self.altered(SEAL, CHANGED))?;
        let numbers = (next.generation, next.generation);
        files::replace(
            &self.dir.join(SEAL),
            &Sealed::put(&self.key, SEAL, numbers, &text),
        )?;
        let mut known = self.known();
        known.ahead.without(&next.floors);
        known.seal = next;
        known.sealed_at = Some(Instant::now());
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

    pub(super) fn altered(&self, name: &str, how: &'static str) -> Error {
        Error::HomeAltered {
            file: self.dir.join(name),
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
        let bytes = files::read_if_there(&self.dir.join(name))?.unwrap_or_default();
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
        let Some(bytes) = files::read_if_there(&self.dir.join(SEAL))? else {
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
    fn read_behind(&self, name: &str, at: &At) -> io::Result<Option<(Option<At>, Vec<u8>)>> {
        let file = match File::open(self.dir.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let first = files::read_part(&file, 0, length.min(FIRST as u64))?;
        let begin = At::read_begin(&self.key, name, &first);
        let behind = begin
            .as_ref()
            .filter(|begin| at.is_of(begin))
            .map_or(FIRST as u64, |_| at.offset());
        let rest = files::read_part(&file, behind, length.saturating_sub(behind))?;
        Ok(Some((begin, rest)))
    }

    fn seal_if_due(&self) -> Result<()> {
        let due = {
            let mut known = self.known();
            let at = *known.sealed_at.get_or_insert_with(Instant::now);
            at.elapsed() >= SEAL_EVERY
        };
        if due { self.seal() } else { Ok(()) }
    }

    /// Held while a version is read and the next one written.
    fn writing(&self) -> Result<Lock> {
        let path = self.dir.join(SEAL_LOCK);
        for _ in 0..LOCK_TRIES {
            match lock_file(&path) {
                Err(Error::HomeLocked { .. }) => std::thread::sleep(LOCK_PAUSE),
                result => return result,
            }
        }
        lock_file(&path)
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

const MISSING: &str = "is missing";
const CHANGED: &str = "is not as medvault wrote it";
const OLDER: &str = "is an older one that was put back";
const CUT: &str = "lacks what was in it";
