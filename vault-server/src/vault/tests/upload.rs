//! Leaves and commits: what is refused, and that each byte is paid for once.

use protocol_spec::{ids::UploadId, problem::Problem};
use tokio::task::JoinSet;

use super::{
    problem,
    world::{LEAF, START, Terms, World, commit_message, intent, leaf_hashes, stream},
};
use crate::vault::transfer::{commit, intake, upload};

async fn session(world: &World, bytes: u64) -> UploadId {
    let terms = Terms {
        bytes,
        ..Terms::default()
    };
    let permission = world.permit_upload(&world.first, terms).await;
    world
        .stand_by(&world.first, permission.permission_id)
        .await
        .upload_id
}

/// FLW-7.
#[tokio::test]
async fn leaves_must_be_what_was_announced() {
    let world = World::new().await;
    let stream = stream(3 << 20);
    let hashes = leaf_hashes(&stream);
    let upload = session(&world, 64 << 20).await;
    let refused = async |first, leaves: &[u8], hashes: &[_]| {
        problem(world.send(&world.first, upload, first, leaves, hashes).await)
    };
    let leaf = LEAF;
    assert_eq!(
        refused(0, &stream[..leaf], &hashes[1..2]).await,
        Problem::DigestMismatch
    );
    assert_eq!(
        refused(1, &stream[..leaf], &hashes[..1]).await,
        Problem::DigestMismatch
    );
    assert_eq!(
        refused(0, &stream[..leaf], &hashes[..2]).await,
        Problem::Malformed
    );
    assert_eq!(refused(0, &stream, &hashes[..2]).await, Problem::Malformed);
    assert_eq!(refused(0, &[], &[]).await, Problem::Malformed);
    assert_eq!(
        refused(u32::MAX, &stream[..leaf], &hashes[..1]).await,
        Problem::Malformed
    );
    assert_eq!(refused(0, &[], &[hashes[0]; 65]).await, Problem::TooLarge);
    let first = world.as_hospital(&world.first).await;
    let mut intake = intake::begin_leaves(&world.vault, &first, upload, 0, hashes[..1].to_vec())
        .await
        .unwrap();
    assert_eq!(
        problem(intake.put(vec![0; leaf + 1].into()).await),
        Problem::Malformed
    );
    drop(intake);
    let status = upload::upload_status(&world.vault, &first, upload).await.unwrap();
    assert!(status.present.is_empty());
}

#[tokio::test]
async fn a_short_leaf_ends_a_request() {
    let world = World::new().await;
    let upload = session(&world, 64 << 20).await;
    let short = vec![1; 100];
    let hashes = vec![
        protocol_spec::content::leaf_hash(0, &short),
        protocol_spec::content::leaf_hash(1, &short),
    ];
    let first = world.as_hospital(&world.first).await;
    let mut intake = intake::begin_leaves(&world.vault, &first, upload, 0, hashes)
        .await
        .unwrap();
    intake.put(short.clone().into()).await.unwrap();
    assert_eq!(problem(intake.put(short.into()).await), Problem::Malformed);
}

#[tokio::test]
async fn leaves_in_any_order_and_again() {
    let world = World::new().await;
    let stream = stream(3 << 20);
    let (hashes, leaf) = (leaf_hashes(&stream), LEAF);
    let upload = session(&world, stream.len() as u64).await;
    let send = async |range: std::ops::Range<usize>| {
        let bytes = &stream[range.start * leaf..stream.len().min(range.end * leaf)];
        let first = u32::try_from(range.start).unwrap();
        world
            .send(&world.first, upload, first, bytes, &hashes[range])
            .await
    };
    send(3..4).await.unwrap();
    send(1..2).await.unwrap();
    assert_eq!(
        problem(world.commit(&world.first, upload, &stream).await),
        Problem::LeavesMissing
    );
    let status = upload::upload_status(&world.vault, &world.as_hospital(&world.first).await, upload)
        .await
        .unwrap();
    let ranges: Vec<_> = status
        .present
        .iter()
        .map(|range| (range.first, range.count))
        .collect();
    assert_eq!(ranges, [(1, 1), (3, 1)]);
    send(0..4).await.unwrap();
    send(0..4).await.unwrap();
    world.commit(&world.first, upload, &stream).await.unwrap();
    assert_eq!(problem(send(0..4).await), Problem::UploadClosed);
    assert_eq!(
        problem(world.commit(&world.first, upload, &stream).await),
        Problem::UploadClosed
    );
    world.check().await;
}

/// FLW-7.
#[tokio::test]
async fn a_leaf_is_written_once_and_by_one() {
    let world = World::new().await;
    let (one, other) = (stream(2 << 20), stream(2 << 20));
    let upload = session(&world, 64 << 20).await;
    let first = world.as_hospital(&world.first).await;
    let intake = intake::begin_leaves(&world.vault, &first, upload, 0, leaf_hashes(&one))
        .await
        .unwrap();
    let overlapping =
        intake::begin_leaves(&world.vault, &first, upload, 2, leaf_hashes(&other)[..1].to_vec()).await;
    assert_eq!(problem(overlapping.map(drop)), Problem::LeafConflict);
    drop(intake);
    world
        .send(&world.first, upload, 0, &one, &leaf_hashes(&one))
        .await
        .unwrap();
    let conflict = world
        .send(&world.first, upload, 0, &other, &leaf_hashes(&other))
        .await;
    assert_eq!(problem(conflict), Problem::LeafConflict);
    world.commit(&world.first, upload, &one).await.unwrap();
}

/// The byte budget is spent by the commit that registers the leaves; what it refuses is deleted again.
/// (FLW-6)
#[tokio::test]
async fn bytes_are_spent_transactionally() {
    let world = World::new().await;
    let stream = stream(2 << 20);
    let terms = Terms {
        bytes: stream.len() as u64,
        uses: 2,
        ..Terms::default()
    };
    let permission = world.permit_upload(&world.first, terms).await.permission_id;
    let one = world.stand_by(&world.first, permission).await;
    let other = world.stand_by(&world.first, permission).await;
    let first = world.as_hospital(&world.first).await;
    let hashes = leaf_hashes(&stream);
    let mut early = intake::begin_leaves(&world.vault, &first, other.upload_id, 0, hashes.clone())
        .await
        .unwrap();
    for leaf in stream.chunks(LEAF) {
        early.put(leaf.to_vec().into()).await.unwrap();
    }
    world
        .send(&world.first, one.upload_id, 0, &stream, &hashes)
        .await
        .unwrap();
    assert_eq!(world.entry(permission).await.bytes_left, 0);
    assert_eq!(problem(early.finish().await), Problem::BytesSpent);
    let key = crate::store::LeafKey {
        version: *other.version_id.as_bytes(),
        leaf: 0,
    };
    assert!(world.store.blobs.get(key).await.unwrap().is_none());
    let late = world
        .send(&world.first, other.upload_id, 0, &stream, &hashes)
        .await;
    assert_eq!(problem(late), Problem::BytesSpent);
    world.commit(&world.first, one.upload_id, &stream).await.unwrap();
    let inline = world
        .commit(&world.first, other.upload_id, &super::world::stream(10))
        .await;
    assert_eq!(problem(inline), Problem::BytesSpent);
}

/// FLW-8.
#[tokio::test]
async fn a_commit_says_what_is_there() {
    let world = World::new().await;
    let stream = stream(2 << 20);
    let upload = session(&world, 64 << 20).await;
    world
        .send(&world.first, upload, 0, &stream, &leaf_hashes(&stream))
        .await
        .unwrap();
    let first = world.as_hospital(&world.first).await;
    let refused = async |message| {
        problem(commit::commit_upload(&world.vault, &first, &intent(), upload, message).await)
    };
    let good = commit_message(&stream);
    let mut message = good.clone();
    message.content_root = vec![1; 32].into();
    assert_eq!(refused(message).await, Problem::DigestMismatch);
    let mut message = good.clone();
    message.stream_len += 1;
    assert_eq!(refused(message).await, Problem::LeavesMissing);
    let mut message = good.clone();
    message.stream_len = 60;
    assert_eq!(refused(message).await, Problem::Malformed);
    let mut message = good.clone();
    message.sealed_manifest = Vec::new().into();
    assert_eq!(refused(message).await, Problem::Malformed);
    let mut message = good.clone();
    message.sealed_manifest = vec![0; (16 << 20) + 1].into();
    assert_eq!(refused(message).await, Problem::TooLarge);
    assert_eq!(
        refused(commit_message(&super::world::stream(10))).await,
        Problem::LeafConflict
    );
    let mut message = commit_message(&super::world::stream(10));
    message.content_root = good.content_root.clone();
    assert_eq!(refused(message).await, Problem::DigestMismatch);
    let second = world.as_hospital(&world.second).await;
    let foreign = commit::commit_upload(&world.vault, &second, &intent(), upload, good.clone()).await;
    assert_eq!(problem(foreign), Problem::NotPermitted);
    let same = intent();
    let receipt = commit::commit_upload(&world.vault, &first, &same, upload, good.clone())
        .await
        .unwrap();
    let again = commit::commit_upload(&world.vault, &first, &same, upload, good)
        .await
        .unwrap();
    assert_eq!(receipt, again);
    world.check().await;
}

#[tokio::test]
async fn foreign_and_unknown_uploads_look_alike() {
    let world = World::new().await;
    let upload = session(&world, 100).await;
    let second = world.as_hospital(&world.second).await;
    let hashes = leaf_hashes(&[1; 10]);
    for id in [upload, UploadId::from_bytes([7; 16])] {
        assert_eq!(
            problem(upload::upload_status(&world.vault, &second, id).await),
            Problem::NotPermitted
        );
        let begun = intake::begin_leaves(&world.vault, &second, id, 0, hashes.clone()).await;
        assert_eq!(problem(begun.map(drop)), Problem::NotPermitted);
    }
}

#[tokio::test]
async fn revoked_or_expired_uploads_take_nothing_more() {
    let world = World::new().await;
    let stream = stream(10);
    let terms = Terms {
        not_after: START + 1000,
        uses: 2,
        ..Terms::default()
    };
    let permission = world.permit_upload(&world.first, terms).await;
    let ticket = world.stand_by(&world.first, permission.permission_id).await;
    assert_eq!(ticket.expires, permission.not_after);
    world.clock.set(START + 1000);
    assert_eq!(
        problem(world.commit(&world.first, ticket.upload_id, &stream).await),
        Problem::UploadClosed
    );
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let upload = world
        .stand_by(&world.first, permission.permission_id)
        .await
        .upload_id;
    world.revoke(&permission).await;
    assert_eq!(
        problem(world.commit(&world.first, upload, &stream).await),
        Problem::PermissionRevoked
    );
    let sent = world
        .send(&world.first, upload, 0, &stream, &leaf_hashes(&stream))
        .await;
    assert_eq!(problem(sent), Problem::PermissionRevoked);
}

/// Many requests register leaves of one upload at once; a commit among them sees all or refuses.
#[tokio::test(flavor = "multi_thread")]
async fn leaves_and_commit_race() {
    let world = World::new().await;
    let stream = stream(8 << 20);
    let upload = session(&world, stream.len() as u64).await;
    let mut tasks = JoinSet::new();
    for (leaf, number) in stream.chunks(LEAF).zip(0..) {
        let (world, leaf) = (world.clone(), leaf.to_vec());
        tasks.spawn(async move {
            let hash = protocol_spec::content::leaf_hash(u64::from(number), &leaf);
            world
                .send(&world.first, upload, number, &leaf, &[hash])
                .await
                .unwrap();
        });
    }
    loop {
        match world.commit(&world.first, upload, &stream).await {
            Ok(_) => break,
            Err(refusal) => assert_eq!(refusal.problem, Problem::LeavesMissing),
        }
        tokio::task::yield_now().await;
    }
    tasks.join_all().await;
    world.check().await;
}
