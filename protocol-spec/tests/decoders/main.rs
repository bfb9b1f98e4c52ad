//! Every decoder of the crate: what was encoded is read back; whatever else arrives is refused or reads back
//! as itself, and nothing panics; a flipped bit never verifies.
#![allow(clippy::unwrap_used, reason = "tests")]

mod strategies;
mod submitted;

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{prelude::*, strategy::ValueTree};
use prost::Message;
use protocol_spec::{
    Error,
    bodies::{
        Accreditation, AccreditationRequest, DelegatedKey, Delegation, DelegationEnd, Denial,
        DeviceCertificate, DownloadRequest, EmergencyHelp, EmergencyObjection, EmergencyOpening,
        EpochClosure, IndexSegment, InstitutionKeys, Invitation, Note, Placement, Program, RecordDeletion,
        RecordManifest, RecoveryShares, ReferenceRequest, ReleaseReceipt, ReleaseTicket, Reseal, Restoration,
        Retirement, Revocation, RevocationCertificate, RevocationReceipt, StandbyTicket, TakeBack,
        TerminalCertificate, TerminalRemoval, TerminalRequest, UploadReceipt, UploadRequest, VaultHead,
        VaultKeyStatement, Withdrawal,
    },
    content,
    devices::DeviceList,
    field::{Name, SealedBytes},
    hash::Sha256Digest,
    ids,
    keys::{IdentityKey, RecipientKey},
    link::ServerLink,
    log,
    manifest::PartName,
    messages as pb,
    patient::{DeviceChain, OfPatient, PatientSigned},
    permission::{PermissionBody, SignedPermission},
    request::{self, RequestSignature, SignatureLabel, Target},
    statement::{Body, Signed},
};
use strategies::{identity, signer};

const SEED: [u8; 32] = [9; 32];

/// Flips one bit, which `at` chooses.
fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let bit = at % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// decode(encode(x)) = x; no encoding with a flipped bit verifies, in body or signature.
fn statement_holds<T: Body + PartialEq + std::fmt::Debug + Clone>(
    body: T,
    at: usize,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(T::decode(&body.encode()), Ok(body.clone()));
    let key = SigningKey::from_bytes(&SEED);
    let signed = Signed::sign(body, |message| key.sign(message).to_bytes()).to_message();
    let public = identity(&key);
    prop_assert!(
        Signed::<T>::try_from(signed.clone())
            .unwrap()
            .verify(&public)
            .is_ok()
    );
    let body = pb::Statement {
        body: flip(&signed.body, at).into(),
        ..signed.clone()
    };
    let signature = pb::Statement {
        signature: flip(&signed.signature, at).into(),
        ..signed
    };
    for message in [body, signature] {
        prop_assert!(
            Signed::<T>::try_from(message)
                .and_then(|signed| signed.verify(&public))
                .is_err()
        );
    }
    Ok(())
}

/// Arbitrary bytes are refused, or are exactly what they decode to (STM-5).
fn bytes_hold<T: Body>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(body) = T::decode(bytes) {
        prop_assert_eq!(&body.encode()[..], bytes);
    }
    Ok(())
}

macro_rules! bodies {
    ($($name:ident: $body:ident),* $(,)?) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            $(
                #[test]
                fn $name(body in strategies::$name(), at in any::<usize>()) {
                    let bytes = body.encode();
                    statement_holds::<$body>(body, at)?;
                    bytes_hold::<$body>(&flip(&bytes, at))?;
                    bytes_hold::<$body>(&bytes[..at % bytes.len()])?;
                }
            )*

            #[test]
            fn arbitrary_bytes_are_no_body(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
                $(bytes_hold::<$body>(&bytes)?;)*
                bytes_hold::<PermissionBody>(&bytes)?;
            }
        }
    };
}

bodies! {
    device_certificate: DeviceCertificate,
    device_list: DeviceList,
    accreditation_request: AccreditationRequest,
    accreditation: Accreditation,
    institution_keys: InstitutionKeys,
    terminal_request: TerminalRequest,
    terminal_certificate: TerminalCertificate,
    terminal_removal: TerminalRemoval,
    retirement: Retirement,
    withdrawal: Withdrawal,
    program: Program,
    restoration: Restoration,
    upload_request: UploadRequest,
    download_request: DownloadRequest,
    reference_request: ReferenceRequest,
    delegation: Delegation,
    delegated_key: DelegatedKey,
    delegation_end: DelegationEnd,
    denial: Denial,
    note: Note,
    revocation: Revocation,
    placement: Placement,
    reseal: Reseal,
    emergency_opening: EmergencyOpening,
    emergency_help: EmergencyHelp,
    emergency_objection: EmergencyObjection,
    vault_head: VaultHead,
    vault_key_statement: VaultKeyStatement,
    invitation: Invitation,
    epoch_closure: EpochClosure,
    record_deletion: RecordDeletion,
    take_back: TakeBack,
    index_segment: IndexSegment,
    revocation_receipt: RevocationReceipt,
    revocation_certificate: RevocationCertificate,
    recovery_shares: RecoveryShares,
    standby_ticket: StandbyTicket,
    release_ticket: ReleaseTicket,
    upload_receipt: UploadReceipt,
    release_receipt: ReleaseReceipt,
    record_manifest: RecordManifest,
}

fn chain_of(patient: &SigningKey, device: &SigningKey, mut body: DeviceCertificate) -> DeviceChain {
    body.patient_id = (&identity(patient)).into();
    body.device_key = identity(device);
    let certificate = Signed::sign(body, |message| patient.sign(message).to_bytes());
    DeviceChain::first(identity(patient), certificate)
}

fn patient_chain_holds<T: OfPatient + Clone>(
    body: T,
    certificate: DeviceCertificate,
    at: usize,
) -> Result<(), TestCaseError> {
    let (patient, device) = (SigningKey::from_bytes(&SEED), SigningKey::from_bytes(&[8; 32]));
    let statement = Signed::sign(body, |message| device.sign(message).to_bytes());
    let signed = PatientSigned::new(statement, chain_of(&patient, &device, certificate));
    prop_assert!(signed.clone().verify().is_ok());
    let bytes = pb::PatientStatement::from(&signed).encode_to_vec();
    let read = |bytes: &[u8]| -> Result<_, Error> {
        PatientSigned::<T>::try_from(pb::decode::<pb::PatientStatement>(bytes)?)?.verify()
    };
    prop_assert!(read(&bytes).is_ok());
    prop_assert!(read(&flip(&bytes, at)).is_err());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_flipped_bit_of_a_patients_statement_verifies(
        mut revocation in strategies::revocation(),
        certificate in strategies::device_certificate(),
        at in any::<usize>(),
    ) {
        revocation.patient_id = (&identity(&SigningKey::from_bytes(&SEED))).into();
        patient_chain_holds(revocation, certificate, at)?;
    }

    #[test]
    fn no_flipped_bit_of_a_permission_verifies(
        mut body in strategies::permission(),
        wrap in strategies::sealed(),
        certificate in strategies::device_certificate(),
        at in any::<usize>(),
    ) {
        let (patient, device) = (SigningKey::from_bytes(&SEED), SigningKey::from_bytes(&[8; 32]));
        body.patient_id = (&identity(&patient)).into();
        prop_assert_eq!(PermissionBody::decode(&body.encode()), Ok(body.clone()));
        bytes_hold::<PermissionBody>(&flip(&body.encode(), at))?;
        let chain = chain_of(&patient, &device, certificate);
        let sign = |message: &[u8]| device.sign(message).to_bytes();
        let permission = SignedPermission::sign(body.encode(), wrap, chain, sign).unwrap();
        let bytes = pb::Permission::from(&permission).encode_to_vec();
        let read = |bytes: &[u8]| SignedPermission::try_from(pb::decode::<pb::Permission>(bytes)?)?.verify();
        let verified = read(&bytes).unwrap();
        prop_assert_eq!(&*verified, &body);
        prop_assert_eq!(verified.to_message().encode_to_vec(), bytes.clone());
        prop_assert!(read(&flip(&bytes, at)).is_err());
    }

    #[test]
    fn no_flipped_bit_of_a_receipt_verifies(receipt in strategies::upload_receipt(), at in any::<usize>()) {
        let operator = SigningKey::from_bytes(&SEED);
        let sign = |message: &[u8]| operator.sign(message).to_bytes();
        let statement = Signed::sign(receipt, sign);
        let salt = log::VaultSalt::from_bytes([3; 32]);
        let mark = salt.mark(&statement.hash());
        let leaf = mark.entry(&statement.hash()).bytes().unwrap();
        let key = log::log_key(&identity(&operator)).unwrap();
        let checkpoint = log::Checkpoint {
            origin: key.name().to_owned(),
            size: 1,
            root: Sha256Digest::from_bytes(protocol_spec::hash::sha256(&[&[0], &leaf])),
            extensions: vec![],
        };
        let proof = log::TlogProof {
            extra: None,
            index: 0,
            path: vec![],
            checkpoint: log::SignedCheckpoint::sign(checkpoint, &key, sign).unwrap(),
        };
        let proof = pb::LogProof {
            salt: Bytes::copy_from_slice(&mark.salt),
            tag: Bytes::copy_from_slice(&mark.tag),
            proof: proof.to_string(),
        };
        let receipt = pb::Receipt { statement: Some(statement.to_message()), proof: Some(proof) };
        let read = |bytes: &[u8]| {
            log::Receipt::<UploadReceipt>::verify(Some(pb::decode(bytes)?), &identity(&operator)).map(|_| ())
        };
        let bytes = receipt.encode_to_vec();
        prop_assert_eq!(read(&bytes), Ok(()));
        prop_assert!(read(&flip(&bytes, at)).is_err());
    }

    /// ATK-22
    #[test]
    fn arbitrary_bytes_are_no_message(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let key = identity(&SigningKey::from_bytes(&SEED));
        if let Ok(message) = pb::decode::<pb::Permission>(&bytes) {
            prop_assert!(SignedPermission::try_from(message).is_err());
        }
        if let Ok(message) = pb::decode::<pb::PatientStatement>(&bytes) {
            prop_assert!(PatientSigned::<Revocation>::try_from(message).is_err());
        }
        let receipt = pb::decode::<pb::Receipt>(&bytes).ok();
        prop_assert!(log::Receipt::<UploadReceipt>::verify(receipt, &key).is_err());
        let _event = pb::decode::<pb::Event>(&bytes);
        let _page = pb::decode::<pb::HistoryPage>(&bytes);
    }
}

fn request_fields() -> impl Strategy<Value = Vec<(usize, String)>> {
    proptest::collection::vec((0..7_usize, "[ -~]{0,80}"), 0..8)
}

proptest! {
    #[test]
    fn ids_read_back_and_other_texts_do_not(long in any::<[u8; 32]>(), short in any::<[u8; 16]>(), text in ".{0,64}") {
        let (patient, record) = (ids::PatientId::from_bytes(long), ids::RecordId::from_bytes(short));
        prop_assert_eq!(patient.to_string().parse(), Ok(patient));
        prop_assert_eq!(record.to_string().parse(), Ok(record));
        for text in [&text, &format!("rec_{text}"), &format!("rec_{}", text.to_lowercase())] {
            if let Ok(id) = text.parse::<ids::RecordId>() {
                prop_assert_eq!(&id.to_string(), text);
            }
        }
    }

    #[test]
    fn links_read_back(text in ".{0,80}", key in signer(), port in any::<u16>()) {
        let _refused_or_not = text.parse::<ServerLink>();
        let print = protocol_spec::link::Fingerprint::of(&identity(&key), &identity(&key), None);
        let link = ServerLink::new(&format!("vault.example:{port}"), print).unwrap();
        prop_assert_eq!(link.to_string().parse(), Ok(link));
    }

    #[test]
    fn keys_of_any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1300), key in any::<[u8; 32]>()) {
        let _refused_or_not = RecipientKey::try_from(&bytes[..]);
        if let Ok(key) = IdentityKey::try_from(&key[..]) {
            prop_assert_eq!(IdentityKey::try_from(&key.as_bytes()[..]), Ok(key));
            prop_assert_eq!(key.verify(&bytes, &[0; 64]), Err(Error::Signature));
        }
    }

    #[test]
    fn names_that_pass_stay_in_their_folder(name in "[a./\\\\ :\u{0}-\u{2}]{0,12}") {
        if let Ok(name) = PartName::try_from(name) {
            let path = std::path::Path::new("out").join(name.as_str());
            let inside = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
            prop_assert!(path.components().all(inside));
            prop_assert_eq!(path.components().count(), 1 + name.as_str().split('/').count());
        }
    }

    #[test]
    fn names_of_institutions_that_pass_are_shown_as_they_are(name in "\\PC{0,20}|.{0,220}") {
        if let Ok(shown) = Name::try_from(name.clone()) {
            prop_assert_eq!(shown.as_str(), &name);
            prop_assert!(name.len() <= 200 && !name.chars().any(char::is_control));
        }
    }

    /// ATK-53
    #[test]
    fn sealed_of_any_lengths_do_not_panic(enc in 0..1200_usize, ciphertext in 0..40_usize) {
        let wire = pb::Sealed { enc: vec![0; enc].into(), ciphertext: vec![0; ciphertext].into() };
        let fits = enc == 1120 && ciphertext > 16;
        prop_assert_eq!(SealedBytes::try_from(Some(wire)).is_ok(), fits);
    }

    #[test]
    fn lengths_of_streams_are_those_that_a_plaintext_gives(stream in any::<u64>()) {
        if let Ok(plaintext) = content::plaintext_len(stream) {
            prop_assert_eq!(content::stream_len(plaintext), stream);
        }
    }

    /// ATK-53
    #[test]
    fn arbitrary_fields_are_no_signature(fields in request_fields(), path in "/[a-z/]{0,20}") {
        let names = [
            request::SIGNATURE_INPUT, request::SIGNATURE, request::OPERATOR, request::CONTENT_DIGEST,
            request::IDEMPOTENCY_KEY, request::CHALLENGE, request::LEAVES,
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            if let (Some(name), Ok(value)) = (names.get(name), value.parse::<HeaderValue>()) {
                headers.append(name, value);
            }
        }
        let uri = path.parse().unwrap();
        let target = Target { method: &http::Method::POST, authority: "a:1", uri: &uri, headers: &headers };
        prop_assert!(RequestSignature::parse(&target, SignatureLabel::Id).is_err());
    }

    #[test]
    fn no_flipped_bit_of_a_signed_request_verifies(field in 0..5_usize, at in any::<usize>()) {
        let mut parts = http::Request::post("/v1/denials?x=1")
            .header(request::OPERATOR, "op_a")
            .header(request::CONTENT_DIGEST, request::content_digest(b"body"))
            .header(request::IDEMPOTENCY_KEY, "key")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let key = SigningKey::from_bytes(&SEED);
        let sign = |message: &[u8]| key.sign(message).to_bytes();
        let params = request::Params { created: 1, expires: 2, nonce: "n".repeat(22), key_id: "pat_x".to_owned() };
        let signer = request::Signer { label: SignatureLabel::Id, params, sign: &sign };
        request::sign(&mut parts, "vault.example:8443", &[signer]).unwrap();
        let verify = |headers: &HeaderMap| {
            let target = Target { method: &parts.method, authority: "vault.example:8443", uri: &parts.uri, headers };
            RequestSignature::parse(&target, SignatureLabel::Id)?.verify(&identity(&key))
        };
        prop_assert_eq!(verify(&parts.headers), Ok(()));
        let names: [HeaderName; 5] = [
            request::SIGNATURE_INPUT, request::SIGNATURE, request::OPERATOR, request::CONTENT_DIGEST,
            request::IDEMPOTENCY_KEY,
        ];
        let value = parts.headers[&names[field]].as_bytes().to_vec();
        if let Ok(changed) = HeaderValue::from_bytes(&flip(&value, at)) {
            let mut headers = parts.headers.clone();
            headers.insert(&names[field], changed);
            prop_assert!(verify(&headers).is_err());
        }
    }
}

#[test]
fn more_records_than_a_permission_may_name_are_refused() {
    let selector = |i: u128| pb::RecordSelector {
        record_id: vec![1; 16].into(),
        version_id: i.to_be_bytes().to_vec().into(),
        content_root: vec![2; 32].into(),
        stream_len: 72,
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let body = strategies::permission().new_tree(&mut runner).unwrap().current();
    let mut wire = pb::PermissionBody::decode(body.encode()).unwrap();
    wire.kind = pb::PermissionKind::Download.into();
    wire.collection = None;
    wire.conditions = None;
    wire.emergency = None;
    wire.records = (0..4096).map(selector).collect();
    assert!(PermissionBody::decode(&wire.encode_to_vec()).is_ok());
    wire.records.push(selector(4096));
    assert_eq!(
        PermissionBody::decode(&wire.encode_to_vec()),
        Err(Error::Field { field: "records" })
    );
}
