//! Denial: the patient answers a request with no.

use protocol_spec::{
    bodies::Denial,
    defence::Defence,
    delegation::VerifiedDelegation,
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
};

use super::{
    Caller, Intent, Refusal, Vault,
    refusal::ensure,
    requests::request_place,
    tables,
    tx::{Operation, Tx},
};

use pb::{RequestState, event, history_entry};

impl Vault {
    /// The patient, or a delegate of hers, denies a request.
    ///
    /// # Errors
    /// `not-permitted`, `delegation-power`, `request-mismatch`, `request-answered`, `request-expired`.
    pub async fn submit_denial(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::SubmitDenial,
    ) -> Result<pb::Accepted, Refusal> {
        let denial = PatientSigned::<Denial>::try_from(message.denial)?;
        self.shared
            .check_answer(caller, denial.claimed().patient_id, self.shared.operator.id())?;
        let denial = denial.verify()?;
        caller.check_device(denial.device())?;
        caller.check_through(denial.delegation().map(VerifiedDelegation::hash))?;
        self.shared.mutate(caller, intent, SubmitDenial { denial }).await
    }
}

struct SubmitDenial {
    denial: PatientVerified<Denial>,
}

impl Operation for SubmitDenial {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
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
        let asker = denial.institution_id.as_bytes();
        ensure(
            Defence::RequestMatch.holds(row.asker == asker[..]),
            Problem::RequestMismatch,
            "another institution asked",
        )?;
        tx.record_history(patient, history_entry::What::Denied(denial.to_message()))
            .await?;
        tx.notify(*asker, event::What::Denied(denial.to_message()))
            .await?;
        Ok(pb::Accepted {})
    }
}
