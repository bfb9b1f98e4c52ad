//! The latest time that a home has seen.

use super::Home;
use crate::Result;

/// From now on the latest time that the home has seen is what this machine's clock says.
pub(crate) fn accept(home: &Home) -> Result<()> {
    let _lock = home.try_lock()?;
    home.write_json(FILE, &home.system().now_ms())
}

/// The latest time that a home has seen.
pub(crate) fn kept(home: &Home) -> Result<u64> {
    Ok(home.read_json(FILE)?.unwrap_or_default())
}

/// Keeps a later one; whoever does so holds the home's lock.
pub(crate) fn keep(home: &Home, latest: u64) -> Result<()> {
    home.write_json(FILE, &latest)
}

const FILE: &str = "clock";
