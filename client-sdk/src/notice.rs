//! What a person should be told beside what a command answers. It keeps nothing from being done.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Something that was noticed on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The server says another time than this machine has; in milliseconds since 1970.
    ServerClock {
        /// The time by this machine's clock.
        own: u64,
        /// The time by the server's clock.
        server: u64,
    },
    /// What was given begins only later by the server's clock.
    BeginsLater {
        /// By this machine's clock, in milliseconds since 1970.
        own: u64,
        /// The time by the server's clock.
        server: u64,
        /// For how long the server will refuse it, in milliseconds.
        wait: u64,
    },
    /// This machine's clock is behind what it was in this home; in milliseconds since 1970.
    ClockSetBack {
        /// The time that the clock says now.
        now: u64,
        /// The later time that it has said before.
        seen: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerClock { own, server } => {
                let side = if server > own { "ahead of" } else { "behind" };
                let far = far(*own, *server);
                write!(
                    f,
                    "the server's clock is {far} {side} this machine's: one of them is wrong, look at this machine's first; nothing is \
                     decided by the server's, but what ends by either of them is treated as over"
                )
            }
            Self::BeginsLater { own, server, wait } => {
                let (ahead, wait) = (far(*own, *server), far(*wait, 0));
                write!(
                    f,
                    "this machine's clock is {ahead} ahead of the server's, so what was given now counts there only in {wait}, and the \
                     institution is refused until then: set this machine's clock right and permit again, or tell the institution to wait"
                )
            }
            Self::ClockSetBack { now, seen } => {
                let far = far(*now, *seen);
                write!(
                    f,
                    "this machine's clock is {far} behind what it was in this home: set it right; until then what has ended by the \
                     later time stays over; if the later time was wrong: medvault home check --accept-clock"
                )
            }
        }
    }
}

/// What has been noticed since it was asked last, each thing once.
pub fn take() -> Vec<Notice> {
    std::mem::take(&mut *NOTICED.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn tell(notice: Notice) {
    let mut noticed = NOTICED.lock().unwrap_or_else(PoisonError::into_inner);
    let kind = std::mem::discriminant(&notice);
    if noticed.iter().all(|told| std::mem::discriminant(told) != kind) {
        noticed.push(notice);
    }
}

fn far(one: u64, other: u64) -> String {
    let whole = Duration::from_secs(one.abs_diff(other) / 60_000 * 60);
    humantime::format_duration(whole).to_string()
}

static NOTICED: Mutex<Vec<Notice>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_in_words() {
        let text = Notice::ServerClock {
            own: 0,
            server: 3_660_000,
        }
        .to_string();
        assert!(
            text.starts_with("the server's clock is 1h 1m ahead of this machine's"),
            "{text}"
        );
        let text = Notice::ClockSetBack {
            now: 0,
            seen: 86_400_000,
        }
        .to_string();
        assert!(text.starts_with("this machine's clock is 1day behind"), "{text}");
    }
}
