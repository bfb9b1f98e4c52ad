use crypto::{RecipientSecret, SigningIdentity};
use protocol_spec::{
    bodies::{Accreditation, InstitutionKeys},
    hash::Sha256Digest,
    ids::RegistrarId,
    link::{Fingerprint, ServerLink},
    statement::Signed,
};

use super::*;
use crate::home::{Home, Pins};

const OPERATOR: u8 = 1;
const REGISTRAR: u8 = 2;
const CLINIC: u8 = 3;
const STRANGER: u8 = 4;

fn identity(seed: u8) -> SigningIdentity {
    SigningIdentity::from_seed(&[seed; 32]).unwrap()
}

fn session(home: &std::path::Path) -> Session {
    let (operator, registrar) = (identity(OPERATOR).public(), identity(REGISTRAR).public());
    let link = ServerLink::new("localhost:1", Fingerprint::of(&operator, &registrar, None)).unwrap();
    let pins = Pins {
        link,
        operator,
        registrar,
        certificate: None,
    };
    Session::new(Home::at(home), pins, &"pat_a", std::sync::Arc::new(identity(9))).unwrap()
}

/// The clinic's entry with this recipient key, accredited by this key.
fn entry(registrar: u8, recipient: u8) -> pb::DirectoryEntry {
    let (registrar, clinic) = (identity(registrar), identity(CLINIC));
    let recipient = RecipientSecret::from_seed(&[recipient; 32]).unwrap();
    let accreditation = Accreditation {
        created: 1,
        registrar_id: RegistrarId::from(&identity(REGISTRAR).public()),
        institution_id: (&clinic.public()).into(),
        name: "Clinic".to_owned().try_into().unwrap(),
        recipient_key_hash: recipient.public().digest(),
        secret_hash: Sha256Digest::of(b"secret"),
        emergency: false,
    };
    let accreditation = Signed::sign(accreditation, |message| registrar.sign_bytes(message));
    let keys = InstitutionKeys {
        created: 1,
        operator_id: (&identity(OPERATOR).public()).into(),
        name: "Clinic".to_owned().try_into().unwrap(),
        identity_key: clinic.public(),
        recipient_key: recipient.public().clone(),
        accreditation_hash: accreditation.hash(),
        succession: None,
    };
    pb::DirectoryEntry {
        keys: Some(Signed::sign(keys, |message| clinic.sign_bytes(message)).to_message()),
        accreditation: Some(accreditation.to_message()),
        ..pb::DirectoryEntry::default()
    }
}

fn verified(recipient: u8) -> Institution {
    let operator = (&identity(OPERATOR).public()).into();
    Institution::from_entry(
        entry(REGISTRAR, recipient),
        &identity(REGISTRAR).public(),
        operator,
    )
    .unwrap()
}

/// ATK-1: an entry is nothing without the pinned registrar's signature (FLW-4) or outside the log (LOG-3).
#[tokio::test]
async fn an_entry_that_is_not_vouched_for_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path());
    for entry in [entry(STRANGER, 1), entry(REGISTRAR, 1)] {
        assert!(matches!(
            session.verify_entry(entry).await,
            Err(Error::Tampered { .. })
        ));
    }
}

/// KEY-17: also when the registrar has accredited the new keys.
#[tokio::test]
async fn other_keys_than_those_seen_before_are_refused_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    session(dir.path()).remember(&[verified(1)]).await.unwrap();
    for _ in 0..2 {
        let again = session(dir.path());
        assert!(matches!(
            again.remember(&[verified(2)]).await,
            Err(Error::Tampered { .. })
        ));
        again.remember(&[verified(1)]).await.unwrap();
    }
}
