//! Collections and the epochs of their keys. The server keeps wraps and sealed names, and knows which epoch is the
//! current one. See `spec/collections.md` §1.

use protocol_spec::{
    collection::{Collection, check_current, check_next},
    defence::Defence,
    ids::{CollectionId, PatientId},
    messages as pb,
    problem::Problem,
    submitted,
    vault_head::{Act, epoch_hash},
};

use crate::vault::{
    core::{
        limits::{MAX_COLLECTIONS, MAX_EPOCHS, MAX_OPEN_EPOCHS, RESERVED_EPOCHS},
        proven::Proven,
        refusal::{Refusal, ensure},
        role::OwnDevice,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    device::{kept, listed},
    tables::{self, CollectionRow, Counted},
    telling::acts,
    who::caller::Caller,
};

/// The caller's collections with all their epochs, by id, and the number of her last placement.
pub(crate) async fn collections(shared: &Shared, caller: &Caller) -> Result<pb::CollectionList, Refusal> {
    let patient = caller.patient()?;
    let ledger = &*shared.ledger;
    let last = tables::count(*patient.as_bytes(), Counted::Placements);
    let last_placement = last.get(ledger).await?.unwrap_or_default().value;
    let patient_row = tables::patient(patient).get(ledger).await?.unwrap_or_default();
    let rows = tables::collections(patient).scan(ledger, MAX_COLLECTIONS).await?;
    let collections = rows.into_iter().map(|(id, row)| pb::CollectionEpochs {
        collection_id: id.into(),
        sealed_name: row.sealed_name,
        key_wraps: row.key_wraps,
    });
    Ok(pb::CollectionList {
        collections: collections.collect(),
        last_placement,
        root_epoch: patient_row.root_epoch,
        kept: kept::kept_epochs(shared, &patient_row)
            .map(|kept| kept.root_epoch)
            .collect(),
    })
}

/// Opens an epoch of a collection (COL-1, DEV-13).
pub(crate) struct PutCollection {
    patient: PatientId,
    message: submitted::PutCollection,
}

impl Submission for PutCollection {
    type Message = submitted::PutCollection;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            patient: who.principal(),
            message,
        })
    }
}

impl Operation for PutCollection {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { patient, message } = self;
        let (id, wrap) = (message.collection_id, message.key_wrap.bytes());
        listed::check_root_epoch(tx, *patient, message.root_epoch).await?;
        let key = tables::collection(*patient, id);
        let stored = tx.read(&key).await?;
        // Another epoch, as a revocation makes one.
        tx.protects = stored.is_some();
        if stored.is_none() {
            let number = tx.next_number(*patient.as_bytes(), Counted::Collections).await?;
            let fits = usize::try_from(number).is_ok_and(|number| number <= MAX_COLLECTIONS);
            ensure(fits, Problem::TooMany, "the vault has too many collections")?;
        }
        let mut row = stored.unwrap_or_default();
        let epoch = usize::try_from(message.epoch).unwrap_or(usize::MAX);
        if row.key_wraps.get(epoch) == Some(wrap) {
            return Ok(());
        }
        check_next(row.current(), message.epoch)?;
        check_open_epochs(tx, *patient).await?;
        ensure(
            row.key_wraps.len() < MAX_EPOCHS - RESERVED_EPOCHS,
            Problem::TooMany,
            "what epochs are left are kept for removals of devices",
        )?;
        if message.epoch == 0 {
            row.sealed_name = message.sealed_name.clone();
        }
        row.key_wraps.push(wrap.clone());
        tx.put(&key, &row);
        act_of_epoch(tx, *patient, id, &row).await
    }
}

impl CollectionRow {
    pub(in crate::vault) fn current(&self) -> Option<u64> {
        self.key_wraps
            .len()
            .checked_sub(1)
            .and_then(|last| last.try_into().ok())
    }

    /// The epochs that are not closed, in descending order.
    pub(in crate::vault) fn open(&self) -> impl Iterator<Item = u64> {
        let numbered = self.key_wraps.iter().enumerate().rev();
        let open = numbered.filter(|(_, wrap)| !wrap.is_empty());
        open.filter_map(|(epoch, _)| u64::try_from(epoch).ok())
    }
}

/// Enters the newest epoch of a collection among the acts.
pub(in crate::vault) async fn act_of_epoch(
    tx: &mut Tx<'_>,
    patient: PatientId,
    id: CollectionId,
    row: &CollectionRow,
) -> Result<(), Refusal> {
    let Some((epoch, wrap)) = row.current().zip(row.key_wraps.last()) else {
        return Err(Refusal::damaged("a collection has no key"));
    };
    acts::act(tx, patient, Act::Epoch(id, epoch_hash(epoch, wrap))).await
}

/// Whether one more epoch may be opened beside those of all collections. Two at once may both be taken.
async fn check_open_epochs(tx: &mut Tx<'_>, patient: PatientId) -> Result<(), Refusal> {
    let rows = tables::collections(patient)
        .scan(&*tx.shared.ledger, MAX_COLLECTIONS)
        .await?;
    let open: usize = rows.iter().map(|(_, row)| row.open().count()).sum();
    ensure(
        open < MAX_OPEN_EPOCHS,
        Problem::TooMany,
        "too many epochs are open",
    )
}

/// Refuses unless this is the collection's current epoch.
pub(in crate::vault) async fn check_current_epoch(
    tx: &mut Tx<'_>,
    patient: PatientId,
    collection: Collection,
) -> Result<(), Refusal> {
    let row = tx.read(&tables::collection(patient, collection.id)).await?;
    let current = row.and_then(|row| row.current());
    Ok(check_current(current, collection.epoch)?)
}

/// Refuses what is asked for by a closed epoch (REV-6).
pub(in crate::vault) async fn check_open(
    tx: &mut Tx<'_>,
    patient: PatientId,
    collection: Collection,
) -> Result<(), Refusal> {
    let open = open_epochs(tx, patient, collection.id).await?;
    ensure(
        Defence::ClosedEpochs.holds(open.contains(&collection.epoch)),
        Problem::NotPermitted,
        "the epoch is closed",
    )
}

/// The epochs of a collection that are not closed, in descending order.
pub(in crate::vault) async fn open_epochs(
    tx: &mut Tx<'_>,
    patient: PatientId,
    id: CollectionId,
) -> Result<Vec<u64>, Refusal> {
    let row = tx.read(&tables::collection(patient, id)).await?;
    Ok(row.unwrap_or_default().open().collect())
}
