//! The secrets of a home under a passphrase or a key file.

use std::{fmt, io, path::PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use crypto::HomeKey;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::files::{read_if_there, sync_folder, write_new};
use crate::{Error, Result, mint};

/// What opens a home.
#[derive(Clone)]
pub enum Unlock {
    /// A passphrase, stretched by Argon2id.
    Passphrase(Zeroizing<String>),
    /// A file of 32 random bytes; made if there is none when the home is made.
    KeyFile(PathBuf),
}

impl Unlock {
    /// A passphrase.
    pub fn passphrase(text: &str) -> Self {
        Self::Passphrase(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Passphrase(..)"),
            Self::KeyFile(path) => f.debug_tuple("KeyFile").field(path).finish(),
        }
    }
}

/// `secrets.sealed`.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    format: u32,
    lock: KeySource,
    /// Hex.
    sealed: String,
}

/// How the key comes about. Stored with the secrets, so that later versions may ask for more work.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum KeySource {
    Passphrase {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        /// Hex, 16 bytes.
        salt: String,
    },
    KeyFile,
}

/// A key that may or may not be the right one, and what it was made from.
pub(super) struct UnlockedKey {
    pub(super) key: HomeKey,
    pub(super) with: &'static str,
}

/// Seals under a fresh salt with the work that this version asks for.
pub(super) fn seal(unlock: &Unlock, context: &[u8], secrets: &[u8]) -> Result<Sealed> {
    let lock = match unlock {
        Unlock::Passphrase(text) if text.is_empty() => {
            return Err(Error::Usage("the passphrase is empty: choose a long one".into()));
        }
        Unlock::Passphrase(_) => KeySource::Passphrase {
            memory_kib: MIN_MEMORY_KIB,
            passes: MIN_PASSES,
            lanes: 1,
            salt: HEXLOWER.encode(&mint::random::<16>()?),
        },
        Unlock::KeyFile(path) => {
            if read_if_there(path)?.is_none() {
                let key = Zeroizing::new(mint::random::<32>()?);
                write_new(path, key.as_slice()).map_err(Error::io("cannot write", path))?;
                // No power cut may take it away from the home that is sealed under it.
                sync_folder(path.parent().unwrap_or(path))?;
            }
            KeySource::KeyFile
        }
    };
    let mut sealed = Sealed {
        format: 1,
        lock,
        sealed: String::new(),
    };
    let impossible = || Error::Usage("the key cannot be derived: the machine has too little memory".into());
    let UnlockedKey { key, .. } = sealed.key(unlock, impossible)?;
    sealed.sealed = HEXLOWER.encode(&key.seal(context, secrets)?);
    Ok(sealed)
}

impl Sealed {
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        HEXLOWER.decode(self.sealed.as_bytes()).ok()
    }

    /// The key that `unlock` gives; whether it is the right one shows when it opens (KEY-18).
    pub(super) fn key(&self, unlock: &Unlock, damaged: impl Fn() -> Error) -> Result<UnlockedKey> {
        if self.format != 1 {
            return Err(damaged());
        }
        match (&self.lock, unlock) {
            (
                KeySource::Passphrase {
                    memory_kib,
                    passes,
                    lanes,
                    salt,
                },
                Unlock::Passphrase(text),
            ) => {
                // Less work than the floor was not written by us; more than the ceiling would only exhaust us.
                let work = (MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(memory_kib)
                    && (MIN_PASSES..=MAX_PASSES).contains(passes)
                    && (1..=4).contains(lanes);
                let salt = HEXLOWER
                    .decode(salt.as_bytes())
                    .ok()
                    .filter(|salt| work && salt.len() == 16);
                let params = Params::new(*memory_kib, *passes, *lanes, Some(32)).map_err(|_| damaged())?;
                let key = stretch(text, &salt.ok_or_else(&damaged)?, params).ok_or_else(&damaged)?;
                Ok(UnlockedKey {
                    key,
                    with: "passphrase",
                })
            }
            (KeySource::KeyFile, Unlock::KeyFile(path)) => {
                let missing = || Error::io("cannot read", path)(io::ErrorKind::NotFound.into());
                let bytes = Zeroizing::new(read_if_there(path)?.ok_or_else(missing)?);
                let key = bytes.as_slice().try_into().map_err(|_| Error::WrongUnlock {
                    with: "key file",
                    needs: "key file",
                })?;
                Ok(UnlockedKey {
                    key: HomeKey::from_bytes(key),
                    with: "key file",
                })
            }
            (KeySource::Passphrase { .. }, Unlock::KeyFile(_)) => Err(Error::WrongUnlock {
                with: "key file",
                needs: "passphrase",
            }),
            (KeySource::KeyFile, Unlock::Passphrase(_)) => Err(Error::WrongUnlock {
                with: "passphrase",
                needs: "key file",
            }),
        }
    }
}

fn stretch(passphrase: &str, salt: &[u8], params: Params) -> Option<HomeKey> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .ok()?;
    Some(HomeKey::from_bytes(&key))
}

/// RFC 9106 §4, second recommendation: 64 MiB and 3 passes, here with one lane. Compiled in as the floor.
const MIN_MEMORY_KIB: u32 = 64 * 1024;
const MIN_PASSES: u32 = 3;
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 16;
