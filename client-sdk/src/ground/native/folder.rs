//! A home in a folder of this machine: files that are replaced whole and survive a power cut.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;

use super::disk;
use crate::{
    Result,
    ground::{Behind, Held, HomeFiles},
};

/// The folder. Every process of this machine that names it has the same home.
#[derive(Debug)]
pub(crate) struct HomeFolder {
    dir: PathBuf,
}

impl HomeFolder {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    fn open(&self, name: &str) -> io::Result<Option<File>> {
        there(File::open(self.place(name)))
    }
}

impl HomeFiles for HomeFolder {
    fn place(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whatever the files are sealed with (PRG-6): what lies beside the secrets decides about them.
    fn check_private(&self) -> Result<()> {
        if self.dir.exists() {
            guard::folder(&self.dir)?;
        }
        Ok(())
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        disk::make_folder(&self.place(folder))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        there(fs::read(self.place(name)))
    }

    fn read_end(&self, name: &str, length: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = self.open(name)? else {
            return Ok(None);
        };
        let begin = file.metadata()?.len().saturating_sub(length as u64);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::with_capacity(length);
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn read_behind(&self, name: &str, length: usize, from: u64) -> io::Result<Option<Behind>> {
        let Some(file) = self.open(name)? else {
            return Ok(None);
        };
        let all = file.metadata()?.len();
        Ok(Some(Behind {
            first: read_part(&file, 0, all.min(length as u64))?,
            rest: read_part(&file, from, all.saturating_sub(from))?,
            length: all,
        }))
    }

    /// Write beside, sync, rename, and if `durable` sync the folder.
    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let path = self.place(name);
        let folder = path.parent().unwrap_or(Path::new("."));
        let beside = tempfile::Builder::new()
            .prefix(".medvault-")
            .tempfile_in(folder)?;
        (&beside).write_all(bytes)?;
        beside.as_file().sync_data()?;
        beside.persist(&path).map_err(|failed| failed.error)?;
        if durable {
            disk::sync_folder(folder)
        } else {
            Ok(())
        }
    }

    /// Written over what was there, not behind a cut to nothing: ext4 writes a file that was cut so to the device when it is closed.
    fn put_after(&self, name: &str, before: u64, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(self.place(name))?;
        let end = file.seek(SeekFrom::End(0))?;
        if end != before {
            file.seek(SeekFrom::Start(before))?;
        }
        file.write_all(bytes)?;
        let behind = before.saturating_add(bytes.len() as u64);
        if end > behind {
            file.set_len(behind)?;
        }
        if durable { file.sync_data() } else { Ok(()) }
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.place(name))?.sync_data()
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        disk::sync_folder(&self.place(folder))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let Some(entries) = there(fs::read_dir(self.place(folder)))? else {
            return Ok(Vec::new());
        };
        let name = |name: &OsStr| name.to_string_lossy().into_owned();
        entries.map(|entry| Ok(name(&entry?.file_name()))).collect()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.place(name))
    }

    fn remove_folder(&self, folder: &str, whole: bool) -> io::Result<()> {
        let folder = self.place(folder);
        match whole {
            true => fs::remove_dir_all(folder),
            false => fs::remove_dir(folder),
        }
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn Held>>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let file = options.open(self.place(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(Locked { _file: file }))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The lock goes with the open file, also when the process dies.
#[derive(Debug)]
struct Locked {
    _file: File,
}

impl Held for Locked {}

/// Nothing, where it is not there.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// So many bytes of an open file from a place on; fewer where it has grown shorter meanwhile. One call to the system where
/// that has one for it: books are read and written at every step of a flow.
fn read_part(file: &File, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let mut there = 0;
    while let Some(rest) = bytes.get_mut(there..).filter(|rest| !rest.is_empty()) {
        match read_at(file, rest, from + there as u64) {
            Ok(0) => break,
            Ok(read) => there += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(there);
    Ok(bytes)
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    file.read(into)
}
