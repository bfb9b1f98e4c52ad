//! A home in this process's memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Result,
    ground::{Behind, Held, HomeFiles},
};

/// The files of a home that goes with the last copy of this. Copies have the same files, as processes have that work in one home.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Those that are there; the home itself has the empty name.
    folders: BTreeSet<String>,
    files: BTreeMap<String, Vec<u8>>,
    locked: BTreeSet<String>,
}

impl MemoryFiles {
    /// Each change is one call, so no panic leaves it half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HomeFiles for MemoryFiles {
    fn place(&self, name: &str) -> PathBuf {
        ["memory", name].iter().collect()
    }

    fn check_private(&self) -> Result<()> {
        Ok(())
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let folder = folder.trim_end_matches('/');
        let above = folder.match_indices('/').map(|(end, _)| &folder[..end]);
        let made = above.chain(["", folder]).map(str::to_owned);
        self.state().folders.extend(made);
        Ok(())
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state().files.get(name).cloned())
    }

    fn read_end(&self, name: &str, length: usize) -> io::Result<Option<Vec<u8>>> {
        let end = |file: &Vec<u8>| file[file.len().saturating_sub(length)..].to_vec();
        Ok(self.state().files.get(name).map(end))
    }

    fn read_behind(&self, name: &str, length: usize, from: u64) -> io::Result<Option<Behind>> {
        let state = self.state();
        let behind = |file: &Vec<u8>| Behind {
            first: file[..length.min(file.len())].to_vec(),
            rest: file[at(from).min(file.len())..].to_vec(),
            length: file.len() as u64,
        };
        Ok(state.files.get(name).map(behind))
    }

    fn replace(&self, name: &str, bytes: &[u8], _durable: bool) -> io::Result<()> {
        let mut state = self.state();
        state.file(name)?.splice(.., bytes.iter().copied());
        Ok(())
    }

    fn put_after(&self, name: &str, before: u64, bytes: &[u8], _durable: bool) -> io::Result<()> {
        let mut state = self.state();
        let file = state.file(name)?;
        file.resize(at(before), 0);
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let there = self.state().files.contains_key(name);
        there.then_some(()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let there = self.state().folders.contains(folder.trim_end_matches('/'));
        there.then_some(()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        let folder = folder.trim_end_matches('/');
        let names = state.files.keys().chain(&state.folders);
        Ok(names
            .filter_map(|name| inside(folder, name))
            .map(str::to_owned)
            .collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.state().files.remove(name);
        removed.map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn remove_folder(&self, folder: &str, whole: bool) -> io::Result<()> {
        let folder = folder.trim_end_matches('/');
        if !whole && !self.list(folder)?.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let mut state = self.state();
        if !state.folders.remove(folder) {
            return Err(ErrorKind::NotFound.into());
        }
        let stays = |name: &String| !is_below(folder, name);
        state.files.retain(|name, _| stays(name));
        state.folders.retain(stays);
        Ok(())
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn Held>>> {
        let mut state = self.state();
        state.file(name)?;
        let free = state.locked.insert(name.to_owned());
        let lock = || Locked {
            name: name.to_owned(),
            files: self.clone(),
        };
        Ok(free.then(|| Box::new(lock()) as Box<dyn Held>))
    }
}

impl State {
    /// A file to be written: made, where its folder is there.
    fn file(&mut self, name: &str) -> io::Result<&mut Vec<u8>> {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !self.folders.contains(folder) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(self.files.entry(name.to_owned()).or_default())
    }
}

#[derive(Debug)]
struct Locked {
    name: String,
    files: MemoryFiles,
}

impl Held for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        self.files.state().locked.remove(&self.name);
    }
}

/// Without what lies in them.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            folders,
            files,
            locked,
        } = self;
        f.debug_struct("State")
            .field("folders", folders)
            .field("files", &files.keys())
            .field("locked", locked)
            .finish()
    }
}

/// The name of what lies in this folder, and in none of it.
fn inside<'a>(folder: &str, name: &'a str) -> Option<&'a str> {
    let below = match folder {
        "" => name,
        _ => name.strip_prefix(folder)?.strip_prefix('/')?,
    };
    (!below.is_empty() && !below.contains('/')).then_some(below)
}

fn is_below(folder: &str, name: &str) -> bool {
    folder.is_empty()
        || name
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn at(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
