//! The transparency log as clients and witnesses check it, in the formats of C2SP. See `spec/log.md`.
//!
//! | module | c2sp.org/… | holds |
//! |---|---|---|
//! | `note` | signed-note | texts with signatures, named keys |
//! | `checkpoint` | tlog-checkpoint | size and root of the log |
//! | `cosignature`, `policy` | tlog-cosignature, tlog-policy | what witnesses sign, whose are wanted |
//! | `tile` | tlog-tiles | names of tiles, entry bundles |
//! | `proof` | tlog-proof | where a leaf stands |
//! | `submission` | tlog-witness | what a log sends to a witness |
//! | `node` | – | hashes of nodes |
//! | `merkle` | – | RFC 6962 inclusion and consistency, by `ct-merkle` |
//! | [`frontier`] | – | what grows: the right edge of such a tree |
//! | `scan` | – | all entries of a log, verified while they are read |
//! | `entry` | – | what a leaf says |
//! | `directory_head` | – | how many of them are about the directory, and a chain over those |
//! | `growth` | – | consistency proofs that come along with answers |
//! | `receipt` | – | statements with their places |
//!
//! What is signed but not checked is a [`SignedCheckpoint`], what the log has signed a [`VerifiedCheckpoint`], what
//! the quorum has cosigned a [`WitnessedCheckpoint`].

#[cfg(test)]
pub(crate) mod alone;
mod checkpoint;
mod cosignature;
mod directory_head;
mod entry;
pub mod frontier;
mod growth;
mod merkle;
mod node;
mod note;
mod policy;
mod proof;
mod receipt;
mod scan;
mod submission;
#[cfg(test)]
mod tests;
pub mod tile;

pub use self::{
    checkpoint::{Checkpoint, Generation, SignedCheckpoint, VerifiedCheckpoint, log_key, log_key_of},
    cosignature::{cosign, cosigned_at},
    directory_head::DirectoryHead,
    entry::{Entry, Mark, VaultSalt},
    growth::{Growth, LOG_GROWTH, LOG_SIZE},
    merkle::{Hash, verify_consistency, verify_leaf},
    note::{KeyKind, Note, NoteKey, SignatureLine},
    policy::{Policy, Witness, WitnessedCheckpoint},
    proof::TlogProof,
    receipt::{Logged, LoggedClaim, Receipt, ReceiptClaim, verify_inclusion, verify_published},
    scan::{Scan, TilePlan},
    submission::Submission,
};
