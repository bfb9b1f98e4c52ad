//! The folder of a witness belongs to one process for as long as that lives: two that share it would each remember only what
//! they have cosigned themselves, and could cosign two histories of one log (LOG-20).

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use anyhow::{Context, Result, bail};
use protocol_spec::defence::Defence;

/// A folder that no other witness has. The kernel lets go of it with the process, however that ends.
pub(crate) struct Folder {
    _lock: File,
}

impl Folder {
    /// Makes the folder, if it is not there, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700);
        make.create(path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        let lock = path.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if !Defence::WitnessFolder.is_off() => bail!(
                "{} is in use by another witness: stop that one, or give this one a folder and a name of its own",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error)
                .with_context(|| format!("cannot lock {}: choose a folder on a local disk", lock.display())),
            _ => Ok(Self { _lock: file }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOG-20
    #[test]
    fn a_folder_has_one_witness_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w");
        let first = Folder::take(&path).unwrap();
        let refused = Folder::take(&path).err().unwrap().to_string();
        assert!(refused.contains("in use by another witness"), "{refused}");
        drop(first);
        Folder::take(&path).unwrap();
    }
}
