//! What follows a revocation: the account of what left, new keys, the end of old ones, permissions given anew.

use bytes::Bytes;
use protocol_spec::{
    bodies::{EpochClosure, ReleaseReceipt, RevocationReceipt},
    collection::Collection,
    ids::{CollectionId, ReleaseId},
    log::{Logged, Receipt},
    messages as pb,
    permission::{Kind, PermissionBody, Replaces},
    problem::Problem,
    released::{ReceiptsHasher, ReleasedHasher, VersionLeaves},
    statement::Body,
};

use super::{
    collections::{ONCOLOGY, Scene, selector},
    problem,
    world::{START, Terms, intent},
};
use crate::vault::Refusal;
use crate::vault::{
    ask::revocation::{self, SubmitRevocation},
    core::submission::submit,
    keep::{
        closure::CloseEpoch,
        collections, records, released,
        rewrap::{self, PutWraps},
    },
    telling::history,
    transfer::{release_end, sweep},
};

impl Scene {
    /// Two records in a collection in its epoch 0, and its epoch 1.
    async fn with_second_epoch() -> Self {
        let scene = Self::with_records(2).await;
        scene.put(ONCOLOGY, 0).await.unwrap();
        scene.place(0, ONCOLOGY, 1).await.unwrap();
        scene.place(1, ONCOLOGY, 2).await.unwrap();
        scene
    }

    pub(super) async fn wraps(&self, epoch: u64, limit: usize) -> Vec<(u64, Bytes, Bytes)> {
        let patient = self.world.as_patient().await;
        let (mut wraps, mut after) = (Vec::new(), 0);
        loop {
            let of = Collection { id: ONCOLOGY, epoch };
            let page = rewrap::wraps(&self.world.vault, &patient, of, after, limit)
                .await
                .unwrap();
            assert!(page.wraps.len() <= limit);
            wraps.extend(
                page.wraps
                    .into_iter()
                    .map(|wrap| (wrap.number, wrap.version_id, wrap.data_key_wrap)),
            );
            if page.next == 0 {
                return wraps;
            }
            after = page.next;
        }
    }

    pub(super) async fn put_wraps(
        &self,
        (from_epoch, epoch): (u64, u64),
        wraps: &[(u64, usize)],
    ) -> Result<pb::Accepted, Refusal> {
        let wrap = |&(number, record): &(u64, usize)| pb::Wrap {
            number,
            version_id: Bytes::copy_from_slice(self.records[record].version_id.as_bytes()),
            data_key_wrap: vec![10; 104].into(),
            record_id: Bytes::new(),
        };
        let message = pb::PutWraps {
            collection_id: Bytes::copy_from_slice(ONCOLOGY.as_bytes()),
            from_epoch,
            epoch,
            wraps: wraps.iter().map(wrap).collect(),
        };
        let patient = self.world.as_patient().await;
        submit::<PutWraps>(&self.world.vault, &patient, &intent(), message).await
    }

    pub(super) async fn close_epoch(&self, epoch: u64) -> Result<pb::LoggedStatement, Refusal> {
        self.close(ONCOLOGY, epoch).await
    }

    async fn close(&self, collection_id: CollectionId, epoch: u64) -> Result<pb::LoggedStatement, Refusal> {
        let closure = EpochClosure {
            created: START,
            patient_id: self.world.patient.id,
            collection_id,
            epoch,
        };
        let message = self.world.patient.closure(closure);
        let patient = self.world.as_patient().await;
        submit::<CloseEpoch>(&self.world.vault, &patient, &intent(), message).await
    }
}

/// REV-5
#[tokio::test]
async fn data_keys_are_brought_under_the_current_key() {
    let scene = Scene::with_second_epoch().await;
    assert_eq!(
        problem(scene.put_wraps((0, 1), &[(1, 0)]).await),
        Problem::EpochMismatch
    );
    scene.put(ONCOLOGY, 1).await.unwrap();
    for (epochs, wraps, refused) in [
        ((0, 0), [(1, 0)], Problem::EpochMismatch),
        ((1, 1), [(1, 0)], Problem::EpochMismatch),
        ((0, 2), [(1, 0)], Problem::EpochMismatch),
        ((0, 1), [(1, 1)], Problem::PlacementConflict),
        ((0, 1), [(3, 0)], Problem::PlacementConflict),
    ] {
        assert_eq!(
            problem(scene.put_wraps(epochs, &wraps).await),
            refused,
            "{epochs:?} {wraps:?}"
        );
    }
    // All of a message or none.
    assert!(scene.put_wraps((0, 1), &[(1, 0), (2, 0)]).await.is_err());
    assert!(scene.wraps(1, 10).await.is_empty());
    scene.put_wraps((0, 1), &[(1, 0), (2, 1)]).await.unwrap();
    for limit in [1, 2, 10] {
        let wraps = scene.wraps(1, limit).await;
        let numbers: Vec<u64> = wraps.iter().map(|(number, ..)| *number).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(wraps.iter().all(|(.., wrap)| *wrap == vec![10; 104]));
    }
    // The device sees the newest, and both are there until one is closed.
    let patient = scene.world.as_patient().await;
    let page = records::vault_records(&scene.world.vault, &patient, 0, 0)
        .await
        .unwrap();
    let page = page.read().await.unwrap();
    assert!(
        page.records
            .iter()
            .all(|record| record.epoch == 1 && record.data_key_wrap == vec![10; 104])
    );
    assert_eq!(scene.wraps(0, 10).await.len(), 2);
}

/// REV-5: what another device has moved meanwhile is not brought back.
#[tokio::test]
async fn a_record_that_was_moved_takes_all_its_wraps_along() {
    let scene = Scene::with_second_epoch().await;
    scene.put(CollectionId::DEFAULT, 0).await.unwrap();
    scene.put(ONCOLOGY, 1).await.unwrap();
    scene.put_wraps((0, 1), &[(1, 0)]).await.unwrap();
    scene.place(0, CollectionId::DEFAULT, 3).await.unwrap();
    assert_eq!(
        problem(scene.put_wraps((0, 1), &[(1, 0)]).await),
        Problem::PlacementConflict
    );
    assert_eq!(scene.wraps(0, 10).await.len(), 1);
    assert!(scene.wraps(1, 10).await.is_empty());
}

/// REV-6
#[tokio::test]
async fn a_closed_epoch_releases_nothing_and_its_wraps_are_gone() {
    let scene = Scene::with_second_epoch().await;
    let release = scene.release(None).await;
    assert_eq!(scene.listed(release, 10).await, [1, 2]);
    assert_eq!(problem(scene.close_epoch(0).await), Problem::EpochMismatch);
    // COL-9
    assert_eq!(
        problem(scene.close(CollectionId::OWN, 0).await),
        Problem::Malformed
    );
    scene.put(ONCOLOGY, 1).await.unwrap();
    assert_eq!(problem(scene.close_epoch(1).await), Problem::EpochMismatch);
    scene.put_wraps((0, 1), &[(1, 0)]).await.unwrap();
    assert_eq!(problem(scene.close_epoch(0).await), Problem::WrapsMissing);
    scene.put_wraps((0, 1), &[(2, 1)]).await.unwrap();
    assert!(scene.fetched(release, 0).await.is_ok());

    let closed = scene.close_epoch(0).await.unwrap();
    let operator = scene.world.operator_key();
    let logged = Logged::<EpochClosure>::verify(closed.clone(), &operator).unwrap();
    assert_eq!(
        (logged.statement.collection_id, logged.statement.epoch),
        (ONCOLOGY, 0)
    );
    assert_eq!(problem(scene.fetched(release, 0).await), Problem::NotPermitted);
    let hospital = scene.world.as_hospital(&scene.world.second).await;
    let listed = released::released_records(&scene.world.vault, &hospital, release, 0, 10).await;
    assert_eq!(problem(listed), Problem::NotPermitted);
    assert!(scene.wraps(0, 10).await.is_empty());
    assert_eq!(scene.wraps(1, 10).await.len(), 2);
    let patient = scene.world.as_patient().await;
    let list = collections::collections(&scene.world.vault, &patient)
        .await
        .unwrap();
    let lengths: Vec<usize> = list.collections[0].key_wraps.iter().map(Bytes::len).collect();
    assert_eq!(lengths, [0, 104]);
    // Again: the first closure, whoever signs which.
    let again = Logged::<EpochClosure>::verify(scene.close_epoch(0).await.unwrap(), &operator).unwrap();
    assert_eq!(again.statement.hash(), logged.statement.hash());
    let history = history::history(&scene.world.vault, &patient, 0, 0)
        .await
        .unwrap();
    let closures = history
        .entries
        .iter()
        .filter(|entry| matches!(entry.what, Some(pb::history_entry::What::Closed(_))));
    assert_eq!(closures.count(), 1);
}

/// REV-6: a server that ends between closing and shredding goes on with it.
#[tokio::test]
async fn the_sweeper_shreds_what_a_crash_has_left() {
    let scene = Scene::with_second_epoch().await;
    scene.put(ONCOLOGY, 1).await.unwrap();
    scene.put_wraps((0, 1), &[(1, 0), (2, 1)]).await.unwrap();
    scene.close_epoch(0).await.unwrap();
    scene.world.restore_wraps(ONCOLOGY, 0, &[1, 2]).await;
    assert_eq!(scene.wraps(0, 10).await.len(), 2);
    sweep::sweep(&scene.world.vault).await.unwrap();
    assert!(scene.wraps(0, 10).await.is_empty());
}

fn replacement(scene: &Scene, old: &PermissionBody, left: (u32, u64)) -> PermissionBody {
    PermissionBody {
        replaces: Some(Replaces {
            permission_id: old.permission_id,
            permission_hash: protocol_spec::hash::Sha256Digest::of(&old.encode()),
            uses_left: left.0,
            bytes_left: left.1,
            signed_again: false,
        }),
        collection: Some(selector(ONCOLOGY, 1, None)),
        ..scene.world.permission_body(
            &scene.world.second,
            Kind::Download,
            old.request_hash,
            Vec::new(),
            Terms::default(),
        )
    }
}

/// PRM-14
#[tokio::test]
async fn a_permission_takes_the_place_of_another_as_it_was_seen() {
    let scene = Scene::with_second_epoch().await;
    let old = scene.permit(selector(ONCOLOGY, 0, None)).await.unwrap();
    let world = &scene.world;
    let release = world
        .open_release(&world.second, old.permission_id)
        .await
        .release_id;
    let entry = world.entry(old.permission_id).await;
    // What the open release holds is not spent.
    assert_eq!(entry.uses_held, 1);
    let left = (
        entry.uses_left + entry.uses_held,
        entry.bytes_left + entry.bytes_held,
    );
    scene.put(ONCOLOGY, 1).await.unwrap();
    for wrong in [(left.0 + 1, left.1), (left.0, left.1 - 1)] {
        let body = replacement(&scene, &old, wrong);
        assert_eq!(problem(world.submit(&body).await), Problem::ReplacementConflict);
    }
    let changes: [fn(&mut PermissionBody); 3] = [
        |body| body.kind = Kind::Reference,
        |body| body.request_hash = protocol_spec::hash::Sha256Digest::of(b"another"),
        |body| {
            if let Some(replaces) = &mut body.replaces {
                replaces.permission_hash = protocol_spec::hash::Sha256Digest::of(b"another");
            }
        },
    ];
    for change in changes {
        let mut body = replacement(&scene, &old, left);
        change(&mut body);
        assert_eq!(problem(world.submit(&body).await), Problem::RequestMismatch);
    }
    let new = replacement(&scene, &old, left);
    world.submit(&new).await.unwrap();
    assert_eq!(
        world.entry(old.permission_id).await.state(),
        pb::PermissionState::Replaced
    );
    let used = world.present(&world.second, old.permission_id).await;
    assert_eq!(problem(used), Problem::PermissionReplaced);
    assert_eq!(
        problem(scene.fetched(release, 0).await),
        Problem::PermissionReplaced
    );
    world.present(&world.second, new.permission_id).await.unwrap();
    // What has been replaced is not replaced again, and neither is what was revoked.
    assert_eq!(
        problem(world.submit(&replacement(&scene, &old, left)).await),
        Problem::ReplacementConflict
    );
    world.revoke(&new).await;
    let entry = world.entry(new.permission_id).await;
    let revived = replacement(&scene, &new, (entry.uses_left, entry.bytes_left));
    assert_eq!(
        problem(world.submit(&revived).await),
        Problem::ReplacementConflict
    );
}

/// REV-1, REV-2, REV-3, REV-4
#[tokio::test]
async fn a_revocation_closes_all_releases_and_accounts_for_them() {
    let scene = Scene::with_second_epoch().await;
    let world = &scene.world;
    let terms = Terms {
        uses: 3,
        ..Terms::default()
    };
    let permission = scene
        .permit_with(selector(ONCOLOGY, 0, None), terms)
        .await
        .unwrap();
    let first = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    let second = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    scene.fetched(first, 0).await.unwrap();
    scene.fetched(first, 0).await.unwrap();
    scene.fetched(second, 1).await.unwrap();
    world.close(&world.second, first).await.unwrap();

    let patient = world.as_patient().await;
    let submit = || async {
        let message = world.patient.revokes(&permission);
        submit::<SubmitRevocation>(&world.vault, &patient, &intent(), message)
            .await
            .unwrap()
    };
    let receipt = submit().await;
    let again = submit().await;
    assert_eq!(
        (again.revocation, again.receipt.unwrap().statement),
        (
            receipt.revocation.clone(),
            receipt.receipt.clone().unwrap().statement
        )
    );
    let operator = world.operator_key();
    let receipt = Receipt::<RevocationReceipt>::verify(receipt.receipt, &operator)
        .unwrap()
        .statement;
    assert_eq!(receipt.institution_id, world.second.id);
    let mut by_id = [(first, 0), (second, 1)];
    by_id.sort();
    let page = revocation::past_releases(&world.vault, &patient, permission.permission_id, None, 1)
        .await
        .unwrap();
    assert_eq!(
        (page.releases.len(), page.next),
        (1, Bytes::copy_from_slice(by_id[0].0.as_bytes()))
    );
    let list = revocation::past_releases(&world.vault, &patient, permission.permission_id, None, 10)
        .await
        .unwrap();
    let mut hasher = ReceiptsHasher::default();
    for (past, (release, record)) in list.releases.into_iter().zip(by_id) {
        let receipt = Receipt::<ReleaseReceipt>::verify(past.receipt, &operator)
            .unwrap()
            .statement;
        assert_eq!(receipt.release_id, release);
        let ranges = ranges(&scene, release).await;
        let versions: Vec<_> = ranges.iter().map(|leaves| leaves.version_id).collect();
        assert_eq!(versions, [scene.records[record].version_id]);
        assert_eq!(ranges[0].leaves.iter().collect::<Vec<_>>(), [(0, 1)]);
        let mut released = ReleasedHasher::default();
        ranges.iter().for_each(|leaves| released.add(leaves).unwrap());
        assert_eq!(receipt.released_hash, released.finish());
        hasher.add(&receipt.hash());
    }
    assert_eq!((receipt.releases, receipt.releases_hash), (2, hasher.finish()));
    // Nobody else reads them.
    let stranger = world.as_hospital(&world.second).await;
    let asked = revocation::past_releases(&world.vault, &stranger, permission.permission_id, None, 10).await;
    assert_eq!(problem(asked), Problem::NotPermitted);
    let asked = release_end::released_ranges(&world.vault, &stranger, first, None, 10).await;
    assert_eq!(problem(asked), Problem::NotPermitted);
}

async fn ranges(scene: &Scene, release: ReleaseId) -> Vec<VersionLeaves> {
    let patient = scene.world.as_patient().await;
    let page = release_end::released_ranges(&scene.world.vault, &patient, release, None, 100)
        .await
        .unwrap();
    assert!(page.next.is_empty());
    page.versions
        .into_iter()
        .map(|version| version.try_into().unwrap())
        .collect()
}
