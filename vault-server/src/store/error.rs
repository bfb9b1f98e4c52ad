//! What can go wrong in a store, by what the caller does next.

/// Why a store did not do what it was asked. A conflict is not an error, see [`super::Outcome`].
///
/// Texts hold paths and sizes, never keys or values: they may be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space left, or only the reserve. Reads go on, and writes succeed again once there is space.
    #[error("the data volume is full: free space on it")]
    Full,
    /// The system was short of something that it will have again, and nothing was written.
    #[error("the system is short of files or memory, try again: {0}")]
    Short(String),
    /// What is stored under this key fails its checksum; other keys are served.
    #[error("stored data is damaged, restore it from a backup: {0}")]
    Corrupt(String),
    /// The device refused. After a write the outcome is unknown.
    #[error("storage failed, check the device: {0}")]
    Io(String),
    /// The store is closed, or a write to it failed and it takes no more: restart the server.
    #[error("the store takes no more operations, restart the server")]
    Unavailable,
    /// The same rows changed under every try of [`super::transact()`]: ask the client to come again.
    #[error("too many changes to the same rows at once, try again")]
    Contended,
    /// The caller broke a rule of the contract, named here.
    #[error("store misused: {0}")]
    Misuse(&'static str),
}
