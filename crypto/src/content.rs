//! Sealing and opening of records: C2SP chunked-encryption@v1 with ChaCha20-Poly1305. See `spec/content.md` §2.
//!
//! ```text
//! stream = salt (24) ‖ commitment (32) ‖ chunk 0 ‖ chunk 1 ‖ …     chunk = ciphertext ‖ tag (16)
//! key (32) ‖ base nonce (12) ‖ commitment (32) =
//!     HKDF-Expand-SHA-512 (DEK, "c2sp.org/chunked-encryption@v1+AEAD_CHACHA20_POLY1305" ‖ 0x00 ‖ salt ‖ context)
//! nonce of chunk i = base nonce ⊕ i
//! ```
//! Every chunk but the last holds 16 KiB, the last one less, so that a stream cut at a border is no stream.
//!
//! | module | does |
//! |---|---|
//! | `framing` | derivation, header, single chunks; generic over the AEAD, so that published vectors reach it |
//! | `layout` | which chunk is where, for one length |
//! | `reader` | chunks in order, from pieces of any size; generic like `framing` |
//! | `sealer` | [`Sealer`]: plaintext in, leaves of 1 MiB out, from any leaf on |
//! | `opener` | [`Opener`]: stream or ranges in, plaintext out; completeness is a type |
//! | `manifest` | [`seal_manifest`], [`open_manifest`]: the small second stream of a record |

mod framing;
mod layout;
mod manifest;
mod opener;
mod reader;
mod sealer;
#[cfg(test)]
mod wycheproof_tests;

use chacha20poly1305::ChaCha20Poly1305;
use protocol_spec::{
    field::SUITE,
    ids::{PatientId, RecordId, VersionId},
    labels,
};

use self::framing::Framing;
pub use self::{
    framing::{HEADER_LEN, Header},
    manifest::{open_manifest, seal_manifest},
    opener::{Opener, RangeOpener, StreamLengths, StreamOpener, VerifiedContent},
    sealer::Sealer,
};
use crate::{DataKey, Error, SecureRandom};

/// Whose record, which record and which version of it: what a stream opens as, and as nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordContext {
    /// The patient in whose vault the record lies.
    pub patient: PatientId,
    /// The record, which all its versions share.
    pub record: RecordId,
    /// The version, under which nothing else is ever sealed.
    pub version: VersionId,
}

/// Which of a record's two streams.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Class {
    Content = 1,
    Manifest = 2,
}

impl RecordContext {
    /// LABEL(SEAL_CONTENT) ‖ u32be(suite) ‖ patient ‖ record ‖ version ‖ u8 class (CNT-1).
    fn bytes(&self, class: Class) -> Vec<u8> {
        let Self {
            patient,
            record,
            version,
        } = self;
        [
            &labels::SEAL_CONTENT.bytes()[..],
            &SUITE.to_be_bytes(),
            patient.as_bytes(),
            record.as_bytes(),
            version.as_bytes(),
            &[class as u8],
        ]
        .concat()
    }
}

/// A stream under a fresh salt.
fn start(
    random: &dyn SecureRandom,
    key: &DataKey,
    record: &RecordContext,
    class: Class,
) -> Result<(Framing<ChaCha20Poly1305>, Header), Error> {
    Framing::start(random, key.expose(), &record.bytes(class))
}

/// A stream that has this header; its commitment is checked.
fn open(
    key: &DataKey,
    record: &RecordContext,
    class: Class,
    header: &Header,
) -> Result<Framing<ChaCha20Poly1305>, Error> {
    Framing::open(key.expose(), &record.bytes(class), header)
}

#[cfg(test)]
mod tests;
