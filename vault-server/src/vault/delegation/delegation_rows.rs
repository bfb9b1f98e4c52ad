//! Delegations as they are stored.

use protocol_spec::{bodies::Delegation, messages as pb, patient::PatientSigned};

use crate::vault::{core::refusal::Refusal, tables::DelegationRow};

pub(in crate::vault) fn entry(row: DelegationRow) -> pb::DelegationEntry {
    pb::DelegationEntry {
        delegation: row.delegation,
        end: row.end,
        given: row.given,
        accepted: row.accepted,
        refused: row.refused,
    }
}

/// The delegation of a row, which was verified before it was stored.
pub(in crate::vault) fn delegation_of(row: &DelegationRow) -> Result<PatientSigned<Delegation>, Refusal> {
    PatientSigned::try_from(row.delegation.clone()).map_err(Refusal::damaged)
}
