//! The operator's identity: one Ed25519 seed, made at the first start and kept in `DATA/operator.key`.
//!
//! It signs tickets, receipts and checkpoints. Losing it invalidates the link that every client has
//! pinned; whoever steals it can vouch for a false history, but still reads no record.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use ed25519_dalek::{Signer, SigningKey};
use protocol_spec::{ids::OperatorId, keys::IdentityKey};
use zeroize::Zeroizing;

/// Why the operator's key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file system refused to read or write the key file.
    #[error("operator key {} cannot be read or made: {source}", .path.display())]
    Io {
        /// The file in which the key lies.
        path: PathBuf,
        /// Why the system refused that.
        source: io::Error,
    },
    /// There is none, and there was one.
    #[error(
        "operator key {} is missing: restore it from a backup of this data directory; no client goes on with this server under another one",
        .0.display()
    )]
    Missing(PathBuf),
    /// Others than its owner may read it.
    #[error("operator key {0}")]
    Exposed(#[from] guard::Exposed),
    /// It does not hold 32 bytes that make a key.
    #[error("operator key {} is damaged: restore it from a backup", .0.display())]
    Damaged(PathBuf),
}

/// The operator's signing key with the names that follow from it.
pub struct OperatorIdentity {
    signing_key: SigningKey,
    key: IdentityKey,
    id: OperatorId,
}

impl OperatorIdentity {
    /// The identity with this seed, or none if its public key is not admitted.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let signing_key = SigningKey::from_bytes(seed);
        let key = IdentityKey::try_from(signing_key.verifying_key().as_bytes().as_slice()).ok()?;
        Some(Self {
            signing_key,
            id: OperatorId::from(&key),
            key,
        })
    }

    /// Reads `operator.key` in the data directory, or makes it. Blocks.
    ///
    /// [`IdentityError`] says what can go wrong.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, IdentityError> {
        let path = data_dir.join("operator.key");
        match fs::read(&path).map(Zeroizing::new) {
            Ok(seed) => Self::read(&path, &seed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(&path),
            Err(source) => Err(IdentityError::Io { path, source }),
        }
    }

    /// Reads `operator.key` in the data directory of a server that was started before. Blocks.
    ///
    /// [`IdentityError`] says what can go wrong.
    pub fn load(data_dir: &Path) -> Result<Self, IdentityError> {
        let path = data_dir.join("operator.key");
        match fs::read(&path).map(Zeroizing::new) {
            Ok(seed) => Self::read(&path, &seed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(IdentityError::Missing(path)),
            Err(source) => Err(IdentityError::Io { path, source }),
        }
    }

    fn read(path: &Path, seed: &[u8]) -> Result<Self, IdentityError> {
        guard::secret(path)?;
        seed.try_into()
            .ok()
            .and_then(Self::from_seed)
            .ok_or_else(|| IdentityError::Damaged(path.to_owned()))
    }

    fn create(path: &Path) -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| io_error(path)(io::Error::other(error)))?;
        guard::write_private(path, seed.as_slice()).map_err(io_error(path))?;
        Self::from_seed(&seed).ok_or_else(|| IdentityError::Damaged(path.to_owned()))
    }

    /// What clients verify its statements with.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }

    /// The audience of every permission and request.
    pub fn id(&self) -> OperatorId {
        self.id
    }

    /// Signs by Ed25519 (RFC 8032 §5.1.6).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing_key.sign(message).to_bytes()
    }
}

impl fmt::Debug for OperatorIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            signing_key: _,
            key: _,
            id,
        } = self;
        write!(f, "OperatorIdentity({id})")
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> IdentityError {
    move |source| IdentityError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_same_directory_gives_the_same_identity_and_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = OperatorIdentity::load_or_create(dir.path()).unwrap();
        let second = OperatorIdentity::load_or_create(dir.path()).unwrap();
        assert_eq!(first.id(), second.id());
        let mode = fs::metadata(dir.path().join("operator.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_exposed_or_damaged_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.key");
        guard::write_private(&path, &[7; 31]).unwrap();
        let damaged = OperatorIdentity::load_or_create(dir.path());
        assert!(matches!(damaged, Err(IdentityError::Damaged(_))));
        guard::write_private(&path, &[7; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = OperatorIdentity::load_or_create(dir.path());
        assert!(matches!(exposed, Err(IdentityError::Exposed(_))));
    }

    #[test]
    fn debug_shows_the_id_only() {
        let identity = OperatorIdentity::from_seed(&[7; 32]).unwrap();
        assert_eq!(
            format!("{identity:?}"),
            format!("OperatorIdentity({})", identity.id())
        );
    }
}
