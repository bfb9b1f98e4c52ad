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
    pub(in crate::vault) device: Device,
    pub(in crate::vault) list: Verified<DeviceList>,
    pub(in crate::vault) joining: NewDevice,
    pub(in crate::vault) vault_key: PatientVerified<VaultKeyStatement>,
    pub(in crate::vault) credential: Credential,
}

/// What a patient brings to be enrolled by.
#[derive(Clone, Debug)]
pub(in crate::vault) struct Credential {
    pub(in crate::vault) invitation: Option<Signed<Invitation>>,
    pub(in crate::vault) work: Option<EnrolmentWork>,
}
