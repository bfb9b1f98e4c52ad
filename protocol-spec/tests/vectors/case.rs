//! One case: what is checked, with what, and what must come out.

pub(crate) use actors::vectors::Hex;
use actors::vectors::Run;
pub(crate) use actors::vectors::hex;
use http::{HeaderMap, HeaderName, HeaderValue};
use protocol_spec::{
    Error, bodies, content,
    delegation::VerifiedDelegation,
    devices::{DeviceHistory, DeviceList, verify_newest},
    directory::Institution,
    emergency::Opening,
    field::Name,
    file_names::{FileNames, check_sent},
    hash::{ContentRoot, LeafHash, Sha256Digest},
    ids,
    keys::{IdentityKey, RecipientKey},
    link::{Fingerprint, ServerLink},
    manifest::PartName,
    messages as pb,
    names::Look,
    patient::{DeviceChain, OfPatient, PatientSigned},
    permission::SignedPermission,
    provenance::SealedManifest,
    request::{RequestSignature, SignatureLabel, Target},
    statement::{Body, Signed},
    vault_head::Acts,
};
use serde::{Deserialize, Serialize};

/// One file of `vectors/`.
pub(crate) type Case = actors::vectors::Case<Check>;

/// An event of a directory, and its place in the log.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MirrorEvent {
    pub(crate) index: u64,
    pub(crate) entry: Hex,
}

/// What is checked, and its inputs. Messages are encoded protobuf.
#[derive(Serialize, Deserialize)]
#[serde(
    tag = "check",
    content = "inputs",
    rename_all = "kebab-case",
    deny_unknown_fields
)]
pub(crate) enum Check {
    /// A statement under a key; gives the SHA-256 of its body.
    Statement { body: String, key: Hex, statement: Hex },
    /// A patient's statement with its chain; gives the SHA-256 of its body.
    PatientStatement { body: String, patient_statement: Hex },
    /// A delegation with its chain; gives the SHA-256 of its body.
    Delegation { delegation: Hex },
    /// A device chain for a patient; gives the device key.
    Device { patient: Hex, chain: Hex },
    /// Lists of devices from the first on; gives the ids of the newest one's devices.
    DeviceLists { identity_key: Hex, lists: Vec<Hex> },
    /// The newest list alone, with its signer's chain; gives the SHA-256 of its body.
    NewestList { patient: Hex, list: Hex, signer: Hex },
    /// A directory entry and the secret of an enrolment; gives the entry's hash.
    Directory {
        entry: Hex,
        registrar_key: Hex,
        operator: Hex,
        secret: Hex,
    },
    /// An entry and the one before it; gives the entry's hash.
    Succession {
        previous: Hex,
        entry: Hex,
        registrar_key: Hex,
        operator: Hex,
    },
    /// A download request in the name of an entry's institution; gives the SHA-256 of its body.
    TerminalStatement {
        entry: Hex,
        registrar_key: Hex,
        operator: Hex,
        statement: Hex,
    },
    /// An opening in an emergency by the institution of a directory entry, signed by the card's key too; gives the
    /// SHA-256 of its body.
    Opening {
        entry: Hex,
        registrar_key: Hex,
        operator: Hex,
        opening: Hex,
    },
    /// A vault head's body and all acts, 49 bytes each; gives the SHA-256 of the body.
    VaultHead { acts: Hex, head: Hex },
    /// A permission with its chain; gives the SHA-256 of its body.
    Permission { permission: Hex },
    /// A request's signature at a time in seconds; gives the signature base.
    Request {
        method: String,
        authority: String,
        uri: String,
        headers: Vec<(String, String)>,
        label: String,
        key: Hex,
        now: u64,
    },
    /// An id's text; gives its bytes.
    Id { kind: String, text: String },
    /// A server link; gives its authority and fingerprint.
    Link { text: String },
    /// A fingerprint over keys and the certificate's hash, which may be absent; gives its text.
    Fingerprint {
        operator_key: Hex,
        registrar_key: Hex,
        certificate_hash: Option<Hex>,
    },
    /// A public key; gives its SHA-256.
    Ed25519Key { key: Hex },
    /// The same for an X-Wing key.
    XWingKey { key: Hex },
    /// A vault's salt and a statement; gives salt ‖ tag ‖ the leaf's entry.
    LogMark { vault_salt: Hex, body_hash: Hex },
    /// An entry of the log; gives its kind.
    LogEntry { entry: Hex },
    /// A log proof; gives the checkpoint's size.
    LogInclusion {
        body_hash: Hex,
        proof: Hex,
        operator_key: Hex,
    },
    /// Two checkpoints; gives the sizes.
    LogConsistency {
        old: String,
        new: String,
        path: Vec<Hex>,
        operator_key: Hex,
    },
    /// Events of a directory in their order, and a checkpoint, whose root means nothing here; gives institutions and leaves.
    Mirror {
        events: Vec<MirrorEvent>,
        note: String,
        registrar_key: Hex,
        operator_key: Hex,
    },
    /// A note's key; gives its id.
    NoteKey { vkey: String },
    /// A note, and a key that must have signed it; gives the SHA-256 of its text.
    SignedNote { note: String, vkey: String },
    /// A checkpoint, and its log's key; gives size and root.
    Checkpoint { note: String, vkey: String },
    /// The same, and a witness's key; gives the time of the cosignature, or `none`.
    Cosignature {
        note: String,
        vkey: String,
        witness: String,
    },
    /// The same, a policy and a time in seconds; gives the size if the quorum has cosigned it since then.
    WitnessPolicy {
        policy: String,
        note: String,
        vkey: String,
        since: u64,
    },
    /// The name of a tile; gives kind, number and width.
    TilePath { text: String },
    /// An entry bundle that must have so many entries; gives their lengths.
    EntryBundle { bundle: Hex, width: u64 },
    /// An offline proof of a leaf; gives the checkpoint's size.
    TlogProof { proof: String, leaf: Hex, vkey: String },
    /// Stream length of a plaintext length.
    StreamLength { plaintext: u64 },
    /// Plaintext length of a stream length.
    PlaintextLength { stream: u64 },
    /// Padmé of a length.
    Padme { length: u64 },
    /// Content root of a stream whose byte i is i mod 251, by its leaves.
    ContentRoot { length: u64 },
    /// Content root of leaf hashes.
    LeafHashes { hashes: Vec<Hex> },
    /// A manifest's body, unsigned; gives the names.
    Manifest { body: Hex },
    /// What a manifest stream holds, against the directory's entry and the body of the operator's receipt; gives the hash of the manifest.
    Provenance {
        sealed: Hex,
        entry: Hex,
        registrar_key: Hex,
        operator: Hex,
        receipt: Hex,
    },
    /// The name of a part.
    PartName { name: String },
    /// A name that people decide by.
    Name { text: String },
    /// Whether people take one name for the other; gives `alike` or `apart`.
    Alike { first: String, second: String },
    /// The names of all parts, as a sender may give them.
    SentNames { names: Vec<String> },
    /// Under which names a reader writes them, line by line.
    FileNames { names: Vec<String> },
}

fn part_names(names: &[String]) -> Result<Vec<PartName>, Error> {
    names
        .iter()
        .map(|name| PartName::try_from(name.clone()))
        .collect()
}

impl Run for Check {
    type Error = Error;

    fn run(&self) -> Result<String, Error> {
        match self {
            Self::Statement { body, key, statement } => statement_hash(body, &identity(key)?, statement),
            Self::PatientStatement {
                body,
                patient_statement,
            } => patient_hash(body, patient_statement),
            Self::Delegation { delegation } => {
                let signed = PatientSigned::try_from(pb::decode::<pb::PatientStatement>(&delegation.0)?)?;
                Ok(hex(VerifiedDelegation::verify(signed)?.hash().as_bytes()))
            }
            Self::Device { patient, chain } => {
                let device = device_chain(chain)?.verify(patient.0.as_slice().try_into()?)?;
                Ok(hex(device.key().as_bytes()))
            }
            Self::DeviceLists { identity_key, lists } => {
                let list = |bytes: &Hex| Signed::try_from(pb::decode::<pb::Statement>(&bytes.0)?);
                let (first, others) = lists.split_first().unwrap();
                let mut history = DeviceHistory::begin(list(first)?, &identity(identity_key)?)?;
                for bytes in others {
                    history.extend(list(bytes)?)?;
                }
                let ids = history
                    .newest()
                    .devices
                    .iter()
                    .map(|device| device.id().to_string());
                Ok(ids.collect::<Vec<_>>().join(" "))
            }
            Self::NewestList {
                patient,
                list,
                signer,
            } => {
                let list = Signed::try_from(pb::decode::<pb::Statement>(&list.0)?)?;
                let patient = patient.0.as_slice().try_into()?;
                let list = verify_newest(list, device_chain(signer)?, patient)?;
                Ok(hex(list.hash().as_bytes()))
            }
            Self::Directory {
                entry,
                registrar_key,
                operator,
                secret,
            } => {
                let entry = pb::decode(&entry.0)?;
                let operator = operator.0.as_slice().try_into()?;
                let institution = Institution::from_entry(entry, &identity(registrar_key)?, operator)?;
                institution.check_secret(&secret.0)?;
                Ok(hex(institution.entry_hash().as_bytes()))
            }
            Self::Succession {
                previous,
                entry,
                registrar_key,
                operator,
            } => {
                let read = |entry: &Hex| {
                    let operator = operator.0.as_slice().try_into()?;
                    Institution::from_entry(pb::decode(&entry.0)?, &identity(registrar_key)?, operator)
                };
                let entry = read(entry)?;
                entry.check_succeeds(&read(previous)?.link())?;
                Ok(hex(entry.entry_hash().as_bytes()))
            }
            Self::TerminalStatement {
                entry,
                registrar_key,
                operator,
                statement,
            } => {
                let operator = operator.0.as_slice().try_into()?;
                let institution =
                    Institution::from_entry(pb::decode(&entry.0)?, &identity(registrar_key)?, operator)?;
                let statement = pb::decode::<pb::Statement>(&statement.0)?;
                let request = Signed::<bodies::DownloadRequest>::try_from(statement)?;
                Ok(hex(request.verify_by(&institution)?.hash().as_bytes()))
            }
            Self::Opening {
                entry,
                registrar_key,
                operator,
                opening,
            } => {
                let operator = operator.0.as_slice().try_into()?;
                let institution =
                    Institution::from_entry(pb::decode(&entry.0)?, &identity(registrar_key)?, operator)?;
                let opening = Opening::verify(&pb::decode(&opening.0)?, &institution)?;
                Ok(hex(opening.statement().hash().as_bytes()))
            }
            Self::VaultHead { acts, head } => {
                let mut known = Acts::default();
                known.extend(&acts.0)?;
                let hash = Sha256Digest::of(&head.0);
                known.check_newest(&bodies::VaultHead::decode(&head.0)?, &hash)?;
                Ok(hex(hash.as_bytes()))
            }
            Self::Permission { permission } => {
                let permission: pb::Permission = pb::decode(&permission.0)?;
                Ok(hex(SignedPermission::try_from(permission)?
                    .verify()?
                    .hash()
                    .as_bytes()))
            }
            Self::Request { .. } => self.request(),
            Self::Id { kind, text } => id_bytes(kind, text),
            Self::Link { text } => {
                let link: ServerLink = text.parse()?;
                Ok(format!("{} {}", link.authority(), link.fingerprint()))
            }
            Self::Fingerprint {
                operator_key,
                registrar_key,
                certificate_hash,
            } => {
                let hash = certificate_hash.as_ref().map(digest).transpose()?;
                Ok(
                    Fingerprint::of(&identity(operator_key)?, &identity(registrar_key)?, hash.as_ref())
                        .to_string(),
                )
            }
            Self::Ed25519Key { key } => {
                identity(key).map(|key| hex(Sha256Digest::of(key.as_bytes()).as_bytes()))
            }
            Self::XWingKey { key } => {
                RecipientKey::try_from(key.0.as_slice()).map(|key| hex(key.digest().as_bytes()))
            }
            Self::LogMark { .. }
            | Self::LogEntry { .. }
            | Self::LogInclusion { .. }
            | Self::LogConsistency { .. }
            | Self::Mirror { .. }
            | Self::NoteKey { .. }
            | Self::SignedNote { .. }
            | Self::Checkpoint { .. }
            | Self::Cosignature { .. }
            | Self::WitnessPolicy { .. }
            | Self::TilePath { .. }
            | Self::EntryBundle { .. }
            | Self::TlogProof { .. } => crate::log::run(self),
            Self::Provenance {
                sealed,
                entry,
                registrar_key,
                operator,
                receipt,
            } => {
                let operator = operator.0.as_slice().try_into()?;
                let institution =
                    Institution::from_entry(pb::decode(&entry.0)?, &identity(registrar_key)?, operator)?;
                let receipt = bodies::UploadReceipt::decode(&receipt.0)?;
                let manifest = SealedManifest::decode(&sealed.0)?.verify(&institution, &receipt)?;
                Ok(hex(manifest.hash().as_bytes()))
            }
            Self::Manifest { body } => {
                let manifest = bodies::RecordManifest::decode(&body.0)?;
                manifest.check_parts()?;
                let names: Vec<_> = manifest.parts.iter().map(|part| part.name.as_str()).collect();
                Ok(names.join("\n"))
            }
            Self::PartName { name } => PartName::try_from(name.clone()).map(|name| name.as_str().to_owned()),
            Self::Name { text } => Name::try_from(text.clone()).map(|name| name.as_str().to_owned()),
            Self::Alike { first, second } => {
                let alike = Look::of(first).is_like(&Look::of(second));
                Ok(if alike { "alike" } else { "apart" }.to_owned())
            }
            Self::SentNames { names } => {
                let names = part_names(names)?;
                let sent = check_sent(names.iter());
                sent.map_err(|_| Error::Field { field: "part name" })?;
                Ok(names.len().to_string())
            }
            Self::FileNames { names } => {
                let mut files = FileNames::default();
                let places = part_names(names)?
                    .iter()
                    .map(|name| files.place(name))
                    .collect::<Vec<_>>();
                Ok(places.join("\n"))
            }
            _ => self.geometry(),
        }
    }

    fn class(error: &Error) -> &'static str {
        match error {
            Error::Decode { .. }
            | Error::Length { .. }
            | Error::Field { .. }
            | Error::Name { .. }
            | Error::IdText { .. }
            | Error::Note { .. }
            | Error::Policy { .. } => "malformed",
            Error::Version { .. } => "unsupported version",
            Error::DegenerateKey { .. } => "degenerate key",
            Error::Signature => "bad signature",
            Error::Mismatch { .. } => "mismatch",
            Error::DeviceList { .. } => "device list",
            Error::VaultHead { .. } => "vault head",
            Error::RequestSignature { .. } => "request signature",
            Error::LogProof => "log proof",
            Error::Witnesses { .. } => "too few witnesses",
            Error::Link { .. } => "link",
            _ => "unknown",
        }
    }
}

impl Check {
    fn request(&self) -> Result<String, Error> {
        let Self::Request {
            method,
            authority,
            uri,
            headers,
            label,
            key,
            now,
        } = self
        else {
            unreachable!()
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                value.parse::<HeaderValue>().unwrap(),
            );
        }
        let (method, uri) = (method.parse().unwrap(), uri.parse().unwrap());
        let target = Target {
            method: &method,
            authority,
            uri: &uri,
            headers: &map,
        };
        let label = if label == "id" {
            SignatureLabel::Id
        } else {
            SignatureLabel::Pop
        };
        let signature = RequestSignature::parse(&target, label)?;
        signature.check_time(*now)?;
        signature.verify(&identity(key)?)?;
        target.signature_base(&signature.params)
    }

    fn geometry(&self) -> Result<String, Error> {
        match self {
            Self::StreamLength { plaintext } => Ok(content::stream_len(*plaintext).to_string()),
            Self::PlaintextLength { stream } => {
                content::plaintext_len(*stream).map(|length| length.to_string())
            }
            Self::Padme { length } => Ok(content::padme(*length).to_string()),
            Self::ContentRoot { length } => stream_root(*length).map(|root| hex(root.as_bytes())),
            Self::LeafHashes { hashes } => {
                let hashes: Result<Vec<_>, _> =
                    hashes.iter().map(|hash| hash.0.as_slice().try_into()).collect();
                content::content_root(&hashes?).map(|root| hex(root.as_bytes()))
            }
            _ => unreachable!(),
        }
    }
}

fn stream_root(length: u64) -> Result<ContentRoot, Error> {
    let stream: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
    if content::leaf_count(length) < 2 {
        return Ok(content::single_leaf_root(&stream));
    }
    let leaves = stream
        .chunks(1 << 20)
        .zip(0..)
        .map(|(leaf, index)| content::leaf_hash(index, leaf));
    content::content_root(&leaves.collect::<Vec<LeafHash>>())
}

fn statement_hash(body: &str, key: &IdentityKey, statement: &Hex) -> Result<String, Error> {
    fn hash<T: Body>(key: &IdentityKey, statement: &Hex) -> Result<String, Error> {
        let signed = Signed::<T>::try_from(pb::decode::<pb::Statement>(&statement.0)?)?;
        Ok(hex(signed.verify(key)?.hash().as_bytes()))
    }
    match body {
        "DeviceCertificateBody" => hash::<bodies::DeviceCertificate>(key, statement),
        "DeviceListBody" => hash::<DeviceList>(key, statement),
        "VaultKeyBody" => hash::<bodies::VaultKeyStatement>(key, statement),
        "InvitationBody" => hash::<bodies::Invitation>(key, statement),
        "AccreditationRequestBody" => hash::<bodies::AccreditationRequest>(key, statement),
        "AccreditationBody" => hash::<bodies::Accreditation>(key, statement),
        "InstitutionKeysBody" => hash::<bodies::InstitutionKeys>(key, statement),
        "TerminalRequestBody" => hash::<bodies::TerminalRequest>(key, statement),
        "TerminalCertificateBody" => hash::<bodies::TerminalCertificate>(key, statement),
        "TerminalRemovalBody" => hash::<bodies::TerminalRemoval>(key, statement),
        "RetirementBody" => hash::<bodies::Retirement>(key, statement),
        "ProgramBody" => hash::<bodies::Program>(key, statement),
        "RestorationBody" => hash::<bodies::Restoration>(key, statement),
        "WithdrawalBody" => hash::<bodies::Withdrawal>(key, statement),
        "UploadRequestBody" => hash::<bodies::UploadRequest>(key, statement),
        "DownloadRequestBody" => hash::<bodies::DownloadRequest>(key, statement),
        "ReferenceRequestBody" => hash::<bodies::ReferenceRequest>(key, statement),
        "DenialBody" => hash::<bodies::Denial>(key, statement),
        "NoteBody" => hash::<bodies::Note>(key, statement),
        "RevocationBody" => hash::<bodies::Revocation>(key, statement),
        "PlacementBody" => hash::<bodies::Placement>(key, statement),
        "ResealBody" => hash::<bodies::Reseal>(key, statement),
        "EmergencyOpeningBody" => hash::<bodies::EmergencyOpening>(key, statement),
        "EmergencyHelpBody" => hash::<bodies::EmergencyHelp>(key, statement),
        "EmergencyObjectionBody" => hash::<bodies::EmergencyObjection>(key, statement),
        "VaultHeadBody" => hash::<bodies::VaultHead>(key, statement),
        "EpochClosureBody" => hash::<bodies::EpochClosure>(key, statement),
        "RecordDeletionBody" => hash::<bodies::RecordDeletion>(key, statement),
        "TakeBackBody" => hash::<bodies::TakeBack>(key, statement),
        "IndexSegmentBody" => hash::<bodies::IndexSegment>(key, statement),
        "RevocationCertificateBody" => hash::<bodies::RevocationCertificate>(key, statement),
        "RevocationReceiptBody" => hash::<bodies::RevocationReceipt>(key, statement),
        "RecoverySharesBody" => hash::<bodies::RecoveryShares>(key, statement),
        "DelegationBody" => hash::<bodies::Delegation>(key, statement),
        "DelegatedKeyBody" => hash::<bodies::DelegatedKey>(key, statement),
        "DelegationEndBody" => hash::<bodies::DelegationEnd>(key, statement),
        "RecordManifestBody" => hash::<bodies::RecordManifest>(key, statement),
        "StandbyTicketBody" => hash::<bodies::StandbyTicket>(key, statement),
        "ReleaseTicketBody" => hash::<bodies::ReleaseTicket>(key, statement),
        "UploadReceiptBody" => hash::<bodies::UploadReceipt>(key, statement),
        "ReleaseReceiptBody" => hash::<bodies::ReleaseReceipt>(key, statement),
        other => panic!("no body {other}"),
    }
}

fn device_chain(chain: &Hex) -> Result<DeviceChain, Error> {
    DeviceChain::try_from(Some(pb::decode::<pb::DeviceChain>(&chain.0)?))
}

fn patient_hash(body: &str, message: &Hex) -> Result<String, Error> {
    fn hash<T: OfPatient>(message: &Hex) -> Result<String, Error> {
        let signed = PatientSigned::<T>::try_from(pb::decode::<pb::PatientStatement>(&message.0)?)?;
        Ok(hex(signed.verify()?.hash().as_bytes()))
    }
    match body {
        "UploadRequestBody" => hash::<bodies::UploadRequest>(message),
        "DenialBody" => hash::<bodies::Denial>(message),
        "NoteBody" => hash::<bodies::Note>(message),
        "RevocationBody" => hash::<bodies::Revocation>(message),
        "PlacementBody" => hash::<bodies::Placement>(message),
        "ResealBody" => hash::<bodies::Reseal>(message),
        "EmergencyHelpBody" => hash::<bodies::EmergencyHelp>(message),
        "EmergencyObjectionBody" => hash::<bodies::EmergencyObjection>(message),
        "VaultHeadBody" => hash::<bodies::VaultHead>(message),
        "EpochClosureBody" => hash::<bodies::EpochClosure>(message),
        "RecordDeletionBody" => hash::<bodies::RecordDeletion>(message),
        "IndexSegmentBody" => hash::<bodies::IndexSegment>(message),
        "RevocationCertificateBody" => hash::<bodies::RevocationCertificate>(message),
        other => panic!("no patient's body {other}"),
    }
}

fn id_bytes(kind: &str, text: &str) -> Result<String, Error> {
    match kind {
        "patient" => text.parse::<ids::PatientId>().map(|id| hex(id.as_bytes())),
        "device" => text.parse::<ids::DeviceId>().map(|id| hex(id.as_bytes())),
        "link" => text.parse::<ids::LinkId>().map(|id| hex(id.as_bytes())),
        "institution" => text.parse::<ids::InstitutionId>().map(|id| hex(id.as_bytes())),
        "operator" => text.parse::<ids::OperatorId>().map(|id| hex(id.as_bytes())),
        "registrar" => text.parse::<ids::RegistrarId>().map(|id| hex(id.as_bytes())),
        "terminal" => text.parse::<ids::TerminalId>().map(|id| hex(id.as_bytes())),
        "request" => text.parse::<ids::RequestId>().map(|id| hex(id.as_bytes())),
        "permission" => text.parse::<ids::PermissionId>().map(|id| hex(id.as_bytes())),
        "record" => text.parse::<ids::RecordId>().map(|id| hex(id.as_bytes())),
        "version" => text.parse::<ids::VersionId>().map(|id| hex(id.as_bytes())),
        "delegation" => text.parse::<ids::DelegationId>().map(|id| hex(id.as_bytes())),
        "upload" => text.parse::<ids::UploadId>().map(|id| hex(id.as_bytes())),
        "release" => text.parse::<ids::ReleaseId>().map(|id| hex(id.as_bytes())),
        other => panic!("no kind {other}"),
    }
}

pub(crate) fn identity(key: &Hex) -> Result<IdentityKey, Error> {
    IdentityKey::try_from(key.0.as_slice())
}

pub(crate) fn digest(hash: &Hex) -> Result<Sha256Digest, Error> {
    Sha256Digest::try_from(hash.0.as_slice())
}
