//! Heads over the acts of a vault, which its devices sign.

use protocol_spec::hash::Sha256Digest;
use protocol_spec::problem::Problem;
use protocol_spec::vault_head::Act;
use protocol_spec::{bodies::VaultHead, messages as pb, patient::PatientVerified, submitted};

use crate::vault::{
    core::{
        back,
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::OwnDevice,
        submission::{Submission, Turn},
        tx::{Operation, Tx},
    },
    tables,
    telling::{
        acts,
        tell::{self, Tells},
    },
};

/// A device says what has been done to the vault (VLT-2). The same head again changes nothing.
pub(crate) struct SubmitHead {
    head: Admitted<PatientVerified<VaultHead>>,
}

impl Submission for SubmitHead {
    type Message = submitted::SubmitVaultHead;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            head: who.statement(message.head)?,
        })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<Self::Answer, Refusal> {
        let mut logged = turn.commit(self).await?;
        turn.shared
            .complete_logged(self.head.patient_id, &mut logged)
            .await?;
        Ok(logged)
    }
}

impl Operation for SubmitHead {
    type Answer = pb::LoggedStatement;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { head } = self;
        tx.protects = true;
        let newest = acts::newest_head(tx, head.patient_id).await?;
        if newest.is_some_and(|newest| newest.hash == head.hash()) {
            return Ok(acts::logged(head));
        }
        take_head(tx, head).await
    }
}

/// Takes a head in, if it is over all that has been done until now, in this commit too (VLT-2).
pub(in crate::vault) async fn take_head(
    tx: &mut Tx<'_>,
    head: &Admitted<PatientVerified<VaultHead>>,
) -> Result<pb::LoggedStatement, Refusal> {
    let (patient, hash) = (head.patient_id, head.hash());
    let row = tx.read(&tables::acts(patient)).await?.unwrap_or_default();
    let newest = row.newest()?;
    let previous = newest.map_or(Sha256Digest::from_bytes([0; 32]), |newest| newest.hash);
    let root = Sha256Digest::from_bytes(row.tree()?.root());
    let continues = head.sequence == row.heads
        && head.previous_hash == previous
        && (head.acts, head.root) == (row.count, root);
    ensure(continues, Problem::HeadConflict, "it is over other acts")?;
    let salt = tx.read_existing(&tables::log_salt(*patient.as_bytes())).await?;
    ensure(
        head.log_salt_hash == Sha256Digest::of(&salt.salt),
        Problem::Malformed,
        "it names another salt",
    )?;
    tx.put(&tables::vault_head(patient, head.sequence), &head.to_message());
    back::note_back(tx, head);
    tell::tell(tx, Tells::logged(patient, head).act(Act::Head(hash))).await?;
    Ok(acts::logged(head))
}
