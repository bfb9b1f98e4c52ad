//! The three flows as they should go, with everything that everybody learns of them.

use std::sync::Arc;

use protocol_spec::{
    bodies::{ReleaseTicket, UploadReceipt},
    hash::Sha256Digest,
    log::Receipt,
    messages as pb,
    permission::Kind,
};

use super::world::{HOUR, START, Stores, Terms, World, intent, leaf_hashes, limits, stream};

use crate::vault::{
    ask::requests,
    keep::records,
    transfer::{intake, sweep, upload},
};
use crate::vault::{ask::requests::SubmitReference, core::submission::submit};
use crate::{
    store::{BlobStore, CommitId, LeafKey, RocksConfig, RocksStore},
    vault::who::known::KnownCallers,
};
use pb::{PermissionState, event, history_entry, presentation_answer::Answer};

fn kinds(entries: &[pb::HistoryEntry]) -> Vec<&'static str> {
    let kind = |entry: &pb::HistoryEntry| match entry.what.as_ref().unwrap() {
        history_entry::What::UploadRequested(_) => "upload requested",
        history_entry::What::DownloadRequested(_) => "download requested",
        history_entry::What::ReferenceRequested(_) => "reference requested",
        history_entry::What::Permitted(_) => "permitted",
        history_entry::What::Denied(_) => "denied",
        history_entry::What::Noted(_) => "noted",
        history_entry::What::Revoked(_) => "revoked",
        history_entry::What::Presented(_) => "presented",
        history_entry::What::Stored(_) => "stored",
        history_entry::What::Released(_) => "released",
        history_entry::What::Closed(_) => "closed",
        history_entry::What::RecordDeleted(_) => "record deleted",
        history_entry::What::TakenBack(_) => "taken back",
        history_entry::What::DevicesChanged(_) => "devices changed",
        history_entry::What::Delegated(_) => "delegated",
        history_entry::What::DelegationEnded(_) => "delegation ended",
        history_entry::What::DelegateRead(_) => "delegate read",
        history_entry::What::EmergencyOpened(_) => "emergency opened",
        history_entry::What::EmergencyHelp(_) => "emergency help",
        history_entry::What::EmergencyObjected(_) => "emergency objected",
        history_entry::What::Deleted(_) => "deleted",
    };
    entries.iter().map(kind).collect()
}

#[tokio::test]
async fn upload_of_one_leaf_and_of_many() {
    let world = World::new().await;
    for plaintext in [0, 10_000, 3 << 20] {
        let stream = stream(plaintext);
        let record = world.store_record(&world.first, &stream).await;
        world.check().await;
        let patient = world.as_patient().await;
        let leaves = u32::try_from(stream.len().div_ceil(1 << 20)).unwrap();
        let mut own = records::own_leaves(&world.vault, &patient, record.version_id, 0, leaves)
            .await
            .unwrap();
        let mut read = Vec::new();
        while let Some(leaf) = own.next().await {
            read.extend_from_slice(&leaf.unwrap());
        }
        assert!(read == stream);
    }
    let expected = ["upload requested", "permitted", "presented", "stored"].repeat(3);
    assert_eq!(kinds(&world.history().await), expected);
    let patient = world.as_patient().await;
    let page = world.arrivals(&patient, None, 2).await.unwrap();
    assert_eq!(page.records.len(), 2);
    let rest = world
        .arrivals(&patient, Some(page.next.as_ref().try_into().unwrap()), 2)
        .await
        .unwrap();
    assert_eq!((rest.records.len(), rest.next.len()), (1, 0));
    let record = rest.records[0].clone();
    assert_eq!(
        (record.upload_key_wrap.len(), record.data_key_wrap.len()),
        (104, 0)
    );
    let stored = record.record.unwrap();
    let receipt = Receipt::<UploadReceipt>::verify(stored.receipt, &world.operator_key()).unwrap();
    assert_eq!(
        receipt.statement.sealed_manifest_hash,
        Sha256Digest::of(&stored.sealed_manifest)
    );
    let events = world.events(&world.as_hospital(&world.first).await).await;
    assert!(
        events
            .iter()
            .all(|event| matches!(event, event::What::UploadRequested(_)))
    );
    let events = world.events(&patient).await;
    assert!(events.iter().all(|event| matches!(event, event::What::Stored(_))));
}

#[tokio::test]
async fn download_with_budget_and_receipt() {
    let world = World::new().await;
    let (large, small) = (stream(3 << 20), stream(500));
    let records = vec![
        world.store_record(&world.first, &large).await,
        world.store_record(&world.first, &small).await,
    ];
    let permission = world
        .permit_download(&world.second, records.clone(), Terms::default())
        .await;
    let answer = world
        .present(&world.second, permission.permission_id)
        .await
        .unwrap();
    let Some(Answer::Release(release)) = answer.answer else {
        panic!("no release")
    };
    let receipt = pb::Receipt {
        statement: release.ticket,
        proof: release.proof,
    };
    let ticket = Receipt::<ReleaseTicket>::verify(Some(receipt), &world.operator_key())
        .unwrap()
        .statement;
    assert_eq!(
        (ticket.bytes, ticket.expires),
        (permission.bytes, permission.not_after)
    );
    let roots: Vec<_> = release
        .records
        .iter()
        .map(|record| record.content_root.as_ref())
        .collect();
    assert_eq!(
        roots,
        [
            &records[0].content_root.as_bytes()[..],
            &records[1].content_root.as_bytes()[..]
        ]
    );
    assert!(
        release
            .records
            .iter()
            .all(|record| !record.sealed_manifest.is_empty())
    );
    let id = ticket.release_id;
    let head = world
        .fetch(&world.second, id, records[0].version_id, 0, 3)
        .await
        .unwrap();
    let tail = world
        .fetch(&world.second, id, records[0].version_id, 3, 1)
        .await
        .unwrap();
    assert!([head, tail].concat() == large);
    assert!(
        world
            .fetch(&world.second, id, records[1].version_id, 0, 1)
            .await
            .unwrap()
            == small
    );
    let receipt = world.close(&world.second, id).await.unwrap();
    assert_eq!(receipt.bytes, (large.len() + small.len()) as u64);
    assert_eq!(world.close(&world.second, id).await.unwrap(), receipt);
    world.check().await;
    let entry = world.entry(permission.permission_id).await;
    assert_eq!((entry.state(), entry.uses_left), (PermissionState::Spent, 0));
    assert_eq!(entry.bytes_left, permission.bytes - receipt.bytes);
    let history = world.history().await;
    assert_eq!(
        kinds(&history)[8..],
        ["download requested", "permitted", "presented", "released"]
    );
    let events = world.events(&world.as_hospital(&world.second).await).await;
    assert!(
        matches!(&events[..], [event::What::Permitted(delivered)] if delivered.kind() == pb::PermissionKind::Download)
    );
}

#[tokio::test]
async fn reference_delivers_to_the_second_institution_alone() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(100)).await;
    let request = world.reference_request();
    let (message, hash) = world.first.asks_reference(request.clone());
    let first = world.as_hospital(&world.first).await;
    let before = world.events(&first).await.len();
    submit::<SubmitReference>(&world.vault, &first, &intent(), message)
        .await
        .unwrap();
    let body = world.permission_body(
        &world.second,
        Kind::Reference,
        hash,
        vec![record.clone()],
        Terms::default(),
    );
    world.submit(&body).await.unwrap();
    let ticket = world.open_release(&world.second, body.permission_id).await;
    let bytes = world
        .fetch(&world.second, ticket.release_id, record.version_id, 0, 1)
        .await
        .unwrap();
    assert_eq!(bytes.len() as u64, record.stream_len);
    assert_eq!(world.events(&first).await.len(), before);
    let second = world.as_hospital(&world.second).await;
    for caller in [&first, &second, &world.as_patient().await] {
        let stored = requests::request(&world.vault, caller, request.request_id)
            .await
            .unwrap();
        assert_eq!(stored.state(), pb::RequestState::Permitted);
    }
    world.check().await;
}

#[tokio::test]
async fn an_upload_resumes_where_it_broke_off() {
    let mut world = World::new().await;
    let stream = stream(3 << 20);
    let hashes = leaf_hashes(&stream);
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let upload = world
        .stand_by(&world.first, permission.permission_id)
        .await
        .upload_id;
    let first = world.as_hospital(&world.first).await;
    let mut intake = intake::begin_leaves(&world.vault, &first, upload, 0, hashes.clone())
        .await
        .unwrap();
    for leaf in stream.chunks(1 << 20).take(2) {
        intake.put(leaf.to_vec().into()).await.unwrap();
    }
    intake.finish_partial().await.unwrap();
    world.restart().await;
    let status = upload::upload_status(&world.vault, &first, upload).await.unwrap();
    assert_eq!(status.present, [pb::LeafRange { first: 0, count: 2 }]);
    world
        .send(&world.first, upload, 0, &stream, &hashes)
        .await
        .unwrap();
    let receipt = world.commit(&world.first, upload, &stream).await.unwrap();
    let status = upload::upload_status(&world.vault, &first, upload).await.unwrap();
    assert_eq!(status.receipt.unwrap().statement, receipt.statement);
    // Each leaf was paid for once.
    let left = world.entry(permission.permission_id).await.bytes_left;
    assert_eq!(left, permission.bytes - stream.len() as u64);
    world.check().await;
}

/// An inline stream whose commit was refused does not stand in for the leaf that comes later.
#[tokio::test(flavor = "multi_thread")]
async fn leaves_replace_what_a_refused_commit_has_stored() {
    let data = tempfile::tempdir().unwrap();
    let store = Arc::new(RocksStore::open(data.path(), &RocksConfig::default()).unwrap());
    let world = World::over(Stores::of(&store), limits()).await;
    let permission = world.permit_upload(&world.first, Terms::default()).await;
    let ticket = world.stand_by(&world.first, permission.permission_id).await;
    let version = ticket.version_id;
    let stored = LeafKey {
        version: *version.as_bytes(),
        leaf: 0,
    };
    store.put_small(stored, "refused".into()).await.unwrap();
    let stream = stream(3 << 20);
    let sent = world
        .send(&world.first, ticket.upload_id, 0, &stream, &leaf_hashes(&stream))
        .await;
    assert_eq!(sent, Ok(()));
    world
        .commit(&world.first, ticket.upload_id, &stream)
        .await
        .unwrap();
    let patient = world.as_patient().await;
    let mut leaves = records::own_leaves(&world.vault, &patient, version, 0, 4)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    while let Some(leaf) = leaves.next().await {
        bytes.extend_from_slice(&leaf.unwrap());
    }
    assert!(bytes == stream);
}

/// The same on the real store, with a restart between upload and download.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_survives_on_rocksdb() {
    let data = tempfile::tempdir().unwrap();
    let store = Arc::new(RocksStore::open(data.path(), &RocksConfig::default()).unwrap());
    let mut world = World::over(Stores::of(&store), limits()).await;
    let (small, large) = (stream(5000), stream(3 << 20));
    let records = vec![
        world.store_record(&world.first, &small).await,
        world.store_record(&world.first, &large).await,
    ];
    world.restart().await;
    let permission = world
        .permit_download(&world.second, records.clone(), Terms::default())
        .await;
    let id = world
        .open_release(&world.second, permission.permission_id)
        .await
        .release_id;
    assert!(
        world
            .fetch(&world.second, id, records[0].version_id, 0, 1)
            .await
            .unwrap()
            == small
    );
    assert!(
        world
            .fetch(&world.second, id, records[1].version_id, 0, 4)
            .await
            .unwrap()
            == large
    );
    world.close(&world.second, id).await.unwrap();
    world.clock.set(START + 48 * HOUR);
    sweep::sweep(&world.vault).await.unwrap();
    world.check().await;
}

#[tokio::test]
async fn a_caller_is_verified_anew_when_its_row_has_changed() {
    let caller = World::new().await.as_patient().await;
    let known = KnownCallers::default();
    let (first, second) = (CommitId::fresh(), CommitId::fresh());
    let mut verified = 0;
    for (version, times) in [(first, 1), (first, 1), (second, 2)] {
        let found = known.get(caller.principal(), version, || {
            verified += 1;
            Ok(Some(caller.clone()))
        });
        assert_eq!(found.unwrap().unwrap().key_id(), caller.key_id());
        assert_eq!(verified, times);
    }
}
