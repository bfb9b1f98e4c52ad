//! What an institution decides about itself, message by message: another recipient key, terminals, its end.

use anyhow::Result;
use bytes::Bytes;
use crypto::{AccreditationSecret, RecipientSecret, SigningIdentity, seal_terminal_keys};
use protocol_spec::{
    bodies::{Accreditation, InstitutionKeys, Retirement, Succession, TerminalCertificate, TerminalRemoval},
    directory::Institution,
    field::Name,
    ids::{PermissionId, RegistrarId, TerminalId},
    messages as pb,
    statement::Signed,
};

use super::{Answer, Call, Key, RawInstitution, Wire, now_ms};

/// A terminal of an institution, certified or not.
pub struct RawTerminal {
    /// Its id.
    pub id: TerminalId,
    /// Its certificate.
    pub certificate: Signed<TerminalCertificate>,
    /// Signs its requests and statements.
    pub signing: SigningIdentity,
    name: String,
}

impl RawTerminal {
    /// How it signs requests.
    pub fn key(&self) -> Key<'_> {
        Key {
            id: &self.name,
            signing: &self.signing,
        }
    }

    /// Sends a message, signed.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, wire: &Wire, path: &str, message: &impl prost::Message) -> Result<Answer> {
        wire.call(&Call::post(path, message)?, self.key()).await
    }

    /// Reads, signed.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&self, wire: &Wire, path: &str) -> Result<Answer> {
        wire.call(&Call::get(path), self.key()).await
    }

    /// Delivery to this terminal, opening by its institution's key, presentation by this terminal.
    ///
    /// # Errors
    /// When no answer comes, or the permission key does not open.
    pub async fn present(
        &self,
        wire: &Wire,
        institution: &RawInstitution,
        permission: PermissionId,
    ) -> Result<Answer> {
        let answer = self.get(wire, &format!("/v1/permissions/{permission}")).await?;
        if !answer.status.is_success() {
            return Ok(answer);
        }
        let delivery = answer.message()?;
        let (_, possession) = institution.open(&delivery)?;
        let call = RawInstitution::presentation(permission, &delivery)?;
        let pop = Key {
            id: &permission.to_string(),
            signing: &possession,
        };
        wire.present(&call, self.key(), pop).await
    }
}

impl RawInstitution {
    /// The message by which it goes on with `recipient`, accredited by this registrar; `edit` may change the entry
    /// before it is signed.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn rotation(
        &self,
        registrar: &SigningIdentity,
        recipient: &RecipientSecret,
        edit: impl FnOnce(&mut InstitutionKeys),
    ) -> Result<pb::RotateInstitution> {
        let secret = AccreditationSecret::generate()?;
        let accreditation = Accreditation {
            created: now_ms(),
            registrar_id: RegistrarId::from(&registrar.public()),
            institution_id: self.entry.id(),
            name: self.entry.name().clone(),
            recipient_key_hash: recipient.public().digest(),
            secret_hash: secret.hash(),
            emergency: false,
        };
        let accreditation = Signed::sign(accreditation, |message| registrar.sign_bytes(message));
        let mut keys = InstitutionKeys {
            created: now_ms(),
            operator_id: self.entry.keys().operator_id,
            name: self.entry.name().clone(),
            identity_key: self.identity.public(),
            recipient_key: recipient.public().clone(),
            accreditation_hash: accreditation.hash(),
            succession: Some(Succession {
                sequence: self.entry.sequence() + 1,
                previous: self.entry.entry_hash(),
                overlap_ends: now_ms() + 3_600_000,
            }),
        };
        edit(&mut keys);
        let keys = Signed::sign(keys, |message| self.identity.sign_bytes(message));
        Ok(pb::RotateInstitution {
            keys: Some(keys.to_message()),
            accreditation: Some(accreditation.to_message()),
            secret: Bytes::copy_from_slice(secret.expose()),
            terminals: Vec::new(),
        })
    }

    /// Sends a rotation.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send_rotation(&self, wire: &Wire, message: &pb::RotateInstitution) -> Result<Answer> {
        self.post(wire, "/v1/institutions/rotation", message).await
    }

    /// Goes on with a fresh recipient key; earlier ones end after so many milliseconds. Gives the key that it had.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn rotate(
        &mut self,
        wire: &Wire,
        registrar: &SigningIdentity,
        overlap: u64,
    ) -> Result<RecipientSecret> {
        let next = RecipientSecret::generate()?;
        let message = self.rotation(registrar, &next, |keys| {
            if let Some(place) = &mut keys.succession {
                place.overlap_ends = now_ms() + overlap;
            }
        })?;
        self.send_rotation(wire, &message)
            .await?
            .message::<pb::Accepted>()?;
        self.entry = Institution::verify(
            message.keys.try_into()?,
            message.accreditation.try_into()?,
            &registrar.public(),
            wire.operator_id(),
        )?;
        Ok(std::mem::replace(&mut self.recipient, next))
    }

    /// A terminal with its certificate, which `edit` may change before it is signed. Nothing is sent.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn terminal(&self, edit: impl FnOnce(&mut TerminalCertificate)) -> Result<RawTerminal> {
        let (signing, recipient) = (SigningIdentity::generate()?, RecipientSecret::generate()?);
        let mut certificate = TerminalCertificate {
            created: now_ms(),
            operator_id: self.entry.keys().operator_id,
            institution_id: self.entry.id(),
            name: Name::try_from("Ward 3".to_owned())?,
            terminal_key: signing.public(),
            recipient_key: recipient.public().clone(),
            not_after: now_ms() + 3_600_000,
        };
        edit(&mut certificate);
        let id = TerminalId::from(&signing.public());
        Ok(RawTerminal {
            id,
            certificate: Signed::sign(certificate, |message| self.identity.sign_bytes(message)),
            signing,
            name: id.to_string(),
        })
    }

    /// The message that certifies a terminal at the server, with the recipient key for it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn certify(&self, terminal: &RawTerminal) -> Result<pb::AddTerminal> {
        let to = &terminal.certificate.claimed().recipient_key;
        let seeds = [self.recipient.expose_seed()];
        let sealed = seal_terminal_keys(to, &self.entry.id(), &terminal.id, &seeds)?;
        Ok(pb::AddTerminal {
            certificate: Some(terminal.certificate.to_message()),
            keys: Some((&sealed).into()),
        })
    }

    /// A certified terminal.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn add_terminal(
        &self,
        wire: &Wire,
        edit: impl FnOnce(&mut TerminalCertificate),
    ) -> Result<RawTerminal> {
        let terminal = self.terminal(edit)?;
        self.post(wire, "/v1/institutions/terminals", &self.certify(&terminal)?)
            .await?
            .message::<pb::Accepted>()?;
        Ok(terminal)
    }

    /// The message that removes a terminal.
    pub fn removal(&self, terminal: TerminalId) -> pb::RemoveTerminal {
        let removal = TerminalRemoval {
            created: now_ms(),
            operator_id: self.entry.keys().operator_id,
            institution_id: self.entry.id(),
            terminal_id: terminal,
        };
        let removal = Signed::sign(removal, |message| self.identity.sign_bytes(message));
        pb::RemoveTerminal {
            removal: Some(removal.to_message()),
        }
    }

    /// Removes a terminal, which must be taken.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn remove_terminal(&self, wire: &Wire, terminal: TerminalId) -> Result<()> {
        self.post(
            wire,
            "/v1/institutions/terminals/removals",
            &self.removal(terminal),
        )
        .await?
        .message::<pb::Accepted>()?;
        Ok(())
    }

    /// The message that ends it.
    pub fn retirement(&self) -> pb::RetireInstitution {
        let retirement = Retirement {
            created: now_ms(),
            operator_id: self.entry.keys().operator_id,
            institution_id: self.entry.id(),
            entry_hash: self.entry.entry_hash(),
        };
        let retirement = Signed::sign(retirement, |message| self.identity.sign_bytes(message));
        pb::RetireInstitution {
            retirement: Some(retirement.to_message()),
        }
    }

    /// Ends it, which must be taken.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn retire(&self, wire: &Wire) -> Result<()> {
        self.post(wire, "/v1/institutions/retirement", &self.retirement())
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }
}
