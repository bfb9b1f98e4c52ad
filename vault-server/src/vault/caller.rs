//! Who asks. The HTTP layer finds a caller by the key id of a request's signature, verifies the
//! signature with [`Caller::key`], and passes the caller on: whoever holds one is authenticated.

use std::sync::Arc;

use protocol_spec::{
    bodies::TerminalCertificate,
    defence::Defence,
    directory::Institution,
    ids::{DeviceId, PatientId, TerminalId},
    keys::IdentityKey,
    patient::Device,
    problem::Problem,
    statement::{Body, Signed, Verified},
};

use super::{Refusal, enrol::Enrolment, refusal::ensure, standing::Holder};

/// An enrolled principal, or one whose enrolment has been checked.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A patient, by a device of hers.
    Patient {
        /// The vault is hers.
        id: PatientId,
        /// Signs her requests: SHA-256 of the key.
        device: DeviceId,
        /// The device's key.
        key: IdentityKey,
    },
    /// A patient whose enrolment has been checked.
    Enrolling(Arc<Enrolment>),
    /// A device that is nobody's yet.
    NewDevice {
        /// SHA-256 of the key.
        id: DeviceId,
        /// Signs its request.
        key: IdentityKey,
    },
    /// An accredited institution, by its identity key.
    Institution(Arc<Institution>),
    /// An institution, by one of its terminals.
    Terminal {
        /// For whom it speaks.
        institution: Arc<Institution>,
        /// By which right.
        certificate: Arc<Verified<TerminalCertificate>>,
    },
}

impl Caller {
    /// The key that signs this caller's requests.
    pub fn key(&self) -> &IdentityKey {
        match self {
            Self::Patient { key, .. } | Self::NewDevice { key, .. } => key,
            Self::Enrolling(enrolment) => enrolment.device.key(),
            Self::Institution(institution) => institution.identity_key(),
            Self::Terminal { certificate, .. } => &certificate.terminal_key,
        }
    }

    /// The `keyid` of its signatures: the id of the device or of the institution.
    pub fn key_id(&self) -> String {
        match self {
            Self::Patient { device: id, .. } | Self::NewDevice { id, .. } => id.to_string(),
            Self::Enrolling(enrolment) => enrolment.device.id().to_string(),
            Self::Institution(institution) => institution.id().to_string(),
            Self::Terminal { certificate, .. } => TerminalId::from(&certificate.terminal_key).to_string(),
        }
    }

    /// Its id as the partition of its rows, and the one name under which limits count it.
    pub fn principal(&self) -> [u8; 32] {
        match self {
            Self::Patient { id, .. } => *id.as_bytes(),
            Self::Enrolling(enrolment) => *enrolment.device.patient_id().as_bytes(),
            Self::NewDevice { id, .. } => *id.as_bytes(),
            Self::Institution(institution) | Self::Terminal { institution, .. } => {
                *institution.id().as_bytes()
            }
        }
    }

    /// The patient, where only a patient may ask.
    pub(super) fn patient(&self) -> Result<PatientId, Refusal> {
        match self {
            Self::Patient { id, .. } => Ok(*id),
            _ => Err(Refusal::absent("only patients may do this")),
        }
    }

    /// The institution, where only an institution may ask.
    pub(super) fn institution(&self) -> Result<&Arc<Institution>, Refusal> {
        match self {
            Self::Institution(institution) | Self::Terminal { institution, .. } => Ok(institution),
            _ => Err(Refusal::new(
                Problem::NotPermitted,
                "only institutions may do this",
            )),
        }
    }

    /// The institution itself, where none of its terminals may ask (INS-10).
    pub(super) fn identity(&self) -> Result<&Arc<Institution>, Refusal> {
        let terminal = matches!(self, Self::Terminal { .. });
        ensure(
            Defence::TerminalScope.holds(!terminal),
            Problem::NotPermitted,
            "only the identity key may do this",
        )?;
        self.institution()
    }

    /// For whom its sessions go on, where only an institution may ask.
    pub(super) fn holder(&self) -> Result<Holder, Refusal> {
        Ok(Holder {
            institution: self.institution()?.id(),
            terminal: self
                .certificate()
                .map(|certificate| TerminalId::from(&certificate.terminal_key)),
        })
    }

    /// The certificate of the terminal that asks, if one does.
    pub(super) fn certificate(&self) -> Option<&Verified<TerminalCertificate>> {
        match self {
            Self::Terminal { certificate, .. } => Some(certificate),
            _ => None,
        }
    }

    /// Whether an institution's statement was signed by whoever asks, not by another of its terminals (INS-9).
    pub(super) fn check_signer<T: Body>(&self, statement: &Verified<T>) -> Result<(), Refusal> {
        let by = statement.signed().terminal().map(Signed::hash);
        let own = by == self.certificate().map(Verified::hash);
        ensure(
            Defence::OwnStatements.holds(own),
            Problem::NotPermitted,
            "another terminal signed the statement",
        )
    }

    /// The patient and the device by which she asks.
    pub(super) fn device(&self) -> Result<(PatientId, DeviceId), Refusal> {
        match self {
            Self::Patient { id, device, .. } => Ok((*id, *device)),
            _ => Err(Refusal::absent("only patients may do this")),
        }
    }

    /// Whether a statement's device is the one that asks, which is in the newest list (DEV-6).
    pub(super) fn check_device(&self, other: &Device) -> Result<(), Refusal> {
        let (_, device) = self.device()?;
        if Defence::OwnStatements.holds(device == other.id()) {
            Ok(())
        } else {
            Err(Refusal::absent("another device signed the statement"))
        }
    }
}

/// What makes a mutation the same mutation again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// SHA-256 of the text of the idempotency key.
    pub key: [u8; 32],
    /// SHA-256 over method, path, query and content digest.
    pub digest: [u8; 32],
}
