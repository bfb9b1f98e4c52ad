//! A full volume: what takes access away goes into the reserve, all else is refused, and nobody waits for what cannot be written.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use protocol_spec::{messages as pb, permission::PermissionBody, problem::Problem};

use super::{
    problem,
    world::{Stores, Terms, World, intent, limits, stream},
};
use crate::vault::{
    ask::{delivery, requests::SubmitDownload, revocation::SubmitRevocation, unanswered::DeleteUnanswered},
    core::submission::submit,
    transfer::sweep,
};
use crate::{
    store::{
        BlobStore, Commit, Key, LeafKey, LeafWriter, Ledger, MemoryStore, Outcome, StoreError, Table,
        Versioned,
    },
    vault::{VaultLimits, tables},
};

/// A store on a volume that has no room left, once told so.
#[derive(Default)]
struct Volume {
    store: MemoryStore,
    full: AtomicBool,
    /// Of the reserve, once the volume is full.
    used_up: AtomicBool,
    /// For what gives leaves their places, there is no room.
    log_full: AtomicBool,
}

impl Volume {
    fn takes(&self, urgent: bool) -> Result<(), StoreError> {
        let full = self.full.load(Ordering::Relaxed);
        let reserve = urgent && !self.used_up.load(Ordering::Relaxed);
        if full && !reserve {
            return Err(StoreError::Full);
        }
        Ok(())
    }
}

impl Ledger for Volume {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Versioned>>, StoreError>> {
        Ledger::get(&self.store, keys)
    }

    fn scan<'a>(
        &'a self,
        partition: &'a [u8; 32],
        table: Table,
        from: &'a [u8],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.store.scan(partition, table, from, limit)
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        let head = tables::log_head().key().clone();
        let sequences = commit.writes.iter().any(|(key, _)| *key == head);
        match self.takes(commit.urgent) {
            Ok(()) if sequences && self.log_full.load(Ordering::Relaxed) => {
                async { Err(StoreError::Full) }.boxed()
            }
            Ok(()) => self.store.commit(commit),
            Err(full) => async { Err(full) }.boxed(),
        }
    }

    fn purge<'a>(&'a self, partition: &'a [u8; 32]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.purge(partition)
    }
}

impl BlobStore for Volume {
    fn writer(&self, version: [u8; 16], first_leaf: u32) -> Result<Box<dyn LeafWriter>, StoreError> {
        self.takes(false)?;
        self.store.writer(version, first_leaf)
    }

    fn put_small(&self, key: LeafKey, bytes: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        match self.takes(false) {
            Ok(()) => self.store.put_small(key, bytes),
            Err(full) => async { Err(full) }.boxed(),
        }
    }

    fn get(&self, key: LeafKey) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        BlobStore::get(&self.store, key)
    }

    fn delete(&self, version: [u8; 16], leaves: Range<u32>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.delete(version, leaves)
    }

    fn purge_leaves(&self, versions: Vec<[u8; 16]>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.purge_leaves(versions)
    }
}

/// A permission with an open release, on a volume that is full since.
async fn filled() -> (World, Arc<Volume>, PermissionBody) {
    let volume = Arc::new(Volume::default());
    let world = World::over(Stores::of(&volume), limits()).await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let terms = Terms {
        uses: 3,
        ..Terms::default()
    };
    let permission = world.permit_download(&world.second, vec![record], terms).await;
    world.open_release(&world.second, permission.permission_id).await;
    volume.full.store(true, Ordering::Relaxed);
    (world, volume, permission)
}

async fn revoke(world: &World, permission: &PermissionBody) -> Result<pb::RevocationAnswer, Problem> {
    let patient = world.as_patient().await;
    let message = world.patient.revokes(permission);
    let answer = submit::<SubmitRevocation>(&world.vault, &patient, &intent(), message).await;
    answer.map_err(|refusal| refusal.problem)
}

/// ATK-89, FLW-14: a volume that somebody has filled keeps no revocation out: it is taken, closes what is open, and stands in the log.
/// All else that would write is refused; what only reads goes on.
#[tokio::test]
async fn a_full_volume_takes_revocations() {
    let (world, _volume, permission) = filled().await;
    let hospital = world.as_hospital(&world.second).await;
    let id = permission.permission_id;
    assert_eq!(
        problem(delivery::deliver(&world.vault, &hospital, id).await),
        Problem::StorageFull
    );
    let (message, _) = world.second.asks_download(world.download_request(&world.second));
    let asked = submit::<SubmitDownload>(&world.vault, &hospital, &intent(), message).await;
    assert_eq!(problem(asked), Problem::StorageFull);
    let before = world.acts().await.count();
    let answer = revoke(&world, &permission).await.unwrap();
    assert!(answer.receipt.unwrap().proof.is_some(), "it stands in the log");
    assert_eq!(world.entry(id).await.state(), pb::PermissionState::Revoked);
    assert_eq!(world.acts().await.count(), before + 1);
    world.check().await;
}

/// FLW-14: whoever has an inbox full of what she never asked for can still have it deleted.
#[tokio::test]
async fn a_full_volume_takes_deletions() {
    let volume = Arc::new(Volume::default());
    let world = World::over(Stores::of(&volume), limits()).await;
    let hospital = world.as_hospital(&world.second).await;
    let request = world.download_request(&world.second);
    let id = Bytes::copy_from_slice(request.request_id.as_bytes());
    let (message, _) = world.second.asks_download(request);
    submit::<SubmitDownload>(&world.vault, &hospital, &intent(), message)
        .await
        .unwrap();
    volume.full.store(true, Ordering::Relaxed);
    let message = pb::DeleteUnanswered {
        what: Some(pb::delete_unanswered::What::RequestId(id)),
    };
    let patient = world.as_patient().await;
    let vault = &world.vault;
    submit::<DeleteUnanswered>(vault, &patient, &intent(), message.clone())
        .await
        .unwrap();
    let again = submit::<DeleteUnanswered>(vault, &patient, &intent(), message).await;
    assert_eq!(problem(again), Problem::NotPermitted, "nothing is left to delete");
}

/// FLW-14, DEL-1, DEL-6: what is to be destroyed is taken on a full volume as well.
#[tokio::test]
async fn a_full_volume_takes_what_destroys_records() {
    let volume = Arc::new(Volume::default());
    let world = World::over(Stores::of(&volume), limits()).await;
    let deleted = world.store_record(&world.first, &stream(10)).await;
    let taken_back = world.store_record(&world.first, &stream(20)).await;
    volume.full.store(true, Ordering::Relaxed);
    let answer = world.delete(&deleted).await.unwrap();
    assert!(answer.proof.is_some(), "it stands in the log");
    let answer = world.take_back(&world.first, &taken_back).await.unwrap();
    assert!(answer.proof.is_some(), "it stands in the log");
    sweep::sweep(&world.vault).await.unwrap();
    for record in [deleted, taken_back] {
        let key = LeafKey {
            version: *record.version_id.as_bytes(),
            leaf: 0,
        };
        assert!(world.store.blobs.get(key).await.unwrap().is_none());
    }
    world.check().await;
}

/// ATK-89, the control: without a reserve, the same revocation is refused, and the permission lives on.
#[tokio::test]
async fn without_a_reserve_a_full_volume_keeps_a_revocation_out() {
    let (world, volume, permission) = filled().await;
    volume.used_up.store(true, Ordering::Relaxed);
    assert_eq!(
        revoke(&world, &permission).await.unwrap_err(),
        Problem::StorageFull
    );
    let state = world.entry(permission.permission_id).await.state();
    assert_eq!(state, pb::PermissionState::Live);
}

/// FLW-14: whoever wants the place in the log of what was stored, and cannot be logged, is told so at once, not after all the time
/// that a place may take; when there is room again, it has its place.
#[tokio::test]
async fn nobody_waits_for_a_log_that_cannot_be_written() {
    let volume = Arc::new(Volume::default());
    let patient = VaultLimits {
        log_wait: Duration::from_secs(600),
        ..limits()
    };
    let world = World::over(Stores::of(&volume), patient).await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    volume.log_full.store(true, Ordering::Relaxed);
    let began = Instant::now();
    for _ in 0..2 {
        assert_eq!(
            revoke(&world, &permission).await.unwrap_err(),
            Problem::Unavailable
        );
    }
    assert_eq!(
        world.entry(permission.permission_id).await.state(),
        pb::PermissionState::Revoked
    );
    assert!(
        began.elapsed() < Duration::from_secs(300),
        "{:?}",
        began.elapsed()
    );
    volume.log_full.store(false, Ordering::Relaxed);
    while revoke(&world, &permission).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.check().await;
}
