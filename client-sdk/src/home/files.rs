//! Files that are replaced whole and survive a power cut.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use crate::{Error, Result};

/// A file's content, or nothing when it is not there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path)(error)),
    }
}

/// The last `length` bytes of a file, or all of it if it has not as many; nothing when it is not there.
pub(crate) fn read_end(path: &Path, length: usize) -> Result<Option<Vec<u8>>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let begin = file.metadata()?.len().saturating_sub(length as u64);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::with_capacity(length);
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path)(error)),
    }
}

/// The first `length` bytes of a file, or all of it if it has not as many, and how many it has; nothing when it is not there.
pub(crate) fn read_begin(path: &Path, length: usize) -> Result<Option<(Vec<u8>, u64)>> {
    let read = || -> io::Result<(Vec<u8>, u64)> {
        let file = File::open(path)?;
        let all = file.metadata()?.len();
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok((bytes, all))
    };
    match read() {
        Ok(begin) => Ok(Some(begin)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path)(error)),
    }
}

/// So many bytes of an open file from a place on; fewer where it has grown shorter meanwhile. One call to the system where
/// that has one for it: books are read and written at every step of a flow.
pub(crate) fn read_part(file: &File, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let mut there = 0;
    while let Some(rest) = bytes.get_mut(there..).filter(|rest| !rest.is_empty()) {
        match read_at(file, rest, from + there as u64) {
            Ok(0) => break,
            Ok(read) => there += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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

/// Write beside, sync, rename, sync the folder. Readable by the owner alone.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_soon(path, bytes)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// The same without the last step: after a power cut the old content may be back, whole.
pub(crate) fn replace_soon(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = tempfile::Builder::new()
        .prefix(".medvault-")
        .tempfile_in(folder)
        .map_err(Error::io("cannot write in", folder))?;
    (&beside)
        .write_all(bytes)
        .and_then(|()| beside.as_file().sync_data())
        .map_err(Error::io("cannot write", path))?;
    beside
        .persist(path)
        .map_err(|failed| Error::io("cannot replace", path)(failed.error))?;
    Ok(())
}

/// Puts bytes behind the first `before` of a file, in the place of whatever stood there; the file is made if it is not there. After a
/// power cut some of them may be missing, or zeros, unless `durable`.
pub(crate) fn put_after(path: &Path, before: u64, bytes: &[u8], durable: bool) -> Result<()> {
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(path)?;
        if file.seek(SeekFrom::End(0))? != before {
            file.set_len(before)?;
            file.seek(SeekFrom::Start(before))?;
        }
        file.write_all(bytes)?;
        if durable { file.sync_data() } else { Ok(()) }
    };
    write().map_err(Error::io("cannot write", path))
}

/// Makes durable what was written to a file.
pub(crate) fn sync(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_data())
        .map_err(Error::io("cannot sync", path))
}

/// Writes a file that must not be there yet, readable by the owner alone.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a folder and those above it, open to the owner alone; one that is there stays as it is.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).map_err(Error::io("cannot make", path))
}

/// Makes a folder that must not be there yet, open to the owner alone.
pub(crate) fn make_new_folder(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "no mode to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).map_err(Error::io("cannot make", path))
}

/// Makes renames in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io("cannot sync", path))
}
