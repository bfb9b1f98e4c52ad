//! The index of a vault: what the patient's devices have verified, sealed for each other. The server keeps the
//! segments in order and cannot read them. See `spec/index.md`.

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::IndexSegment,
    defence::Defence,
    hash::Sha256Digest,
    ids::PatientId,
    index::{IndexHead, MAX_SEGMENTS},
    messages as pb,
    patient::PatientVerified,
    problem::Problem,
    submitted::{self, Submitted},
};

use crate::vault::{
    core::{
        account,
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::OwnDevice,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    tables::{self, Counted, IndexRow},
    who::caller::Caller,
};

/// Segments of the caller's newest generation from this number on.
pub(crate) async fn index(
    shared: &Shared,
    caller: &Caller,
    from: u64,
    limit: usize,
) -> Result<pb::IndexPage, Refusal> {
    let patient = caller.patient()?;
    let ledger = &*shared.ledger;
    // At one moment, and before the segments: what is placed meanwhile comes after this, and is not missed.
    let counts = [Counted::Placed, Counted::Placements].map(|what| tables::count(*patient.as_bytes(), what));
    let counts = tables::get_many(&counts, ledger).await?;
    let mut counts = counts.into_iter().map(|row| row.unwrap_or_default().value);
    let (placed, last_placement) = (
        counts.next().unwrap_or_default(),
        counts.next().unwrap_or_default(),
    );
    let patient_row = tables::patient(patient).get(ledger).await?.unwrap_or_default();
    let generation = tables::index(patient)
        .get(ledger)
        .await?
        .unwrap_or_default()
        .generation;
    let first = tables::segment(patient, generation, from);
    let (segments, more) = shared.page(first, limit).await?;
    Ok(pb::IndexPage {
        segments,
        more,
        generation,
        last_placement,
        placed,
        root_epoch: patient_row.root_epoch,
    })
}

/// The next segment of the index, or the first of a new generation (IDX-3).
pub(crate) struct PutSegment {
    head: Admitted<PatientVerified<IndexSegment>>,
    message: pb::SignedSegment,
}

impl Submission for PutSegment {
    type Message = submitted::SignedSegment;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        let segment = message.write();
        let head = who.statement(message.head)?;
        ensure(
            head.sealed_hash == Sha256Digest::of(&segment.sealed),
            Problem::DigestMismatch,
            "what is sealed is not what was signed",
        )?;
        Ok(Self {
            head,
            message: segment,
        })
    }
}

impl Operation for PutSegment {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { head, message } = self;
        let patient = head.patient_id;
        let key = tables::index(patient);
        let before = tx.read(&key).await?;
        let next = match &before {
            Some(row) if head.generation == row.generation + 1 => {
                forget_index(tx, patient, row);
                IndexHead::begin(head.generation)
            }
            Some(row) => row.head()?,
            None => IndexHead::begin(0),
        };
        let after = next.then(head).map_err(|_| Problem::IndexConflict)?;
        ensure(
            after.segments <= MAX_SEGMENTS,
            Problem::TooMany,
            "too many segments: begin a new generation",
        )?;
        let bytes = u64::try_from(message.encoded_len()).unwrap_or(u64::MAX);
        let kept = before.filter(|row| row.generation == head.generation);
        let bytes = kept.map_or(0, |row| row.bytes).saturating_add(bytes);
        ensure(
            Defence::StorageBudget.holds(bytes <= account::index_budget(tx, patient).await?),
            Problem::StorageBudget,
            "the index is larger than its vault: begin a new generation",
        )?;
        let row = IndexRow {
            bytes,
            ..IndexRow::from(after)
        };
        tx.put(&key, &row);
        tx.put(&tables::segment(patient, head.generation, head.number), message);
        Ok(())
    }
}

fn forget_index(tx: &mut Tx<'_>, patient: PatientId, row: &IndexRow) {
    for number in 0..row.segments {
        tx.delete(&tables::segment(patient, row.generation, number));
    }
}

impl IndexRow {
    fn head(&self) -> Result<IndexHead, Refusal> {
        Ok(IndexHead {
            generation: self.generation,
            segments: self.segments,
            last: self.last.as_ref().try_into().map_err(Refusal::damaged)?,
            through: self.through,
        })
    }
}

impl From<IndexHead> for IndexRow {
    fn from(head: IndexHead) -> Self {
        Self {
            generation: head.generation,
            segments: head.segments,
            last: Bytes::copy_from_slice(head.last.as_bytes()),
            through: head.through,
            bytes: 0,
        }
    }
}
