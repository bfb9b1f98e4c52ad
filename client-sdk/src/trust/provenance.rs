//! Who made a record, and that it is the record that was stored. Believed only from the maker's signed
//! manifest, opened with the record's own key, and the operator's receipt for the very same bytes.

use std::sync::Arc;

use crypto::{
    DataKey,
    content::{RecordContext, open_manifest},
};
use protocol_spec::{
    attributes::Attributes,
    bodies::{RecordManifest, TakeBack, UploadReceipt},
    field::ReadsAs,
    file_names::FileNames,
    hash::{ContentRoot, Sha256Digest},
    ids::{InstitutionId, PatientId, PermissionId, RecordId, VersionId},
    log::{Receipt, ReceiptClaim},
    messages as pb,
    provenance::SealedManifest,
    statement::Verified,
};
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{log::PinnedLog, mirror::Mirror};
use crate::{DirectoryEntry, Error, Result, connect::Server};

/// Who made a record, proven by its signed manifest and the verified directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The institution that signed it.
    pub institution_id: InstitutionId,
    /// The name that the registrar accredited.
    pub name: String,
    /// The upload permission it was made under.
    pub permission_id: PermissionId,
    /// When it was made, in milliseconds since 1970, by the institution's clock.
    #[serde(serialize_with = "crate::text::moment")]
    pub created: u64,
}

/// A stored record whose receipt has been verified, its manifest still sealed.
pub(crate) struct ReceiptedRecord {
    pub(crate) receipt: Receipt<UploadReceipt>,
    sealed_manifest: bytes::Bytes,
}

/// A stored record whose receipt, manifest and maker have been verified.
#[derive(Clone)]
pub(crate) struct VerifiedRecord {
    pub(crate) receipt: Receipt<UploadReceipt>,
    pub(crate) manifest: Verified<RecordManifest>,
    pub(crate) maker: DirectoryEntry,
}

fn context(receipt: &UploadReceipt) -> RecordContext {
    RecordContext {
        patient: receipt.patient_id,
        record: receipt.record_id,
        version: receipt.version_id,
    }
}

impl ReceiptedRecord {
    pub(crate) fn context(&self) -> RecordContext {
        context(&self.receipt.statement)
    }
}

impl VerifiedRecord {
    pub(crate) fn context(&self) -> RecordContext {
        context(&self.receipt.statement)
    }

    pub(crate) fn record_id(&self) -> RecordId {
        self.manifest.record_id
    }

    /// As it is stored, which need not be as its maker sealed it (CNT-16).
    pub(crate) fn version_id(&self) -> VersionId {
        self.receipt.statement.version_id
    }

    pub(crate) fn content_root(&self) -> ContentRoot {
        self.receipt.statement.content_root
    }

    /// Its media types and days, by which a permission can choose.
    pub(crate) fn attributes(&self) -> Attributes {
        Attributes::of(&self.manifest.parts)
    }

    /// Bytes of the sealed stream.
    pub(crate) fn stream_len(&self) -> u64 {
        self.receipt.statement.stream_len
    }

    pub(crate) fn provenance(&self) -> Provenance {
        Provenance {
            institution_id: self.maker.id(),
            name: self.maker.name().as_str().to_owned(),
            permission_id: self.manifest.permission_id,
            created: self.manifest.created,
        }
    }

    /// The parts as they are reported once they have been received.
    pub(crate) fn fetched_parts(&self) -> Vec<FetchedPart> {
        let mut files = FileNames::default();
        let part = |part: &protocol_spec::manifest::Part| FetchedPart {
            name: part.name.as_str().to_owned(),
            file: files.place(&part.name),
            bytes: part.length,
            sha256: part.sha256,
        };
        self.manifest.parts.iter().map(part).collect()
    }
}

/// Verifies what is stored, by the log and by the directory.
pub(crate) struct StoredRecords {
    server: Arc<Server>,
    log: Arc<PinnedLog>,
    mirror: Arc<Mirror>,
}

impl StoredRecords {
    pub(crate) fn new(server: Arc<Server>, log: Arc<PinnedLog>, mirror: Arc<Mirror>) -> Self {
        Self { server, log, mirror }
    }

    /// Checks a stored record against its receipt.
    pub(crate) async fn receipted(
        &self,
        patient: PatientId,
        stored: pb::StoredRecord,
    ) -> Result<ReceiptedRecord> {
        let pb::StoredRecord {
            record_id,
            version_id,
            content_root,
            stream_len,
            sealed_manifest,
            receipt,
        } = stored;
        let receipt = self.log.receipt::<UploadReceipt>(receipt, WHAT).await?;
        let said = &receipt.statement;
        let same = said.operator_id == self.server.operator_id()
            && said.patient_id == patient
            && said.record_id.as_bytes()[..] == record_id
            && said.version_id.as_bytes()[..] == version_id
            && said.content_root.as_bytes()[..] == content_root
            && said.stream_len == stream_len
            && said.sealed_manifest_hash == Sha256Digest::of(&sealed_manifest);
        if !same {
            return Err(Error::tampered(WHAT)("it is not what its receipt says"));
        }
        Ok(ReceiptedRecord {
            receipt,
            sealed_manifest,
        })
    }

    /// Opens the manifest and checks who signed it and that it speaks of this record (CNT-15) (CNT-16).
    pub(crate) async fn open(&self, record: ReceiptedRecord, key: &DataKey) -> Result<VerifiedRecord> {
        let wire =
            open_manifest(key, &record.context(), &record.sealed_manifest).map_err(Error::tampered(WHAT))?;
        let ReceiptedRecord { receipt, .. } = record;
        let sealed = SealedManifest::decode(&wire).map_err(Error::tampered(WHAT))?;
        let maker = self.mirror.institution(sealed.maker()).await?;
        let manifest = sealed
            .verify(&maker, &receipt.statement)
            .map_err(Error::tampered(WHAT))?;
        Ok(VerifiedRecord {
            receipt,
            manifest,
            maker,
        })
    }

    /// Checks what an institution has signed to take something back, and its place in the log; and the log's size.
    pub(crate) async fn taken_back(
        &self,
        receipt: impl ReadsAs<ReceiptClaim<TakeBack>>,
    ) -> Result<(Verified<TakeBack>, u64)> {
        let claim = receipt.try_into().map_err(Error::tampered(TAKE_BACK))?;
        let signed = claim.statement;
        let maker = self.mirror.institution(signed.claimed().institution_id).await?;
        let taken = signed.verify_by(&maker).map_err(Error::tampered(TAKE_BACK))?;
        if taken.operator_id != self.server.operator_id() {
            return Err(Error::tampered(TAKE_BACK)("it is for another server"));
        }
        let log = self.log.included(claim.proof, &taken.hash(), TAKE_BACK).await?;
        Ok((taken, log.size))
    }
}

const WHAT: &str = "the record";
/// What an institution has taken back, in errors.
pub(crate) const TAKE_BACK: &str = "what was taken back";

/// A file that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPart {
    /// What its sender calls it.
    pub name: String,
    /// The relative path below the record's folder at which it lies: the same where that is a safe name (CNT-18).
    pub file: String,
    /// How many bytes the file has.
    pub bytes: u64,
    /// Its hash, as the maker signed it and as it was received.
    pub sha256: Sha256Digest,
}

/// The path is left out where it is the name.
impl Serialize for FetchedPart {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let renamed = self.file != self.name;
        let mut part = to.serialize_struct("FetchedPart", 4)?;
        part.serialize_field("name", &self.name)?;
        if renamed {
            part.serialize_field("file", &self.file)?;
        }
        part.serialize_field("bytes", &self.bytes)?;
        part.serialize_field("sha256", &self.sha256)?;
        part.end()
    }
}
