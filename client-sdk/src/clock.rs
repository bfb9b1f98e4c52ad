//! What time it is, for whoever decides (PRM-16). The server's clock decides nothing here: what it says is needed to sign
//! requests that it takes, and where something has an end it can only make that come earlier.
//!
//! The home keeps the latest time that was seen in it: a clock that was set back revives nothing.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use protocol_spec::defence::Defence;

use crate::{
    Error, Result,
    ground::System,
    home::{Home, latest},
    notice::{self, Notice},
};

/// This machine's clock, the latest time that the home has seen, and how far the server's clock is from this one's.
#[derive(Debug)]
pub(crate) struct Clock {
    system: Arc<dyn System>,
    /// Milliseconds to add to this machine's clock for the server's, as it has said when it refused a signature.
    skew: AtomicI64,
    /// The latest time that was seen.
    floor: AtomicU64,
    /// The latest time that the home has kept, in milliseconds; the clock does not go back behind it.
    kept: Mutex<u64>,
}

/// One look at both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    own: u64,
    server: u64,
}

impl Clock {
    pub(crate) fn new(system: Arc<dyn System>) -> Self {
        Self {
            system,
            skew: AtomicI64::default(),
            floor: AtomicU64::default(),
            kept: Mutex::default(),
        }
    }

    /// Time and chance as they come, with no word of any server.
    pub(crate) fn system(&self) -> &dyn System {
        &*self.system
    }

    /// Goes on where the home's floor stands. A clock that is far behind it is told.
    pub(crate) fn begin(&self, home: &Home) -> Result<()> {
        let kept = latest::kept(home)?;
        let now = self.system.now_ms();
        if now.saturating_add(TELL) < kept {
            notice::tell(Notice::ClockSetBack { now, seen: kept });
        }
        self.floor.fetch_max(kept, Ordering::Relaxed);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }

    /// The time by this clock, and how sure it is.
    pub(crate) fn now(&self) -> Moment {
        let clock = self.system.now_ms();
        let own = clock.max(self.floor.fetch_max(clock, Ordering::Relaxed));
        let server = clock.saturating_add_signed(self.skew.load(Ordering::Relaxed));
        Moment { own, server }
    }

    /// This machine's time, never before what it was in this home.
    pub(crate) fn own_ms(&self) -> u64 {
        self.now().own()
    }

    /// The server's time, for the times of a request's signature and for nothing else.
    pub(crate) fn for_signatures(&self) -> u64 {
        self.now().server
    }

    /// The server has refused a signature, and says what time it has.
    pub(crate) fn follow(&self, server: u64) {
        let own = self.system.now_ms();
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        self.skew
            .store(signed(server).saturating_sub(signed(own)), Ordering::Relaxed);
        if server.abs_diff(own) > TELL {
            notice::tell(Notice::ServerClock { own, server });
        }
    }

    /// Looks at what she is about to give: from `not_before` on, which is now if she has not said it, until `not_after`. By the
    /// server's clock, as far as that has said how it goes, it may be over already, and then nothing is given; or begin later than she
    /// thinks, and then she is told (OPR-9).
    pub(crate) fn check_given(&self, not_before: Option<u64>, not_after: u64) -> Result<()> {
        let own = self.system.now_ms();
        let server = self.for_signatures();
        if server >= not_after && own < not_after {
            return Err(Error::ClockBehind { own, server });
        }
        let begins = own.saturating_sub(CLOCK_TOLERANCE);
        if not_before.is_none() && server < begins {
            let wait = begins.saturating_sub(server);
            notice::tell(Notice::BeginsLater { own, server, wait });
        }
        Ok(())
    }

    /// Keeps the latest time that was seen, if that is much later than what the home has.
    pub(crate) fn keep(&self, home: &Home) -> Result<()> {
        let floor = self.floor.load(Ordering::Relaxed);
        let mut known = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if floor < known.saturating_add(KEEP_EVERY) {
            return Ok(());
        }
        let _lock = home.try_lock()?;
        *known = latest::kept(home)?.max(floor);
        latest::keep(home, *known)
    }
}

impl Moment {
    /// This machine's time, never before what it was in this home.
    pub(crate) fn own(self) -> u64 {
        self.own
    }

    /// Whether what ends then may be over: by the later of both clocks.
    pub(crate) fn may_be_over(self, end: u64) -> bool {
        if Defence::OwnClock.is_off() {
            return self.server >= end;
        }
        self.own.max(self.server) >= end
    }

    /// Whether what begins then has begun: by the earlier of both clocks.
    pub(crate) fn has_begun(self, begin: u64) -> bool {
        if Defence::OwnClock.is_off() {
            return self.server >= begin;
        }
        self.own.min(self.server) >= begin
    }

    /// Whether it is over by this machine's clock: no other one makes this client do what cannot be undone.
    pub(crate) fn is_over(self, end: u64) -> bool {
        self.own >= end
    }
}

/// This machine's time, never before what it was in this home, where there is no session yet.
pub(crate) fn own_ms(home: &Home) -> Result<u64> {
    Ok(latest::kept(home)?.max(home.system().now_ms()))
}

/// By how much what is given begins before it is given, in milliseconds: clocks differ.
pub(crate) const CLOCK_TOLERANCE: u64 = 5 * 60 * 1000;
/// A difference of more than this is told.
const TELL: u64 = 5 * 60 * 1000;
/// Whoever sets a clock back gains no more than this.
const KEEP_EVERY: u64 = 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::native::Native;

    const END: u64 = 1_000_000;

    fn moment(own: u64, server: u64) -> Moment {
        Moment { own, server }
    }

    /// PRM-16, ATK-66
    #[test]
    fn ends_come_by_the_later_clock_and_beginnings_by_the_earlier() {
        for (own, server) in [(END - 1, END), (END, END - 1), (END, 0), (0, END)] {
            assert!(moment(own, server).may_be_over(END), "{own} {server}");
            assert_eq!(moment(own, server).has_begun(END), own.min(server) >= END);
            assert_eq!(moment(own, server).is_over(END), own >= END);
        }
        assert!(!moment(END - 1, END - 1).may_be_over(END));
        assert!(moment(END, END).has_begun(END));
    }

    /// OPR-9: a clock that is behind gives nothing that is over at once; one that is ahead gives it, and says from when on it counts.
    #[test]
    fn what_is_given_is_looked_at_by_the_servers_clock_too() {
        const HOUR: u64 = 3_600_000;
        let clock = Clock::new(Arc::new(Native::default()));
        let now = clock.system.now_ms();
        assert!(clock.check_given(None, now + HOUR).is_ok() && notice::take().is_empty());
        clock.follow(now + 2 * HOUR);
        let behind = clock.check_given(None, now + HOUR).unwrap_err();
        assert_eq!(behind.code(), "clock-behind");
        assert!(
            behind.to_string().contains("Set this machine's clock right"),
            "{behind}"
        );
        assert!(clock.check_given(None, now + 3 * HOUR).is_ok());
        drop(notice::take());
        clock.follow(now - 2 * HOUR);
        clock.check_given(None, now + HOUR).unwrap();
        let told = notice::take();
        let later = told
            .iter()
            .find(|notice| matches!(notice, Notice::BeginsLater { .. }));
        let text = later.unwrap().to_string();
        assert!(text.contains("1h 5") && text.contains("permit again"), "{text}");
        // She has said herself when it begins.
        clock.check_given(Some(now), now + HOUR).unwrap();
        assert!(notice::take().is_empty());
    }

    /// PRM-16, ATK-66
    #[test]
    fn what_the_server_says_moves_signatures_alone() {
        let clock = Clock::new(Arc::new(Native::default()));
        let before = clock.system.now_ms();
        clock.follow(before - 3_600_000);
        assert!(clock.for_signatures() < before - 3_500_000);
        assert!(clock.own_ms() >= before);
        assert!(clock.now().may_be_over(before));
        clock.follow(before + 3_600_000);
        assert!(clock.for_signatures() > before + 3_500_000);
        assert!(clock.now().may_be_over(before + 3_000_000));
        assert!(!clock.now().is_over(before + 3_000_000));
        assert!(!clock.now().has_begun(before + 3_000_000));
    }
}
