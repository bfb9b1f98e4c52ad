//! The one retry loop over optimistic commits.

use std::future::Future;

use super::{Commit, Ledger, Outcome, StoreError};

/// Tries before [`transact`] gives up. One of the commits that race for a row wins in each
/// round, so this many may race for one row and all come through.
pub const MAX_TRIES: u32 = 64;

/// What one try has decided from the rows it read.
#[derive(Debug)]
pub enum Decision<T> {
    /// Make this commit; if it applies, the transaction's result is the value.
    Commit(Commit, T),
    /// Nothing to change (an answer that is already stored, say): the result is the value.
    Done(T),
}

/// Runs `attempt` (given the number of the try, from 0) until its commit applies.
///
/// Each try must read its rows anew, check what it read, and take a fresh commit id.
/// A conflict has waited for a sync of the winner already, so there is no further pause. An error of the attempt is
/// returned at once. After [`MAX_TRIES`] conflicts it fails with [`StoreError::Contended`]; after errors of
/// [`Ledger::commit`] the outcome is unknown.
pub async fn transact<T, E, F, Fut>(ledger: &dyn Ledger, mut attempt: F) -> Result<T, E>
where
    E: From<StoreError>,
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<Decision<T>, E>>,
{
    for number in 0..MAX_TRIES {
        let (commit, value) = match attempt(number).await? {
            Decision::Commit(commit, value) => (commit, value),
            Decision::Done(value) => return Ok(value),
        };
        match ledger.commit(commit).await? {
            Outcome::Applied => return Ok(value),
            Outcome::Conflict(key) => tracing::debug!(number, ?key, "commit conflicts, trying again"),
        }
    }
    Err(StoreError::Contended.into())
}
