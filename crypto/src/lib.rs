//! Medvault's keys: what is sealed, wrapped and possessed, and by which key. No I/O, no async, no clock.
//!
//! ```text
//! VaultRootKey ─wraps─▶ CollectionKey ─wraps─▶ DataKey ─seals─▶ one record version: content and manifest
//!                                     └─wraps─▶ UploadKey ─derives─▶ DataKey of what is uploaded under it
//! RecipientKey ◀─wraps─ PermissionKey = secret ‖ DataKeys or UploadKey ─derives─▶ possession key (Ed25519)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `random` | where random bytes come from: [`SecureRandom`], and [`OperatingSystem`] as one |
//! | `secret` | a type for each symmetric key, with what it may be used for |
//! | `signing`, `recipient` | Ed25519 and X-Wing key pairs |
//! | `wrap` | HPKE Base to one recipient, behind [`PermissionKey`], [`seal_text`], [`seal_accreditation`], [`seal_terminal_keys`] |
//! | `committed`, `key_wrap`, `names` | committing seals under a key: keys under keys, names |
//! | `delegated_key` | collection keys to delegates |
//! | `root_key`, `link` | vault root keys to devices; the code of a new device |
//! | `conditions` | tokens and tags of records; a permission's conditions, sealed |
//! | `at_rest`, `home_seal` | the secrets of a client's home, under its passphrase or key file; tags of its files |
//! | `words_error` | why words are not those of a recovery |
//! | `recovery`, [`shares`] | the secret of a recovery member: as words, as keys, divided among trustees |
//! | `emergency` | the two halves of an emergency key |
//! | [`permission`] | permission keys: mint, seal, open, possession |
//! | [`content`] | records as streams of leaves, and their manifests |
//!
//! There is one suite, so nothing here takes an algorithm. Some failures are said here alone: whatever is opened or checked
//! fails as [`Error::Open`], whatever the reason; whatever is generated or sealed takes a [`SecureRandom`], and fails as
//! [`Error::Randomness`] if that gives no bytes; whatever makes a key pair of a seed fails as [`Error::Protocol`] if the public key
//! were degenerate, which no seed is known to cause.
//!
//! ```
//! use crypto::{DataKey, OperatingSystem, content::{Opener, RecordContext, Sealer, StreamLengths}};
//! use protocol_spec::ids::{PatientId, RecordId, VersionId};
//!
//! let record = RecordContext {
//!     patient: PatientId::from_bytes([1; 32]),
//!     record: RecordId::from_bytes([2; 16]),
//!     version: VersionId::from_bytes([3; 16]),
//! };
//! let key = DataKey::generate(&OperatingSystem)?;
//! let mut source = &b"blood count: normal"[..];
//! let lengths = |sealer: &Sealer| StreamLengths { stream: sealer.stream_len(), plaintext: 19 };
//!
//! let mut sealer = Sealer::new(&OperatingSystem, &key, &record, 19)?;
//! let mut leaf = Vec::new();
//! sealer.next_leaf(&mut leaf, |slot| {
//!     std::io::Read::read_exact(&mut source, slot).map_err(|_| crypto::Error::Interrupted)
//! })?;
//!
//! let (header, body) = leaf.split_first_chunk().ok_or(crypto::Error::Open)?;
//! let mut opener = Opener::new(&key, &record, header, lengths(&sealer))?.stream();
//! let mut text = Vec::new();
//! opener.push(body, &mut text)?;
//! let complete = opener.finish()?;
//! assert_eq!((text.as_slice(), complete.plaintext_len()), (&b"blood count: normal"[..], 19));
//! # Ok::<(), crypto::Error>(())
//! ```
#![warn(clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests may panic")
)]

mod accreditation;
mod at_rest;
mod committed;
mod conditions;
pub mod content;
mod delegated_key;
mod emergency;
mod error;
mod home_seal;
mod index;
mod kdf;
mod key_wrap;
mod link;
mod names;
mod padding;
pub mod permission;
mod random;
mod recipient;
mod recovery;
mod root_key;
mod secret;
pub mod shares;
mod signing;
mod terminal_keys;
mod text;
mod words_error;
mod wrap;

pub use protocol_spec::collection::Collection;

pub use self::{
    accreditation::{open_accreditation, seal_accreditation},
    at_rest::HomeKey,
    delegated_key::{DelegatedKeyContext, open_delegated_key, seal_delegated_key},
    emergency::{HalfContext, HalfReader},
    error::Error,
    home_seal::HomeSealKey,
    key_wrap::WrappedKey,
    link::{LinkCode, LinkNonce},
    permission::{ExpectedPermission, OpenedPermission, PermissionKey},
    random::{OperatingSystem, SecureRandom},
    recipient::RecipientSecret,
    recovery::{RecoveryKeys, RecoveryWords},
    root_key::{RootKeyContext, open_root_key, seal_root_key},
    secret::{
        AccreditationSecret, CardHalf, CollectionKey, ConditionsKey, DataKey, PermissionSecret,
        RecoverySecret, ServerHalf, TagKey, UploadKey, VaultRootKey,
    },
    signing::SigningIdentity,
    terminal_keys::{open_terminal_keys, seal_terminal_keys},
    text::{MAX_TEXT, TextContext, open_text, seal_text},
    words_error::{WORDS, WordsError},
    wrap::{Info, Opens},
};
