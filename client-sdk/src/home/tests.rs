use super::*;

fn patient() -> Principal {
    Principal::new(Kind::Patient, "pat_a")
}

fn made(unlock: &Unlock) -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(&dir.path().join("home"));
    home.create(&patient(), &[7; 64], unlock, &[("extra", b"")])
        .unwrap();
    (dir, home)
}

#[test]
fn secrets_come_back_with_the_right_passphrase_alone() {
    let (_dir, home) = made(&Unlock::passphrase("right"));
    let principal = home.principal_of(Kind::Patient).unwrap();
    assert_eq!(
        home.unlock(&principal, &Unlock::passphrase("right"))
            .unwrap()
            .as_slice(),
        [7; 64]
    );
    let wrong = home.unlock(&principal, &Unlock::passphrase("wrong"));
    assert!(matches!(
        wrong,
        Err(Error::WrongUnlock {
            with: "passphrase",
            needs: "passphrase"
        })
    ));
    let other = Principal::new(Kind::Patient, "pat_b");
    assert!(home.unlock(&other, &Unlock::passphrase("right")).is_err());
    let file = home.unlock(&principal, &Unlock::KeyFile(home.path("none")));
    assert!(matches!(
        file,
        Err(Error::WrongUnlock {
            with: "key file",
            needs: "passphrase"
        })
    ));
}

#[test]
fn a_key_file_is_made_once_and_must_be_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let key = Unlock::KeyFile(dir.path().join("key"));
    let home = Home::at(&dir.path().join("home"));
    home.create(&patient(), &[7; 32], &key, &[]).unwrap();
    assert_eq!(home.unlock(&patient(), &key).unwrap().as_slice(), [7; 32]);
    std::fs::write(dir.path().join("key"), [1; 32]).unwrap();
    assert!(matches!(
        home.unlock(&patient(), &key),
        Err(Error::WrongUnlock {
            with: "key file",
            needs: "key file"
        })
    ));
    std::fs::remove_file(dir.path().join("key")).unwrap();
    assert!(matches!(home.unlock(&patient(), &key), Err(Error::Io { .. })));
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(&dir.path().join("home"));
    home.create(
        &patient(),
        &[7; 32],
        &Unlock::KeyFile(dir.path().join("key")),
        &[],
    )
    .unwrap();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.path().join("home")), 0o700);
    assert_eq!(mode(home.path(SECRETS)), 0o600);
    assert_eq!(mode(home.path(PRINCIPAL)), 0o600);
    assert_eq!(mode(dir.path().join("key")), 0o600);
}

#[test]
fn a_home_is_made_once_and_leaves_nothing_when_discarded() {
    let (dir, home) = made(&Unlock::passphrase("p"));
    let again = home.create(&patient(), &[8; 32], &Unlock::passphrase("p"), &[]);
    assert!(matches!(again, Err(Error::HomeExists { .. })));
    home.discard(&["extra"]);
    assert!(matches!(home.principal(), Err(Error::HomeMissing { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_home_of_another_kind_is_refused() {
    let (_dir, home) = made(&Unlock::passphrase("p"));
    let error = home.principal_of(Kind::Registrar).unwrap_err();
    assert!(matches!(
        error,
        Error::HomeKind {
            have: "a patient",
            want: "a registrar"
        }
    ));
    assert!(matches!(
        home.pins(&home.principal().unwrap()),
        Err(Error::NotEnrolled { .. })
    ));
}

/// KEY-18, ATK-44.
#[test]
fn damaged_or_weakened_files_are_refused() {
    let (_dir, home) = made(&Unlock::passphrase("p"));
    let text = String::from_utf8(home.read(SECRETS).unwrap().unwrap()).unwrap();
    for (from, to) in [
        ("65536", "8"),
        ("65536", "4294967295"),
        ("\"passes\": 3", "\"passes\": 1"),
        ("\"sealed\"", "\"seeled\""),
    ] {
        assert!(text.contains(from), "{from}");
        home.write(SECRETS, text.replace(from, to).as_bytes()).unwrap();
        assert!(
            matches!(
                home.unlock(&patient(), &Unlock::passphrase("p")),
                Err(Error::HomeDamaged { .. })
            ),
            "{to}"
        );
    }
    home.write(PRINCIPAL, b"{").unwrap();
    assert!(matches!(home.principal(), Err(Error::HomeDamaged { .. })));
}

#[test]
fn writing_replaces_whole_and_leaves_no_other_file() {
    let (_dir, home) = made(&Unlock::passphrase("p"));
    let count = || std::fs::read_dir(home.path("")).unwrap().count();
    let before = count();
    home.write("log.checkpoint", b"one").unwrap();
    home.write("log.checkpoint", b"two").unwrap();
    assert_eq!(
        (home.read("log.checkpoint").unwrap().as_deref(), count()),
        (Some(&b"two"[..]), before + 1)
    );
    // A writer that dies before the rename leaves the old content.
    std::fs::write(home.path(".medvault-left"), b"thr").unwrap();
    assert_eq!(home.read("log.checkpoint").unwrap().as_deref(), Some(&b"two"[..]));
}

#[tokio::test]
async fn one_process_writes_at_a_time_and_the_next_waits() {
    let (_dir, home) = made(&Unlock::passphrase("p"));
    let held = home.lock().await.unwrap();
    assert!(matches!(home.try_lock(), Err(Error::HomeLocked { .. })));
    let (waited, ()) = tokio::join!(home.lock(), async {
        tokio::time::sleep(LOCK_PAUSE * 2).await;
        drop(held);
    });
    assert!(waited.is_ok());
}

#[test]
fn debug_shows_no_passphrase() {
    assert_eq!(format!("{:?}", Unlock::passphrase("canary")), "Passphrase(..)");
}

#[test]
fn what_was_kept_first_stays_and_an_empty_file_counts_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    for text in ["one", "two"] {
        assert_eq!(home.keep_first("met", "id", text).unwrap(), b"one");
    }
    std::fs::write(dir.path().join("met/id"), "").unwrap();
    assert_eq!(home.keep_first("met", "id", "two").unwrap(), b"two");
    assert_eq!(std::fs::read_dir(dir.path().join("met")).unwrap().count(), 1);
}

/// COL-3
#[test]
fn a_number_below_the_highest_that_was_kept_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    for number in [1, 1, 3] {
        home.keep_highest("epochs", "id", number).unwrap();
    }
    let older = home.keep_highest("epochs", "id", 2);
    assert!(matches!(older, Err(Error::Tampered { .. })), "{older:?}");
    home.keep_highest("epochs", "other", 2).unwrap();
    std::fs::write(dir.path().join("epochs/id"), "many").unwrap();
    let damaged = home.keep_highest("epochs", "id", 9);
    assert!(matches!(damaged, Err(Error::HomeDamaged { .. })), "{damaged:?}");
}
