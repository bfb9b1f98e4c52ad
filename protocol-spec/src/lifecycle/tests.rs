use super::*;
use crate::{hash::Sha256Digest, ids::PermissionId};

const METER: Meter = Meter {
    uses_left: 2,
    bytes_left: 10,
    uses_held: 0,
    bytes_held: 0,
    presented: 0,
    revoked: false,
    replaced: false,
};

#[test]
fn what_has_ended_moves_nothing() {
    let revoked = METER.revoke().unwrap();
    assert_eq!(revoked.revoke(), None);
    assert_eq!(
        revoked.check_not_ended(&Rules::ALL),
        Err(Problem::PermissionRevoked)
    );
    let replaced = Meter {
        replaced: true,
        ..METER
    };
    assert_eq!(
        replaced.check_not_ended(&Rules::ALL),
        Err(Problem::PermissionReplaced)
    );
    assert_eq!(
        METER.check_live(true, &Rules::ALL),
        Err(Problem::PermissionExpired)
    );
    assert_eq!(METER.check_live(false, &Rules::ALL), Ok(()));
}

/// FLW-6, FLW-9
#[test]
fn bytes_are_spent_to_the_last_and_no_further() {
    let spent = METER.spend(10, &Rules::ALL).unwrap();
    assert_eq!(spent.bytes_left, 0);
    assert_eq!(spent.spend(1, &Rules::ALL), Err(Problem::BytesSpent));
    assert_eq!(spent.spend(0, &Rules::ALL), Ok(spent));
}

/// FLW-16
#[test]
fn what_brings_nothing_costs_nothing() {
    let open = Meter {
        uses_left: 1,
        uses_held: 1,
        ..METER
    };
    let sent = open.hold(7, &Rules::ALL).unwrap();
    assert_eq!((sent.bytes_left, sent.bytes_held, sent.bytes()), (3, 7, 10));
    assert_eq!(sent.hold(4, &Rules::ALL), Err(Problem::BytesSpent));
    assert_eq!(sent.give_back(7), METER);
    let stored = sent.bring(7);
    assert_eq!((stored.uses(), stored.bytes()), (1, 3));
    // Whoever held nothing gets nothing.
    assert_eq!(stored.give_back(9), stored);
}

/// FLW-16, FLW-18
#[test]
fn a_history_shows_no_more_uses_than_there_are() {
    let mut shown = ShownUses::default();
    assert!(shown.presented(true, 2) && shown.presented(true, 2));
    assert!(!shown.clone().presented(true, 2), "a third that is open");
    shown.released(0);
    assert!(shown.presented(true, 2), "one of them brought nothing");
    shown.released(5);
    assert_eq!((shown.spent(), shown.open()), (1, 1));
    assert!(!shown.presented(true, 2), "one is spent, one is open");
    let mut shown = ShownUses::default();
    for _ in 0..TRIES {
        assert!(shown.presented(false, 1));
    }
    assert!(!shown.clone().presented(false, 1), "too often");
    assert!(shown.stored(1) && !shown.stored(1));
}

/// PRM-14: what a session holds goes over to the permission that takes the place.
#[test]
fn what_is_held_counts_as_not_spent() {
    let open = Meter {
        uses_left: 1,
        uses_held: 1,
        ..METER
    }
    .hold(7, &Rules::ALL)
    .unwrap();
    let seen = |uses_left, bytes_left| Replaces {
        permission_id: PermissionId::from_bytes([1; 16]),
        permission_hash: Sha256Digest::of(b"permission"),
        uses_left,
        bytes_left,
        signed_again: false,
    };
    assert!(open.replace(&seen(2, 10), false).is_ok());
    for (uses, bytes) in [(1, 10), (2, 3), (1, 3)] {
        let refused = open.replace(&seen(uses, bytes), false);
        assert_eq!(refused, Err(Problem::ReplacementConflict));
    }
}

/// PRM-13, ATK-29
#[test]
fn what_was_called_past_stays_past_over_a_restart() {
    let mut floor = Floor::load(0);
    assert_eq!(floor.judge(9, 10, &Rules::ALL), Judgement::Ahead);
    assert_eq!(floor.judge(10, 10, &Rules::ALL), Judgement::PassedOnceWritten(10));
    assert_eq!(floor.judge(3, 10, &Rules::ALL), Judgement::PassedOnceWritten(10));
    floor.written(10);
    let mut restarted = Floor::load(10);
    assert_eq!(restarted.judge(3, 10, &Rules::ALL), Judgement::Passed);
    assert_eq!(restarted.now(3), 10);
}
