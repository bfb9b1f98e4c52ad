//! Placement: the patient takes a record in, or moves it. The device says which collection it lies in and
//! what it is, and brings its data key under that collection's key. See `spec/collections.md` §2.

use bytes::Bytes;
use protocol_spec::{
    bodies::Placement,
    collection::Collection,
    ids::{CollectionId, VersionId},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
};

use super::{
    Caller, Intent, Refusal, Vault,
    refusal::ensure,
    requests::KEY_WRAP_LEN,
    tables::{self, Counted, PlacementRow, VersionRow, WrapRow},
    tx::{Operation, Tx},
};

impl Vault {
    /// The patient adopts a record version, or moves it to another collection (COL-4).
    ///
    /// # Errors
    /// `not-permitted`, `malformed`, `record-mismatch`, `epoch-mismatch`, `placement-conflict`.
    pub async fn adopt(
        &self,
        caller: &Caller,
        intent: &Intent,
        version: VersionId,
        message: pb::AdoptRecord,
    ) -> Result<pb::Accepted, Refusal> {
        let placement = PatientSigned::<Placement>::try_from(message.placement)?.verify()?;
        self.shared
            .check_patient(caller, placement.patient_id, self.shared.operator.id())?;
        caller.check_device(placement.device())?;
        ensure(
            placement.version_id == version,
            Problem::Malformed,
            "the placement is of another version",
        )?;
        ensure(
            placement.collection_id != CollectionId::OWN,
            Problem::Malformed,
            "this collection holds no records",
        )?;
        ensure(
            message.data_key_wrap.len() == KEY_WRAP_LEN,
            Problem::Malformed,
            "data_key_wrap is not 104 bytes",
        )?;
        let operation = Place {
            placement,
            epoch: message.epoch,
            wrap: message.data_key_wrap,
        };
        self.shared.mutate(caller, intent, operation).await
    }
}

struct Place {
    placement: PatientVerified<Placement>,
    epoch: u64,
    wrap: Bytes,
}

impl Operation for Place {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self {
            placement,
            epoch,
            wrap,
        } = self;
        let patient = placement.patient_id;
        let message = placement.to_message();
        let key = tables::placement(patient, placement.version_id);
        let before = tx.read(&key).await?;
        if before
            .as_ref()
            .is_some_and(|row| row.placement.as_ref() == Some(&message))
        {
            return Ok(pb::Accepted {});
        }
        self.check_record(tx).await?;
        let collection = Collection {
            id: placement.collection_id,
            epoch: *epoch,
        };
        tx.check_current(patient, collection).await?;
        let number = tx.next_number(*patient.as_bytes(), Counted::Placements).await?;
        ensure(
            number == placement.number,
            Problem::PlacementConflict,
            "not the vault's next placement",
        )?;
        match before {
            Some(before) => {
                let id = before.body()?.collection_id;
                for epoch in tx.open_epochs(patient, id).await? {
                    tx.delete(&tables::wrap(patient, Collection { id, epoch }, before.number));
                }
                tx.delete(&tables::placed(patient, before.number));
            }
            None => {
                tx.next_number(*patient.as_bytes(), Counted::Placed).await?;
                tx.delete(&tables::arrival(patient, placement.version_id));
            }
        }
        let row = PlacementRow {
            placement: Some(message),
            number,
        };
        tx.put(&key, &row);
        let placed = VersionRow {
            number,
            ..VersionRow::from(placement.version_id)
        };
        tx.put(&tables::placed(patient, number), &placed);
        let row = WrapRow {
            wrap: wrap.clone(),
            version: Bytes::copy_from_slice(placement.version_id.as_bytes()),
            record: Bytes::copy_from_slice(placement.record_id.as_bytes()),
            epoch: *epoch,
            number,
        };
        tx.put(&tables::wrap(patient, collection, number), &row);
        Ok(pb::Accepted {})
    }
}

impl Place {
    async fn check_record(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { placement, .. } = self;
        let record = tables::record(placement.patient_id, placement.version_id);
        let stored = tx.read_existing(&record).await?.stored.unwrap_or_default();
        let same = stored.record_id == placement.record_id.as_bytes()[..]
            && stored.content_root == placement.content_root.as_bytes()[..]
            && stored.stream_len == placement.stream_len;
        ensure(same, Problem::RecordMismatch, "the record is another")
    }
}

impl PlacementRow {
    /// The device's statement, which was verified before it was stored.
    pub(super) fn body(&self) -> Result<Placement, Refusal> {
        let signed = PatientSigned::<Placement>::try_from(self.placement.clone());
        Ok(signed.map_err(Refusal::damaged)?.claimed().clone())
    }
}
