//! Mutations that may be repeated: the answer is kept under the caller's key, written by the commit that
//! it answers. The same key with another request is refused.

use protocol_spec::{defence::Defence, problem::Problem};

use crate::vault::{
    core::{
        payer::Payer,
        refusal::Refusal,
        run,
        shared::Shared,
        tx::{Operation, Tx},
        units::millis,
    },
    device::listed,
    tables::{self, Expiring, IdempotencyRow, Row},
    who::{
        caller::{Caller, Intent},
        standing,
    },
};

/// Carries a mutation out, or gives the answer it had (A2).
pub(in crate::vault) async fn mutate<O>(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
    operation: &O,
) -> Result<O::Answer, Refusal>
where
    O: Operation<Answer: Row>,
{
    run::run(
        shared,
        &Repeatable {
            caller,
            intent,
            operation,
        },
    )
    .await
}

/// Whether a mutation of the caller under this key had an answer.
pub(in crate::vault) async fn was_answered(
    shared: &Shared,
    caller: &Caller,
    key: [u8; 32],
) -> Result<bool, Refusal> {
    let row = tables::idempotency(caller.principal(), key)
        .get(&*shared.ledger)
        .await?;
    Ok(row.is_some())
}

/// The answer that this mutation had already, if it had one.
pub(in crate::vault) async fn answered_now<A: Row>(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
) -> Result<Option<A>, Refusal> {
    let row = tables::idempotency(caller.principal(), intent.key)
        .get(&*shared.ledger)
        .await?;
    replay(row, intent)
}

/// The answer that this mutation had already, inside the transaction.
pub(in crate::vault) async fn answered<A: Row>(
    tx: &mut Tx<'_>,
    caller: &Caller,
    intent: &Intent,
) -> Result<Option<A>, Refusal> {
    let row = tx
        .read(&tables::idempotency(caller.principal(), intent.key))
        .await?;
    replay(row, intent)
}

/// Keeps the answer for repetitions.
pub(in crate::vault) fn remember<A: Row>(tx: &mut Tx<'_>, caller: &Caller, intent: &Intent, answer: &A) {
    let principal = caller.principal();
    if let Some(payer) = Payer::of(caller) {
        tx.paid_by(payer);
    }
    let row = IdempotencyRow {
        digest: intent.digest.to_vec().into(),
        answer: answer.bytes(),
    };
    tx.put(&tables::idempotency(principal, intent.key), &row);
    let kept_until = tx.now + millis(tx.shared.limits.idempotency_ttl);
    tx.expire(kept_until, Expiring::Idempotency(principal, intent.key));
}

struct Repeatable<'a, O> {
    caller: &'a Caller,
    intent: &'a Intent,
    operation: &'a O,
}

impl<O: Operation<Answer: Row>> Operation for Repeatable<'_, O> {
    type Answer = O::Answer;

    fn is_urgent(&self) -> bool {
        self.operation.is_urgent()
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<O::Answer, Refusal> {
        listed::check_caller_listed(tx, self.caller).await?;
        standing::check_caller(tx, self.caller).await?;
        if let Some(answer) = answered(tx, self.caller, self.intent).await? {
            return Ok(answer);
        }
        let answer = self.operation.apply(tx).await?;
        // What changed nothing is answered alike when it comes again; kept, such answers would fill what is reserved for
        // revocations (FLW-14).
        if tx.writes_something() {
            remember(tx, self.caller, self.intent, &answer);
        }
        Ok(answer)
    }
}

fn replay<A: Row>(row: Option<IdempotencyRow>, intent: &Intent) -> Result<Option<A>, Refusal> {
    let Some(row) = row.filter(|_| !Defence::Idempotency.is_off()) else {
        return Ok(None);
    };
    if row.digest != intent.digest[..] {
        return Err(Problem::IdempotencyMismatch.into());
    }
    let damaged = |_| Refusal::new(Problem::Internal, "a stored answer cannot be read");
    A::decode(row.answer).map(Some).map_err(damaged)
}
