//! The permission key: what the patient wraps for one institution, and what its possession is
//! proven with. See `spec/permission.md` §3.
//!
//! The possession key's public half stands in the permission's body and the body enters the wrap, so the
//! patient goes two steps: [`PermissionKey::mint`], encode the body, [`PermissionKey::seal`]. What the
//! institution opens has been compared with the body it belongs to; nothing else can be opened.

use std::fmt;

use protocol_spec::{field::SealedBytes, ids::PermissionId, keys::IdentityKey, keys::RecipientKey, labels};
use zeroize::Zeroizing;

use crate::{
    CollectionKey, ConditionsKey, DataKey, Error, PermissionSecret, SecureRandom, SigningIdentity, UploadKey,
    kdf,
    padding::{is_zero, size_class},
    wrap::{self, Info, Opens},
};

/// What a permission gives: the data keys of its records, in the order of the body, or the key of one
/// collection, or one upload key.
/// The type keeps an upload permission's key from opening records.
pub trait Granted: Sized + sealed::GrantedKeys {}

impl Granted for Vec<DataKey> {}
impl Granted for UploadKey {}
impl Granted for CollectionKey {}

mod sealed {
    use super::{CollectionKey, DataKey, UploadKey};

    pub trait GrantedKeys: Sized {
        fn count(&self) -> usize;
        fn each(&self) -> impl Iterator<Item = &[u8; 32]>;
        fn from_each(keys: &[[u8; 32]]) -> Option<Self>;
    }

    impl GrantedKeys for Vec<DataKey> {
        fn count(&self) -> usize {
            self.len()
        }

        fn each(&self) -> impl Iterator<Item = &[u8; 32]> {
            self.iter().map(DataKey::expose)
        }

        fn from_each(keys: &[[u8; 32]]) -> Option<Self> {
            (!keys.is_empty()).then(|| keys.iter().map(DataKey::from_bytes).collect())
        }
    }

    macro_rules! one_key {
        ($($name:ident),*) => {$(
            impl GrantedKeys for $name {
                fn count(&self) -> usize {
                    1
                }

                fn each(&self) -> impl Iterator<Item = &[u8; 32]> {
                    std::iter::once(self.expose())
                }

                fn from_each(keys: &[[u8; 32]]) -> Option<Self> {
                    match keys {
                        [key] => Some(Self::from_bytes(key)),
                        _ => None,
                    }
                }
            }
        )*};
    }

    one_key!(CollectionKey, UploadKey);
}

/// A permission key on the patient's side, before it is wrapped. Wrapped once.
pub struct PermissionKey {
    /// permission secret ‖ keys, as they are sealed and derived from
    material: Zeroizing<Vec<u8>>,
    possession: SigningIdentity,
}

impl PermissionKey {
    /// Makes the permission key that gives `keys`, with a secret of its own. Fails with [`Error::Malformed`] without
    /// any key, and with [`Error::TooLong`] for too many.
    pub fn mint<K: Granted>(random: &dyn SecureRandom, id: &PermissionId, keys: &K) -> Result<Self, Error> {
        Self::assemble(id, &PermissionSecret::generate(random)?, keys, None)
    }

    /// As [`Self::mint`], with the key of the permission's conditions behind the others (CND-10).
    pub fn mint_with<K: Granted>(
        random: &dyn SecureRandom,
        id: &PermissionId,
        keys: &K,
        conditions: Option<&ConditionsKey>,
    ) -> Result<Self, Error> {
        Self::assemble(id, &PermissionSecret::generate(random)?, keys, conditions)
    }

    fn assemble<K: Granted>(
        id: &PermissionId,
        secret: &PermissionSecret,
        keys: &K,
        conditions: Option<&ConditionsKey>,
    ) -> Result<Self, Error> {
        let length = 32 + 32 * keys.count() + 32 * usize::from(conditions.is_some());
        if keys.count() == 0 {
            return Err(Error::Malformed {
                what: "permission without keys",
            });
        }
        if size_class(CLASS_UNIT, length) > wrap::MAX_PLAINTEXT {
            return Err(Error::TooLong {
                what: "permission key",
                max: wrap::MAX_PLAINTEXT as u64,
            });
        }
        // The capacity is the padded length, so that padding does not leave a copy behind.
        let mut material = Zeroizing::new(Vec::with_capacity(size_class(CLASS_UNIT, length)));
        material.extend_from_slice(secret.expose());
        keys.each().for_each(|key| material.extend_from_slice(key));
        conditions
            .iter()
            .for_each(|key| material.extend_from_slice(key.expose()));
        let possession = possession_key(&material, id)?;
        Ok(Self { material, possession })
    }

    /// The public key that the body must name.
    pub fn possession(&self) -> IdentityKey {
        self.possession.public()
    }

    /// Wraps the key for one institution, bound to the exact bytes of the body (PRM-6).
    pub fn seal(
        mut self,
        random: &dyn SecureRandom,
        to: &RecipientKey,
        body: &[u8],
    ) -> Result<SealedBytes, Error> {
        let padded = size_class(CLASS_UNIT, self.material.len());
        self.material.resize(padded, 0);
        wrap::wrap(random, to, info(body), &self.material)
    }
}

impl fmt::Debug for PermissionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            material: _,
            possession,
        } = self;
        f.debug_struct("PermissionKey")
            .field("possession", &possession.public())
            .finish_non_exhaustive()
    }
}

/// What the permission's verified body says about its wrap.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedPermission<'a> {
    /// The exact bytes of the body.
    pub body: &'a [u8],
    /// The permission that the wrap is of.
    pub id: &'a PermissionId,
    /// Number of keys: of records, or 1 for a collection or an upload.
    pub keys: usize,
    /// Whether the body has conditions, whose key then comes behind the others.
    pub conditions: bool,
    /// The possession key that the body names.
    pub possession: &'a IdentityKey,
}

/// A permission key that has been opened and matches its body.
pub struct OpenedPermission<K> {
    /// The key that signs presentations, under the label `pop`.
    pub possession: SigningIdentity,
    /// The keys that the permission gives, of its kind.
    pub keys: K,
    /// Opens its conditions, where it has any.
    pub conditions: Option<ConditionsKey>,
}

impl<K: Granted> OpenedPermission<K> {
    /// Opens the wrap and compares what is in it with the body (PRM-8). Fails with [`Error::Open`] for another
    /// recipient, another body, another number of keys, another possession key or padding that is not zero.
    pub fn open<R: Opens>(
        recipient: &R,
        sealed: &SealedBytes,
        expected: &ExpectedPermission<'_>,
    ) -> Result<Self, R::Error> {
        let plaintext = recipient.open_sealed(&info(expected.body), sealed)?;
        Ok(Self::read(&plaintext, expected)?)
    }

    fn read(plaintext: &[u8], expected: &ExpectedPermission<'_>) -> Result<Self, Error> {
        let conditions = usize::from(expected.conditions);
        let length = expected.keys.saturating_add(1 + conditions).saturating_mul(32);
        let (material, padding) = plaintext.split_at_checked(length).ok_or(Error::Open)?;
        if plaintext.len() != size_class(CLASS_UNIT, length) || !is_zero(padding) {
            return Err(Error::Open);
        }
        let possession = possession_key(material, expected.id)?;
        // Comparing it makes the wrap committing: no other keys lead to the key in the body.
        if possession.public() != *expected.possession {
            return Err(Error::Open);
        }
        let (_secret, keys) = material.split_at_checked(32).ok_or(Error::Open)?;
        let (keys, conditions) = keys
            .as_chunks()
            .0
            .split_at_checked(expected.keys)
            .ok_or(Error::Open)?;
        Ok(Self {
            possession,
            keys: K::from_each(keys).ok_or(Error::Open)?,
            conditions: conditions.first().map(ConditionsKey::from_bytes),
        })
    }
}

impl<K> fmt::Debug for OpenedPermission<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            possession,
            keys: _,
            conditions: _,
        } = self;
        f.debug_struct("OpenedPermission")
            .field("possession", possession)
            .finish_non_exhaustive()
    }
}

/// Plaintexts are padded to 64 · 2^k bytes, so that the server learns the number of records only roughly.
const CLASS_UNIT: usize = 64;

/// info = SHA-256 (LABEL(WRAP_PERMISSION) ‖ body) (PRM-5)
fn info(body: &[u8]) -> Info {
    Info::new(labels::WRAP_PERMISSION, &[body])
}

/// seed = HKDF-SHA-256 (salt = "", permission secret ‖ keys, LABEL(POSSESSION_KEY) ‖ permission id, 32) (PRM-7)
fn possession_key(material: &[u8], id: &PermissionId) -> Result<SigningIdentity, Error> {
    let seed = kdf::extract_and_expand(material, &[&labels::POSSESSION_KEY.bytes(), id.as_bytes()]);
    SigningIdentity::from_seed(&seed)
}

#[cfg(test)]
mod tests;
