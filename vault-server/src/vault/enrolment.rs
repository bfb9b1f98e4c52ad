//! What a patient brings to be enrolled: her first device, and why she is let in. Well-formed and verified, nothing more.

use protocol_spec::{
    bodies::{Invitation, VaultKeyStatement},
    devices::DeviceList,
    patient::{Device, PatientVerified},
    statement::{Signed, Verified},
    submitted::{EnrolmentWork, NewDevice},
};

/// A patient's enrolment, verified.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Her first device.
    pub(super) device: Device,
    pub(super) list: Verified<DeviceList>,
    pub(super) joining: NewDevice,
    pub(super) vault_key: PatientVerified<VaultKeyStatement>,
    pub(super) credential: Credential,
}

/// What a patient brings to be enrolled by.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) invitation: Option<Signed<Invitation>>,
    pub(super) work: Option<EnrolmentWork>,
}
