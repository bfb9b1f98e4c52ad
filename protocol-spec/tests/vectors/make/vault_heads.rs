//! Vault heads, each held against the acts that a device knows.

use protocol_spec::{
    bodies::VaultHead,
    hash::Sha256Digest,
    ids::{CollectionId, DelegationId, PermissionId, RecordId},
    statement::Body,
    vault_head::{Act, Acts, epoch_hash, wraps_hash},
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world,
};

pub(crate) fn cases() -> Vec<Case> {
    let (acts, first) = signed();
    let after = |more: &[Act]| {
        let mut acts = acts.clone();
        acts.extend(more);
        acts
    };
    let (later, second) = next(after(&[Act::Devices(hash(0x21))]));
    let newer = Act::Placement(RecordId::from_bytes([1; 16]), hash(0x22));
    let (gone, over_gone) = next(after(&[
        Act::Deletion(RecordId::from_bytes([1; 16]), hash(0x23)),
        Act::TakeBack(RecordId::from_bytes([5; 16]), hash(0x24)),
    ]));
    let mut cases = vec![
        good(
            "VLT-3",
            "first",
            "the first head, over one act of each other kind",
            check(&acts, &first),
        ),
        good(
            "VLT-3",
            "second",
            "another head, over the first and one act more",
            check(&later, &second),
        ),
        good(
            "VLT-3",
            "with-newer-acts",
            "an act has come since",
            check(&after(&[newer]), &first),
        ),
        good(
            "VLT-3",
            "over-what-is-gone",
            "a head over a deletion and a take-back",
            check(&gone, &over_gone),
        ),
    ];
    cases.extend(other_heads(&later, &second, &first));
    cases.extend(other_acts(&later, &second));
    cases
}

fn hash(byte: u8) -> Sha256Digest {
    Sha256Digest::from_bytes([byte; 32])
}

/// A head over all acts, which is then one itself.
fn next(acts: Vec<Act>) -> (Vec<Act>, VaultHead) {
    let mut known = Acts::default();
    acts.iter().for_each(|act| known.push(*act));
    let next = known.next_head();
    let head = VaultHead {
        sequence: next.sequence,
        previous_hash: next.previous_hash,
        acts: next.acts,
        root: next.root,
        ..world::vault_head()
    };
    let mut acts = acts;
    acts.push(Act::Head(Sha256Digest::of(&head.encode())));
    (acts, head)
}

fn signed() -> (Vec<Act>, VaultHead) {
    let collection = CollectionId::from_bytes([2; 16]);
    let permission = PermissionId::from_bytes([3; 16]);
    let delegation = DelegationId::from_bytes([4; 16]);
    next(vec![
        Act::Devices(hash(0x11)),
        Act::Epoch(collection, epoch_hash(0, &[0x12; 104])),
        Act::Placement(RecordId::from_bytes([1; 16]), hash(0x13)),
        Act::Permission(permission, hash(0x14)),
        Act::Revocation(permission, hash(0x15)),
        Act::Wraps(collection, wraps_hash(1, [(1, &[0x16; 104][..])])),
        Act::Closure(collection, hash(0x17)),
        Act::Delegation(delegation, hash(0x18)),
        Act::DelegationEnd(delegation, hash(0x19)),
    ])
}

fn check(acts: &[Act], head: &VaultHead) -> Check {
    bytes(acts.iter().flat_map(Act::bytes).collect(), head)
}

fn bytes(acts: Vec<u8>, head: &VaultHead) -> Check {
    Check::VaultHead {
        acts: Hex(acts),
        head: Hex(head.encode().to_vec()),
    }
}

/// Each field of the head altered, and the altered head put among the acts.
fn other_heads(acts: &[Act], right: &VaultHead, before: &VaultHead) -> Vec<Case> {
    let case = |name, description, change: &dyn Fn(&mut VaultHead)| {
        let mut head = right.clone();
        change(&mut head);
        let (_, others) = acts.split_last().unwrap();
        let named = Act::Head(Sha256Digest::of(&head.encode()));
        let acts = [others, &[named]].concat();
        bad("VLT-3", "vault head", name, description, check(&acts, &head))
    };
    vec![
        case("number-again", "the number of the head before", &|head| {
            head.sequence = 0
        }),
        case("number-left-out", "one number too high", &|head| {
            head.sequence = 2
        }),
        case("another-before", "it follows another head", &|head| {
            head.previous_hash = hash(0)
        }),
        case("fewer-acts", "over one act less than come before it", &|head| {
            head.acts -= 1
        }),
        case("another-root", "one bit of the root", &|head| {
            let mut root = *head.root.as_bytes();
            root[31] ^= 1;
            head.root = Sha256Digest::from_bytes(root);
        }),
        bad(
            "VLT-3",
            "vault head",
            "older",
            "the head before the newest",
            check(acts, before),
        ),
        bad(
            "VLT-3",
            "vault head",
            "not-among-them",
            "no head stands among the acts",
            check(&[], right),
        ),
    ]
}

/// The right head over acts that were altered, left out, put in, exchanged; bytes that are no acts.
fn other_acts(acts: &[Act], head: &VaultHead) -> Vec<Case> {
    let case = |name, description, change: &dyn Fn(&mut Vec<Act>)| {
        let mut acts = acts.to_vec();
        change(&mut acts);
        bad("VLT-3", "vault head", name, description, check(&acts, head))
    };
    let right: Vec<u8> = acts.iter().flat_map(Act::bytes).collect();
    let malformed = |name, description, change: &dyn Fn(&mut Vec<u8>)| {
        let mut acts = right.clone();
        change(&mut acts);
        bad("VLT-1", "malformed", name, description, bytes(acts, head))
    };
    vec![
        case("placement-left-out", "a record is hidden", &|acts| {
            acts.remove(2);
        }),
        case("revocation-left-out", "a permission is brought back", &|acts| {
            acts.remove(4);
        }),
        case("exchanged", "two acts in the other order", &|acts| {
            acts.swap(2, 3)
        }),
        case("put-in", "an act that nobody did", &|acts| {
            acts.insert(1, Act::Placement(RecordId::from_bytes([9; 16]), hash(9)));
        }),
        case("another-hash", "a placement with another hash", &|acts| {
            acts[2] = Act::Placement(RecordId::from_bytes([1; 16]), hash(9));
        }),
        malformed("kind-0", "an act of no kind", &|acts| acts[0] = 0),
        malformed("kind-11", "an act of an unknown kind", &|acts| acts[0] = 11),
        malformed("subject-of-a-list", "a list of devices with a subject", &|acts| {
            acts[16] = 1
        }),
        malformed("cut", "the last byte is missing", &|acts| {
            acts.pop();
        }),
    ]
}
