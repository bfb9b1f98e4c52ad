//! Looks at every file of a home that its seal names.

use super::{At, ClosedHome, Home, Unlock, latest};
use crate::{Ground, Result};

/// A home that is what it was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CheckedHome {
    /// The id of the principal who lives there.
    pub id: String,
    /// Files that the home must have, and has.
    pub files: usize,
    /// Entries of those that grow.
    pub entries: usize,
    /// The latest time that was seen in it, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub latest: u64,
}

/// Unlocks a home and holds every file of it against what was written there. With `accept_clock` the latest time that it has seen is
/// what this machine's clock says now, for a clock that was wrong then.
///
/// # Errors
/// [`crate::Error::HomeAltered`] names the first file that is missing, changed
/// or older; [`crate::Error::WrongUnlock`] and others of unlocking.
pub fn check_home(home: impl Into<Ground>, unlock: &Unlock, accept_clock: bool) -> Result<CheckedHome> {
    let closed = ClosedHome::at(home);
    let principal = closed.principal()?;
    let (_, home) = closed.unlock(&principal, unlock)?;
    let home = home.as_it_lies();
    let (files, chains) = home.guard.names();
    for name in &files {
        home.read(name)?;
    }
    let mut entries = 0;
    for name in &chains {
        let more = home.read_chain(name, &mut At::default())?;
        entries += more.map_or(0, |more| more.entries.len());
    }
    if accept_clock {
        latest::accept(&home)?;
    }
    checked(&home, principal.id, (files.len() + chains.len(), entries))
}

fn checked(home: &Home, id: String, (files, entries): (usize, usize)) -> Result<CheckedHome> {
    Ok(CheckedHome {
        id,
        files,
        entries,
        latest: latest::kept(home)?,
    })
}
