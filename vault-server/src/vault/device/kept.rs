//! What the root epochs that are over could open stays for a while: a root key that does not open, put by a device in wrong
//! hands, takes the vault from nobody at once. See `spec/devices.md` §3 (DEV-29).

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    ids::{DeviceId, PatientId},
    messages as pb,
    problem::Problem,
};

use crate::vault::{
    core::{limits::MAX_COLLECTIONS, refusal::Refusal, shared::Shared, tx::Tx, units::millis},
    device::leaving,
    tables::{
        self, CollectionRow, Expiring, KeptCollectionsRow, KeptEpoch, KeptKey, KeptKeysRow, PatientRow,
    },
    who::caller::Caller,
};

/// Of how many epochs that are over something is kept: one that was in force for a day or longer is pushed out by none that come
/// within a week after it, as eight of them would take longer.
const MAX_KEPT: usize = 8;

/// The caller's collections as the end of a root epoch found them.
pub(crate) async fn kept_collections(
    shared: &Shared,
    caller: &Caller,
    root_epoch: u64,
) -> Result<pb::CollectionList, Refusal> {
    let (patient, _) = caller.device()?;
    let ledger = &*shared.ledger;
    let row = tables::patient(patient).get(ledger).await?.unwrap_or_default();
    let nothing = || Refusal::new(Problem::NotFound, "nothing of this root epoch is kept");
    if !kept_epochs(shared, &row).any(|kept| kept.root_epoch == root_epoch) {
        return Err(nothing());
    }
    let collections = tables::kept_collections(patient, root_epoch).get(ledger).await?;
    Ok(pb::CollectionList {
        collections: collections.ok_or_else(nothing)?.collections,
        last_placement: 0,
        root_epoch,
        kept: Vec::new(),
    })
}

/// The root keys of epochs that are over, as far as they are kept, as they are sealed to one device.
pub(in crate::vault) async fn kept_root_keys(
    shared: &Shared,
    patient: PatientId,
    device: DeviceId,
    row: &PatientRow,
) -> Result<Vec<pb::KeptRootKey>, Refusal> {
    let mut found = Vec::new();
    for kept in kept_epochs(shared, row) {
        let keys = tables::kept_keys(patient, kept.root_epoch);
        let keys = keys.get(&*shared.ledger).await?.unwrap_or_default().root_keys;
        let own = keys.into_iter().find(|key| key.device == device.as_bytes()[..]);
        if let Some(root_key) = own.and_then(|own| own.root_key) {
            found.push(pb::KeptRootKey {
                root_epoch: kept.root_epoch,
                root_key: Some(root_key),
            });
        }
    }
    Ok(found)
}

/// The epochs that are over of which something is kept.
pub(in crate::vault) fn kept_epochs<'a>(
    shared: &Shared,
    row: &'a PatientRow,
) -> impl Iterator<Item = &'a KeptEpoch> + use<'a> {
    let (now, delay) = (shared.time.now(), millis(shared.limits.recovery_delay));
    row.kept.iter().filter(move |kept| !kept.is_over(now, delay))
}

impl KeptEpoch {
    fn is_over(&self, now: u64, delay: u64) -> bool {
        now >= self.until.saturating_add(delay)
    }

    /// For how long it was in force.
    fn lasted(&self) -> u64 {
        self.until.saturating_sub(self.from)
    }
}

/// Keeps what the root epoch that ends now could open, for the devices that stay; called before anything of it is
/// overwritten. Of more than are kept, the one goes that was in force for the shortest time.
pub(in crate::vault) async fn keep_epoch(
    tx: &mut Tx<'_>,
    patient: PatientId,
    row: &mut PatientRow,
    stay: &[DeviceId],
) -> Result<(), Refusal> {
    let ended = KeptEpoch {
        root_epoch: row.root_epoch,
        from: row.root_since,
        until: tx.now,
    };
    row.root_since = tx.now;
    if Defence::KeptEpochs.is_off() {
        return Ok(());
    }
    let delay = leaving::delay(tx);
    let (over, mut kept): (Vec<_>, Vec<_>) = row.kept.iter().partition(|kept| kept.is_over(tx.now, delay));
    kept.push(ended);
    let mut dropped = over;
    if kept.len() > MAX_KEPT {
        kept.sort_by_key(|kept| (kept.lasted(), u64::MAX - kept.root_epoch));
        dropped.push(kept.remove(0));
        kept.sort_by_key(|kept| kept.root_epoch);
    }
    for epoch in dropped.iter().filter(|epoch| **epoch != ended) {
        tx.delete(&tables::kept_keys(patient, epoch.root_epoch));
        tx.delete(&tables::kept_collections(patient, epoch.root_epoch));
    }
    row.kept = kept;
    if dropped.contains(&ended) {
        return Ok(());
    }
    let root_keys = sealed_to(tx, stay).await?;
    tx.put(
        &tables::kept_keys(patient, ended.root_epoch),
        &KeptKeysRow { root_keys },
    );
    let collections = all_collections(tx, patient).await?;
    tx.put(
        &tables::kept_collections(patient, ended.root_epoch),
        &KeptCollectionsRow { collections },
    );
    let at = tx.now.saturating_add(delay);
    tx.expire(at, Expiring::Kept(patient, ended.root_epoch));
    Ok(())
}

async fn sealed_to(tx: &mut Tx<'_>, devices: &[DeviceId]) -> Result<Vec<KeptKey>, Refusal> {
    let mut keys = Vec::with_capacity(devices.len());
    for id in devices {
        let row = tx.read_existing(&tables::device(*id)).await?;
        keys.push(KeptKey {
            device: Bytes::copy_from_slice(id.as_bytes()),
            root_key: row.device.and_then(|device| device.root_key),
        });
    }
    Ok(keys)
}

async fn all_collections(tx: &mut Tx<'_>, patient: PatientId) -> Result<Vec<pb::CollectionEpochs>, Refusal> {
    let rows = tables::collections(patient)
        .scan(&*tx.shared.ledger, MAX_COLLECTIONS)
        .await?;
    let mut all = Vec::with_capacity(rows.len());
    for (id, _) in rows {
        // The commit checks that it is still so.
        let key = tables::collection(patient, id.as_slice().try_into()?);
        let CollectionRow {
            sealed_name,
            key_wraps,
        } = tx.read_existing(&key).await?;
        all.push(pb::CollectionEpochs {
            collection_id: id.into(),
            sealed_name,
            key_wraps,
        });
    }
    Ok(all)
}
