//! The secrets of a home under a passphrase or a key file. Passphrases are wiped once the key is there (PRG-5).

use std::{fmt, io, path::PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use crypto::{HomeKey, SecureRandom};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::strength;
use crate::{
    Error, Result,
    ground::{System, native::key_file},
};

/// The passphrase or key file that opens a home.
#[derive(Clone)]
pub enum Unlock {
    /// A passphrase, stretched by Argon2id.
    Passphrase(Zeroizing<String>),
    /// A file of 32 random bytes; made if there is none when the home is made.
    KeyFile(PathBuf),
}

impl Unlock {
    /// A passphrase, as it was typed or read.
    pub fn passphrase(text: &str) -> Self {
        Self::Passphrase(Zeroizing::new(text.to_owned()))
    }
}

/// The one form in which a passphrase seals (PRG-9): NFKC, without line breaks at its end. Keyboards and systems write the same letters
/// in several ways, and a file or variable may end its line.
fn normal(text: &str) -> Zeroizing<String> {
    let text = text.trim_end_matches(['\r', '\n']);
    gathered(text, text.nfkc())
}

/// The characters as a text that is never moved while it grows.
fn gathered(from: &str, characters: impl Iterator<Item = char>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(from.len().saturating_mul(LONGEST_FORM)));
    text.extend(characters);
    text
}

/// What a home of before may have been sealed under: the bytes as they came, then in each of the ways in which the same letters
/// are written, with and without a line break.
fn as_before(text: &str) -> Vec<Zeroizing<String>> {
    let bare = text.trim_end_matches(['\r', '\n']);
    let mut forms = vec![
        Zeroizing::new(text.to_owned()),
        Zeroizing::new(bare.to_owned()),
        gathered(bare, bare.nfc()),
        gathered(bare, bare.nfd()),
        normal(bare),
        gathered(bare, bare.nfc().chain(['\n'])),
    ];
    let mut seen: Vec<Zeroizing<String>> = Vec::with_capacity(forms.len());
    forms.retain(|form| {
        let new = !seen.contains(form);
        seen.extend(new.then(|| form.clone()));
        new
    });
    forms
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Passphrase(..)"),
            Self::KeyFile(path) => f.debug_tuple("KeyFile").field(path).finish(),
        }
    }
}

/// The content of the file `secrets.sealed`.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    format: u32,
    lock: KeySource,
    /// The sealed seeds, in hexadecimal digits.
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
        /// 16 random bytes, in hexadecimal digits.
        salt: String,
        /// Whether it is the passphrase's normal form that is stretched. Homes of before have what was typed.
        #[serde(default)]
        normal: bool,
    },
    KeyFile,
}

/// What a key is made of.
enum Form {
    Text(Zeroizing<String>),
    Key(HomeKey),
}

/// The key of a home and how it came about. What is sealed anew with it needs no passphrase, so none is kept for that.
pub(crate) struct SecretsKey {
    /// It may or may not be the right one, until it has opened.
    key: HomeKey,
    source: KeySource,
}

impl SecretsKey {
    /// Under a fresh salt with the work that this version asks for; a key file is made if there is none.
    pub(super) fn new(unlock: &Unlock, system: &dyn System) -> Result<Self> {
        let source = match unlock {
            Unlock::Passphrase(text) => {
                strength::check(&normal(text))?;
                KeySource::Passphrase {
                    memory_kib: MIN_MEMORY_KIB,
                    passes: MIN_PASSES,
                    lanes: 1,
                    salt: HEXLOWER.encode(&system.random::<16>()?),
                    normal: true,
                }
            }
            Unlock::KeyFile(path) => {
                if key_file::read(path)?.is_none() {
                    key_file::make(path, &Zeroizing::new(system.random::<32>()?))?;
                }
                KeySource::KeyFile
            }
        };
        let impossible =
            || Error::Usage("the key cannot be derived: the machine has too little memory".into());
        let form = source.forms(unlock)?.into_iter().next().ok_or_else(impossible)?;
        source.key(form, &impossible)
    }

    pub(super) fn seal(&self, random: &dyn SecureRandom, context: &[u8], secrets: &[u8]) -> Result<Sealed> {
        Ok(Sealed {
            format: 1,
            lock: self.source.clone(),
            sealed: HEXLOWER.encode(&self.key.seal(random, context, secrets)?),
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

    /// The key that `unlock` gives, and the secrets, which show that it is the right one (KEY-18).
    pub(super) fn open(
        &self,
        context: &[u8],
        unlock: &Unlock,
        damaged: impl Fn() -> Error + Copy,
    ) -> Result<(SecretsKey, Zeroizing<Vec<u8>>)> {
        if self.format != 1 {
            return Err(damaged());
        }
        let sealed = self.bytes().ok_or_else(damaged)?;
        let mut refused = Err(damaged());
        for form in self.lock.forms(unlock)? {
            let key = self.lock.key(form, &damaged)?;
            match key.open(context, &sealed) {
                Ok(secrets) => return Ok((key, secrets)),
                Err(error) => refused = Err(error),
            }
        }
        refused
    }
}

impl KeySource {
    /// What the key may be made of, the likeliest first. It is one, but for a passphrase of a home of before:
    /// each form of that costs the whole work.
    fn forms(&self, unlock: &Unlock) -> Result<Vec<Form>> {
        match (self, unlock) {
            (Self::Passphrase { normal: true, .. }, Unlock::Passphrase(text)) => {
                Ok(vec![Form::Text(normal(text))])
            }
            (Self::Passphrase { .. }, Unlock::Passphrase(text)) => {
                Ok(as_before(text).into_iter().map(Form::Text).collect())
            }
            (Self::KeyFile, Unlock::KeyFile(path)) => {
                let missing = || Error::io("cannot read", path)(io::ErrorKind::NotFound.into());
                let bytes = key_file::read(path)?.ok_or_else(missing)?;
                let key = bytes.as_slice().try_into().map_err(|_| Error::WrongUnlock {
                    with: "key file",
                    needs: "key file",
                })?;
                Ok(vec![Form::Key(HomeKey::from_bytes(key))])
            }
            (Self::Passphrase { .. }, Unlock::KeyFile(_)) => Err(Error::WrongUnlock {
                with: "key file",
                needs: "passphrase",
            }),
            (Self::KeyFile, Unlock::Passphrase(_)) => Err(Error::WrongUnlock {
                with: "passphrase",
                needs: "key file",
            }),
        }
    }

    fn key(&self, form: Form, damaged: &dyn Fn() -> Error) -> Result<SecretsKey> {
        let key = match form {
            Form::Text(text) => self.stretched(&text, damaged)?,
            Form::Key(key) => key,
        };
        Ok(SecretsKey {
            key,
            source: self.clone(),
        })
    }

    fn stretched(&self, text: &str, damaged: &dyn Fn() -> Error) -> Result<HomeKey> {
        let Self::Passphrase {
            memory_kib,
            passes,
            lanes,
            salt,
            normal: _,
        } = self
        else {
            return Err(damaged());
        };
        // Less work than the floor was not written by us; more than the ceiling would only exhaust us.
        let work = (MIN_MEMORY_KIB..=MAX_MEMORY_KIB).contains(memory_kib)
            && (MIN_PASSES..=MAX_PASSES).contains(passes)
            && (1..=4).contains(lanes);
        let salt = HEXLOWER
            .decode(salt.as_bytes())
            .ok()
            .filter(|salt| work && salt.len() == 16);
        let params = Params::new(*memory_kib, *passes, *lanes, Some(32)).map_err(|_| damaged())?;
        stretch(text, &salt.ok_or_else(damaged)?, params).ok_or_else(damaged)
    }
}

fn stretch(passphrase: &str, salt: &[u8], params: Params) -> Option<HomeKey> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .ok()?;
    Some(HomeKey::from_bytes(&key))
}

/// What a program of before wrote: the passphrase as it came.
#[cfg(test)]
pub(super) fn as_it_was(passphrase: &str, context: &[u8], secrets: &[u8]) -> Sealed {
    let source = KeySource::Passphrase {
        memory_kib: MIN_MEMORY_KIB,
        passes: MIN_PASSES,
        lanes: 1,
        salt: HEXLOWER.encode(&[3; 16]),
        normal: false,
    };
    let form = Form::Text(Zeroizing::new(passphrase.to_owned()));
    let key = source.key(form, &|| Error::WeakPassphrase).unwrap();
    let system = crate::ground::memory::StillSystem::new(0, 1);
    key.seal(&system, context, secrets).unwrap()
}

/// RFC 9106 §4, second recommendation: 64 MiB and 3 passes, here with one lane. Compiled in as the floor.
const MIN_MEMORY_KIB: u32 = 64 * 1024;
const MIN_PASSES: u32 = 3;
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 16;
/// No character gets longer than this many times its bytes: U+FDFA has 18 characters, 33 bytes, in the place of 3.
const LONGEST_FORM: usize = 12;
