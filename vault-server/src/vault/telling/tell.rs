//! What a submission tells: the log, the acts of the vault, its history, an inbox. In this order, in one commit.

use protocol_spec::{hash::Sha256Digest, ids::PatientId, messages as pb, vault_head::Act};

use crate::vault::{
    core::{
        proven::{Admitted, Hashed},
        refusal::Refusal,
        tx::Tx,
    },
    telling::{acts, history, inbox},
};

use pb::{event, history_entry};

/// What is told of one statement.
pub(in crate::vault) struct Tells {
    vault: PatientId,
    logged: Option<Sha256Digest>,
    act: Option<Act>,
    history: Option<history_entry::What>,
    inbox: Option<([u8; 32], event::What)>,
}

impl Tells {
    /// Of something in this vault, that the log holds (LOG-5).
    pub(in crate::vault) fn logged<S: Hashed>(vault: PatientId, statement: &Admitted<S>) -> Self {
        Self {
            logged: Some(statement.hash()),
            ..Self::of(vault)
        }
    }

    /// Of something in this vault.
    pub(in crate::vault) fn of(vault: PatientId) -> Self {
        Self {
            vault,
            logged: None,
            act: None,
            history: None,
            inbox: None,
        }
    }

    /// Changes what the next head is over (VLT-1).
    pub(in crate::vault) fn act(self, act: Act) -> Self {
        Self {
            act: Some(act),
            ..self
        }
    }

    /// Stands in the vault's history (FLW-11).
    pub(in crate::vault) fn history(self, what: history_entry::What) -> Self {
        Self {
            history: Some(what),
            ..self
        }
    }

    /// Comes into a principal's inbox (FLW-11).
    pub(in crate::vault) fn inbox(self, principal: [u8; 32], what: event::What) -> Self {
        Self {
            inbox: Some((principal, what)),
            ..self
        }
    }
}

/// Under which numbers it was told.
#[derive(Default)]
pub(in crate::vault) struct Numbers {
    pub(in crate::vault) history: u64,
    pub(in crate::vault) event: u64,
}

/// Tells it, where it says to.
pub(in crate::vault) async fn tell(tx: &mut Tx<'_>, tells: Tells) -> Result<Numbers, Refusal> {
    let Tells {
        vault,
        logged,
        act,
        history,
        inbox,
    } = tells;
    let mut numbers = Numbers::default();
    if let Some(statement) = logged {
        tx.log(*vault.as_bytes(), &statement).await?;
    }
    if let Some(act) = act {
        acts::act(tx, vault, act).await?;
    }
    if let Some(what) = history {
        numbers.history = history::record_history(tx, vault, what).await?;
    }
    if let Some((principal, what)) = inbox {
        numbers.event = inbox::notify(tx, principal, what).await?;
    }
    Ok(numbers)
}
