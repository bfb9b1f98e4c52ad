//! For tests of other modules: the proof of a leaf that is alone in the log.

use bytes::Bytes;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ed25519_dalek::{Signer, SigningKey};
use sha2::Sha256;

use super::{Checkpoint, Entry, SignedCheckpoint, TlogProof, VaultSalt, log_key};
use crate::{hash::Sha256Digest, keys::IdentityKey, messages as pb};

/// The proof for a salted statement that is the only leaf of its log.
pub(crate) fn salted(statement: &Sha256Digest, operator: &SigningKey) -> pb::LogProof {
    let mark = VaultSalt::from_bytes([6; 32]).mark(statement);
    pb::LogProof {
        salt: Bytes::copy_from_slice(&mark.salt),
        tag: Bytes::copy_from_slice(&mark.tag),
        ..published(&mark.entry(statement), operator)
    }
}

/// Of an entry in clear.
pub(crate) fn published(entry: &Entry, operator: &SigningKey) -> pb::LogProof {
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    tree.push(entry.bytes().unwrap());
    let public = IdentityKey::try_from(operator.verifying_key().as_bytes().as_slice()).unwrap();
    let log = log_key(&public).unwrap();
    let checkpoint = Checkpoint {
        origin: log.name().to_owned(),
        size: 1,
        root: Sha256Digest::try_from(tree.root().as_bytes().as_slice()).unwrap(),
        extensions: Vec::new(),
    };
    let sign = |text: &[u8]| operator.sign(text).to_bytes();
    let proof = TlogProof {
        extra: None,
        index: 0,
        path: Vec::new(),
        checkpoint: SignedCheckpoint::sign(checkpoint, &log, sign).unwrap(),
    };
    pb::LogProof {
        proof: proof.to_string(),
        ..pb::LogProof::default()
    }
}
