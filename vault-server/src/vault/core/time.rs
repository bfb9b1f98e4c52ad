//! The vault's time: the clock, but never behind itself (ATK-29), and not where it jumps to (ATK-67).
//!
//! Whatever has once been treated as past stays past, also after a restart with the clock set back:
//! when a deadline is called passed, a floor of time beyond it is written to the ledger. The log's last
//! checkpoint is a second floor. So a clock that jumps ahead must not be gone by: see [`crate::vault::core::steady`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use protocol_spec::{
    defence::clock_ahead,
    lifecycle::{Floor, Judgement, Rules},
    problem::Problem,
};

use crate::{
    store::{Commit, CommitId, Decision, Ledger, transact},
    vault::{
        core::{
            limits::VaultLimits,
            refusal::Refusal,
            steady::{Believed, Jumps, Steady, text},
            units::millis,
        },
        tables::{self, FloorRow, Row as _},
    },
};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// How much time has gone by since some moment before: it grows evenly, and nobody sets it.
    fn gone_by(&self) -> Duration;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(since.saturating_add(clock_ahead()))
    }

    /// It goes on while the machine sleeps: to wake up is no jump.
    #[cfg(target_os = "linux")]
    fn gone_by(&self) -> Duration {
        let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::try_from(since_boot).unwrap_or_default()
    }

    #[cfg(not(target_os = "linux"))]
    fn gone_by(&self) -> Duration {
        static BEGIN: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        BEGIN.elapsed()
    }
}

/// A clock with a floor that rises with it.
pub(in crate::vault) struct Time {
    clock: Arc<dyn Clock>,
    ledger: Arc<dyn Ledger>,
    /// Guards nothing else; never held over an await.
    state: Mutex<State>,
}

struct State {
    floor: Floor,
    steady: Steady,
    /// Whether the clock was not gone by when it was last looked at.
    held: bool,
}

impl Time {
    /// Continues where the ledger's floor stands, unless the clock is too far ahead of it (PRM-15).
    pub(in crate::vault) async fn load(
        clock: Arc<dyn Clock>,
        ledger: Arc<dyn Ledger>,
        limits: &VaultLimits,
    ) -> Result<Self, Refusal> {
        let last = tables::floor().get(&*ledger).await?.map_or(0, |row| row.at);
        let jumps = Jumps {
            running: limits.clock_jump,
            starting: limits.clock_gap,
            accepted: limits.clock_accepted,
        };
        if clock.now_ms() < last {
            tracing::warn!(
                clock = text(clock.now_ms()),
                last = text(last),
                "the clock is behind the vault's last time, which stands still until the clock has reached it: set it right"
            );
        }
        let steady = Steady::begin(clock.now_ms(), clock.gone_by(), last, jumps)
            .map_err(|cause| Refusal::new(Problem::Unavailable, cause))?;
        let state = State {
            floor: Floor::load(last),
            steady,
            held: false,
        };
        Ok(Self {
            clock,
            ledger,
            state: Mutex::new(state),
        })
    }

    /// Milliseconds since 1970; never less than it has ever answered.
    pub(in crate::vault) fn now(&self) -> u64 {
        let mut state = self.state();
        let clock = self.believed(&mut state);
        state.floor.now(clock)
    }

    /// Raises the floor, without writing it, and gives the time.
    pub(in crate::vault) fn at_least(&self, time: u64) -> u64 {
        self.state().floor.now(time)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the clock says, as far as it is gone by. The operator is told once when that changes.
    fn believed(&self, state: &mut State) -> u64 {
        let clock = self.clock.now_ms();
        let believed = state.steady.believe(clock, self.clock.gone_by());
        let held = matches!(believed, Believed::Held(_));
        if held != state.held {
            state.held = held;
            let (clock, time) = (text(clock), text(believed.time()));
            if held {
                tracing::error!(
                    clock,
                    time,
                    "the clock has jumped ahead and is not gone by, only the time that has gone by: set it right; if it is \
                     right, start the server once with --accept-clock and a moment that is not before it"
                );
            } else {
                tracing::warn!(clock, "the clock is gone by again");
            }
        }
        believed.time()
    }

    /// Whether a deadline (the first millisecond that is too late) has passed. Once true, true for ever.
    /// (PRM-13)
    pub(in crate::vault) async fn has_passed(&self, deadline: u64) -> bool {
        let judgement = {
            let mut state = self.state();
            let clock = self.believed(&mut state);
            state.floor.judge(clock, deadline, &Rules::in_force())
        };
        if matches!(judgement, Judgement::PassedOnceWritten(_))
            && let Err(refusal) = self.persist().await
        {
            // Refusing needs no disk; only the memory of it does.
            tracing::warn!(cause = refusal.cause, "the floor of time is not written");
        }
        judgement.passed()
    }

    /// Writes the floor.
    pub(in crate::vault) async fn persist(&self) -> Result<(), Refusal> {
        let now = self.now();
        let at = transact(&*self.ledger, |_| self.raise(now)).await?;
        self.state().floor.written(at);
        Ok(())
    }

    async fn raise(&self, now: u64) -> Result<Decision<u64>, Refusal> {
        let floor = tables::floor();
        let (stored, version) = floor.read(&*self.ledger).await?;
        let at = stored.map_or(0, |row| row.at).max(now);
        let commit = Commit::new(CommitId::fresh()).urgent();
        let mut commit = commit.put(floor.key().clone(), FloorRow { at }.bytes());
        commit.checks.push((floor.key().clone(), version));
        Ok(Decision::Commit(commit, at))
    }
}
