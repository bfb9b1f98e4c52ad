//! What a patient's home keeps: four seeds under the passphrase or key file, and beside them her device
//! certificate.

use std::sync::Arc;

use crypto::{RecipientSecret, SigningIdentity, VaultRootKey};
use prost::Message;
use protocol_spec::{
    bodies::DeviceCertificate, ids::PatientId, messages as pb, patient::verify_device, statement::Signed,
};
use zeroize::Zeroizing;

use crate::{
    Result, Unlock,
    home::{Home, Kind, Pins, Principal, seeds},
    mint,
};

/// The keys of a patient's one device.
pub(super) struct Keys {
    pub(super) patient: PatientId,
    /// Signs requests and statements.
    pub(super) device: Arc<SigningIdentity>,
    /// Opens what is sealed to her.
    pub(super) recipient: RecipientSecret,
    /// Wraps the keys of her collections.
    pub(super) root: VaultRootKey,
    /// Leads from her id to the device.
    pub(super) certificate: Signed<DeviceCertificate>,
}

impl Keys {
    /// Makes a new vault's keys and keeps them in the home.
    pub(super) fn create(home: &Home, unlock: &Unlock, pins: &Pins) -> Result<Self> {
        let identity = SigningIdentity::generate()?;
        let device = SigningIdentity::generate()?;
        let recipient = RecipientSecret::generate()?;
        let root = VaultRootKey::generate()?;
        let patient = PatientId::from(&identity.public());
        let certificate = DeviceCertificate {
            created: mint::now_ms(),
            identity_key: identity.public(),
            device_key: device.public(),
            recipient_key: recipient.public().clone(),
        };
        let certificate = Signed::sign(certificate, |message| identity.sign_bytes(message));
        let mut secrets = Zeroizing::new(Vec::with_capacity(4 * 32));
        secrets.extend_from_slice(identity.expose_seed().as_slice());
        secrets.extend_from_slice(device.expose_seed().as_slice());
        secrets.extend_from_slice(recipient.expose_seed().as_slice());
        secrets.extend_from_slice(root.expose());
        let mut principal = Principal::new(Kind::Patient, patient);
        principal.set_pins(pins);
        let statement = certificate.to_message().encode_to_vec();
        home.create(&principal, &secrets, unlock, &[(CERTIFICATE, &statement)])?;
        Ok(Self {
            patient,
            device: Arc::new(device),
            recipient,
            root,
            certificate,
        })
    }

    /// Reads them back.
    pub(super) fn open(home: &Home, principal: &Principal, unlock: &Unlock) -> Result<Self> {
        let secrets = home.unlock(principal, unlock)?;
        let damaged = |name| home.damaged(name);
        let [identity, device, recipient, root] = seeds(&secrets).ok_or_else(|| damaged("secrets.sealed"))?;
        let identity = SigningIdentity::from_seed(identity)?;
        let patient = PatientId::from(&identity.public());
        let device = SigningIdentity::from_seed(device)?;
        let root = VaultRootKey::from_bytes(root);
        let certificate = home
            .read(CERTIFICATE)?
            .and_then(|bytes| certificate(&bytes, patient, &device).ok())
            .ok_or_else(|| damaged(CERTIFICATE))?;
        let recipient = RecipientSecret::from_seed(recipient)?;
        Ok(Self {
            patient,
            device: Arc::new(device),
            recipient,
            root,
            certificate,
        })
    }

    /// Takes back [`Self::create`].
    pub(super) fn discard(home: &Home) {
        home.discard(&[CERTIFICATE]);
    }

    /// Signs a statement by the device.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.device.sign_bytes(message)
    }
}

/// The certificate, if it is hers and this device's.
fn certificate(
    bytes: &[u8],
    patient: PatientId,
    device: &SigningIdentity,
) -> Result<Signed<DeviceCertificate>, protocol_spec::Error> {
    let statement: pb::Statement = protocol_spec::messages::decode(bytes)?;
    let verified = verify_device(statement.try_into()?, patient)?;
    if verified.device_key == device.public() {
        Ok(verified.signed().clone())
    } else {
        Err(protocol_spec::Error::Mismatch {
            what: "device certificate and device key",
        })
    }
}

const CERTIFICATE: &str = "device.pb";
