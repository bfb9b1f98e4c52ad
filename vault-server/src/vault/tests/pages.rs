//! How long pages are: an answer that is measured before it is made must not become longer.

use prost::Message;
use protocol_spec::{messages as pb, permission::Kind, problem::Problem};

use super::{
    problem,
    world::{Terms, World, intent, limits, stream},
};
use crate::vault::{Refusal, VaultLimits, core::sizes::release_bytes};
use crate::vault::{ask::requests::SubmitDownload, core::submission::submit};
use crate::vault::{
    ask::{challenge, permissions},
    telling::{history, inbox},
    who::directory,
};

async fn world(page_bytes: usize) -> World {
    let world = World::with(VaultLimits {
        page_bytes,
        ..limits()
    })
    .await;
    for _ in 0..2 {
        world.store_record(&world.first, &stream(10)).await;
    }
    world
}

#[tokio::test]
async fn a_page_ends_after_the_row_that_exceeds_its_size() {
    let world = world(1).await;
    let patient = world.as_patient().await;
    let history = history::history(&world.vault, &patient, 0, 0).await.unwrap();
    assert_eq!((history.entries.len(), history.next), (1, 1));
    let rest = history::history(&world.vault, &patient, 1, 0).await.unwrap();
    assert_eq!((rest.entries[0].number, rest.next), (2, 2));
}

#[tokio::test]
async fn control_it_goes_on_where_there_is_space() {
    let world = world(1 << 20).await;
    let patient = world.as_patient().await;
    let history = history::history(&world.vault, &patient, 0, 0).await.unwrap();
    assert_eq!((history.entries.len(), history.next), (8, 0));
}

#[tokio::test]
async fn a_page_of_records_ends_after_the_manifest_that_exceeds_its_size() {
    for (page_bytes, records) in [(1, 1), (1 << 20, 2)] {
        let world = world(page_bytes).await;
        let page = world.arrivals(&world.as_patient().await, None, 0).await.unwrap();
        assert_eq!(page.records.len(), records);
        assert_eq!(page.next.is_empty(), records == 2);
    }
}

/// An empty page would say that there are no more.
#[tokio::test]
async fn a_page_has_a_row_also_if_it_may_have_no_bytes() {
    let world = world(0).await;
    let patient = world.as_patient().await;
    let history = history::history(&world.vault, &patient, 7, 0).await.unwrap();
    assert_eq!((history.entries.len(), history.next), (1, 0));
    assert_eq!(
        inbox::inbox(&world.vault, &patient, 0, 0)
            .await
            .unwrap()
            .events
            .len(),
        1
    );
    assert_eq!(world.directory_size().await, 1);
    let list = permissions::vault_permissions(&world.vault, &patient, None, 0)
        .await
        .unwrap();
    assert_eq!((list.permissions.len(), list.next.is_empty()), (1, false));
    assert_eq!(world.arrivals(&patient, None, 0).await.unwrap().records.len(), 1);
}

/// Rows as long as a message may be.
const LONG: usize = 20 << 10;

async fn long_rows(page_bytes: usize) -> World {
    let world = World::with(VaultLimits {
        page_rows: 5,
        page_bytes,
        request_bytes: LONG as u64 + (1 << 10),
        ..limits()
    })
    .await;
    let hospital = world.as_hospital(&world.first).await;
    for _ in 0..5 {
        let mut request = world.download_request(&world.first);
        request.text.ciphertext = vec![4; LONG - 2048].into();
        let (message, _) = world.first.asks_download(request);
        let intent = intent();
        let submitted = submit::<SubmitDownload>(&world.vault, &hospital, &intent, message);
        submitted.await.unwrap();
    }
    world
}

/// Rows and bytes of the first pages of the history and of the inbox.
async fn first_pages(world: &World) -> [(usize, u64); 2] {
    let patient = world.as_patient().await;
    let history = history::history(&world.vault, &patient, 0, 0).await.unwrap();
    let inbox = inbox::inbox(&world.vault, &patient, 0, 0).await.unwrap();
    [
        (history.entries.len(), history.encoded_len() as u64),
        (inbox.events.len(), inbox.encoded_len() as u64),
    ]
}

#[tokio::test]
async fn pages_of_long_rows_are_not_longer_than_announced() {
    for page_bytes in [1, LONG, LONG + LONG / 2] {
        let world = long_rows(page_bytes).await;
        let row = world.vault.message_bytes();
        let most = [world.vault.page_bytes(), world.vault.short_page_bytes(row)];
        for ((rows, bytes), most) in first_pages(&world).await.into_iter().zip(most) {
            assert!((1..5).contains(&rows), "{page_bytes}: {rows}");
            assert!(bytes <= most, "{page_bytes}: {bytes} of {most}");
        }
    }
}

#[tokio::test]
async fn control_they_are_longer_without_the_size_of_a_page() {
    let most = long_rows(LONG).await.vault.page_bytes();
    for (rows, bytes) in first_pages(&long_rows(1 << 20).await).await {
        assert!(rows >= 4 && bytes > most, "{bytes} of {most}");
    }
}

/// However long pages are elsewhere, those that are made in scarce memory are short.
#[tokio::test]
async fn an_inbox_is_read_in_short_pages() {
    let world = long_rows(1 << 20).await;
    let short = world.vault.short_page_bytes(world.vault.message_bytes());
    assert!(short < world.vault.page_bytes() / 4);
    let [(_, history), (rows, inbox)] = first_pages(&world).await;
    assert!(rows == 4 && inbox <= short && history <= world.vault.page_bytes());
}

#[tokio::test]
async fn a_page_of_the_directory_is_not_longer_than_announced() {
    for (page_bytes, rows) in [(1, 1), (1 << 20, 2)] {
        let world = world(page_bytes).await;
        let page = directory::directory_events(&world.vault, 0, 0, false)
            .await
            .unwrap();
        assert_eq!(page.events.len(), rows);
        let enrolled = page.events.iter().map(|event| event.entry.len());
        let most = world.vault.short_page_bytes(enrolled.max().unwrap() as u64);
        assert!(page.encoded_len() as u64 <= most);
    }
}

const MANIFEST: usize = 1 << 20;

/// A release is measured with its manifests before anything is spent: all of them, and little beside.
#[tokio::test]
async fn a_release_of_long_manifests_is_not_longer_than_announced() {
    let world = world(1 << 20).await;
    let mut records = vec![world.store_record(&world.first, &stream(10)).await];
    for _ in 0..3 {
        records.push(world.store_manifest(&world.first, MANIFEST).await);
    }
    let permission = world
        .permit_download(&world.second, records, Terms::default())
        .await;
    let answer = world.present(&world.second, permission.permission_id).await;
    let bytes = answer.unwrap().encoded_len();
    // That it is not longer is asserted where it is presented.
    let caller = world.as_hospital(&world.second).await;
    let held = challenge::held(
        &world.vault.shared,
        caller.institution().unwrap(),
        permission.permission_id,
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(held.manifest_bytes, 3 * MANIFEST as u64 + 900);
    let announced = release_bytes(4, held.manifest_bytes);
    assert!((3 * MANIFEST..=usize::try_from(announced).unwrap()).contains(&bytes));
    assert!(announced - bytes as u64 <= 5 * (3 << 10));
}

/// Whether two records with long manifests may go under one permission.
async fn two_long_manifests(release_manifest_bytes: u64) -> Result<pb::PermissionAnswer, Refusal> {
    let world = World::with(VaultLimits {
        release_manifest_bytes,
        ..limits()
    })
    .await;
    let mut records = Vec::new();
    for _ in 0..2 {
        records.push(world.store_manifest(&world.first, MANIFEST).await);
    }
    let hash = world.ask_download(&world.second).await;
    let body = world.permission_body(&world.second, Kind::Download, hash, records, Terms::default());
    world.submit(&body).await
}

/// What stands beside the manifests counts, too.
#[tokio::test]
async fn a_permission_whose_release_would_be_too_long_is_refused() {
    let refused = two_long_manifests(2 * MANIFEST as u64).await;
    assert_eq!(problem(refused), Problem::TooLarge);
}

#[tokio::test]
async fn control_it_is_granted_where_the_release_may_be_as_long() {
    let beside = 2 * (3 << 10);
    assert!(two_long_manifests(2 * MANIFEST as u64 + beside).await.is_ok());
}
