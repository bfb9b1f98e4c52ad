//! The registrar: accredits institutions by a key that never touches a server.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

mod accredited;
mod restored;

use std::path::Path;

use crypto::{AccreditationSecret, SigningIdentity, seal_accreditation};
use prost::Message;
use protocol_spec::{
    bodies::{Accreditation, AccreditationRequest, Program, Withdrawal},
    hash::Sha256Digest,
    ids::{InstitutionId, RegistrarId},
    keys::IdentityKey,
    messages as pb,
    statement::{Signed, Verified},
};

pub use self::accredited::Accredited;

use self::accredited::{List, must_differ};
use crate::{
    Error, Ground, Result, Unlock,
    home::{ClosedHome, Home, Kind, Principal, seeds},
    programs::ProgramAbout,
    transfer::files::file_hash,
};

/// A registrar with its key, and the list of what it has accredited. Works offline.
pub struct Registrar {
    key: SigningIdentity,
    home: Home,
}

/// What an accreditation says beside name and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accrediting {
    /// It may open in emergencies (EMG-6).
    pub emergency: bool,
    /// The registrar has looked at whom the name looks like, and accredits it all the same (INS-17).
    pub although_alike: bool,
}

/// An institution that asks to be accredited: what the registrar checks by its own means before it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Its id, from its identity key.
    pub institution_id: InstitutionId,
    /// The name it wants to be known by.
    pub name: String,
    /// SHA-256 of its X-Wing key.
    pub recipient_key: Sha256Digest,
}

impl Registrar {
    /// Makes a registrar's key in `home`. Errors: [`Error::HomeExists`].
    pub fn init(home: impl Into<Ground>, unlock: &Unlock) -> Result<Self> {
        let home = ClosedHome::at(home);
        let key = SigningIdentity::generate(home.system())?;
        let principal = Principal::new(Kind::Registrar, RegistrarId::from(&key.public()));
        let secret = key.expose_seed();
        let home = home.create(&principal, secret.as_slice(), unlock, &[])?;
        Ok(Self { key, home })
    }

    /// Opens the home of a registrar that was made before. Errors: [`Error::HomeMissing`], [`Error::WrongUnlock`], [`Error::HomeKind`].
    pub fn open(home: impl Into<Ground>, unlock: &Unlock) -> Result<Self> {
        let home = ClosedHome::at(home);
        let principal = home.principal_of(Kind::Registrar)?;
        let (secrets, home) = home.unlock(&principal, unlock)?;
        let [seed] = seeds(&secrets).ok_or_else(|| home.damaged("secrets.sealed"))?;
        Ok(Self {
            key: SigningIdentity::from_seed(seed)?,
            home,
        })
    }

    /// Its public key as text (`regkey_…`), for the server.
    pub fn key_text(&self) -> String {
        self.key.public().to_text(IdentityKey::REGISTRAR_PREFIX)
    }

    /// Reads a request and checks that its maker holds the identity key in it (KEY-6). Errors: [`Error::Tampered`].
    pub fn inspect(request: &[u8]) -> Result<Applicant> {
        verify(request).map(|request| applicant(&request))
    }

    /// What this registrar has accredited, in the order of their first time. Errors: [`Error::HomeDamaged`].
    pub fn accredited(&self) -> Result<Vec<Accredited>> {
        Ok(List::read(&self.home)?.accredited)
    }

    /// Which of them the applicant's name looks like (INS-17). Errors: as [`Self::accredited`].
    pub fn alike(&self, applicant: &Applicant) -> Result<Vec<Accredited>> {
        Ok(List::read(&self.home)?.alike(applicant))
    }

    /// Accredits: returns who, and the file to hand back. Only the holder of the request's X-Wing key can open
    /// the secret in it, and nobody enrols without (KEY-7). It stands on the registrar's list before it is handed out.
    /// Errors: as [`Self::inspect`]; [`Error::LookAlike`], [`Error::HomeLocked`], [`Error::HomeDamaged`].
    pub fn accredit(&self, request: &[u8], how: Accrediting) -> Result<(Applicant, Vec<u8>)> {
        let request = verify(request)?;
        let applicant = applicant(&request);
        let _lock = self.home.try_lock()?;
        let mut list = List::read(&self.home)?;
        must_differ(&applicant, &list.alike(&applicant), how.although_alike)?;
        list.add(&applicant, how.emergency, self.home.system().now_ms());
        let file = self.accreditation(&request, &applicant, how.emergency)?;
        list.write(&self.home)?;
        Ok((applicant, file))
    }

    fn accreditation(
        &self,
        request: &AccreditationRequest,
        applicant: &Applicant,
        emergency: bool,
    ) -> Result<Vec<u8>> {
        let registrar_id = RegistrarId::from(&self.key.public());
        let secret = AccreditationSecret::generate(self.home.system())?;
        let accreditation = Accreditation {
            created: self.home.system().now_ms(),
            registrar_id,
            institution_id: applicant.institution_id,
            name: request.name.clone(),
            recipient_key_hash: applicant.recipient_key,
            secret_hash: secret.hash(),
            emergency,
        };
        let sealed = seal_accreditation(
            self.home.system(),
            &request.recipient_key,
            &registrar_id,
            &applicant.institution_id,
            &secret,
        )?;
        let file = pb::AccreditationFile {
            accreditation: Some(
                Signed::sign(accreditation, |message| self.key.sign_bytes(message)).to_message(),
            ),
            secret: Some((&sealed).into()),
            registrar_key: bytes::Bytes::copy_from_slice(self.key.public().as_bytes()),
        };
        Ok(file.encode_to_vec())
    }

    /// Withdraws what this registrar has accredited under an institution's identity, for ever and everywhere (INS-15): a file for
    /// whoever carries it to the servers. Errors: [`Error::HomeLocked`], [`Error::HomeDamaged`].
    pub fn withdraw(&self, institution: InstitutionId) -> Result<Vec<u8>> {
        let _lock = self.home.try_lock()?;
        let mut list = List::read(&self.home)?;
        if let Some(one) = list.find(&institution.to_string()) {
            one.withdrawn = true;
            list.write(&self.home)?;
        }
        let withdrawal = Withdrawal {
            created: self.home.system().now_ms(),
            registrar_id: RegistrarId::from(&self.key.public()),
            institution_id: institution,
        };
        let signed = Signed::sign(withdrawal, |message| self.key.sign_bytes(message));
        Ok(signed.to_bytes())
    }

    /// What this registrar would say of a program: for whoever decides whether to [`Self::vouch`] for it. Errors: [`Error::Io`].
    pub fn describe_program(&self, file: &Path, about: ProgramAbout) -> Result<Program> {
        let ProgramAbout {
            name,
            version,
            target,
            source,
            toolchain,
        } = about;
        Ok(Program {
            created: self.home.system().now_ms(),
            registrar_id: RegistrarId::from(&self.key.public()),
            name,
            version,
            target,
            source,
            toolchain,
            file_hash: file_hash(file)?,
        })
    }

    /// Vouches for a client program (PRG-1): a file for whoever carries it to the servers.
    pub fn vouch(&self, program: Program) -> Vec<u8> {
        let signed = Signed::sign(program, |message| self.key.sign_bytes(message));
        signed.to_bytes()
    }
}

fn verify(request: &[u8]) -> Result<Verified<AccreditationRequest>> {
    let signed = Signed::<AccreditationRequest>::from_bytes(request).map_err(refused)?;
    let key = signed.claimed().identity_key;
    signed.verify(&key).map_err(refused)
}

/// A name that is none is the applicant's to change; all else is somebody's doing.
fn refused(error: protocol_spec::Error) -> Error {
    match error {
        name @ protocol_spec::Error::Name { .. } => Error::Protocol(name),
        other => Error::tampered("the accreditation request")(other),
    }
}

fn applicant(request: &AccreditationRequest) -> Applicant {
    Applicant {
        institution_id: InstitutionId::from(&request.identity_key),
        name: request.name.as_str().to_owned(),
        recipient_key: request.recipient_key.digest(),
    }
}

#[cfg(test)]
mod tests {
    use crypto::{OperatingSystem, RecipientSecret, open_accreditation};
    use protocol_spec::programs::verify_program;

    use super::*;

    fn registrar(folder: &tempfile::TempDir) -> Registrar {
        Registrar {
            key: SigningIdentity::generate(&OperatingSystem).unwrap(),
            home: Home::at(folder.path()),
        }
    }

    fn asking(name: &str) -> (InstitutionId, Vec<u8>) {
        let (identity, recipient) = (
            SigningIdentity::generate(&OperatingSystem).unwrap(),
            RecipientSecret::generate(&OperatingSystem).unwrap(),
        );
        let id = InstitutionId::from(&identity.public());
        (id, request_as(name, &identity, &identity, &recipient))
    }

    fn request(signer: &SigningIdentity, named: &SigningIdentity, recipient: &RecipientSecret) -> Vec<u8> {
        request_as("Clinic", signer, named, recipient)
    }

    fn request_as(
        name: &str,
        signer: &SigningIdentity,
        named: &SigningIdentity,
        recipient: &RecipientSecret,
    ) -> Vec<u8> {
        let request = AccreditationRequest {
            created: 1,
            name: name.to_owned().try_into().unwrap(),
            identity_key: named.public(),
            recipient_key: recipient.public().clone(),
        };
        Signed::sign(request, |message| signer.sign_bytes(message))
            .to_message()
            .encode_to_vec()
    }

    /// INS-17, ATK-72: the list outlives the process, an institution is not like itself, and whose accreditation was
    /// withdrawn is not in the way of its next identity.
    #[test]
    fn a_registrar_is_told_whom_a_name_looks_like() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningIdentity::generate(&OperatingSystem).unwrap();
        let registrar = || Registrar {
            key: SigningIdentity::from_seed(&key.expose_seed()).unwrap(),
            home: Home::at(folder.path()),
        };
        let (anna, request) = asking("St. Anna");
        for _ in 0..2 {
            registrar().accredit(&request, Accrediting::default()).unwrap();
        }
        let (false_anna, alike) = asking("St Anna");
        let refused = registrar().accredit(&alike, Accrediting::default()).unwrap_err();
        assert!(matches!(&refused, Error::LookAlike { .. }), "{refused}");
        assert!(refused.to_string().contains(&anna.to_string()), "{refused}");
        let applicant = Registrar::inspect(&alike).unwrap();
        assert_eq!(registrar().alike(&applicant).unwrap()[0].name, "St. Anna");
        let although = Accrediting {
            although_alike: true,
            ..Accrediting::default()
        };
        registrar().accredit(&alike, although).unwrap();
        registrar().withdraw(anna).unwrap();
        registrar().withdraw(false_anna).unwrap();
        let (_, again) = asking("ST. ANNA");
        registrar().accredit(&again, Accrediting::default()).unwrap();
        let list = registrar().accredited().unwrap();
        let state: Vec<_> = list
            .iter()
            .map(|one| (one.name.as_str(), one.withdrawn))
            .collect();
        assert_eq!(
            state,
            [("St. Anna", true), ("St Anna", true), ("ST. ANNA", false)]
        );
    }

    /// PRG-1.
    #[test]
    fn a_registrar_vouches_for_a_file_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let registrar = registrar(&folder);
        let file = folder.path().join("medvault");
        std::fs::write(&file, b"a program").unwrap();
        let text = |text: &str| text.to_owned().try_into().unwrap();
        let about = ProgramAbout {
            name: text("medvault"),
            version: text("1.0.0"),
            target: text("x86_64-unknown-linux-gnu"),
            source: text("a revision"),
            toolchain: text("a compiler"),
        };
        let program = registrar.describe_program(&file, about).unwrap();
        let statement = Signed::from_bytes(&registrar.vouch(program.clone())).unwrap();
        let verified = verify_program(statement, &registrar.key.public()).unwrap();
        assert_eq!((*verified).clone(), program);
        assert_eq!(verified.file_hash, Sha256Digest::of(b"a program"));
    }

    /// KEY-6, KEY-16.
    #[test]
    fn only_the_holder_of_both_keys_is_accredited() {
        let folder = tempfile::tempdir().unwrap();
        let registrar = registrar(&folder);
        let (clinic, stranger) = (
            SigningIdentity::generate(&OperatingSystem).unwrap(),
            SigningIdentity::generate(&OperatingSystem).unwrap(),
        );
        let recipient = RecipientSecret::generate(&OperatingSystem).unwrap();
        let foreign = request(&stranger, &clinic, &recipient);
        assert!(matches!(
            registrar.accredit(&foreign, Accrediting::default()),
            Err(Error::Tampered { .. })
        ));
        let (applicant, file) = registrar
            .accredit(
                &request(&clinic, &clinic, &recipient),
                Accrediting {
                    emergency: true,
                    ..Accrediting::default()
                },
            )
            .unwrap();
        assert_eq!(
            (applicant.institution_id, applicant.name.as_str()),
            ((&clinic.public()).into(), "Clinic")
        );
        let file: pb::AccreditationFile = protocol_spec::messages::decode(&file).unwrap();
        let accreditation = Signed::<Accreditation>::try_from(file.accreditation).unwrap();
        let accreditation = accreditation.verify(&registrar.key.public()).unwrap();
        assert!(accreditation.emergency);
        let sealed = file.secret.try_into().unwrap();
        let open = |with: &RecipientSecret| {
            open_accreditation(
                with,
                &accreditation.registrar_id,
                &applicant.institution_id,
                &sealed,
            )
        };
        assert_eq!(open(&recipient).unwrap().hash(), accreditation.secret_hash);
        assert!(open(&RecipientSecret::generate(&OperatingSystem).unwrap()).is_err());
    }
}
