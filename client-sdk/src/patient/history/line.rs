//! An entry of the history as one line of a table, or one object for programs: the same columns for whatever happened.

use protocol_spec::{
    ids::{CollectionId, PatientId, PermissionId, RecordId, RequestId},
    purpose::Purpose,
};
use serde::{Serialize, Serializer};

use crate::{
    patient::{
        delegation::named::DelegateRef,
        history::named::{DeviceChange, DeviceRef, PermissionRef, TerminalRef},
        refs::InstitutionRef,
    },
    text,
};

/// An entry of the history, laid out. A column is empty where the kind of the entry has nothing to say in it; the order of the
/// columns and their names are promised to programs.
#[derive(Debug, Default, Serialize)]
pub struct HistoryLine<'a> {
    /// The number of the entry, from 1.
    pub id: u64,
    /// When, in milliseconds since 1970, by the server's clock.
    #[serde(serialize_with = "text::moment")]
    pub at: u64,
    /// The name of what happened.
    pub kind: &'static str,
    /// Whether signatures, receipt and log proof of the entry hold.
    pub verified: bool,
    /// Why the entry is not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<&'a str>,
    /// The institution that did it, or that it concerns.
    #[serde(flatten)]
    pub institution: Option<&'a InstitutionRef>,
    /// The request, opening or help that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The permission that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_id: Option<PermissionId>,
    /// The one record that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
    /// Of a release: the records of which something was handed out. Else those that the permission is for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub records: &'a [RecordId],
    /// The collection that the permission is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection_id: Option<CollectionId>,
    /// Stream bytes that were stored or released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What for, as an HL7 PurposeOfUse code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Stored by this institution, or given to it, up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Who decided: this device, another of her devices, a delegate, a guardian or a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// Entries of the log under which the receipt was proven to stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_size: Option<u64>,
    /// What the patient calls the device of hers that acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<&'a str>,
    /// The delegate who acted, or who is or was to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate_id: Option<PatientId>,
    /// What the patient calls the delegate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate: Option<&'a str>,
    /// Devices that came on the list.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "names")]
    pub devices_added: Option<&'a [DeviceRef]>,
    /// Devices that were taken off it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "names")]
    pub devices_removed: Option<&'a [DeviceRef]>,
    /// The terminal that presented, as its institution calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<&'a str>,
    /// The standing rule that answered, as this home has kept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
}

impl HistoryLine<'_> {
    /// An entry of the kind with this name, with nothing but that.
    pub(super) fn of(kind: &'static str) -> Self {
        Self {
            kind,
            verified: true,
            ..Self::default()
        }
    }

    pub(super) fn about(self, request: RequestId) -> Self {
        Self {
            request_id: Some(request),
            ..self
        }
    }

    pub(super) fn record(self, record: RecordId) -> Self {
        Self {
            record_id: Some(record),
            ..self
        }
    }

    pub(super) fn purpose(self, purpose: Option<Purpose>) -> Self {
        Self { purpose, ..self }
    }
}

impl<'a> HistoryLine<'a> {
    pub(super) fn under(self, permission: &'a PermissionRef) -> Self {
        Self {
            permission_id: Some(permission.id),
            records: &permission.records,
            collection_id: permission.collection,
            ..self
        }
    }

    pub(super) fn rule(self, rule: Option<&'a str>) -> Self {
        let answered_by = rule.map(|rule| format!("rule {rule}"));
        Self {
            rule,
            answered_by,
            ..self
        }
    }

    pub(super) fn delegate(self, delegate: &'a DelegateRef) -> Self {
        Self {
            delegate_id: Some(delegate.id),
            delegate: Some(&delegate.name),
            ..self
        }
    }

    pub(super) fn devices(self, change: &'a DeviceChange) -> Self {
        Self {
            devices_added: Some(&change.added),
            devices_removed: Some(&change.removed),
            ..self
        }
    }

    pub(super) fn terminal(self, terminal: Option<&'a TerminalRef>) -> Self {
        Self {
            terminal: terminal.map(|terminal| &*terminal.name),
            ..self
        }
    }
}

fn names<S: Serializer>(devices: &Option<&[DeviceRef]>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(devices.iter().copied().flatten().map(|device| &device.name))
}
