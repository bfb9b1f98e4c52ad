//! Runs operations: tries one until its commit applies, charges whoever pays, then wakes the log and whoever waits.

use crate::{
    store::{Commit, CommitId, Decision, Key, transact},
    vault::{
        core::{
            account,
            payer::Payer,
            refusal::Refusal,
            shared::Shared,
            tx::{Operation, Tx},
        },
        log::Queued,
    },
};

/// Carries an operation out. On return it is durable.
pub(in crate::vault) async fn run<O: Operation>(
    shared: &Shared,
    operation: &O,
) -> Result<O::Answer, Refusal> {
    if !operation.is_urgent() {
        shared.log.check_uncontradicted()?;
    }
    let (answer, logged, woken) = transact(&*shared.ledger, |_| attempt(shared, operation)).await?;
    shared.log.queue(logged);
    for principal in woken {
        shared.wakes.wake(&principal);
    }
    Ok(answer)
}

/// An answer, leaves for the log, and principals whose inbox has something new.
type Outcome<A> = (A, Vec<Queued>, Vec<[u8; 32]>);

async fn attempt<O: Operation>(
    shared: &Shared,
    operation: &O,
) -> Result<Decision<Outcome<O::Answer>>, Refusal> {
    let mut tx = Tx::begin(shared);
    let answer = operation.apply(&mut tx).await?;
    if let Some(payer) = tx.payer() {
        give_back(&mut tx, payer).await?;
        let written = tx.written();
        account::charge(&mut tx, payer, written).await?;
    }
    let ended = tx.end(operation.is_urgent());
    let outcome = (answer, ended.logged, ended.woken);
    Ok(match ended.commit {
        Some(commit) => Decision::Commit(commit, outcome),
        None => Decision::Done(outcome),
    })
}

/// Gives back what went, to those who had paid for it and do not pay for this.
async fn give_back(tx: &mut Tx<'_>, payer: Payer) -> Result<(), Refusal> {
    for (paid, bytes) in tx.take_returned(payer) {
        account::returned_bytes(tx, paid, bytes).await?;
    }
    Ok(())
}

pub(in crate::vault) async fn forget(shared: &Shared, keys: Vec<Key>) -> Result<(), Refusal> {
    if !keys.is_empty() {
        let commit = keys
            .into_iter()
            .fold(Commit::new(CommitId::fresh()).urgent(), Commit::delete);
        // Nothing is checked, so nothing conflicts.
        let _applied = shared.ledger.commit(commit).await?;
    }
    Ok(())
}
