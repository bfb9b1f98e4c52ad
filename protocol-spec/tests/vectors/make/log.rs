//! The log: a small tree, built here by the recursive definitions of RFC 6962, and proofs in it.

use protocol_spec::{
    hash::{Sha256Digest, sha256},
    log::{SignedCheckpoint, TlogProof, VaultSalt},
    messages as pb,
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{self, OPERATOR, STRANGER, checkpoint, key},
};

type Hash = [u8; 32];
const SALT: VaultSalt = VaultSalt::from_bytes([0x5a; 32]);

fn body(index: usize) -> Sha256Digest {
    world::hash(&format!("body {index}"))
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|index| SALT.entry(&body(index)).bytes().unwrap())
        .collect()
}

/// RFC 6962 §2.1: k, the largest power of two smaller than n.
fn split(leaves: &[Vec<u8>]) -> (&[Vec<u8>], &[Vec<u8>]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

/// RFC 6962 §2.1: MTH.
fn root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [leaf] => sha256(&[&[0], leaf]),
        _ => {
            let (left, right) = split(leaves);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// RFC 6962 §2.1.1: PATH.
fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let (left, right) = split(leaves);
    if index < left.len() {
        [path(index, left), vec![root(right)]].concat()
    } else {
        [path(index - left.len(), right), vec![root(left)]].concat()
    }
}

/// RFC 6962 §2.1.2: SUBPROOF.
fn subproof(old: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { vec![] } else { vec![root(leaves)] };
    }
    let (left, right) = split(leaves);
    if old <= left.len() {
        [subproof(old, left, whole), vec![root(right)]].concat()
    } else {
        [subproof(old - left.len(), right, false), vec![root(left)]].concat()
    }
}

fn signed(signer: u8, size: usize, root: Hash) -> SignedCheckpoint {
    checkpoint(signer, size as u64, root)
}

/// A proof that is not of any leaf alone: what it says is changed case by case.
struct Parts {
    salt: Vec<u8>,
    tag: Vec<u8>,
    proof: TlogProof,
}

impl Parts {
    fn message(&self) -> pb::LogProof {
        pb::LogProof {
            salt: self.salt.clone().into(),
            tag: self.tag.clone().into(),
            proof: self.proof.to_string(),
        }
    }
}

fn proof(index: usize, size: usize) -> Parts {
    let leaves = leaves(size);
    let mark = SALT.mark(&body(index));
    Parts {
        salt: mark.salt.to_vec(),
        tag: mark.tag.to_vec(),
        proof: TlogProof {
            extra: None,
            index: index as u64,
            path: path(index, &leaves),
            checkpoint: signed(OPERATOR, size, root(&leaves)),
        },
    }
}

fn inclusion(index: usize, proof: &pb::LogProof) -> Check {
    Check::LogInclusion {
        body_hash: Hex(body(index).as_bytes().to_vec()),
        proof: proof.into(),
        operator_key: Hex(key(OPERATOR).public().as_bytes().to_vec()),
    }
}

fn consistency(old: &SignedCheckpoint, new: &SignedCheckpoint, path: Vec<Hash>) -> Check {
    Check::LogConsistency {
        old: old.note().to_string(),
        new: new.note().to_string(),
        path: path.into_iter().map(|hash| Hex(hash.to_vec())).collect(),
        operator_key: Hex(key(OPERATOR).public().as_bytes().to_vec()),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    [inclusions(), consistencies()].into_iter().flatten().collect()
}

fn inclusions() -> Vec<Case> {
    let right = |name, index, size| {
        good(
            "LOG-3",
            name,
            "an audit path",
            inclusion(index, &proof(index, size).message()),
        )
    };
    let wrong = |rule, expect, name, description, change: &dyn Fn(&mut Parts)| {
        let mut parts = proof(2, 7);
        change(&mut parts);
        bad(rule, expect, name, description, inclusion(2, &parts.message()))
    };
    let unproven = |name, description, change: &dyn Fn(&mut Parts)| {
        wrong("LOG-3", "log proof", name, description, change)
    };
    vec![
        good(
            "LOG-7",
            "mark",
            "salt, tag and leaf of a statement, by the salt of its vault",
            Check::LogMark {
                vault_salt: Hex(vec![0x5a; 32]),
                body_hash: Hex(body(0).as_bytes().to_vec()),
            },
        ),
        right("inclusion-0-of-1", 0, 1),
        right("inclusion-2-of-7", 2, 7),
        right("inclusion-6-of-7", 6, 7),
        unproven("another-index", "the path of leaf 2 for leaf 3", &|parts| {
            parts.proof.index = 3;
        }),
        unproven("index-beyond", "an index that is not in the tree", &|parts| {
            parts.proof.index = 7;
        }),
        unproven("another-salt", "a salt of zeros", &|parts| {
            parts.salt = vec![0; 16]
        }),
        unproven("another-tag", "a tag of zeros", &|parts| parts.tag = vec![0; 16]),
        unproven("short-path", "the last hash is missing", &|parts| {
            parts.proof.path.pop();
        }),
        unproven("long-path", "a hash too many", &|parts| {
            parts.proof.path.push([1; 32]);
        }),
        unproven("reversed-path", "from the root to the leaf", &|parts| {
            parts.proof.path.reverse();
        }),
        unproven("another-root", "a checkpoint over other leaves", &|parts| {
            parts.proof.checkpoint = signed(OPERATOR, 7, [7; 32]);
        }),
        wrong(
            "LOG-2",
            "mismatch",
            "another-operator",
            "the checkpoint of another operator's log",
            &|parts| parts.proof.checkpoint = signed(STRANGER, 7, root(&leaves(7))),
        ),
        wrong(
            "LOG-3",
            "malformed",
            "empty-tree",
            "a checkpoint of size 0",
            &|parts| parts.proof.checkpoint = signed(OPERATOR, 0, [7; 32]),
        ),
        wrong(
            "LOG-3",
            "malformed",
            "short-salt",
            "a salt of 15 bytes",
            &|parts| {
                parts.salt.pop();
            },
        ),
        wrong("LOG-3", "malformed", "no-tag", "no tag", &|parts| {
            parts.tag.clear()
        }),
    ]
}

fn consistencies() -> Vec<Case> {
    let all = leaves(7);
    let at = |size: usize| signed(OPERATOR, size, root(&all[..size]));
    let fork = signed(OPERATOR, 3, [3; 32]);
    let right = |name, old: usize, new: usize| {
        let path = subproof(old, &all[..new], true);
        good(
            "LOG-4",
            name,
            "a consistency proof",
            consistency(&at(old), &at(new), path),
        )
    };
    let wrong = |name, description, old: &SignedCheckpoint, new: &SignedCheckpoint, path| {
        bad(
            "LOG-4",
            "log proof",
            name,
            description,
            consistency(old, new, path),
        )
    };
    vec![
        right("consistency-3-7", 3, 7),
        right("consistency-4-7", 4, 7),
        right("consistency-1-2", 1, 2),
        good(
            "LOG-4",
            "consistency-same",
            "the same size and root",
            consistency(&at(5), &at(5), vec![]),
        ),
        wrong(
            "fork-same-size",
            "the same size, another root",
            &fork,
            &at(3),
            vec![],
        ),
        wrong(
            "fork",
            "an old root that is not in the new tree",
            &fork,
            &at(7),
            subproof(3, &all, true),
        ),
        wrong(
            "shrinking",
            "the log became shorter",
            &at(7),
            &at(3),
            subproof(3, &all, true),
        ),
        wrong("no-path", "no proof", &at(3), &at(7), vec![]),
    ]
}
