//! One case: what is done, with what, and what must come out. The same form as the vectors that need no
//! ciphers.

use actors::vectors::Run;
pub use actors::vectors::{Hex, hex};
use crypto::{
    CardHalf, Collection, CollectionKey, ConditionsKey, DataKey, DelegatedKeyContext, Error,
    ExpectedPermission, HalfContext, HalfReader, LinkCode, LinkNonce, OpenedPermission, RecipientSecret,
    RecoverySecret, ServerHalf, TagKey, TextContext, UploadKey, VaultRootKey, WrappedKey,
    content::{Opener, RecordContext, Sealer, StreamLengths, open_manifest},
    open_accreditation, open_delegated_key, open_text,
    shares::Share,
};
use protocol_spec::{
    attributes::Attributes,
    conditions::Conditions,
    field::SealedBytes,
    hash::Sha256Digest,
    ids::{
        CollectionId, InstitutionId, PatientId, PermissionId, RecordId, RegistrarId, RequestId, VersionId,
    },
    keys::{IdentityKey, RecipientKey},
    manifest::{Clinical, Part},
    recovery::Division,
    statement::Signed,
    tags::{SealedConditions, TokenGroup},
};
use serde::{Deserialize, Serialize};

/// One file of `vectors/`.
pub type Case = actors::vectors::Case<Check>;

/// A record version and its data key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    pub data_key: Hex,
    pub patient: Hex,
    pub record: Hex,
    pub version: Hex,
}

impl Record {
    pub fn key(&self) -> DataKey {
        DataKey::from_bytes(&self.data_key.array())
    }

    pub fn context(&self) -> RecordContext {
        RecordContext {
            patient: PatientId::from_bytes(self.patient.array()),
            record: RecordId::from_bytes(self.record.array()),
            version: VersionId::from_bytes(self.version.array()),
        }
    }
}

/// What HPKE sealed, and the seed of the X-Wing key that opens it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sealed {
    pub recipient_seed: Hex,
    pub enc: Hex,
    pub ciphertext: Hex,
}

impl Sealed {
    fn recipient(&self) -> Result<RecipientSecret, Error> {
        RecipientSecret::from_seed(&self.recipient_seed.array())
    }

    fn bytes(&self) -> SealedBytes {
        SealedBytes {
            enc: self.enc.0.clone().into(),
            ciphertext: self.ciphertext.0.clone().into(),
        }
    }
}

/// A statement's exact bytes.
#[derive(Clone, Serialize, Deserialize)]
pub struct Statement {
    pub body: Hex,
    pub signature: Hex,
}

/// A share of a division, sealed to a machine that recovers.
#[derive(Clone, Serialize, Deserialize)]
pub struct ReturnedShare {
    pub number: u8,
    pub share: Sealed,
}

/// What is done, and its inputs.
#[derive(Serialize, Deserialize)]
#[serde(tag = "check", content = "inputs", rename_all = "kebab-case")]
pub enum Check {
    /// Seals the plaintext whose byte i is i mod 251 under this header; gives BLAKE3 of the stream.
    SealContent {
        key: Record,
        header: Hex,
        plaintext_len: u64,
    },
    /// Opens a stream; gives SHA-256 of the plaintext.
    OpenContent {
        key: Record,
        plaintext_len: u64,
        stream: Hex,
    },
    /// Opens a sealed manifest; gives the statement.
    OpenManifest { key: Record, sealed: Hex },
    /// The data key of a record under an upload key; gives it.
    RecordKey {
        upload_key: Hex,
        patient: Hex,
        record: Hex,
        version: Hex,
    },
    /// Opens a collection key under a vault root key; gives it.
    UnwrapCollectionKey {
        vault_root_key: Hex,
        patient: Hex,
        collection: Hex,
        epoch: u64,
        wrap: Hex,
    },
    /// Opens a data key under a collection key; gives it.
    UnwrapDataKey {
        collection_key: Hex,
        version: Hex,
        collection: Hex,
        epoch: u64,
        wrap: Hex,
    },
    /// Opens an upload key under a collection key; gives it.
    UnwrapUploadKey {
        collection_key: Hex,
        permission: Hex,
        collection: Hex,
        epoch: u64,
        wrap: Hex,
    },
    /// The secret that words say, and the keys that follow; gives secret ‖ SHA-256 of each public key.
    RecoveryWords { words: String },
    /// What a new device opens after it was answered; gives the short string, and the nonce of the answer.
    LinkShortString {
        code: String,
        device_key: Hex,
        recipient_key: Hex,
        own_nonce: Hex,
        vault_root_key: Hex,
        patient: Hex,
    },
    /// Reads the code of a patient's emergency card; gives the first half.
    EmergencyCode { code: String, patient: Hex },
    /// What follows from both halves of an emergency key; gives the card key ‖ SHA-256 of the recipient key ‖ the hash
    /// of the second half.
    EmergencyKeys { first: Hex, second: Hex, patient: Hex },
    /// Opens a first half that is sealed to a guardian or, with a help, to an institution; gives the half.
    OpenHalf {
        half: Sealed,
        patient: Hex,
        card_key: Hex,
        reader: Hex,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<Hex>,
    },
    /// Opens shares that were given back, and puts them together; gives the secret.
    CombineShares {
        division: Statement,
        shares: Vec<ReturnedShare>,
    },
    /// Opens a permission key for download or reference; gives the data keys.
    OpenPermission {
        wrap: Sealed,
        body: Hex,
        permission: Hex,
        keys: usize,
        possession_key: Hex,
    },
    /// As `open-permission`, of a body with conditions; gives the keys, the one of the conditions last.
    OpenPermissionWithConditions {
        wrap: Sealed,
        body: Hex,
        permission: Hex,
        keys: usize,
        possession_key: Hex,
    },
    /// The tags of a record version whose parts have these media types and dates; gives them.
    Tags {
        own_collection_key: Hex,
        patient: Hex,
        version: Hex,
        parts: Vec<(String, String)>,
    },
    /// The tokens of conditions; gives them, groups separated by a space.
    Tokens {
        own_collection_key: Hex,
        patient: Hex,
        media_types: Vec<String>,
        from: String,
        to: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undated: bool,
    },
    /// Opens a permission's conditions with the key that is derived for it; gives their encoding.
    OpenConditions {
        own_collection_key: Hex,
        patient: Hex,
        permission: Hex,
        sealed: Hex,
    },
    /// Opens a permission key for upload; gives the upload key.
    OpenUploadPermission {
        wrap: Sealed,
        body: Hex,
        permission: Hex,
        possession_key: Hex,
    },
    /// Opens the text of a request to a patient; gives it.
    OpenTextToPatient {
        text: Sealed,
        request: Hex,
        institution: Hex,
        patient: Hex,
    },
    /// Opens the text of a request or denial to an institution; gives it.
    OpenTextToInstitution {
        text: Sealed,
        request: Hex,
        patient: Hex,
        institution: Hex,
    },
    /// Opens a collection key that was given to a delegate; gives it.
    OpenDelegatedKey {
        key: Sealed,
        owner: Hex,
        delegate: Hex,
        delegation_hash: Hex,
        collection: Hex,
        epoch: u64,
    },
    /// Opens an accreditation secret; gives it.
    OpenAccreditation {
        secret: Sealed,
        registrar: Hex,
        institution: Hex,
    },
}

impl Run for Check {
    type Error = Error;

    fn run(&self) -> Result<String, Error> {
        match self {
            Self::SealContent {
                key,
                header,
                plaintext_len,
            } => seal(key, &header.array(), *plaintext_len).map(|stream| blake3::hash(&stream).to_string()),
            Self::OpenContent {
                key,
                plaintext_len,
                stream,
            } => open(key, *plaintext_len, &stream.0),
            Self::OpenManifest { key, sealed } => {
                open_manifest(&key.key(), &key.context(), &sealed.0).map(|statement| hex(&statement))
            }
            Self::RecordKey {
                upload_key,
                patient,
                record,
                version,
            } => {
                let patient = PatientId::from_bytes(patient.array());
                let (record, version) = (
                    RecordId::from_bytes(record.array()),
                    VersionId::from_bytes(version.array()),
                );
                let key = UploadKey::from_bytes(&upload_key.array()).record_key(&patient, &record, &version);
                Ok(hex(key.expose()))
            }
            Self::OpenPermission { .. }
            | Self::OpenPermissionWithConditions { .. }
            | Self::OpenUploadPermission { .. } => self.open_permission(),
            Self::Tags { .. } | Self::Tokens { .. } | Self::OpenConditions { .. } => self.conditions(),
            Self::OpenTextToPatient {
                text,
                request,
                institution,
                patient,
            } => {
                let (from, to) = (
                    InstitutionId::from_bytes(institution.array()),
                    PatientId::from_bytes(patient.array()),
                );
                let context = TextContext::to_patient(RequestId::from_bytes(request.array()), &from, &to);
                open_text(&text.recipient()?, &context, &text.bytes())
            }
            Self::OpenTextToInstitution {
                text,
                request,
                patient,
                institution,
            } => {
                let (from, to) = (
                    PatientId::from_bytes(patient.array()),
                    InstitutionId::from_bytes(institution.array()),
                );
                let context = TextContext::to_institution(RequestId::from_bytes(request.array()), &from, &to);
                open_text(&text.recipient()?, &context, &text.bytes())
            }
            Self::OpenAccreditation {
                secret,
                registrar,
                institution,
            } => {
                let registrar = RegistrarId::from_bytes(registrar.array());
                let institution = InstitutionId::from_bytes(institution.array());
                let opened =
                    open_accreditation(&secret.recipient()?, &registrar, &institution, &secret.bytes())?;
                Ok(hex(opened.expose()))
            }
            Self::OpenDelegatedKey {
                key,
                owner,
                delegate,
                delegation_hash,
                collection,
                epoch,
            } => {
                let context = DelegatedKeyContext {
                    owner: PatientId::from_bytes(owner.array()),
                    delegate: PatientId::from_bytes(delegate.array()),
                    delegation: Sha256Digest::from_bytes(delegation_hash.array()),
                    collection: Collection {
                        id: CollectionId::from_bytes(collection.array()),
                        epoch: *epoch,
                    },
                };
                let opened = open_delegated_key(&key.recipient()?, &context, &key.bytes())?;
                Ok(hex(opened.expose()))
            }
            Self::RecoveryWords { words } => {
                let secret = RecoverySecret::from_words(words)?;
                let keys = secret.keys()?;
                let identity = Sha256Digest::of(keys.identity.public().as_bytes());
                let recipient = keys.recipient.public().digest();
                Ok(format!("{}{identity}{recipient}", hex(secret.expose())))
            }
            Self::LinkShortString {
                code,
                device_key,
                recipient_key,
                own_nonce,
                vault_root_key,
                patient,
            } => {
                let code: LinkCode = code.parse()?;
                let own = LinkNonce::try_from(own_nonce.0.as_slice())?;
                let device_key = IdentityKey::try_from(device_key.0.as_slice())?;
                let recipient_key = RecipientKey::try_from(recipient_key.0.as_slice())?;
                code.check_offer(&device_key, &recipient_key, &own.commitment())?;
                let root = VaultRootKey::from_bytes(&vault_root_key.array());
                let answer = root.link_answer(&PatientId::from_bytes(patient.array()), &code);
                let short = code.short_string(&own, &answer);
                Ok(format!("{short} {}", hex(answer.as_bytes())))
            }
            Self::EmergencyCode { code, patient } => {
                let half = CardHalf::from_code(code, &PatientId::from_bytes(patient.array()))?;
                Ok(hex(half.expose()))
            }
            Self::EmergencyKeys {
                first,
                second,
                patient,
            } => {
                let patient = PatientId::from_bytes(patient.array());
                let (first, second) = (
                    CardHalf::from_bytes(&first.array()),
                    ServerHalf::from_bytes(&second.array()),
                );
                let recipient = first.recipient(&second, &patient)?.public().digest();
                let card_key = hex(first.key(&patient)?.public().as_bytes());
                Ok(format!("{card_key}{recipient}{}", second.hash()))
            }
            Self::OpenHalf {
                half,
                patient,
                card_key,
                reader,
                help,
            } => {
                let context = HalfContext {
                    patient: PatientId::from_bytes(patient.array()),
                    card_key: IdentityKey::try_from(card_key.0.as_slice())?,
                    reader: match help {
                        None => HalfReader::Guardian(PatientId::from_bytes(reader.array())),
                        Some(help) => HalfReader::Institution(
                            InstitutionId::from_bytes(reader.array()),
                            RequestId::from_bytes(help.array()),
                        ),
                    },
                };
                let opened = CardHalf::open(&half.recipient()?, &half.bytes(), &context)?;
                Ok(hex(opened.expose()))
            }
            Self::CombineShares { division, shares } => combine(division, shares),
            _ => self.unwrap_key(),
        }
    }

    fn class(error: &Error) -> &'static str {
        match error {
            Error::Open => "open failure",
            Error::Malformed { .. } | Error::Words(_) => "malformed",
            Error::TooFewShares { .. } => "too few shares",
            Error::Protocol(protocol_spec::Error::Signature) => "bad signature",
            Error::Protocol(_) => "malformed",
            _ => "unknown",
        }
    }
}

impl Check {
    fn unwrap_key(&self) -> Result<String, Error> {
        let collection = |id: &Hex, epoch: &u64| Collection {
            id: CollectionId::from_bytes(id.array()),
            epoch: *epoch,
        };
        let wrapped = |wrap: &Hex| WrappedKey::try_from(wrap.0.as_slice());
        match self {
            Self::UnwrapCollectionKey {
                vault_root_key,
                patient,
                collection: id,
                epoch,
                wrap,
            } => {
                let patient = PatientId::from_bytes(patient.array());
                VaultRootKey::from_bytes(&vault_root_key.array())
                    .unwrap_collection_key(&wrapped(wrap)?, &patient, &collection(id, epoch))
                    .map(|key| hex(key.expose()))
            }
            Self::UnwrapDataKey {
                collection_key,
                version,
                collection: id,
                epoch,
                wrap,
            } => {
                let version = VersionId::from_bytes(version.array());
                CollectionKey::from_bytes(&collection_key.array())
                    .unwrap_data_key(&wrapped(wrap)?, &collection(id, epoch), &version)
                    .map(|key| hex(key.expose()))
            }
            Self::UnwrapUploadKey {
                collection_key,
                permission,
                collection: id,
                epoch,
                wrap,
            } => {
                let permission = PermissionId::from_bytes(permission.array());
                CollectionKey::from_bytes(&collection_key.array())
                    .unwrap_upload_key(&wrapped(wrap)?, &collection(id, epoch), &permission)
                    .map(|key| hex(key.expose()))
            }
            _ => unreachable!(),
        }
    }

    fn conditions(&self) -> Result<String, Error> {
        let tag_key = |own: &Hex, patient: &Hex| {
            TagKey::derive(
                &CollectionKey::from_bytes(&own.array()),
                &PatientId::from_bytes(patient.array()),
            )
        };
        match self {
            Self::Tags {
                own_collection_key,
                patient,
                version,
                parts,
            } => {
                let parts: Vec<_> = parts
                    .iter()
                    .map(|(media_type, date)| part(media_type, date))
                    .collect();
                let version = VersionId::from_bytes(version.array());
                let tags = tag_key(own_collection_key, patient).tags(&Attributes::of(&parts), &version)?;
                Ok(hex(&tags.to_bytes()))
            }
            Self::Tokens {
                own_collection_key,
                patient,
                media_types,
                from,
                to,
                undated,
            } => {
                let day = |text: &String| (!text.is_empty()).then(|| text.parse()).transpose();
                let media_types: Result<_, _> = media_types.iter().map(|one| one.parse()).collect();
                let conditions = Conditions {
                    media_types: media_types?,
                    from: day(from)?,
                    to: day(to)?,
                    undated: *undated,
                };
                let groups = tag_key(own_collection_key, patient).groups(&conditions.checked()?)?;
                let group = |group: &TokenGroup| -> String {
                    group.tokens().iter().map(|token| hex(token.as_bytes())).collect()
                };
                Ok(groups.iter().map(group).collect::<Vec<_>>().join(" "))
            }
            Self::OpenConditions {
                own_collection_key,
                patient,
                permission,
                sealed,
            } => {
                let permission = PermissionId::from_bytes(permission.array());
                let key: ConditionsKey = tag_key(own_collection_key, patient).conditions_key(&permission);
                let sealed = SealedConditions {
                    groups: Vec::new(),
                    sealed: sealed.0.clone().into(),
                };
                let patient = PatientId::from_bytes(patient.array());
                Ok(hex(&key.open(&sealed, &patient, &permission)?.encode()))
            }
            _ => unreachable!(),
        }
    }

    fn open_permission(&self) -> Result<String, Error> {
        let expected = |body, id, keys, possession| ExpectedPermission {
            body,
            id,
            keys,
            conditions: matches!(self, Self::OpenPermissionWithConditions { .. }),
            possession,
        };
        match self {
            Self::OpenPermission {
                wrap,
                body,
                permission,
                keys,
                possession_key,
            }
            | Self::OpenPermissionWithConditions {
                wrap,
                body,
                permission,
                keys,
                possession_key,
            } => {
                let id = PermissionId::from_bytes(permission.array());
                let possession = IdentityKey::try_from(possession_key.0.as_slice())?;
                let expected = expected(&body.0, &id, *keys, &possession);
                let opened =
                    OpenedPermission::<Vec<DataKey>>::open(&wrap.recipient()?, &wrap.bytes(), &expected)?;
                let conditions = opened.conditions.iter().map(|key| hex(key.expose()));
                Ok(opened
                    .keys
                    .iter()
                    .map(|key| hex(key.expose()))
                    .chain(conditions)
                    .collect())
            }
            Self::OpenUploadPermission {
                wrap,
                body,
                permission,
                possession_key,
            } => {
                let id = PermissionId::from_bytes(permission.array());
                let possession = IdentityKey::try_from(possession_key.0.as_slice())?;
                let expected = expected(&body.0, &id, 1, &possession);
                let opened =
                    OpenedPermission::<UploadKey>::open(&wrap.recipient()?, &wrap.bytes(), &expected)?;
                Ok(hex(opened.keys.expose()))
            }
            _ => unreachable!(),
        }
    }
}

fn part(media_type: &str, date: &str) -> Part {
    Part {
        name: "a".to_owned().try_into().unwrap(),
        media_type: media_type.to_owned(),
        offset: 0,
        length: 0,
        sha256: Sha256Digest::of(b""),
        clinical: Clinical {
            date: date.to_owned(),
            ..Clinical::default()
        },
        modified: None,
    }
}

fn combine(division: &Statement, shares: &[ReturnedShare]) -> Result<String, Error> {
    let statement = protocol_spec::messages::Statement {
        body: division.body.0.clone().into(),
        signature: division.signature.0.clone().into(),
        certificate: None,
    };
    let division = Division::verify(Signed::try_from(statement)?)?;
    let open = |ReturnedShare { number, share }: &ReturnedShare| {
        Share::take_back(&share.recipient()?, &division, *number, &share.bytes())
    };
    let shares: Vec<Share> = shares.iter().map(open).collect::<Result<_, _>>()?;
    RecoverySecret::combine(&division, &shares).map(|secret| hex(secret.expose()))
}

/// Bytes i mod 251.
pub fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

pub fn seal(key: &Record, header: &[u8; 56], plaintext_len: u64) -> Result<Vec<u8>, Error> {
    let plaintext = pattern(plaintext_len);
    let mut source = plaintext.as_slice();
    let mut sealer = Sealer::resume(&key.key(), &key.context(), plaintext_len, header, 0)?;
    let (mut stream, mut leaf) = (Vec::new(), Vec::new());
    let mut fill = |slot: &mut [u8]| {
        slot.copy_from_slice(source.split_off(..slot.len()).unwrap());
        Ok::<_, Error>(())
    };
    while sealer.next_leaf(&mut leaf, &mut fill)? {
        stream.extend_from_slice(&leaf);
    }
    Ok(stream)
}

fn open(key: &Record, plaintext: u64, stream: &[u8]) -> Result<String, Error> {
    let (header, body) = stream
        .split_first_chunk()
        .ok_or(Error::Malformed { what: "stream" })?;
    let lengths = StreamLengths {
        stream: stream.len() as u64,
        plaintext,
    };
    let mut opener = Opener::new(&key.key(), &key.context(), header, lengths)?.stream();
    let mut text = Vec::new();
    opener.push(body, &mut text)?;
    assert_eq!(opener.finish()?.plaintext_len(), plaintext);
    Ok(Sha256Digest::of(&text).to_string())
}
