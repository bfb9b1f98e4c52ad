//! The vault's time: the clock, but never behind itself (ATK-29).
//!
//! Whatever has once been treated as past stays past, also after a restart with the clock set back:
//! when a deadline is called passed, a floor of time beyond it is written to the ledger. The log's last
//! checkpoint is a second floor. The price: a clock that jumps ahead by mistake is believed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use protocol_spec::lifecycle::{Floor, Judgement, Rules};

use super::{
    Refusal,
    tables::{self, FloorRow, Row as _},
};
use crate::store::{Commit, CommitId, Decision, Ledger, StoreError, transact};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// A duration in the protocol's unit.
pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// A clock with a floor that rises with it.
pub(super) struct Time {
    clock: Arc<dyn Clock>,
    ledger: Arc<dyn Ledger>,
    /// Guards nothing else; never held over an await.
    floor: Mutex<Floor>,
}

impl Time {
    /// Continues where the ledger's floor stands.
    pub(super) async fn load(clock: Arc<dyn Clock>, ledger: Arc<dyn Ledger>) -> Result<Self, StoreError> {
        let floor = tables::floor().get(&*ledger).await?.map_or(0, |row| row.at);
        Ok(Self {
            clock,
            ledger,
            floor: Mutex::new(Floor::load(floor)),
        })
    }

    /// Milliseconds since 1970; never less than it has ever answered.
    pub(super) fn now(&self) -> u64 {
        self.at_least(self.clock.now_ms())
    }

    /// Raises the floor, without writing it, and gives the time.
    pub(super) fn at_least(&self, time: u64) -> u64 {
        self.floor().now(time)
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a deadline (the first millisecond that is too late) has passed. Once true, true for ever.
    /// (PRM-13)
    pub(super) async fn has_passed(&self, deadline: u64) -> bool {
        let judgement = self
            .floor()
            .judge(self.clock.now_ms(), deadline, &Rules::in_force());
        if matches!(judgement, Judgement::PassedOnceWritten(_))
            && let Err(refusal) = self.persist().await
        {
            // Refusing needs no disk; only the memory of it does.
            tracing::warn!(cause = refusal.cause, "the floor of time is not written");
        }
        judgement.passed()
    }

    /// Writes the floor.
    pub(super) async fn persist(&self) -> Result<(), Refusal> {
        let now = self.now();
        let at = transact(&*self.ledger, |_| self.raise(now)).await?;
        self.floor().written(at);
        Ok(())
    }

    async fn raise(&self, now: u64) -> Result<Decision<u64>, Refusal> {
        let floor = tables::floor();
        let (stored, version) = floor.read(&*self.ledger).await?;
        let at = stored.map_or(0, |row| row.at).max(now);
        let mut commit = Commit::new(CommitId::fresh()).put(floor.key().clone(), FloorRow { at }.bytes());
        commit.checks.push((floor.key().clone(), version));
        Ok(Decision::Commit(commit, at))
    }
}
