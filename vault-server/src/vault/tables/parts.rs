//! What keys are made of: ids as they are, integers big-endian, so that they sort.

use protocol_spec::{
    bodies::Program,
    collection::Collection,
    field::Name,
    hash::Sha256Digest,
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, LinkId, PatientId, PermissionId, RecordId,
        ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
};

use crate::{
    store::CommitId,
    vault::{log::tile::TileId, tables::expiring::Expiring},
};

/// The partition of what belongs to no principal; no SHA-256 of a key that anyone can find is this.
pub(super) const SERVER: [u8; 32] = [0; 32];
/// The partition of the transparency log.
pub(super) const LOG: [u8; 32] = [1; 32];

/// What a partition is named after.
pub(super) trait Partition {
    fn partition(&self) -> [u8; 32];
}

/// A part of a suffix.
pub(in crate::vault) trait Part {
    fn append_to(&self, suffix: &mut Vec<u8>);
}

macro_rules! partitions {
    ($($id:ty),*) => {$(
        impl Partition for $id {
            fn partition(&self) -> [u8; 32] {
                *self.as_bytes()
            }
        }
    )*};
}

macro_rules! parts {
    ($($part:ty: $self:ident => $bytes:expr,)*) => {$(
        impl Part for $part {
            fn append_to(&$self, suffix: &mut Vec<u8>) {
                suffix.extend_from_slice(&$bytes[..]);
            }
        }
    )*};
}

partitions!(PatientId, InstitutionId, DeviceId, LinkId, TerminalId);

impl Partition for [u8; 32] {
    fn partition(&self) -> [u8; 32] {
        *self
    }
}

parts! {
    InstitutionId: self => self.as_bytes(),
    TerminalId: self => self.as_bytes(),
    RequestId: self => self.as_bytes(),
    PermissionId: self => self.as_bytes(),
    UploadId: self => self.as_bytes(),
    ReleaseId: self => self.as_bytes(),
    RecordId: self => self.as_bytes(),
    VersionId: self => self.as_bytes(),
    CollectionId: self => self.as_bytes(),
    DelegationId: self => self.as_bytes(),
    CommitId: self => self.as_bytes(),
    Sha256Digest: self => self.as_bytes(),
    &Sha256Digest: self => self.as_bytes(),
    [u8; 32]: self => self,
    &[u8; 16]: self => self,
    Vec<u8>: self => self,
    u8: self => [*self],
    u32: self => self.to_be_bytes(),
    u64: self => self.to_be_bytes(),
    Counted: self => [*self as u8],
    Daily: self => [*self as u8],
    Expiring: self => self.encode(),
}

impl Part for Collection {
    fn append_to(&self, suffix: &mut Vec<u8>) {
        self.id.append_to(suffix);
        self.epoch.append_to(suffix);
    }
}

impl Part for TileId {
    fn append_to(&self, suffix: &mut Vec<u8>) {
        self.level.append_to(suffix);
        self.index.append_to(suffix);
    }
}

impl Part for &Program {
    /// Texts have no control characters, so that a zero byte tells them apart.
    fn append_to(&self, suffix: &mut Vec<u8>) {
        let id = [&self.name, &self.version, &self.target].map(Name::as_str);
        Sha256Digest::of(id.join("\0").as_bytes()).append_to(suffix);
    }
}

/// What has a place row: things whose id does not tell in whose vault they lie.
pub(in crate::vault) trait Placed {
    /// The partition named after it, and a byte for its kind.
    fn place(&self) -> ([u8; 32], u8);
}

macro_rules! placed {
    ($($id:ident: $kind:literal),*) => {$(
        impl Placed for $id {
            fn place(&self) -> ([u8; 32], u8) {
                let mut partition = [0; 32];
                let (id, _) = partition.split_at_mut(16);
                id.copy_from_slice(self.as_bytes());
                (partition, $kind)
            }
        }
    )*};
}

placed!(RequestId: 1, PermissionId: 2, UploadId: 3, ReleaseId: 4, VersionId: 5);

/// What a [`super::DayRow`] counts.
#[derive(Clone, Copy)]
pub(in crate::vault) enum Daily {
    /// Patients who enrolled by an institution's invitations.
    Invited = 1,
}

/// What a [`super::CountRow`] counts.
#[derive(Clone, Copy)]
pub(in crate::vault) enum Counted {
    /// Entries of the history.
    History = 1,
    /// Events of the inbox.
    Inbox = 2,
    /// Uploads and releases that are open.
    Sessions = 3,
    /// Placements of records in collections.
    Placements = 4,
    /// Collections, but for the default one while nobody has put it.
    Collections = 5,
    /// Offers of new devices.
    Offers = 6,
    /// Terminals, with those that were removed.
    Terminals = 7,
    /// Delegations that a patient has given, with those that are over.
    Delegations = 50,
    /// Records that are placed.
    Placed = 8,
}
