//! Locks of a home and of its parts, which one process holds at a time.

use crate::{
    Error, Result,
    ground::{Held, HomeFiles},
};

/// Held while files are read and replaced; released when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lock {
    _held: Box<dyn Held>,
}

/// Takes the lock of this name.
///
/// Errors: [`Error::HomeLocked`] while another process holds it.
pub(super) fn take_lock(files: &dyn HomeFiles, name: &str) -> Result<Lock> {
    let held = files.try_lock(name).map_err(files.failed("cannot lock", name))?;
    let home = || {
        let place = files.place(name);
        place.parent().unwrap_or(&place).to_owned()
    };
    let held = held.ok_or_else(|| Error::HomeLocked { home: home() })?;
    Ok(Lock { _held: held })
}
