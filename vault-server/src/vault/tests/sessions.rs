//! What a session holds, gives back, and spends; how it is found again.

use actors::Institution;
use protocol_spec::{
    bodies::{ReleaseTicket, StandbyTicket},
    hash::Sha256Digest,
    ids::{PermissionId, ReleaseId, UploadId},
    lifecycle::TRIES,
    messages as pb,
    permission::{Kind, PermissionBody, Replaces},
    problem::Problem,
    purpose::Purpose,
    statement::Body,
};

use super::{
    problem,
    world::{
        HOUR, START, Terms, World, intent, leaf_hashes, new_names, possession, release, standby, stream,
    },
};
use crate::vault::ask::delivery;
use crate::vault::{
    keep::records,
    transfer::{release, sweep},
};
use crate::{store::LeafKey, vault::Refusal};

/// Uses left and held, bytes left and held.
type Left = (u32, u32, u64, u64);

const LONG: Terms = Terms {
    uses: 1,
    bytes: 8 << 20,
    not_before: START - HOUR,
    not_after: START + 1000 * HOUR,
};

impl World {
    async fn left(&self, permission: PermissionId) -> Left {
        let entry = self.entry(permission).await;
        (
            entry.uses_left,
            entry.uses_held,
            entry.bytes_left,
            entry.bytes_held,
        )
    }

    async fn present_message(
        &self,
        hospital: &Institution,
        permission: PermissionId,
        message: pb::Presentation,
    ) -> Result<pb::PresentationAnswer, Refusal> {
        let challenge = self.challenge(hospital, permission).await;
        self.present_with(hospital, permission, challenge, &intent(), &possession(), message)
            .await
    }

    /// Presents it in the place of this upload.
    async fn take_over(
        &self,
        hospital: &Institution,
        permission: PermissionId,
        upload: UploadId,
    ) -> Result<StandbyTicket, Refusal> {
        let message = pb::Presentation {
            session: upload.as_bytes().to_vec().into(),
            ..new_names()
        };
        let answer = self.present_message(hospital, permission, message).await;
        answer.map(standby)
    }

    /// Presents it to go on with this release.
    async fn go_on(
        &self,
        hospital: &Institution,
        permission: PermissionId,
        session: ReleaseId,
    ) -> Result<ReleaseTicket, Refusal> {
        let message = pb::Presentation {
            session: session.as_bytes().to_vec().into(),
            ..pb::Presentation::default()
        };
        let answer = self.present_message(hospital, permission, message).await;
        answer.map(release)
    }

    /// The open sessions that the hospital is told of.
    async fn told(&self, hospital: &Institution, permission: PermissionId) -> Vec<pb::OpenSession> {
        let caller = self.as_hospital(hospital).await;
        delivery::deliver(&self.vault, &caller, permission)
            .await
            .unwrap()
            .open
    }

    async fn send_all(&self, ticket: &StandbyTicket, stream: &[u8]) -> Result<(), Problem> {
        let (upload, hashes) = (ticket.upload_id, leaf_hashes(stream));
        self.send(&self.first, upload, 0, stream, &hashes)
            .await
            .map_err(|refusal| refusal.problem)
    }
}

/// FLW-16: a disk that is full, a line that breaks: after a day everything is as before the presentation.
#[tokio::test]
async fn an_upload_that_ends_in_nothing_gives_back_its_use_and_bytes() {
    let world = World::new().await;
    let stream = stream(2 << 20);
    let length = stream.len() as u64;
    let id = world.permit_upload(&world.first, LONG).await.permission_id;
    for _ in 0..3 {
        let ticket = world.stand_by(&world.first, id).await;
        assert_eq!(world.left(id).await, (0, 1, LONG.bytes, 0));
        assert_eq!(world.entry(id).await.state(), pb::PermissionState::Live);
        world.send_all(&ticket, &stream).await.unwrap();
        assert_eq!(world.left(id).await, (0, 1, LONG.bytes - length, length));
        assert_eq!(
            problem(world.present(&world.first, id).await),
            Problem::PermissionInUse
        );
        world.clock.set(ticket.expires);
        sweep::sweep(&world.vault).await.unwrap();
        assert_eq!(world.left(id).await, (1, 0, LONG.bytes, 0));
        assert!(world.told(&world.first, id).await.is_empty());
    }
    let ticket = world.stand_by(&world.first, id).await;
    world.send_all(&ticket, &stream).await.unwrap();
    world
        .commit(&world.first, ticket.upload_id, &stream)
        .await
        .unwrap();
    assert_eq!(world.left(id).await, (0, 0, LONG.bytes - length, 0));
    assert_eq!(world.entry(id).await.state(), pb::PermissionState::Spent);
    world.clock.set(ticket.expires);
    sweep::sweep(&world.vault).await.unwrap();
    assert_eq!(world.left(id).await, (0, 0, LONG.bytes - length, 0));
    assert_eq!(
        problem(world.present(&world.first, id).await),
        Problem::PermissionSpent
    );
    world.check().await;
}

/// FLW-17: whatever has happened to a disk, the session is found by its permission, and its place taken.
#[tokio::test]
async fn an_upload_takes_the_place_of_one_that_was_left() {
    let world = World::new().await;
    let stream = stream(2 << 20);
    let id = world.permit_upload(&world.first, LONG).await.permission_id;
    let lost = world.stand_by(&world.first, id).await;
    world.send_all(&lost, &stream).await.unwrap();
    let told = world.told(&world.first, id).await;
    let caller = world.as_hospital(&world.first).await;
    assert_eq!((told.len(), &told[0].keyid), (1, &caller.key_id()));
    assert!(told[0].standby_ticket.is_some() && told[0].release_ticket.is_none());

    let ticket = world.take_over(&world.first, id, lost.upload_id).await.unwrap();
    assert!(ticket.upload_id != lost.upload_id && ticket.bytes == LONG.bytes);
    assert_eq!(world.left(id).await, (0, 1, LONG.bytes, 0));
    assert_eq!(world.send_all(&lost, &stream).await, Err(Problem::UploadClosed));
    assert_eq!(
        problem(world.commit(&world.first, lost.upload_id, &stream).await),
        Problem::UploadClosed
    );
    assert_eq!(world.told(&world.first, id).await.len(), 1);
    // Its leaves go with the next sweep, and not a day later.
    sweep::sweep(&world.vault).await.unwrap();
    let version = *lost.version_id.as_bytes();
    let leaf = LeafKey { version, leaf: 0 };
    assert!(world.store.blobs.get(leaf).await.unwrap().is_none());

    world.send_all(&ticket, &stream).await.unwrap();
    world
        .commit(&world.first, ticket.upload_id, &stream)
        .await
        .unwrap();
    let committed = world.take_over(&world.first, id, ticket.upload_id).await;
    assert_eq!(problem(committed), Problem::UploadClosed);
    // One that has ended otherwise is no hindrance, and no help.
    let ended = world.take_over(&world.first, id, lost.upload_id).await;
    assert_eq!(problem(ended), Problem::PermissionSpent);
    world.check().await;
}

/// FLW-17: nobody else's session, nor another permission's.
#[tokio::test]
async fn a_session_is_its_institutions_and_its_permissions() {
    let world = World::new().await;
    let own = world.permit_upload(&world.first, LONG).await.permission_id;
    let other = world.permit_upload(&world.first, LONG).await.permission_id;
    let theirs = world.permit_upload(&world.second, LONG).await.permission_id;
    let upload = world.stand_by(&world.first, own).await.upload_id;
    for (hospital, permission) in [(&world.first, other), (&world.second, theirs)] {
        let refused = world.take_over(hospital, permission, upload).await;
        assert_eq!(problem(refused), Problem::NotPermitted);
        assert!(world.told(hospital, permission).await.is_empty());
    }
    let unknown = UploadId::from_bytes([7; 16]);
    let refused = world.take_over(&world.first, own, unknown).await;
    assert_eq!(problem(refused), Problem::NotPermitted);
    assert_eq!(world.left(own).await, (0, 1, LONG.bytes, 0));

    let record = world.store_record(&world.first, &stream(10)).await;
    let records = vec![record];
    let own = world
        .permit_download(&world.second, records.clone(), LONG)
        .await
        .permission_id;
    let other = world
        .permit_download(&world.second, records.clone(), LONG)
        .await
        .permission_id;
    let theirs = world
        .permit_download(&world.first, records, LONG)
        .await
        .permission_id;
    let open = world.open_release(&world.second, own).await.release_id;
    for (hospital, permission) in [(&world.second, other), (&world.first, theirs)] {
        let refused = world.go_on(hospital, permission, open).await;
        assert_eq!(problem(refused), Problem::NotPermitted);
    }
    world.check().await;
}

/// FLW-17, FLW-9: a release goes on, writes nothing into the history, and what it hands out again costs nothing.
#[tokio::test]
async fn a_release_goes_on_and_is_charged_once() {
    let world = World::new().await;
    let stream = stream(3 << 20);
    let length = stream.len() as u64;
    let record = world.store_record(&world.first, &stream).await;
    let terms = Terms {
        uses: 2,
        bytes: length,
        ..LONG
    };
    let id = world
        .permit_download(&world.second, vec![record.clone()], terms)
        .await
        .permission_id;
    let ticket = world.open_release(&world.second, id).await;
    assert_eq!(world.left(id).await, (1, 1, length, 0));
    let fetch = async |first, count| {
        world
            .fetch(&world.second, ticket.release_id, record.version_id, first, count)
            .await
    };
    fetch(0, 2).await.unwrap();
    assert_eq!(world.left(id).await, (1, 0, length - (2 << 20), 0));
    let before = world.history().await.len();
    for _ in 0..3 {
        assert_eq!(
            world.go_on(&world.second, id, ticket.release_id).await.unwrap(),
            ticket
        );
        fetch(0, 3).await.unwrap();
    }
    assert_eq!(world.history().await.len(), before);
    assert_eq!(fetch(1, 3).await.unwrap().len(), stream.len() - (1 << 20));
    assert_eq!(world.left(id).await, (1, 0, 0, 0));
    let receipt = world.close(&world.second, ticket.release_id).await.unwrap();
    assert_eq!(receipt.bytes, length);
    // Another release would pay again.
    assert_eq!(
        problem(world.present(&world.second, id).await),
        Problem::BytesSpent
    );
    let over = world.go_on(&world.second, id, ticket.release_id).await;
    assert_eq!(problem(over), Problem::ReleaseClosed);
    world.check().await;
}

/// FLW-17, CND-2
#[tokio::test]
async fn a_release_goes_on_for_its_own_purpose() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let id = world
        .permit_download(&world.second, vec![record], LONG)
        .await
        .permission_id;
    let stating = |code: &str, session: Option<ReleaseId>| pb::Presentation {
        purpose: code.to_owned(),
        session: session.map_or_else(Vec::new, |id| id.as_bytes().to_vec()).into(),
        ..pb::Presentation::default()
    };
    let treat = Purpose::TREAT.code();
    let present = async |message| world.present_message(&world.second, id, message).await;
    let opened = release(present(stating(treat, None)).await.unwrap()).release_id;
    let other = present(stating("HRESCH", Some(opened))).await;
    assert_eq!(problem(other), Problem::PurposeMismatch);
    assert!(present(stating(treat, Some(opened))).await.is_ok());
}

/// FLW-16: a release that has handed out nothing, closed or over.
#[tokio::test]
async fn a_release_without_a_leaf_is_no_use() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let body = world.permit_download(&world.second, vec![record], LONG).await;
    let id = body.permission_id;
    let closed = world.open_release(&world.second, id).await;
    assert_eq!(
        problem(world.present(&world.second, id).await),
        Problem::PermissionInUse
    );
    assert_eq!(
        world.close(&world.second, closed.release_id).await.unwrap().bytes,
        0
    );
    assert_eq!(world.left(id).await, (1, 0, LONG.bytes, 0));
    let over = world.open_release(&world.second, id).await;
    world.clock.set(over.expires);
    sweep::sweep(&world.vault).await.unwrap();
    assert_eq!(world.left(id).await, (1, 0, LONG.bytes, 0));
    // Taken back while one is open, it stays taken back.
    world.open_release(&world.second, id).await;
    world.revoke(&body).await;
    assert_eq!(
        problem(world.present(&world.second, id).await),
        Problem::PermissionRevoked
    );
    world.check().await;
}

/// FLW-16: what holds a use and is over makes room at once, also where it was not swept yet.
#[tokio::test]
async fn a_session_that_is_over_makes_room_before_it_is_swept() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let reading = world.permit_download(&world.second, vec![record], LONG).await;
    let reading = reading.permission_id;
    let sending = world.permit_upload(&world.first, LONG).await.permission_id;
    let upload = world.stand_by(&world.first, sending).await;
    let release = world.open_release(&world.second, reading).await;
    for (hospital, permission) in [(&world.first, sending), (&world.second, reading)] {
        let refused = world.present(hospital, permission).await;
        assert_eq!(problem(refused), Problem::PermissionInUse);
    }
    world.clock.set(upload.expires.max(release.expires));
    world.stand_by(&world.first, sending).await;
    world.open_release(&world.second, reading).await;
    for permission in [sending, reading] {
        assert_eq!(world.left(permission).await, (0, 1, LONG.bytes, 0));
    }
    world.check().await;
}

/// FLW-18, ATK-102: a history is not filled with presentations that bring nothing.
#[tokio::test]
async fn one_use_is_presented_a_number_of_times() {
    let world = World::new().await;
    let id = world.permit_upload(&world.first, LONG).await.permission_id;
    let mut upload = world.stand_by(&world.first, id).await.upload_id;
    for _ in 1..TRIES {
        upload = world.take_over(&world.first, id, upload).await.unwrap().upload_id;
    }
    let refused = world.take_over(&world.first, id, upload).await;
    assert_eq!(problem(refused), Problem::PermissionSpent);
    // What was refused has ended nothing.
    world.commit(&world.first, upload, &stream(10)).await.unwrap();
    let record = world.store_record(&world.first, &stream(10)).await;
    let id = world
        .permit_download(&world.second, vec![record], LONG)
        .await
        .permission_id;
    for _ in 0..TRIES {
        let release = world.open_release(&world.second, id).await.release_id;
        for _ in 0..3 {
            world.go_on(&world.second, id, release).await.unwrap();
        }
        world.close(&world.second, release).await.unwrap();
    }
    assert_eq!(
        problem(world.present(&world.second, id).await),
        Problem::PermissionSpent
    );
}

/// PRM-14: what a session holds, and has not brought, goes over to the permission that takes the place.
#[tokio::test]
async fn what_is_held_is_not_lost_when_a_permission_is_replaced() {
    let world = World::new().await;
    let content = stream(10);
    let record = world.store_record(&world.first, &content).await;
    let old = world
        .permit_download(&world.second, vec![record.clone()], LONG)
        .await;
    let open = world.open_release(&world.second, old.permission_id).await;
    let anew = |uses_left| {
        let body = world.permission_body(
            &world.second,
            Kind::Download,
            old.request_hash,
            vec![record.clone()],
            LONG,
        );
        PermissionBody {
            replaces: Some(Replaces {
                permission_id: old.permission_id,
                permission_hash: Sha256Digest::of(&old.encode()),
                uses_left,
                bytes_left: LONG.bytes,
                signed_again: false,
            }),
            ..body
        }
    };
    assert_eq!(
        problem(world.submit(&anew(0)).await),
        Problem::ReplacementConflict
    );
    let new = anew(1);
    world.submit(&new).await.unwrap();
    let ended = world
        .fetch(&world.second, open.release_id, record.version_id, 0, 1)
        .await;
    assert_eq!(problem(ended), Problem::PermissionReplaced);
    assert_eq!(world.left(new.permission_id).await, (1, 0, LONG.bytes, 0));
    let open = world.open_release(&world.second, new.permission_id).await;
    let fetched = world
        .fetch(&world.second, open.release_id, record.version_id, 0, 1)
        .await;
    assert_eq!(fetched.unwrap(), content);
}

/// FLW-20: what cannot be read costs neither use nor bytes, and is named as such.
#[tokio::test]
async fn a_damaged_leaf_costs_nothing() {
    let world = World::new().await;
    let stream = stream(3 << 20);
    let record = world.store_record(&world.first, &stream).await;
    let id = world
        .permit_download(&world.second, vec![record.clone()], LONG)
        .await
        .permission_id;
    let version = *record.version_id.as_bytes();
    world.store.blobs.delete(version, 1..2).await.unwrap();
    let open = world.open_release(&world.second, id).await.release_id;
    let fetch = async |first, count| {
        world
            .fetch(&world.second, open, record.version_id, first, count)
            .await
    };
    let leaf = 1 << 20;
    assert_eq!(problem(fetch(1, 1).await), Problem::RecordDamaged);
    assert_eq!(world.left(id).await, (0, 1, LONG.bytes, 0));
    // In the middle of a range the body breaks off, and what was not sent is not paid; asked for from there on, it is refused.
    assert_eq!(problem(fetch(0, 4).await), Problem::RecordDamaged);
    assert_eq!(world.left(id).await, (0, 0, LONG.bytes - leaf, 0));
    assert_eq!(problem(fetch(1, 3).await), Problem::RecordDamaged);
    assert_eq!(world.left(id).await, (0, 0, LONG.bytes - leaf, 0));
    assert!(fetch(2, 2).await.is_ok());
    let all = record.stream_len;
    assert_eq!(world.left(id).await, (0, 0, LONG.bytes - (all - leaf), 0));
    // At the end of a range, behind what was paid before.
    assert_eq!(problem(fetch(0, 2).await), Problem::RecordDamaged);
    assert_eq!(world.left(id).await, (0, 0, LONG.bytes - (all - leaf), 0));
    let patient = world.as_patient().await;
    let own = records::own_leaves(&world.vault, &patient, record.version_id, 1, 1).await;
    assert_eq!(problem(own.map(drop)), Problem::RecordDamaged);
    let receipt = world.close(&world.second, open).await.unwrap();
    assert_eq!(receipt.bytes, all - leaf);
    world.check().await;
}

/// FLW-20: a connection that ends in the middle of a range pays for what was handed to it.
#[tokio::test]
async fn what_was_not_handed_to_a_connection_is_given_back() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(3 << 20)).await;
    let id = world
        .permit_download(&world.second, vec![record.clone()], LONG)
        .await
        .permission_id;
    let open = world.open_release(&world.second, id).await.release_id;
    let caller = world.as_hospital(&world.second).await;
    let leaf = 1 << 20;
    for (handed, held) in [(0, 1), (2, 0), (0, 0)] {
        let range = release::release_leaves(&world.vault, &caller, open, record.version_id, 0, 4);
        let mut range = range.await.unwrap();
        for _ in 0..handed {
            assert!(range.next().await.unwrap().is_ok());
        }
        drop(range);
        // Once something was handed out the use is spent, and a leaf that was paid stays so.
        let wanted = if held == 1 {
            LONG.bytes
        } else {
            LONG.bytes - 2 * leaf
        };
        for _ in 0..1000 {
            if world.left(id).await == (0, held, wanted, 0) {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(world.left(id).await, (0, held, wanted, 0));
    }
    // Asked for to its end, all of it is paid.
    let fetched = world.fetch(&world.second, open, record.version_id, 0, 4).await;
    assert!(fetched.is_ok());
    assert_eq!(world.left(id).await.2, LONG.bytes - record.stream_len);
    let receipt = world.close(&world.second, open).await.unwrap();
    assert_eq!(receipt.bytes, record.stream_len);
    world.check().await;
}

/// FLW-20: a leaf that was handed out at no cost while another request met the damage stays paid.
#[tokio::test]
async fn what_was_handed_out_beside_a_damaged_leaf_stays_paid() {
    let world = World::new().await;
    let stream = stream(3 << 20);
    let record = world.store_record(&world.first, &stream).await;
    let id = world
        .permit_download(&world.second, vec![record.clone()], LONG)
        .await
        .permission_id;
    let version = *record.version_id.as_bytes();
    world.store.blobs.delete(version, 1..2).await.unwrap();
    let open = world.open_release(&world.second, id).await.release_id;
    let caller = world.as_hospital(&world.second).await;
    let mut broken = release::release_leaves(&world.vault, &caller, open, record.version_id, 0, 4)
        .await
        .unwrap();
    assert!(broken.next().await.unwrap().is_ok());
    let beside = world.fetch(&world.second, open, record.version_id, 2, 2).await;
    assert!(beside.is_ok());
    assert_eq!(problem(broken.next().await.unwrap()), Problem::RecordDamaged);
    assert_eq!(world.left(id).await, (0, 0, LONG.bytes - record.stream_len, 0));
    let receipt = world.close(&world.second, open).await.unwrap();
    assert_eq!(receipt.bytes, record.stream_len);
}
