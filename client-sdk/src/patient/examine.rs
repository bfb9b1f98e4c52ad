//! One record of hers: verified against its receipt, its placement, its maker's manifest; adopted if it is new.
//!
//! What arrives under an upload permission opens with a key derived from that permission's upload key. On
//! adoption the data key is wrapped under the collection key by itself, and the upload key is needed no more.

use crypto::{Collection, DataKey, WrappedKey};
use protocol_spec::{
    api,
    bodies::Placement,
    ids::{CollectionId, VersionId},
    index::IndexEntry,
    messages as pb,
    patient::PatientSigned,
};

use super::{
    Patient,
    ring::{Ring, no_own_collection},
};
use crate::{
    Error, Result,
    provenance::{ReceiptedRecord, VerifiedRecord},
};

/// A record with all that it was verified by.
pub(super) struct Examined {
    pub(super) verified: VerifiedRecord,
    pub(super) key: DataKey,
    pub(super) collection: CollectionId,
    /// Of its placement.
    pub(super) number: u64,
}

impl Patient {
    /// A record as the server shows it.
    pub(super) async fn shown(&self, version: VersionId) -> Result<pb::VaultRecord> {
        let path = api::VAULT_RECORD.at([&version]);
        self.session.server.get(path).await
    }

    /// Verifies a record; one that is new is adopted.
    pub(super) async fn own_record(&self, message: pb::VaultRecord) -> Result<Examined> {
        let pb::VaultRecord {
            record,
            upload_key_wrap,
            upload_key_epoch,
            placement,
            epoch,
            data_key_wrap,
        } = message;
        let stored = record.ok_or_else(|| tampered("it is empty"))?;
        let record = self.session.receipted(self.id(), stored).await?;
        self.check_not_gone(record.receipt.statement.record_id).await?;
        self.check_receipt_head(record.receipt.statement.vault_head)
            .await?;
        let placed = match placement {
            Some(placement) => Some(self.placed(placement, &record).await?),
            None => None,
        };
        let key = match &placed {
            Some((id, _)) => {
                let collection = Collection { id: *id, epoch };
                self.placed_key(&record, collection, &data_key_wrap).await?
            }
            None => {
                let id = record.receipt.statement.record_id;
                self.seen_placements().await?.check(id, None)?;
                self.uploaded_key(&record, upload_key_epoch, &upload_key_wrap)
                    .await?
            }
        };
        let verified = self.session.verify_record(record, &key).await?;
        self.session
            .met_version(verified.version_id(), &verified.manifest.hash())?;
        let (collection, number) = match placed {
            Some(placed) => placed,
            None => {
                let to = CollectionId::DEFAULT;
                (to, self.place(&verified, &key, to).await?)
            }
        };
        Ok(Examined {
            verified,
            key,
            collection,
            number,
        })
    }

    /// Where a placement of hers says that this record lies, and the placement's number.
    async fn placed(
        &self,
        placement: pb::PatientStatement,
        record: &ReceiptedRecord,
    ) -> Result<(CollectionId, u64)> {
        let placement = self.placement_of(Some(placement)).await?;
        if placement.names(&record.receipt.statement) {
            Ok((placement.collection_id, placement.number))
        } else {
            Err(tampered("its placement is of another record"))
        }
    }

    /// A placement by a device of hers, which may have made it (DEV-8), and the newest that was seen (COL-10).
    pub(super) async fn placement_of(&self, message: Option<pb::PatientStatement>) -> Result<Placement> {
        let placement = PatientSigned::<Placement>::try_from(message)
            .and_then(PatientSigned::verify)
            .map_err(tampered)?;
        let known = self.known_device(placement.device()).await?;
        if !known.may_have_placed(placement.device().id(), placement.number) {
            return Err(tampered(
                "a device placed it that was removed before, or added after",
            ));
        }
        if placement.patient_id != self.id() {
            return Err(tampered("its placement is of another vault"));
        }
        let mut seen = self.seen_placements().await?;
        seen.check(placement.record_id, Some(placement.number))?;
        seen.note(placement.record_id, placement.number);
        Ok(Placement::clone(&placement))
    }

    /// The data key that a record came with, whatever became of its wrap since.
    pub(super) async fn arrived_key(&self, message: pb::VaultRecord) -> Result<DataKey> {
        let stored = message.record.ok_or_else(|| tampered("it is empty"))?;
        let record = self.session.receipted(self.id(), stored).await?;
        let key = self
            .uploaded_key(&record, message.upload_key_epoch, &message.upload_key_wrap)
            .await?;
        self.session.verify_record(record, &key).await?;
        Ok(key)
    }

    /// The data key of what lies in a collection.
    async fn placed_key(
        &self,
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
        let key = self.in_ring(unwrap).await?;
        key.ok_or_else(|| tampered("it lies in a collection that the server does not show"))?
            .map_err(tampered)
    }

    /// The data key of what arrived under an upload permission of hers.
    async fn uploaded_key(
        &self,
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
        let upload_key = self.in_ring(unwrap).await?.ok_or_else(no_own_collection)?;
        let upload_key = upload_key.map_err(tampered)?;
        Ok(upload_key.record_key(&self.id(), &said.record_id, &said.version_id)?)
    }
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
