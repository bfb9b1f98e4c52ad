//! X-Wing key pairs of those to whom things are sealed. See `spec/keys.md` §3.

use std::fmt;

use hpke::{Deserializable, Kem, Serializable, kem::XWing};
use protocol_spec::keys::RecipientKey;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{Error, SecureRandom};

/// An X-Wing secret key, kept as its 32-byte seed: opens what is sealed to its public half, any number of
/// times. It never authenticates anybody; signatures do.
pub struct RecipientSecret {
    key: Box<<XWing as Kem>::PrivateKey>,
    public: RecipientKey,
}

impl RecipientSecret {
    /// A secret from a fresh random seed.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, Error> {
        let seed = random.secret()?;
        Self::from_seed(&seed)
    }

    /// draft-connolly-cfrg-xwing-kem §5.2: the 32 bytes from which both halves follow.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        let key = <XWing as Kem>::PrivateKey::from_bytes(seed)
            .map_err(|_| Error::Malformed { what: "x-wing seed" })?;
        let public = RecipientKey::try_from(XWing::sk_to_pk(&key).to_bytes().as_slice())?;
        Ok(Self {
            key: Box::new(key),
            public,
        })
    }

    /// The public key, 1216 bytes.
    pub fn public(&self) -> &RecipientKey {
        &self.public
    }

    /// The seed, to be stored sealed and nothing else.
    pub fn expose_seed(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        self.key.write_exact(seed.as_mut_slice());
        seed
    }

    pub(crate) fn hpke_key(&self) -> &<XWing as Kem>::PrivateKey {
        &self.key
    }
}

impl ZeroizeOnDrop for RecipientSecret {}

impl fmt::Debug for RecipientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, public } = self;
        f.debug_struct("RecipientSecret")
            .field("public", public)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    #[test]
    fn the_seed_gives_the_same_key_pair_again() {
        let secret = RecipientSecret::generate(&OperatingSystem).unwrap();
        let again = RecipientSecret::from_seed(&secret.expose_seed()).unwrap();
        assert_eq!(again.public(), secret.public());
        assert_ne!(
            RecipientSecret::generate(&OperatingSystem).unwrap().public(),
            secret.public()
        );
    }

    #[test]
    fn debug_shows_the_public_key_alone() {
        let secret = RecipientSecret::from_seed(&[0x41; 32]).unwrap();
        insta::assert_snapshot!(format!("{secret:?}"), @"RecipientSecret { public: RecipientKey(sha-256 4258b65d094195ab0d67ec0b92d23679b2d31dac89844fe7b5230768ed4e5a81), .. }");
    }
}
