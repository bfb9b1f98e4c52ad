//! Her own records: verified, adopted into the vault, opened.
//!
//! What arrives under an upload permission opens with a key derived from that permission's upload key. On
//! adoption the data key is wrapped under the collection key by itself, and the upload key is needed no more.

use std::path::Path;

use crypto::{Collection, DataKey, WrappedKey, content::StreamLengths};
use protocol_spec::{
    bodies::Placement,
    ids::{CollectionId, InstitutionId, PermissionId, RecordId, VersionId},
    manifest::Part,
    messages as pb,
    patient::PatientSigned,
};

use super::{
    Patient, Selection,
    ring::{Ring, no_own_collection},
};
use crate::{
    Error, FetchedPart, Progress, Provenance, Result,
    connect::Server,
    provenance::{ReceiptedRecord, VerifiedRecord},
    session::blocking,
    transfer::{Budget, Expected, FolderSink, Leaves, Sink, receive},
};

/// An institution as a list shows it; the name is the accredited one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstitutionRef {
    /// Its id.
    pub id: InstitutionId,
    /// Its name in the verified directory.
    pub name: String,
}

/// A record of her vault, its provenance verified.
#[derive(Clone, Debug)]
pub struct RecordInfo {
    /// The record.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// When the server stored it, in milliseconds since 1970.
    pub received: u64,
    /// Who made it.
    pub from: InstitutionRef,
    /// The permission it was uploaded under.
    pub permission_id: PermissionId,
    /// The collection it lies in.
    pub collection: CollectionId,
    /// Its files.
    pub parts: Vec<Part>,
    /// Bytes of its sealed stream.
    pub stream_len: u64,
}

/// What [`Patient::records`] found.
#[derive(Debug, Default)]
pub struct Records {
    /// Verified, oldest first; what was new is adopted.
    pub records: Vec<RecordInfo>,
    /// Those that do not verify, and why. They were not adopted.
    pub refused: Vec<(RecordId, Error)>,
}

/// A record that was opened into a folder.
#[derive(Clone, Debug)]
pub struct Received {
    /// The record.
    pub record_id: RecordId,
    /// Its version.
    pub version_id: VersionId,
    /// Its files, as they now lie in the folder.
    pub parts: Vec<FetchedPart>,
    /// Who made it.
    pub provenance: Provenance,
}

/// A verified record and the key that opens it.
pub(crate) struct OwnRecord {
    pub(crate) verified: VerifiedRecord,
    pub(crate) key: DataKey,
    pub(crate) collection: CollectionId,
}

impl Patient {
    /// Her records, each verified; new ones are adopted into the vault.
    ///
    /// # Errors
    /// Of the connection alone; a record that does not verify stands in `refused`.
    pub async fn records(&self) -> Result<Records> {
        let (own, refused) = self.own_records(&Selection::All).await?;
        let records = own
            .iter()
            .map(|record| RecordInfo {
                collection: record.collection,
                ..RecordInfo::from(&record.verified)
            })
            .collect();
        Ok(Records { records, refused })
    }

    /// Opens one of her records into `out/<record id>/`.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Exists`], [`Error::Tampered`]; nothing is then left in `out`.
    pub async fn get_record(
        &self,
        record: RecordId,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Received> {
        let found = self.own_records(&Selection::Records(vec![record])).await?;
        open_record(&self.session.server, found, record, out, progress).await
    }

    /// The chosen records of the vault with their keys, oldest first, and those of them that do not verify.
    pub(crate) async fn own_records(
        &self,
        chosen: &Selection,
    ) -> Result<(Vec<OwnRecord>, Vec<(RecordId, Error)>)> {
        let (mut own, mut refused) = (Vec::new(), Vec::new());
        let mut after = String::new();
        loop {
            let page: pb::VaultPage = self
                .session
                .server
                .get(&format!("/v1/vault/records?limit=200{after}"))
                .await?;
            let last = page.next.is_empty() || page.records.is_empty();
            for record in page.records {
                let id = record
                    .record
                    .as_ref()
                    .map(|stored| stored.record_id.clone())
                    .unwrap_or_default();
                let id = RecordId::try_from(id.as_ref())?;
                if matches!(chosen, Selection::Records(ids) if !ids.contains(&id)) {
                    continue;
                }
                match self.own_record(record).await {
                    Ok(record) => own.push(record),
                    // What fails for want of a connection says nothing about the record.
                    Err(error @ (Error::Unreachable { .. } | Error::HomeLocked { .. })) => return Err(error),
                    Err(error) => refused.push((id, error)),
                }
            }
            if last {
                break;
            }
            after = format!("&after={}", VersionId::try_from(page.next.as_ref())?);
        }
        own.sort_by_key(|record| {
            (
                record.verified.receipt.statement.created,
                record.verified.version_id(),
            )
        });
        Ok((own, refused))
    }

    async fn own_record(&self, message: pb::VaultRecord) -> Result<OwnRecord> {
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
        let placed = match placement {
            Some(placement) => Some(self.placed(placement, &record).await?),
            None => None,
        };
        let key = match &placed {
            Some(id) => {
                let collection = Collection { id: *id, epoch };
                self.placed_key(&record, collection, &data_key_wrap).await?
            }
            None => {
                self.uploaded_key(&record, upload_key_epoch, &upload_key_wrap)
                    .await?
            }
        };
        let verified = self.session.verify_record(record, &key).await?;
        self.session
            .met_version(verified.version_id(), &verified.manifest.hash())?;
        if placed.is_none() {
            self.place(&verified, &key, CollectionId::DEFAULT).await?;
        }
        let collection = placed.unwrap_or(CollectionId::DEFAULT);
        Ok(OwnRecord {
            verified,
            key,
            collection,
        })
    }

    /// Where a placement of hers says that this record lies (DEV-8).
    async fn placed(
        &self,
        placement: pb::PatientStatement,
        record: &ReceiptedRecord,
    ) -> Result<CollectionId> {
        let placement = PatientSigned::<Placement>::try_from(placement)
            .and_then(PatientSigned::verify)
            .map_err(tampered)?;
        let known = self.known_device(placement.device()).await?;
        if !known.may_have_placed(placement.device().id(), placement.number) {
            return Err(tampered(
                "a device placed it that was removed before, or added after",
            ));
        }
        if placement.patient_id == self.id() && placement.names(&record.receipt.statement) {
            Ok(placement.collection_id)
        } else {
            Err(tampered("its placement is of another record"))
        }
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

/// Opens a record that was found in a vault into `out/<record id>/`.
pub(super) async fn open_record(
    server: &Server,
    (mut own, mut refused): (Vec<OwnRecord>, Vec<(RecordId, Error)>),
    record: RecordId,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Received> {
    if let Some((_, error)) = refused.pop() {
        return Err(error);
    }
    let unknown = || Error::Unknown {
        what: "record",
        id: record.to_string(),
    };
    let OwnRecord { verified, key, .. } = own.pop().ok_or_else(unknown)?;
    let sink = FolderSink::new(out, &record.to_string(), &[record])?;
    let path = format!("/v1/vault/records/{}/leaves", verified.version_id());
    let leaves = Leaves {
        path,
        stream_len: verified.stream_len(),
        budget: Budget::default(),
    };
    progress.started(verified.stream_len());
    let mut sink = receive(server, &leaves, verified.expected(key), sink, progress).await?;
    blocking(move || sink.commit()).await?;
    progress.finished();
    Ok(Received {
        record_id: record,
        version_id: verified.version_id(),
        parts: verified.fetched_parts(),
        provenance: verified.provenance(),
    })
}

impl VerifiedRecord {
    /// What the opener is to find.
    pub(crate) fn expected(&self, key: DataKey) -> Expected {
        let lengths = StreamLengths {
            stream: self.stream_len(),
            plaintext: self.manifest.plaintext_len,
        };
        let (root, parts) = (self.content_root(), self.manifest.parts.clone());
        Expected {
            key,
            context: self.context(),
            lengths,
            root,
            parts,
        }
    }
}

impl From<&VerifiedRecord> for RecordInfo {
    fn from(record: &VerifiedRecord) -> Self {
        Self {
            record_id: record.record_id(),
            version_id: record.version_id(),
            received: record.receipt.statement.created,
            from: InstitutionRef {
                id: record.maker.id(),
                name: record.maker.name().as_str().to_owned(),
            },
            permission_id: record.manifest.permission_id,
            collection: CollectionId::DEFAULT,
            parts: record.manifest.parts.clone(),
            stream_len: record.stream_len(),
        }
    }
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the record")(cause)
}
