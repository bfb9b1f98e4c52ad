//! The registrar withdraws an accreditation: whoever carries its statement here. See `spec/institutions.md` §5.

use protocol_spec::{
    bodies::Withdrawal,
    directory::verify_withdrawal,
    ids::InstitutionId,
    log::Entry,
    messages as pb,
    statement::Verified,
    submitted::{self, Submitted},
};

use crate::vault::{
    core::{
        refusal::Refusal,
        run,
        shared::Shared,
        tx::{Operation, Tx},
    },
    tables,
};

/// Ends an accreditation, for ever (INS-15). The statement proves itself, so anybody may bring it, and bringing it again
/// changes nothing.
pub(crate) async fn withdraw_institution(
    shared: &Shared,
    message: pb::WithdrawInstitution,
) -> Result<pb::Withdrawn, Refusal> {
    let Shared { registrar, log, .. } = shared;
    let submitted::WithdrawInstitution { withdrawal } = Submitted::read(message)?;
    let withdrawal = verify_withdrawal(withdrawal, registrar)?;
    let first = run::run(shared, &Withdraw { withdrawal }).await?;
    Ok(pb::Withdrawn {
        proof: Some(log.prove_published(&Entry::Withdrawal(first.clone())).await?),
        withdrawal: Some(first),
    })
}

struct Withdraw {
    withdrawal: Verified<Withdrawal>,
}

impl Operation for Withdraw {
    /// The withdrawal that stands: the first one.
    type Answer = pb::Statement;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { withdrawal } = self;
        let key = tables::institution(withdrawal.institution_id);
        let mut entry = tx.read_existing(&key).await?;
        if let Some(first) = entry.withdrawal {
            return Ok(first);
        }
        entry.withdrawal = Some(withdrawal.to_message());
        end_institution(
            tx,
            withdrawal.institution_id,
            &entry,
            &Entry::withdrawal(withdrawal),
        )?;
        Ok(withdrawal.to_message())
    }
}

/// Writes an entry with its end, which is logged; what is open of the institution ends (INS-13, INS-15).
pub(in crate::vault) fn end_institution(
    tx: &mut Tx<'_>,
    institution: InstitutionId,
    ended: &pb::DirectoryEntry,
    end: &Entry,
) -> Result<(), Refusal> {
    tx.publish(end)?;
    tx.put(&tables::institution(institution), ended);
    // Its inbox streams end.
    tx.wake(*institution.as_bytes());
    Ok(())
}
