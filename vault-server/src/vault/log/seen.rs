//! What whoever asks has seen of the log: with the answer come proofs that each checkpoint in it continues that (LOG-19).
//!
//! It belongs to a request and changes nothing that is done for it, so it lies in a task-local and is not handed through every
//! operation that ends in a proof.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use protocol_spec::log::{Growth, Hash};

use crate::vault::log::{Log, Refusal};

tokio::task_local! {
    static SEEN: Seen;
}

struct Seen {
    size: u64,
    /// By where they lead.
    paths: Mutex<BTreeMap<u64, Vec<Hash>>>,
}

impl Seen {
    fn paths(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<Hash>>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where from, if something must lead there.
    fn leads_to(&self, to: u64) -> Option<u64> {
        let paths = self.paths();
        let wanted = self.size > 0 && self.size < to && !paths.contains_key(&to) && paths.len() < MOST;
        wanted.then_some(self.size)
    }
}

/// Runs `work` for a caller who has seen the log with `from` leaves. With its result come proofs that lead from there to each
/// checkpoint in it: [`Log::lead_on`] notes them in a task-local, as long as `work` runs.
pub(crate) async fn with_growth_from<T>(from: u64, work: impl Future<Output = T>) -> (T, Vec<Growth>) {
    let seen = Seen {
        size: from,
        paths: Mutex::default(),
    };
    let work = async {
        let done = work.await;
        (done, SEEN.with(|seen| std::mem::take(&mut *seen.paths())))
    };
    let (done, paths) = SEEN.scope(seen, work).await;
    let growth = paths.into_iter().map(|(to, path)| Growth { from, to, path });
    (done, growth.collect())
}

impl Log {
    /// Notes what leads from what was seen to the tree of this size.
    pub(super) async fn lead_on(&self, to: u64) -> Result<(), Refusal> {
        // Outside of a request nobody has seen anything.
        let from = SEEN.try_with(|seen| seen.leads_to(to)).ok().flatten();
        let Some(from) = from else {
            return Ok(());
        };
        let path = self.consistency(from, to).await?;
        SEEN.with(|seen| seen.paths().insert(to, path));
        Ok(())
    }
}

/// Checkpoints of one answer are made one after the other; what many lead to is asked for.
const MOST: usize = 4;
