//! How new each file of a home is at least, as this process knows it.

use std::time::Duration;

use crate::home::seal::{End, Floors, Seal};

/// What this process knows of the seal.
#[derive(Default)]
pub(super) struct KnownSeal {
    /// As it lies in the home, durably.
    pub(super) seal: Seal,
    /// What was written since the seal was.
    pub(super) ahead: Floors,
    /// When the home was sealed last, by [`crate::ground::System::uptime`].
    pub(super) sealed_at: Option<Duration>,
    /// The home is given up: nothing is written any more.
    pub(super) discarded: bool,
}

impl KnownSeal {
    /// What the files are at least, written or sealed.
    pub(super) fn floors(&self) -> Floors {
        let mut floors = self.seal.floors.clone();
        floors.raise(&self.ahead);
        floors
    }

    /// How new a file is at least; 0 if it need not be there.
    pub(super) fn floor(&self, name: &str) -> u64 {
        let of = |floors: &Floors| floors.files.get(name).copied().unwrap_or_default();
        of(&self.seal.floors).max(of(&self.ahead))
    }

    /// How far a file that grows reaches at least; none if it need not be there.
    pub(super) fn chain_floor(&self, name: &str) -> Option<End> {
        let mut floors = Floors::default();
        for from in [&self.seal.floors, &self.ahead] {
            if let Some(end) = from.chains.get(name) {
                floors.raise(&Floors {
                    chains: [(name.to_owned(), end.clone())].into(),
                    ..Floors::default()
                });
            }
        }
        floors.chains.remove(name)
    }
}
