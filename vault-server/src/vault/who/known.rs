//! Callers whose rows have been verified: each request names one, and verifying its chain anew costs more than
//! verifying the request. What is remembered holds only for the version of the row it was made from.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    store::CommitId,
    vault::{core::refusal::Refusal, who::caller::Caller},
};

/// Some kilobytes each; beyond it all are forgotten.
const MOST: usize = 4096;

/// Verified callers by device or institution.
#[derive(Default)]
pub(in crate::vault) struct KnownCallers {
    /// No panic leaves it half-changed: each change is one call.
    callers: Mutex<HashMap<[u8; 32], (CommitId, Caller)>>,
}

impl KnownCallers {
    /// The caller made from this version of the row, remembered or verified now; none if the row does not make it one.
    pub(in crate::vault) fn get(
        &self,
        id: [u8; 32],
        version: CommitId,
        verify: impl FnOnce() -> Result<Option<Caller>, Refusal>,
    ) -> Result<Option<Caller>, Refusal> {
        let lock = || self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, caller)) = lock().get(&id)
            && *known == version
        {
            return Ok(Some(caller.clone()));
        }
        let Some(caller) = verify()? else {
            return Ok(None);
        };
        let mut callers = lock();
        if callers.len() >= MOST {
            callers.clear();
        }
        callers.insert(id, (version, caller.clone()));
        Ok(Some(caller))
    }
}
