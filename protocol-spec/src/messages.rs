//! Messages as generated from `proto/medvault/v1/*.proto`: unvalidated. Everything else in this crate
//! turns them into types that hold only what the rules allow.
#![allow(missing_docs, reason = "the .proto files carry the comments")]
#![allow(
    clippy::large_enum_variant,
    clippy::use_self,
    unreachable_pub,
    reason = "generated"
)]

use prost::Message;

use crate::{Error, defence::Defence};

include!(concat!(env!("OUT_DIR"), "/medvault.v1.rs"));

/// Decodes a message from the wire.
pub fn decode<M: Message + Default + prost::Name>(bytes: &[u8]) -> Result<M, Error> {
    M::decode(bytes).map_err(|_| Error::Decode { message: M::NAME })
}

/// Decodes a message that must be the canonical encoding of itself (STM-5): fields in order, each once,
/// none unknown, none at its default. Whatever is signed has exactly one form.
pub fn decode_canonical<M: Message + Default + prost::Name>(bytes: &[u8]) -> Result<M, Error> {
    let message: M = decode(bytes)?;
    if Defence::CanonicalBodies.holds(message.encode_to_vec() == bytes) {
        Ok(message)
    } else {
        Err(Error::Decode { message: M::NAME })
    }
}
