//! An institution that a registrar has accredited, its requests, its terminals and its end.

use protocol_spec::{
    bodies::{
        Accreditation, DownloadRequest, EmergencyOpening, InstitutionKeys, ReferenceRequest, Retirement,
        Succession, TerminalCertificate, TerminalRemoval,
    },
    directory,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, PatientId, RequestId, TerminalId},
    keys::{IdentityKey, RecipientKey},
    messages as pb,
    statement::{Body, Signed},
};

use crate::{
    key::{KeyPair, random, recipient, recipient_of, sealed},
    setting::{HOUR, REGISTRAR, Setting, registrar_id},
};

/// What opens from an accreditation, unless it names another secret's hash.
pub const SECRET: &[u8] = b"opened from the accreditation";

/// An institution with its newest entry.
#[derive(Clone)]
pub struct Institution {
    /// Its id.
    pub id: InstitutionId,
    /// Its identity.
    pub key: KeyPair,
    /// Its entry in the directory.
    pub keys: Signed<InstitutionKeys>,
    /// What its entry rests on.
    pub accreditation: Signed<Accreditation>,
    /// Where and when it acts.
    pub at: Setting,
}

/// What an entry is made of.
pub struct Charter {
    key: KeyPair,
    name: String,
    recipient: RecipientKey,
    registrar: KeyPair,
    secret_hash: Sha256Digest,
    emergency: bool,
    succession: Option<Succession>,
    at: Setting,
}

impl Charter {
    /// The first entry of whoever has this key.
    pub fn of(key: KeyPair) -> Self {
        Self {
            name: "St. Anna".to_owned(),
            recipient: recipient_of(&key.public()),
            key,
            registrar: KeyPair::new(REGISTRAR),
            secret_hash: Sha256Digest::of(SECRET),
            emergency: false,
            succession: None,
            at: Setting::default(),
        }
    }

    /// Under this name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// What is sealed to it is sealed to this key.
    #[must_use]
    pub fn recipient(self, recipient: RecipientKey) -> Self {
        Self { recipient, ..self }
    }

    /// By this registrar.
    #[must_use]
    pub fn accredited_by(self, registrar: &KeyPair) -> Self {
        Self {
            registrar: registrar.clone(),
            ..self
        }
    }

    /// With a secret that has this hash.
    #[must_use]
    pub fn secret_hash(self, secret_hash: Sha256Digest) -> Self {
        Self { secret_hash, ..self }
    }

    /// Whether it may open in emergencies.
    #[must_use]
    pub fn emergency(self, emergency: bool) -> Self {
        Self { emergency, ..self }
    }

    /// At this server, at this time.
    #[must_use]
    pub fn at(self, at: Setting) -> Self {
        Self { at, ..self }
    }

    /// The entry after this one, whose keys end after an hour.
    #[must_use]
    pub fn after(self, entry: &directory::Institution) -> Self {
        let place = Succession {
            sequence: entry.sequence() + 1,
            previous: entry.entry_hash(),
            overlap_ends: self.at.now() + HOUR,
        };
        Self {
            succession: Some(place),
            ..self
        }
    }

    /// Signed by registrar and institution.
    pub fn sign(self) -> Institution {
        self.sign_with(|_| ())
    }

    /// Signed by registrar and, after a change, by the institution.
    pub fn sign_with(self, change: impl FnOnce(&mut InstitutionKeys)) -> Institution {
        let id = InstitutionId::from(&self.key.public());
        let name: protocol_spec::field::Name = self.name.try_into().unwrap();
        let accreditation = self.registrar.signed(Accreditation {
            created: self.at.now(),
            registrar_id: registrar_id(&self.registrar),
            institution_id: id,
            name: name.clone(),
            recipient_key_hash: self.recipient.digest(),
            secret_hash: self.secret_hash,
            emergency: self.emergency,
        });
        let mut keys = InstitutionKeys {
            created: self.at.now(),
            operator_id: self.at.operator,
            name,
            identity_key: self.key.public(),
            recipient_key: self.recipient,
            accreditation_hash: accreditation.hash(),
            succession: self.succession,
        };
        change(&mut keys);
        Institution {
            id,
            keys: self.key.signed(keys),
            key: self.key,
            accreditation,
            at: self.at,
        }
    }
}

impl Institution {
    /// One that the usual registrar has accredited for the usual server.
    pub fn new(seed: u8) -> Self {
        Self::accredited(seed, &KeyPair::new(REGISTRAR), Setting::default().operator, false)
    }

    /// One that may open in emergencies, or may not.
    pub fn accredited(seed: u8, registrar: &KeyPair, operator: OperatorId, emergency: bool) -> Self {
        Charter::of(KeyPair::new(seed))
            .named(format!("Hospital {seed}"))
            .recipient(recipient(seed))
            .accredited_by(registrar)
            .emergency(emergency)
            .at(Setting {
                operator,
                ..Setting::default()
            })
            .sign()
    }

    /// The message that enrols it.
    pub fn enrolment(&self) -> pb::EnrolInstitution {
        self.enrolment_with(SECRET)
    }

    /// The message that enrols it, with this secret.
    pub fn enrolment_with(&self, secret: &[u8]) -> pb::EnrolInstitution {
        pb::EnrolInstitution {
            keys: Some(self.keys.to_message()),
            accreditation: Some(self.accreditation.to_message()),
            secret: secret.to_vec().into(),
        }
    }

    /// Its entry, as the directory shows it.
    pub fn entry(&self) -> pb::DirectoryEntry {
        pb::DirectoryEntry {
            keys: Some(self.keys.to_message()),
            accreditation: Some(self.accreditation.to_message()),
            ..pb::DirectoryEntry::default()
        }
    }

    /// Its entry, as whoever believes this registrar has verified it.
    pub fn verified(&self, registrar: &IdentityKey) -> directory::Institution {
        let (keys, accreditation) = (self.keys.clone(), self.accreditation.clone());
        directory::Institution::verify(keys, accreditation, registrar, self.at.operator).unwrap()
    }

    /// Signs a body; the message, and the body's hash.
    pub fn statement<T: Body>(&self, body: T) -> (pb::Statement, Sha256Digest) {
        let signed = self.key.signed(body);
        (signed.to_message(), signed.hash())
    }

    /// What it asks a patient to let it download.
    pub fn download_request(&self, patient: PatientId) -> DownloadRequest {
        let created = self.at.now();
        DownloadRequest {
            created,
            operator_id: self.at.operator,
            request_id: RequestId::mint(created, random()),
            institution_id: self.id,
            patient_id: patient,
            expires: created + 24 * HOUR,
            text: sealed(),
            root_epoch: 0,
            purpose: None,
        }
    }

    /// What it asks a patient to let another institution download.
    pub fn reference_request(&self, second: InstitutionId, patient: PatientId) -> ReferenceRequest {
        let created = self.at.now();
        ReferenceRequest {
            created,
            operator_id: self.at.operator,
            request_id: RequestId::mint(created, random()),
            institution_id: self.id,
            second_institution_id: second,
            patient_id: patient,
            expires: created + 24 * HOUR,
            text: sealed(),
            root_epoch: 0,
            purpose: None,
        }
    }

    /// The message that asks for a download, and the request's hash.
    pub fn asks_download(&self, body: DownloadRequest) -> (pb::SubmitDownloadRequest, Sha256Digest) {
        let (request, hash) = self.statement(body);
        let request = Some(request);
        (pb::SubmitDownloadRequest { request }, hash)
    }

    /// The message that asks for a reference, and the request's hash.
    pub fn asks_reference(&self, body: ReferenceRequest) -> (pb::SubmitReferenceRequest, Sha256Digest) {
        let (request, hash) = self.statement(body);
        let request = Some(request);
        (pb::SubmitReferenceRequest { request }, hash)
    }

    /// What it signs to open a patient's vault with a card of this key.
    pub fn opening(&self, patient: PatientId, card_key: IdentityKey) -> EmergencyOpening {
        let created = self.at.now();
        EmergencyOpening {
            created,
            operator_id: self.at.operator,
            opening_id: RequestId::mint(created, random()),
            patient_id: patient,
            institution_id: self.id,
            card_key,
        }
    }

    /// A terminal of its own, whose certificate holds for an hour; `change` may change it before it is signed.
    pub fn terminal(
        &self,
        key: KeyPair,
        to: RecipientKey,
        change: impl FnOnce(&mut TerminalCertificate),
    ) -> Terminal {
        let mut certificate = TerminalCertificate {
            created: self.at.now(),
            operator_id: self.at.operator,
            institution_id: self.id,
            name: "Ward 3".to_owned().try_into().unwrap(),
            terminal_key: key.public(),
            recipient_key: to,
            not_after: self.at.now() + HOUR,
        };
        change(&mut certificate);
        Terminal {
            id: TerminalId::from(&key.public()),
            certificate: self.key.signed(certificate),
            key,
        }
    }

    /// The message that removes a terminal.
    pub fn removal(&self, terminal: TerminalId) -> pb::RemoveTerminal {
        let (removal, _) = self.statement(TerminalRemoval {
            created: self.at.now(),
            operator_id: self.at.operator,
            institution_id: self.id,
            terminal_id: terminal,
        });
        pb::RemoveTerminal {
            removal: Some(removal),
        }
    }

    /// The message that ends it.
    pub fn retirement(&self) -> pb::RetireInstitution {
        let (retirement, _) = self.statement(Retirement {
            created: self.at.now(),
            operator_id: self.at.operator,
            institution_id: self.id,
            entry_hash: self.keys.hash(),
        });
        pb::RetireInstitution {
            retirement: Some(retirement),
        }
    }
}

/// A terminal of an institution, certified or not.
#[derive(Clone)]
pub struct Terminal {
    /// Its id.
    pub id: TerminalId,
    /// Signs its requests and statements.
    pub key: KeyPair,
    /// By its institution.
    pub certificate: Signed<TerminalCertificate>,
}
