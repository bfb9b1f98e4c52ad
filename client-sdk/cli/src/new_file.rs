//! Small files named on the command line: read whole, written whole or not at all, never overwritten.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::failure::Failure;

/// More than any request or accreditation has; keeps a wrong path from filling the memory.
const LIMIT: u64 = 1 << 20;

/// A file to be: a hidden one beside its final name, so that a place that cannot be written is noticed
/// before the work is done; removed unless written.
pub(crate) struct NewFile {
    hidden: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Prepares to write a file that must not be there yet.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        let failure = |source: &io::Error| Failure::file("cannot write", path, source);
        if fs::symlink_metadata(path).is_ok() {
            return Err(failure(&io::ErrorKind::AlreadyExists.into()));
        }
        let hidden = tempfile::Builder::new()
            .prefix(".medvault-")
            .tempfile_in(folder_of(path))
            .map_err(|source| failure(&source))?;
        Ok(Self {
            hidden,
            path: path.to_owned(),
        })
    }

    /// Writes the content durably and gives the file its name.
    pub(crate) fn write(mut self, content: &[u8]) -> Result<PathBuf, Failure> {
        let failure = |source: &io::Error| Failure::file("cannot write", &self.path, source);
        self.hidden
            .write_all(content)
            .map_err(|source| failure(&source))?;
        self.hidden
            .as_file()
            .sync_all()
            .map_err(|source| failure(&source))?;
        self.hidden
            .persist_noclobber(&self.path)
            .map_err(|error| failure(&error.error))?;
        Ok(self.path)
    }
}

/// A page with a secret on it, which is removed again unless that came to be of use.
pub(crate) struct SecretPage(PathBuf);

impl SecretPage {
    pub(crate) fn write(file: NewFile, content: &[u8]) -> Result<Self, Failure> {
        file.write(content).map(Self)
    }

    /// Where it lies, for now.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps the page when this value is dropped.
    pub(crate) fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for SecretPage {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.0);
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failure = |source: io::Error| Failure::file("cannot read", path, &source);
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_end(&mut content))
        .map_err(failure)?;
    Ok(content)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request");
        let written = NewFile::at(&path).unwrap().write(b"once").unwrap();
        assert_eq!(read(&written).unwrap(), b"once");
        assert!(NewFile::at(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"once");
    }

    #[test]
    fn nothing_is_left_of_a_file_that_was_not_written() {
        let folder = tempfile::tempdir().unwrap();
        drop(NewFile::at(&folder.path().join("request")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(NewFile::at(&folder.path().join("no/such/folder")).is_err());
    }
}
