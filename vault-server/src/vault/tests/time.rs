//! ATK-29: setting the clock back revives nothing.

use protocol_spec::problem::Problem;

use super::{
    problem,
    world::{HOUR, START, Terms, World},
};

/// PRM-13, ATK-29.
#[tokio::test]
async fn what_has_expired_stays_expired_when_the_clock_is_set_back() {
    let mut world = World::new().await;
    let id = world
        .permit_upload(&world.first, Terms::default())
        .await
        .permission_id;
    world.clock.set(START + HOUR);
    assert_eq!(
        problem(world.present(&world.first, id).await),
        Problem::PermissionExpired
    );
    world.clock.set(START);
    assert_eq!(
        problem(world.present(&world.first, id).await),
        Problem::PermissionExpired
    );
    world.restart().await;
    assert!(world.vault.now_ms() >= START + HOUR);
    assert_eq!(
        problem(world.present(&world.first, id).await),
        Problem::PermissionExpired
    );
}

#[tokio::test]
async fn the_last_checkpoint_is_a_floor_of_time() {
    let mut world = World::new().await;
    let id = world
        .permit_upload(&world.first, Terms::default())
        .await
        .permission_id;
    world.clock.set(START + HOUR);
    // Nobody has been refused yet; but the log has been written to.
    let terms = Terms {
        not_after: START + 2 * HOUR,
        ..Terms::default()
    };
    let later = world.permit_upload(&world.first, terms).await.permission_id;
    world.stand_by(&world.first, later).await;
    world.history().await;
    world.vault.directory_events(0, 0, false).await.unwrap();
    wait_for_log(&world, 5).await;
    world.clock.set(START);
    world.restart().await;
    assert_eq!(
        problem(world.present(&world.first, id).await),
        Problem::PermissionExpired
    );
}

/// Until the log has this size.
async fn wait_for_log(world: &World, size: u64) {
    while world.vault.log_consistency(1, size).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_sweeper_writes_the_floor() {
    let mut world = World::new().await;
    world.clock.set(START + HOUR);
    world.vault.sweep().await.unwrap();
    world.clock.set(START);
    world.restart().await;
    assert_eq!(world.vault.now_ms(), START + HOUR);
}
