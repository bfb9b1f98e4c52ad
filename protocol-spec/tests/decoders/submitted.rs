//! What principals submit: it reads back as itself, or is refused; sizes are those of the specification.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use proptest::{collection::vec, option, prelude::*};
use prost::{Message, Name};
use protocol_spec::{
    bodies::DeviceCertificate,
    field::SealedBytes,
    hash::Sha256Digest,
    messages as pb,
    patient::{DeviceChain, OfPatient, PatientSigned},
    permission::{Kind, PermissionBody, SignedPermission},
    statement::{Body, Signed},
    submitted::{self, Submitted},
};

use crate::{
    flip,
    strategies::{self, identity, key, recipient, sealed},
};

/// Nobody has verified anything yet, so that one key signs all.
fn by(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn signed<T: Body>(body: T) -> Option<pb::Statement> {
    let key = by(1);
    Some(Signed::sign(body, |message| key.sign(message).to_bytes()).to_message())
}

fn chain() -> DeviceChain {
    let (patient, device) = (by(2), by(1));
    let certificate = DeviceCertificate {
        created: 1,
        patient_id: (&identity(&patient)).into(),
        device_key: identity(&device),
        recipient_key_hash: Sha256Digest::from_bytes([3; 32]),
    };
    let certificate = Signed::sign(certificate, |message| patient.sign(message).to_bytes());
    DeviceChain::first(identity(&patient), certificate)
}

fn said<T: OfPatient>(body: T) -> Option<pb::PatientStatement> {
    let key = by(1);
    let statement = Signed::sign(body, |message| key.sign(message).to_bytes());
    Some((&PatientSigned::new(statement, chain())).into())
}

fn permitted(body: &PermissionBody, wrap: SealedBytes) -> Option<pb::Permission> {
    let key = by(1);
    let sign = |message: &[u8]| key.sign(message).to_bytes();
    let permission = SignedPermission::sign(body.encode(), wrap, chain(), sign);
    Some((&permission.unwrap()).into())
}

fn id() -> impl Strategy<Value = Bytes> {
    any::<[u8; 16]>().prop_map(|id| Bytes::copy_from_slice(&id))
}

fn bytes(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), length).prop_map(Bytes::from)
}

fn key_wrap() -> impl Strategy<Value = Bytes> {
    bytes(104)
}

fn wrap() -> impl Strategy<Value = pb::Wrap> {
    (any::<u64>(), id(), key_wrap()).prop_map(|(number, version_id, data_key_wrap)| pb::Wrap {
        number,
        version_id,
        data_key_wrap,
        record_id: Bytes::new(),
    })
}

/// Some epochs are closed, the newest is not.
fn epochs() -> impl Strategy<Value = pb::CollectionEpochs> {
    let older = vec(prop_oneof![key_wrap(), Just(Bytes::new())], 0..4);
    (id(), bytes(1..=328_usize), older, key_wrap()).prop_map(|(collection_id, sealed_name, older, newest)| {
        pb::CollectionEpochs {
            collection_id,
            sealed_name,
            key_wraps: older.into_iter().chain([newest]).collect(),
        }
    })
}

fn new_device() -> impl Strategy<Value = pb::NewDevice> {
    let approval = prop_oneof![bytes(0), bytes(32)];
    (recipient(), sealed(), approval).prop_map(|(recipient_key, root_key, approval)| pb::NewDevice {
        chain: Some((&chain()).into()),
        recipient_key: Bytes::copy_from_slice(recipient_key.as_bytes()),
        root_key: Some((&root_key).into()),
        approval,
    })
}

fn rotation() -> impl Strategy<Value = pb::Rotation> {
    let parts = (vec(sealed(), 0..3), key_wrap(), vec(epochs(), 0..3), any::<u64>());
    (parts, strategies::vault_key_statement()).prop_map(
        |((root_keys, previous_root_key, collections, passed_over), vault_key)| pb::Rotation {
            root_keys: root_keys.iter().map(Into::into).collect(),
            previous_root_key,
            collections,
            vault_key: said(vault_key),
            passed_over,
        },
    )
}

fn adoption() -> impl Strategy<Value = pb::AdoptRecord> {
    (strategies::placement(), any::<u64>(), key_wrap()).prop_map(|(placement, epoch, data_key_wrap)| {
        pb::AdoptRecord {
            placement: said(placement),
            epoch,
            data_key_wrap,
        }
    })
}

/// A stream of one leaf, which comes along.
fn commit() -> impl Strategy<Value = pb::CommitUpload> {
    (any::<[u8; 32]>(), bytes(1..90_usize), 0..99_u64).prop_map(|(root, sealed_manifest, plaintext)| {
        let stream_len = protocol_spec::content::stream_len(plaintext);
        pb::CommitUpload {
            content_root: Bytes::copy_from_slice(&root),
            stream_len,
            sealed_manifest,
            content: vec![7; usize::try_from(stream_len).unwrap()].into(),
        }
    })
}

/// Whatever is read is written as it came.
fn message_holds<M: Submitted<Wire: Message + Name + Default + Clone + PartialEq + std::fmt::Debug>>(
    wire: M::Wire,
    at: usize,
) -> Result<(), TestCaseError> {
    let read = M::read(wire.clone()).map(|message| message.write());
    prop_assert_eq!(read.as_ref(), Ok(&wire));
    let whole = wire.encode_to_vec();
    for bytes in [&flip(&whole, at)[..], &whole[..at % whole.len()]] {
        let Ok(wire) = pb::decode::<M::Wire>(bytes) else {
            continue;
        };
        if let Ok(message) = M::read(wire.clone()) {
            prop_assert_eq!(message.write(), wire);
        }
    }
    Ok(())
}

macro_rules! messages {
    ($($test:ident($($arg:ident in $strategy:expr),* $(,)?): $name:ident $fields:tt;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(32))]
            $(
                #[test]
                fn $test(($($arg,)*) in ($($strategy,)*), at in any::<usize>()) {
                    let wire = pb::$name $fields;
                    message_holds::<submitted::$name>(wire, at)?;
                }
            )*
        }
    };
}

messages! {
    submit_upload_request(
        request in strategies::upload_request(), body in strategies::permission(), wrap in sealed(),
        upload_key_wrap in key_wrap(), upload_key_epoch in any::<u64>(),
    ): SubmitUploadRequest {
        request: said(request), permission: permitted(&body, wrap), upload_key_wrap, upload_key_epoch
    };
    submit_download_request(request in strategies::download_request()):
        SubmitDownloadRequest { request: signed(request) };
    submit_reference_request(request in strategies::reference_request()):
        SubmitReferenceRequest { request: signed(request) };
    submit_note(note in strategies::note()): SubmitNote { note: said(note) };
    submit_denial(denial in strategies::denial()): SubmitDenial { denial: said(denial) };
    submit_revocation(revocation in strategies::revocation()): SubmitRevocation { revocation: said(revocation) };
    put_collection(collection_id in id(), key_wrap in key_wrap(), sealed_name in bytes(1..=328_usize), root_epoch in any::<u64>()):
        PutCollection { collection_id, epoch: 0, key_wrap, sealed_name, root_epoch };
    put_wraps(collection_id in id(), epoch in any::<u64>(), wraps in vec(wrap(), 0..4)):
        PutWraps { collection_id, from_epoch: epoch / 2, epoch, wraps };
    close_epoch(closure in strategies::epoch_closure()): CloseEpoch { closure: said(closure) };
    delete_record(deletion in strategies::record_deletion()): DeleteRecord { deletion: said(deletion) };
    signed_segment(head in strategies::index_segment(), sealed in bytes(0..99_usize)):
        SignedSegment { head: said(head), sealed };
    submit_vault_head(head in strategies::vault_head()): SubmitVaultHead { head: said(head) };
    change_devices(list in strategies::device_list(), added in option::of(new_device()), rotation in option::of(rotation())):
        ChangeDevices { list: signed(list), added, rotation };
    enrol_patient(
        list in strategies::device_list(), device in new_device(), vault_key in strategies::vault_key_statement(),
        invitation in option::of(strategies::invitation()), work in option::of((bytes(32), any::<u64>())),
    ): EnrolPatient {
        list: signed(list), device: Some(device), vault_key: said(vault_key), invitation: invitation.and_then(signed),
        work: work.map(|(challenge, counter)| pb::EnrolmentWork { challenge, counter })
    };
    link_offer(device in key(), keys in recipient(), commitment in bytes(32)): LinkOffer {
        device_key: Bytes::copy_from_slice(device.as_bytes()),
        recipient_key: Bytes::copy_from_slice(keys.as_bytes()),
        commitment
    };
    link_answer(nonce in bytes(32)): LinkAnswer { nonce };
    link_opening(device in key(), nonce in bytes(32)):
        LinkOpening { device_key: Bytes::copy_from_slice(device.as_bytes()), nonce };
    put_delegation(delegation in strategies::delegation(), in_place_of in prop_oneof![bytes(0), bytes(16)]):
        PutDelegation { delegation: said(delegation), in_place_of };
    end_delegation(end in strategies::delegation_end()): EndDelegation { end: said(end) };
    accept_delegation(delegation_id in id()): AcceptDelegation { delegation_id };
    start_help(help in strategies::emergency_help()): StartHelp { help: said(help) };
    submit_objection(objection in strategies::emergency_objection()): SubmitObjection { objection: said(objection) };
    accept_guardianship(patient_id in bytes(32)): AcceptGuardianship { patient_id };
    block_sender(sender_id in bytes(32), blocked in any::<bool>()): BlockSender { sender_id, blocked };
    enrol_institution(keys in strategies::institution_keys(), accreditation in strategies::accreditation(), secret in bytes(32)):
        EnrolInstitution { keys: signed(keys), accreditation: signed(accreditation), secret };
    rotate_institution(
        keys in strategies::institution_keys(), accreditation in strategies::accreditation(), secret in bytes(32),
        terminals in vec((bytes(32), sealed()), 0..3),
    ): RotateInstitution {
        keys: signed(keys), accreditation: signed(accreditation), secret,
        terminals: terminals
            .into_iter()
            .map(|(terminal_id, keys)| pb::TerminalKeys { terminal_id, keys: Some((&keys).into()) })
            .collect()
    };
    retire_institution(retirement in strategies::retirement()): RetireInstitution { retirement: signed(retirement) };
    add_terminal(certificate in strategies::terminal_certificate(), keys in option::of(sealed())):
        AddTerminal { certificate: signed(certificate), keys: keys.as_ref().map(Into::into) };
    remove_terminal(removal in strategies::terminal_removal()): RemoveTerminal { removal: signed(removal) };
    take_back_upload(take_back in strategies::take_back()): TakeBackUpload { take_back: signed(take_back) };
    withdraw_institution(withdrawal in strategies::withdrawal()): WithdrawInstitution { withdrawal: signed(withdrawal) };
    publish_program(program in strategies::program()): PublishProgram { program: signed(program) };
    open_reseal(replaces in id(), version_id in id()): OpenReseal { replaces, version_id };
    commit_reseal(upload in commit(), adoption in adoption()):
        CommitReseal { upload: Some(upload), adoption: Some(adoption) };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn keys_under_keys_have_104_bytes(length in 0..208_usize, adoption in adoption()) {
        let wrong = pb::AdoptRecord { data_key_wrap: vec![1; length].into(), ..adoption };
        prop_assert_eq!(submitted::AdoptRecord::read(wrong).is_ok(), length == 104);
    }

    #[test]
    fn an_upload_key_comes_in_the_place_of_another(
        body in strategies::permission(), sealed in sealed(), wrapped in any::<bool>(), epoch in any::<u64>(),
    ) {
        let wire = pb::SubmitPermission {
            permission: permitted(&body, sealed),
            upload_key_wrap: if wrapped { vec![2; 104].into() } else { Bytes::new() },
            upload_key_epoch: epoch,
            head: None,
        };
        let wanted = body.kind == Kind::Upload && body.replaces.is_some();
        let fits = body.kind != Kind::Emergency && wanted == wrapped;
        let read = submitted::SubmitPermission::read(wire.clone());
        prop_assert_eq!(read.map(|read| read.write()).ok(), fits.then_some(wire));
    }

    /// EMG-4
    #[test]
    fn emergencies_come_with_their_halves(body in strategies::permission(), sealed in sealed(), share in bytes(32)) {
        let wire = pb::PutEmergency {
            permission: permitted(&body, sealed),
            ..pb::PutEmergency::default()
        };
        let bare = body.kind == Kind::Emergency && body.replaces.is_some();
        let read = submitted::PutEmergency::read(wire.clone());
        prop_assert_eq!(read.map(|read| read.write()).ok(), bare.then(|| wire.clone()));
        let other = pb::PutEmergency { share, ..wire };
        prop_assert!(submitted::PutEmergency::read(other).is_err());
    }

    #[test]
    fn keys_for_delegates_have_48_bytes(key in strategies::delegated_key(), length in 17..80_usize, id in id()) {
        let mut key = key;
        key.key.ciphertext = vec![1; length].into();
        let wire = pb::PutDelegatedKeys { delegation_id: id, keys: said(key).into_iter().collect() };
        let read = submitted::PutDelegatedKeys::read(wire.clone());
        prop_assert_eq!(read.map(|read| read.write()).ok(), (length == 48).then_some(wire));
    }

    /// ATK-53
    #[test]
    fn what_names_nothing_is_refused(id in bytes(0..40_usize)) {
        use pb::delete_unanswered::What;
        let read = |what| submitted::DeleteUnanswered::read(pb::DeleteUnanswered { what }).is_ok();
        prop_assert!(!read(None));
        prop_assert_eq!(read(Some(What::RequestId(id.clone()))), id.len() == 16);
        prop_assert_eq!(read(Some(What::DelegationId(id.clone()))), id.len() == 16);
        prop_assert_eq!(read(Some(What::PatientId(id.clone()))), id.len() == 32);
    }
}
