//! A history that is being read: the walk that holds each entry against those before it, and what else is needed to check
//! entries and to explain them.

use std::collections::HashMap;

use protocol_spec::{
    Error as Broken,
    delegation::VerifiedDelegation,
    devices::DeviceList,
    directory::Institution,
    field::ReadsAs,
    hash::Sha256Digest,
    history::{Grounds, Walk},
    ids::{DeviceId, InstitutionId, PermissionId},
    patient::{Device, OfPatient, PatientSigned, PatientVerified},
    permission::VerifiedPermission,
    statement::Signed,
};

use crate::{
    Error, Result,
    patient::{
        delegation,
        history::named::{DeviceRef, HistorySigner, PermissionRef},
        refs::InstitutionRef,
        vault::Vault,
    },
    rules::rules_by_statement,
};

/// What is used while entries are read, one after the other.
pub(super) struct HistoryReading<'a> {
    pub(super) vault: &'a Vault,
    pub(super) walk: Walk<OwnGrounds>,
    /// When the server received what is read now.
    pub(super) at: u64,
    /// Rules that answered, by the hash of the signed answer.
    rules: HashMap<String, String>,
    /// Bytes that were moved, by institution and whether it had them stored.
    totals: HashMap<(InstitutionId, bool), u64>,
}

/// What an entry tells, of whichever kind it is.
pub(super) struct Told<T> {
    pub(super) what: T,
    pub(super) institution: Option<InstitutionRef>,
    pub(super) signer: Option<HistorySigner>,
    pub(super) logged: Option<u64>,
}

/// On what this device believes a history of its own vault: the lists of devices that it has verified, and the directory.
pub(super) struct OwnGrounds {
    /// The list at this point.
    pub(super) devices: Signed<DeviceList>,
    /// The institution that is said to present, by the directory.
    pub(super) presenter: Option<Institution>,
}

impl<'a> HistoryReading<'a> {
    /// Before the first entry, when the vault had this list of devices.
    pub(super) fn begin(vault: &'a Vault, devices: Signed<DeviceList>) -> Result<Self> {
        let grounds = OwnGrounds {
            devices,
            presenter: None,
        };
        Ok(Self {
            vault,
            walk: Walk::new(vault.id(), grounds),
            at: 0,
            rules: rules_by_statement(&vault.session.home)?,
            totals: HashMap::new(),
        })
    }

    /// A statement that must be of a device of hers, or of a delegate (DEV-8).
    pub(super) async fn own<T: OfPatient>(
        &self,
        message: impl ReadsAs<PatientSigned<T>>,
    ) -> Result<PatientVerified<T>> {
        let statement = message
            .try_into()
            .and_then(PatientSigned::verify)
            .map_err(tampered)?;
        ensure(statement.patient_id() == self.vault.id(), "it is somebody else's")?;
        delegation::known_signer(self.vault, statement.device(), statement.delegation()).await?;
        Ok(statement)
    }

    /// A device of hers that has signed, with its name.
    pub(super) fn device(&self, id: DeviceId) -> Result<DeviceRef> {
        let name = self.vault.keys.known().name(id)?.as_str().to_owned();
        let this = id == DeviceId::from(&self.vault.device_key());
        Ok(DeviceRef { id, name, this })
    }

    /// Who has signed, with the name that she gave to device or delegate.
    pub(super) fn signer(
        &self,
        device: &Device,
        delegation: Option<&VerifiedDelegation>,
    ) -> Result<HistorySigner> {
        Ok(match delegation {
            None => HistorySigner::Device(self.device(device.id())?),
            Some(delegation) => HistorySigner::Delegate(delegation::delegate_ref(self.vault, delegation)?),
        })
    }

    /// The permission that comes before what is read now, and what it is for.
    pub(super) fn permission(&self, id: PermissionId) -> Result<PermissionRef> {
        self.walk
            .permission(id)
            .map(PermissionRef::from)
            .map_err(tampered)
    }

    /// The standing rule that has given this answer.
    pub(super) fn rule(&self, answer: &Sha256Digest) -> Option<String> {
        self.rules.get(&answer.to_string()).cloned()
    }

    /// Carries on what this institution has stored, or has been given. Gives the sum.
    pub(super) fn add_up(&mut self, institution: InstitutionId, stored: bool, bytes: u64) -> u64 {
        let total = self.totals.entry((institution, stored)).or_default();
        *total = total.saturating_add(bytes);
        *total
    }
}

impl<T> Told<T> {
    pub(super) fn new(what: T) -> Self {
        Self {
            what,
            institution: None,
            signer: None,
            logged: None,
        }
    }

    /// Adds who has signed it for the patient.
    pub(super) fn by(self, signer: HistorySigner) -> Self {
        Self {
            signer: Some(signer),
            ..self
        }
    }

    /// Adds the institution that did it, or that it concerns.
    pub(super) fn with(self, institution: InstitutionRef) -> Self {
        Self {
            institution: Some(institution),
            ..self
        }
    }

    /// Adds under which size of the log it was proven.
    pub(super) fn logged(self, log_size: u64) -> Self {
        Self {
            logged: Some(log_size),
            ..self
        }
    }

    pub(super) fn map<U>(self, what: impl FnOnce(T) -> U) -> Told<U> {
        Told {
            what: what(self.what),
            institution: self.institution,
            signer: self.signer,
            logged: self.logged,
        }
    }
}

impl Grounds for OwnGrounds {
    fn device(&self, device: &Device) -> std::result::Result<(), Broken> {
        match self.devices.claimed().device(device.id()) {
            Some(_) => Ok(()),
            None => Err(Broken::History {
                rule: "a device signed it that was not on her list then",
            }),
        }
    }

    fn delegation(&self, _: &VerifiedDelegation, stands: bool) -> std::result::Result<(), Broken> {
        if stands {
            return Ok(());
        }
        Err(Broken::History {
            rule: "a delegate signed it who was none at that time",
        })
    }

    fn presenter(
        &self,
        _: &VerifiedPermission,
        id: InstitutionId,
    ) -> std::result::Result<&Institution, Broken> {
        let presenter = self.presenter.as_ref().filter(|entry| entry.id() == id);
        presenter.ok_or(Broken::History {
            rule: "the institution that presented it is not known",
        })
    }
}

pub(super) fn ensure(holds: bool, otherwise: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(tampered(otherwise)) }
}

pub(super) fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the history entry")(cause)
}
