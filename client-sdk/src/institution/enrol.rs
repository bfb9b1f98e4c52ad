//! How an institution comes to be: keys, a request to the registrar, an accreditation, an enrolment.

use std::{path::Path, sync::Arc};

use crypto::{RecipientSecret, SigningIdentity, open_accreditation};
use prost::Message;
use protocol_spec::{
    bodies::{Accreditation, AccreditationRequest, InstitutionKeys},
    directory,
    field::{Name, SealedBytes},
    ids::{InstitutionId, OperatorId, RegistrarId},
    keys::IdentityKey,
    link::ServerLink,
    messages as pb,
    statement::Signed,
};
use zeroize::Zeroizing;

use super::Institution;
use crate::{
    Error, Result, Unlock,
    connect::bootstrap,
    home::{Home, Kind, Pins, Principal, seeds},
    mint,
    session::{Session, blocking},
};

/// The keys of an institution's one terminal.
pub(super) struct Keys {
    pub(super) institution: InstitutionId,
    /// Signs requests and statements.
    pub(super) identity: Arc<SigningIdentity>,
    /// Opens what is sealed to the institution.
    pub(super) recipient: RecipientSecret,
}

impl Keys {
    fn create(home: &Home, unlock: &Unlock, name: &Name) -> Result<Self> {
        let identity = SigningIdentity::generate()?;
        let recipient = RecipientSecret::generate()?;
        let institution = InstitutionId::from(&identity.public());
        let mut secrets = Zeroizing::new(Vec::with_capacity(2 * 32));
        secrets.extend_from_slice(identity.expose_seed().as_slice());
        secrets.extend_from_slice(recipient.expose_seed().as_slice());
        let mut principal = Principal::new(Kind::Institution, institution);
        principal.name = Some(name.as_str().to_owned());
        home.create(&principal, &secrets, unlock, &[])?;
        Ok(Self {
            institution,
            identity: Arc::new(identity),
            recipient,
        })
    }

    fn open(home: &Home, principal: &Principal, unlock: &Unlock) -> Result<Self> {
        let secrets = home.unlock(principal, unlock)?;
        let [identity, recipient] = seeds(&secrets).ok_or_else(|| home.damaged("secrets.sealed"))?;
        let identity = SigningIdentity::from_seed(identity)?;
        let institution = InstitutionId::from(&identity.public());
        Ok(Self {
            institution,
            identity: Arc::new(identity),
            recipient: RecipientSecret::from_seed(recipient)?,
        })
    }

    /// Signs a statement.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.identity.sign_bytes(message)
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
        let home = Home::at(home);
        let keys = match home.principal() {
            Ok(principal) if begun(&principal, &name) => Keys::open(&home, &principal, unlock)?,
            _ => {
                home.must_be_free()?;
                Keys::create(&home, unlock, &name)?
            }
        };
        let request = AccreditationRequest {
            created: mint::now_ms(),
            name,
            identity_key: keys.identity.public(),
            recipient_key: keys.recipient.public().clone(),
        };
        let request = Signed::sign(request, |message| keys.sign(message));
        Ok((keys.institution, request.to_message().encode_to_vec()))
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
        let home = Home::at(home);
        let principal = home.principal_of(Kind::Institution)?;
        if principal.enrolled {
            home.must_be_free()?;
        }
        let pins = bootstrap(link).await?;
        let keys = {
            let (home, principal, unlock) = (home.clone(), principal.clone(), unlock.clone());
            blocking(move || Keys::open(&home, &principal, &unlock)).await?
        };
        let file: pb::AccreditationFile = protocol_spec::messages::decode(accreditation).map_err(wrong)?;
        let message = enrolment(&home, &keys, &pins, file)?;
        let name = Signed::<InstitutionKeys>::try_from(message.keys.clone())?
            .claimed()
            .name
            .as_str()
            .to_owned();
        let institution = Self::with(home, pins.clone(), keys, name.clone())?;
        institution
            .session
            .server
            .post::<pb::Accepted>("/v1/institutions", &message)
            .await?;
        let mut principal = principal;
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
        let home = Home::at(home);
        let principal = home.principal_of(Kind::Institution)?;
        let pins = home.pins(&principal)?;
        let name = principal.name.clone().unwrap_or_default();
        let (at, unlock) = (home.clone(), unlock.clone());
        let keys = blocking(move || Keys::open(&at, &principal, &unlock)).await?;
        Self::with(home, pins, keys, name)
    }

    fn with(home: Home, pins: Pins, keys: Keys, name: String) -> Result<Self> {
        let session = Session::new(home, pins, &keys.institution, keys.identity.clone())?;
        Ok(Self { session, keys, name })
    }
}

/// Whether these are the keys of an earlier request under this name.
fn begun(principal: &Principal, name: &Name) -> bool {
    principal.kind == Kind::Institution
        && !principal.enrolled
        && principal.name.as_deref() == Some(name.as_str())
}

/// Opens the accreditation and puts the enrolment together. It is checked as the server will check it, so that
/// a wrong file is found here.
fn enrolment(
    home: &Home,
    keys: &Keys,
    pins: &Pins,
    file: pb::AccreditationFile,
) -> Result<pb::EnrolInstitution> {
    let key = IdentityKey::try_from(file.registrar_key.as_ref()).map_err(wrong)?;
    if key != pins.registrar {
        return Err(wrong("it is by another registrar than that of the server"));
    }
    let accreditation = Signed::<Accreditation>::try_from(file.accreditation).map_err(wrong)?;
    if accreditation.claimed().institution_id != keys.institution {
        return Err(wrong("it is for other keys than those of this home"));
    }
    let sealed = SealedBytes::try_from(file.secret).map_err(wrong)?;
    let secret = open_accreditation(
        &keys.recipient,
        &RegistrarId::from(&key),
        &keys.institution,
        &sealed,
    )
    .map_err(wrong)?;
    let statement = institution_keys(home, keys, pins, &accreditation)?;
    let entry = directory::Institution::verify(
        statement.clone(),
        accreditation.clone(),
        &pins.registrar,
        OperatorId::from(&pins.operator),
    )
    .map_err(wrong)?;
    entry.check_secret(secret.expose()).map_err(wrong)?;
    Ok(pb::EnrolInstitution {
        keys: Some(statement.to_message()),
        accreditation: Some(accreditation.to_message()),
        secret: bytes::Bytes::copy_from_slice(secret.expose()),
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
        identity_key: keys.identity.public(),
        recipient_key: keys.recipient.public().clone(),
        accreditation_hash,
    };
    let statement = Signed::sign(statement, |message| keys.sign(message));
    home.write(KEYS, &statement.to_message().encode_to_vec())?;
    Ok(statement)
}

fn wrong<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the accreditation file")(cause)
}

const KEYS: &str = "keys.pb";
