//! The units of the protocol.

use std::time::Duration;

/// A duration in the protocol's unit.
pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
