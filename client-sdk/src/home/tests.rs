use std::{fs, path::Path};

use super::*;
use crate::ground::memory::MemoryFiles;

/// A passphrase that may seal a home.
const STRONG: &str = "seven otters carry a violin";

/// Where the files of a home may lie: each test is for all of them, which owe the same (`HomeFiles`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    InAFolder,
    InMemory,
}

const ANYWHERE: [Lies; 2] = [Lies::InAFolder, Lies::InMemory];

impl Lies {
    fn ground(self, dir: &Path) -> Ground {
        match self {
            Self::InAFolder => Ground::folder(&dir.join("home")),
            Self::InMemory => Ground {
                files: Arc::new(MemoryFiles::default()),
                ..Ground::nowhere()
            },
        }
    }
}

fn patient() -> Principal {
    Principal::new(Kind::Patient, "pat_a")
}

struct Made {
    dir: tempfile::TempDir,
    ground: Ground,
    place: ClosedHome,
    unlock: Unlock,
}

impl Made {
    fn with(lies: Lies, passphrase: &str) -> (Self, Home) {
        Self::by(lies, Unlock::passphrase(passphrase), tempfile::tempdir().unwrap())
    }

    /// Under a key file beside it, which takes no time.
    fn quickly(lies: Lies) -> (Self, Home) {
        let dir = tempfile::tempdir().unwrap();
        Self::by(lies, Unlock::KeyFile(dir.path().join("key")), dir)
    }

    fn by(lies: Lies, unlock: Unlock, dir: tempfile::TempDir) -> (Self, Home) {
        let ground = lies.ground(dir.path());
        let place = ClosedHome::at(ground.clone());
        let home = place
            .create(&patient(), &[7; 64], &unlock, &[("extra", b"")])
            .unwrap();
        let made = Self {
            dir,
            ground,
            place,
            unlock,
        };
        (made, home)
    }

    /// As a command finds it.
    fn again(&self) -> Result<Home> {
        Ok(self.place.unlock(&patient(), &self.unlock)?.1)
    }

    fn files(&self) -> &dyn HomeFiles {
        &*self.ground.files
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.files().read(name).unwrap().unwrap()
    }

    /// As somebody else changes a file.
    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.files().replace(name, bytes.as_ref(), false).unwrap();
    }

    fn remove(&self, name: &str) {
        self.files().remove(name).unwrap();
    }

    fn count(&self) -> usize {
        self.files().list("").unwrap().len()
    }
}

fn altered<T>(result: Result<T>, name: &str, what: &str) -> bool {
    matches!(result, Err(Error::HomeAltered { file, how }) if file.ends_with(name) && how.contains(what))
}

#[test]
fn secrets_come_back_with_the_right_passphrase_alone() {
    for lies in ANYWHERE {
        let (made, _) = Made::with(lies, STRONG);
        let open = |principal: &Principal, unlock: &Unlock| {
            made.place.unlock(principal, unlock).map(|(secrets, _)| secrets)
        };
        assert_eq!(made.place.principal_of(Kind::Patient).unwrap().id, "pat_a");
        let right = Unlock::passphrase(STRONG);
        assert_eq!(open(&patient(), &right).unwrap().as_slice(), [7; 64]);
        assert!(matches!(
            open(&patient(), &Unlock::passphrase("wrong")),
            Err(Error::WrongUnlock {
                with: "passphrase",
                needs: "passphrase"
            })
        ));
        assert!(open(&Principal::new(Kind::Patient, "pat_b"), &right).is_err());
        assert!(matches!(
            open(&patient(), &Unlock::KeyFile(made.dir.path().join("none"))),
            Err(Error::WrongUnlock {
                with: "key file",
                needs: "passphrase"
            })
        ));
    }
}

#[test]
fn a_key_file_is_made_once_and_must_be_the_same() {
    for lies in ANYWHERE {
        let dir = tempfile::tempdir().unwrap();
        let key = Unlock::KeyFile(dir.path().join("key"));
        let place = ClosedHome::at(lies.ground(dir.path()));
        place.create(&patient(), &[7; 32], &key, &[]).unwrap();
        assert_eq!(place.unlock(&patient(), &key).unwrap().0.as_slice(), [7; 32]);
        fs::write(dir.path().join("key"), [1; 32]).unwrap();
        assert!(matches!(
            place.unlock(&patient(), &key),
            Err(Error::WrongUnlock {
                with: "key file",
                needs: "key file"
            })
        ));
        fs::remove_file(dir.path().join("key")).unwrap();
        assert!(matches!(place.unlock(&patient(), &key), Err(Error::Io { .. })));
    }
}

/// PRG-9: the same letters open the home, however a keyboard writes them, and whatever ends the line.
#[test]
fn a_passphrase_is_its_letters() {
    for lies in ANYWHERE {
        // "Über sieben Otter ﬁel Å", composed and taken apart, with a ligature and the sign for Ångström.
        let composed = "\u{dc}ber sieben Otter fiel \u{c5}";
        let (made, _) = Made::with(lies, "U\u{308}ber sieben Otter \u{fb01}el \u{212b}\n");
        for typed in [
            composed,
            &format!("{composed}\r\n"),
            "U\u{308}ber sieben Otter fiel A\u{30a}",
        ] {
            assert!(
                made.place.unlock(&patient(), &Unlock::passphrase(typed)).is_ok(),
                "{typed:?}"
            );
        }
        let other = Unlock::passphrase("\u{fc}ber sieben Otter fiel \u{c5}");
        assert!(made.place.unlock(&patient(), &other).is_err());
    }
}

/// PRG-9: homes that were sealed under what was typed, as before, still open: with what was typed, with the same letters written
/// otherwise, and with a line break that a variable brought along.
#[test]
fn homes_of_before_still_open() {
    for lies in ANYWHERE {
        for sealed_under in [
            "U\u{308}ber sieben Otter",
            "\u{dc}ber sieben Otter",
            "\u{dc}ber sieben Otter\n",
        ] {
            let (made, home) = Made::with(lies, STRONG);
            home.write_json(
                SECRETS,
                &secrets::as_it_was(sealed_under, &patient().context(), &[7; 64]),
            )
            .unwrap();
            home.seal().unwrap();
            drop(home);
            for typed in [sealed_under, "\u{dc}ber sieben Otter", "U\u{308}ber sieben Otter"] {
                let opened = made.place.unlock(&patient(), &Unlock::passphrase(typed));
                assert!(opened.is_ok(), "{sealed_under:?} by {typed:?}");
            }
            let wrong = made
                .place
                .unlock(&patient(), &Unlock::passphrase("ueber sieben Otter"));
            assert!(matches!(wrong, Err(Error::WrongUnlock { .. })));
        }
    }
}

/// KEY-20: another passphrase, a key file, and back; everything else stays, and what opened before does so no more.
#[test]
fn what_opens_a_home_is_changed_and_nothing_else_is() {
    for lies in ANYWHERE {
        let (made, home) = Made::with(lies, STRONG);
        home.keep_first("met", "id", "text").unwrap();
        drop(home);
        let change = |from: &Unlock, to: &Unlock| change_unlock(made.ground.clone(), from, to);
        let (first, second) = (
            made.unlock.clone(),
            Unlock::passphrase("nine quiet harbours of tin"),
        );
        let file = Unlock::KeyFile(made.dir.path().join("key"));
        assert!(matches!(change(&second, &first), Err(Error::WrongUnlock { .. })));
        let weak = change(&first, &Unlock::passphrase("123456"));
        assert!(matches!(weak, Err(Error::WeakPassphrase)));
        for (from, to) in [(&first, &second), (&second, &file), (&file, &first)] {
            change(from, to).unwrap();
            assert!(matches!(
                made.place.unlock(&patient(), from),
                Err(Error::WrongUnlock { .. })
            ));
            let (secrets, home) = made.place.unlock(&patient(), to).unwrap();
            assert_eq!(secrets.as_slice(), [7; 64]);
            assert_eq!(home.keep_first("met", "id", "other").unwrap(), b"text");
        }
        check_home(made.ground.clone(), &first, false).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let place = ClosedHome::at(&dir.path().join("home"));
    let key = dir.path().join("key");
    let home = place
        .create(&patient(), &[7; 32], &Unlock::KeyFile(key.clone()), &[])
        .unwrap();
    home.keep_first("met", "id", "text").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.place()), 0o700);
    assert_eq!(mode(&key), 0o600);
    for name in [SECRETS, PRINCIPAL, SEAL, "met.book"] {
        assert_eq!(mode(&home.path(name)), 0o600, "{name}");
    }
}

#[test]
fn a_home_is_made_once_and_leaves_nothing_when_discarded() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        let again = made.place.create(&patient(), &[8; 32], &made.unlock, &[]);
        assert!(matches!(again, Err(Error::HomeExists { .. })));
        home.keep_first("met", "id", "text").unwrap();
        home.write("log.checkpoint", b"text").unwrap();
        home.discard();
        drop(home);
        assert!(matches!(made.place.principal(), Err(Error::HomeMissing { .. })));
        assert_eq!(made.count(), 0);
        let left: Vec<_> = fs::read_dir(made.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["key"]);
    }
}

#[test]
fn a_home_of_another_kind_is_refused() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        let error = made.place.principal_of(Kind::Registrar).unwrap_err();
        assert!(matches!(
            error,
            Error::HomeKind {
                have: "a patient",
                want: "a registrar"
            }
        ));
        let principal = home.principal().unwrap();
        assert!(matches!(home.pins(&principal), Err(Error::NotEnrolled { .. })));
        let early = made.place.must_be_enrolled(&principal);
        assert!(matches!(early, Err(Error::NotEnrolled { .. })));
    }
}

/// KEY-18, ATK-44.
#[test]
fn damaged_or_weakened_files_are_refused() {
    for lies in ANYWHERE {
        let (made, _) = Made::with(lies, STRONG);
        let whole = made.bytes(SECRETS);
        let text = String::from_utf8(whole).unwrap();
        for (from, to) in [
            ("65536", "8"),
            ("65536", "4294967295"),
            ("\"passes\": 3", "\"passes\": 1"),
            ("\"sealed\"", "\"seeled\""),
        ] {
            assert!(text.contains(from), "{from}");
            made.put(SECRETS, text.replace(from, to));
            assert!(matches!(made.again(), Err(Error::HomeDamaged { .. })), "{to}");
        }
        made.put(PRINCIPAL, b"{");
        assert!(matches!(made.place.principal(), Err(Error::HomeDamaged { .. })));
    }
}

#[test]
fn writing_replaces_whole_and_leaves_no_other_file() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        let count = || made.count();
        let before = count();
        home.write("log.checkpoint", b"one").unwrap();
        home.write("log.checkpoint", b"two").unwrap();
        assert_eq!(
            (home.read("log.checkpoint").unwrap().as_deref(), count()),
            (Some(&b"two"[..]), before + 1)
        );
        // A writer that dies before the rename leaves the old content.
        made.put(".medvault-left", b"thr");
        assert_eq!(home.read("log.checkpoint").unwrap().as_deref(), Some(&b"two"[..]));
    }
}

#[tokio::test]
async fn one_process_writes_at_a_time_and_the_next_waits() {
    for lies in ANYWHERE {
        let (_made, home) = Made::quickly(lies);
        let held = home.lock().await.unwrap();
        assert!(matches!(home.try_lock(), Err(Error::HomeLocked { .. })));
        let (waited, ()) = tokio::join!(home.lock(), async {
            tokio::time::sleep(LOCK_PAUSE * 2).await;
            drop(held);
        });
        assert!(waited.is_ok());
    }
}

#[test]
fn debug_shows_no_passphrase() {
    assert_eq!(format!("{:?}", Unlock::passphrase("canary")), "Passphrase(..)");
}

#[test]
fn what_was_kept_first_stays() {
    for lies in ANYWHERE {
        let dir = tempfile::tempdir().unwrap();
        let ground = lies.ground(dir.path());
        let home = Home::at(ground.clone());
        for text in ["one", "two"] {
            assert_eq!(home.keep_first("met", "id", text).unwrap(), b"one");
        }
        let other = Home::at(ground);
        assert_eq!(other.keep_first("met", "id", "three").unwrap(), b"one");
        assert_eq!(other.keep_first("met", "new", "three").unwrap(), b"three");
        assert_eq!(home.kept("met", "new").unwrap().as_deref(), Some(&b"three"[..]));
        assert_eq!(home.kept("used", "new").unwrap(), None);
    }
}

/// COL-3
#[test]
fn a_number_below_the_highest_that_was_kept_is_refused() {
    for lies in ANYWHERE {
        let dir = tempfile::tempdir().unwrap();
        let ground = lies.ground(dir.path());
        let home = Home::at(ground.clone());
        for number in [1, 1, 3] {
            home.keep_highest("epochs", "id", number).unwrap();
        }
        let older = home.keep_highest("epochs", "id", 2);
        assert!(matches!(older, Err(Error::Tampered { .. })), "{older:?}");
        home.keep_highest("epochs", "other", 2).unwrap();
        home.keep_last("epochs", "id", b"many").unwrap();
        let damaged = home.keep_highest("epochs", "id", 9);
        assert!(matches!(damaged, Err(Error::HomeDamaged { .. })), "{damaged:?}");
    }
}

/// KEY-19, ATK-68: where it belongs and whom it trusts is not for others to change.
#[test]
fn a_home_that_was_pointed_elsewhere_does_not_open() {
    for lies in ANYWHERE {
        let (made, _) = Made::quickly(lies);
        let text = String::from_utf8(made.bytes(PRINCIPAL)).unwrap();
        let enrolled = text.replace("\"enrolled\": false", "\"enrolled\": true");
        assert_ne!(text, enrolled);
        let bare = enrolled.split("\nsealed ").next().unwrap();
        for changed in [&enrolled[..], bare] {
            made.put(PRINCIPAL, changed);
            assert!(altered(made.again(), PRINCIPAL, "not as medvault wrote it"));
        }
        made.put(PRINCIPAL, &text);
        made.again().unwrap();
    }
}

/// KEY-19, ATK-69: what is missing, changed, of another name or older is an error, and no beginning.
#[test]
fn what_was_removed_or_set_back_is_missed() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        // As new as the others: only its name tells it apart.
        for _ in 0..3 {
            home.write("extra", b"two").unwrap();
        }
        for name in ["log.checkpoint", "witness.policy"] {
            home.write(name, b"one").unwrap();
            let old = made.bytes(name);
            home.write_soon(name, b"two").unwrap();
            home.seal().unwrap();
            let new = made.bytes(name);
            let found = |bytes: Option<&[u8]>| {
                match bytes {
                    Some(bytes) => made.put(name, bytes),
                    None => made.remove(name),
                }
                made.again()?.read(name)
            };
            assert_eq!(found(Some(&new)).unwrap().as_deref(), Some(&b"two"[..]));
            assert!(altered(found(Some(&old)), name, "older"));
            assert!(altered(found(Some(&[])), name, "not as medvault"));
            assert!(altered(found(Some(b"two")), name, "not as medvault"));
            assert!(altered(found(Some(&vec![0; new.len()])), name, "not as medvault"));
            let other = found(Some(&made.bytes("extra")));
            assert!(altered(other, name, "not as medvault"), "another file's bytes");
            assert!(altered(found(None), name, "missing"));
            assert_eq!(found(Some(&new)).unwrap().as_deref(), Some(&b"two"[..]));
        }
        assert_eq!(made.again().unwrap().read("never.written").unwrap(), None);
    }
}

/// KEY-19, ATK-69: the same of files that grow.
#[test]
fn a_book_that_was_removed_cut_or_set_back_is_missed() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        home.keep_first("met", "one", "1").unwrap();
        let old = made.bytes("met.book");
        home.keep_first("met", "two", "2").unwrap();
        home.seal().unwrap();
        let new = made.bytes("met.book");
        let met = |bytes: &[u8]| {
            made.put("met.book", bytes);
            made.again()?.kept("met", "two")
        };
        for length in 0..new.len() {
            assert!(met(&new[..length]).is_err(), "{length}");
        }
        for byte in 0..new.len() {
            let mut changed = new.clone();
            changed[byte] ^= 1;
            assert!(met(&changed).is_err(), "{byte}");
        }
        assert!(altered(met(&old), "met.book", "lacks"));
        // What came behind what was sealed may be torn by a power cut, and is forgotten.
        let torn = [&new[..], &[0; 40]].concat();
        assert_eq!(met(&torn).unwrap().as_deref(), Some(&b"2"[..]));
        made.again().unwrap().keep_first("met", "three", "3").unwrap();
        assert_eq!(
            made.again().unwrap().kept("met", "three").unwrap().as_deref(),
            Some(&b"3"[..])
        );
        made.remove("met.book");
        assert!(altered(made.again(), "met.book", "missing"));
    }
}

/// KEY-19, ATK-69: the seal itself is missed, and cannot be set back without all the rest.
#[test]
fn the_seal_is_not_set_back_alone() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        home.write("log.checkpoint", b"one").unwrap();
        home.seal().unwrap();
        let (old_seal, old_file) = (made.bytes(SEAL), made.bytes("log.checkpoint"));
        home.write("log.checkpoint", b"two").unwrap();
        home.seal().unwrap();
        home.write("vault.later", b"x").unwrap();
        home.seal().unwrap();
        let new_seal = made.bytes(SEAL);
        made.put(SEAL, &old_seal);
        made.put("log.checkpoint", &old_file);
        // Another file that the old one does not know of has seen a later seal.
        let back = made.again().unwrap();
        assert_eq!(back.read("log.checkpoint").unwrap().as_deref(), Some(&b"one"[..]));
        assert!(altered(back.read("vault.later"), SEAL, "older"));
        drop(back);
        made.put(SEAL, &new_seal);
        assert!(altered(made.again(), "log.checkpoint", "older"));
        made.remove(SEAL);
        assert!(altered(made.again(), SEAL, "missing"));
        made.put(SEAL, b"{}");
        assert!(altered(made.again(), SEAL, "not as medvault"));
    }
}

/// KEY-19: what can be made again heals; a record of evidence is for others to read.
#[test]
fn a_torn_cache_is_not_there_and_evidence_stays_as_it_is() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        home.make_folder("uploads/p").unwrap();
        for name in ["uploads/p/session.json", "directory-audited.json"] {
            home.write(name, b"text").unwrap();
            home.seal().unwrap();
            for torn in [&b"te"[..], &[0; 200], b""] {
                made.put(name, torn);
                assert_eq!(made.again().unwrap().read(name).unwrap(), None);
            }
            made.remove(name);
            assert_eq!(made.again().unwrap().read(name).unwrap(), None);
        }
        home.write("log-conflict.newer", b"a signed note\n").unwrap();
        assert_eq!(made.bytes("log-conflict.newer"), b"a signed note\n");
    }
}

/// KEY-19: several processes of one home never take each other for somebody else.
#[test]
fn processes_that_write_at_once_do_not_accuse_each_other() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        drop(home);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let made = &made;
                scope.spawn(move || {
                    let home = made.again().unwrap();
                    for number in 0..30 {
                        home.write_soon("log.checkpoint", format!("{thread} {number}").as_bytes())
                            .unwrap();
                        home.keep_first("met", &format!("{thread}.{number}"), "x")
                            .unwrap();
                        home.keep_last("used", "same", format!("{number}").as_bytes())
                            .unwrap();
                        assert!(home.read("log.checkpoint").unwrap().is_some());
                        if number % 7 == thread {
                            home.seal().unwrap();
                        }
                    }
                });
            }
        });
        let home = made.again().unwrap();
        for thread in 0..4 {
            for number in 0..30 {
                assert!(home.kept("met", &format!("{thread}.{number}")).unwrap().is_some());
            }
        }
        assert!(home.read("log.checkpoint").unwrap().is_some());
    }
}

#[test]
fn a_book_of_values_that_were_followed_is_written_anew() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        let other = made.again().unwrap();
        for number in 0..700 {
            home.keep_last("used", "one", format!("{number}").as_bytes())
                .unwrap();
            if number % 200 == 0 {
                other
                    .keep_last("used", "two", format!("{number}").as_bytes())
                    .unwrap();
            }
        }
        assert!(made.bytes("used.book").len() < 10_000);
        for home in [&home, &other, &made.again().unwrap()] {
            assert_eq!(home.kept("used", "one").unwrap().as_deref(), Some(&b"699"[..]));
            assert_eq!(home.kept("used", "two").unwrap().as_deref(), Some(&b"600"[..]));
        }
    }
}

/// KEY-19: a home is looked at as a whole.
#[test]
fn a_check_names_what_is_wrong() {
    for lies in ANYWHERE {
        let (made, home) = Made::quickly(lies);
        home.write("log.checkpoint", b"one").unwrap();
        home.keep_first("met", "one", "1").unwrap();
        drop(home);
        let check = || check_home(made.ground.clone(), &made.unlock, false);
        let checked = check().unwrap();
        assert_eq!((checked.id.as_str(), checked.entries), ("pat_a", 1));
        made.put("log.checkpoint", b"two");
        assert!(altered(check(), "log.checkpoint", "not as medvault"));
    }
}
