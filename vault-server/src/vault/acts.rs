//! What has been done to a vault, act by act, and the heads that the patient's devices sign over it. See
//! `spec/vault-head.md`.

use bytes::Bytes;
use protocol_spec::{
    bodies::VaultHead,
    hash::Sha256Digest,
    ids::PatientId,
    log::frontier::Frontier,
    messages as pb,
    patient::PatientVerified,
    permission::PermissionBody,
    problem::Problem,
    submitted,
    vault_head::{Act, HeadRef},
};

use super::{
    Caller, Refusal, Vault,
    proven::{Admitted, OwnDevice, Proven},
    refusal::ensure,
    submission::{Submission, Turn},
    tables::{self, ActRow, ActsRow},
    tell::Tells,
    tx::{Operation, Tx},
};
use crate::store::SCAN_LIMIT;

/// Most acts of one page: they are about two hundred kibibytes.
pub const MAX_ACTS: usize = 4000;

impl Vault {
    /// The caller's acts from this number on, how many there are, and the newest head with its place in the log.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn acts(&self, caller: &Caller, after: u64, limit: usize) -> Result<pb::VaultActs, Refusal> {
        let patient = caller.patient()?;
        let ledger = &*self.shared.ledger;
        let row = tables::acts(patient).get(ledger).await?.unwrap_or_default();
        let end = row
            .count
            .min(after.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX)));
        let mut acts = Vec::new();
        let mut from = after;
        while from < end {
            let step = usize::try_from(end - from).map_or(SCAN_LIMIT, |left| left.min(SCAN_LIMIT));
            let rows = tables::act(patient, from).scan(ledger, step).await?;
            from += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            ensure(rows.len() == step, Problem::Internal, "an act has no row")?;
            acts.extend(rows.into_iter().flat_map(|(_, row)| row.act));
        }
        let mut head = None;
        if let Some(newest) = row.newest()? {
            let mut logged = pb::LoggedStatement {
                statement: tables::vault_head(patient, newest.sequence).get(ledger).await?,
                proof: None,
            };
            self.shared.complete_logged(patient, &mut logged).await?;
            head = Some(logged);
        }
        Ok(pb::VaultActs {
            acts: acts.into(),
            count: row.count,
            head,
        })
    }
}

/// A device says what has been done to the vault (VLT-2). The same head again changes nothing.
pub(super) struct SubmitHead {
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

    async fn carry_out(&self, turn: Turn<'_>) -> Result<pb::LoggedStatement, Refusal> {
        let mut logged = turn.commit(self).await?;
        turn.shared
            .complete_logged(self.head.patient_id, &mut logged)
            .await?;
        Ok(logged)
    }
}

impl Operation for SubmitHead {
    type Answer = pb::LoggedStatement;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::LoggedStatement, Refusal> {
        let Self { head } = self;
        tx.protects = true;
        let newest = tx.newest_head(head.patient_id).await?;
        if newest.is_some_and(|newest| newest.hash == head.hash()) {
            return Ok(logged(head));
        }
        tx.take_head(head).await
    }
}

impl Tx<'_> {
    /// Takes a head in, if it is over all that has been done until now, in this commit too (VLT-2).
    pub(super) async fn take_head(
        &mut self,
        head: &Admitted<PatientVerified<VaultHead>>,
    ) -> Result<pb::LoggedStatement, Refusal> {
        let (patient, hash) = (head.patient_id, head.hash());
        let row = self.read(&tables::acts(patient)).await?.unwrap_or_default();
        let newest = row.newest()?;
        let previous = newest.map_or(Sha256Digest::from_bytes([0; 32]), |newest| newest.hash);
        let root = Sha256Digest::from_bytes(row.tree()?.root());
        let continues = head.sequence == row.heads
            && head.previous_hash == previous
            && (head.acts, head.root) == (row.count, root);
        ensure(continues, Problem::HeadConflict, "it is over other acts")?;
        let salt = self.read_existing(&tables::log_salt(*patient.as_bytes())).await?;
        ensure(
            head.log_salt_hash == Sha256Digest::of(&salt.salt),
            Problem::Malformed,
            "it names another salt",
        )?;
        self.put(&tables::vault_head(patient, head.sequence), &head.to_message());
        self.note_back(head);
        self.tell(Tells::logged(patient, head).act(Act::Head(hash)))
            .await?;
        Ok(logged(head))
    }

    /// Enters what this commit does to the vault (VLT-1).
    pub(super) async fn act(&mut self, patient: PatientId, act: Act) -> Result<(), Refusal> {
        let key = tables::acts(patient);
        let mut row = self.read(&key).await?.unwrap_or_default();
        let mut tree = row.tree()?;
        let bytes = act.bytes();
        tree.append(&bytes);
        let entry = ActRow {
            act: Bytes::copy_from_slice(&bytes),
        };
        self.put(&tables::act(patient, row.count), &entry);
        if let Act::Head(hash) = act {
            row.heads += 1;
            row.newest = Bytes::copy_from_slice(hash.as_bytes());
        }
        row.count = tree.size;
        row.peaks = tree
            .peaks
            .iter()
            .map(|peak| Bytes::copy_from_slice(peak))
            .collect();
        self.put(&key, &row);
        Ok(())
    }

    /// The newest head of a vault, which receipts name (VLT-7).
    pub(super) async fn newest_head(&mut self, patient: PatientId) -> Result<Option<HeadRef>, Refusal> {
        self.read(&tables::acts(patient))
            .await?
            .unwrap_or_default()
            .newest()
    }

    /// A permission names a head of the vault (VLT-6).
    pub(super) async fn check_head(&mut self, permission: &PermissionBody) -> Result<(), Refusal> {
        let Some(named) = permission.vault_head else {
            return Ok(());
        };
        let key = tables::vault_head(permission.patient_id, named.sequence);
        let stored = self.read(&key).await?.and_then(|head| head.statement);
        ensure(
            stored.is_some_and(|head| Sha256Digest::of(&head.body) == named.hash),
            Problem::HeadConflict,
            "the vault has no such head",
        )
    }
}

/// Without a proof of its place in the log: `complete_logged` adds it, once the log has the leaf.
fn logged(head: &PatientVerified<VaultHead>) -> pb::LoggedStatement {
    pb::LoggedStatement {
        statement: Some(head.to_message()),
        proof: None,
    }
}

impl ActsRow {
    fn newest(&self) -> Result<Option<HeadRef>, Refusal> {
        let Some(sequence) = self.heads.checked_sub(1) else {
            return Ok(None);
        };
        let hash = self.newest.as_ref().try_into().map_err(Refusal::damaged)?;
        Ok(Some(HeadRef { sequence, hash }))
    }

    fn tree(&self) -> Result<Frontier, Refusal> {
        Frontier::read(self.count, &self.peaks).map_err(Refusal::damaged)
    }
}
