//! What an institution decides about itself: another recipient key, and its end. See `spec/institutions.md`.

use protocol_spec::{
    bodies::Retirement,
    defence::Defence,
    directory::Institution,
    field::SealedBytes,
    ids::{InstitutionId, TerminalId},
    log::Entry,
    messages as pb,
    problem::Problem,
    statement::{Signed, Verified},
};

use super::{
    Caller, Intent, Refusal, Vault,
    refusal::ensure,
    tables::{self, RecipientKeyRow},
    tx::{Operation, Tx},
};

impl Vault {
    /// An institution goes on with another recipient key.
    ///
    /// # Errors
    /// `not-permitted`, `not-accredited`, `chain-conflict`, `already-exists` for a key that was used before.
    pub async fn rotate_institution(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::RotateInstitution,
    ) -> Result<pb::Accepted, Refusal> {
        let institution = caller.identity()?.id();
        let (keys, accreditation) = (message.keys.try_into()?, message.accreditation.try_into()?);
        let next = self.accredited(keys, accreditation, &message.secret)?;
        let own = Defence::OwnStatements.holds(next.id() == institution);
        ensure(own, Problem::NotPermitted, "the entry is another institution's")?;
        let most = message.terminals.len() <= super::terminals::MOST_TERMINALS;
        ensure(most, Problem::TooLarge, "more terminals than there can be")?;
        let terminals: Result<Vec<_>, _> = message.terminals.into_iter().map(terminal_keys).collect();
        let rotate = Rotate {
            next: &next,
            terminals: terminals?,
        };
        let accepted = self.shared.mutate(caller, intent, rotate).await?;
        self.shared.log.placed(&Entry::keys(&next)).await?;
        Ok(accepted)
    }

    /// An institution ends.
    ///
    /// # Errors
    /// `not-permitted`; `chain-conflict` when the retirement is over another entry than the present one.
    pub async fn retire_institution(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::RetireInstitution,
    ) -> Result<pb::Accepted, Refusal> {
        let institution = caller.identity()?;
        let signed = Signed::<Retirement>::try_from(message.retirement)?;
        ensure(
            signed.claimed().entry_hash == institution.entry_hash(),
            Problem::ChainConflict,
            "it is over another entry",
        )?;
        let retire = Retire {
            institution: institution.id(),
            retirement: institution.verify_retirement(signed)?,
        };
        let entry = Entry::retirement(&retire.retirement);
        let accepted = self.shared.mutate(caller, intent, retire).await?;
        self.shared.log.placed(&entry).await?;
        Ok(accepted)
    }
}

fn terminal_keys(message: pb::TerminalKeys) -> Result<(TerminalId, pb::Sealed), Refusal> {
    let sealed = SealedBytes::try_from(message.keys)?;
    Ok((message.terminal_id.as_ref().try_into()?, (&sealed).into()))
}

struct Rotate<'a> {
    next: &'a Institution,
    terminals: Vec<(TerminalId, pb::Sealed)>,
}

impl Operation for Rotate<'_> {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { next, terminals } = self;
        let row = tx.read_existing(&tables::institution(next.id())).await?;
        if row.keys == Some(next.keys().to_message()) {
            return Ok(pb::Accepted {});
        }
        let present = tx.shared.stored_institution(row)?;
        next.check_succeeds(&present.link())
            .map_err(|error| Refusal::new(Problem::ChainConflict, error))?;
        let overlap_ends = next.keys().succession.map_or(0, |place| place.overlap_ends);
        tx.end_keys(&present, overlap_ends.max(1)).await?;
        tx.put_entry(next).await?;
        for (terminal, keys) in terminals {
            tx.give_keys(next.id(), *terminal, keys).await?;
        }
        Ok(pb::Accepted {})
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

struct Retire {
    institution: InstitutionId,
    retirement: Verified<Retirement>,
}

impl Operation for Retire {
    type Answer = pb::Accepted;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
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
        Ok(pb::Accepted {})
    }
}
