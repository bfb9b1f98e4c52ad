//! Published vectors, our own vectors, a ciphertext that opens under two keys, and other attacks with their controls.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(unreachable_pub, reason = "modules of one binary")]

mod keys;
mod loose;
mod memory;
mod salamander;
mod vectors;
mod wycheproof_sets;
