//! Callers whose rows have been verified: each request names one, and verifying its chain anew costs more than
//! verifying the request. What is remembered holds only for the version of the row it was made from.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{Caller, Refusal};
use crate::store::CommitId;

/// Some kilobytes each; beyond it all are forgotten.
const MOST: usize = 4096;

/// Verified callers by principal.
#[derive(Default)]
pub(super) struct KnownCallers {
    /// No panic leaves it half-changed: each change is one call.
    callers: Mutex<HashMap<[u8; 32], (CommitId, Caller)>>,
}

impl KnownCallers {
    /// The caller made from this version of its row, remembered or verified now.
    pub(super) fn get(
        &self,
        principal: [u8; 32],
        version: CommitId,
        verify: impl FnOnce() -> Result<Caller, Refusal>,
    ) -> Result<Caller, Refusal> {
        let lock = || self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, caller)) = lock().get(&principal)
            && *known == version
        {
            return Ok(caller.clone());
        }
        let caller = verify()?;
        let mut callers = lock();
        if callers.len() >= MOST {
            callers.clear();
        }
        callers.insert(principal, (version, caller.clone()));
        Ok(caller)
    }
}
