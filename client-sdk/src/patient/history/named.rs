//! Whom and what an entry of the history names.

use std::fmt::{self, Display, Formatter};

use protocol_spec::{
    bodies::TerminalCertificate,
    ids::{CollectionId, DeviceId, PermissionId, RecordId, TerminalId},
    permission::VerifiedPermission,
    statement::Verified,
};

use crate::patient::delegation::named::DelegateRef;

/// Who signed a statement in the patient's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistorySigner {
    /// A device of hers did.
    Device(DeviceRef),
    /// A delegate did, for her.
    Delegate(DelegateRef),
}

/// A device as the history shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRef {
    /// The id of the device.
    pub id: DeviceId,
    /// What she calls it, or called it last.
    pub name: String,
    /// Whether it is the one that reads this.
    pub this: bool,
}

/// What one list of devices changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    /// Devices that were not on the list before.
    pub added: Vec<DeviceRef>,
    /// Devices that are on it no more.
    pub removed: Vec<DeviceRef>,
}

/// A terminal of an institution, by its verified certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalRef {
    /// The id of the terminal.
    pub id: TerminalId,
    /// As its institution calls it.
    pub name: String,
}

/// The permission that an entry is about, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionRef {
    /// The id of the permission.
    pub id: PermissionId,
    /// The records that it names; none for uploads, and where there is a collection.
    pub records: Vec<RecordId>,
    /// The collection that it is for, if it is for one.
    pub collection: Option<CollectionId>,
}

impl Display for HistorySigner {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) if device.this => to.write_str("this device"),
            Self::Device(device) => write!(to, "device {}", device.name),
            Self::Delegate(delegate) => write!(to, "delegate {} ({})", delegate.name, delegate.id),
        }
    }
}

impl From<&Verified<TerminalCertificate>> for TerminalRef {
    fn from(certificate: &Verified<TerminalCertificate>) -> Self {
        Self {
            id: TerminalId::from(&certificate.terminal_key),
            name: certificate.name.as_str().to_owned(),
        }
    }
}

impl From<&VerifiedPermission> for PermissionRef {
    fn from(permission: &VerifiedPermission) -> Self {
        Self {
            id: permission.permission_id,
            records: permission.records.iter().map(|record| record.record_id).collect(),
            collection: permission.collection.map(|selector| selector.collection.id),
        }
    }
}
