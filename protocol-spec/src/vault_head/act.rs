//! One change of a vault.

use crate::{
    Error,
    hash::{Sha256Digest, sha256},
    ids::{CollectionId, DelegationId, PermissionId, RecordId},
};

/// One change of a vault: what it is about, and the hash of what says so (VLT-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// A list of devices, by the hash of its body.
    Devices(Sha256Digest),
    /// An epoch of a collection's key: [`epoch_hash`].
    Epoch(CollectionId, Sha256Digest),
    /// The closure of a collection's epoch, by the hash of its body.
    Closure(CollectionId, Sha256Digest),
    /// The placement of a record version, by the hash of its body.
    Placement(RecordId, Sha256Digest),
    /// Data keys under another epoch: [`wraps_hash`].
    Wraps(CollectionId, Sha256Digest),
    /// A permission that was given, by the hash of its body.
    Permission(PermissionId, Sha256Digest),
    /// The revocation of a permission, by the hash of its body.
    Revocation(PermissionId, Sha256Digest),
    /// A delegation that was given, by the hash of its body.
    Delegation(DelegationId, Sha256Digest),
    /// The end of a delegation, by the hash of its body.
    DelegationEnd(DelegationId, Sha256Digest),
    /// A head over the acts before it, by the hash of its body.
    Head(Sha256Digest),
    /// The deletion of a record, by the hash of its body (DEL-1).
    Deletion(RecordId, Sha256Digest),
    /// An upload that was taken back (DEL-6).
    TakeBack(RecordId, Sha256Digest),
}

impl Act {
    /// kind ‖ subject ‖ hash
    pub const LEN: usize = 1 + 16 + 32;

    /// As the vault tree has it.
    pub fn bytes(&self) -> [u8; Self::LEN] {
        let (kind, subject, hash) = match self {
            Self::Devices(hash) => (1, &[0; 16], hash),
            Self::Epoch(id, hash) => (2, id.as_bytes(), hash),
            Self::Closure(id, hash) => (3, id.as_bytes(), hash),
            Self::Placement(id, hash) => (4, id.as_bytes(), hash),
            Self::Wraps(id, hash) => (5, id.as_bytes(), hash),
            Self::Permission(id, hash) => (6, id.as_bytes(), hash),
            Self::Revocation(id, hash) => (7, id.as_bytes(), hash),
            Self::Delegation(id, hash) => (8, id.as_bytes(), hash),
            Self::DelegationEnd(id, hash) => (9, id.as_bytes(), hash),
            Self::Head(hash) => (10, &[0; 16], hash),
            Self::Deletion(id, hash) => (12, id.as_bytes(), hash),
            Self::TakeBack(id, hash) => (13, id.as_bytes(), hash),
        };
        let mut bytes = [0; Self::LEN];
        let (start, end) = bytes.split_at_mut(17);
        start.copy_from_slice(&[&[kind][..], subject].concat());
        end.copy_from_slice(hash.as_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = Error::Field { field: "acts" };
        let (kind, rest) = bytes.split_first().ok_or(malformed.clone())?;
        let (subject, hash) = rest.split_first_chunk::<16>().ok_or(malformed.clone())?;
        let (subject, hash) = (*subject, Sha256Digest::try_from(hash)?);
        let collection = CollectionId::from_bytes(subject);
        let permission = PermissionId::from_bytes(subject);
        let delegation = DelegationId::from_bytes(subject);
        match kind {
            1 if subject == [0; 16] => Ok(Self::Devices(hash)),
            2 => Ok(Self::Epoch(collection, hash)),
            3 => Ok(Self::Closure(collection, hash)),
            4 => Ok(Self::Placement(RecordId::from_bytes(subject), hash)),
            5 => Ok(Self::Wraps(collection, hash)),
            6 => Ok(Self::Permission(permission, hash)),
            7 => Ok(Self::Revocation(permission, hash)),
            8 => Ok(Self::Delegation(delegation, hash)),
            9 => Ok(Self::DelegationEnd(delegation, hash)),
            10 if subject == [0; 16] => Ok(Self::Head(hash)),
            // 11 is none: a vector of this version says so.
            12 => Ok(Self::Deletion(RecordId::from_bytes(subject), hash)),
            13 => Ok(Self::TakeBack(RecordId::from_bytes(subject), hash)),
            _ => Err(malformed),
        }
    }

    /// The hash of the statement that it is of, where it is of one.
    pub fn statement(&self) -> Option<Sha256Digest> {
        match self {
            Self::Epoch(..) | Self::Wraps(..) => None,
            Self::Devices(hash)
            | Self::Head(hash)
            | Self::Closure(_, hash)
            | Self::Placement(_, hash)
            | Self::Permission(_, hash)
            | Self::Revocation(_, hash)
            | Self::Delegation(_, hash)
            | Self::DelegationEnd(_, hash)
            | Self::Deletion(_, hash)
            | Self::TakeBack(_, hash) => Some(*hash),
        }
    }
}

/// SHA-256(u64be(epoch) ‖ collection key wrap)
pub fn epoch_hash(epoch: u64, wrap: &[u8]) -> Sha256Digest {
    Sha256Digest::from_bytes(sha256(&[&epoch.to_be_bytes(), wrap]))
}

/// SHA-256(u64be(epoch) ‖ for each wrap: u64be(number) ‖ data key wrap)
pub fn wraps_hash<'a>(epoch: u64, wraps: impl IntoIterator<Item = (u64, &'a [u8])>) -> Sha256Digest {
    let mut bytes = epoch.to_be_bytes().to_vec();
    for (number, wrap) in wraps {
        bytes.extend(number.to_be_bytes());
        bytes.extend(wrap);
    }
    Sha256Digest::of(&bytes)
}
