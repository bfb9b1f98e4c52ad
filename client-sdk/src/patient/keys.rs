//! What a patient's home keeps: four seeds under the passphrase or key file; beside them, her device
//! certificate and the key of her one collection, wrapped.

use std::sync::Arc;

use crypto::{Collection, CollectionKey, RecipientSecret, SigningIdentity, VaultRootKey, WrappedKey};
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
    /// Of the default collection's epoch 0.
    pub(super) collection: CollectionKey,
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
        let collection = CollectionKey::generate()?;
        let patient = PatientId::from(&identity.public());
        let certificate = DeviceCertificate {
            created: mint::now_ms(),
            identity_key: identity.public(),
            device_key: device.public(),
            recipient_key: recipient.public().clone(),
        };
        let certificate = Signed::sign(certificate, |message| identity.sign_bytes(message));
        let wrapped = root.wrap_collection_key(&collection, &patient, &Collection::DEFAULT)?;
        let mut secrets = Zeroizing::new(Vec::with_capacity(4 * 32));
        secrets.extend_from_slice(identity.expose_seed().as_slice());
        secrets.extend_from_slice(device.expose_seed().as_slice());
        secrets.extend_from_slice(recipient.expose_seed().as_slice());
        secrets.extend_from_slice(root.expose());
        let mut principal = Principal::new(Kind::Patient, patient);
        principal.set_pins(pins);
        let statement = certificate.to_message().encode_to_vec();
        let files: [(&str, &[u8]); 2] = [(CERTIFICATE, &statement), (COLLECTION, wrapped.as_bytes())];
        home.create(&principal, &secrets, unlock, &files)?;
        Ok(Self {
            patient,
            device: Arc::new(device),
            recipient,
            root,
            collection,
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
        let wrapped = home
            .read(COLLECTION)?
            .and_then(|bytes| WrappedKey::try_from(bytes.as_slice()).ok());
        let collection = wrapped
            .and_then(|wrapped| {
                root.unwrap_collection_key(&wrapped, &patient, &Collection::DEFAULT)
                    .ok()
            })
            .ok_or_else(|| damaged(COLLECTION))?;
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
            collection,
            certificate,
        })
    }

    /// A copy of the default collection's first key.
    pub(super) fn default_collection(&self) -> CollectionKey {
        CollectionKey::from_bytes(self.collection.expose())
    }

    /// Takes back [`Self::create`].
    pub(super) fn discard(home: &Home) {
        home.discard(&[CERTIFICATE, COLLECTION]);
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
const COLLECTION: &str = "collection.key";
