//! Clocks that stand still until somebody moves them, and chance that comes again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use crypto::SecureRandom;
use futures_util::future::{BoxFuture, poll_fn};

use crate::ground::{System, system::millis};

/// A machine on which nothing moves by itself: time passes by [`Self::advance`], and what was drawn from one seed is drawn again
/// from the same one. Nothing that protects anybody is to be drawn from it.
#[derive(Clone, Debug)]
pub struct StillSystem {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// What the clock says while `uptime` is zero, in milliseconds since 1970.
    began: u64,
    uptime: Duration,
    sleepers: Vec<(Duration, Waker)>,
    seed: u64,
    /// Times that chance was asked for.
    drawn: u64,
}

impl StillSystem {
    /// At this time, in milliseconds since 1970, with the chance of this seed.
    pub fn new(now_ms: u64, seed: u64) -> Self {
        let state = State {
            began: now_ms,
            uptime: Duration::ZERO,
            sleepers: Vec::new(),
            seed,
            drawn: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// So much time passes; whoever has slept long enough is woken.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.uptime = state.uptime.saturating_add(time);
        let uptime = state.uptime;
        let due = state.sleepers.extract_if(.., |(until, _)| *until <= uptime);
        let due: Vec<_> = due.collect();
        drop(state);
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Somebody sets the clock; nobody is woken by that.
    pub fn set_clock(&self, now_ms: u64) {
        let mut state = self.state();
        state.began = now_ms.saturating_sub(millis(state.uptime));
    }

    /// Each change is one call, so no panic leaves it half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl System for StillSystem {
    fn now_ms(&self) -> u64 {
        let state = self.state();
        state.began.saturating_add(millis(state.uptime))
    }

    fn uptime(&self) -> Duration {
        self.state().uptime
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let until = self.uptime().saturating_add(time);
        let system = self.clone();
        Box::pin(poll_fn(move |context| {
            let mut state = system.state();
            if state.uptime >= until {
                return Poll::Ready(());
            }
            state.sleepers.push((until, context.waker().clone()));
            Poll::Pending
        }))
    }

    /// Nobody else could move the clock meanwhile: it moves by itself.
    fn hold_up(&self, time: Duration) {
        self.advance(time);
    }
}

impl SecureRandom for StillSystem {
    /// BLAKE3(seed ‖ how often chance was asked for), as long as it is needed.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), crypto::Error> {
        let mut state = self.state();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&state.seed.to_be_bytes());
        hasher.update(&state.drawn.to_be_bytes());
        hasher.finalize_xof().fill(bytes);
        state.drawn = state.drawn.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_sleeps_is_woken_when_time_has_passed_and_not_before() {
        let system = StillSystem::new(1_000, 1);
        let mut sleep = system.sleep(Duration::from_secs(2));
        assert!((&mut sleep).now_or_never().is_none());
        system.advance(Duration::from_secs(1));
        system.set_clock(9_000_000);
        assert!((&mut sleep).now_or_never().is_none());
        system.advance(Duration::from_secs(1));
        assert!((&mut sleep).now_or_never().is_some());
        assert_eq!(
            (system.now_ms(), system.uptime()),
            (9_001_000, Duration::from_secs(2))
        );
    }

    #[test]
    fn what_comes_in_time_comes_and_nothing_waits_longer() {
        let still = StillSystem::new(0, 1);
        let system: &dyn System = &still;
        let second = Duration::from_secs(1);
        assert_eq!(system.within(second, async { 7 }).now_or_never(), Some(Some(7)));
        let mut late = Box::pin(system.within(second, std::future::pending::<()>()));
        assert!((&mut late).now_or_never().is_none());
        still.advance(second);
        assert_eq!(late.now_or_never(), Some(None));
    }

    #[test]
    fn chance_of_one_seed_comes_again_and_never_twice() {
        let draw = |seed| {
            let still = StillSystem::new(0, seed);
            let system: &dyn System = &still;
            [system.random::<16>().unwrap(), system.random().unwrap()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }
}
