//! Restorations that a home has lived through (RST-6). What it had seen of the server's log and of its own vault before one lies beside
//! what it has seen since, under the same names with the restoration's number: so one file says for all of them which counts, and
//! nothing that was seen is forgotten.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Home;
use crate::Result;

/// A restoration that this home has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lived {
    /// Of the log that it began.
    pub(crate) generation: u64,
    /// How many leaves the log of the copy has.
    pub(crate) size: u64,
    /// Leaves that the operator knows the log to have had.
    pub(crate) seen: u64,
    /// Leaves that this home had seen.
    pub(crate) seen_here: u64,
    /// When the copy was made at the latest, in milliseconds since 1970.
    pub(crate) until: u64,
    /// When the operator has signed it, in milliseconds since 1970.
    pub(crate) created: u64,
    /// Whether a patient's device has done what it had to do before her vault moves again (RST-9).
    pub(crate) done: bool,
}

impl Home {
    /// Those that it has accepted, in their order.
    pub(crate) fn restorations(&self) -> Result<Vec<Lived>> {
        Ok(self.read_json(RESTORED)?.unwrap_or_default())
    }

    /// From the next session on these count.
    pub(crate) fn keep_restorations(&self, lived: &[Lived]) -> Result<()> {
        self.write_json(RESTORED, &lived)?;
        self.seal()
    }

    /// The home, whose era is the number of restorations that it has accepted.
    pub(super) fn in_its_era(mut self) -> Result<Self> {
        self.era = self.restorations()?.len();
        Ok(self)
    }

    /// How many it has accepted.
    pub(crate) fn era(&self) -> usize {
        self.era
    }

    /// The home as it was before the last restoration.
    pub(crate) fn before(&self) -> Option<Self> {
        Some(self.in_era(self.era.checked_sub(1)?))
    }

    /// The home as it will be after one more.
    pub(crate) fn after(&self) -> Self {
        self.in_era(self.era.saturating_add(1))
    }

    /// The home whose files are called as they lie there.
    pub(super) fn as_it_lies(&self) -> Self {
        self.in_era(0)
    }

    fn in_era(&self, era: usize) -> Self {
        Self { era, ..self.clone() }
    }

    /// The name of a file, or of a book, by what it says and since when.
    pub(super) fn of_era<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.era {
            0 => Cow::Borrowed(name),
            era if SEEN_OF_THE_SERVER.contains(&name) => Cow::Owned(format!("{name}.{era}")),
            _ => Cow::Borrowed(name),
        }
    }
}

/// What a restoration takes back. Lists of devices and vault keys are not among them (RST-10).
const SEEN_OF_THE_SERVER: [&str; 13] = [
    "log.checkpoint",
    "log-pending.json",
    "log.read",
    "directory.events",
    "directory.checkpoint",
    "directory-audited.json",
    "vault.acts",
    "vault.times",
    "placements.json",
    "history.json",
    "told.json",
    "permissions.used",
    "epochs",
];

const RESTORED: &str = "restored.json";

#[cfg(test)]
mod tests {
    use super::*;

    /// RST-6: what was seen before is kept, and does not count any more.
    #[test]
    fn what_was_seen_before_lies_beside_what_is_seen_since() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.write("log.checkpoint", b"before").unwrap();
        home.write("clock", b"7").unwrap();
        home.keep_highest("epochs", "a", 3).unwrap();
        home.after().write("log.checkpoint", b"since").unwrap();
        assert_eq!(home.read("log.checkpoint").unwrap().unwrap(), b"before");
        let lived = Lived {
            generation: 2,
            size: 5,
            seen: 9,
            seen_here: 8,
            until: 1,
            created: 2,
            done: false,
        };
        home.keep_restorations(std::slice::from_ref(&lived)).unwrap();
        drop(home);
        let home = Home::at(folder.path()).in_its_era().unwrap();
        assert_eq!((home.era(), home.restorations().unwrap()), (1, vec![lived]));
        assert_eq!(home.read("log.checkpoint").unwrap().unwrap(), b"since");
        assert_eq!(home.read("clock").unwrap().unwrap(), b"7");
        home.keep_highest("epochs", "a", 2).unwrap();
        let before = home.before().unwrap();
        assert_eq!(before.read("log.checkpoint").unwrap().unwrap(), b"before");
        assert!(before.keep_highest("epochs", "a", 2).is_err());
    }
}
