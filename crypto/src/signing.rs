//! Ed25519 identities that can sign. Verification is in `protocol_spec::keys`. See `spec/keys.md` §3.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use protocol_spec::keys::IdentityKey;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{Error, SecureRandom};

/// An Ed25519 secret key: a patient's identity, a device, an institution, a registrar, or possession of a
/// permission key. Signs statements and requests, any number of them.
pub struct SigningIdentity {
    key: Box<SigningKey>,
    public: IdentityKey,
}

impl SigningIdentity {
    /// A key pair from a fresh random seed.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, Error> {
        let seed = random.secret()?;
        Self::from_seed(&seed)
    }

    /// RFC 8032 §5.1.5: the 32 bytes from which the key pair follows.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        let key = Box::new(SigningKey::from_bytes(seed));
        let public = IdentityKey::try_from(key.verifying_key().as_bytes().as_slice())?;
        Ok(Self { key, public })
    }

    /// The public key, by which signatures are verified.
    pub fn public(&self) -> IdentityKey {
        self.public
    }

    /// Signs a pre-image that this side has built itself: label first (STM-1, API-5). Never call it with
    /// bytes that somebody else chose whole; that would make an oracle of it.
    pub fn sign_bytes(&self, preimage: &[u8]) -> [u8; 64] {
        self.key.sign(preimage).to_bytes()
    }

    /// The seed, to be stored sealed and nothing else.
    pub fn expose_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }
}

impl ZeroizeOnDrop for SigningIdentity {}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, public } = self;
        f.debug_struct("SigningIdentity")
            .field("public", public)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    const fn wiped_when_dropped<T: ZeroizeOnDrop>() {}
    const _: () = {
        wiped_when_dropped::<SigningKey>();
        wiped_when_dropped::<SigningIdentity>();
    };

    /// ATK-8
    #[test]
    fn signatures_verify_under_the_public_key_alone() {
        let identity = SigningIdentity::generate(&OperatingSystem).unwrap();
        let signature = identity.sign_bytes(b"label and hash");
        assert_eq!(identity.public().verify(b"label and hash", &signature), Ok(()));
        assert!(identity.public().verify(b"label and hush", &signature).is_err());
        let again = SigningIdentity::from_seed(&identity.expose_seed()).unwrap();
        assert_eq!(again.public(), identity.public());
        assert!(
            SigningIdentity::generate(&OperatingSystem)
                .unwrap()
                .public()
                .verify(b"label and hash", &signature)
                .is_err()
        );
    }

    #[test]
    fn debug_shows_the_public_key_alone() {
        let identity = SigningIdentity::from_seed(&[0x41; 32]).unwrap();
        insta::assert_snapshot!(format!("{identity:?}"), @"SigningIdentity { public: IdentityKey(db995fe25169d141cab9bbba92baa01f9f2e1ece7df4cb2ac05190f37fcc1f9d), .. }");
    }
}
