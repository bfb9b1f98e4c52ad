//! The two keys of a device.

use std::sync::Arc;

use crypto::{RecipientSecret, SecureRandom, SigningIdentity};
use protocol_spec::ids::DeviceId;
use zeroize::Zeroizing;

use crate::{
    Ground, Result,
    connect::{Credentials, Server},
    home::Pins,
};

/// The keys of a device.
pub(crate) struct DeviceKeys {
    /// The key that signs requests and statements.
    pub(crate) signing: Arc<SigningIdentity>,
    /// The key to which root keys are sealed.
    pub(crate) recipient: RecipientSecret,
}

impl DeviceKeys {
    /// Makes the keys of a new device.
    pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Self> {
        Ok(Self {
            signing: Arc::new(SigningIdentity::generate(random)?),
            recipient: RecipientSecret::generate(random)?,
        })
    }

    /// The id that follows from the signing key.
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
