//! How an institution comes to be: keys, a request to the registrar, an accreditation, an enrolment.

use std::{path::Path, sync::Arc};

use crypto::open_accreditation;
use prost::Message;
use protocol_spec::{
    api,
    bodies::{Accreditation, AccreditationRequest, InstitutionKeys, TerminalCertificate},
    directory,
    field::{Name, SealedBytes},
    ids::{InstitutionId, OperatorId, RegistrarId},
    keys::{IdentityKey, RecipientKey},
    link::ServerLink,
    messages as pb,
    statement::{Made, Signed},
};

use super::{Institution, ends::Ends};
use crate::{
    Error, Result, Unlock, clock,
    connect::bootstrap,
    home::{ClosedHome, Home, Kind, Pins, Principal},
    keystore::{FileKeyStore, KeyStore, KeyStoreError, StoredRecipient, StoredSigner, home_proof},
    mint,
    session::{Session, blocking},
};

/// The keys of the institution, or of one terminal with its certificate.
pub(super) struct Keys {
    pub(super) institution: InstitutionId,
    /// By which right, if this is not the institution's own home.
    pub(super) certificate: Option<Signed<TerminalCertificate>>,
    /// Signs requests and statements, and opens what is sealed to the institution.
    pub(super) store: Arc<dyn KeyStore>,
}

impl Keys {
    fn new(store: Arc<dyn KeyStore>) -> Self {
        Self {
            institution: InstitutionId::from(&store.signing_key()),
            certificate: None,
            store,
        }
    }

    /// Those in a store that must be the home's.
    fn of(store: Arc<dyn KeyStore>, home: &ClosedHome, principal: &Principal) -> Result<(Self, Home)> {
        let keys = Self::new(store);
        if keys.institution.to_string() == principal.id {
            let home = home.open(principal, home_proof(&*keys.store, principal)?.as_slice())?;
            Ok((keys, home))
        } else {
            Err(Error::Usage(format!(
                "the key store has the keys of {}, and {} is the home of {}",
                keys.institution,
                home.dir().display(),
                principal.id
            )))
        }
    }

    fn create(home: &ClosedHome, unlock: &Unlock, name: &Name) -> Result<Self> {
        let store = FileKeyStore::create(home, unlock, |key| principal(key, name))?;
        Ok(Self::new(Arc::new(store)))
    }

    fn open(home: &ClosedHome, principal: &Principal, unlock: &Unlock) -> Result<(Self, Home)> {
        let store = FileKeyStore::open(home, principal, unlock)?;
        let home = store.home().clone();
        if principal.kind != Kind::Terminal {
            return Ok((Self::new(Arc::new(store)), home));
        }
        let certificate = home
            .read(CERTIFICATE)?
            .and_then(|bytes| protocol_spec::messages::decode::<pb::Statement>(&bytes).ok())
            .and_then(|statement| Signed::<TerminalCertificate>::try_from(statement).ok())
            .filter(|certificate| certificate.claimed().terminal_key == store.signing_key())
            .ok_or_else(|| home.damaged(CERTIFICATE))?;
        let keys = Self {
            institution: certificate.claimed().institution_id,
            certificate: Some(certificate),
            store: Arc::new(store),
        };
        Ok((keys, home))
    }

    /// Signs what is said in the institution's name (INS-9).
    pub(super) fn statement<T: Made>(&self, body: T) -> Result<Signed<T>, KeyStoreError> {
        let signed = Signed::try_sign(body, |message| self.sign(message))?;
        Ok(match &self.certificate {
            Some(certificate) => signed.with_certificate(certificate.clone()),
            None => signed,
        })
    }

    /// Signs a statement.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyStoreError> {
        self.store.sign(message)
    }

    /// The newest recipient key.
    pub(super) fn recipient(&self) -> Result<RecipientKey> {
        let newest = self.store.recipient_keys().into_iter().next();
        Ok(newest.ok_or(KeyStoreError::NoSuchKey)?)
    }
}

impl Institution {
    /// Makes keys in `home` and a signed accreditation request for the registrar. Works offline; asked again
    /// with the same name before enrolment, the same keys make a new request.
    ///
    /// # Errors
    /// [`Error::HomeExists`] for a home that is enrolled or has another name; [`Error::Protocol`] for a name
    /// that cannot be shown.
    pub fn request(home: &Path, unlock: &Unlock, name: &str) -> Result<(InstitutionId, Vec<u8>)> {
        let name = Name::try_from(name.trim().to_owned())?;
        let home = ClosedHome::at(home);
        let keys = match home.principal() {
            Ok(principal) if begun(&principal, &name) => Keys::open(&home, &principal, unlock)?.0,
            _ => {
                home.must_be_free()?;
                Keys::create(&home, unlock, &name)?
            }
        };
        accreditation_request(&keys, name)
    }

    /// As [`Self::request`], with keys that live in a store of their own. The home keeps no secret.
    ///
    /// # Errors
    /// As there; [`Error::KeyStore`].
    pub fn request_with(
        home: &Path,
        store: Arc<dyn KeyStore>,
        name: &str,
    ) -> Result<(InstitutionId, Vec<u8>)> {
        let (name, home) = (Name::try_from(name.trim().to_owned())?, ClosedHome::at(home));
        match home.principal() {
            Ok(principal) if begun(&principal, &name) => {}
            _ => {
                home.must_be_free()?;
                let principal = principal(&store.signing_key(), &name);
                let proof = home_proof(&*store, &principal)?;
                home.create_without_secrets(&principal, proof.as_slice())?;
            }
        }
        accreditation_request(&Keys::new(store), name)
    }

    /// Enrols with the server of the link, by the accreditation that the registrar handed back.
    ///
    /// # Errors
    /// [`Error::Tampered`] for an accreditation that is not for these keys or not by the server's registrar.
    pub async fn enrol(
        home: &Path,
        unlock: &Unlock,
        link: &ServerLink,
        accreditation: &[u8],
    ) -> Result<Self> {
        let home = ClosedHome::at(home);
        let (principal, pins) = enrolling(&home, link).await?;
        let (who, unlock) = (principal.clone(), unlock.clone());
        let (keys, home) = blocking(move || Keys::open(&home, &who, &unlock)).await?;
        Self::enrol_keys(home, pins, keys, accreditation).await
    }

    /// As [`Self::enrol`], with keys in a store of their own.
    ///
    /// # Errors
    /// As there; [`Error::KeyStore`].
    pub async fn enrol_with(
        home: &Path,
        store: Arc<dyn KeyStore>,
        link: &ServerLink,
        accreditation: &[u8],
    ) -> Result<Self> {
        let home = ClosedHome::at(home);
        let (principal, pins) = enrolling(&home, link).await?;
        let (keys, home) = Keys::of(store, &home, &principal)?;
        Self::enrol_keys(home, pins, keys, accreditation).await
    }

    async fn enrol_keys(home: Home, pins: Pins, keys: Keys, accreditation: &[u8]) -> Result<Self> {
        let mut principal = home.principal()?;
        let message = enrolment(&home, &keys, &pins, accreditation)?;
        let name = Signed::<InstitutionKeys>::try_from(message.keys.clone())?
            .claimed()
            .name
            .as_str()
            .to_owned();
        let institution = Self::with(home, pins.clone(), keys, name.clone())?;
        institution
            .session
            .server
            .post(api::ENROL_INSTITUTION.here(), &message)
            .await?;
        principal.set_pins(&pins);
        principal.name = Some(name);
        principal.enrolled = true;
        institution.session.home.save(&principal)?;
        Ok(institution)
    }

    /// Opens an enrolled home. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::HomeMissing`], [`Error::NotEnrolled`], [`Error::WrongUnlock`], [`Error::HomeKind`].
    pub async fn open(home: &Path, unlock: &Unlock) -> Result<Self> {
        let home = ClosedHome::at(home);
        let principal = match home.principal() {
            Ok(principal) if principal.kind == Kind::Terminal => principal,
            _ => home.principal_of(Kind::Institution)?,
        };
        home.must_be_enrolled(&principal)?;
        let unlock = unlock.clone();
        let (keys, home) = blocking(move || {
            let (keys, home) = Keys::open(&home, &principal, &unlock)?;
            Ends::destroy_ended(&*keys.store, &home, clock::own_ms(&home)?)?;
            Ok((keys, home))
        })
        .await?;
        Self::in_home(home, keys)
    }

    /// As [`Self::open`], with keys in a store of their own.
    ///
    /// # Errors
    /// As there; [`Error::Usage`] for the store of another institution.
    pub fn open_with(home: &Path, store: Arc<dyn KeyStore>) -> Result<Self> {
        let home = ClosedHome::at(home);
        let principal = home.principal_of(Kind::Institution)?;
        home.must_be_enrolled(&principal)?;
        let (keys, home) = Keys::of(store, &home, &principal)?;
        Ends::destroy_ended(&*keys.store, &home, clock::own_ms(&home)?)?;
        Self::in_home(home, keys)
    }

    /// With the server and the name that the home has, which is unlocked.
    fn in_home(home: Home, keys: Keys) -> Result<Self> {
        let principal = home.principal()?;
        let pins = home.pins(&principal)?;
        Self::with_id(
            home,
            pins,
            keys,
            &principal.id,
            principal.name.unwrap_or_default(),
        )
    }

    fn with(home: Home, pins: Pins, keys: Keys, name: String) -> Result<Self> {
        let id = keys.institution.to_string();
        Self::with_id(home, pins, keys, &id, name)
    }

    /// Requests are signed as `id`: the institution's, or its terminal's.
    pub(super) fn with_id(home: Home, pins: Pins, keys: Keys, id: &str, name: String) -> Result<Self> {
        let session = Session::new(home, pins, &id, Arc::new(StoredSigner(keys.store.clone())))?;
        Ok(Self { session, keys, name })
    }
}

/// Who enrols, and what the link leads to.
async fn enrolling(home: &ClosedHome, link: &ServerLink) -> Result<(Principal, Pins)> {
    let principal = home.principal_of(Kind::Institution)?;
    if principal.enrolled {
        home.must_be_free()?;
    }
    Ok((principal, bootstrap(link).await?))
}

/// An institution whose keys have been made.
fn principal(key: &IdentityKey, name: &Name) -> Principal {
    let mut principal = Principal::new(Kind::Institution, InstitutionId::from(key));
    principal.name = Some(name.as_str().to_owned());
    principal
}

/// The request to the registrar, for the newest recipient key.
pub(super) fn accreditation_request(keys: &Keys, name: Name) -> Result<(InstitutionId, Vec<u8>)> {
    let request = AccreditationRequest {
        created: mint::now_ms(),
        name,
        identity_key: keys.store.signing_key(),
        recipient_key: keys.recipient()?,
    };
    let request = Signed::try_sign(request, |message| keys.sign(message))?;
    Ok((keys.institution, request.to_message().encode_to_vec()))
}

/// Whether these are the keys of an earlier request under this name.
fn begun(principal: &Principal, name: &Name) -> bool {
    principal.kind == Kind::Institution
        && !principal.enrolled
        && principal.name.as_deref() == Some(name.as_str())
}

/// Opens the accreditation that the registrar handed back: it is for these keys, and the secret in it opens.
pub(super) fn open_file(
    keys: &Keys,
    registrar: &IdentityKey,
    file: &[u8],
) -> Result<(Signed<Accreditation>, bytes::Bytes)> {
    let file: pb::AccreditationFile = protocol_spec::messages::decode(file).map_err(wrong)?;
    let key = IdentityKey::try_from(file.registrar_key.as_ref()).map_err(wrong)?;
    if key != *registrar {
        return Err(wrong("it is by another registrar than that of the server"));
    }
    let accreditation = Signed::<Accreditation>::try_from(file.accreditation).map_err(wrong)?;
    if accreditation.claimed().institution_id != keys.institution {
        return Err(wrong("it is for other keys than those of this home"));
    }
    let sealed = SealedBytes::try_from(file.secret).map_err(wrong)?;
    let recipient = StoredRecipient {
        store: &*keys.store,
        key: accreditation.claimed().recipient_key_hash,
    };
    let secret = open_accreditation(&recipient, &RegistrarId::from(&key), &keys.institution, &sealed)
        .map_err(KeyStoreError::opening("the accreditation file"))?;
    Ok((accreditation, bytes::Bytes::copy_from_slice(secret.expose())))
}

/// Puts the enrolment together. It is checked as the server will check it, so that a wrong file is found here.
fn enrolment(home: &Home, keys: &Keys, pins: &Pins, file: &[u8]) -> Result<pb::EnrolInstitution> {
    let (accreditation, secret) = open_file(keys, &pins.registrar, file)?;
    let statement = institution_keys(home, keys, pins, &accreditation)?;
    let entry = directory::Institution::verify(
        statement.clone(),
        accreditation.clone(),
        &pins.registrar,
        OperatorId::from(&pins.operator),
    )
    .map_err(wrong)?;
    entry.check_secret(&secret).map_err(wrong)?;
    Ok(pb::EnrolInstitution {
        keys: Some(statement.to_message()),
        accreditation: Some(accreditation.to_message()),
        secret,
    })
}

/// The statement of the institution's keys. It is kept, so that an enrolment whose answer was lost is repeated
/// with the same bytes.
fn institution_keys(
    home: &Home,
    keys: &Keys,
    pins: &Pins,
    accreditation: &Signed<Accreditation>,
) -> Result<Signed<InstitutionKeys>> {
    let (operator_id, accreditation_hash) = (OperatorId::from(&pins.operator), accreditation.hash());
    let kept = home
        .read(KEYS)?
        .and_then(|bytes| protocol_spec::messages::decode::<pb::Statement>(&bytes).ok());
    let kept = kept.and_then(|statement| Signed::<InstitutionKeys>::try_from(statement).ok());
    let fits = |kept: &Signed<InstitutionKeys>| {
        kept.claimed().operator_id == operator_id && kept.claimed().accreditation_hash == accreditation_hash
    };
    if let Some(kept) = kept.filter(fits) {
        return Ok(kept);
    }
    let statement = InstitutionKeys {
        created: mint::now_ms(),
        operator_id,
        name: accreditation.claimed().name.clone(),
        identity_key: keys.store.signing_key(),
        recipient_key: keys.recipient()?,
        accreditation_hash,
        succession: None,
    };
    let statement = Signed::try_sign(statement, |message| keys.sign(message))?;
    home.write(KEYS, &statement.to_message().encode_to_vec())?;
    Ok(statement)
}

fn wrong<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the accreditation file")(cause)
}

const KEYS: &str = "keys.pb";
pub(super) const CERTIFICATE: &str = "terminal.pb";
