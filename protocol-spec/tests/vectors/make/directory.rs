//! Directory entries: each thing that entry, accreditation and pins must agree on, once wrong.

use prost::Message;
use protocol_spec::{
    bodies::{Accreditation, InstitutionKeys, Retirement, Succession},
    hash::Sha256Digest,
    ids::RegistrarId,
    messages as pb,
    statement::Body,
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{self, HOUR, INSTITUTION, NOW, OPERATOR, REGISTRAR, SECRET, STRANGER, key, recipient},
};

/// An entry over an accreditation, each signed by the given key; the entry names this accreditation.
fn entry(
    registrar: u8,
    accreditation: Accreditation,
    institution: u8,
    change: impl FnOnce(&mut InstitutionKeys),
) -> pb::DirectoryEntry {
    let mut keys = world::institution_keys();
    keys.accreditation_hash = Sha256Digest::of(&accreditation.encode());
    change(&mut keys);
    pb::DirectoryEntry {
        keys: Some(key(institution).signed(keys).to_message()),
        accreditation: Some(key(registrar).signed(accreditation).to_message()),
        ..pb::DirectoryEntry::default()
    }
}

fn check(entry: &pb::DirectoryEntry, operator: u8, secret: &[u8]) -> Check {
    Check::Directory {
        entry: entry.into(),
        registrar_key: Hex(key(REGISTRAR).public().as_bytes().to_vec()),
        operator: Hex(Sha256Digest::of(key(operator).public().as_bytes())
            .as_bytes()
            .to_vec()),
        secret: Hex(secret.to_vec()),
    }
}

/// The second entry, over an accreditation of its key, after these changes.
pub(super) fn successor(
    change_keys: impl FnOnce(&mut InstitutionKeys),
    change_accreditation: impl FnOnce(&mut Accreditation),
) -> pb::DirectoryEntry {
    let mut accreditation = world::accreditation();
    accreditation.recipient_key_hash = recipient(9).digest();
    change_accreditation(&mut accreditation);
    entry(REGISTRAR, accreditation, INSTITUTION, |keys| {
        keys.recipient_key = recipient(9);
        keys.succession = Some(Succession {
            sequence: 1,
            previous: Sha256Digest::of(&world::institution_keys().encode()),
            overlap_ends: NOW + HOUR,
        });
        change_keys(keys);
    })
}

fn succession(previous: &pb::DirectoryEntry, entry: &pb::DirectoryEntry) -> Check {
    Check::Succession {
        previous: previous.into(),
        entry: entry.into(),
        registrar_key: Hex(key(REGISTRAR).public().as_bytes().to_vec()),
        operator: Hex(world::operator().as_bytes().to_vec()),
    }
}

/// A change of the succession.
fn placed(change: impl FnOnce(&mut Succession)) -> pb::DirectoryEntry {
    successor(|keys| change(keys.succession.as_mut().unwrap()), |_| ())
}

fn chains() -> Vec<Case> {
    let first = world::entry();
    let wrong = |rule, expect, name, description, entry: &pb::DirectoryEntry| {
        bad(rule, expect, name, description, succession(&first, entry))
    };
    let renamed = "Hospital South".to_owned();
    let zero = successor(|keys| keys.succession = None, |_| ());
    let mut unplaced = placed(|_| ());
    if let Some(keys) = &mut unplaced.keys {
        let mut wire = pb::InstitutionKeysBody::decode(keys.body.clone()).unwrap();
        wire.succession.as_mut().unwrap().sequence = 0;
        *keys = key(INSTITUTION).statement(InstitutionKeys::LABEL, wire.encode_to_vec());
    }
    vec![
        good(
            "INS-1",
            "successor",
            "the second entry of a chain",
            succession(&first, &placed(|_| ())),
        ),
        wrong(
            "INS-1",
            "mismatch",
            "sequence-left-out",
            "the third place after the first",
            &placed(|place| place.sequence = 2),
        ),
        wrong(
            "INS-1",
            "mismatch",
            "another-previous",
            "it continues another entry",
            &placed(|place| place.previous = world::hash("other")),
        ),
        wrong("INS-1", "mismatch", "no-succession", "another first entry", &zero),
        wrong(
            "STM-7",
            "malformed",
            "sequence-zero",
            "a succession with sequence 0",
            &unplaced,
        ),
        wrong(
            "INS-1",
            "mismatch",
            "same-recipient-key",
            "the same recipient key again",
            &successor(
                |keys| keys.recipient_key = recipient(2),
                |accreditation| accreditation.recipient_key_hash = recipient(2).digest(),
            ),
        ),
        wrong(
            "INS-1",
            "mismatch",
            "renamed",
            "accredited under another name",
            &successor(
                |keys| keys.name = renamed.clone().try_into().unwrap(),
                |accreditation| accreditation.name = renamed.clone().try_into().unwrap(),
            ),
        ),
        wrong(
            "INS-1",
            "mismatch",
            "not-accredited-anew",
            "the accreditation of the first key",
            &successor(
                |_| (),
                |accreditation| accreditation.recipient_key_hash = recipient(2).digest(),
            ),
        ),
    ]
}

fn ends() -> Vec<Case> {
    let with = |signer: u8, change: &dyn Fn(&mut Retirement)| {
        let mut retirement = world::retirement();
        change(&mut retirement);
        let entry = pb::DirectoryEntry {
            retirement: Some(key(signer).signed(retirement).to_message()),
            ..world::entry()
        };
        check(&entry, OPERATOR, &SECRET)
    };
    vec![
        good(
            "INS-13",
            "retired",
            "an entry with its retirement",
            with(INSTITUTION, &|_| ()),
        ),
        bad(
            "INS-13",
            "bad signature",
            "retired-by-another",
            "not by the institution",
            with(STRANGER, &|_| ()),
        ),
        bad(
            "INS-13",
            "mismatch",
            "retirement-of-another-entry",
            "over another entry",
            with(INSTITUTION, &|it| it.entry_hash = world::hash("other")),
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    [entries(), chains(), ends()].into_iter().flatten().collect()
}

fn entries() -> Vec<Case> {
    let right = || entry(REGISTRAR, world::accreditation(), INSTITUTION, |_| ());
    let wrong = |expect, name, description, entry: &pb::DirectoryEntry| {
        bad(
            "KEY-8",
            expect,
            name,
            description,
            check(entry, OPERATOR, &SECRET),
        )
    };
    let accredited = |change: &dyn Fn(&mut Accreditation)| {
        let mut accreditation = world::accreditation();
        change(&mut accreditation);
        entry(REGISTRAR, accreditation, INSTITUTION, |_| ())
    };
    let named =
        |change: &dyn Fn(&mut InstitutionKeys)| entry(REGISTRAR, world::accreditation(), INSTITUTION, change);
    let other_registrar = RegistrarId::from(&key(STRANGER).public());
    vec![
        good(
            "KEY-8",
            "entry",
            "entry, accreditation and secret belong together",
            check(&right(), OPERATOR, &SECRET),
        ),
        bad(
            "KEY-7",
            "mismatch",
            "wrong-secret",
            "a secret that the accreditation does not name",
            check(&right(), OPERATOR, &[0; 32]),
        ),
        bad(
            "KEY-8",
            "mismatch",
            "another-operator",
            "an entry for another operator",
            check(&right(), STRANGER, &SECRET),
        ),
        wrong(
            "bad signature",
            "another-registrar",
            "accredited by a key that is not pinned",
            &entry(STRANGER, world::accreditation(), INSTITUTION, |_| ()),
        ),
        wrong(
            "bad signature",
            "another-signer",
            "the entry is not signed by the key in it",
            &entry(REGISTRAR, world::accreditation(), STRANGER, |_| ()),
        ),
        wrong(
            "mismatch",
            "registrar-id",
            "the accreditation names another registrar",
            &accredited(&|a| a.registrar_id = other_registrar),
        ),
        wrong(
            "mismatch",
            "institution-id",
            "the accreditation is another institution's",
            &accredited(&|a| a.institution_id = world::institution(STRANGER)),
        ),
        wrong(
            "mismatch",
            "squatted-recipient-key",
            "accredited for another recipient key",
            &named(&|keys| keys.recipient_key = recipient(9)),
        ),
        wrong(
            "mismatch",
            "another-name",
            "a name that was not accredited",
            &named(&|keys| keys.name = "Hospital South".to_owned().try_into().unwrap()),
        ),
        wrong(
            "mismatch",
            "accreditation-hash",
            "the entry names another accreditation",
            &named(&|keys| keys.accreditation_hash = world::hash("other")),
        ),
    ]
}
