//! A permission, field by field. Unless told otherwise, it is for one use of 64 MiB, from an hour ago until an hour from now.

use protocol_spec::{
    collection::{Collection, CollectionSelector},
    directory,
    hash::Sha256Digest,
    ids::{InstitutionId, PermissionId},
    keys::IdentityKey,
    messages as pb,
    permission::{Kind, PermissionBody, RecordSelector},
};

use crate::{
    institution::Institution,
    key::{KeyPair, random, recipient},
    patient::Patient,
    setting::{HOUR, POSSESSION},
};

/// Whom a permission is for.
pub trait Grantee {
    /// Who it is.
    fn id(&self) -> InstitutionId;
    /// SHA-256 of its entry.
    fn entry_hash(&self) -> Sha256Digest;
    /// SHA-256 of its X-Wing key.
    fn recipient_key_hash(&self) -> Sha256Digest;
}

impl Grantee for Institution {
    fn id(&self) -> InstitutionId {
        self.id
    }

    fn entry_hash(&self) -> Sha256Digest {
        self.keys.hash()
    }

    fn recipient_key_hash(&self) -> Sha256Digest {
        self.keys.claimed().recipient_key.digest()
    }
}

impl Grantee for directory::Institution {
    fn id(&self) -> InstitutionId {
        Self::id(self)
    }

    fn entry_hash(&self) -> Sha256Digest {
        Self::entry_hash(self)
    }

    fn recipient_key_hash(&self) -> Sha256Digest {
        self.recipient_key().digest()
    }
}

/// A permission that is not signed yet.
pub struct Permission<'a> {
    by: &'a Patient,
    body: PermissionBody,
}

impl<'a> Permission<'a> {
    pub(crate) fn by(by: &'a Patient, kind: Kind) -> Self {
        let created = by.at.now();
        let body = PermissionBody {
            created,
            operator_id: by.at.operator,
            permission_id: PermissionId::mint(created, random()),
            kind,
            patient_id: by.id,
            institution_id: InstitutionId::from_bytes([5; 32]),
            directory_entry_hash: Sha256Digest::of(b"entry"),
            recipient_key_hash: recipient(0).digest(),
            records: Vec::new(),
            collection: None,
            not_before: created - HOUR,
            not_after: created + HOUR,
            uses: 1,
            bytes: 64 << 20,
            request_hash: Sha256Digest::of(b"request"),
            possession_key: KeyPair::new(POSSESSION).public(),
            replaces: None,
            purpose: None,
            conditions: None,
            vault_head: Some(by.head),
            delegation: None,
            emergency: None,
        };
        Self { by, body }
    }

    /// For this institution.
    #[must_use]
    pub fn to(self, to: &impl Grantee) -> Self {
        self.with(|body| {
            body.institution_id = to.id();
            body.directory_entry_hash = to.entry_hash();
            body.recipient_key_hash = to.recipient_key_hash();
        })
    }

    /// Under this id.
    #[must_use]
    pub fn id(self, id: PermissionId) -> Self {
        self.with(|body| body.permission_id = id)
    }

    /// In answer to the request with this hash.
    #[must_use]
    pub fn answers(self, request: Sha256Digest) -> Self {
        self.with(|body| body.request_hash = request)
    }

    /// Over these records.
    #[must_use]
    pub fn records(self, records: Vec<RecordSelector>) -> Self {
        self.with(|body| body.records = records)
    }

    /// Over whatever lies in a collection.
    #[must_use]
    pub fn over(self, collection: Collection) -> Self {
        let until = None;
        self.with(|body| body.collection = Some(CollectionSelector { collection, until }))
    }

    /// For so many presentations.
    #[must_use]
    pub fn uses(self, uses: u32) -> Self {
        self.with(|body| body.uses = uses)
    }

    /// For so many bytes.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        self.with(|body| body.bytes = bytes)
    }

    /// From one time until before another.
    #[must_use]
    pub fn between(self, not_before: u64, not_after: u64) -> Self {
        self.with(|body| (body.not_before, body.not_after) = (not_before, not_after))
    }

    /// Presented with this key.
    #[must_use]
    pub fn possession(self, key: IdentityKey) -> Self {
        self.with(|body| body.possession_key = key)
    }

    /// Changed in any way.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut PermissionBody)) -> Self {
        change(&mut self.body);
        self
    }

    /// As it would be signed.
    pub fn body(self) -> PermissionBody {
        self.body
    }

    /// Signs it, with filler for a wrap.
    pub fn sign(self) -> pb::Permission {
        self.by.permit(&self.body)
    }
}
