//! Delegations: given, keyed, ended by the owner, accepted by the delegate.

use super::{fits, submitted};
use crate::{
    Error,
    bodies::{DelegatedKey, Delegation, DelegationEnd},
    ids::DelegationId,
    messages as pb,
    patient::PatientSigned,
};

/// Most keys of one message: each is a statement of 1.5 to 9 KiB.
pub const KEYS_AT_ONCE: usize = 64;
/// A key of 32 bytes under HPKE.
const SEALED_KEY: usize = 48;

submitted! {
    /// A patient lets another one act in her vault.
    PutDelegation {
        delegation: PatientSigned<Delegation>,
        in_place_of: Option<DelegationId>,
    }
    /// A patient gives a delegate keys of her collections (DLG-4).
    PutDelegatedKeys {
        delegation_id: DelegationId,
        keys: Vec<PatientSigned<DelegatedKey>>,
    } => are_sealed_keys
    /// A patient ends a delegation.
    EndDelegation {
        end: PatientSigned<DelegationEnd>,
    }
    /// A delegate accepts what she was offered (ACC-10).
    AcceptDelegation {
        delegation_id: DelegationId,
    }
}

fn are_sealed_keys(message: &PutDelegatedKeys) -> Result<(), Error> {
    fits((1..=KEYS_AT_ONCE).contains(&message.keys.len()), "keys")?;
    let mut keys = message.keys.iter().map(|given| &given.claimed().key);
    fits(keys.all(|key| key.ciphertext.len() == SEALED_KEY), "key")
}
