//! A clock that jumps ahead is not gone by (PRM-15): whatever it called past would stay past, and every permission would
//! end with it.
//!
//! While the server runs, the system's steady time, which nobody sets, says how much has gone by. Over a restart nothing does:
//! then the clock is held against the vault's last time, and a gap that is longer than the operator allows is hers to confirm.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::vault::core::units::millis;

/// How far a clock may be ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vault) struct Jumps {
    /// Of the time that has gone by, while the server runs.
    pub(in crate::vault) running: Duration,
    /// Of the vault's last time, when it starts.
    pub(in crate::vault) starting: Duration,
    /// The operator has said that it is right as late as this, in milliseconds since 1970.
    pub(in crate::vault) accepted: u64,
}

/// What the clock said once, and how much steady time had gone by then.
#[derive(Clone, Copy, Debug)]
pub(in crate::vault) struct Steady {
    clock: u64,
    at: Duration,
    /// The vault's last time, as long as the clock has not reached it since the start: then nobody knows yet what is right.
    behind: Option<u64>,
    jumps: Jumps,
}

/// What time it is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Believed {
    /// What the clock says.
    Clock(u64),
    /// What has gone by since the clock was last believed, which is less.
    Held(u64),
}

impl Steady {
    /// Begins with a clock, if it is not too far ahead of the vault's `last` time; 0 is of a vault that has none.
    pub(in crate::vault) fn begin(clock: u64, at: Duration, last: u64, jumps: Jumps) -> Result<Self, String> {
        let most = last.saturating_add(millis(jumps.starting)).max(jumps.accepted);
        if last == 0 || clock <= most {
            let behind = (clock < last).then_some(last);
            return Ok(Self {
                clock,
                at,
                behind,
                jumps,
            });
        }
        Err(format!(
            "the clock says {}, and the vault's last time was {}: set the clock right; if it is right, and the server stood \
             still so long, start it once with --accept-clock {}",
            text(clock),
            text(last),
            text(clock.saturating_add(MARGIN)),
        ))
    }

    /// The time to go by, when the clock says `clock` and so much steady time has gone by.
    pub(in crate::vault) fn believe(&mut self, clock: u64, at: Duration) -> Believed {
        let gone = at.saturating_sub(self.at);
        if let Some(last) = self.behind {
            return self.catch_up(clock, at, last.saturating_add(millis(gone)));
        }
        let steady = self.clock.saturating_add(millis(gone));
        let most = steady.saturating_add(millis(self.jumps.running));
        if clock > most.max(self.jumps.accepted) {
            return Believed::Held(steady);
        }
        // Small differences of both must not add up over months. One that was set back is no new beginning: it may be set right.
        if gone >= BEGIN_ANEW && clock >= steady || clock > most {
            (self.clock, self.at) = (clock, at);
        }
        Believed::Clock(clock)
    }

    /// A clock that was behind when the server started, as one without a battery is until the network has set it: it is held
    /// against the vault's last time, as at a start, when it has reached that.
    fn catch_up(&mut self, clock: u64, at: Duration, last: u64) -> Believed {
        let most = last
            .saturating_add(millis(self.jumps.starting))
            .max(self.jumps.accepted);
        if self.behind.is_some_and(|last| clock < last) {
            return Believed::Clock(clock);
        }
        if clock > most {
            return Believed::Held(last);
        }
        (self.clock, self.at, self.behind) = (clock, at, None);
        Believed::Clock(clock)
    }
}

impl Believed {
    pub(in crate::vault) fn time(self) -> u64 {
        match self {
            Self::Clock(time) | Self::Held(time) => time,
        }
    }
}

/// A moment as `--accept-clock` takes it.
pub(in crate::vault) fn text(ms: u64) -> String {
    let moment = UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    // The end of the year 9999, behind which there is no such text.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let shown = moment.filter(|moment| *moment <= last).unwrap_or(last);
    humantime::format_rfc3339_seconds(shown).to_string()
}

/// What the operator says of a clock, in milliseconds since 1970.
pub(crate) fn since_1970(moment: SystemTime) -> u64 {
    millis(moment.duration_since(UNIX_EPOCH).unwrap_or_default())
}

const BEGIN_ANEW: Duration = Duration::from_secs(24 * 3600);
/// So that there is time to start the server with it.
const MARGIN: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000_000;
    const MINUTE: u64 = 60_000;
    const DAY: u64 = 24 * 60 * MINUTE;

    fn jumps() -> Jumps {
        Jumps {
            running: Duration::from_secs(600),
            starting: Duration::from_secs(24 * 3600),
            accepted: 0,
        }
    }

    fn after(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// PRM-15, ATK-67
    #[test]
    fn a_clock_that_jumps_is_held_until_it_is_right_again() {
        let mut steady = Steady::begin(START, after(5), 0, jumps()).unwrap();
        let mut at = |clock, gone| steady.believe(clock, after(5 + gone));
        assert_eq!(at(START + MINUTE, MINUTE), Believed::Clock(START + MINUTE));
        let jumped = START + 30 * DAY;
        assert_eq!(at(jumped, 2 * MINUTE), Believed::Held(START + 2 * MINUTE));
        assert_eq!(at(jumped + DAY, DAY), Believed::Held(START + DAY));
        assert_eq!(
            at(START + DAY + MINUTE, DAY),
            Believed::Clock(START + DAY + MINUTE)
        );
        // Set back, and right again.
        assert_eq!(at(START - DAY, 3 * DAY), Believed::Clock(START - DAY));
        assert_eq!(at(START + 4 * DAY, 4 * DAY), Believed::Clock(START + 4 * DAY));
    }

    /// PRM-15: a machine without a battery starts in 1970, and the network sets its clock; one that is set too far is not gone by.
    #[test]
    fn a_clock_that_was_behind_at_the_start_is_believed_once_it_is_set_right() {
        for clock in [0, START - 60 * MINUTE] {
            let mut steady = Steady::begin(clock, after(0), START, jumps()).unwrap();
            assert_eq!(
                steady.believe(clock + MINUTE, after(MINUTE)),
                Believed::Clock(clock + MINUTE)
            );
            let far = START + 9 * DAY;
            assert_eq!(
                steady.believe(far, after(2 * MINUTE)),
                Believed::Held(START + 2 * MINUTE)
            );
            let right = START + 20 * MINUTE;
            assert_eq!(steady.believe(right, after(3 * MINUTE)), Believed::Clock(right));
            // From here on it is a clock like any other.
            let jumped = right + 30 * MINUTE;
            assert_eq!(
                steady.believe(jumped, after(4 * MINUTE)),
                Believed::Held(right + MINUTE)
            );
        }
    }

    /// PRM-15
    #[test]
    fn small_steps_do_not_add_up_to_a_jump_and_many_in_a_day_do() {
        let mut steady = Steady::begin(START, after(0), 0, jumps()).unwrap();
        for day in 1..=30 {
            let clock = START + day * (DAY + 5 * MINUTE);
            assert_eq!(steady.believe(clock, after(day * DAY)), Believed::Clock(clock));
        }
        let mut steady = Steady::begin(START, after(0), 0, jumps()).unwrap();
        let step =
            |steady: &mut Steady, number| steady.believe(START + number * 6 * MINUTE, after(number * MINUTE));
        assert_eq!(step(&mut steady, 2), Believed::Clock(START + 12 * MINUTE));
        assert_eq!(step(&mut steady, 3), Believed::Held(START + 3 * MINUTE));
    }

    /// PRM-15
    #[test]
    fn a_long_gap_is_the_operators_to_confirm_up_to_a_moment() {
        let begin = |clock, accepted| Steady::begin(clock, after(0), START, Jumps { accepted, ..jumps() });
        assert!(begin(START + DAY, 0).is_ok());
        assert!(begin(START - DAY, 0).is_ok());
        let refused = begin(START + DAY + 1, 0).unwrap_err();
        assert!(
            refused.contains("--accept-clock 2027-01-16T09:00:00Z"),
            "{refused}"
        );
        assert!(begin(START + 2 * DAY, START + 2 * DAY).is_ok());
        assert!(begin(START + 2 * DAY + 1, START + 2 * DAY).is_err());
        let mut accepted = begin(START, START + 9 * DAY).unwrap();
        assert_eq!(
            accepted.believe(START + 9 * DAY, after(0)),
            Believed::Clock(START + 9 * DAY)
        );
        assert_eq!(
            accepted.believe(START + 9 * DAY + MINUTE, after(MINUTE)),
            Believed::Clock(START + 9 * DAY + MINUTE),
            "time goes on from there"
        );
    }

    #[test]
    fn moments_are_shown_whatever_they_are() {
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
