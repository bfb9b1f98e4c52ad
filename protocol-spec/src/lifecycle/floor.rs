//! The server's time, and what it says of deadlines (PRM-13).

use super::Rules;

/// The server's time, which never goes back: whatever was once called past stays past (PRM-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Floor {
    latest: u64,
    durable: u64,
}

/// What a [`Floor`] says of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The deadline has not passed yet.
    Ahead,
    /// The deadline has passed, and that is on disk.
    Passed,
    /// The deadline has passed; this time must be written before anybody is told.
    PassedOnceWritten(u64),
}

impl Floor {
    /// As it stood on disk.
    pub fn load(durable: u64) -> Self {
        Self {
            latest: durable,
            durable,
        }
    }

    /// After a restart: what was not written is forgotten.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self::load(self.durable)
    }

    /// The time, when the clock says `clock`.
    pub fn now(&mut self, clock: u64) -> u64 {
        self.latest = self.latest.max(clock);
        self.latest
    }

    /// Whether a deadline, the first moment that is too late, has passed.
    pub fn judge(&mut self, clock: u64, deadline: u64, rules: &Rules) -> Judgement {
        let now = self.now(clock);
        if now < deadline || !rules.deadlines {
            Judgement::Ahead
        } else if self.durable >= deadline {
            Judgement::Passed
        } else {
            Judgement::PassedOnceWritten(now)
        }
    }

    /// So much is on disk now.
    pub fn written(&mut self, at: u64) {
        self.durable = self.durable.max(at);
        self.latest = self.latest.max(at);
    }
}

impl Judgement {
    /// Whether the deadline has passed, be it written or not.
    pub fn passed(self) -> bool {
        self != Self::Ahead
    }
}
