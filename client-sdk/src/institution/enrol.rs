//! How an institution comes to be: keys, a request to the registrar, an accreditation, an enrolment.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::sync::Arc;

use crypto::open_accreditation;
use protocol_spec::{
    api,
    bodies::{Accreditation, AccreditationRequest, InstitutionKeys},
    directory,
    field::{Name, SealedBytes},
    ids::{InstitutionId, OperatorId, RegistrarId},
    keys::IdentityKey,
    link::ServerLink,
    messages as pb,
    statement::Signed,
    submitted,
};

use super::{Institution, ends::Ends, keys::OfficeKeys, office::Office};
use crate::{
    Error, Result, Unlock, clock,
    connect::bootstrap,
    ground::{Ground, System},
    home::{ClosedHome, Home, Kind, Pins, Principal},
    keystore::{KeyStore, KeyStoreError, StoredRecipient, home_proof},
    session::blocking,
};

impl Institution {
    /// Makes keys in `home` and a signed accreditation request for the registrar. Works offline; asked again
    /// with the same name before enrolment, the same keys make a new request.
    /// Errors: [`Error::HomeExists`] for a home that is enrolled or has another name; [`Error::Protocol`] for a
    /// name that cannot be shown.
    pub fn request(home: impl Into<Ground>, unlock: &Unlock, name: &str) -> Result<(InstitutionId, Vec<u8>)> {
        let name = Name::try_from(name.trim().to_owned())?;
        let home = ClosedHome::at(home);
        let keys = match home.principal() {
            Ok(principal) if begun(&principal, &name) => OfficeKeys::open(&home, &principal, unlock)?.0,
            _ => {
                home.must_be_free()?;
                OfficeKeys::create(&home, unlock, |key| principal(key, &name))?
            }
        };
        accreditation_request(&keys, name, home.system())
    }

    /// As [`Self::request`], with keys that live in a store of their own. The home keeps no secret.
    /// Errors: those of [`Self::request`]; [`Error::KeyStore`].
    pub fn request_with(
        home: impl Into<Ground>,
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
        accreditation_request(&OfficeKeys::new(store), name, home.system())
    }

    /// Enrols with the server of the link, by the accreditation that the registrar handed back.
    /// Errors: [`Error::Tampered`] for an accreditation that is not for these keys or not by the server's registrar.
    pub async fn enrol(
        home: impl Into<Ground>,
        unlock: &Unlock,
        link: &ServerLink,
        accreditation: &[u8],
    ) -> Result<Self> {
        let home = ClosedHome::at(home);
        let (principal, pins) = enrolling(&home, link).await?;
        let (who, unlock) = (principal.clone(), unlock.clone());
        let (keys, home) = blocking(move || OfficeKeys::open(&home, &who, &unlock)).await?;
        Self::enrol_keys(home, pins, keys, accreditation).await
    }

    /// As [`Self::enrol`], with keys in a store of their own.
    /// Errors: those of [`Self::enrol`]; [`Error::KeyStore`].
    pub async fn enrol_with(
        home: impl Into<Ground>,
        store: Arc<dyn KeyStore>,
        link: &ServerLink,
        accreditation: &[u8],
    ) -> Result<Self> {
        let home = ClosedHome::at(home);
        let (principal, pins) = enrolling(&home, link).await?;
        let (keys, home) = OfficeKeys::of(store, &home, &principal)?;
        Self::enrol_keys(home, pins, keys, accreditation).await
    }

    async fn enrol_keys(home: Home, pins: Pins, keys: OfficeKeys, accreditation: &[u8]) -> Result<Self> {
        let mut principal = home.principal()?;
        let message = enrolment(&home, &keys, &pins, accreditation)?;
        let name = message.keys.claimed().name.as_str().to_owned();
        let id = keys.institution.to_string();
        let office = Office::new(home, pins.clone(), keys, &id, name.clone())?;
        office.post(api::ENROL_INSTITUTION.here(), &message).await?;
        principal.set_pins(&pins);
        principal.name = Some(name);
        principal.enrolled = true;
        office.session.home.save(&principal)?;
        Ok(Self { office })
    }

    /// Opens an enrolled home. Nothing is sent yet.
    /// Errors: [`Error::HomeMissing`], [`Error::NotEnrolled`], [`Error::WrongUnlock`], [`Error::HomeKind`].
    pub async fn open(home: impl Into<Ground>, unlock: &Unlock) -> Result<Self> {
        let home = ClosedHome::at(home);
        let principal = match home.principal() {
            Ok(principal) if principal.kind == Kind::Terminal => principal,
            _ => home.principal_of(Kind::Institution)?,
        };
        home.must_be_enrolled(&principal)?;
        let unlock = unlock.clone();
        let (keys, home) = blocking(move || {
            let (keys, home) = OfficeKeys::open(&home, &principal, &unlock)?;
            Ends::destroy_ended(&*keys.store, &home, clock::own_ms(&home)?)?;
            Ok((keys, home))
        })
        .await?;
        Self::in_home(home, keys)
    }

    /// As [`Self::open`], with keys in a store of their own.
    /// Errors: those of [`Self::open`]; [`Error::Usage`] for the store of another institution.
    pub fn open_with(home: impl Into<Ground>, store: Arc<dyn KeyStore>) -> Result<Self> {
        let home = ClosedHome::at(home);
        let principal = home.principal_of(Kind::Institution)?;
        home.must_be_enrolled(&principal)?;
        let (keys, home) = OfficeKeys::of(store, &home, &principal)?;
        Ends::destroy_ended(&*keys.store, &home, clock::own_ms(&home)?)?;
        Self::in_home(home, keys)
    }

    /// With the server and the name that the home has, which is unlocked.
    fn in_home(home: Home, keys: OfficeKeys) -> Result<Self> {
        let principal = home.principal()?;
        let pins = home.pins(&principal)?;
        let name = principal.name.unwrap_or_default();
        let office = Office::new(home, pins, keys, &principal.id, name)?;
        Ok(Self { office })
    }
}

/// Who enrols, and what the link leads to.
async fn enrolling(home: &ClosedHome, link: &ServerLink) -> Result<(Principal, Pins)> {
    let principal = home.principal_of(Kind::Institution)?;
    if principal.enrolled {
        home.must_be_free()?;
    }
    Ok((principal, bootstrap(link, home.ground()).await?))
}

/// An institution whose keys have been made.
fn principal(key: &IdentityKey, name: &Name) -> Principal {
    let mut principal = Principal::new(Kind::Institution, InstitutionId::from(key));
    principal.name = Some(name.as_str().to_owned());
    principal
}

/// The request to the registrar, for the newest recipient key.
pub(super) fn accreditation_request(
    keys: &OfficeKeys,
    name: Name,
    system: &dyn System,
) -> Result<(InstitutionId, Vec<u8>)> {
    let request = AccreditationRequest {
        created: system.now_ms(),
        name,
        identity_key: keys.store.signing_key(),
        recipient_key: keys.recipient()?,
    };
    let request = Signed::try_sign(request, |message| keys.sign(message))?;
    Ok((keys.institution, request.to_bytes()))
}

/// Whether these are the keys of an earlier request under this name.
fn begun(principal: &Principal, name: &Name) -> bool {
    principal.kind == Kind::Institution
        && !principal.enrolled
        && principal.name.as_deref() == Some(name.as_str())
}

/// Opens the accreditation that the registrar handed back: it is for these keys, and the secret in it opens.
pub(super) fn open_file(
    keys: &OfficeKeys,
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
fn enrolment(
    home: &Home,
    keys: &OfficeKeys,
    pins: &Pins,
    file: &[u8],
) -> Result<submitted::EnrolInstitution> {
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
    Ok(submitted::EnrolInstitution {
        keys: statement,
        accreditation,
        secret,
    })
}

/// The statement of the institution's keys. It is kept, so that an enrolment whose answer was lost is
/// repeated with the same bytes.
fn institution_keys(
    home: &Home,
    keys: &OfficeKeys,
    pins: &Pins,
    accreditation: &Signed<Accreditation>,
) -> Result<Signed<InstitutionKeys>> {
    let (operator_id, accreditation_hash) = (OperatorId::from(&pins.operator), accreditation.hash());
    let kept = home
        .read(KEYS)?
        .and_then(|bytes| Signed::<InstitutionKeys>::from_bytes(&bytes).ok());
    let fits = |kept: &Signed<InstitutionKeys>| {
        kept.claimed().operator_id == operator_id && kept.claimed().accreditation_hash == accreditation_hash
    };
    if let Some(kept) = kept.filter(fits) {
        return Ok(kept);
    }
    let statement = InstitutionKeys {
        created: home.system().now_ms(),
        operator_id,
        name: accreditation.claimed().name.clone(),
        identity_key: keys.store.signing_key(),
        recipient_key: keys.recipient()?,
        accreditation_hash,
        succession: None,
    };
    let statement = Signed::try_sign(statement, |message| keys.sign(message))?;
    home.write(KEYS, &statement.to_bytes())?;
    Ok(statement)
}

fn wrong<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the accreditation file")(cause)
}

const KEYS: &str = "keys.pb";
