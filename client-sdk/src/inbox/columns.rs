//! What an event is about, the same for every kind: for whoever lays out an inbox.

use protocol_spec::{
    ids::{PatientId, PermissionId, RecordId, RequestId},
    purpose::Purpose,
};

use super::party::Party;

/// What an event is about. A column is empty where the kind of the event has nothing to say in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxColumns<'a> {
    /// The institution that would receive.
    pub receiver: Option<&'a Party>,
    /// The request, opening or help that it is about.
    pub request: Option<RequestId>,
    /// The permission that it is about.
    pub permission: Option<PermissionId>,
    /// The record that it is about.
    pub record: Option<RecordId>,
    /// The purpose that is named for it.
    pub purpose: Option<Purpose>,
    /// The delegate who has answered for the patient.
    pub delegate: Option<PatientId>,
    /// Stream bytes that were stored or released.
    pub bytes: Option<u64>,
}

macro_rules! fill {
    ($($fill:ident: $column:ident as $value:ty => $filled:expr;)*) => {
        impl<'a> InboxColumns<'a> {
            $(pub(super) fn $fill(self, $column: $value) -> Self {
                Self { $column: $filled, ..self }
            })*
        }
    };
}

fill! {
    to: receiver as &'a Party => Some(receiver);
    request: request as &RequestId => Some(*request);
    permission: permission as &PermissionId => Some(*permission);
    record: record as &RecordId => Some(*record);
    purpose: purpose as Option<Purpose> => purpose;
    delegate: delegate as Option<PatientId> => delegate;
    bytes: bytes as u64 => Some(bytes);
}
