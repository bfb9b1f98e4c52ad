//! What of the directory is kept in a home, and read again.

use actors::{KeyPair, institution::Charter};
use crypto::SigningIdentity;
use protocol_spec::{
    hash::Sha256Digest,
    link::{Fingerprint, ServerLink},
    log::{Checkpoint, Entry, SignedCheckpoint},
};

use super::{
    files::{CHECKPOINT, EVENTS},
    *,
};
use crate::{Contradiction, home::Pins, session::Session};

const OPERATOR: u8 = 1;
const REGISTRAR: u8 = 2;
const STRANGER: u8 = 4;

fn identity(seed: u8) -> SigningIdentity {
    SigningIdentity::from_seed(&[seed; 32]).unwrap()
}

pub(crate) fn session(home: &std::path::Path) -> Session {
    let (operator, registrar) = (identity(OPERATOR).public(), identity(REGISTRAR).public());
    let link = ServerLink::new("localhost:1", Fingerprint::of(&operator, &registrar, None)).unwrap();
    let pins = Pins {
        link,
        operator,
        registrar,
        certificate: None,
    };
    Session::new(Home::at(home), pins, &"pat_a", Arc::new(identity(9))).unwrap()
}

/// The event of a clinic that enrols, accredited by this key.
fn event(index: u64, clinic: u8, registrar: u8) -> pb::DirectoryEvent {
    let clinic = Charter::of(KeyPair::new(clinic)).named("Clinic").sign();
    let accreditation = clinic.accreditation.claimed().clone();
    let entry = Entry::Keys {
        keys: clinic.keys.to_message(),
        accreditation: KeyPair::new(registrar).signed(accreditation).to_message(),
    };
    pb::DirectoryEvent {
        entry: entry.bytes().unwrap().into(),
        index,
        path: Vec::new(),
    }
}

/// A checkpoint that says that these are all events of so many leaves.
pub(crate) fn checkpoint(size: u64, events: &[pb::DirectoryEvent]) -> VerifiedCheckpoint {
    let operator = identity(OPERATOR);
    let log = protocol_spec::log::log_key(&operator.public()).unwrap();
    let head = events.iter().fold(DirectoryHead::NONE, |head, event| {
        head.with(event.index, &event.entry)
    });
    let checkpoint = Checkpoint {
        origin: log.name().to_owned(),
        size,
        root: Sha256Digest::of(b"root"),
        extensions: vec![head.line()],
    };
    let signed = SignedCheckpoint::sign(checkpoint, &log, |text| operator.sign_bytes(text)).unwrap();
    signed.verify(&log).unwrap()
}

/// Takes and keeps these events.
async fn keep(session: &Session, size: u64, events: &[pb::DirectoryEvent]) {
    let mut kept = session.mirror.files.newest(None).unwrap();
    let had = kept.events.len();
    for event in &events[had..] {
        kept.directory.take(event.index, &event.entry).unwrap();
        kept.events.push(event.clone().into());
    }
    let checkpoint = checkpoint(size, events);
    session
        .mirror
        .check_head(&mut kept.directory, &checkpoint)
        .await
        .unwrap();
    session
        .mirror
        .files
        .keep(&mut kept, &checkpoint, had)
        .await
        .unwrap();
}

/// ATK-1, FLW-4: an entry is nothing without the pinned registrar's signature.
#[test]
fn an_event_that_is_not_vouched_for_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut directory = session(dir.path()).mirror.files.newest(None).unwrap().directory;
    for registrar in [STRANGER, REGISTRAR] {
        let event = event(0, 3, registrar);
        let taken = directory.take(event.index, &event.entry);
        assert_eq!(taken.is_ok(), registrar == REGISTRAR);
    }
}

/// LOG-3: nor outside the log.
#[test]
fn an_event_that_does_not_stand_in_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut directory = session(dir.path()).mirror.files.newest(None).unwrap().directory;
    let event = event(0, 3, REGISTRAR);
    let refused = take(
        &mut directory,
        &checkpoint(1, std::slice::from_ref(&event)),
        &event,
    );
    assert!(matches!(refused, Err(Error::Tampered { .. })));
    assert_eq!(directory.head(), DirectoryHead::NONE);
}

/// LOG-16: what was verified is read again by whoever opens the home next, and goes on; a crash between both files does no harm.
#[tokio::test]
async fn what_was_kept_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (event(1, 3, REGISTRAR), event(7, 5, REGISTRAR));
    keep(&session(dir.path()), 5, std::slice::from_ref(&first)).await;
    // What a process leaves that is cut off between the events and the checkpoint: the seal is of before, too.
    let old = [CHECKPOINT, "home.seal"].map(|name| (name, std::fs::read(dir.path().join(name)).unwrap()));
    keep(&session(dir.path()), 9, &[first, second]).await;
    assert_eq!(
        session(dir.path())
            .mirror
            .files
            .newest(None)
            .unwrap()
            .directory
            .names()
            .count(),
        2
    );
    for (name, bytes) in old {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let kept = session(dir.path()).mirror.files.newest(None).unwrap();
    assert_eq!((kept.events.len(), kept.directory.covered()), (1, 5));
}

/// LOG-16: an event that stands where a line has said that there is none, and a smaller log.
#[tokio::test]
async fn what_comes_later_stands_behind_what_was_complete() {
    let dir = tempfile::tempdir().unwrap();
    let first = event(1, 3, REGISTRAR);
    keep(&session(dir.path()), 5, std::slice::from_ref(&first)).await;
    let session = session(dir.path());
    let mut kept = session.mirror.files.newest(None).unwrap();
    let hidden = event(3, 5, REGISTRAR);
    assert!(kept.directory.take(hidden.index, &hidden.entry).is_err());
    let older = session
        .mirror
        .check_head(&mut kept.directory, &checkpoint(4, std::slice::from_ref(&first)))
        .await;
    assert!(matches!(
        older,
        Err(Error::Contradicted(Contradiction::OlderDirectory {
            seen: 5,
            shown: 4
        }))
    ));
    let other = session
        .mirror
        .check_head(&mut kept.directory, &checkpoint(6, &[]))
        .await;
    assert!(matches!(
        other,
        Err(Error::Contradicted(Contradiction::DirectoryConflict {
            events: 1,
            said_events: 0,
            ..
        }))
    ));
    assert!(dir.path().join(CONFLICT).exists());
}

/// LOG-16, LOG-18: a line that was believed without asking is kept as one that came with events: none comes before its end later.
#[tokio::test]
async fn what_was_said_to_be_all_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let first = event(1, 3, REGISTRAR);
    let all = std::slice::from_ref(&first);
    keep(&session(dir.path()), 5, all).await;
    for (said, size, believed) in [(&[][..], 7, false), (all, 9, true)] {
        // Each is the first of the log that its session sees, which asks nobody.
        for name in ["log.checkpoint", "home.seal"] {
            drop(std::fs::remove_file(dir.path().join(name)));
        }
        let session = session(dir.path());
        let mut kept = session.mirror.files.newest(None).unwrap();
        assert!(
            !session
                .mirror
                .covered_by_recent_checkpoint(Some(&mut kept))
                .await
                .unwrap()
        );
        session.log.accept(&checkpoint(size, said)).await.unwrap();
        assert_eq!(
            session
                .mirror
                .covered_by_recent_checkpoint(Some(&mut kept))
                .await
                .unwrap(),
            believed
        );
        session.mirror.invalidate().await;
        assert!(
            !session
                .mirror
                .covered_by_recent_checkpoint(Some(&mut kept))
                .await
                .unwrap(),
            "no longer"
        );
    }
    let mut kept = session(dir.path()).mirror.files.newest(None).unwrap();
    let hidden = event(7, 5, REGISTRAR);
    assert!(kept.directory.take(hidden.index, &hidden.entry).is_err());
    let later = event(9, 5, REGISTRAR);
    kept.directory.take(later.index, &later.entry).unwrap();
}

/// LOG-16, LOG-18: what was said within a second of the last is kept when the session ends.
#[tokio::test]
async fn what_was_said_last_is_kept_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let first = event(1, 3, REGISTRAR);
    let all = std::slice::from_ref(&first);
    keep(&session(dir.path()), 5, all).await;
    let ending = session(dir.path());
    let mut kept = ending.mirror.files.newest(None).unwrap();
    kept.kept_at = Some(ending.home.system().uptime());
    ending.log.accept(&checkpoint(9, all)).await.unwrap();
    assert!(
        ending
            .mirror
            .covered_by_recent_checkpoint(Some(&mut kept))
            .await
            .unwrap()
    );
    assert_eq!(
        session(dir.path())
            .mirror
            .files
            .newest(None)
            .unwrap()
            .directory
            .covered(),
        5
    );
    ending.mirror.mirrored.lock().await.kept = Some(kept);
    drop(ending);
    assert_eq!(
        session(dir.path())
            .mirror
            .files
            .newest(None)
            .unwrap()
            .directory
            .covered(),
        9
    );
}

/// LOG-16: files that were changed are no mirror.
#[tokio::test]
async fn changed_files_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    keep(&session(dir.path()), 5, &[event(1, 3, REGISTRAR)]).await;
    for name in [EVENTS, CHECKPOINT] {
        let file = dir.path().join(name);
        let good = std::fs::read(&file).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        for bytes in [bad, good[..good.len() - 1].to_vec()] {
            let session = session(dir.path());
            std::fs::write(&file, bytes).unwrap();
            let refused = session.mirror.files.newest(None);
            assert!(
                matches!(
                    refused.map(drop),
                    Err(Error::HomeAltered { .. } | Error::HomeDamaged { .. })
                ),
                "{name}"
            );
            std::fs::write(&file, &good).unwrap();
        }
        session(dir.path()).mirror.files.newest(None).unwrap();
    }
}
