//! What can be wrong with bytes from elsewhere.

use thiserror::Error;

/// Why something was refused. Texts hold lengths, rules, and names of fields and messages as in the `.proto` files, never contents.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the texts say what the fields are")]
pub enum Error {
    /// The bytes are not the protobuf message expected here.
    #[error("{message} is not a valid message")]
    Decode { message: &'static str },
    /// A field of fixed size has another size.
    #[error("{field} is {got} bytes, expected {want}")]
    Length {
        field: &'static str,
        got: usize,
        want: usize,
    },
    /// A field is absent, empty or outside its range.
    #[error("{field} is missing or out of range")]
    Field { field: &'static str },
    /// A text is no name (STM-8).
    #[error("not a name: {rule}")]
    Name { rule: &'static str },
    /// A text is not an identifier of the kind wanted.
    #[error("not an identifier of the form {want}")]
    IdText { want: &'static str },
    /// A protocol version or suite other than the one this build speaks.
    #[error("protocol version {version}, suite {suite} is not spoken here: update the program")]
    Version { version: u32, suite: u32 },
    /// A public key that must not be used: small order or not canonical.
    #[error("{kind} public key is degenerate")]
    DegenerateKey { kind: &'static str },
    /// A signature does not verify.
    #[error("signature does not verify")]
    Signature,
    /// Two things that must belong together do not.
    #[error("{what} does not match")]
    Mismatch { what: &'static str },
    /// A list of devices does not continue the one before.
    #[error("device list: {rule}")]
    DeviceList { rule: &'static str },
    /// An entry of a history does not go with those before it.
    #[error("{rule}")]
    History { rule: &'static str },
    /// A vault head is not over the acts that are known.
    #[error("vault head: {rule}")]
    VaultHead { rule: &'static str },
    /// The signature parameters of a request are not those of the profile.
    #[error("request signature: {rule}")]
    RequestSignature { rule: &'static str },
    /// A Merkle proof does not lead to the checkpoint's root.
    #[error("log proof does not verify")]
    LogProof,
    /// A signed note, or what the log writes in that form, is malformed.
    #[error("signed note: {rule}")]
    Note { rule: &'static str },
    /// A policy of witnesses is malformed.
    #[error("witness policy: {rule}")]
    Policy { rule: &'static str },
    /// The quorum of witnesses has not cosigned a checkpoint.
    #[error(
        "the log of {size} leaves is cosigned by {cosigned} known witnesses in time, fewer than the policy demands"
    )]
    Witnesses { size: u64, cosigned: usize },
    /// A server link is malformed or names other keys than the server shows.
    #[error("server link: {rule}")]
    Link { rule: &'static str },
}

/// Refuses what does not belong together; `what` names the pair.
pub(crate) fn must(condition: bool, what: &'static str) -> Result<(), Error> {
    if condition {
        Ok(())
    } else {
        Err(Error::Mismatch { what })
    }
}
