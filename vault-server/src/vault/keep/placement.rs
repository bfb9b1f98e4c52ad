//! Placement: the patient takes a record in, or moves it. The device says which collection it lies in and
//! what it is, and brings its data key under that collection's key. See `spec/collections.md` §2.

use bytes::Bytes;
use protocol_spec::{
    bodies::Placement,
    collection::Collection,
    ids::{CollectionId, PatientId, VersionId},
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
    submitted,
    vault_head::Act,
};

use crate::vault::{
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::OwnDevice,
        submission::Submission,
        tx::{Operation, Tx},
    },
    keep::{collections, gone},
    tables::{self, Counted, PlacementRow, VersionRow, WrapRow},
    telling::tell::{self, Tells},
};

/// A record that is about to lie where its patient wants it.
pub(crate) struct Place {
    placement: Admitted<PatientVerified<Placement>>,
    epoch: u64,
    wrap: Bytes,
}

/// The patient adopts a record version, or moves it to another collection (COL-4).
impl Submission for Place {
    type Message = (VersionId, submitted::AdoptRecord);
    type By = OwnDevice;

    fn admit((version, message): Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        let place = Self::of(message, who)?;
        ensure(
            place.names(version),
            Problem::Malformed,
            "the placement is of another version",
        )?;
        Ok(place)
    }
}

impl Operation for Place {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let message = self.placement.to_message();
        let key = tables::placement(self.placement.patient_id, self.placement.version_id);
        let before = tx.read(&key).await?;
        if before
            .as_ref()
            .is_some_and(|row| row.placement.as_ref() == Some(&message))
        {
            return Ok(());
        }
        self.check_record(tx).await?;
        self.put(tx, before).await
    }
}

impl Place {
    /// A placement by the caller's own device, and the data key that goes with it.
    pub(in crate::vault) fn of(
        message: submitted::AdoptRecord,
        who: &Proven<'_, OwnDevice>,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            placement: who.statement(message.placement)?,
            epoch: message.epoch,
            wrap: message.data_key_wrap.bytes().clone(),
        })
    }

    /// Whether it is of this version.
    pub(in crate::vault) fn names(&self, version: VersionId) -> bool {
        self.placement.version_id == version
    }

    /// Where it is to lie.
    pub(in crate::vault) fn collection(&self) -> CollectionId {
        self.placement.collection_id
    }

    /// Whether the record version is the one that the placement names.
    pub(in crate::vault) async fn check_record(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { placement, .. } = self;
        let record = tables::record(placement.patient_id, placement.version_id);
        gone::check_not_gone(tx, placement.patient_id, placement.version_id).await?;
        let stored = tx.read_existing(&record).await?.stored.unwrap_or_default();
        let same = stored.record_id == placement.record_id.as_bytes()[..]
            && stored.version_id == placement.version_id.as_bytes()[..]
            && stored.content_root == placement.content_root.as_bytes()[..]
            && stored.stream_len == placement.stream_len;
        ensure(same, Problem::RecordMismatch, "the record is another")
    }

    /// Places it under the next number, in the place of an earlier placement if there is one (COL-4).
    pub(in crate::vault) async fn put(
        &self,
        tx: &mut Tx<'_>,
        before: Option<PlacementRow>,
    ) -> Result<(), Refusal> {
        let Self { placement, epoch, .. } = self;
        let patient = placement.patient_id;
        let collection = Collection {
            id: placement.collection_id,
            epoch: *epoch,
        };
        collections::check_current_epoch(tx, patient, collection).await?;
        let number = tx.next_number(*patient.as_bytes(), Counted::Placements).await?;
        ensure(
            number == placement.number,
            Problem::PlacementConflict,
            "not the vault's next placement",
        )?;
        match before {
            Some(before) => end_placement(tx, patient, &before).await?,
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
        tx.put(&tables::wrap(patient, collection, number), &self.wrap_row(number));
        let act = Act::Placement(placement.record_id, placement.hash());
        tell::tell(tx, Tells::of(patient).act(act)).await?;
        Ok(())
    }

    fn wrap_row(&self, number: u64) -> WrapRow {
        WrapRow {
            wrap: self.wrap.clone(),
            version: Bytes::copy_from_slice(self.placement.version_id.as_bytes()),
            record: Bytes::copy_from_slice(self.placement.record_id.as_bytes()),
            epoch: self.epoch,
            number,
        }
    }
}

/// Under its number nothing lies any more.
pub(in crate::vault) async fn end_placement(
    tx: &mut Tx<'_>,
    patient: PatientId,
    before: &PlacementRow,
) -> Result<(), Refusal> {
    let id = before.body()?.collection_id;
    for epoch in collections::open_epochs(tx, patient, id).await? {
        tx.delete_read(&tables::wrap(patient, Collection { id, epoch }, before.number))
            .await?;
    }
    tx.delete_read(&tables::placed(patient, before.number)).await?;
    Ok(())
}

impl PlacementRow {
    /// The device's statement, which was verified before it was stored.
    pub(in crate::vault) fn body(&self) -> Result<Placement, Refusal> {
        let signed = PatientSigned::<Placement>::try_from(self.placement.clone());
        Ok(signed.map_err(Refusal::damaged)?.claimed().clone())
    }
}
