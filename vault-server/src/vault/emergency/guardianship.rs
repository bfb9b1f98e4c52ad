//! A guardian accepts, or refuses, what a patient has asked of her. See `spec/emergency.md` §5.

use protocol_spec::{ids::PatientId, messages as pb};

use crate::vault::{
    Caller, Intent, Refusal, Vault,
    received::Asking,
    tables,
    tx::{Operation, Tx},
};

impl Vault {
    /// The caller accepts to be a patient's guardian: from now on she is told, and can help (ACC-10). The same again changes
    /// nothing.
    ///
    /// # Errors
    /// `not-permitted`.
    pub async fn accept_guardianship(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::AcceptGuardianship,
    ) -> Result<pb::Accepted, Refusal> {
        let accept = Accept {
            guardian: caller.patient()?,
            patient: message.patient_id.as_ref().try_into()?,
        };
        self.shared.mutate(caller, intent, accept).await
    }
}

struct Accept {
    guardian: PatientId,
    patient: PatientId,
}

impl Operation for Accept {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { guardian, patient } = *self;
        let key = tables::emergency(patient);
        let mut row = tx.read(&key).await?.unwrap_or_default();
        let asked = row
            .entries
            .iter_mut()
            .find(|entry| entry.is_guarded_by(guardian) && !entry.refused);
        let entry = asked.ok_or_else(|| Refusal::absent("nobody has asked her to be a guardian"))?;
        if entry.accepted {
            return Ok(pb::Accepted {});
        }
        entry.accepted = true;
        tx.put(&key, &row);
        let (guardian, patient) = (*guardian.as_bytes(), *patient.as_bytes());
        tx.settle(guardian, patient, Asking::Guardianship, &patient)
            .await?;
        if tx.has_met(guardian, patient).await? {
            tx.have_met(guardian, patient).await?;
        }
        Ok(pb::Accepted {})
    }
}

impl Tx<'_> {
    /// A guardian refuses, or is one no longer: her half is gone, and the patient sees it in her list (ACC-9).
    pub(in crate::vault) async fn refuse_guardianship(
        &mut self,
        patient: PatientId,
        guardian: PatientId,
    ) -> Result<(), Refusal> {
        let key = tables::emergency(patient);
        let mut row = self.read(&key).await?.unwrap_or_default();
        let asked = row
            .entries
            .iter_mut()
            .find(|entry| entry.is_guarded_by(guardian) && !entry.refused);
        let entry = asked.ok_or_else(|| Refusal::absent("nobody has asked her to be a guardian"))?;
        let (was_accepted, event) = (entry.accepted, entry.event);
        entry.refused = true;
        entry.accepted = false;
        entry.guardian_half = None;
        self.put(&key, &row);
        if was_accepted {
            return Ok(());
        }
        self.withdraw_guardianship(patient, *guardian.as_bytes(), event)
            .await
    }

    /// Nobody asks a guardian any more who never accepted.
    pub(super) async fn withdraw_guardianship(
        &mut self,
        patient: PatientId,
        guardian: [u8; 32],
        event: u64,
    ) -> Result<(), Refusal> {
        self.empty_event(guardian, event).await?;
        let patient = *patient.as_bytes();
        self.settle(guardian, patient, Asking::Guardianship, &patient)
            .await
    }
}
