//! How long pages are: an answer that is measured before it is made must not become longer.

use super::world::{Terms, World, limits, stream};
use crate::vault::VaultLimits;

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
    let history = world.vault.history(&patient, 0, 0).await.unwrap();
    assert_eq!((history.entries.len(), history.next), (1, 1));
    let rest = world.vault.history(&patient, 1, 0).await.unwrap();
    assert_eq!((rest.entries[0].number, rest.next), (2, 2));
}

#[tokio::test]
async fn control_it_goes_on_where_there_is_space() {
    let world = world(1 << 20).await;
    let patient = world.as_patient().await;
    let history = world.vault.history(&patient, 0, 0).await.unwrap();
    assert_eq!((history.entries.len(), history.next), (8, 0));
}

#[tokio::test]
async fn a_page_of_records_ends_after_the_manifest_that_exceeds_its_size() {
    for (page_bytes, records) in [(1, 1), (1 << 20, 2)] {
        let world = world(page_bytes).await;
        let page = world.records(&world.as_patient().await, None, 0).await.unwrap();
        assert_eq!(page.records.len(), records);
        assert_eq!(page.next.is_empty(), records == 2);
    }
}

/// An empty page would say that there are no more.
#[tokio::test]
async fn a_page_has_a_row_also_if_it_may_have_no_bytes() {
    let world = world(0).await;
    let patient = world.as_patient().await;
    let history = world.vault.history(&patient, 7, 0).await.unwrap();
    assert_eq!((history.entries.len(), history.next), (1, 0));
    assert_eq!(world.vault.inbox(&patient, 0, 0).await.unwrap().events.len(), 1);
    assert_eq!(world.vault.directory(None, 0).await.unwrap().entries.len(), 1);
    let list = world.vault.vault_permissions(&patient, None, 0).await.unwrap();
    assert_eq!((list.permissions.len(), list.next.is_empty()), (1, false));
    assert_eq!(world.records(&patient, None, 0).await.unwrap().records.len(), 1);
}

/// A release is measured with its manifests before anything is spent.
#[tokio::test]
async fn an_answer_is_not_longer_than_announced() {
    let world = world(1 << 20).await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let permission = world
        .permit_download(&world.second, vec![record], Terms::default())
        .await;
    // Asserted where it is presented.
    world.open_release(&world.second, permission.permission_id).await;
}
