//! What a permission is for, and whose place it takes.

use crate::{
    Error, content,
    declare::fields,
    field::Field,
    hash::{ContentRoot, Sha256Digest},
    ids::{PermissionId, RecordId, VersionId},
    messages as pb,
};

/// What a permission lets its holder do. Nothing converts one into another (PRM-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Send records that the institution makes.
    Upload,
    /// Receive records, asked for by the institution itself.
    Download,
    /// Receive records, asked for by the institution that refers the patient.
    Reference,
    /// Receive the emergency collection, with both halves of its key (`spec/emergency.md`).
    Emergency,
}

impl Field<i32> for Kind {
    fn read(wire: i32, field: &'static str) -> Result<Self, Error> {
        match pb::PermissionKind::try_from(wire) {
            Ok(pb::PermissionKind::Upload) => Ok(Self::Upload),
            Ok(pb::PermissionKind::Download) => Ok(Self::Download),
            Ok(pb::PermissionKind::Reference) => Ok(Self::Reference),
            Ok(pb::PermissionKind::Emergency) => Ok(Self::Emergency),
            Ok(pb::PermissionKind::Unspecified) | Err(_) => Err(Error::Field { field }),
        }
    }

    fn write(&self) -> i32 {
        let kind: pb::PermissionKind = (*self).into();
        kind.into()
    }
}

impl From<Kind> for pb::PermissionKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Upload => Self::Upload,
            Kind::Download => Self::Download,
            Kind::Reference => Self::Reference,
            Kind::Emergency => Self::Emergency,
        }
    }
}

fields! {
    /// One record version, bound to its content: a holder of its key cannot put other content in its place.
    #[derive(Clone, Debug, PartialEq, Eq)]
    RecordSelector: RecordSelector where is_a_stream {
        record_id: RecordId,
        version_id: VersionId,
        content_root: ContentRoot,
        stream_len: u64,
    }

    /// A permission that ends when another one is taken in its place, and what was left of it when
    /// the device signed that (PRM-14).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Replaces: Replaces {
        permission_id: PermissionId,
        permission_hash: Sha256Digest,
        /// Presentations that were left of it.
        uses_left: u32,
        /// Ciphertext bytes that were left of it.
        bytes_left: u64,
        /// The patient was asked: from now on it is the word of its signer alone, and not of whoever
        /// signed the old one (DEV-21).
        signed_again: bool,
    }
}

impl RecordSelector {
    fn is_a_stream(&self) -> Result<(), Error> {
        content::plaintext_len(self.stream_len).map(drop)
    }
}

/// Whether a permission can still be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionState {
    /// It can still be presented.
    Live,
    /// The patient has revoked it.
    Revoked,
    /// The time for which it held is over.
    Expired,
    /// All its uses or bytes are spent.
    Spent,
    /// Another permission has taken its place.
    Replaced,
}

impl TryFrom<pb::PermissionState> for PermissionState {
    type Error = Error;

    fn try_from(state: pb::PermissionState) -> Result<Self, Error> {
        match state {
            pb::PermissionState::Live => Ok(Self::Live),
            pb::PermissionState::Revoked => Ok(Self::Revoked),
            pb::PermissionState::Expired => Ok(Self::Expired),
            pb::PermissionState::Spent => Ok(Self::Spent),
            pb::PermissionState::Replaced => Ok(Self::Replaced),
            pb::PermissionState::Unspecified => Err(Error::Field { field: "state" }),
        }
    }
}
