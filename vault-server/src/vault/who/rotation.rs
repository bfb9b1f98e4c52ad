//! What an institution decides about itself: another recipient key, and its end. See `spec/institutions.md`.

use protocol_spec::{
    bodies::Retirement,
    defence::Defence,
    directory::Institution,
    ids::InstitutionId,
    log::Entry,
    problem::Problem,
    statement::Verified,
    submitted::{self, TerminalKeys},
};

use crate::vault::{
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::IdentityAlone,
        submission::{Submission, Turn},
        tx::{Operation, Tx},
    },
    tables::{self, RecipientKeyRow},
    who::{
        entries,
        terminals::{self, MOST_TERMINALS},
        withdrawal,
    },
};

/// An institution goes on with another recipient key.
pub(crate) struct Rotate {
    next: Institution,
    terminals: Vec<TerminalKeys>,
}

impl Submission for Rotate {
    type Message = submitted::RotateInstitution;
    type By = IdentityAlone;

    fn admit(message: Self::Message, who: &Proven<'_, IdentityAlone>) -> Result<Self, Refusal> {
        let shared = who.shared();
        let next = entries::accredited(shared, message.keys, message.accreditation, &message.secret)?;
        ensure(
            Defence::OwnStatements.holds(next.id() == who.principal().id()),
            Problem::NotPermitted,
            "the entry is another institution's",
        )?;
        let terminals = message.terminals;
        ensure(
            terminals.len() <= MOST_TERMINALS,
            Problem::TooLarge,
            "more terminals than there can be",
        )?;
        Ok(Self { next, terminals })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<(), Refusal> {
        turn.commit(self).await?;
        turn.shared.log.placed(&Entry::keys(&self.next)).await
    }
}

impl Operation for Rotate {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { next, terminals } = self;
        let row = tx.read_existing(&tables::institution(next.id())).await?;
        if row.keys == Some(next.keys().to_message()) {
            return Ok(());
        }
        let present = entries::stored_institution(tx.shared, row)?;
        next.check_succeeds(&present.link())
            .map_err(|error| Refusal::new(Problem::ChainConflict, error))?;
        let overlap_ends = next.keys().succession.map_or(0, |place| place.overlap_ends);
        end_keys(tx, &present, overlap_ends.max(1)).await?;
        entries::put_entry(tx, next).await?;
        for TerminalKeys { terminal_id, keys } in terminals {
            terminals::give_keys(tx, next.id(), *terminal_id, keys).await?;
        }
        Ok(())
    }
}

/// Lets the keys of the present entry and of those before it end at this time, or when they end anyway (INS-5).
async fn end_keys(tx: &mut Tx<'_>, present: &Institution, ends: u64) -> Result<(), Refusal> {
    let mut institution = present.clone();
    loop {
        let key = tables::recipient_key(institution.recipient_key().digest());
        let row = tx.read(&key).await?.unwrap_or_default();
        // Older keys end no later.
        if row.ends != 0 && row.ends <= ends {
            return Ok(());
        }
        tx.put(&key, &RecipientKeyRow { ends });
        let Some(before) = institution.sequence().checked_sub(1) else {
            return Ok(());
        };
        let entry = tx.read_existing(&tables::entry(institution.id(), before)).await?;
        institution = entries::stored_institution(tx.shared, entry)?;
    }
}

/// An institution ends.
pub(crate) struct Retire {
    institution: InstitutionId,
    retirement: Admitted<Verified<Retirement>>,
}

impl Submission for Retire {
    type Message = submitted::RetireInstitution;
    type By = IdentityAlone;

    fn admit(message: Self::Message, who: &Proven<'_, IdentityAlone>) -> Result<Self, Refusal> {
        Ok(Self {
            institution: who.principal().id(),
            retirement: who.statement(message.retirement)?,
        })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<(), Refusal> {
        turn.commit(self).await?;
        turn.shared.log.placed(&Entry::retirement(&self.retirement)).await
    }
}

impl Operation for Retire {
    type Answer = ();

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let key = tables::institution(self.institution);
        let mut entry = tx.read_existing(&key).await?;
        let present = entries::stored_institution(tx.shared, entry.clone())?;
        ensure(
            present.entry_hash() == self.retirement.entry_hash,
            Problem::ChainConflict,
            "it is over another entry",
        )?;
        entry.retirement = Some(self.retirement.to_message());
        withdrawal::end_institution(tx, self.institution, &entry, &Entry::retirement(&self.retirement))?;
        Ok(())
    }
}
