//! ATK-29: setting the clock back revives nothing. ATK-67: one that jumps ahead ends nothing.

use std::time::Duration;

use protocol_spec::problem::Problem;

use super::{
    problem,
    world::{HOUR, START, Terms, World, limits, open, try_open},
};
use crate::vault::VaultLimits;
use crate::vault::{transfer::sweep, who::directory};

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
    directory::directory_events(&world.vault, 0, 0, false)
        .await
        .unwrap();
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
    sweep::sweep(&world.vault).await.unwrap();
    world.clock.set(START);
    world.restart().await;
    assert_eq!(world.vault.now_ms(), START + HOUR);
}

/// A permission that ends in an hour, and a clock that jumps ahead by 30 days: what a presentation is answered then, and once
/// the clock is right again.
async fn jump_ahead(limits: VaultLimits) -> [Option<Problem>; 2] {
    let mut world = World::new().await;
    world.vault = open(&world.store, &world.clock, limits).await;
    let terms = Terms {
        uses: 9,
        ..Terms::default()
    };
    let id = world.permit_upload(&world.first, terms).await.permission_id;
    let mut answers = [None, None];
    for (answer, clock) in answers.iter_mut().zip([START + 30 * 24 * HOUR, START + HOUR / 2]) {
        world.clock.jump(clock);
        sweep::sweep(&world.vault).await.unwrap();
        *answer = world
            .present(&world.first, id)
            .await
            .err()
            .map(|refusal| refusal.problem);
    }
    answers
}

/// PRM-15, ATK-67.
#[tokio::test]
async fn a_clock_that_jumps_ahead_ends_no_permission() {
    assert_eq!(jump_ahead(limits()).await, [None, None]);
}

/// ATK-67: without it, the permission has ended for ever.
#[tokio::test]
async fn control_a_jump_is_gone_by_where_any_may_be() {
    let any = VaultLimits {
        clock_jump: Duration::MAX,
        ..limits()
    };
    let over = Some(Problem::PermissionExpired);
    assert_eq!(jump_ahead(any).await, [over, over]);
}

/// PRM-15, ATK-67.
#[tokio::test]
async fn a_vault_does_not_open_by_a_clock_that_is_far_ahead_until_the_operator_says_that_it_is_right() {
    let world = World::new().await;
    sweep::sweep(&world.vault).await.unwrap();
    let far = START + 30 * 24 * HOUR;
    world.clock.jump(far);
    let refused = try_open(&world.store, &world.clock, limits()).await.err();
    let cause = refused.and_then(|refusal| refusal.cause).unwrap();
    assert!(cause.contains("--accept-clock 2027-02-14T09:00:00Z"), "{cause}");
    // Nothing of it was kept.
    world.clock.jump(START + HOUR);
    let right = open(&world.store, &world.clock, limits()).await;
    assert_eq!(right.now_ms(), START + HOUR);
    drop(right);
    world.clock.jump(far);
    let accepted = VaultLimits {
        clock_accepted: far,
        ..limits()
    };
    assert_eq!(open(&world.store, &world.clock, accepted).await.now_ms(), far);
}
