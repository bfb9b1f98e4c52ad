//! A recovery member at work: the device that lies in a drawer, taken out for a moment. It is a patient like any
//! other, whose home is in memory, goes with it, and holds nothing secret.

use std::sync::Arc;

use crypto::{RecoveryKeys, RecoverySecret};
use protocol_spec::{devices::DeviceKind, problem::Problem};

use crate::{
    Error, Ground, Result,
    home::{ClosedHome, Pins},
    patient::{
        device_keys::DeviceKeys, devices::own_chain, keys::PatientKeys, known::KnownDevices, link::approved,
        lists::device_lists, vault::Vault,
    },
};

/// The member, verified to be one of the vault that it was made for.
pub(super) struct Awake {
    pub(super) vault: Vault,
}

impl Awake {
    /// Finds the vault with nothing but the secret, and verifies all that the server shows of it (RCV-4).
    pub(super) async fn wake(pins: &Pins, secret: &RecoverySecret, ground: &Ground) -> Result<Self> {
        let RecoveryKeys { identity, recipient } = secret.keys()?;
        let own = DeviceKeys {
            signing: Arc::new(identity),
            recipient,
        };
        let answer = device_lists(&own.connect(pins, ground)?, None)
            .await
            .map_err(|error| {
                if error.is_problem(Problem::Unauthenticated) {
                    Error::UnknownRecovery
                } else {
                    error
                }
            })?;
        // RCV-3
        let id = approved(&answer, own.id(), |approval, patient, list, device| {
            secret.check_approval(approval, patient, list, device)
        })?;
        let chain = own_chain(&answer.devices, own.id(), id)?;
        let known = KnownDevices::read(answer, &own, &chain)?;
        let listed = known.newest().device(own.id());
        if listed.is_none_or(|device| device.kind != DeviceKind::Recovery) {
            return Err(Error::tampered("the list of devices")("it is no recovery member"));
        }
        let home = ClosedHome::at(ground.with_files_of_a_moment());
        let keys = PatientKeys::in_memory(own, chain, known);
        Ok(Self {
            vault: Vault::with(home.scratch()?, pins.clone(), keys)?,
        })
    }
}
