//! An institution takes back what it has stored, as long as nobody has opened it. See `spec/deletion.md` §3.

use protocol_spec::{
    bodies::{TakeBack, UploadReceipt},
    defence::Defence,
    messages as pb,
    problem::Problem,
    statement::{Signed, Verified},
    submitted,
    vault_head::Act,
};

use crate::vault::{
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::AnyTerminal,
        submission::{Submission, Turn},
        tx::{Operation, Tx},
    },
    keep::deletion,
    tables::{self, GoneRow, RecordRow},
    telling::tell::{self, Tells},
    transfer::opened,
};

use pb::{event, history_entry};

/// The institution that has stored a record takes it back (DEL-6). The same again gives the first take-back.
pub(crate) struct Take {
    take_back: Admitted<Verified<TakeBack>>,
}

impl Submission for Take {
    type Message = submitted::TakeBackUpload;
    type By = AnyTerminal;

    fn admit(message: Self::Message, who: &Proven<'_, AnyTerminal>) -> Result<Self, Refusal> {
        Ok(Self {
            take_back: who.statement(message.take_back)?,
        })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<Self::Answer, Refusal> {
        let mut receipt = turn.commit(self).await?;
        let first = Signed::<TakeBack>::try_from(receipt.statement.clone()).map_err(Refusal::damaged)?;
        deletion::drop_leaves(turn.shared, first.claimed().version_id).await;
        turn.shared
            .complete(self.take_back.patient_id, &mut receipt)
            .await?;
        Ok(receipt)
    }
}

impl Operation for Take {
    type Answer = pb::Receipt;

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { take_back } = self;
        tx.protects = true;
        // What nobody has opened by an old copy somebody may have (LOG-22, DEL-6).
        tx.shared.log.check_uncontradicted()?;
        let (patient, record) = (take_back.patient_id, take_back.record_id);
        if let Some(gone) = tx.read(&tables::gone(patient, record)).await? {
            let own = gone.institution == take_back.institution_id.as_bytes()[..]
                && gone.receipt_hash == take_back.receipt_hash.as_bytes()[..];
            ensure(own, Problem::NotPermitted, "it is not what the receipt is of")?;
            return gone.take_back.ok_or_else(|| Problem::RecordDeleted.into());
        }
        let row = tx
            .read_existing(&tables::record(patient, take_back.version_id))
            .await?;
        self.check_receipt(&row)?;
        let opened = row.opened || opened::is_placed(tx, patient, take_back.version_id).await?;
        ensure(
            Defence::OpenedRecords.holds(!opened),
            Problem::RecordOpened,
            "somebody has opened the record",
        )?;
        let receipt = pb::Receipt {
            statement: Some(take_back.to_message()),
            proof: None,
        };
        let gone = GoneRow {
            take_back: Some(receipt.clone()),
            ..GoneRow::default()
        };
        deletion::drop_record(tx, patient, row, gone).await?;
        let tells = Tells::logged(patient, take_back)
            .act(Act::TakeBack(record, take_back.hash()))
            .history(history_entry::What::TakenBack(receipt.clone()))
            .inbox(*patient.as_bytes(), event::What::TakenBack(receipt.clone()));
        tell::tell(tx, tells).await?;
        Ok(receipt)
    }
}

impl Take {
    /// The record is the one of the receipt, and the receipt is this institution's.
    fn check_receipt(&self, row: &RecordRow) -> Result<(), Refusal> {
        let Self { take_back } = self;
        let receipt = row.stored.as_ref().and_then(|stored| stored.receipt.clone());
        let receipt = receipt.and_then(|receipt| receipt.statement);
        let receipt = Signed::<UploadReceipt>::try_from(receipt).map_err(Refusal::damaged)?;
        let said = receipt.claimed();
        let own = receipt.hash() == take_back.receipt_hash
            && said.institution_id == take_back.institution_id
            && said.record_id == take_back.record_id;
        ensure(own, Problem::NotPermitted, "it is not what the receipt is of")
    }
}
