//! How much of one kind each principal has in use at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::http::memory::{Payer, Principal};

type CountsByPrincipal = Mutex<HashMap<[u8; 32], usize>>;

/// So many at once for each principal.
pub(in crate::http) struct Quota {
    limit: usize,
    /// Principals that have something in use; others have no entry.
    counts: Arc<CountsByPrincipal>,
}

/// One in use, until dropped.
pub(in crate::http) struct QuotaPermit {
    principal: Principal,
    counts: Arc<CountsByPrincipal>,
}

impl Quota {
    pub(in crate::http) fn new(limit: usize) -> Self {
        Self {
            limit,
            counts: Arc::default(),
        }
    }

    /// One more, or none if the principal has all it may.
    pub(in crate::http) fn acquire(&self, principal: Principal) -> Option<QuotaPermit> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&principal.id()).copied().unwrap_or_default();
        if count >= self.limit {
            return None;
        }
        counts.insert(principal.id(), count + 1);
        Some(QuotaPermit {
            principal,
            counts: Arc::clone(&self.counts),
        })
    }
}

impl QuotaPermit {
    /// Whose it is, and in whose share bodies are counted.
    pub(in crate::http) fn payer(&self) -> Payer {
        Payer::Principal(self.principal)
    }
}

impl Drop for QuotaPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.principal.id()) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.principal.id());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_its_own_count() {
        let quota = Quota::new(1);
        let (one, other) = (Principal::Institution([1; 32]), Principal::Institution([2; 32]));
        let held = quota.acquire(one).unwrap();
        assert!(quota.acquire(one).is_none());
        assert!(quota.acquire(other).is_some());
        drop(held);
        assert!(quota.acquire(one).is_some());
    }
}
