use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use super::*;
use crate::ids::{OperatorId, PatientId};

fn hash(byte: u8) -> Sha256Digest {
    Sha256Digest::from_bytes([byte; 32])
}

/// One act of each kind, and some more.
fn some() -> Vec<Act> {
    let collection = CollectionId::DEFAULT;
    let (one, two) = (RecordId::from_bytes([1; 16]), RecordId::from_bytes([2; 16]));
    let permission = PermissionId::from_bytes([3; 16]);
    let delegation = DelegationId::from_bytes([4; 16]);
    vec![
        Act::Devices(hash(1)),
        Act::Epoch(collection, epoch_hash(0, &[9; 104])),
        Act::Head(hash(2)),
        Act::Placement(one, hash(3)),
        Act::Placement(two, hash(4)),
        Act::Placement(one, hash(5)),
        Act::Permission(permission, hash(6)),
        Act::Head(hash(7)),
        Act::Wraps(collection, wraps_hash(1, [(1, &[8; 104][..])])),
        Act::Closure(collection, hash(9)),
        Act::Revocation(permission, hash(10)),
        Act::Permission(PermissionId::from_bytes([5; 16]), hash(11)),
        Act::Delegation(delegation, hash(12)),
        Act::DelegationEnd(delegation, hash(13)),
        Act::Devices(hash(14)),
        Act::Deletion(two, hash(15)),
        Act::TakeBack(RecordId::from_bytes([6; 16]), hash(16)),
        Act::Deletion(two, hash(17)),
    ]
}

fn acts() -> Acts {
    let mut acts = Acts::default();
    some().into_iter().for_each(|act| acts.push(act));
    acts
}

fn head(next: NextHead) -> VaultHead {
    VaultHead {
        created: 1,
        operator_id: OperatorId::from_bytes([1; 32]),
        patient_id: PatientId::from_bytes([2; 32]),
        sequence: next.sequence,
        previous_hash: next.previous_hash,
        acts: next.acts,
        root: next.root,
        log_salt_hash: hash(0),
        log_size: 5,
    }
}

/// VLT-1
#[test]
fn acts_are_read_as_they_were_written() {
    let acts = acts();
    let mut again = Acts::default();
    let bytes = acts.bytes_after(0);
    assert_eq!(bytes.len(), some().len() * Act::LEN);
    let (start, end) = bytes.split_at(Act::LEN * 6);
    again.extend(start).unwrap();
    again.extend(end).unwrap();
    assert!(again.iter().eq(&some()));
    assert_eq!(again.next_head(), acts.next_head());
}

#[test]
fn what_is_no_act_is_refused_and_adds_nothing() {
    let good = Act::Devices(hash(1)).bytes();
    let mut of_kind_0 = good;
    of_kind_0[0] = 0;
    let mut of_kind_11 = good;
    of_kind_11[0] = 11;
    let mut with_subject = good;
    with_subject[16] = 1;
    for bad in [&of_kind_0[..], &of_kind_11, &with_subject, &good[1..], &[0]] {
        let mut acts = Acts::default();
        let refused = acts.extend(&[&good, bad].concat());
        assert!(matches!(refused, Err(Error::Field { field: "acts" })), "{bad:?}");
        assert_eq!(acts.count(), 0);
    }
}

/// VLT-2: the root is that of an independent implementation, over all acts before the head.
#[test]
fn a_head_is_over_all_acts_before_it() {
    let mut oracle = MemoryBackedTree::<Sha256, [u8; Act::LEN]>::new();
    let mut acts = Acts::default();
    for act in some() {
        oracle.push(act.bytes());
        acts.push(act);
        let next = acts.next_head();
        assert_eq!(next.root.as_bytes()[..], oracle.root().as_bytes()[..]);
        assert_eq!(next.acts, oracle.len());
    }
    assert_eq!(acts.next_head().sequence, 2);
    assert_eq!(acts.next_head().previous_hash, hash(7));
    assert!(!acts.is_settled());
    acts.push(Act::Head(hash(20)));
    assert!(acts.is_settled());
    let newest = acts.newest().unwrap();
    assert_eq!((newest.sequence, newest.hash), (2, hash(20)));
    assert_eq!(acts.head(1).unwrap().hash, hash(7));
    assert_eq!(acts.head(3), None);
}

/// VLT-3: each field of a head that is not what the acts say is refused.
#[test]
fn a_head_over_other_acts_is_refused() {
    let mut acts = acts();
    let right = head(acts.next_head());
    acts.push(Act::Head(hash(20)));
    acts.push(Act::Placement(RecordId::from_bytes([1; 16]), hash(21)));
    acts.check_newest(&right, &hash(20)).unwrap();
    let refused = |head: &VaultHead, of: u8| acts.check_newest(head, &hash(of)).unwrap_err();
    refused(&right, 21);
    for wrong in [
        VaultHead {
            sequence: 1,
            ..right.clone()
        },
        VaultHead {
            sequence: 3,
            ..right.clone()
        },
        VaultHead {
            previous_hash: hash(2),
            ..right.clone()
        },
        VaultHead {
            acts: 14,
            ..right.clone()
        },
        VaultHead {
            root: hash(0),
            ..right.clone()
        },
    ] {
        refused(&wrong, 20);
    }
    let none = Acts::default().check_newest(&right, &hash(20));
    assert!(matches!(none, Err(Error::VaultHead { .. })));
}

/// VLT-3: whatever act is altered, left out, put in or exchanged with its neighbour, no head fits any more.
#[test]
fn no_other_acts_have_the_same_head() {
    let mut acts = acts();
    let signed = head(acts.next_head());
    acts.push(Act::Head(hash(20)));
    acts.check_newest(&signed, &hash(20)).unwrap();
    let all: Vec<Act> = acts.iter().copied().collect();
    let fits = |acts: &[Act]| {
        let mut other = Acts::default();
        acts.iter().for_each(|act| other.push(*act));
        other.check_newest(&signed, &hash(20)).is_ok()
    };
    assert!(fits(&all));
    for at in 0..all.len() - 1 {
        let mut altered = all.clone();
        altered[at] = Act::Devices(hash(99));
        let mut left_out = all.clone();
        left_out.remove(at);
        let mut put_in = all.clone();
        put_in.insert(at, Act::Devices(hash(99)));
        for other in [altered, left_out, put_in] {
            assert!(!fits(&other), "{at}");
        }
        if at + 2 < all.len() {
            let mut exchanged = all.clone();
            exchanged.swap(at, at + 1);
            assert!(!fits(&exchanged), "{at}");
        }
    }
}

/// VLT-5
#[test]
fn the_last_act_of_each_thing_counts() {
    let acts = acts();
    assert_eq!(acts.devices(), Some(hash(14)));
    let placements = acts.placements();
    assert_eq!(placements[&RecordId::from_bytes([1; 16])], (3, hash(5)));
    assert_eq!(placements.len(), 1, "the other one was deleted");
    assert_eq!(acts.placed(1), Some(RecordId::from_bytes([1; 16])));
    assert_eq!(acts.placed(2), Some(RecordId::from_bytes([2; 16])));
    assert_eq!((acts.placed(0), acts.placed(4)), (None, None));
    assert_eq!(
        (acts.last_list(0), acts.last_list(14), acts.last_list(15)),
        (None, Some(0), Some(1))
    );
    let (count, newest) = acts.epochs()[&CollectionId::DEFAULT];
    assert_eq!((count, newest), (1, epoch_hash(0, &[9; 104])));
    let (given, ended) = acts.delegations()[&DelegationId::from_bytes([4; 16])];
    assert_eq!((given, ended), (hash(12), true));
    let permissions = acts.permissions();
    assert!(permissions[&PermissionId::from_bytes([3; 16])].revoked);
    assert!(!permissions[&PermissionId::from_bytes([5; 16])].revoked);
}

/// DEL-4, DEL-6: the first deletion counts, and what is gone stays so.
#[test]
fn what_is_deleted_or_taken_back_is_gone() {
    let acts = acts();
    let [one, two, six] = [1, 2, 6].map(|byte| RecordId::from_bytes([byte; 16]));
    assert_eq!(acts.deletions().len(), 1);
    let deleted = acts.deletions()[&two];
    assert_eq!((deleted.hash, deleted.acts), (hash(15), 15));
    assert!(acts.taken_back().contains(&six) && acts.taken_back().len() == 1);
    let mut acts = acts;
    assert_eq!(acts.wrongly_taken_back(), None);
    let three = RecordId::from_bytes([33; 16]);
    let mut wrong = acts.clone();
    wrong.push(Act::Placement(three, hash(31)));
    wrong.push(Act::TakeBack(three, hash(32)));
    assert_eq!(wrong.wrongly_taken_back(), Some(three));
    acts.push(Act::Placement(two, hash(30)));
    assert!(!acts.placements().contains_key(&two));
    assert_eq!(
        [one, two, six].map(|record| acts.is_gone(&record)),
        [false, true, true]
    );
}

/// VLT-5: by the acts alone, whatever a server says.
#[test]
fn acts_say_which_placement_is_the_last_and_which_were_made_in_an_epoch() {
    assert_eq!(Acts::default().last_placement(), 0);
    assert_eq!(acts().last_placement(), 3);
    let (here, there) = (CollectionId::DEFAULT, CollectionId::EMERGENCY);
    let place = |byte| Act::Placement(RecordId::from_bytes([byte; 16]), hash(byte));
    let mut acts = Acts::default();
    for act in [
        Act::Epoch(here, hash(0)),
        place(1),
        place(2),
        Act::Epoch(there, hash(0)),
        place(3),
        Act::Epoch(here, hash(1)),
        Act::Epoch(here, hash(2)),
        place(4),
    ] {
        acts.push(act);
    }
    let under = |id, epoch| acts.placed_under(id, epoch).collect::<Vec<_>>();
    assert_eq!(under(here, 0), [1, 2, 3]);
    assert!(under(here, 1).is_empty());
    assert_eq!(under(here, 2), [4]);
    assert_eq!(under(there, 0), [3, 4]);
    assert!(under(there, 1).is_empty());
    assert!(under(CollectionId::OWN, 0).is_empty());
}
