//! A guardian accepts, or refuses, what a patient has asked of her. See `spec/emergency.md` §5.

use protocol_spec::{ids::PatientId, submitted};

use crate::vault::{
    ask::received::{self, Asking},
    core::{
        account,
        proven::Proven,
        refusal::Refusal,
        role::OwnDevice,
        submission::Submission,
        tx::{Operation, Tx},
    },
    tables,
    telling::inbox,
};

/// The caller accepts to be a patient's guardian: from now on she is told, and can help (ACC-10). The same again changes
/// nothing.
pub(crate) struct AcceptGuardianship {
    guardian: PatientId,
    patient: PatientId,
}

impl Submission for AcceptGuardianship {
    type Message = submitted::AcceptGuardianship;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            guardian: who.principal(),
            patient: message.patient_id,
        })
    }
}

impl Operation for AcceptGuardianship {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { guardian, patient } = *self;
        let key = tables::emergency(patient);
        let mut row = tx.read(&key).await?.unwrap_or_default();
        let asked = row
            .entries
            .iter_mut()
            .find(|entry| entry.is_guarded_by(guardian) && !entry.refused);
        let entry = asked.ok_or_else(|| Refusal::absent("nobody has asked her to be a guardian"))?;
        if entry.accepted {
            return Ok(());
        }
        entry.accepted = true;
        tx.put(&key, &row);
        let (guardian, patient) = (*guardian.as_bytes(), *patient.as_bytes());
        received::settle(tx, guardian, patient, Asking::Guardianship, &patient).await?;
        if received::has_met(tx, guardian, patient).await? {
            account::have_met(tx, guardian, patient).await?;
        }
        Ok(())
    }
}

/// A guardian refuses, or is one no longer: her half is gone, and the patient sees it in her list (ACC-9).
pub(in crate::vault) async fn refuse_guardianship(
    tx: &mut Tx<'_>,
    patient: PatientId,
    guardian: PatientId,
) -> Result<(), Refusal> {
    let key = tables::emergency(patient);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    let asked = row
        .entries
        .iter_mut()
        .find(|entry| entry.is_guarded_by(guardian) && !entry.refused);
    let entry = asked.ok_or_else(|| Refusal::absent("nobody has asked her to be a guardian"))?;
    let (was_accepted, event) = (entry.accepted, entry.event);
    entry.refused = true;
    entry.accepted = false;
    entry.guardian_half = None;
    tx.put(&key, &row);
    if was_accepted {
        return Ok(());
    }
    withdraw_guardianship(tx, patient, *guardian.as_bytes(), event).await
}

/// Nobody asks a guardian any more who never accepted.
pub(in crate::vault) async fn withdraw_guardianship(
    tx: &mut Tx<'_>,
    patient: PatientId,
    guardian: [u8; 32],
    event: u64,
) -> Result<(), Refusal> {
    inbox::empty_event(tx, guardian, event).await?;
    let patient = *patient.as_bytes();
    received::settle(tx, guardian, patient, Asking::Guardianship, &patient).await
}
