//! The two keys of a device.

use std::sync::Arc;

use crypto::{RecipientSecret, SigningIdentity};
use protocol_spec::ids::DeviceId;
use zeroize::Zeroizing;

use crate::{
    Ground, Result,
    connect::{Credentials, Server},
    home::Pins,
};

/// The keys of a device.
pub(crate) struct DeviceKeys {
    /// Signs requests and statements.
    pub(crate) signing: Arc<SigningIdentity>,
    /// Opens root keys.
    pub(crate) recipient: RecipientSecret,
}

impl DeviceKeys {
    /// New ones.
    pub(crate) fn generate() -> Result<Self> {
        Ok(Self {
            signing: Arc::new(SigningIdentity::generate()?),
            recipient: RecipientSecret::generate()?,
        })
    }

    /// The device's id.
    pub(crate) fn id(&self) -> DeviceId {
        DeviceId::from(&self.signing.public())
    }

    /// A server that it signs its requests to.
    pub(super) fn connect(&self, pins: &Pins, ground: &Ground) -> Result<Server> {
        let credentials = Credentials {
            key_id: self.id().to_string(),
            key: self.signing.clone(),
        };
        Server::new(pins.clone(), Some(credentials), ground)
    }

    pub(super) fn secrets(&self) -> Zeroizing<Vec<u8>> {
        let mut secrets = Zeroizing::new(Vec::with_capacity(2 * 32));
        secrets.extend_from_slice(self.signing.expose_seed().as_slice());
        secrets.extend_from_slice(self.recipient.expose_seed().as_slice());
        secrets
    }
}
