//! Revocation: once it is acknowledged, no request that starts later releases a byte, and running
//! releases stop at the next leaf.

use protocol_spec::{
    bodies::Revocation,
    hash::Sha256Digest,
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    problem::Problem,
};

use super::{
    Caller, Intent, Refusal, Vault,
    refusal::ensure,
    tables,
    tx::{Operation, Tx},
};

use pb::{event, history_entry};

impl Vault {
    /// The patient takes a permission back. Repeating it changes nothing.
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn submit_revocation(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::SubmitRevocation,
    ) -> Result<pb::Accepted, Refusal> {
        let revocation = PatientSigned::<Revocation>::try_from(message.revocation)?.verify()?;
        self.shared
            .check_patient(caller, revocation.patient_id, self.shared.operator.id())?;
        caller.check_device(revocation.device())?;
        self.shared
            .mutate(caller, intent, SubmitRevocation { revocation })
            .await
    }
}

struct SubmitRevocation {
    revocation: PatientVerified<Revocation>,
}

impl Operation for SubmitRevocation {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { revocation } = self;
        let (patient, id) = (revocation.patient_id, revocation.permission_id);
        let permission = tx.read_existing(&tables::permission(patient, id)).await?;
        let body = permission
            .permission
            .as_ref()
            .map_or(&[][..], |permission| &permission.body);
        let same = Sha256Digest::of(body) == revocation.permission_hash;
        ensure(
            same,
            Problem::NotPermitted,
            "the revocation is of another permission",
        )?;
        let key = tables::meter(patient, id);
        let mut meter = tx.read_existing(&key).await?;
        if meter.revoked {
            return Ok(pb::Accepted {});
        }
        meter.revoked = true;
        tx.put(&key, &meter);
        tx.log(&revocation.hash())?;
        let message = revocation.to_message();
        tx.record_history(patient, history_entry::What::Revoked(message.clone()))
            .await?;
        let institution = permission.body()?.institution_id;
        tx.notify(*institution.as_bytes(), event::What::Revoked(message))
            .await?;
        Ok(pb::Accepted {})
    }
}
