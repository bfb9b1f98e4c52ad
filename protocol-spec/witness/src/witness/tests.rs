//! What two processes on one folder could do, and what asking again and again does.

use ed25519_dalek::{Signer, SigningKey};
use protocol_spec::{
    keys::IdentityKey,
    log::{Checkpoint, log_key},
};
use tempfile::TempDir;

use super::*;

struct Operator {
    signing: SigningKey,
    key: NoteKey,
}

impl Operator {
    fn new() -> Self {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let key = IdentityKey::try_from(signing.verifying_key().as_bytes().as_slice()).unwrap();
        Self {
            signing,
            key: log_key(&key).unwrap(),
        }
    }

    /// A log of one leaf, whose hash this is.
    fn submission(&self, old: u64, leaf: u8) -> Submission {
        let checkpoint = Checkpoint {
            origin: self.key.name().to_owned(),
            size: 1,
            root: Sha256Digest::from_bytes([leaf; 32]),
            extensions: vec![],
        };
        let sign = |text: &[u8]| self.signing.sign(text).to_bytes();
        Submission {
            old,
            path: vec![],
            checkpoint: SignedCheckpoint::sign(checkpoint, &self.key, sign).unwrap(),
        }
    }

    fn witness(&self, folder: &TempDir) -> Witness {
        let identity = Identity::from_seed(&[8; 32], "witness.example/w").unwrap();
        Witness::open(folder.path(), identity, vec![self.key.clone()]).unwrap()
    }
}

/// ATK-85, LOG-20: what counts is the file. A second witness on the folder, which has opened it when it was empty, cosigns nothing
/// that contradicts the first.
#[test]
fn what_another_process_has_cosigned_counts() {
    let (folder, operator) = (tempfile::tempdir().unwrap(), Operator::new());
    let (one, other) = (operator.witness(&folder), operator.witness(&folder));
    one.add(operator.submission(0, 1)).unwrap();
    let refused = other.add(operator.submission(0, 2)).unwrap_err();
    assert!(matches!(refused, NotCosigned::Conflict(1)), "{refused}");
    let refused = other.add(operator.submission(1, 2)).unwrap_err();
    assert!(matches!(refused, NotCosigned::Conflict(1)), "{refused}");
    other.add(operator.submission(1, 1)).unwrap();
}

/// LOG-20: what is gone from the folder while the witness runs is not as if it had never been.
#[test]
fn what_is_gone_from_the_folder_is_not_begun_anew() {
    let (folder, operator) = (tempfile::tempdir().unwrap(), Operator::new());
    let witness = operator.witness(&folder);
    witness.add(operator.submission(0, 1)).unwrap();
    let file = witness.logs.values().next().unwrap().file.clone();
    fs::remove_file(&file).unwrap();
    for old in [0, 1] {
        let refused = witness.add(operator.submission(old, 1)).unwrap_err();
        assert!(matches!(refused, NotCosigned::Forgotten), "{refused}");
    }
    fs::write(&file, "nonsense").unwrap();
    assert!(matches!(
        witness.add(operator.submission(1, 1)),
        Err(NotCosigned::Forgotten)
    ));
}

/// ATK-86, LOG-21: whoever asks for the same has nothing written.
#[test]
fn the_same_again_writes_nothing() {
    use std::os::unix::fs::MetadataExt;
    let (folder, operator) = (tempfile::tempdir().unwrap(), Operator::new());
    let witness = operator.witness(&folder);
    witness.add(operator.submission(0, 1)).unwrap();
    let file = witness.logs.values().next().unwrap().file.clone();
    // A file that is replaced is another one.
    let written = fs::metadata(&file).unwrap().ino();
    for _ in 0..50 {
        witness.add(operator.submission(1, 1)).unwrap();
    }
    assert_eq!(fs::metadata(&file).unwrap().ino(), written);
}
