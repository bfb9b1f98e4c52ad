//! Why a key store did not do what it was asked.

use thiserror::Error;

/// Why a key store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// Not sealed to this key in this context, or altered since.
    #[error("cannot be opened: wrong key, wrong context or altered bytes")]
    DoesNotOpen,
    /// It holds no such key, or none any more.
    #[error("the key store has no such key: it was made elsewhere, or its time is over")]
    NoSuchKey,
    /// It does not let this caller do this now.
    #[error("the key store refuses ({0}): ask whoever runs it")]
    Refused(String),
    /// It cannot be reached or has failed.
    #[error("the key store cannot be used ({0}): check it and try again")]
    Unavailable(String),
    /// This kind of store cannot do this.
    #[error("this kind of key store does not offer that: its keys do not leave it")]
    NotOffered,
    /// What was opened or sealed breaks a rule.
    #[error(transparent)]
    Crypto(crypto::Error),
}

impl From<crypto::Error> for KeyStoreError {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::Open => Self::DoesNotOpen,
            error => Self::Crypto(error),
        }
    }
}
