//! The witness's key: one Ed25519 seed, made at the first start, kept in `DATA/witness.key`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ed25519_dalek::{Signer, SigningKey};
use protocol_spec::{
    keys::IdentityKey,
    log::{KeyKind, NoteKey},
};
use zeroize::Zeroizing;

/// Signs cosignatures, and nothing else.
pub(crate) struct Identity {
    signing: SigningKey,
    key: NoteKey,
}

impl Identity {
    /// Reads the key of a folder that is this process's, or makes one.
    pub(crate) fn load_or_create(data: &Path, name: &str) -> Result<Self> {
        guard::folder(data)?;
        let path = data.join("witness.key");
        if path.exists() {
            guard::secret(&path)?;
        }
        let stored =
            guard::read_if_there(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let seed = match stored.map(Zeroizing::new) {
            Some(seed) => seed,
            None => {
                ensure!(
                    !data.join(LOGS).exists(),
                    "{} is missing, but logs were witnessed here: restore it from a backup, or begin under another name in \
                     another folder",
                    path.display()
                );
                let mut seed = Zeroizing::new(vec![0; 32]);
                getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
                guard::write_private(&path, &seed)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                seed
            }
        };
        let damaged = || format!("{} is damaged: restore it from a backup", path.display());
        Self::from_seed(seed.as_slice().try_into().with_context(damaged)?, name)
    }

    pub(crate) fn from_seed(seed: &[u8; 32], name: &str) -> Result<Self> {
        let signing = SigningKey::from_bytes(seed);
        let key = IdentityKey::try_from(signing.verifying_key().as_bytes().as_slice())?;
        Ok(Self {
            signing,
            key: NoteKey::new(name, KeyKind::Cosignature, key)
                .context("the name of a witness has no spaces and no plus")?,
        })
    }

    /// By which its cosignatures are verified.
    pub(crate) fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Signs by Ed25519 (RFC 8032 §5.1.6).
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

/// The folder of last checkpoints.
pub(crate) const LOGS: &str = "logs";
