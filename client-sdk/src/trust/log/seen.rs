//! What a session has seen of the log.

use std::{collections::HashSet, time::Duration};

use protocol_spec::log::VerifiedCheckpoint;

use crate::ground::{System, millis};

/// Which checkpoints a session has compared, and the newest.
#[derive(Default)]
pub(super) struct SeenLog {
    /// Sizes and roots that were compared.
    pub(super) accepted: HashSet<Head>,
    pub(super) newest: Option<VerifiedCheckpoint>,
    /// When the server has shown that: by two clocks, because one stands still while the machine sleeps, and the other is set.
    pub(super) shown_at: Option<(Duration, u64)>,
    /// The newest is not pinned yet.
    pub(super) unpinned: bool,
    pub(super) pinned_at: Option<Duration>,
}

/// Size and root of a checkpoint.
pub(super) type Head = (u64, [u8; 32]);

pub(super) fn head(checkpoint: &VerifiedCheckpoint) -> Head {
    (checkpoint.size, *checkpoint.root.as_bytes())
}

impl SeenLog {
    /// Of a session that has seen nothing yet but what is pinned.
    pub(super) fn begin(pinned: VerifiedCheckpoint) -> Self {
        Self {
            accepted: HashSet::from([head(&pinned)]),
            newest: Some(pinned),
            ..Self::default()
        }
    }

    /// The newest checkpoint, if the server has shown it just now.
    pub(super) fn shown_lately(&self, system: &dyn System) -> Option<VerifiedCheckpoint> {
        let lately = self.shown_at.is_some_and(|(at, by_the_clock)| {
            let since = system.now_ms().checked_sub(by_the_clock);
            system.since(at) < LATELY && since.is_some_and(|since| since < millis(LATELY))
        });
        self.newest.clone().filter(|_| lately)
    }

    /// How many leaves were seen so far.
    pub(super) fn newest_size(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.size)
    }

    /// What it has shown until now was not just now.
    pub(super) fn forget_shown(&mut self) {
        self.shown_at = None;
    }
}

/// What is asked for again in one command was answered by then.
const LATELY: Duration = Duration::from_secs(1);
