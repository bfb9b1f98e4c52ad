//! The protocol spoken by hand: every message is built in the open, so that a test can replay, mutate
//! and mix what it sends. No retries, no checks of answers, no state but keys. What actors sign is in the crate `actors`; here is
//! what needs ciphers, and a server.
//!
//! All that is here fails when no answer comes, when the server refuses what must be taken, and when there is no randomness.

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

use anyhow::Result;
use crypto::SigningIdentity;

pub use actors::setting::now_ms;
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

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("randomness: {error}"))?;
    Ok(bytes)
}

/// The same key pair, as actors sign with it.
pub(crate) fn pair(identity: &SigningIdentity) -> actors::KeyPair {
    actors::KeyPair::from_seed(*identity.expose_seed())
}

/// A structured-field byte sequence (RFC 9651 §3.3.5), as `medvault-challenge` and `medvault-leaves` hold it.
pub fn byte_sequence(bytes: &[u8]) -> String {
    format!(":{}:", data_encoding::BASE64.encode(bytes))
}
