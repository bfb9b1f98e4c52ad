//! What a patient brings to be enrolled: her first device, and why she is let in. Well-formed and verified, nothing more.

use protocol_spec::{
    Error,
    bodies::{Invitation, VaultKeyStatement},
    devices::DeviceList,
    field::SealedBytes,
    keys::RecipientKey,
    messages as pb,
    patient::{Device, DeviceChain, PatientVerified},
    statement::{Signed, Verified},
};

/// A patient's enrolment, verified.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Her first device.
    pub(super) device: Device,
    pub(super) list: Verified<DeviceList>,
    pub(super) joining: Joining,
    pub(super) vault_key: PatientVerified<VaultKeyStatement>,
    pub(super) credential: Credential,
}

/// A device as it comes to a list, well-formed.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    pub(super) chain: DeviceChain,
    pub(super) recipient_key: RecipientKey,
    pub(super) message: pb::NewDevice,
}

impl TryFrom<Option<pb::NewDevice>> for Joining {
    type Error = Error;

    fn try_from(message: Option<pb::NewDevice>) -> Result<Self, Error> {
        let message = message.ok_or(Error::Field { field: "device" })?;
        SealedBytes::try_from(message.root_key.clone())?;
        if !message.approval.is_empty() && message.approval.len() != 32 {
            return Err(Error::Field { field: "approval" });
        }
        Ok(Self {
            chain: message.chain.clone().try_into()?,
            recipient_key: message.recipient_key.as_ref().try_into()?,
            message,
        })
    }
}

/// What a patient brings to be enrolled by.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) invitation: Option<Signed<Invitation>>,
    pub(super) work: Option<pb::EnrolmentWork>,
}

impl TryFrom<(Option<pb::Statement>, Option<pb::EnrolmentWork>)> for Credential {
    type Error = Error;

    fn try_from(
        (invitation, work): (Option<pb::Statement>, Option<pb::EnrolmentWork>),
    ) -> Result<Self, Error> {
        let invitation = invitation.map(Signed::try_from).transpose()?;
        Ok(Self { invitation, work })
    }
}
