//! The index of a vault, and the lists of what it does not cover.

use bytes::Bytes;
use protocol_spec::{
    bodies::IndexSegment, hash::Sha256Digest, ids::CollectionId, index::IndexHead, messages as pb,
    problem::Problem, statement::Body,
};

use super::{
    collections::{ONCOLOGY, Scene},
    problem,
    world::{START, intent},
};
use crate::vault::keep::{index, records};
use crate::vault::{Caller, Refusal};
use crate::vault::{core::submission::submit, keep::index::PutSegment};

/// What could be a sealed segment.
fn sealed() -> Bytes {
    vec![7; 4096 + 72].into()
}

impl Scene {
    fn segment(&self, head: &IndexHead, through: u64) -> IndexSegment {
        IndexSegment {
            created: START,
            patient_id: self.world.patient.id,
            generation: head.generation,
            number: head.segments,
            previous: head.last,
            through,
            epoch: 0,
            sealed_hash: Sha256Digest::of(&sealed()),
        }
    }

    async fn put_segment(&self, by: &Caller, segment: &IndexSegment) -> Result<pb::Accepted, Refusal> {
        let message = pb::SignedSegment {
            head: Some(self.world.patient.says(segment.clone())),
            sealed: sealed(),
        };
        submit::<PutSegment>(&self.world.vault, by, &intent(), message).await
    }

    async fn segments(&self, from: u64, limit: usize) -> pb::IndexPage {
        let patient = self.world.as_patient().await;
        index::index(&self.world.vault, &patient, from, limit)
            .await
            .unwrap()
    }

    /// Versions as they are listed: placed ones by placement, page by page, then the others.
    async fn shown(&self, after: u64, limit: usize) -> (Vec<Bytes>, Vec<Bytes>) {
        let patient = self.world.as_patient().await;
        let version = |record: pb::VaultRecord| record.record.unwrap().version_id;
        let (mut placed, mut after) = (Vec::new(), after);
        loop {
            let list = records::vault_records(&self.world.vault, &patient, after, limit)
                .await
                .unwrap();
            let page = list.read().await.unwrap();
            placed.extend(page.records.into_iter().map(version));
            after = page.next_number;
            if after == 0 {
                break;
            }
        }
        let arrivals = self.world.arrivals(&patient, None, 0).await.unwrap();
        (placed, arrivals.records.into_iter().map(version).collect())
    }

    fn versions(&self, records: &[usize]) -> Vec<Bytes> {
        let version = |at: &usize| Bytes::copy_from_slice(self.records[*at].version_id.as_bytes());
        records.iter().map(version).collect()
    }
}

/// IDX-3
#[tokio::test]
async fn segments_follow_each_other_until_a_new_generation_begins() {
    let scene = Scene::with_records(0).await;
    let patient = scene.world.as_patient().await;
    let mut head = IndexHead::begin(0);
    let mut bodies = Vec::new();
    for through in 1..=3 {
        let segment = scene.segment(&head, through);
        scene.put_segment(&patient, &segment).await.unwrap();
        head = head.then(&segment).unwrap();
        bodies.push(segment);
    }
    let page = scene.segments(1, 1).await;
    assert_eq!((page.segments.len(), page.more), (1, true));
    let page = scene.segments(1, 0).await;
    assert_eq!((page.segments.len(), page.more, page.generation), (2, false, 0));
    let last = scene.world.patient.says(bodies[2].clone());
    assert_eq!(page.segments[1].head, Some(last));

    let next = scene.segment(&head, 4);
    let generation = IndexHead::begin(1);
    for conflict in [
        bodies[0].clone(),
        IndexSegment {
            number: 4,
            ..next.clone()
        },
        IndexSegment {
            through: 2,
            ..next.clone()
        },
        IndexSegment {
            previous: Sha256Digest::of(&bodies[0].encode()),
            ..next.clone()
        },
        scene.segment(&IndexHead::begin(2), 4),
        IndexSegment {
            number: 1,
            ..scene.segment(&generation, 4)
        },
    ] {
        let refused = scene.put_segment(&patient, &conflict).await;
        assert_eq!(problem(refused), Problem::IndexConflict, "{conflict:?}");
    }
    let first = scene.segment(&generation, 1);
    scene.put_segment(&patient, &first).await.unwrap();
    let page = scene.segments(0, 0).await;
    assert_eq!((page.segments.len(), page.generation), (1, 1));
    assert_eq!(
        problem(scene.put_segment(&patient, &next).await),
        Problem::IndexConflict
    );
}

/// IDX-3: the device that signed, and what it signed.
#[tokio::test]
async fn a_segment_is_taken_from_its_device_alone() {
    let scene = Scene::with_records(0).await;
    let segment = scene.segment(&IndexHead::begin(0), 1);
    let hospital = scene.world.as_hospital(&scene.world.first).await;
    assert_eq!(
        problem(scene.put_segment(&hospital, &segment).await),
        Problem::NotPermitted
    );
    assert_eq!(
        problem(index::index(&scene.world.vault, &hospital, 0, 0).await),
        Problem::NotPermitted
    );
    let patient = scene.world.as_patient().await;
    let another = IndexSegment {
        sealed_hash: Sha256Digest::of(b"other"),
        ..segment.clone()
    };
    assert_eq!(
        problem(scene.put_segment(&patient, &another).await),
        Problem::DigestMismatch
    );
    assert!(scene.segments(0, 0).await.segments.is_empty());
    scene.put_segment(&patient, &segment).await.unwrap();
    assert_eq!(scene.segments(0, 0).await.segments.len(), 1);
}

/// IDX-5: what a reader asks for is all that was placed after a number, moved records with it, and all that is not placed.
#[tokio::test]
async fn records_are_listed_by_their_newest_placement() {
    let scene = Scene::with_records(4).await;
    scene.put(CollectionId::DEFAULT, 0).await.unwrap();
    scene.put(ONCOLOGY, 0).await.unwrap();
    for (record, number) in [(2, 1), (0, 2), (3, 3)] {
        scene.place(record, ONCOLOGY, number).await.unwrap();
    }
    for limit in [1, 2, 10] {
        let all = scene.shown(0, limit).await;
        assert_eq!(all, (scene.versions(&[2, 0, 3]), scene.versions(&[1])));
        assert_eq!(scene.shown(2, limit).await.0, scene.versions(&[3]));
    }
    scene.place(2, CollectionId::DEFAULT, 4).await.unwrap();
    let page = scene.segments(0, 0).await;
    assert_eq!((page.last_placement, page.placed), (4, 3));
    assert_eq!(scene.shown(0, 2).await.0, scene.versions(&[0, 3, 2]));
    assert_eq!(scene.shown(3, 2).await.0, scene.versions(&[2]));

    let patient = scene.world.as_patient().await;
    let version = scene.records[2].version_id;
    let one = records::vault_record(&scene.world.vault, &patient, version)
        .await
        .unwrap();
    let one = one.read_one().await.unwrap();
    assert_eq!(one.record.unwrap().version_id, version.as_bytes()[..]);
    let hospital = scene.world.as_hospital(&scene.world.first).await;
    let refused = records::vault_record(&scene.world.vault, &hospital, version).await;
    assert_eq!(problem(refused.map(|_| ())), Problem::NotPermitted);
}
