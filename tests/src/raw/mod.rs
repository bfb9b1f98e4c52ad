//! The protocol spoken by hand: every message is built in the open, so that a test can replay, mutate
//! and mix what it sends. No retries, no checks of answers, no state but keys.

mod chain;
mod control;
mod delegate;
mod deleting;
mod emergency;
mod institution;
mod patient;
mod reseal;
mod thief;
mod wire;
mod world;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

pub use chain::RawTerminal;
pub use control::{defended, defended_with};
pub use delegate::RawDelegation;
pub use emergency::RawCard;
pub use institution::RawInstitution;
pub use patient::{Offer, RawPatient};
pub use thief::{Newcomer, Rotation};
pub use wire::{Answer, Call, Key, Wire, rest};
pub(crate) use wire::{HttpsClient, believing_client};
pub use world::RawWorld;

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

/// Random bytes.
///
/// # Errors
/// When the system has none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("randomness: {error}"))?;
    Ok(bytes)
}

/// A structured-field byte sequence (RFC 9651 §3.3.5), as `medvault-challenge` and `medvault-leaves` hold it.
pub fn byte_sequence(bytes: &[u8]) -> String {
    format!(":{}:", data_encoding::BASE64.encode(bytes))
}
