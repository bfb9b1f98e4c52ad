//! Arbitrary valid bodies.

use bytes::Bytes;
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::SigningKey;
use proptest::{collection::vec, prelude::*, strategy::Strategy};
use protocol_spec::{
    bodies,
    certificate::ExposedVersion,
    collection::{Collection, CollectionSelector},
    content::stream_len,
    delegation::{Power, Scope, SealedName},
    devices::{DeviceKind, DeviceList, ListedDevice, MAX_DEVICES, MAX_SEALED_NAME},
    emergency::{ANY_INSTITUTION, EmergencyTerms, GuardianTerms, MAX_WAIT, MIN_WAIT, NOTHING},
    field::{Name, SealedBytes},
    hash::{ContentRoot, Sha256Digest},
    ids::{CollectionId, DeviceId, InstitutionId, PatientId, PermissionId, RecordId, VersionId},
    keys::{IdentityKey, RecipientKey},
    manifest::{Clinical, Part, PartName},
    permission::{Kind, PermissionBody, RecordSelector, Replaces},
    purpose::Purpose,
    released::{LeafRanges, VersionLeaves},
    tags::{RecordTags, SealedConditions, Token, TokenGroup},
    vault_head::HeadRef,
};

pub(crate) fn signer() -> impl Strategy<Value = SigningKey> {
    any::<[u8; 32]>().prop_map(|seed| SigningKey::from_bytes(&seed))
}

pub(crate) fn identity(key: &SigningKey) -> IdentityKey {
    IdentityKey::try_from(key.verifying_key().as_bytes().as_slice()).unwrap()
}

pub(crate) fn key() -> impl Strategy<Value = IdentityKey> {
    signer().prop_map(|key| identity(&key))
}

pub(crate) fn recipient() -> impl Strategy<Value = RecipientKey> {
    (vec(0..3329_u16, 768), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(coefficients, seed, scalar)| {
        let pack = |pair: &[u16]| {
            let packed = u32::from(pair[0]) | (u32::from(pair[1]) << 12);
            packed.to_le_bytes()[..3].to_vec()
        };
        let x25519 = MontgomeryPoint::mul_base_clamped(scalar).to_bytes();
        let bytes: Vec<u8> = coefficients
            .chunks(2)
            .flat_map(pack)
            .chain(seed)
            .chain(x25519)
            .collect();
        RecipientKey::try_from(bytes.as_slice()).unwrap()
    })
}

pub(crate) fn sealed() -> impl Strategy<Value = SealedBytes> {
    (vec(any::<u8>(), 1120), vec(any::<u8>(), 17..80)).prop_map(|(enc, ciphertext)| SealedBytes {
        enc: Bytes::from(enc),
        ciphertext: Bytes::from(ciphertext),
    })
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-zÄ-ÖØ-öø-ü]{1,40}( [a-z]{1,9}){0,2}".prop_map(|text| Name::try_from(text).unwrap())
}

fn succession() -> impl Strategy<Value = Option<bodies::Succession>> {
    proptest::option::of((1..u64::MAX, any::<[u8; 32]>(), any::<u64>()).prop_map(
        |(sequence, previous, overlap_ends)| bodies::Succession {
            sequence,
            previous: Sha256Digest::from_bytes(previous),
            overlap_ends,
        },
    ))
}

fn part() -> impl Strategy<Value = Part> {
    let text = || "[ -~]{0,20}";
    (
        "[a-z]{1,8}(/[a-zß ]{1,8}){0,3}",
        text(),
        any::<(u64, u64, [u8; 32])>(),
        (text(), text(), text(), text(), text()),
        any::<Option<i64>>(),
    )
        .prop_map(
            |(name, media_type, (offset, length, hash), (fhir, study, series, date, last_date), modified)| {
                Part {
                    name: PartName::try_from(name).unwrap(),
                    media_type,
                    offset,
                    length,
                    sha256: Sha256Digest::from_bytes(hash),
                    clinical: Clinical {
                        fhir_resource_type: fhir,
                        dicom_study_uid: study,
                        dicom_series_uid: series,
                        date,
                        last_date,
                    },
                    modified,
                }
            },
        )
}

fn released() -> impl Strategy<Value = VersionLeaves> {
    (exposed(), vec((0_u32..1000, 0_u32..9), 0..5)).prop_map(|(version, added)| {
        let mut leaves = LeafRanges::default();
        added
            .into_iter()
            .for_each(|(first, count)| leaves.add(first, count));
        VersionLeaves {
            version_id: version.version_id,
            record_id: version.record_id,
            leaves,
        }
    })
}

fn exposed() -> impl Strategy<Value = ExposedVersion> {
    any::<([u8; 16], [u8; 16])>().prop_map(|(version, record)| ExposedVersion {
        version_id: VersionId::from_bytes(version),
        record_id: RecordId::from_bytes(record),
    })
}

fn closed() -> impl Strategy<Value = Collection> {
    any::<([u8; 16], u64)>().prop_map(|(id, epoch)| Collection {
        id: CollectionId::from_bytes(id),
        epoch,
    })
}

fn purpose() -> impl Strategy<Value = Option<Purpose>> {
    proptest::option::of(proptest::sample::select(Purpose::all().collect::<Vec<_>>()))
}

fn tags() -> impl Strategy<Value = RecordTags> {
    (vec(any::<[u8; 16]>(), 35), any::<[u8; 16]>()).prop_map(|(tokens, version)| {
        let tokens: Vec<_> = tokens.into_iter().map(Token::from_bytes).collect();
        RecordTags::new(&tokens, &version.as_slice().try_into().unwrap()).unwrap()
    })
}

fn conditions() -> impl Strategy<Value = SealedConditions> {
    let group = vec(any::<[u8; 16]>(), 1..9)
        .prop_map(|tokens| TokenGroup::new(tokens.into_iter().map(Token::from_bytes).collect()).unwrap());
    (vec(group, 1..4), vec(any::<u8>(), 72 + 64)).prop_map(|(groups, sealed)| SealedConditions {
        groups,
        sealed: sealed.into(),
    })
}

/// A strategy for a body, field by field: `hash` and `id` are arbitrary bytes, the rest as named.
macro_rules! strategy {
    ($($name:ident: $body:ident { $($field:ident: $kind:tt),* $(,)? } $(- $none:ident)?)*) => {$(
        pub(crate) fn $name() -> impl Strategy<Value = bodies::$body> {
            let arbitrary = (any::<u64>(), ($(strategy!(@ $kind).boxed(),)*));
            arbitrary.prop_map(|(created, ($($field,)*))| bodies::$body {
                created, $($field: strategy!(= $kind $field),)* $($none: None)?
            })
        }
    )*};
    (@ id16) => { any::<[u8; 16]>() };
    (@ id32) => { any::<[u8; 32]>() };
    (@ option32) => { proptest::option::of(any::<[u8; 32]>().prop_map(InstitutionId::from_bytes)) };
    (@ option16) => { proptest::option::of(any::<[u8; 16]>().prop_map(VersionId::from_bytes)) };
    (@ number) => { any::<u64>() };
    (@ flag) => { any::<bool>() };
    (@ count) => { any::<u32>() };
    (@ hashes) => { vec(any::<[u8; 32]>().prop_map(Sha256Digest::from_bytes), 0..5) };
    (@ key) => { key() };
    (@ recipient) => { recipient() };
    (@ sealed) => { sealed() };
    (@ name) => { name() };
    (@ purpose) => { purpose() };
    (@ head) => { head() };
    (@ tags) => { tags() };
    (@ succession) => { succession() };
    (@ parts) => { vec(part(), 0..5) };
    (@ count) => { any::<u32>() };
    (@ released) => { vec(released(), 0..4) };
    (@ exposed) => { vec(exposed(), 0..4) };
    (@ closed) => { vec(closed(), 0..4) };
    (= id16 $field:ident) => { $field.as_slice().try_into().unwrap() };
    (= id32 $field:ident) => { $field.as_slice().try_into().unwrap() };
    (= $kind:tt $field:ident) => { $field };
}

strategy! {
    device_certificate: DeviceCertificate { patient_id: id32, device_key: key, recipient_key_hash: id32 }
    accreditation_request: AccreditationRequest { name: name, identity_key: key, recipient_key: recipient }
    accreditation: Accreditation {
        registrar_id: id32, institution_id: id32, name: name, recipient_key_hash: id32, secret_hash: id32,
        emergency: flag,
    }
    institution_keys: InstitutionKeys {
        operator_id: id32, name: name, identity_key: key, recipient_key: recipient, accreditation_hash: id32,
        succession: succession,
    }
    terminal_request: TerminalRequest { name: name, terminal_key: key, recipient_key: recipient }
    terminal_certificate: TerminalCertificate {
        operator_id: id32, institution_id: id32, name: name, terminal_key: key, recipient_key: recipient, not_after: number,
    }
    terminal_removal: TerminalRemoval { operator_id: id32, institution_id: id32, terminal_id: id32 }
    retirement: Retirement { operator_id: id32, institution_id: id32, entry_hash: id32 }
    withdrawal: Withdrawal { registrar_id: id32, institution_id: id32 }
    program: Program {
        registrar_id: id32, name: name, version: name, target: name, source: name, toolchain: name, file_hash: id32,
    }
    restoration: Restoration {
        operator_id: id32, registrar_id: id32, generation: number, size: number, root: id32, seen: number, until: number,
    }
    upload_request: UploadRequest {
        operator_id: id32, request_id: id16, patient_id: id32, institution_id: id32, expires: number, text: sealed,
    }
    download_request: DownloadRequest {
        operator_id: id32, request_id: id16, institution_id: id32, patient_id: id32, expires: number, text: sealed,
        root_epoch: number, purpose: purpose,
    }
    reference_request: ReferenceRequest {
        operator_id: id32, request_id: id16, institution_id: id32, second_institution_id: id32, patient_id: id32,
        expires: number, text: sealed, root_epoch: number, purpose: purpose,
    }
    denial: Denial { request_id: id16, request_hash: id32, patient_id: id32, institution_id: id32, text: sealed }
    note: Note {
        note_id: id16, permission_id: id16, permission_hash: id32, patient_id: id32, institution_id: id32, text: sealed,
    }
    revocation: Revocation { permission_id: id16, permission_hash: id32, patient_id: id32 }
    placement: Placement {
        patient_id: id32, record_id: id16, version_id: id16, content_root: id32, stream_len: number,
        collection_id: id16, number: number, tags: tags,
    }
    reseal: Reseal {
        patient_id: id32, record_id: id16, replaces: id16, version_id: id16, content_root: id32, manifest_hash: id32,
    }
    recovery_shares: RecoveryShares {
        patient_id: id32, recovery_key: key, threshold: count, commitments: hashes,
    }
    standby_ticket: StandbyTicket {
        operator_id: id32, upload_id: id16, permission_id: id16, patient_id: id32, institution_id: id32,
        record_id: id16, version_id: id16, bytes: number, expires: number,
    }
    release_ticket: ReleaseTicket {
        operator_id: id32, release_id: id16, permission_id: id16, patient_id: id32, institution_id: id32,
        bytes: number, expires: number, presentation_hash: id32,
    }
    headless_receipt: UploadReceipt {
        operator_id: id32, upload_id: id16, permission_id: id16, patient_id: id32, institution_id: id32,
        record_id: id16, version_id: id16, content_root: id32, stream_len: number,
        sealed_manifest_hash: id32, presentation_hash: id32, replaces: option16,
    } - vault_head
    release_receipt: ReleaseReceipt {
        operator_id: id32, release_id: id16, permission_id: id16, patient_id: id32, institution_id: id32,
        bytes: number, presentation_hash: id32, released_hash: id32, vault_head: head,
    }
    emergency_opening: EmergencyOpening {
        operator_id: id32, opening_id: id16, patient_id: id32, institution_id: id32, card_key: key,
    }
    emergency_help: EmergencyHelp {
        operator_id: id32, help_id: id16, patient_id: id32, guardian_id: id32, institution_id: id32, card_key: key,
        half: sealed,
    }
    emergency_objection: EmergencyObjection { operator_id: id32, help_id: id16, patient_id: id32 }
    vault_head: VaultHead {
        operator_id: id32, patient_id: id32, sequence: number, previous_hash: id32, acts: number, root: id32,
        log_salt_hash: id32, log_size: number,
    }
    vault_key_statement: VaultKeyStatement { patient_id: id32, root_epoch: number, vault_key: recipient }
    invitation: Invitation {
        operator_id: id32, institution_id: option32, invitation_id: id16, uses: count, expires: number,
    }
    epoch_closure: EpochClosure { patient_id: id32, collection_id: id16, epoch: number }
    record_deletion: RecordDeletion { patient_id: id32, record_id: id16, version_id: id16 }
    take_back: TakeBack {
        operator_id: id32, patient_id: id32, institution_id: id32, record_id: id16, version_id: id16, receipt_hash: id32,
    }
    index_segment: IndexSegment {
        patient_id: id32, generation: number, number: number, previous: id32, through: number, epoch: number,
        sealed_hash: id32,
    }
    revocation_receipt: RevocationReceipt {
        operator_id: id32, permission_id: id16, patient_id: id32, institution_id: id32, revocation_hash: id32,
        releases: count, releases_hash: id32,
    }
    revocation_certificate: RevocationCertificate {
        patient_id: id32, permission_id: id16, permission_hash: id32, institution_id: id32,
        released: released, exposed: exposed, closed: closed, resealed: exposed,
    }
    record_manifest: RecordManifest {
        patient_id: id32, record_id: id16, version_id: id16, institution_id: id32, permission_id: id16,
        content_root: id32, plaintext_len: number, parts: parts,
    }
}

/// Another permission's id.
fn another(id: PermissionId) -> PermissionId {
    PermissionId::from_bytes(id.as_bytes().map(|byte| !byte))
}

pub(crate) fn device_list() -> impl Strategy<Value = DeviceList> {
    let device = (
        key(),
        any::<[u8; 32]>(),
        any::<bool>(),
        vec(any::<u8>(), 1..MAX_SEALED_NAME),
    );
    let devices = vec(device, 1..=MAX_DEVICES);
    (devices, recipient(), any::<[[u8; 32]; 3]>(), any::<[u64; 4]>()).prop_map(
        |(devices, vault_key, [patient, before, signer], [created, sequence, root_epoch, last_placement])| {
            let device =
                |(number, (device_key, recipient, recovery, name)): (usize, (_, _, bool, Vec<u8>))| {
                    ListedDevice {
                        device_key,
                        recipient_key_hash: Sha256Digest::from_bytes(recipient),
                        kind: if recovery && number > 0 {
                            DeviceKind::Recovery
                        } else {
                            DeviceKind::Device
                        },
                        sealed_name: name.into(),
                    }
                };
            let devices: Vec<_> = devices.into_iter().enumerate().map(device).collect();
            let recovery = devices.iter().filter(|device| device.is_for_recovery());
            let mut leaving: Vec<_> = recovery.map(ListedDevice::id).collect();
            leaving.sort_unstable();
            DeviceList {
                created,
                patient_id: PatientId::from_bytes(patient),
                sequence,
                previous_hash: Sha256Digest::from_bytes(before),
                signer: DeviceId::from_bytes(signer),
                root_epoch,
                vault_key,
                last_placement,
                devices,
                leaving,
            }
        },
    )
}

pub(crate) fn permission() -> impl Strategy<Value = PermissionBody> {
    let kind = prop_oneof![Just(Kind::Upload), Just(Kind::Download), Just(Kind::Reference)];
    let records = proptest::collection::hash_map(
        any::<[u8; 16]>(),
        (any::<([u8; 16], [u8; 32])>(), 0..1_u64 << 40),
        1..5,
    );
    let collection = proptest::option::of((any::<[u8; 16]>(), any::<u64>(), any::<u64>()).prop_map(
        |(id, epoch, until)| CollectionSelector {
            collection: Collection {
                id: CollectionId::from_bytes(id),
                epoch,
            },
            until: (until != 0).then_some(until),
        },
    ));
    (
        kind,
        (records, collection, purpose(), proptest::option::of(conditions())),
        release_ticket(),
        any::<[[u8; 32]; 3]>(),
        key(),
        1_u64..u64::MAX,
        1..u32::MAX,
    )
        .prop_map(
            |(
                kind,
                (records, collection, purpose, conditions),
                ticket,
                [entry, recipient, request],
                possession_key,
                not_after,
                uses,
            )| {
                let collection = collection.filter(|_| kind != Kind::Upload);
                let conditions = conditions.filter(|_| kind != Kind::Upload);
                let conditions = conditions.map(|mut conditions| {
                    if collection.is_none() {
                        conditions.groups.clear();
                    }
                    conditions
                });
                PermissionBody {
                    created: ticket.created,
                    operator_id: ticket.operator_id,
                    permission_id: ticket.permission_id,
                    kind,
                    patient_id: ticket.patient_id,
                    institution_id: ticket.institution_id,
                    directory_entry_hash: Sha256Digest::from_bytes(entry),
                    recipient_key_hash: Sha256Digest::from_bytes(recipient),
                    records: records
                        .into_iter()
                        .filter(|_| kind != Kind::Upload && collection.is_none())
                        .map(|(version, ((record, root), plaintext))| RecordSelector {
                            record_id: record.as_slice().try_into().unwrap(),
                            version_id: version.as_slice().try_into().unwrap(),
                            content_root: ContentRoot::from_bytes(root),
                            stream_len: stream_len(plaintext),
                        })
                        .collect(),
                    collection,
                    not_before: ticket.created % not_after,
                    not_after,
                    uses,
                    bytes: ticket.bytes.max(1),
                    request_hash: Sha256Digest::from_bytes(request),
                    possession_key,
                    replaces: (uses % 2 == 0).then_some(Replaces {
                        permission_id: another(ticket.permission_id),
                        permission_hash: Sha256Digest::from_bytes(request),
                        uses_left: uses,
                        bytes_left: ticket.bytes,
                        signed_again: uses % 4 == 0,
                    }),
                    purpose: purpose.filter(|_| kind != Kind::Upload),
                    conditions,
                    vault_head: Some(HeadRef {
                        sequence: ticket.bytes,
                        hash: Sha256Digest::from_bytes(entry),
                    }),
                    delegation: None,
                    emergency: None,
                }
            },
        )
        .prop_map(|body| {
            if body.uses.is_multiple_of(5) {
                in_emergencies(body)
            } else {
                body
            }
        })
}

/// The same for emergencies, opened by a card or a guardian.
fn in_emergencies(body: PermissionBody) -> PermissionBody {
    let guardian = GuardianTerms {
        guardian_id: PatientId::from_bytes(*body.recipient_key_hash.as_bytes()),
        wait: MIN_WAIT + body.not_before % (MAX_WAIT - MIN_WAIT),
    };
    PermissionBody {
        kind: Kind::Emergency,
        institution_id: ANY_INSTITUTION,
        directory_entry_hash: NOTHING,
        request_hash: NOTHING,
        records: Vec::new(),
        collection: Some(CollectionSelector {
            collection: Collection {
                id: CollectionId::EMERGENCY,
                epoch: body.not_before,
            },
            until: None,
        }),
        purpose: None,
        conditions: None,
        delegation: None,
        emergency: Some(EmergencyTerms {
            card_key: body.possession_key,
            share_hash: body.recipient_key_hash,
            guardian: body.uses.is_multiple_of(2).then_some(guardian),
        }),
        ..body
    }
}

/// One field more than a tuple of strategies has room for.
pub(crate) fn upload_receipt() -> impl Strategy<Value = bodies::UploadReceipt> {
    (headless_receipt(), head()).prop_map(|(receipt, vault_head)| bodies::UploadReceipt {
        vault_head,
        ..receipt
    })
}

fn head() -> impl Strategy<Value = Option<HeadRef>> {
    proptest::option::of(any::<(u64, [u8; 32])>().prop_map(|(sequence, hash)| HeadRef {
        sequence,
        hash: Sha256Digest::from_bytes(hash),
    }))
}

pub(crate) fn delegation() -> impl Strategy<Value = bodies::Delegation> {
    let collections = vec(any::<[u8; 16]>(), 1..5).prop_map(|ids| {
        let ids = ids.into_iter().map(CollectionId::from_bytes);
        Scope::new(ids.filter(|id| *id != CollectionId::OWN).collect())
    });
    let name = prop_oneof![Just(136), Just(200), Just(328)].prop_flat_map(|length| vec(any::<u8>(), length));
    (
        any::<[[u8; 32]; 3]>(),
        any::<([u8; 16], bool)>(),
        collections.prop_filter_map("own alone", Result::ok),
        any::<[u64; 4]>(),
        name,
    )
        .prop_map(
            |(
                [operator, patient, delegate],
                (id, permit),
                collections,
                [created, not_before, not_after, root_epoch],
                name,
            )| {
                bodies::Delegation {
                    created,
                    operator_id: operator.as_slice().try_into().unwrap(),
                    delegation_id: id.as_slice().try_into().unwrap(),
                    patient_id: PatientId::from_bytes(patient),
                    delegate_id: PatientId::from_bytes(delegate),
                    power: if permit { Power::Permit } else { Power::Read },
                    collections,
                    not_before,
                    not_after,
                    root_epoch,
                    sealed_name: SealedName::try_from(name).unwrap(),
                }
            },
        )
}

pub(crate) fn delegated_key() -> impl Strategy<Value = bodies::DelegatedKey> {
    (
        any::<[[u8; 32]; 2]>(),
        any::<[u8; 16]>(),
        any::<[u64; 3]>(),
        sealed(),
    )
        .prop_map(
            |([patient, delegation], collection, [created, epoch, root_epoch], key)| bodies::DelegatedKey {
                created,
                patient_id: PatientId::from_bytes(patient),
                delegation_hash: Sha256Digest::from_bytes(delegation),
                collection_id: CollectionId::from_bytes(collection),
                epoch,
                root_epoch,
                key,
            },
        )
}

pub(crate) fn delegation_end() -> impl Strategy<Value = bodies::DelegationEnd> {
    let last = vec(any::<([u8; 16], u64)>(), 0..4);
    (any::<[[u8; 32]; 2]>(), any::<[u8; 16]>(), any::<u64>(), last).prop_map(
        |([patient, delegation], id, created, last)| bodies::DelegationEnd {
            last: last
                .into_iter()
                .map(|(id, epoch)| Collection {
                    id: CollectionId::from_bytes(id),
                    epoch,
                })
                .collect(),
            created,
            patient_id: PatientId::from_bytes(patient),
            delegation_id: id.as_slice().try_into().unwrap(),
            delegation_hash: Sha256Digest::from_bytes(delegation),
        },
    )
}
