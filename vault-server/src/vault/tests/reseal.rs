//! Records sealed anew by the patient's device: what takes whose place, and what is left of it.

use actors::Patient;
use bytes::Bytes;
use protocol_spec::{
    bodies::{Placement, UploadReceipt},
    content::LEAF_LEN,
    ids::{CollectionId, UploadId, VersionId},
    log::Receipt,
    messages as pb,
    permission::RecordSelector,
    problem::Problem,
};

use super::{
    collections::{ONCOLOGY, Scene, selector, tags},
    problem,
    world::{START, Terms, commit_message, intent, leaf_hashes, stream},
};
use crate::vault::{core::submission::submit, keep::reseal::OpenReseal};
use crate::vault::{
    keep::{records, released, reseal},
    transfer::{commit, intake, sweep},
    who::enrol,
};
use crate::{
    store::LeafKey,
    vault::{Refusal, core::units::random},
};

impl Scene {
    /// A placed record of this length, in epoch 0 of a collection.
    async fn with_placed(plaintext: u64) -> Self {
        let mut scene = Self::with_records(0).await;
        let world = &scene.world;
        let record = world.store_record(&world.first, &stream(plaintext)).await;
        scene.records.push(record);
        scene.put(ONCOLOGY, 0).await.unwrap();
        scene.place(0, ONCOLOGY, 1).await.unwrap();
        scene
    }

    async fn open_reseal(&self, replaces: VersionId, version: VersionId) -> Result<UploadId, Refusal> {
        let message = pb::OpenReseal {
            replaces: Bytes::copy_from_slice(replaces.as_bytes()),
            version_id: Bytes::copy_from_slice(version.as_bytes()),
        };
        let patient = self.world.as_patient().await;
        let opened = submit::<OpenReseal>(&self.world.vault, &patient, &intent(), message).await?;
        Ok(opened.upload_id.as_ref().try_into().unwrap())
    }

    async fn send_own(&self, upload: UploadId, stream: &[u8]) -> Result<(), Refusal> {
        let patient = self.world.as_patient().await;
        let hashes = leaf_hashes(stream);
        let mut intake = intake::begin_leaves(&self.world.vault, &patient, upload, 0, hashes).await?;
        for leaf in stream.chunks(1 << 20) {
            intake.put(Bytes::copy_from_slice(leaf)).await?;
        }
        intake.finish().await
    }

    /// Commits these bytes as the new version of a record, under the vault's next placement.
    async fn commit_reseal(
        &self,
        upload: UploadId,
        version_id: VersionId,
        stream: &[u8],
        number: u64,
    ) -> Result<RecordSelector, Refusal> {
        self.commit_reseal_as(upload, version_id, stream, number, |_| ())
            .await
    }

    /// The same, with another placement.
    async fn commit_reseal_as(
        &self,
        upload: UploadId,
        version_id: VersionId,
        stream: &[u8],
        number: u64,
        change: impl FnOnce(&mut Placement),
    ) -> Result<RecordSelector, Refusal> {
        let commit = commit_message(stream);
        let new = RecordSelector {
            record_id: self.records[0].record_id,
            version_id,
            content_root: commit.content_root.as_ref().try_into().unwrap(),
            stream_len: commit.stream_len,
        };
        let mut placement = Placement {
            created: START,
            patient_id: self.world.patient.id,
            record_id: new.record_id,
            version_id,
            content_root: new.content_root,
            stream_len: new.stream_len,
            collection_id: ONCOLOGY,
            number,
            tags: tags(0, &version_id),
        };
        change(&mut placement);
        let adoption = pb::AdoptRecord {
            placement: Some(self.world.patient.says(placement)),
            epoch: 0,
            data_key_wrap: vec![8; 104].into(),
        };
        let message = pb::CommitReseal {
            upload: Some(commit),
            adoption: Some(adoption),
        };
        let patient = self.world.as_patient().await;
        let vault = &self.world.vault;
        let receipt = reseal::commit_reseal(vault, &patient, &intent(), upload, message).await?;
        let receipt = Receipt::<UploadReceipt>::verify(Some(receipt), &self.world.operator_key()).unwrap();
        assert_eq!(receipt.statement.replaces, Some(self.records[0].version_id));
        assert_eq!(receipt.statement.version_id, version_id);
        assert_eq!(receipt.statement.institution_id, self.world.first.id);
        Ok(new)
    }

    async fn placed_versions(&self) -> Vec<Bytes> {
        let patient = self.world.as_patient().await;
        let page = records::vault_records(&self.world.vault, &patient, 0, 0)
            .await
            .unwrap();
        let records = page.read().await.unwrap().records;
        records
            .into_iter()
            .map(|record| record.record.unwrap().version_id)
            .collect()
    }

    /// Whether anything of a version can be read.
    async fn is_there(&self, version: VersionId) -> bool {
        let patient = self.world.as_patient().await;
        let shown = records::vault_record(&self.world.vault, &patient, version)
            .await
            .is_ok();
        let leaves = records::own_leaves(&self.world.vault, &patient, version, 0, 1)
            .await
            .is_ok();
        assert_eq!(shown, leaves);
        let key = LeafKey {
            version: *version.as_bytes(),
            leaf: 0,
        };
        let stored = self.world.store.blobs.get(key).await.unwrap().is_some();
        assert_eq!(shown, stored);
        shown
    }
}

fn version() -> VersionId {
    VersionId::mint(START, random().unwrap())
}

/// REV-9: inline and by leaves.
#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_one() {
    for plaintext in [100, 3 * LEAF_LEN] {
        let scene = Scene::with_placed(plaintext).await;
        let (old, new) = (scene.records[0].version_id, version());
        let permission = scene.permit(selector(ONCOLOGY, 0, None)).await.unwrap();
        let upload = scene.open_reseal(old, new).await.unwrap();
        // Other bytes of the same length.
        let stream: Vec<u8> = stream(plaintext).iter().map(|byte| byte ^ 1).collect();
        if stream.len() as u64 > LEAF_LEN {
            scene.send_own(upload, &stream).await.unwrap();
        }
        scene.commit_reseal(upload, new, &stream, 2).await.unwrap();
        assert_eq!(
            scene.placed_versions().await,
            [Bytes::copy_from_slice(new.as_bytes())]
        );
        assert!(!scene.is_there(old).await && scene.is_there(new).await);
        // Under the collection, only the new one.
        let world = &scene.world;
        let ticket = world.open_release(&world.second, permission.permission_id).await;
        let hospital = world.as_hospital(&world.second).await;
        let page = released::released_records(&world.vault, &hospital, ticket.release_id, 0, 0)
            .await
            .unwrap();
        let page = page.read().await.unwrap();
        let versions: Vec<_> = page
            .records
            .iter()
            .map(|record| &record.record.as_ref().unwrap().version_id[..])
            .collect();
        assert_eq!(versions, [new.as_bytes()]);
        assert_eq!(page.records[0].data_key_wrap, vec![8; 104]);
        let got = world
            .fetch(&world.second, ticket.release_id, new, 0, 1)
            .await
            .unwrap();
        let expected = &stream[..stream.len().min(1 << 20)];
        assert_eq!(got, expected);
        let gone = world.fetch(&world.second, ticket.release_id, old, 0, 1).await;
        assert_eq!(problem(gone.map(drop)), Problem::NotPermitted);
        // The sweeper finds what is left to destroy, once.
        sweep::sweep(&world.vault).await.unwrap();
        sweep::sweep(&world.vault).await.unwrap();
        assert!(scene.is_there(new).await);
        world.check().await;
    }
}

/// REV-9
#[tokio::test]
async fn only_the_same_content_of_a_placed_record_of_hers_is_sealed_anew() {
    let mut scene = Scene::with_placed(100).await;
    let world = &scene.world;
    let unplaced = world.store_record(&world.first, &stream(100)).await;
    let old = scene.records[0].version_id;
    for (replaces, new, refused) in [
        (unplaced.version_id, version(), Problem::RecordMismatch),
        (version(), version(), Problem::RecordMismatch),
        (old, unplaced.version_id, Problem::AlreadyExists),
        (old, old, Problem::AlreadyExists),
    ] {
        assert_eq!(problem(scene.open_reseal(replaces, new).await), refused);
    }
    let message = pb::OpenReseal {
        replaces: Bytes::copy_from_slice(old.as_bytes()),
        version_id: Bytes::copy_from_slice(version().as_bytes()),
    };
    let stranger = Patient::new(9);
    let enrolling = enrol::enrolling_patient(stranger.enrolment()).unwrap();
    enrol::enrol(&world.vault, &enrolling, &intent()).await.unwrap();
    for (caller, refused) in [
        (world.as_hospital(&world.first).await, Problem::NotPermitted),
        // In her own vault there is no such record.
        (world.as_device(&stranger).await.unwrap(), Problem::RecordMismatch),
    ] {
        let opened = submit::<OpenReseal>(&world.vault, &caller, &intent(), message.clone()).await;
        assert_eq!(problem(opened), refused);
    }
    let new = version();
    let upload = scene.open_reseal(old, new).await.unwrap();
    // Neither the institution that made it, nor by the institutions' entrance.
    let hospital = world.as_hospital(&world.first).await;
    let leaves = intake::begin_leaves(&world.vault, &hospital, upload, 0, leaf_hashes(&stream(10))).await;
    assert_eq!(problem(leaves.map(drop)), Problem::NotPermitted);
    let patient = world.as_patient().await;
    let commit = commit_message(&stream(100));
    for caller in [&hospital, &patient] {
        let committed = commit::commit_upload(&world.vault, caller, &intent(), upload, commit.clone()).await;
        assert_eq!(problem(committed), Problem::NotPermitted);
    }
    for (bytes, number, refused) in [
        (stream(99_999), 2, Problem::BytesSpent),
        (stream(90), 2, Problem::Malformed),
        (stream(100), 3, Problem::PlacementConflict),
    ] {
        assert_eq!(
            problem(scene.commit_reseal(upload, new, &bytes, number).await),
            refused
        );
    }
    assert!(scene.is_there(old).await);
    // Nor is a record that another device has moved brought back, or another one placed by it.
    scene.put(CollectionId::DEFAULT, 0).await.unwrap();
    let changes: [fn(&mut Placement, &RecordSelector); 2] = [
        |placement, _| placement.collection_id = CollectionId::DEFAULT,
        |placement, other| {
            placement.record_id = other.record_id;
            placement.version_id = other.version_id;
            placement.content_root = other.content_root;
            placement.stream_len = other.stream_len;
        },
    ];
    for change in changes {
        let bytes = stream(100);
        let change = |placement: &mut Placement| change(placement, &unplaced);
        let refused = scene.commit_reseal_as(upload, new, &bytes, 2, change).await;
        assert_eq!(problem(refused), Problem::RecordMismatch);
    }
    // Another record's placement does not fit.
    let record = std::mem::replace(&mut scene.records[0].record_id, unplaced.record_id);
    let other = scene.commit_reseal(upload, new, &stream(100), 2).await;
    assert_eq!(problem(other), Problem::RecordMismatch);
    scene.records[0].record_id = record;
    scene.commit_reseal(upload, new, &stream(100), 2).await.unwrap();
    scene.world.check().await;
}

/// REV-9: two devices that do the same.
#[tokio::test]
async fn the_second_one_finds_that_it_is_done() {
    let scene = Scene::with_placed(100).await;
    let old = scene.records[0].version_id;
    let (first, second) = (version(), version());
    let uploads = [
        scene.open_reseal(old, first).await.unwrap(),
        scene.open_reseal(old, second).await.unwrap(),
    ];
    scene
        .commit_reseal(uploads[0], first, &stream(100), 2)
        .await
        .unwrap();
    let again = scene.commit_reseal(uploads[1], second, &stream(100), 3).await;
    assert_eq!(problem(again), Problem::RecordMismatch);
    assert_eq!(
        scene.placed_versions().await,
        [Bytes::copy_from_slice(first.as_bytes())]
    );
    scene.world.check().await;
}

/// REV-9: sessions that come to nothing are given up and counted.
#[tokio::test]
async fn sixteen_sessions_are_open_at_most() {
    let scene = Scene::with_placed(3 * LEAF_LEN).await;
    let old = scene.records[0].version_id;
    let mut opened = Vec::new();
    for _ in 0..16 {
        let new = version();
        opened.push((new, scene.open_reseal(old, new).await.unwrap()));
    }
    assert_eq!(problem(scene.open_reseal(old, version()).await), Problem::TooMany);
    let (new, upload) = opened[0];
    scene.send_own(upload, &stream(3 * LEAF_LEN)).await.unwrap();
    scene.world.clock.set(START + 30 * 24 * 3_600_000);
    sweep::sweep(&scene.world.vault).await.unwrap();
    let key = LeafKey {
        version: *new.as_bytes(),
        leaf: 0,
    };
    assert!(scene.world.store.blobs.get(key).await.unwrap().is_none());
    let late = scene.commit_reseal(upload, new, &stream(3 * LEAF_LEN), 2).await;
    assert_eq!(problem(late), Problem::UploadClosed);
    for _ in 0..16 {
        scene.open_reseal(old, version()).await.unwrap();
    }
    assert!(scene.is_there(old).await);
}

/// REV-9: a permission that names the old version releases nothing, and loses no use by it.
#[tokio::test]
async fn what_names_the_old_version_is_told_so() {
    let scene = Scene::with_placed(100).await;
    let world = &scene.world;
    let (old, new) = (scene.records[0].version_id, version());
    let permission = world
        .permit_download(&world.second, vec![scene.records[0].clone()], Terms::default())
        .await;
    let upload = scene.open_reseal(old, new).await.unwrap();
    scene.commit_reseal(upload, new, &stream(100), 2).await.unwrap();
    let before = world.entry(permission.permission_id).await.uses_left;
    let refused = world.present(&world.second, permission.permission_id).await;
    assert_eq!(problem(refused), Problem::RecordMismatch);
    assert_eq!(world.entry(permission.permission_id).await.uses_left, before);
}
