//! Who asks. The HTTP layer finds a caller by the key id of a request's signature, verifies the
//! signature with [`Caller::key`], and passes the caller on: whoever holds one is authenticated.

use std::sync::Arc;

use protocol_spec::{
    bodies::TerminalCertificate,
    defence::Defence,
    delegation::Power,
    directory::Institution,
    ids::{DeviceId, PatientId, TerminalId},
    keys::IdentityKey,
    problem::Problem,
    statement::Verified,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        weakened,
    },
    who::{
        enrolment::Enrolment,
        principal::{Acting, Holder, Sender},
    },
};

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
    /// A patient who acts for another one, by a device of hers and a delegation.
    Delegate(Arc<Acting>),
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
            Self::Delegate(acting) => &acting.key,
            Self::Enrolling(enrolment) => enrolment.device.key(),
            Self::Institution(institution) => institution.identity_key(),
            Self::Terminal { certificate, .. } => &certificate.terminal_key,
        }
    }

    /// The `keyid` of its signatures: the id of the device or of the institution.
    pub fn key_id(&self) -> String {
        match self {
            Self::Patient { device: id, .. } | Self::NewDevice { id, .. } => id.to_string(),
            Self::Delegate(acting) => acting.device.to_string(),
            Self::Enrolling(enrolment) => enrolment.device.id().to_string(),
            Self::Institution(institution) => institution.id().to_string(),
            Self::Terminal { certificate, .. } => TerminalId::from(&certificate.terminal_key).to_string(),
        }
    }

    /// Its id as the partition of its rows, and the one name under which limits count it.
    pub fn principal(&self) -> [u8; 32] {
        match self {
            Self::Patient { id, .. } => *id.as_bytes(),
            Self::Delegate(acting) => *acting.id.as_bytes(),
            Self::Enrolling(enrolment) => *enrolment.device.patient_id().as_bytes(),
            Self::NewDevice { id, .. } => *id.as_bytes(),
            Self::Institution(institution) | Self::Terminal { institution, .. } => {
                *institution.id().as_bytes()
            }
        }
    }

    /// Whether anybody knows it yet.
    pub(crate) fn is_enrolled(&self) -> bool {
        !matches!(self, Self::Enrolling(_) | Self::NewDevice { .. })
    }

    /// The patient whose vault it is, where only she herself may ask.
    pub(in crate::vault) fn patient(&self) -> Result<PatientId, Refusal> {
        match self {
            Self::Patient { id, .. } => Ok(*id),
            Self::Delegate(acting) => weakened::owner(acting).ok_or_else(only_patients),
            _ => Err(only_patients()),
        }
    }

    /// The patient whose vault it is, where her delegates may ask who have this power.
    pub(in crate::vault) fn acts_for(&self, power: Power) -> Result<PatientId, Refusal> {
        let Self::Delegate(acting) = self else {
            return self.patient();
        };
        ensure(
            Defence::DelegationScope.holds(acting.delegation.power >= power),
            Problem::DelegationPower,
            "the delegation is for reading alone",
        )?;
        Ok(acting.owner())
    }

    /// Who acts for another patient, if so.
    pub(in crate::vault) fn acting(&self) -> Option<&Acting> {
        match self {
            Self::Delegate(acting) => Some(acting),
            _ => None,
        }
    }

    /// The institution, where only an institution may ask.
    pub(crate) fn institution(&self) -> Result<&Arc<Institution>, Refusal> {
        match self {
            Self::Institution(institution) | Self::Terminal { institution, .. } => Ok(institution),
            _ => Err(Refusal::new(
                Problem::NotPermitted,
                "only institutions may do this",
            )),
        }
    }

    /// The institution itself, where none of its terminals may ask (INS-10).
    pub(in crate::vault) fn identity(&self) -> Result<&Arc<Institution>, Refusal> {
        let terminal = matches!(self, Self::Terminal { .. });
        ensure(
            Defence::TerminalScope.holds(!terminal),
            Problem::NotPermitted,
            "only the identity key may do this",
        )?;
        self.institution()
    }

    /// For whom its sessions go on, where only an institution may ask.
    pub(in crate::vault) fn holder(&self) -> Result<Holder, Refusal> {
        Ok(Holder {
            institution: self.institution()?.id(),
            terminal: self
                .certificate()
                .map(|certificate| TerminalId::from(&certificate.terminal_key)),
        })
    }

    /// By which right it sends leaves.
    pub(in crate::vault) fn sender(&self) -> Result<Sender, Refusal> {
        match self {
            Self::Patient { id, .. } => Ok(Sender::Patient(*id)),
            _ => Ok(Sender::Institution(self.holder()?)),
        }
    }

    /// The certificate of the terminal that asks, if one does.
    pub(in crate::vault) fn certificate(&self) -> Option<&Verified<TerminalCertificate>> {
        match self {
            Self::Terminal { certificate, .. } => Some(certificate),
            _ => None,
        }
    }

    /// The patient who asks, for herself or another, and her device.
    pub(in crate::vault) fn speaker(&self) -> Option<(PatientId, DeviceId)> {
        match self {
            Self::Patient { id, device, .. } => Some((*id, *device)),
            Self::Delegate(acting) => Some((acting.id, acting.device)),
            _ => None,
        }
    }

    /// The patient and the device by which she asks.
    pub(in crate::vault) fn device(&self) -> Result<(PatientId, DeviceId), Refusal> {
        match self {
            Self::Patient { id, device, .. } => Ok((*id, *device)),
            _ => Err(Refusal::absent("only patients may do this")),
        }
    }
}

fn only_patients() -> Refusal {
    Refusal::absent("only patients may do this")
}

/// What makes a mutation the same mutation again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// SHA-256 of the text of the idempotency key.
    pub key: [u8; 32],
    /// SHA-256 over method, path, query and content digest.
    pub digest: [u8; 32],
}
