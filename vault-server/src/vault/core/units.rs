//! The units of the protocol.

use std::time::Duration;

use protocol_spec::problem::Problem;

use crate::vault::core::refusal::Refusal;

/// A duration in the protocol's unit.
pub(in crate::vault) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Bytes from the system's generator.
pub(in crate::vault) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Refusal::new(Problem::Internal, error))?;
    Ok(bytes)
}
