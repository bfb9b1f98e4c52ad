//! One record of hers: verified against its receipt, its placement, its maker's manifest; adopted if it is new.
//!
//! What arrives under an upload permission opens with a key derived from that permission's upload key. On
//! adoption the data key is wrapped under the collection key by itself, and the upload key is needed no more.

use crypto::{Collection, DataKey, WrappedKey};
use protocol_spec::{
    api,
    bodies::Placement,
    field::ReadsAs,
    ids::{CollectionId, VersionId},
    index::IndexEntry,
    messages as pb,
    patient::PatientSigned,
};

use crate::{
    Error, Result,
    patient::{
        listed,
        ring::{self, no_own_collection},
        vault::{Vault, ring::Ring},
    },
    trust::{ReceiptedRecord, VerifiedRecord},
};

/// A record with all that it was verified by.
pub(super) struct Examined {
    pub(super) verified: VerifiedRecord,
    pub(super) key: DataKey,
    pub(super) collection: CollectionId,
    /// The number of the record's placement.
    pub(super) number: u64,
}

/// A record as the server shows it.
pub(super) async fn shown(vault: &Vault, version: VersionId) -> Result<pb::VaultRecord> {
    let path = api::VAULT_RECORD.at([&version]);
    vault.get(path).await
}

/// Where a placement of hers says that this record lies, and the placement's number.
pub(super) async fn placed(
    vault: &Vault,
    placement: impl ReadsAs<PatientSigned<Placement>>,
    record: &ReceiptedRecord,
) -> Result<(CollectionId, u64)> {
    let placement = placement_of(vault, placement).await?;
    if placement.names(&record.receipt.statement) {
        Ok((placement.collection_id, placement.number))
    } else {
        Err(tampered("its placement is of another record"))
    }
}

/// A placement by a device of hers, which may have made it (DEV-8), and the newest that was seen (COL-10).
pub(super) async fn placement_of(
    vault: &Vault,
    placement: impl ReadsAs<PatientSigned<Placement>>,
) -> Result<Placement> {
    let placement = placement
        .try_into()
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    let known = listed::known_device(vault, placement.device()).await?;
    if !known.may_have_placed(placement.device().id(), placement.number) {
        return Err(tampered(
            "a device placed it that was removed before, or added after",
        ));
    }
    if placement.patient_id != vault.id() {
        return Err(tampered("its placement is of another vault"));
    }
    vault
        .placements
        .check(placement.record_id, Some(placement.number))?;
    vault.placements.note(placement.record_id, placement.number)?;
    Ok(Placement::clone(&placement))
}

/// The data key that a record came with, whatever became of its wrap since.
pub(super) async fn arrived_key(vault: &Vault, message: pb::VaultRecord) -> Result<DataKey> {
    let stored = message.record.ok_or_else(|| tampered("it is empty"))?;
    let record = vault.session.records.receipted(vault.id(), stored).await?;
    let key = uploaded_key(vault, &record, message.upload_key_epoch, &message.upload_key_wrap).await?;
    vault.session.records.open(record, &key).await?;
    Ok(key)
}

/// The data key of what lies in a collection.
pub(super) async fn placed_key(
    vault: &Vault,
    record: &ReceiptedRecord,
    collection: Collection,
    data_key_wrap: &[u8],
) -> Result<DataKey> {
    let wrapped = WrappedKey::try_from(data_key_wrap).map_err(tampered)?;
    let version = record.receipt.statement.version_id;
    let unwrap = |ring: &Ring| {
        Some(
            ring.key(collection)?
                .unwrap_data_key(&wrapped, &collection, &version),
        )
    };
    let key = ring::in_ring(vault, unwrap).await?;
    key.ok_or_else(|| tampered("it lies in a collection that the server does not show"))?
        .map_err(tampered)
}

/// The data key of what arrived under an upload permission of hers.
pub(super) async fn uploaded_key(
    vault: &Vault,
    record: &ReceiptedRecord,
    epoch: u64,
    upload_key_wrap: &[u8],
) -> Result<DataKey> {
    let said = &record.receipt.statement;
    let wrapped = WrappedKey::try_from(upload_key_wrap).map_err(tampered)?;
    let own = Collection {
        id: CollectionId::OWN,
        epoch,
    };
    let unwrap = |ring: &Ring| {
        Some(
            ring.key(own)?
                .unwrap_upload_key(&wrapped, &own, &said.permission_id),
        )
    };
    let upload_key = ring::in_ring(vault, unwrap)
        .await?
        .ok_or_else(no_own_collection)?;
    let upload_key = upload_key.map_err(tampered)?;
    Ok(upload_key.record_key(&vault.id(), &said.record_id, &said.version_id))
}

impl From<&Examined> for IndexEntry {
    fn from(record: &Examined) -> Self {
        let verified = &record.verified;
        Self {
            number: record.number,
            record_id: verified.record_id(),
            version_id: verified.version_id(),
            collection_id: record.collection,
            content_root: verified.content_root(),
            stream_len: verified.stream_len(),
            received: verified.receipt.statement.created,
            institution_id: verified.maker.id(),
            permission_id: verified.manifest.permission_id,
            parts: verified.manifest.parts.clone(),
        }
    }
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the record")(cause)
}
