//! Placement: the patient takes a record in, or moves it. The device says which collection it lies in and
//! what it is, and brings its data key under that collection's key. See `spec/collections.md` §2.

use bytes::Bytes;
use protocol_spec::{
    bodies::Placement,
    collection::Collection,
    ids::{CollectionId, PatientId, VersionId},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
    vault_head::Act,
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
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
        let place = self.shared.placing(caller, message)?;
        ensure(
            place.placement.version_id == version,
            Problem::Malformed,
            "the placement is of another version",
        )?;
        self.shared.mutate(caller, intent, place).await
    }
}

impl Shared {
    /// A placement by the caller's own device, and the data key that goes with it.
    pub(super) fn placing(&self, caller: &Caller, message: pb::AdoptRecord) -> Result<Place, Refusal> {
        let placement = PatientSigned::<Placement>::try_from(message.placement)?.verify()?;
        self.check_patient(caller, placement.patient_id, self.operator.id())?;
        caller.check_device(placement.device())?;
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
        Ok(Place {
            placement,
            epoch: message.epoch,
            wrap: message.data_key_wrap,
        })
    }
}

/// A record that is about to lie where its patient wants it.
pub(super) struct Place {
    placement: PatientVerified<Placement>,
    epoch: u64,
    wrap: Bytes,
}

impl Operation for Place {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let message = self.placement.to_message();
        let key = tables::placement(self.placement.patient_id, self.placement.version_id);
        let before = tx.read(&key).await?;
        if before
            .as_ref()
            .is_some_and(|row| row.placement.as_ref() == Some(&message))
        {
            return Ok(pb::Accepted {});
        }
        self.check_record(tx).await?;
        self.put(tx, before).await?;
        Ok(pb::Accepted {})
    }
}

impl Place {
    /// Whether it is of this version.
    pub(super) fn names(&self, version: VersionId) -> bool {
        self.placement.version_id == version
    }

    /// Where it is to lie.
    pub(super) fn collection(&self) -> CollectionId {
        self.placement.collection_id
    }

    /// Whether the record version is the one that the placement names.
    pub(super) async fn check_record(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { placement, .. } = self;
        let record = tables::record(placement.patient_id, placement.version_id);
        tx.check_not_gone(placement.patient_id, placement.version_id)
            .await?;
        let stored = tx.read_existing(&record).await?.stored.unwrap_or_default();
        let same = stored.record_id == placement.record_id.as_bytes()[..]
            && stored.version_id == placement.version_id.as_bytes()[..]
            && stored.content_root == placement.content_root.as_bytes()[..]
            && stored.stream_len == placement.stream_len;
        ensure(same, Problem::RecordMismatch, "the record is another")
    }

    /// Places it under the next number, in the place of an earlier placement if there is one (COL-4).
    pub(super) async fn put(&self, tx: &mut Tx<'_>, before: Option<PlacementRow>) -> Result<(), Refusal> {
        let Self {
            placement,
            epoch,
            wrap,
        } = self;
        let patient = placement.patient_id;
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
            Some(before) => tx.end_placement(patient, &before).await?,
            None => {
                tx.next_number(*patient.as_bytes(), Counted::Placed).await?;
                tx.delete(&tables::arrival(patient, placement.version_id));
            }
        }
        let row = PlacementRow {
            placement: Some(placement.to_message()),
            number,
        };
        tx.put(&tables::placement(patient, placement.version_id), &row);
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
        let act = Act::Placement(placement.record_id, placement.hash());
        tx.act(patient, act).await
    }
}

impl Tx<'_> {
    /// Under its number nothing lies any more.
    pub(super) async fn end_placement(
        &mut self,
        patient: PatientId,
        before: &PlacementRow,
    ) -> Result<(), Refusal> {
        let id = before.body()?.collection_id;
        for epoch in self.open_epochs(patient, id).await? {
            self.delete_read(&tables::wrap(patient, Collection { id, epoch }, before.number))
                .await?;
        }
        self.delete_read(&tables::placed(patient, before.number)).await?;
        Ok(())
    }
}

impl PlacementRow {
    /// The device's statement, which was verified before it was stored.
    pub(super) fn body(&self) -> Result<Placement, Refusal> {
        let signed = PatientSigned::<Placement>::try_from(self.placement.clone());
        Ok(signed.map_err(Refusal::damaged)?.claimed().clone())
    }
}
