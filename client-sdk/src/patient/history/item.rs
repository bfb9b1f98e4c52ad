//! An entry of the history, as it is shown.

use protocol_spec::{
    bodies::TerminalCertificate,
    ids::{CollectionId, DeviceId, PatientId, PermissionId, RecordId, RequestId, TerminalId},
    purpose::Purpose,
    statement::Verified,
};

use crate::{
    Error,
    patient::{delegation::named::DelegateRef, refs::InstitutionRef},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// She asked an institution to upload.
    UploadRequested,
    /// An institution asked to download.
    DownloadRequested,
    /// An institution referred her to another.
    ReferenceRequested,
    /// She gave a permission.
    Permitted,
    /// She denied a request.
    Denied,
    /// She wrote a note about a permission to its institution.
    Noted,
    /// She revoked a permission.
    Revoked,
    /// A device was added, named or removed.
    DevicesChanged,
    /// An institution presented a permission key.
    Presented,
    /// A record was stored.
    Stored,
    /// A device of hers sealed a record anew.
    Resealed,
    /// Bytes were released.
    Released,
    /// Her emergency collection was opened.
    EmergencyOpened,
    /// A guardian began to help.
    EmergencyHelp,
    /// She objected to that.
    EmergencyObjected,
    /// She gave up an old key of a collection.
    EpochClosed,
    /// She let another patient act for her.
    Delegated,
    /// She ended that.
    DelegationEnded,
    /// A delegate has begun to read a record: the first time on a day.
    DelegateRead,
    /// A device of hers deleted a record.
    RecordDeleted,
    /// An institution took back what it had stored.
    TakenBack,
    /// An institution asked for something, which she has had deleted.
    Deleted,
    /// The server shows something that is not proven.
    Unverified,
}

/// One entry of her history.
#[derive(Clone, Debug)]
pub struct HistoryItem {
    /// From 1, without gaps.
    pub number: u64,
    /// When, in milliseconds since 1970, by the server's clock.
    pub at: u64,
    /// What.
    pub kind: HistoryKind,
    /// Who did it or whom it concerns; none when it could not be verified.
    pub institution: Option<InstitutionRef>,
    /// The request, where there is one.
    pub request_id: Option<RequestId>,
    /// The permission, where there is one.
    pub permission_id: Option<PermissionId>,
    /// The record, where there is one.
    pub record_id: Option<RecordId>,
    /// Of a release: the records of which something was handed out. Else those that the permission is for; none for
    /// uploads, and where there is a collection.
    pub records: Vec<RecordId>,
    /// The collection that the permission is for.
    pub collection: Option<CollectionId>,
    /// Stream bytes stored or released.
    pub bytes: Option<u64>,
    /// Of a request, a permission or a presentation: what for.
    pub purpose: Option<Purpose>,
    /// Stream bytes of all that this institution has stored, or has been given, up to here.
    pub total: Option<u64>,
    /// Of what she signed: by which of her devices.
    pub device: Option<DeviceRef>,
    /// Who acted for her, if a delegate did; or who is or was to.
    pub delegate: Option<DelegateRef>,
    /// For receipts: the size of the log under which it was proven to stand.
    pub logged: Option<u64>,
    /// Why the entry is not believed.
    pub problem: Option<String>,
    /// What changed, for [`HistoryKind::DevicesChanged`].
    pub change: Option<DeviceChange>,
    /// The terminal that presented for the institution; none if its identity key did.
    pub terminal: Option<TerminalRef>,
    /// The guardian who helped.
    pub guardian: Option<PatientId>,
    /// The standing rule that answered, by what this home has kept; none if she answered herself.
    pub rule: Option<String>,
}

/// A device as the history shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRef {
    /// Its id.
    pub id: DeviceId,
    /// What she calls it, or called it last.
    pub name: String,
    /// Whether it is the one that reads this.
    pub this: bool,
}

/// What one list of devices changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    /// Who came.
    pub added: Vec<DeviceRef>,
    /// Who went.
    pub removed: Vec<DeviceRef>,
}

/// A terminal of an institution, by its verified certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalRef {
    /// Its id.
    pub id: TerminalId,
    /// As its institution calls it.
    pub name: String,
}

impl From<&Verified<TerminalCertificate>> for TerminalRef {
    fn from(certificate: &Verified<TerminalCertificate>) -> Self {
        Self {
            id: TerminalId::from(&certificate.terminal_key),
            name: certificate.name.as_str().to_owned(),
        }
    }
}

pub(in crate::patient) fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the history entry")(cause)
}
