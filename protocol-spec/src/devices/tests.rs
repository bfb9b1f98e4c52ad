use ed25519_dalek::{Signer, SigningKey};

use super::*;
use crate::{
    hash::{Sha256Digest, sha256},
    ids::PatientId,
    statement::Body,
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> IdentityKey {
    IdentityKey::try_from(key(seed).verifying_key().as_bytes().as_slice()).unwrap()
}

fn recipient(seed: u8) -> RecipientKey {
    let mut bytes = [0; RecipientKey::LEN];
    bytes[1184] = 9;
    bytes[1152] = seed;
    RecipientKey::try_from(&bytes[..]).unwrap()
}

fn listed(seed: u8) -> ListedDevice {
    ListedDevice {
        device_key: public(seed),
        recipient_key_hash: Sha256Digest::from_bytes(sha256(&[&[seed]])),
        kind: DeviceKind::Device,
        sealed_name: vec![seed; 136].into(),
    }
}

fn signed(seed: u8, list: DeviceList) -> Signed<DeviceList> {
    Signed::sign(list, |message| key(seed).sign(message).to_bytes())
}

/// Patient 1 with device 2.
fn begun() -> DeviceHistory {
    let first = DeviceList {
        created: 1,
        patient_id: PatientId::from(&public(1)),
        sequence: 0,
        previous_hash: DeviceList::NONE_BEFORE,
        signer: DeviceId::from(&public(1)),
        root_epoch: 0,
        vault_key: recipient(0),
        last_placement: 0,
        devices: vec![listed(2)],
        leaving: Vec::new(),
    };
    DeviceHistory::begin(signed(1, first), &public(1)).unwrap()
}

/// The next list by a device, with these devices, when there were so many placements.
fn next(history: &DeviceHistory, signer: u8, devices: &[u8], placements: u64) -> Signed<DeviceList> {
    let before = history.newest();
    let gone = before.devices.len() > devices.len();
    let epoch = before.root_epoch + u64::from(gone);
    let list = DeviceList {
        sequence: before.sequence + 1,
        previous_hash: before.hash(),
        signer: DeviceId::from(&public(signer)),
        root_epoch: epoch,
        vault_key: recipient(u8::try_from(epoch).unwrap()),
        last_placement: placements,
        devices: devices.iter().map(|seed| listed(*seed)).collect(),
        ..(**before).clone()
    };
    signed(signer, list)
}

/// DEV-8: who may have placed what, by the lists.
#[test]
fn a_device_places_between_its_coming_and_its_going() {
    let mut history = begun();
    let (first, second) = (DeviceId::from(&public(2)), DeviceId::from(&public(3)));
    history.extend(next(&history, 2, &[2, 3], 5)).unwrap();
    history.extend(next(&history, 3, &[3], 9)).unwrap();
    let may = |id, number| history.may_have_placed(id, number);
    assert!(may(first, 1) && may(first, 9) && !may(first, 10));
    assert!(!may(second, 5) && may(second, 6) && may(second, 1000));
    assert!(!may(DeviceId::from(&public(4)), 6), "a device of no list");
    assert!(history.device(first).unwrap().is_removed());
    assert!(!history.device(second).unwrap().is_removed());
}

/// DEV-4: a removed device neither comes back nor signs.
#[test]
fn a_removed_device_stays_removed() {
    let mut history = begun();
    history.extend(next(&history, 2, &[2, 3], 0)).unwrap();
    history.extend(next(&history, 2, &[2], 0)).unwrap();
    let by_removed = next(&history, 3, &[2, 3], 0);
    let by_another = next(&history, 2, &[2, 3], 0);
    for list in [by_removed, by_another] {
        assert!(matches!(history.extend(list), Err(Error::DeviceList { .. })));
    }
    assert_eq!(history.newest().sequence, 2, "a refused list changes nothing");
}

/// ATK-39: two lists with one number: who has met one refuses the other.
#[test]
fn a_fork_is_no_continuation() {
    let mut history = begun();
    let fork = next(&history, 2, &[2, 4], 0);
    history.extend(next(&history, 2, &[2, 3], 0)).unwrap();
    assert!(history.extend(fork).is_err());
}

/// DEV-22: who vouches for a device when the one that added it is gone, and what is there by whose word.
#[test]
fn whoever_removes_a_device_vouches_for_what_stays_of_it() {
    let id = |seed| DeviceId::from(&public(seed));
    let mut history = begun();
    history.extend(next(&history, 2, &[2, 3], 0)).unwrap();
    history.extend(next(&history, 2, &[2, 3, 4], 0)).unwrap();
    history.extend(next(&history, 4, &[2, 3, 4, 5], 0)).unwrap();
    assert_eq!(history.came_through(id(5)), [id(5), id(4), id(2)]);
    let nobody = |_| false;
    assert_eq!(history.there_by(id(2), nobody), [id(3), id(4), id(5)]);
    assert_eq!(
        history.there_by(id(2), |spared| spared == id(4)),
        [id(3)],
        "nobody is there by way of one that is spared"
    );
    // The third removes the first two that came: it stays by its own word, the fifth is there by its.
    let both = next(&history, 3, &[3, 5], 0);
    history.extend(both).unwrap();
    assert_eq!(history.came_through(id(3)), [id(3)]);
    assert_eq!(history.came_through(id(5)), [id(5), id(3)]);
    assert_eq!(history.there_by(id(3), nobody), [id(5)]);
    assert_eq!(history.gone_with(id(2)), [id(2), id(4)]);
    assert_eq!(history.gone_with(id(4)), [id(4)], "the fifth has stayed");
    let gone = history.gone_with(id(2));
    assert_eq!(history.left_by(&gone, nobody), [id(3), id(5)]);
    assert_eq!(history.left_by(&gone, |spared| spared == id(3)), [id(5)]);
    assert!(history.left_by(&[id(5)], nobody).is_empty());
}

/// DEV-1, DEV-23: what leaves is a recovery member of the list; who has announced it is known until it is taken back.
#[test]
fn recovery_members_alone_leave() {
    let id = |seed| DeviceId::from(&public(seed));
    let mut history = begun();
    let list = |history: &DeviceHistory, signer, leaving: &[u8]| {
        let before = history.newest();
        let mut kit = listed(3);
        kit.kind = DeviceKind::Recovery;
        let mut list = DeviceList {
            sequence: before.sequence + 1,
            previous_hash: before.hash(),
            signer: id(signer),
            devices: vec![listed(2), kit],
            leaving: leaving.iter().map(|seed| id(*seed)).collect(),
            ..(**before).clone()
        };
        list.leaving.sort_unstable();
        list
    };
    for wrong in [&[2][..], &[4], &[3, 3]] {
        let bytes = list(&history, 2, wrong).encode();
        assert_eq!(
            DeviceList::decode(&bytes),
            Err(Error::Field { field: "leaving" }),
            "{wrong:?}"
        );
    }
    let added = signed(2, list(&history, 2, &[]));
    history.extend(added).unwrap();
    assert_eq!(history.announced(id(3)), None);
    let announced = signed(3, list(&history, 3, &[3]));
    history.extend(announced).unwrap();
    let again = signed(2, list(&history, 2, &[3]));
    history.extend(again).unwrap();
    assert_eq!(history.announced(id(3)), Some((id(3), 2)), "whoever was first");
    let back = signed(2, list(&history, 2, &[]));
    history.extend(back).unwrap();
    assert_eq!(history.announced(id(3)), None);
}
