//! Proof of possession: what it opens, how often, and what is told to whom.

use actors::KeyPair;
use prost::Message;
use protocol_spec::{
    ids::PermissionId,
    messages as pb,
    permission::{Kind, PermissionBody},
    problem::Problem,
    purpose::Purpose,
};
use tokio::task::JoinSet;

use super::{
    problem,
    world::{HOUR, START, Terms, World, intent, limits, new_names, possession, release, standby, stream},
};
use crate::vault::{Intent, VaultLimits};

/// PRM-11.
#[tokio::test]
async fn a_challenge_is_used_once() {
    let world = World::new().await;
    let terms = Terms {
        uses: 5,
        ..Terms::default()
    };
    let id = world.permit_upload(&world.first, terms).await.permission_id;
    let challenge = world.challenge(&world.first, id).await;
    let present = async || {
        let names = new_names();
        world
            .present_with(&world.first, id, challenge, &intent(), &possession(), names)
            .await
    };
    present().await.unwrap();
    assert_eq!(problem(present().await), Problem::ChallengeInvalid);
    assert_eq!(world.entry(id).await.uses_left, 4);
}

#[tokio::test]
async fn a_challenge_is_for_one_permission_and_for_five_minutes() {
    let world = World::new().await;
    let one = world
        .permit_upload(&world.first, Terms::default())
        .await
        .permission_id;
    let other = world
        .permit_upload(&world.first, Terms::default())
        .await
        .permission_id;
    let challenge = world.challenge(&world.first, one).await;
    let present = async |permission: PermissionId, challenge: [u8; 32]| {
        let (intent, names) = (intent(), new_names());
        world
            .present_with(&world.first, permission, challenge, &intent, &possession(), names)
            .await
    };
    assert_eq!(
        problem(present(other, challenge).await),
        Problem::ChallengeInvalid
    );
    assert_eq!(problem(present(one, [0; 32]).await), Problem::ChallengeInvalid);
    world.clock.set(START + 5 * 60 * 1000);
    assert_eq!(problem(present(one, challenge).await), Problem::ChallengeInvalid);
    world.present(&world.first, one).await.unwrap();
}

#[tokio::test]
async fn the_oldest_of_too_many_challenges_is_forgotten() {
    let world = World::new().await;
    let id = world
        .permit_upload(&world.first, Terms::default())
        .await
        .permission_id;
    let oldest = world.challenge(&world.first, id).await;
    for _ in 0..64 {
        world.challenge(&world.first, id).await;
    }
    let forgotten = world
        .present_with(&world.first, id, oldest, &intent(), &possession(), new_names())
        .await;
    assert_eq!(problem(forgotten), Problem::ChallengeInvalid);
    world.present(&world.first, id).await.unwrap();
}

/// ATK-28 and uniformity: unknown, foreign and badly proven permissions are refused alike, whatever
/// their state (PRM-9, PRM-10).
#[tokio::test]
async fn who_is_not_the_proven_holder_learns_nothing() {
    let world = World::new().await;
    let live = world.permit_upload(&world.first, Terms::default()).await;
    let revoked = world.permit_upload(&world.first, Terms::default()).await;
    let challenge = world.challenge(&world.first, live.permission_id).await;
    world.revoke(&revoked).await;
    let unknown = PermissionId::from_bytes([7; 16]);
    let refused = async |hospital, permission, key: u8| {
        let (key, names) = (KeyPair::new(key), new_names());
        problem(
            world
                .present_with(hospital, permission, challenge, &intent(), &key, names)
                .await,
        )
    };
    for permission in [live.permission_id, revoked.permission_id, unknown] {
        assert_eq!(refused(&world.first, permission, 78).await, Problem::NotPermitted);
        assert_eq!(
            refused(&world.second, permission, 77).await,
            Problem::NotPermitted
        );
        assert_eq!(
            refused(&world.second, permission, 78).await,
            Problem::NotPermitted
        );
    }
    // The operator's own key stands in for the key of an unknown permission, and opens nothing either.
    assert_eq!(refused(&world.first, unknown, 1).await, Problem::NotPermitted);
    assert_eq!(world.entry(live.permission_id).await.uses_left, 1);
}

/// PRM-12.
#[tokio::test]
async fn the_proven_holder_learns_why() {
    let world = World::new().await;
    let terms = |not_before, not_after| Terms {
        not_before,
        not_after,
        ..Terms::default()
    };
    let later = world
        .permit_upload(&world.first, terms(START + 1, START + HOUR))
        .await
        .permission_id;
    assert_eq!(
        problem(world.present(&world.first, later).await),
        Problem::PermissionNotYetValid
    );
    world.clock.set(START + 1);
    let upload = world.stand_by(&world.first, later).await.upload_id;
    assert_eq!(
        problem(world.present(&world.first, later).await),
        Problem::PermissionInUse
    );
    world.commit(&world.first, upload, &stream(10)).await.unwrap();
    assert_eq!(
        problem(world.present(&world.first, later).await),
        Problem::PermissionSpent
    );
    let short = world
        .permit_upload(&world.first, terms(START, START + 100))
        .await
        .permission_id;
    world.clock.set(START + 99);
    let revoked = world.permit_upload(&world.first, Terms::default()).await;
    world.revoke(&revoked).await;
    assert_eq!(
        problem(world.present(&world.first, revoked.permission_id).await),
        Problem::PermissionRevoked
    );
    world.clock.set(START + 100);
    assert_eq!(
        problem(world.present(&world.first, short).await),
        Problem::PermissionExpired
    );
}

/// CND-2: the purpose stands in the history as it was stated; another one spends nothing.
#[tokio::test]
async fn a_permission_serves_its_own_purpose() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(100)).await;
    let hospital = &world.second;
    let stating = |code: &str| pb::Presentation {
        purpose: code.to_owned(),
        ..pb::Presentation::default()
    };
    for (only, stated, refused) in [
        (Some(Purpose::TREAT), "TREAT", None),
        (Some(Purpose::TREAT), "ETREAT", Some(Problem::PurposeMismatch)),
        (Some(Purpose::TREAT), "", Some(Problem::PurposeMismatch)),
        (Some(Purpose::TREAT), "CURE", Some(Problem::Malformed)),
        (None, "HRESCH", None),
        (None, "", None),
    ] {
        let hash = world.ask_download(hospital).await;
        let records = vec![record.clone()];
        let body = PermissionBody {
            purpose: only,
            ..world.permission_body(hospital, Kind::Download, hash, records, Terms::default())
        };
        world.submit(&body).await.unwrap();
        let challenge = world.challenge(hospital, body.permission_id).await;
        let message = stating(stated);
        let answer = world
            .present_with(
                hospital,
                body.permission_id,
                challenge,
                &intent(),
                &possession(),
                message.clone(),
            )
            .await;
        let left = world.entry(body.permission_id).await.uses_left;
        match refused {
            Some(expected) => {
                assert_eq!(problem(answer), expected, "{only:?} {stated}");
                assert_eq!(left, body.uses);
            }
            None => {
                answer.unwrap();
                assert_eq!(left, body.uses - 1);
                let last = world.history().await.pop().unwrap().what.unwrap();
                let pb::history_entry::What::Presented(presented) = last else {
                    panic!("{last:?}")
                };
                assert_eq!(presented.presentation, message.encode_to_vec());
            }
        }
    }
}

/// ATK-30: of many presentations at once, as many succeed as there are uses (FLW-6).
#[tokio::test(flavor = "multi_thread")]
async fn racing_presentations_spend_each_use_once() {
    for uses in [1, 3] {
        let world = World::new().await;
        let terms = Terms {
            uses,
            ..Terms::default()
        };
        let id = world.permit_upload(&world.first, terms).await.permission_id;
        let mut tasks = JoinSet::new();
        for _ in 0..32 {
            let world = world.clone();
            tasks.spawn(async move {
                world
                    .present(&world.first, id)
                    .await
                    .map_err(|refusal| refusal.problem)
            });
        }
        let answers = tasks.join_all().await;
        let opened = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(opened, uses as usize);
        assert!(
            answers
                .iter()
                .all(|answer| !matches!(answer, Err(problem) if *problem != Problem::PermissionInUse))
        );
        assert_eq!(world.entry(id).await.uses_left, 0);
        world.check().await;
    }
}

#[tokio::test]
async fn a_repeated_presentation_has_a_new_challenge_and_the_same_answer() {
    let world = World::new().await;
    let id = world
        .permit_upload(&world.first, Terms::default())
        .await
        .permission_id;
    let (intent, names) = (intent(), new_names());
    let mut tickets = Vec::new();
    for _ in 0..3 {
        let challenge = world.challenge(&world.first, id).await;
        let names = names.clone();
        let answer = world
            .present_with(&world.first, id, challenge, &intent, &possession(), names)
            .await;
        tickets.push(standby(answer.unwrap()));
    }
    assert!(tickets.iter().all(|ticket| *ticket == tickets[0]));
    // Another request under the same key is not answered, and the challenge of a repetition is used up.
    let challenge = world.challenge(&world.first, id).await;
    let other = Intent {
        digest: [1; 32],
        ..intent
    };
    let mismatch = world
        .present_with(&world.first, id, challenge, &other, &possession(), names)
        .await;
    assert_eq!(problem(mismatch), Problem::IdempotencyMismatch);
    assert_eq!(world.history().await.len(), 3);
}

#[tokio::test]
async fn a_repeated_release_has_its_records_again() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let id = world
        .permit_download(&world.second, vec![record], Terms::default())
        .await
        .permission_id;
    let intent = intent();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let challenge = world.challenge(&world.second, id).await;
        let names = pb::Presentation::default();
        let answer = world
            .present_with(&world.second, id, challenge, &intent, &possession(), names)
            .await;
        answers.push(answer.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        release(answers[0].clone()).release_id,
        release(answers[1].clone()).release_id
    );
}

/// A repetition releases the sealed manifests once more, so it needs a permission that lives (FLW-5).
#[tokio::test]
async fn a_repeated_release_has_nothing_once_revoked_or_expired() {
    for expires in [false, true] {
        let world = World::new().await;
        let record = world.store_record(&world.first, &stream(10)).await;
        let permission = world
            .permit_download(&world.second, vec![record], Terms::default())
            .await;
        let (id, intent) = (permission.permission_id, intent());
        let present = async || {
            let challenge = world.challenge(&world.second, id).await;
            let names = pb::Presentation::default();
            world
                .present_with(&world.second, id, challenge, &intent, &possession(), names)
                .await
        };
        assert!(present().await.is_ok());
        let refused = if expires {
            world.clock.set(permission.not_after);
            Problem::PermissionExpired
        } else {
            world.revoke(&permission).await;
            Problem::PermissionRevoked
        };
        assert_eq!(problem(present().await), refused);
    }
}

#[tokio::test]
async fn names_of_records_are_taken_once() {
    let world = World::new().await;
    let terms = Terms {
        uses: 3,
        ..Terms::default()
    };
    let one = world.permit_upload(&world.first, terms).await.permission_id;
    let other = world.permit_upload(&world.second, terms).await.permission_id;
    let names = new_names();
    let present = async |hospital, permission, names: &pb::Presentation| {
        let challenge = world.challenge(hospital, permission).await;
        world
            .present_with(
                hospital,
                permission,
                challenge,
                &intent(),
                &possession(),
                names.clone(),
            )
            .await
    };
    present(&world.first, one, &names).await.unwrap();
    assert_eq!(
        problem(present(&world.first, one, &names).await),
        Problem::AlreadyExists
    );
    assert_eq!(
        problem(present(&world.second, other, &names).await),
        Problem::AlreadyExists
    );
    let same_version = pb::Presentation {
        record_id: new_names().record_id,
        ..names.clone()
    };
    assert_eq!(
        problem(present(&world.second, other, &same_version).await),
        Problem::AlreadyExists
    );
    let nothing = pb::Presentation::default();
    assert_eq!(
        problem(present(&world.first, one, &nothing).await),
        Problem::Malformed
    );
    // What was refused has spent nothing.
    assert_eq!(world.entry(one).await.uses_left, 2);
    assert_eq!(world.entry(other).await.uses_left, 3);
}

/// ATK-35: an institution has so many sessions open, no more; ending one makes room.
#[tokio::test]
async fn sessions_are_bounded() {
    let world = World::with(VaultLimits {
        sessions_per_institution: 2,
        ..limits()
    })
    .await;
    let terms = Terms {
        uses: 5,
        ..Terms::default()
    };
    let id = world.permit_upload(&world.first, terms).await.permission_id;
    let upload = world.stand_by(&world.first, id).await.upload_id;
    world.stand_by(&world.first, id).await;
    assert_eq!(problem(world.present(&world.first, id).await), Problem::TooMany);
    world.commit(&world.first, upload, &stream(10)).await.unwrap();
    world.stand_by(&world.first, id).await;
    assert_eq!(world.entry(id).await.uses_left, 2);
}

/// ATK-35, the control: where there is room for more, one institution opens as many as it has uses.
#[tokio::test]
async fn control_more_sessions_are_opened_where_there_is_room() {
    let world = World::new().await;
    let terms = Terms {
        uses: 5,
        ..Terms::default()
    };
    let id = world.permit_upload(&world.first, terms).await.permission_id;
    for _ in 0..5 {
        world.stand_by(&world.first, id).await;
    }
    assert_eq!(world.entry(id).await.uses_left, 0);
}
