//! Denial: the patient answers a request with no.

use protocol_spec::{
    bodies::Denial, defence::Defence, messages as pb, patient::PatientVerified, problem::Problem, submitted,
};

use super::{
    Refusal,
    proven::{Admitted, MayPermit, Proven},
    refusal::ensure,
    requests::request_place,
    submission::Submission,
    tables,
    tell::Tells,
    tx::{Operation, Tx},
};

use pb::{RequestState, event, history_entry};

/// The patient, or a delegate of hers, denies a request.
pub(super) struct SubmitDenial {
    denial: Admitted<PatientVerified<Denial>>,
}

impl Submission for SubmitDenial {
    type Message = submitted::SubmitDenial;
    type By = MayPermit;

    fn admit(message: Self::Message, who: &Proven<'_, MayPermit>) -> Result<Self, Refusal> {
        Ok(Self {
            denial: who.statement(message.denial)?,
        })
    }
}

impl Operation for SubmitDenial {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { denial } = self;
        tx.protects = true;
        let place = tx.read_existing(&tables::place(&denial.request_id)).await?;
        let (patient, hash) = request_place(place)?;
        ensure(
            patient == denial.patient_id,
            Problem::NotPermitted,
            "another patient's request",
        )?;
        ensure(
            Defence::RequestMatch.holds(hash == denial.request_hash),
            Problem::RequestMismatch,
            "the denial is of another request",
        )?;
        let row = tx.answer_request(patient, hash, RequestState::Denied).await?;
        let asker = *denial.institution_id.as_bytes();
        ensure(
            Defence::RequestMatch.holds(row.asker == asker[..]),
            Problem::RequestMismatch,
            "another institution asked",
        )?;
        let tells = Tells::of(patient)
            .history(history_entry::What::Denied(denial.to_message()))
            .inbox(asker, event::What::Denied(denial.to_message()));
        tx.tell(tells).await?;
        Ok(())
    }
}
