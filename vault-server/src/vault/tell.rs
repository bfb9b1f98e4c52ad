//! What a submission tells: the log, the acts of the vault, its history, an inbox. In this order, in one commit.

use protocol_spec::{hash::Sha256Digest, ids::PatientId, messages as pb, vault_head::Act};

use super::{
    Refusal,
    proven::{Admitted, Hashed},
    tx::Tx,
};

use pb::{event, history_entry};

/// What is told of one statement.
pub(super) struct Tells {
    vault: PatientId,
    logged: Option<Sha256Digest>,
    act: Option<Act>,
    history: Option<history_entry::What>,
    inbox: Option<([u8; 32], event::What)>,
}

impl Tells {
    /// Of something in this vault, that the log holds (LOG-5).
    pub(super) fn logged<S: Hashed>(vault: PatientId, statement: &Admitted<S>) -> Self {
        Self {
            logged: Some(statement.hash()),
            ..Self::of(vault)
        }
    }

    /// Of something in this vault.
    pub(super) fn of(vault: PatientId) -> Self {
        Self {
            vault,
            logged: None,
            act: None,
            history: None,
            inbox: None,
        }
    }

    /// Changes what the next head is over (VLT-1).
    pub(super) fn act(self, act: Act) -> Self {
        Self {
            act: Some(act),
            ..self
        }
    }

    /// Stands in the vault's history (FLW-11).
    pub(super) fn history(self, what: history_entry::What) -> Self {
        Self {
            history: Some(what),
            ..self
        }
    }

    /// Comes into a principal's inbox (FLW-11).
    pub(super) fn inbox(self, principal: [u8; 32], what: event::What) -> Self {
        Self {
            inbox: Some((principal, what)),
            ..self
        }
    }
}

/// Under which numbers it was told.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) history: u64,
    pub(super) event: u64,
}

impl Tx<'_> {
    /// Tells it, where it says to.
    pub(super) async fn tell(&mut self, tells: Tells) -> Result<Numbers, Refusal> {
        let Tells {
            vault,
            logged,
            act,
            history,
            inbox,
        } = tells;
        let mut numbers = Numbers::default();
        if let Some(statement) = logged {
            self.log(*vault.as_bytes(), &statement).await?;
        }
        if let Some(act) = act {
            self.act(vault, act).await?;
        }
        if let Some(what) = history {
            numbers.history = self.record_history(vault, what).await?;
        }
        if let Some((principal, what)) = inbox {
            numbers.event = self.notify(principal, what).await?;
        }
        Ok(numbers)
    }
}
