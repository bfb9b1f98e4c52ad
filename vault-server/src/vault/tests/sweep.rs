//! What is over is ended, and only that.

use protocol_spec::{messages as pb, problem::Problem};

use super::{
    problem,
    world::{HOUR, START, Terms, World, intent, leaf_hashes, stream},
};
use crate::{store::LeafKey, vault::Intent};

use crate::vault::{ask::requests::SubmitDownload, core::submission::submit};
use crate::vault::{
    keep::records,
    transfer::{intake, sweep, upload},
};
use pb::{event, history_entry};

/// ATK-35
#[tokio::test]
async fn abandoned_uploads_leave_nothing() {
    let world = World::new().await;
    let stream = stream(2 << 20);
    let permission = world
        .permit_upload(&world.first, Terms::default())
        .await
        .permission_id;
    let ticket = world.stand_by(&world.first, permission).await;
    let (upload, hashes) = (ticket.upload_id, leaf_hashes(&stream));
    world
        .send(&world.first, upload, 0, &stream, &hashes)
        .await
        .unwrap();
    let key = LeafKey {
        version: *ticket.version_id.as_bytes(),
        leaf: 0,
    };
    sweep::sweep(&world.vault).await.unwrap();
    assert!(world.store.blobs.get(key).await.unwrap().is_some());
    // While somebody still sends, it waits.
    let first = world.as_hospital(&world.first).await;
    let sending = intake::begin_leaves(&world.vault, &first, upload, 0, hashes.clone())
        .await
        .unwrap();
    world.clock.set(ticket.expires);
    sweep::sweep(&world.vault).await.unwrap();
    assert!(world.store.blobs.get(key).await.unwrap().is_some());
    drop(sending);
    sweep::sweep(&world.vault).await.unwrap();
    assert!(world.store.blobs.get(key).await.unwrap().is_none());
    let status = upload::upload_status(&world.vault, &first, upload).await.unwrap();
    assert!(status.present.is_empty() && status.receipt.is_none());
    assert_eq!(
        problem(world.send(&world.first, upload, 0, &stream, &hashes).await),
        Problem::UploadClosed
    );
    sweep::sweep(&world.vault).await.unwrap();
    world.check().await;
}

#[tokio::test]
async fn committed_records_stay() {
    let world = World::new().await;
    let stream = stream(2 << 20);
    let record = world.store_record(&world.first, &stream).await;
    world.clock.set(START + 48 * HOUR);
    sweep::sweep(&world.vault).await.unwrap();
    let patient = world.as_patient().await;
    let mut leaves = records::own_leaves(&world.vault, &patient, record.version_id, 0, 3)
        .await
        .unwrap();
    while let Some(leaf) = leaves.next().await {
        leaf.unwrap();
    }
    world.check().await;
}

#[tokio::test]
async fn expired_releases_are_receipted() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(100)).await;
    let permission = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    let release = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    world
        .fetch(&world.second, release, record.version_id, 0, 1)
        .await
        .unwrap();
    world.clock.set(permission.not_after);
    for _ in 0..2 {
        sweep::sweep(&world.vault).await.unwrap();
    }
    let history = world.history().await;
    let released = |entry: &&pb::HistoryEntry| matches!(entry.what, Some(history_entry::What::Released(_)));
    assert_eq!(history.iter().filter(released).count(), 1);
    let events = world.events(&world.as_patient().await).await;
    assert!(matches!(events.last(), Some(event::What::Released(_))));
    assert_eq!(
        world.close(&world.second, release).await.unwrap().bytes,
        record.stream_len
    );
    world.check().await;
}

#[tokio::test]
async fn answers_are_kept_for_a_day() {
    let world = World::new().await;
    let second = world.as_hospital(&world.second).await;
    let (message, _) = world.second.asks_download(world.download_request(&world.second));
    let intent = intent();
    let submit = async |intent: &Intent| {
        submit::<SubmitDownload>(&world.vault, &second, intent, message.clone())
            .await
            .map_err(|refusal| refusal.problem)
    };
    submit(&intent).await.unwrap();
    world.clock.set(START + 24 * HOUR - 1);
    sweep::sweep(&world.vault).await.unwrap();
    submit(&intent).await.unwrap();
    world.clock.set(START + 24 * HOUR);
    sweep::sweep(&world.vault).await.unwrap();
    assert_eq!(submit(&intent).await, Err(Problem::RequestExpired));
}
