//! The secrets of a home under a passphrase or a key file. Passphrases are wiped once the key is there (PRG-5).

use std::{fmt, io, path::PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use crypto::HomeKey;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    files::{read_if_there, sync_folder, write_new},
    private, strength,
};
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
#[derive(Clone, Serialize, Deserialize)]
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

/// The key of a home and how it came about. What is sealed anew with it needs no passphrase, so none is kept for that.
pub(crate) struct SecretsKey {
    /// It may or may not be the right one, until it has opened.
    key: HomeKey,
    source: KeySource,
}

impl SecretsKey {
    /// Under a fresh salt with the work that this version asks for; a key file is made if there is none.
    pub(super) fn new(unlock: &Unlock) -> Result<Self> {
        let source = match unlock {
            Unlock::Passphrase(text) => {
                strength::check(text)?;
                KeySource::Passphrase {
                    memory_kib: MIN_MEMORY_KIB,
                    passes: MIN_PASSES,
                    lanes: 1,
                    salt: HEXLOWER.encode(&mint::random::<16>()?),
                }
            }
            Unlock::KeyFile(path) => {
                private::key_file(path)?;
                if read_if_there(path)?.is_none() {
                    let key = Zeroizing::new(mint::random::<32>()?);
                    write_new(path, key.as_slice()).map_err(Error::io("cannot write", path))?;
                    // No power cut may take it away from the home that is sealed under it.
                    sync_folder(path.parent().unwrap_or(path))?;
                }
                KeySource::KeyFile
            }
        };
        let impossible =
            || Error::Usage("the key cannot be derived: the machine has too little memory".into());
        source.key(unlock, impossible)
    }

    pub(super) fn seal(&self, context: &[u8], secrets: &[u8]) -> Result<Sealed> {
        Ok(Sealed {
            format: 1,
            lock: self.source.clone(),
            sealed: HEXLOWER.encode(&self.key.seal(context, secrets)?),
        })
    }

    pub(super) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let with = match self.source {
            KeySource::Passphrase { .. } => "passphrase",
            KeySource::KeyFile => "key file",
        };
        self.key
            .open(context, sealed)
            .map_err(|_| Error::WrongUnlock { with, needs: with })
    }
}

impl fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, source: _ } = self;
        f.write_str("SecretsKey(..)")
    }
}

impl Sealed {
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        HEXLOWER.decode(self.sealed.as_bytes()).ok()
    }

    /// The key that `unlock` gives; whether it is the right one shows when it opens (KEY-18).
    pub(super) fn key(&self, unlock: &Unlock, damaged: impl Fn() -> Error) -> Result<SecretsKey> {
        if self.format == 1 {
            self.lock.key(unlock, damaged)
        } else {
            Err(damaged())
        }
    }
}

impl KeySource {
    fn key(&self, unlock: &Unlock, damaged: impl Fn() -> Error) -> Result<SecretsKey> {
        let key = match (self, unlock) {
            (
                Self::Passphrase {
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
                stretch(text, &salt.ok_or_else(&damaged)?, params).ok_or_else(&damaged)?
            }
            (Self::KeyFile, Unlock::KeyFile(path)) => {
                let missing = || Error::io("cannot read", path)(io::ErrorKind::NotFound.into());
                private::key_file(path)?;
                let bytes = Zeroizing::new(read_if_there(path)?.ok_or_else(missing)?);
                let key = bytes.as_slice().try_into().map_err(|_| Error::WrongUnlock {
                    with: "key file",
                    needs: "key file",
                })?;
                HomeKey::from_bytes(key)
            }
            (Self::Passphrase { .. }, Unlock::KeyFile(_)) => {
                return Err(Error::WrongUnlock {
                    with: "key file",
                    needs: "passphrase",
                });
            }
            (Self::KeyFile, Unlock::Passphrase(_)) => {
                return Err(Error::WrongUnlock {
                    with: "passphrase",
                    needs: "key file",
                });
            }
        };
        Ok(SecretsKey {
            key,
            source: self.clone(),
        })
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
