//! Terminals of institutions: certified and removed by the identity key, listed with their places in the log.
//! See `spec/institutions.md` §3.

use bytes::Bytes;
use protocol_spec::{
    bodies::{TerminalCertificate, TerminalRemoval},
    field::SealedBytes,
    ids::{InstitutionId, TerminalId},
    messages as pb,
    problem::Problem,
    statement::Verified,
    submitted,
};

use crate::vault::{
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::IdentityAlone,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    log::statement_hash,
    tables::{self, Counted, TerminalPlaceRow, TerminalRow},
    who::caller::Caller,
};

/// Terminals that an institution may have had.
pub(in crate::vault) const MOST_TERMINALS: usize = 1000;

/// The caller's institution's terminals in the order of their ids, after this one.
pub(crate) async fn terminals(
    shared: &Shared,
    caller: &Caller,
    after: Option<TerminalId>,
    limit: usize,
) -> Result<pb::TerminalPage, Refusal> {
    let institution = caller.institution()?.id();
    let first = tables::terminals(institution).behind(after);
    let (rows, more) = shared.short_page(first, limit).await?;
    let mut page = pb::TerminalPage::default();
    for row in rows {
        if more {
            page.next = row.terminal_id.clone();
        }
        page.terminals
            .push(complete_terminal(shared, institution, row).await?);
    }
    Ok(page)
}

/// What a terminal must know of itself.
pub(crate) async fn terminal(shared: &Shared, caller: &Caller) -> Result<pb::Terminal, Refusal> {
    let holder = caller.holder()?;
    let terminal = holder
        .terminal
        .ok_or_else(|| Refusal::absent("only terminals may do this"))?;
    let row = tables::terminal(holder.institution, terminal)
        .get(&*shared.ledger)
        .await?;
    let row = row.ok_or_else(|| Refusal::damaged("a terminal has no row"))?;
    complete_terminal(shared, holder.institution, row).await
}

async fn complete_terminal(
    shared: &Shared,
    institution: InstitutionId,
    row: TerminalRow,
) -> Result<pb::Terminal, Refusal> {
    let mut terminal = row.terminal.unwrap_or_default();
    let whose = *institution.as_bytes();
    let hash = statement_hash(terminal.certificate.as_ref());
    terminal.proof = Some(shared.log.prove(whose, &hash).await?);
    if terminal.removal.is_some() {
        let hash = statement_hash(terminal.removal.as_ref());
        terminal.removal_proof = Some(shared.log.prove(whose, &hash).await?);
    }
    Ok(terminal)
}

/// An institution certifies a terminal, or gives it a newer certificate.
pub(crate) struct AddTerminal {
    institution: InstitutionId,
    certificate: Admitted<Verified<TerminalCertificate>>,
    keys: Option<SealedBytes>,
}

impl Submission for AddTerminal {
    type Message = submitted::AddTerminal;
    type By = IdentityAlone;

    fn admit(message: Self::Message, who: &Proven<'_, IdentityAlone>) -> Result<Self, Refusal> {
        Ok(Self {
            institution: who.principal().id(),
            certificate: who.statement(message.certificate)?,
            keys: message.keys,
        })
    }
}

impl Operation for AddTerminal {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self {
            institution,
            certificate,
            keys,
        } = self;
        let id = TerminalId::from(&certificate.terminal_key);
        let over = tx.has_passed(certificate.not_after).await;
        ensure(!over, Problem::TerminalExpired, "the certificate is over already")?;
        let key = tables::terminal(*institution, id);
        match tx.read(&key).await?.and_then(|row| row.terminal) {
            Some(terminal) => ensure(
                terminal.removal.is_none(),
                Problem::TerminalRemoved,
                "the terminal was removed",
            )?,
            None => {
                let place = TerminalPlaceRow {
                    institution: Bytes::copy_from_slice(institution.as_bytes()),
                };
                tx.claim(&tables::terminal_place(id), &place).await?;
                let count = tx
                    .next_number(*institution.as_bytes(), Counted::Terminals)
                    .await?;
                let most = u64::try_from(MOST_TERMINALS).unwrap_or(u64::MAX);
                ensure(count <= most, Problem::TooMany, "too many terminals")?;
            }
        }
        tx.log(*institution.as_bytes(), &certificate.hash()).await?;
        let row = TerminalRow {
            terminal_id: Bytes::copy_from_slice(id.as_bytes()),
            not_after: certificate.not_after,
            terminal: Some(pb::Terminal {
                certificate: Some(certificate.to_message()),
                keys: keys.as_ref().map(Into::into),
                ..Default::default()
            }),
        };
        tx.put(&key, &row);
        Ok(())
    }
}

/// An institution removes a terminal, for ever. Repeating it changes nothing.
pub(crate) struct RemoveTerminal {
    removal: Admitted<Verified<TerminalRemoval>>,
}

impl Submission for RemoveTerminal {
    type Message = submitted::RemoveTerminal;
    type By = IdentityAlone;

    fn admit(message: Self::Message, who: &Proven<'_, IdentityAlone>) -> Result<Self, Refusal> {
        Ok(Self {
            removal: who.statement(message.removal)?,
        })
    }
}

impl Operation for RemoveTerminal {
    type Answer = ();

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { removal } = self;
        tx.protects = true;
        let key = tables::terminal(removal.institution_id, removal.terminal_id);
        let mut row = tx.read_existing(&key).await?;
        let terminal = row.terminal.get_or_insert_default();
        if terminal.removal.is_some() {
            return Ok(());
        }
        terminal.removal = Some(removal.to_message());
        // Nothing more is sealed to it.
        terminal.keys = None;
        tx.put(&key, &row);
        tx.log(*removal.institution_id.as_bytes(), &removal.hash())
            .await?;
        // Its inbox streams end.
        tx.wake(*removal.institution_id.as_bytes());
        Ok(())
    }
}

/// Keeps the recipient keys for a terminal that goes on (INS-12).
pub(in crate::vault) async fn give_keys(
    tx: &mut Tx<'_>,
    institution: InstitutionId,
    terminal: TerminalId,
    keys: &SealedBytes,
) -> Result<(), Refusal> {
    let key = tables::terminal(institution, terminal);
    let mut row = tx.read_existing(&key).await?;
    let kept = row.terminal.get_or_insert_default();
    let removed = kept.removal.is_some();
    ensure(
        !removed,
        Problem::TerminalRemoved,
        "keys for a terminal that was removed",
    )?;
    kept.keys = Some(keys.into());
    tx.put(&key, &row);
    Ok(())
}
