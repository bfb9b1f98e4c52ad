//! Collections: epochs, placements, permissions over what lies in one.

use bytes::Bytes;
use protocol_spec::{
    bodies::Placement,
    collection::{Collection, CollectionSelector},
    ids::{CollectionId, ReleaseId, VersionId},
    messages as pb,
    permission::{Kind, PermissionBody, RecordSelector},
    problem::Problem,
    tags::{RecordTags, SealedConditions, Token, TokenGroup},
};

use super::{
    problem,
    world::{START, Terms, World, intent, stream},
};
use crate::vault::Refusal;
use crate::vault::keep::{collections, released};
use crate::vault::{
    core::submission::submit,
    keep::{collections::PutCollection, placement::Place},
};

pub(super) const ONCOLOGY: CollectionId = CollectionId::from_bytes([7; 16]);

/// A world with records whose placements tests make.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) records: Vec<RecordSelector>,
}

impl Scene {
    pub(super) async fn with_records(count: usize) -> Self {
        Self::of(World::new().await, count).await
    }

    pub(super) async fn of(world: World, count: usize) -> Self {
        let mut records = Vec::new();
        for number in 0..count {
            records.push(
                world
                    .store_record(&world.first, &stream(100 + number as u64))
                    .await,
            );
        }
        Self { world, records }
    }

    pub(super) async fn put(&self, id: CollectionId, epoch: u64) -> Result<pb::Accepted, Refusal> {
        let message = pb::PutCollection {
            collection_id: Bytes::copy_from_slice(id.as_bytes()),
            epoch,
            key_wrap: vec![epoch.to_le_bytes()[0]; 104].into(),
            sealed_name: if epoch == 0 {
                vec![1; 136].into()
            } else {
                Bytes::new()
            },
            root_epoch: 0,
        };
        let patient = self.world.as_patient().await;
        submit::<PutCollection>(&self.world.vault, &patient, &intent(), message).await
    }

    pub(super) fn placement(&self, record: usize, collection: CollectionId, number: u64) -> Placement {
        let record = &self.records[record];
        Placement {
            created: START,
            patient_id: self.world.patient.id,
            record_id: record.record_id,
            version_id: record.version_id,
            content_root: record.content_root,
            stream_len: record.stream_len,
            collection_id: collection,
            number,
            tags: tags(0, &record.version_id),
        }
    }

    pub(super) async fn submit(&self, placement: Placement, epoch: u64) -> Result<pb::Accepted, Refusal> {
        let version = placement.version_id;
        let message = pb::AdoptRecord {
            placement: Some(self.world.patient.says(placement)),
            epoch,
            data_key_wrap: vec![9; 104].into(),
        };
        let patient = self.world.as_patient().await;
        submit::<Place>(&self.world.vault, &patient, &intent(), (version, message)).await
    }

    pub(super) async fn place(
        &self,
        record: usize,
        collection: CollectionId,
        number: u64,
    ) -> Result<pb::Accepted, Refusal> {
        self.submit(self.placement(record, collection, number), 0).await
    }

    /// Places a record with the tokens from ten times its index on, as the next.
    async fn place_tagged(&self, record: usize) {
        let seed = u8::try_from(record * 10).unwrap();
        let mut placement = self.placement(record, ONCOLOGY, record as u64 + 1);
        placement.tags = tags(seed, &placement.version_id);
        self.submit(placement, 0).await.unwrap();
    }

    pub(super) async fn permit(&self, selector: CollectionSelector) -> Result<PermissionBody, Refusal> {
        self.permit_with(selector, Terms::default()).await
    }

    pub(super) async fn permit_with(
        &self,
        selector: CollectionSelector,
        terms: Terms,
    ) -> Result<PermissionBody, Refusal> {
        let hospital = &self.world.second;
        let hash = self.world.ask_download(hospital).await;
        let body = PermissionBody {
            collection: Some(selector),
            ..self
                .world
                .permission_body(hospital, Kind::Download, hash, Vec::new(), terms)
        };
        self.world.submit(&body).await.map(|_| body)
    }

    /// Permits and presents.
    pub(super) async fn release(&self, until: Option<u64>) -> ReleaseId {
        let permission = self.permit(selector(ONCOLOGY, 0, until)).await.unwrap();
        let ticket = self
            .world
            .open_release(&self.world.second, permission.permission_id);
        ticket.await.release_id
    }

    /// Placement numbers of what is listed, page by page.
    pub(super) async fn listed(&self, release: ReleaseId, page: usize) -> Vec<u64> {
        let hospital = self.world.as_hospital(&self.world.second).await;
        let (mut numbers, mut after) = (Vec::new(), 0);
        loop {
            let list = released::released_records(&self.world.vault, &hospital, release, after, page);
            let list = list.await.unwrap().read().await.unwrap();
            assert!(list.records.len() <= page);
            for record in list.records {
                let signed = protocol_spec::patient::PatientSigned::<Placement>::try_from(record.placement);
                numbers.push(signed.unwrap().verify().unwrap().number);
                assert_eq!(record.data_key_wrap, vec![9; 104]);
                assert!(!record.record.unwrap().sealed_manifest.is_empty());
            }
            if list.next == 0 {
                return numbers;
            }
            after = list.next;
        }
    }

    pub(super) async fn fetched(&self, release: ReleaseId, record: usize) -> Result<Vec<u8>, Refusal> {
        let version = self.records[record].version_id;
        self.world.fetch(&self.world.second, release, version, 0, 1).await
    }
}

/// Tags of a record whose attributes have the tokens `seed`, `seed + 1`, … as they are.
pub(super) fn tags(seed: u8, version: &VersionId) -> RecordTags {
    let tokens: Vec<_> = (seed..seed + 35).map(token).collect();
    RecordTags::new(&tokens, version).unwrap()
}

fn token(byte: u8) -> Token {
    Token::from_bytes([byte; 16])
}

/// With groups of these tokens.
fn conditions(groups: &[&[u8]]) -> SealedConditions {
    let group = |bytes: &&[u8]| TokenGroup::new(bytes.iter().copied().map(token).collect()).unwrap();
    SealedConditions {
        groups: groups.iter().map(group).collect(),
        sealed: vec![4; 136].into(),
    }
}

pub(super) fn selector(id: CollectionId, epoch: u64, until: Option<u64>) -> CollectionSelector {
    CollectionSelector {
        collection: Collection { id, epoch },
        until,
    }
}

/// COL-1
#[tokio::test]
async fn epochs_are_opened_one_after_the_other() {
    let scene = Scene::with_records(0).await;
    assert_eq!(problem(scene.put(ONCOLOGY, 1).await), Problem::EpochMismatch);
    for epoch in [0, 0, 1, 0, 2] {
        scene.put(ONCOLOGY, epoch).await.unwrap();
    }
    assert_eq!(problem(scene.put(ONCOLOGY, 4).await), Problem::EpochMismatch);
    let patient = scene.world.as_patient().await;
    let list = collections::collections(&scene.world.vault, &patient)
        .await
        .unwrap();
    assert_eq!(list.collections.len(), 1);
    assert_eq!(list.collections[0].key_wraps.len(), 3);
    assert_eq!(list.collections[0].sealed_name, vec![1; 136]);
    let hospital = scene.world.as_hospital(&scene.world.first).await;
    assert_eq!(
        problem(collections::collections(&scene.world.vault, &hospital).await),
        Problem::NotPermitted
    );
}

#[tokio::test]
async fn a_vault_has_a_bounded_number_of_collections() {
    let scene = Scene::with_records(0).await;
    for seed in 0..64 {
        scene.put(CollectionId::from_bytes([seed; 16]), 0).await.unwrap();
    }
    let one_more = scene.put(CollectionId::from_bytes([64; 16]), 0).await;
    assert_eq!(problem(one_more), Problem::TooMany);
}

/// COL-4
#[tokio::test]
async fn placements_are_counted_and_name_the_record_as_it_is() {
    let scene = Scene::with_records(2).await;
    assert_eq!(problem(scene.place(0, ONCOLOGY, 1).await), Problem::EpochMismatch);
    scene.put(ONCOLOGY, 0).await.unwrap();
    assert_eq!(
        problem(scene.place(0, ONCOLOGY, 2).await),
        Problem::PlacementConflict
    );
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    // The same again changes nothing; another device that counted the same is told.
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    assert_eq!(
        problem(scene.place(1, ONCOLOGY, 1).await),
        Problem::PlacementConflict
    );
    let changes: [fn(&mut Placement); 3] = [
        |placement| placement.record_id = protocol_spec::ids::RecordId::from_bytes([5; 16]),
        |placement| placement.content_root = protocol_spec::hash::ContentRoot::from_bytes([5; 32]),
        |placement| placement.stream_len += 1,
    ];
    for change in changes {
        let mut placement = scene.placement(1, ONCOLOGY, 2);
        change(&mut placement);
        assert_eq!(problem(scene.submit(placement, 0).await), Problem::RecordMismatch);
    }
    scene.put(ONCOLOGY, 1).await.unwrap();
    assert_eq!(problem(scene.place(1, ONCOLOGY, 2).await), Problem::EpochMismatch);
    scene.submit(scene.placement(1, ONCOLOGY, 2), 1).await.unwrap();
    let patient = scene.world.as_patient().await;
    let list = collections::collections(&scene.world.vault, &patient)
        .await
        .unwrap();
    assert_eq!(list.last_placement, 2);
}

/// COL-6, COL-7
#[tokio::test]
async fn a_collection_is_released_with_what_comes_later_or_without() {
    let scene = Scene::with_records(4).await;
    scene.put(ONCOLOGY, 0).await.unwrap();
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    scene.put(CollectionId::DEFAULT, 0).await.unwrap();
    scene.place(1, CollectionId::DEFAULT, 2).await.unwrap();
    scene.place(2, ONCOLOGY, 3).await.unwrap();
    let (open, bounded) = (scene.release(None).await, scene.release(Some(3)).await);
    scene.place(3, ONCOLOGY, 4).await.unwrap();
    for page in [1, 2, 10] {
        assert_eq!(scene.listed(open, page).await, [1, 3, 4]);
        assert_eq!(scene.listed(bounded, page).await, [1, 3]);
    }
    assert!(scene.fetched(open, 3).await.is_ok());
    assert_eq!(problem(scene.fetched(bounded, 3).await), Problem::NotPermitted);
    assert_eq!(problem(scene.fetched(open, 1).await), Problem::NotPermitted);
    // What is moved away is released no more.
    scene.place(2, CollectionId::DEFAULT, 5).await.unwrap();
    assert_eq!(scene.listed(open, 10).await, [1, 4]);
    assert_eq!(problem(scene.fetched(open, 2).await), Problem::NotPermitted);
}

/// CND-9: records that do not fit are neither listed nor released, whenever they are placed.
#[tokio::test]
async fn conditions_choose_among_the_records_of_a_collection() {
    let scene = Scene::with_records(4).await;
    scene.put(ONCOLOGY, 0).await.unwrap();
    // Tokens 0 to 34, 10 to 44, 20 to 54, 30 to 64.
    for record in 0..3 {
        scene.place_tagged(record).await;
    }
    let hospital = &scene.world.second;
    for (groups, fitting) in [
        (&[&[0_u8][..]][..], &[1_u64][..]),
        (&[&[99, 12]], &[1, 2]),
        (&[&[0, 54]], &[1, 3]),
        (&[&[12], &[44, 45]], &[2]),
        (&[&[12], &[50]], &[]),
        (&[&[99]], &[]),
    ] {
        let hash = scene.world.ask_download(hospital).await;
        let body = PermissionBody {
            collection: Some(selector(ONCOLOGY, 0, None)),
            conditions: Some(conditions(groups)),
            ..scene
                .world
                .permission_body(hospital, Kind::Download, hash, Vec::new(), Terms::default())
        };
        scene.world.submit(&body).await.unwrap();
        let release = scene
            .world
            .open_release(hospital, body.permission_id)
            .await
            .release_id;
        for page in [1, 2, 10] {
            assert_eq!(scene.listed(release, page).await, fitting, "{groups:?}");
        }
        for (record, number) in (0..3).zip(1..) {
            let fetched = scene.fetched(release, record).await;
            if fitting.contains(&number) {
                assert!(fetched.is_ok(), "{groups:?} {number}");
            } else {
                assert_eq!(problem(fetched), Problem::NotPermitted, "{groups:?} {number}");
            }
        }
    }
    let late = scene.world.ask_download(hospital).await;
    let body = PermissionBody {
        collection: Some(selector(ONCOLOGY, 0, None)),
        conditions: Some(conditions(&[&[60]])),
        ..scene
            .world
            .permission_body(hospital, Kind::Download, late, Vec::new(), Terms::default())
    };
    scene.world.submit(&body).await.unwrap();
    let release = scene
        .world
        .open_release(hospital, body.permission_id)
        .await
        .release_id;
    assert_eq!(scene.listed(release, 10).await, [0; 0]);
    scene.place_tagged(3).await;
    assert_eq!(scene.listed(release, 10).await, [4]);
}

/// COL-6
#[tokio::test]
async fn a_permission_is_over_the_current_epoch_of_a_known_collection() {
    let scene = Scene::with_records(1).await;
    let unknown = scene.permit(selector(ONCOLOGY, 0, None)).await;
    assert_eq!(problem(unknown), Problem::EpochMismatch);
    scene.put(ONCOLOGY, 0).await.unwrap();
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    let release = scene.release(None).await;
    scene.put(ONCOLOGY, 1).await.unwrap();
    for epoch in [0, 2] {
        let other = scene.permit(selector(ONCOLOGY, epoch, None)).await;
        assert_eq!(problem(other), Problem::EpochMismatch);
    }
    // What was permitted before stays so, for what is wrapped under the old epoch.
    assert_eq!(scene.listed(release, 10).await, [1]);
    scene.submit(scene.placement(0, ONCOLOGY, 2), 1).await.unwrap();
    assert_eq!(scene.listed(release, 10).await, [0; 0]);
    assert_eq!(problem(scene.fetched(release, 0).await), Problem::NotPermitted);
}

#[tokio::test]
async fn the_list_ends_with_the_release_and_with_its_permission() {
    let scene = Scene::with_records(1).await;
    scene.put(ONCOLOGY, 0).await.unwrap();
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    let permission = scene.permit(selector(ONCOLOGY, 0, None)).await.unwrap();
    let world = &scene.world;
    let release = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    let (owner, thief) = (
        world.as_hospital(&world.second).await,
        world.as_hospital(&world.first).await,
    );
    let list = |caller| released::released_records(&world.vault, caller, release, 0, 10);
    assert!(list(&owner).await.is_ok());
    assert_eq!(problem(list(&thief).await), Problem::NotPermitted);
    world.revoke(&permission).await;
    assert_eq!(problem(list(&owner).await), Problem::PermissionRevoked);
}
