//! Key files: their owner's own, wherever she keeps them, and hers alone (PRG-6).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;

use zeroize::Zeroizing;

use super::disk::sync_folder;
use crate::{Error, Result};

/// What is in it; nothing when it is not there. One that others can read is refused.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if path.exists() {
        guard::secret(path)?;
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path)(error)),
    }
}

/// Makes one that must not be there yet. No power cut may take it away from the home that is sealed under it.
pub(crate) fn make(path: &Path, key: &[u8; 32]) -> Result<()> {
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(path)?;
        file.write_all(key)?;
        file.sync_all()?;
        sync_folder(path.parent().unwrap_or(path))
    };
    write().map_err(Error::io("cannot write", path))
}
