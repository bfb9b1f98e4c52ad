//! The hidden folder that a download fills: this user's alone, locked while a transfer is in it, left
//! behind with what came when that breaks off.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use protocol_spec::ids::RecordId;

use crate::{Error, Result, ground::native::disk::make_new_folder};

/// The hidden folder of a transfer.
pub(super) struct Hidden(PathBuf);

impl Hidden {
    /// That of the transfer of this name, below `out`.
    pub(super) fn below(out: &Path, name: &str) -> Self {
        Self(out.join(format!(".medvault-{name}.partial")))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the parts of a record lie until they are moved.
    pub(super) fn record(&self, record: &RecordId) -> PathBuf {
        self.0.join(record.to_string())
    }

    /// The list of the leaves that came of a record.
    pub(super) fn list(&self, record: &RecordId) -> PathBuf {
        self.0.join(format!("{record}.leaves"))
    }

    /// Whether it holds something with which a run can go on.
    pub(super) fn has_lists(&self) -> bool {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|path| path.extension().is_some_and(|ending| ending == "leaves"))
    }

    /// Bytes that the files in it take.
    pub(super) fn size(&self) -> u64 {
        let files = walkdir::WalkDir::new(&self.0).into_iter().filter_map(Result::ok);
        let lengths = files.filter_map(|entry| entry.metadata().ok());
        lengths
            .filter(fs::Metadata::is_file)
            .map(|metadata| metadata.len())
            .sum()
    }

    /// Takes that of an earlier run, or makes it anew, of this process alone, unless another transfer is filling it. And whether
    /// there is something in it to go on with.
    pub(super) fn claim(&self) -> Result<(File, bool)> {
        match File::open(&self.0) {
            Ok(left) => {
                self.lock(&left)?;
                if self.is_ours() && self.has_lists() {
                    return Ok((left, true));
                }
                fs::remove_dir_all(&self.0).map_err(Error::io("cannot remove", &self.0))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("cannot read", &self.0)(error)),
        }
        // Whatever stands there again by now, such as somebody's symbolic link, is not written into.
        make_new_folder(&self.0).map_err(Error::io("cannot make", &self.0))?;
        let folder = File::open(&self.0).map_err(Error::io("cannot read", &self.0))?;
        self.lock(&folder)?;
        Ok((folder, false))
    }

    /// Removes it, unless a transfer is filling it.
    pub(super) fn discard(&self) {
        if File::open(&self.0).is_ok_and(|folder| self.lock(&folder).is_ok()) {
            self.remove();
        }
    }

    /// Removes it with all that is in it, as far as that can be done.
    pub(super) fn remove(&self) {
        drop(fs::remove_dir_all(&self.0));
    }

    /// Whether it is this user's alone, so that nobody else has put anything into it.
    fn is_ours(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            self.0.symlink_metadata().is_ok_and(|metadata| {
                metadata.is_dir()
                    && metadata.mode() & 0o077 == 0
                    && metadata.uid() == rustix::process::geteuid().as_raw()
            })
        }
        #[cfg(not(unix))]
        {
            false
        }
    }

    /// Keeps other transfers out while `folder`, which is this one, is open. File systems without locks have to do without.
    fn lock(&self, folder: &File) -> Result<()> {
        match folder.try_lock() {
            Err(fs::TryLockError::WouldBlock) => Err(Error::HomeLocked { home: self.0.clone() }),
            Err(fs::TryLockError::Error(_)) | Ok(()) => Ok(()),
        }
    }
}
