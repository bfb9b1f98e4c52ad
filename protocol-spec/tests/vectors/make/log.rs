//! The log: a small tree, built here by the recursive definitions of RFC 6962, and proofs in it.

use protocol_spec::{
    hash::{Sha256Digest, sha256},
    log, messages as pb,
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{self, OPERATOR, STRANGER, checkpoint, key},
};

type Hash = [u8; 32];
const SALT: [u8; 16] = [0x5a; 16];

fn body(index: usize) -> Sha256Digest {
    world::hash(&format!("body {index}"))
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|index| log::leaf(&SALT, &body(index))).collect()
}

/// RFC 6962 §2.1: k, the largest power of two smaller than n.
fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

/// RFC 6962 §2.1: MTH.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [leaf] => sha256(&[&[0], leaf]),
        _ => {
            let (left, right) = split(leaves);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// RFC 6962 §2.1.1: PATH.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
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
fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
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

fn signed(signer: u8, size: usize, root: Hash) -> pb::Statement {
    key(signer).signed(checkpoint(size as u64, root)).to_message()
}

fn proof(index: usize, size: usize) -> pb::LogProof {
    let leaves = leaves(size);
    pb::LogProof {
        salt: SALT.to_vec().into(),
        index: index as u64,
        path: path(index, &leaves)
            .iter()
            .map(|hash| hash.to_vec().into())
            .collect(),
        checkpoint: Some(signed(OPERATOR, size, root(&leaves))),
    }
}

fn inclusion(index: usize, proof: &pb::LogProof) -> Check {
    Check::LogInclusion {
        body_hash: Hex(body(index).as_bytes().to_vec()),
        proof: proof.into(),
        operator_key: Hex(key(OPERATOR).public().as_bytes().to_vec()),
    }
}

fn consistency(old: &pb::Statement, new: &pb::Statement, path: Vec<Hash>) -> Check {
    Check::LogConsistency {
        old: old.into(),
        new: new.into(),
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
            inclusion(index, &proof(index, size)),
        )
    };
    let wrong = |name, description, proof: &pb::LogProof| {
        bad("LOG-3", "log proof", name, description, inclusion(2, proof))
    };
    let base = || proof(2, 7);
    let mut longer = base().path;
    longer.push(longer[0].clone());
    let mut reversed = base().path;
    reversed.reverse();
    let strangers = Some(signed(STRANGER, 7, root(&leaves(7))));
    let foreign = key(STRANGER).signed(checkpoint(7, root(&leaves(7)))).to_message();
    vec![
        good(
            "LOG-1",
            "leaf",
            "the leaf of a statement",
            Check::LogLeaf {
                salt: Hex(SALT.to_vec()),
                body_hash: Hex(body(0).as_bytes().to_vec()),
            },
        ),
        right("inclusion-0-of-1", 0, 1),
        right("inclusion-2-of-7", 2, 7),
        right("inclusion-6-of-7", 6, 7),
        wrong(
            "another-index",
            "the path of leaf 2 for leaf 3",
            &pb::LogProof { index: 3, ..base() },
        ),
        wrong(
            "index-beyond",
            "an index that is not in the tree",
            &pb::LogProof { index: 7, ..base() },
        ),
        wrong(
            "another-salt",
            "a salt of zeros",
            &pb::LogProof {
                salt: vec![0; 16].into(),
                ..base()
            },
        ),
        wrong(
            "short-path",
            "the last hash is missing",
            &pb::LogProof {
                path: base().path[..2].to_vec(),
                ..base()
            },
        ),
        wrong(
            "long-path",
            "a hash too many",
            &pb::LogProof {
                path: longer,
                ..base()
            },
        ),
        wrong(
            "reversed-path",
            "from the root to the leaf",
            &pb::LogProof {
                path: reversed,
                ..base()
            },
        ),
        wrong(
            "another-root",
            "a checkpoint over other leaves",
            &pb::LogProof {
                checkpoint: Some(signed(OPERATOR, 7, [7; 32])),
                ..base()
            },
        ),
        bad(
            "LOG-2",
            "bad signature",
            "another-operator",
            "a checkpoint by another key",
            inclusion(
                2,
                &pb::LogProof {
                    checkpoint: strangers,
                    ..base()
                },
            ),
        ),
        bad(
            "LOG-2",
            "mismatch",
            "operator-id",
            "the operator's checkpoint names another operator",
            {
                let operator_key = Hex(key(STRANGER).public().as_bytes().to_vec());
                Check::LogConsistency {
                    old: (&foreign).into(),
                    new: (&foreign).into(),
                    path: vec![],
                    operator_key,
                }
            },
        ),
        bad(
            "LOG-3",
            "malformed",
            "empty-tree",
            "a checkpoint of size 0",
            inclusion(
                2,
                &pb::LogProof {
                    checkpoint: Some(signed(OPERATOR, 0, [7; 32])),
                    ..base()
                },
            ),
        ),
        bad(
            "LOG-3",
            "malformed",
            "short-hash",
            "a hash of 31 bytes",
            inclusion(
                2,
                &pb::LogProof {
                    path: vec![vec![1; 31].into()],
                    ..base()
                },
            ),
        ),
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
    let wrong = |name, description, old: &pb::Statement, new: &pb::Statement, path| {
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
