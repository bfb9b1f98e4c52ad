//! Devices: chains that lead to one, statements by one, and lists of them.

use std::iter::repeat;

use prost::Message;
use protocol_spec::{
    bodies::DeviceCertificate,
    devices::{DeviceKind, DeviceList},
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    messages as pb,
    patient::DeviceChain,
    statement::Signed,
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{
        self, DEVICE, PATIENT, SECOND_DEVICE, STRANGER, THIRD_DEVICE, first_list, key, listed, next_list,
        recipient,
    },
};

/// Identity key → device → second device.
fn second() -> DeviceChain {
    let certificate = key(DEVICE).signed(world::certificate_of(SECOND_DEVICE));
    world::chain().extended(certificate).unwrap()
}

fn strangers() -> DeviceChain {
    let mut body = world::certificate_of(STRANGER);
    body.patient_id = PatientId::from(&key(STRANGER).public());
    DeviceChain::first(key(STRANGER).public(), key(STRANGER).signed(body))
}

/// Devices and the statements that lead through them to a patient.
pub(crate) fn chains() -> Vec<Case> {
    let device = |patient: PatientId, chain: &pb::DeviceChain| Check::Device {
        patient: Hex(patient.as_bytes().to_vec()),
        chain: chain.into(),
    };
    let statement = |signer: u8, chain: &DeviceChain| Check::PatientStatement {
        body: "RevocationBody".to_owned(),
        patient_statement: (&pb::PatientStatement {
            statement: Some(key(signer).signed(world::revocation()).to_message()),
            device: Some(chain.into()),
            delegation: None,
        })
            .into(),
    };
    let patient = world::patient();
    let first = |certificate: Signed<DeviceCertificate>| {
        let chain = DeviceChain::first(key(PATIENT).public(), certificate);
        device(patient, &(&chain).into())
    };
    let extended = |signer: u8, body: DeviceCertificate| {
        let chain = world::chain().extended(key(signer).signed(body)).unwrap();
        device(patient, &(&chain).into())
    };
    let of_length = |certificates: usize| {
        let mut chain = pb::DeviceChain::from(&world::chain());
        let again = key(DEVICE).signed(world::certificate_of(DEVICE)).to_message();
        chain.certificates.resize(certificates, again);
        device(patient, &chain)
    };
    let mut strangers_second = world::certificate_of(SECOND_DEVICE);
    strangers_second.patient_id = PatientId::from(&key(STRANGER).public());
    vec![
        good(
            "KEY-5",
            "chain",
            "a certificate by the patient's identity key",
            device(patient, &(&world::chain()).into()),
        ),
        good(
            "KEY-5",
            "chain-of-two",
            "a device that another device has certified",
            device(patient, &(&second()).into()),
        ),
        bad(
            "KEY-5",
            "mismatch",
            "chain-of-another",
            "shown for another patient",
            device(
                PatientId::from(&key(STRANGER).public()),
                &(&world::chain()).into(),
            ),
        ),
        bad(
            "KEY-5",
            "bad signature",
            "certificate-by-the-device",
            "signed by the device itself",
            first(key(DEVICE).signed(world::device_certificate())),
        ),
        bad(
            "KEY-5",
            "bad signature",
            "second-by-the-identity",
            "the second certificate is signed by the identity key",
            extended(PATIENT, world::certificate_of(SECOND_DEVICE)),
        ),
        bad(
            "KEY-5",
            "mismatch",
            "second-of-another-patient",
            "the second certificate names another patient",
            extended(DEVICE, strangers_second),
        ),
        bad(
            "KEY-5",
            "malformed",
            "chain-of-none",
            "no certificate",
            of_length(0),
        ),
        bad(
            "KEY-5",
            "malformed",
            "chain-too-long",
            "33 certificates",
            of_length(DeviceChain::MAX + 1),
        ),
        good(
            "STM-6",
            "statement",
            "a revocation by the patient's device",
            statement(DEVICE, &world::chain()),
        ),
        good(
            "STM-6",
            "statement-of-second",
            "a revocation by the second device",
            statement(SECOND_DEVICE, &second()),
        ),
        bad(
            "STM-6",
            "bad signature",
            "statement-by-the-identity",
            "signed by the identity key instead of the device",
            statement(PATIENT, &world::chain()),
        ),
        bad(
            "STM-6",
            "bad signature",
            "statement-by-the-issuer",
            "signed by the first device with the second one's chain",
            statement(DEVICE, &second()),
        ),
        bad(
            "STM-6",
            "bad signature",
            "statement-by-a-stranger",
            "signed by a key without certificate",
            statement(STRANGER, &world::chain()),
        ),
        bad(
            "STM-6",
            "mismatch",
            "chain-of-a-stranger",
            "with the chain of another patient's device",
            statement(STRANGER, &strangers()),
        ),
    ]
}

/// A list and whose key signs it.
type Step = (DeviceList, u8);

fn check(steps: &[Step]) -> Check {
    let list = |(list, signer): &Step| (&key(*signer).signed(list.clone()).to_message()).into();
    Check::DeviceLists {
        identity_key: Hex(key(PATIENT).public().as_bytes().to_vec()),
        lists: steps.iter().map(list).collect(),
    }
}

/// The first list, the second device added by the first.
fn two() -> [Step; 2] {
    let second = next_list(&first_list(), DEVICE, &[DEVICE, SECOND_DEVICE]);
    [(first_list(), PATIENT), (second, DEVICE)]
}

/// And a third step, as it is or changed.
fn third(signer: u8, devices: &[u8], change: impl FnOnce(&mut DeviceList)) -> Check {
    let [first, second] = two();
    let mut list = next_list(&second.0, signer, devices);
    change(&mut list);
    check(&[first, second, (list, signer)])
}

fn turn(list: &mut DeviceList) {
    list.root_epoch += 1;
    list.vault_key = recipient(0x61);
}

/// Chains of lists: what may follow, and what may not.
pub(crate) fn lists() -> Vec<Case> {
    [
        good_lists(),
        bad_first(),
        bad_next(),
        bad_changes(),
        last_place(),
        leaving(),
        newest(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn good_lists() -> Vec<Case> {
    vec![
        good(
            "DEV-2",
            "first",
            "one device, by the identity key",
            check(&two()[..1]),
        ),
        good("DEV-3", "added", "a second device, by the first", check(&two())),
        good(
            "DEV-4",
            "removed",
            "the second device removes the first, with a new root key",
            third(SECOND_DEVICE, &[SECOND_DEVICE], turn),
        ),
        good(
            "DEV-4",
            "renamed",
            "another name for a device",
            third(DEVICE, &[DEVICE, SECOND_DEVICE], |list| {
                list.devices[1].sealed_name = vec![0x77; 136].into();
            }),
        ),
    ]
}

fn bad_first() -> Vec<Case> {
    let first = |name, description, change: &dyn Fn(&mut DeviceList)| {
        let mut list = first_list();
        change(&mut list);
        bad(
            "DEV-2",
            "device list",
            name,
            description,
            check(&[(list, PATIENT)]),
        )
    };
    vec![
        bad(
            "DEV-2",
            "bad signature",
            "first-by-the-device",
            "the first list is signed by its device",
            check(&[(first_list(), DEVICE)]),
        ),
        first("first-of-two", "the first list has two devices", &|list| {
            list.devices.push(listed(SECOND_DEVICE));
        }),
        first("first-with-epoch", "the first list has root epoch 1", &|list| {
            list.root_epoch = 1;
        }),
        first("first-with-number", "the first list is number 1", &|list| {
            list.sequence = 1
        }),
        bad(
            "DEV-2",
            "mismatch",
            "first-of-another",
            "the first list is another patient's",
            {
                let mut list = first_list();
                list.patient_id = PatientId::from(&key(STRANGER).public());
                check(&[(list, PATIENT)])
            },
        ),
    ]
}

fn bad_next() -> Vec<Case> {
    let fails = |name, description, check| bad("DEV-3", "device list", name, description, check);
    let both = &[DEVICE, SECOND_DEVICE];
    let ghost = next_list(&first_list(), STRANGER, &[DEVICE, STRANGER]);
    vec![
        fails(
            "ghost",
            "a device that was not there adds itself",
            check(&[two()[0].clone(), (ghost, STRANGER)]),
        ),
        bad(
            "DEV-3",
            "bad signature",
            "signed-by-another",
            "signed by the other device than it says",
            {
                let [first, (list, _)] = two();
                check(&[first, (list, SECOND_DEVICE)])
            },
        ),
        fails(
            "by-the-identity",
            "the second list is signed by the identity key",
            third(PATIENT, both, |_| ()),
        ),
        fails(
            "gap",
            "a number is missing",
            third(DEVICE, both, |list| list.sequence += 1),
        ),
        fails(
            "another-before",
            "it continues another list",
            third(DEVICE, both, |list| list.previous_hash = Sha256Digest::of(b"")),
        ),
        fails("the-removed-returns", "a removed device signs its return", {
            let [first, second] = two();
            let mut removed = next_list(&second.0, DEVICE, &[DEVICE]);
            turn(&mut removed);
            let back = next_list(&removed, SECOND_DEVICE, both);
            check(&[first, second, (removed, DEVICE), (back, SECOND_DEVICE)])
        }),
        bad(
            "DEV-4",
            "device list",
            "the-removed-is-added",
            "another device adds a removed one",
            {
                let [first, second] = two();
                let mut removed = next_list(&second.0, DEVICE, &[DEVICE]);
                turn(&mut removed);
                let back = next_list(&removed, DEVICE, both);
                check(&[first, second, (removed, DEVICE), (back, DEVICE)])
            },
        ),
    ]
}

fn bad_changes() -> Vec<Case> {
    let fails = |name, description, check| bad("DEV-4", "device list", name, description, check);
    let both = &[DEVICE, SECOND_DEVICE];
    vec![
        fails(
            "removed-without-new-key",
            "a device is removed under the same root key",
            third(DEVICE, &[DEVICE], |_| ()),
        ),
        fails(
            "removes-itself",
            "a device removes itself",
            third(DEVICE, &[SECOND_DEVICE], turn),
        ),
        fails(
            "epoch-skipped",
            "two root epochs at once",
            third(DEVICE, both, |list| {
                turn(list);
                list.root_epoch += 1;
            }),
        ),
        fails(
            "same-vault-key",
            "a new root epoch with the vault key of before",
            third(DEVICE, both, |list| list.root_epoch += 1),
        ),
        fails(
            "other-recipient-key",
            "a device that stays has another X-Wing key",
            third(DEVICE, both, |list| {
                list.devices[1].recipient_key_hash = recipient(0x63).digest()
            }),
        ),
        bad(
            "DEV-1",
            "malformed",
            "one-device-twice",
            "two devices have one key",
            third(DEVICE, &[DEVICE, SECOND_DEVICE, THIRD_DEVICE], |list| {
                list.devices[2].device_key = list.devices[1].device_key;
            }),
        ),
        bad(
            "DEV-1",
            "malformed",
            "recovery-alone",
            "no device but for recovery",
            third(DEVICE, both, |list| {
                for device in &mut list.devices {
                    device.kind = DeviceKind::Recovery;
                }
            }),
        ),
    ]
}

/// Lists that grow one by one to the last place, which this device gives away; the second device is one for recovery.
fn filled(by: u8) -> Check {
    let grown = |before: &DeviceList, signer: u8, new: u8, kind: DeviceKind| {
        let mut list = next_list(before, signer, &[new]);
        list.devices[0].kind = kind;
        list.devices.splice(0..0, before.devices.clone());
        list
    };
    let mut steps = vec![(first_list(), PATIENT)];
    let kinds = [DeviceKind::Recovery]
        .into_iter()
        .chain(repeat(DeviceKind::Device));
    for (place, kind) in (2..=16).zip(kinds) {
        let signer = if place == 16 { by } else { DEVICE };
        let new = if place == 2 { SECOND_DEVICE } else { 0x80 + place };
        let before = &steps.last().unwrap().0;
        steps.push((grown(before, signer, new, kind), signer));
    }
    check(&steps)
}

fn last_place() -> Vec<Case> {
    vec![
        good(
            "DEV-16",
            "sixteenth-by-recovery",
            "a device for recovery adds the sixteenth",
            filled(SECOND_DEVICE),
        ),
        bad(
            "DEV-16",
            "device list",
            "sixteenth",
            "another device adds the sixteenth",
            filled(DEVICE),
        ),
    ]
}

/// The second device is a kit; the third list says that these leave.
fn leaves(signer: u8, leaving: &[u8]) -> Check {
    let both = [DEVICE, SECOND_DEVICE];
    let with_kit = |before: &DeviceList, signer: u8| {
        let mut list = next_list(before, signer, &both);
        list.devices[1].kind = DeviceKind::Recovery;
        list
    };
    let added = with_kit(&first_list(), DEVICE);
    let mut announced = with_kit(&added, signer);
    let ids = leaving
        .iter()
        .map(|device| DeviceId::from(&key(*device).public()));
    announced.leaving = ids.collect();
    check(&[(first_list(), PATIENT), (added, DEVICE), (announced, signer)])
}

fn leaving() -> Vec<Case> {
    let fails = |name, description, leaving: &[u8]| {
        bad("DEV-1", "malformed", name, description, leaves(DEVICE, leaving))
    };
    vec![
        good(
            "DEV-23",
            "leaving",
            "a device announces that the kit leaves",
            leaves(DEVICE, &[SECOND_DEVICE]),
        ),
        good(
            "DEV-23",
            "leaving-by-itself",
            "the kit announces that it leaves",
            leaves(SECOND_DEVICE, &[SECOND_DEVICE]),
        ),
        fails(
            "leaving-device",
            "a device that is no recovery member leaves",
            &[DEVICE],
        ),
        fails(
            "leaving-unlisted",
            "a device that is not listed leaves",
            &[STRANGER],
        ),
        fails(
            "leaving-twice",
            "the kit leaves twice",
            &[SECOND_DEVICE, SECOND_DEVICE],
        ),
    ]
}

fn newest() -> Vec<Case> {
    let [_, (second_list, _)] = two();
    let check = |list: &DeviceList, signer: u8, chain: &DeviceChain| Check::NewestList {
        patient: Hex(world::patient().as_bytes().to_vec()),
        list: (&key(signer).signed(list.clone()).to_message()).into(),
        signer: Hex(pb::DeviceChain::from(chain).encode_to_vec()),
    };
    let mut other = second_list.clone();
    other.signer = DeviceId::from(&key(SECOND_DEVICE).public());
    vec![
        good(
            "DEV-7",
            "newest",
            "by a device that its chain leads to",
            check(&second_list, DEVICE, &world::chain()),
        ),
        good(
            "DEV-7",
            "newest-is-first",
            "the first list, with its device's chain",
            check(&first_list(), PATIENT, &world::chain()),
        ),
        bad(
            "DEV-7",
            "bad signature",
            "newest-by-another",
            "signed by another key",
            check(&second_list, STRANGER, &world::chain()),
        ),
        bad(
            "DEV-7",
            "mismatch",
            "newest-with-another-chain",
            "the chain leads to another device than its signer",
            check(&other, SECOND_DEVICE, &world::chain()),
        ),
        bad(
            "DEV-7",
            "mismatch",
            "newest-of-a-stranger",
            "with the chain of another patient's device",
            check(&second_list, STRANGER, &strangers()),
        ),
    ]
}
