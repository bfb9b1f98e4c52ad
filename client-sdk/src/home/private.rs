//! Homes and key files are their owner's alone (PRG-6): one that others can enter is not used, whatever its files are sealed
//! with, because what lies beside the secrets decides about them.

use std::path::Path;

use crate::Result;

/// Refuses a home that others can enter or that is somebody else's; one that is not there is nobody's.
pub(super) fn home(folder: &Path) -> Result<()> {
    if folder.exists() {
        ::guard::folder(folder)?;
    }
    Ok(())
}

/// Refuses a file with a key that others can read; one that is not there yet is made for its owner alone.
pub(super) fn key_file(path: &Path) -> Result<()> {
    if path.exists() {
        ::guard::secret(path)?;
    }
    Ok(())
}
