//! How the end of a certificate comes near.

/// How a certificate's end comes near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// More than [`WARN_DAYS`] are left.
    Far,
    /// So many whole days are left.
    Soon(u64),
    /// It has ended: clients refuse it.
    Over,
}

pub(super) fn ending(ends: u64, now: u64) -> Ending {
    match ends.checked_sub(now) {
        None => Ending::Over,
        Some(left) if left / DAY < WARN_DAYS => Ending::Soon(left / DAY),
        Some(_) => Ending::Far,
    }
}

/// Most certificates are renewed a month before their end: whoever hears of this has a renewal that does not work, and three weeks.
pub(super) const WARN_DAYS: u64 = 21;
pub(super) const DAY: u64 = 24 * 3600;
