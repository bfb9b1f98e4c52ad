//! What an institution decides about itself: another recipient key, and its end. See `spec/institutions.md`.

use protocol_spec::{
    bodies::Retirement,
    defence::Defence,
    directory::Institution,
    ids::InstitutionId,
    log::Entry,
    messages as pb,
    problem::Problem,
    statement::Verified,
    submitted::{self, TerminalKeys},
};

use super::{
    Refusal,
    proven::{Admitted, IdentityAlone, Proven},
    refusal::ensure,
    submission::{Submission, Turn},
    tables::{self, RecipientKeyRow},
    terminals::MOST_TERMINALS,
    tx::{Operation, Tx},
};

/// An institution goes on with another recipient key.
pub(super) struct Rotate {
    next: Institution,
    terminals: Vec<TerminalKeys>,
}

impl Submission for Rotate {
    type Message = submitted::RotateInstitution;
    type By = IdentityAlone;

    fn admit(message: Self::Message, who: &Proven<'_, IdentityAlone>) -> Result<Self, Refusal> {
        let shared = who.shared();
        let next = shared.accredited(message.keys, message.accreditation, &message.secret)?;
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
        let present = tx.shared.stored_institution(row)?;
        next.check_succeeds(&present.link())
            .map_err(|error| Refusal::new(Problem::ChainConflict, error))?;
        let overlap_ends = next.keys().succession.map_or(0, |place| place.overlap_ends);
        tx.end_keys(&present, overlap_ends.max(1)).await?;
        tx.put_entry(next).await?;
        for TerminalKeys { terminal_id, keys } in terminals {
            tx.give_keys(next.id(), *terminal_id, keys).await?;
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Writes an entry: the institution's newest, in its chain, in the log. Nobody has had its recipient key before
    /// (INS-3).
    pub(super) async fn put_entry(&mut self, institution: &Institution) -> Result<(), Refusal> {
        let (id, sequence) = (institution.id(), institution.sequence());
        let key = tables::recipient_key(institution.recipient_key().digest());
        let unused = self.read(&key).await?.is_none();
        ensure(
            Defence::Succession.holds(unused),
            Problem::AlreadyExists,
            "the recipient key stands in another entry",
        )?;
        let row = RecipientKeyRow { ends: 0 };
        self.put(&key, &row);
        let entry = pb::DirectoryEntry {
            keys: Some(institution.keys().to_message()),
            accreditation: Some(institution.accreditation().to_message()),
            ..pb::DirectoryEntry::default()
        };
        self.publish(&Entry::keys(institution))?;
        self.put(&tables::entry(id, sequence), &entry);
        self.put(&tables::institution(id), &entry);
        Ok(())
    }

    /// Lets the keys of the present entry and of those before it end at this time, or when they end anyway (INS-5).
    async fn end_keys(&mut self, present: &Institution, ends: u64) -> Result<(), Refusal> {
        let mut institution = present.clone();
        loop {
            let key = tables::recipient_key(institution.recipient_key().digest());
            let row = self.read(&key).await?.unwrap_or_default();
            // Older keys end no later.
            if row.ends != 0 && row.ends <= ends {
                return Ok(());
            }
            self.put(&key, &RecipientKeyRow { ends });
            let Some(before) = institution.sequence().checked_sub(1) else {
                return Ok(());
            };
            let entry = self
                .read_existing(&tables::entry(institution.id(), before))
                .await?;
            institution = self.shared.stored_institution(entry)?;
        }
    }
}

/// An institution ends.
pub(super) struct Retire {
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
        let present = tx.shared.stored_institution(entry.clone())?;
        ensure(
            present.entry_hash() == self.retirement.entry_hash,
            Problem::ChainConflict,
            "it is over another entry",
        )?;
        entry.retirement = Some(self.retirement.to_message());
        tx.end_institution(self.institution, &entry, &Entry::retirement(&self.retirement))?;
        Ok(())
    }
}
