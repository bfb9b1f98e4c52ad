//! What an operator shows: receipts, and proofs of leaves that are alone in the log.

use bytes::Bytes;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use protocol_spec::{
    hash::Sha256Digest,
    log::{Checkpoint, Entry, SignedCheckpoint, TlogProof, VaultSalt, log_key},
    messages as pb,
    statement::Body,
};
use sha2::Sha256;

use crate::key::KeyPair;

/// A checkpoint of this operator's log.
pub fn checkpoint(operator: &KeyPair, size: u64, root: Sha256Digest) -> SignedCheckpoint {
    let log = log_key(&operator.public()).unwrap();
    let checkpoint = Checkpoint {
        origin: log.name().to_owned(),
        size,
        root,
        extensions: Vec::new(),
    };
    SignedCheckpoint::sign(checkpoint, &log, |text| operator.sign(text)).unwrap()
}

/// The proof of a salted statement.
pub fn salted(operator: &KeyPair, statement: &Sha256Digest) -> pb::LogProof {
    let mark = VaultSalt::from_bytes([6; 32]).mark(statement);
    pb::LogProof {
        salt: Bytes::copy_from_slice(&mark.salt),
        tag: Bytes::copy_from_slice(&mark.tag),
        ..published(operator, &mark.entry(statement))
    }
}

/// The proof of an entry in clear.
pub fn published(operator: &KeyPair, entry: &Entry) -> pb::LogProof {
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    tree.push(entry.bytes().unwrap());
    let root = Sha256Digest::try_from(tree.root().as_bytes().as_slice()).unwrap();
    let proof = TlogProof {
        extra: None,
        index: 0,
        path: Vec::new(),
        checkpoint: checkpoint(operator, 1, root),
    };
    pb::LogProof {
        proof: proof.to_string(),
        ..pb::LogProof::default()
    }
}

/// A receipt: a statement of the operator's, and its proof.
pub fn receipt<T: Body>(operator: &KeyPair, body: T) -> pb::Receipt {
    let signed = operator.signed(body);
    pb::Receipt {
        statement: Some(signed.to_message()),
        proof: Some(salted(operator, &signed.hash())),
    }
}
