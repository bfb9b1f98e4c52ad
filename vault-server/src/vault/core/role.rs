//! As whom a caller submits something.

use std::sync::Arc;

use protocol_spec::{
    delegation::Power,
    directory::Institution,
    ids::{DeviceId, PatientId},
};

use crate::vault::{core::refusal::Refusal, who::caller::Caller};

/// As whom a caller submits something.
pub(crate) trait Role {
    /// Who the caller is in this role, as its statements name it.
    type Principal<'a>: Copy + Send + Sync;

    /// The principal, if the caller may be it.
    fn of(caller: &Caller) -> Result<Self::Principal<'_>, Refusal>;
}

/// A patient, by a device of her own.
pub(crate) struct OwnDevice;

/// A patient by a device of her own, or a delegate of hers who may permit (DLG-7, DLG-8).
pub(crate) struct MayPermit;

/// An institution, or a terminal of it.
pub(crate) struct AnyTerminal;

/// An institution by its identity key (INS-10).
pub(crate) struct IdentityAlone;

/// A patient by any device, an institution by its identity key.
pub(crate) struct Receiver;

/// A device that is nobody's yet.
pub(crate) struct Newcomer;

impl Role for OwnDevice {
    type Principal<'a> = PatientId;

    fn of(caller: &Caller) -> Result<PatientId, Refusal> {
        caller.patient()
    }
}

impl Role for MayPermit {
    type Principal<'a> = PatientId;

    fn of(caller: &Caller) -> Result<PatientId, Refusal> {
        caller.acts_for(Power::Permit)
    }
}

impl Role for AnyTerminal {
    type Principal<'a> = &'a Institution;

    fn of(caller: &Caller) -> Result<&Institution, Refusal> {
        caller.institution().map(Arc::as_ref)
    }
}

impl Role for IdentityAlone {
    type Principal<'a> = &'a Institution;

    fn of(caller: &Caller) -> Result<&Institution, Refusal> {
        caller.identity().map(Arc::as_ref)
    }
}

impl Role for Receiver {
    type Principal<'a> = [u8; 32];

    fn of(caller: &Caller) -> Result<[u8; 32], Refusal> {
        match caller {
            Caller::Patient { .. } | Caller::Institution(_) => Ok(caller.principal()),
            _ => Err(Refusal::absent("it is not hers to decide whom she hears")),
        }
    }
}

impl Role for Newcomer {
    type Principal<'a> = DeviceId;

    fn of(caller: &Caller) -> Result<DeviceId, Refusal> {
        match caller {
            Caller::NewDevice { id, .. } => Ok(*id),
            _ => Err(Refusal::absent("only new devices offer themselves")),
        }
    }
}
