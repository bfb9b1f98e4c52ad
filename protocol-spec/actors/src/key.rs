//! Keys, ids and filler. A seed of one byte stands for itself 32 times; what is sealed to a key from here opens for nobody.

use bytes::Bytes;
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer as _, SigningKey};
use protocol_spec::{
    field::SealedBytes,
    keys::{IdentityKey, RecipientKey},
    labels::Label,
    messages as pb,
    statement::{Body, Signed, preimage},
};

/// An Ed25519 key pair.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// The key of a seed.
    pub fn new(seed: u8) -> Self {
        Self::from_seed([seed; 32])
    }

    /// The key of a whole seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// A key that nobody has had before.
    pub fn random() -> Self {
        Self::from_seed(random())
    }

    /// The seed.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> IdentityKey {
        IdentityKey::try_from(self.0.verifying_key().as_bytes().as_slice()).unwrap()
    }

    /// The public half, as messages carry it.
    pub fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.public().as_bytes())
    }

    /// Signs these bytes as they are.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// Signs a body.
    pub fn signed<T: Body>(&self, body: T) -> Signed<T> {
        Signed::sign(body, |message| self.sign(message))
    }

    /// Signs whatever bytes are to pass for a body.
    pub fn statement(&self, label: Label, body: impl Into<Bytes>) -> pb::Statement {
        let body = body.into();
        let signature = self.sign(&preimage(label, &body));
        pb::Statement {
            signature: Bytes::copy_from_slice(&signature),
            body,
            certificate: None,
        }
    }
}

/// An X-Wing key that may be admitted, for each seed another one; nobody has its secret half.
pub fn recipient(seed: u8) -> RecipientKey {
    let coefficients = (0..384_u16).flat_map(|i| [seed, 0, (i % 200).to_le_bytes()[0]]);
    let x25519 = MontgomeryPoint::mul_base_clamped([seed; 32]).to_bytes();
    let bytes: Vec<u8> = coefficients.chain([seed; 32]).chain(x25519).collect();
    RecipientKey::try_from(bytes.as_slice()).unwrap()
}

/// An X-Wing key for each principal: no key stands in two entries of a directory.
pub fn recipient_of(key: &IdentityKey) -> RecipientKey {
    let mut bytes = [0; RecipientKey::LEN];
    // Coefficients of 12 bits, each below 3329: one byte of each pair.
    for (at, byte) in key.as_bytes().iter().enumerate() {
        bytes[3 * at] = *byte;
    }
    bytes[1184] = 9;
    bytes.as_slice().try_into().unwrap()
}

/// What could be an HPKE seal.
pub fn sealed() -> SealedBytes {
    sealed_as(3, 80)
}

/// A seal whose bytes are all this one, around a ciphertext of this length.
pub fn sealed_as(byte: u8, length: usize) -> SealedBytes {
    SealedBytes {
        enc: vec![byte; SealedBytes::ENC_LEN].into(),
        ciphertext: vec![byte; length].into(),
    }
}

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
