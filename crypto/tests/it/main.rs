//! Published vectors, our own vectors, and a ciphertext that opens under two keys.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(unreachable_pub, reason = "modules of one binary")]

mod salamander;
mod vectors;
mod wycheproof_sets;
