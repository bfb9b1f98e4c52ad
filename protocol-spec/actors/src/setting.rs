//! At which server actors act, and what their clocks say.

use protocol_spec::{
    ids::{OperatorId, RegistrarId},
    keys::IdentityKey,
    vault_head::HeadRef,
};

use crate::key::KeyPair;

/// When stories begin whose clock stands still, in milliseconds.
pub const START: u64 = 1_800_000_000_000;
/// In milliseconds.
pub const HOUR: u64 = 3_600_000;

/// The seed of the operator, where a story needs no other.
pub const OPERATOR: u8 = 1;
/// The seed of the registrar, where a story needs no other.
pub const REGISTRAR: u8 = 2;
/// The seed of the possession key of every permission that names no other.
pub const POSSESSION: u8 = 77;

/// A server, and the time there.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Who runs the server.
    pub operator: OperatorId,
    /// Milliseconds since 1970.
    pub now: fn() -> u64,
}

impl Default for Setting {
    /// The operator with the seed [`OPERATOR`]; it is always [`START`].
    fn default() -> Self {
        Self {
            operator: OperatorId::from(&KeyPair::new(OPERATOR).public()),
            now: || START,
        }
    }
}

impl Setting {
    /// At this operator's server, now.
    pub fn live(operator: &IdentityKey) -> Self {
        Self {
            operator: OperatorId::from(operator),
            now: now_ms,
        }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> u64 {
        (self.now)()
    }
}

/// What the system's clock says, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    since.as_millis().try_into().unwrap()
}

/// The id of a registrar.
pub fn registrar_id(registrar: &KeyPair) -> RegistrarId {
    RegistrarId::from(&registrar.public())
}

/// A head of a vault that nobody has put.
pub fn no_head() -> HeadRef {
    HeadRef {
        sequence: 0,
        hash: protocol_spec::hash::Sha256Digest::of(b"none"),
    }
}
