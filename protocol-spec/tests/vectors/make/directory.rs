//! Directory entries: each thing that entry, accreditation and pins must agree on, once wrong.

use protocol_spec::{
    bodies::{Accreditation, InstitutionKeys},
    hash::Sha256Digest,
    ids::RegistrarId,
    messages as pb,
    statement::Body,
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{self, INSTITUTION, OPERATOR, REGISTRAR, SECRET, STRANGER, key, recipient},
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
        proof: None,
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

pub(crate) fn cases() -> Vec<Case> {
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
