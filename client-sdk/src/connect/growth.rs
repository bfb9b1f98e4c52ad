//! Proofs of the log's growth that come along with answers (LOG-19): each saves a question. Whoever uses one verifies it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::HeaderMap;
use protocol_spec::log::{self, Hash, LOG_SIZE};

/// The proofs that have come.
#[derive(Default)]
pub(super) struct Growth(Mutex<Came>);

#[derive(Default)]
struct Came {
    /// Leaves that are known; 0 before any is.
    from: u64,
    /// The proofs, by the size that each leads to.
    paths: BTreeMap<u64, Vec<Hash>>,
}

impl Growth {
    /// From now on proofs from this size on are of use.
    pub(super) fn begin_at(&self, size: u64) {
        *self.came() = Came {
            from: size,
            paths: BTreeMap::new(),
        };
    }

    /// Asks for proofs with the next answer.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        let from = self.came().from;
        if from > 0 {
            headers.insert(LOG_SIZE, from.into());
        }
    }

    /// Keeps the proofs of an answer's header fields.
    pub(super) fn take(&self, headers: &HeaderMap) {
        let mut came = self.came();
        for log::Growth { from, to, path } in log::Growth::read(headers) {
            if from == came.from && came.paths.len() < MOST {
                came.paths.insert(to, path);
            }
        }
    }

    /// What leads from one size to another.
    pub(super) fn between(&self, from: u64, to: u64) -> Option<Vec<Hash>> {
        let came = self.came();
        came.paths.get(&to).filter(|_| came.from == from).cloned()
    }

    /// Each change is one call, so no panic leaves it half-changed.
    fn came(&self) -> MutexGuard<'_, Came> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More sizes than are under way at once.
const MOST: usize = 64;
