//! What one permission takes in the store.

use protocol_spec::permission::{Kind, PermissionBody};

use super::{
    collections::{ONCOLOGY, Scene, selector},
    world::{Stores, Terms, World, limits},
};
use crate::store::MemoryStore;

/// Bytes of keys and rows that a permission over a collection of so many records adds: the permission itself, what is
/// left of it, its place, its entries in history, inbox and log, the answer kept for repetitions.
async fn bytes_of_a_permission(records: usize) -> usize {
    let store = MemoryStore::default();
    let stores = Stores::of(&std::sync::Arc::new(store.clone()));
    let scene = Scene::of(World::over(stores, limits()).await, records).await;
    scene.put(ONCOLOGY, 0).await.unwrap();
    for record in 0..records {
        scene.place(record, ONCOLOGY, record as u64 + 1).await.unwrap();
    }
    let hospital = &scene.world.second;
    let asked = scene.world.ask_download(hospital).await;
    let body = PermissionBody {
        collection: Some(selector(ONCOLOGY, 0, None)),
        ..scene
            .world
            .permission_body(hospital, Kind::Download, asked, Vec::new(), Terms::default())
    };
    let before = store.row_bytes();
    scene.world.submit(&body).await.unwrap();
    store.row_bytes() - before
}

#[tokio::test]
async fn a_permission_takes_less_than_4_kib_whatever_it_is_over() {
    let one = bytes_of_a_permission(1).await;
    let many = bytes_of_a_permission(20).await;
    println!("{one} bytes, {many} over 20 records");
    assert!(one < 4096, "{one}");
    // The right edge of the vault tree is as long as the number of acts has ones.
    assert!(one.abs_diff(many) <= 34 * 10, "{one} {many}");
}
