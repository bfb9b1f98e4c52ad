//! stub
use std::path::PathBuf;
use zeroize::Zeroizing;

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
