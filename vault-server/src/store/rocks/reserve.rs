//! A part of the volume that only urgent writes may take (FLW-14): revocations, removals, the log, and what frees space.
//!
//! It is a margin of free bytes, looked at before each write, and no file that is given up in need: RocksDB decides by itself
//! when it needs room for its own files, and once a write of it has met a full volume it takes no other for seconds. Who stays
//! above the margin never gets there. It keeps nothing from other programs: the data folder should have a volume of its own.

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The margin of one volume.
#[derive(Debug)]
pub(super) struct Reserve {
    volume: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// So many bytes of the volume on which this folder lies, but no more than an eighth of it.
    pub(super) fn new(folder: &Path, bytes: u64) -> Self {
        let size = Space::of(folder).map_or(u64::MAX, |space| space.size);
        Self {
            volume: folder.to_owned(),
            bytes: bytes.min(size / 8),
        }
    }

    /// Whether something may be written.
    ///
    /// Errors: `Full` while no more than the reserve is free.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        // Where the system does not say, the write itself does.
        let free = Space::of(&self.volume).map_or(u64::MAX, |space| space.free);
        if free > self.bytes {
            Ok(())
        } else {
            Err(StoreError::Full)
        }
    }
}

/// How large a volume is, and how much is free.
struct Space {
    size: u64,
    free: u64,
}

impl Space {
    fn of(folder: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(folder).ok()?;
        Some(Self {
            size: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FLW-14
    #[test]
    fn only_what_is_more_than_the_reserve_is_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::of(folder.path()).unwrap();
        assert!(space.size > space.free && space.free > 0);
        Reserve::new(folder.path(), 0).check().unwrap();
        let all = Reserve {
            volume: folder.path().to_owned(),
            bytes: space.size,
        };
        assert_eq!(all.check(), Err(StoreError::Full));
    }

    #[test]
    fn a_small_volume_is_not_all_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let eighth = Space::of(folder.path()).unwrap().size / 8;
        assert_eq!(Reserve::new(folder.path(), u64::MAX).bytes, eighth);
    }
}
