//! What an institution decides about itself, message by message: another recipient key, terminals, its end.

use actors::institution::Charter;
use anyhow::Result;
use bytes::Bytes;
use crypto::{AccreditationSecret, OperatingSystem, RecipientSecret, SigningIdentity, seal_terminal_keys};
use protocol_spec::{
    bodies::{InstitutionKeys, TerminalCertificate},
    ids::{PermissionId, TerminalId},
    messages as pb,
    statement::Signed,
};

use super::{Answer, Call, Key, RawInstitution, Wire, now_ms, pair};

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
    pub async fn post(&self, wire: &Wire, path: &str, message: &impl prost::Message) -> Result<Answer> {
        wire.call(&Call::post(path, message)?, self.key()).await
    }

    /// Reads, signed.
    pub async fn get(&self, wire: &Wire, path: &str) -> Result<Answer> {
        wire.call(&Call::get(path), self.key()).await
    }

    /// Delivery to this terminal, opening by its institution's key, presentation by this terminal.
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
    pub fn rotation(
        &self,
        registrar: &SigningIdentity,
        recipient: &RecipientSecret,
        edit: impl FnOnce(&mut InstitutionKeys),
    ) -> Result<pb::RotateInstitution> {
        let secret = AccreditationSecret::generate(&OperatingSystem)?;
        let next = Charter::of(pair(&self.identity))
            .named(self.entry.name().as_str())
            .recipient(recipient.public().clone())
            .accredited_by(&pair(registrar))
            .secret_hash(secret.hash())
            .at(self.actor.at)
            .after(&self.entry)
            .sign_with(edit);
        Ok(pb::RotateInstitution {
            keys: Some(next.keys.to_message()),
            accreditation: Some(next.accreditation.to_message()),
            secret: Bytes::copy_from_slice(secret.expose()),
            terminals: Vec::new(),
        })
    }

    /// Sends a rotation.
    pub async fn send_rotation(&self, wire: &Wire, message: &pb::RotateInstitution) -> Result<Answer> {
        self.post(wire, "/v1/institutions/rotation", message).await
    }

    /// Goes on with a fresh recipient key; earlier ones end after so many milliseconds. Gives the key that it had.
    pub async fn rotate(
        &mut self,
        wire: &Wire,
        registrar: &SigningIdentity,
        overlap: u64,
    ) -> Result<RecipientSecret> {
        let next = RecipientSecret::generate(&OperatingSystem)?;
        let message = self.rotation(registrar, &next, |keys| {
            if let Some(place) = &mut keys.succession {
                place.overlap_ends = now_ms() + overlap;
            }
        })?;
        self.send_rotation(wire, &message)
            .await?
            .message::<pb::Accepted>()?;
        (self.actor.keys, self.actor.accreditation) =
            (message.keys.try_into()?, message.accreditation.try_into()?);
        self.entry = self.actor.verified(&registrar.public());
        Ok(std::mem::replace(&mut self.recipient, next))
    }

    /// A terminal with its certificate, which `edit` may change before it is signed. Nothing is sent.
    pub fn terminal(&self, edit: impl FnOnce(&mut TerminalCertificate)) -> Result<RawTerminal> {
        let (signing, recipient) = (
            SigningIdentity::generate(&OperatingSystem)?,
            RecipientSecret::generate(&OperatingSystem)?,
        );
        let terminal = self
            .actor
            .terminal(pair(&signing), recipient.public().clone(), edit);
        Ok(RawTerminal {
            id: terminal.id,
            certificate: terminal.certificate,
            signing,
            name: terminal.id.to_string(),
        })
    }

    /// The message that certifies a terminal at the server, with the recipient key for it.
    pub fn certify(&self, terminal: &RawTerminal) -> Result<pb::AddTerminal> {
        let to = &terminal.certificate.claimed().recipient_key;
        let seeds = [self.recipient.expose_seed()];
        let sealed = seal_terminal_keys(&OperatingSystem, to, &self.entry.id(), &terminal.id, &seeds)?;
        Ok(pb::AddTerminal {
            certificate: Some(terminal.certificate.to_message()),
            keys: Some((&sealed).into()),
        })
    }

    /// A certified terminal.
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
        self.actor.removal(terminal)
    }

    /// Removes a terminal, which must be taken.
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
        self.actor.retirement()
    }

    /// Ends it, which must be taken.
    pub async fn retire(&self, wire: &Wire) -> Result<()> {
        self.post(wire, "/v1/institutions/retirement", &self.retirement())
            .await?
            .message::<pb::Accepted>()?;
        Ok(())
    }
}
