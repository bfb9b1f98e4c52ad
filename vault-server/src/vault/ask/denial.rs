//! What a patient says to an institution: no, to its request (a denial); something about a permission (a note).

use protocol_spec::{
    bodies::{Denial, Note},
    defence::Defence,
    ids::OperatorId,
    messages as pb,
    patient::PatientVerified,
    permission::Kind,
    problem::Problem,
    submitted::{self},
};

use crate::vault::{
    ask::{
        asked::{self, request_place},
        received,
    },
    core::{
        proven::{Admitted, OfVault, Proven},
        refusal::{Refusal, ensure},
        role::{MayPermit, OwnDevice},
        submission::Submission,
        tx::{Operation, Tx},
    },
    tables,
    telling::tell::{self, Tells},
};

use pb::{RequestState, event, history_entry};

/// The patient, or a delegate of hers, denies a request.
pub(crate) struct SubmitDenial {
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
        let row = asked::answer_request(tx, patient, hash, RequestState::Denied).await?;
        let asker = *denial.institution_id.as_bytes();
        ensure(
            Defence::RequestMatch.holds(row.asker == asker[..]),
            Problem::RequestMismatch,
            "another institution asked",
        )?;
        let tells = Tells::of(patient)
            .history(history_entry::What::Denied(denial.to_message()))
            .inbox(asker, event::What::Denied(denial.to_message()));
        tell::tell(tx, tells).await?;
        Ok(())
    }
}

/// The patient tells an institution something about a permission that it has of her (NOTE-2).
pub(crate) struct SubmitNote {
    note: Admitted<PatientVerified<Note>>,
}

impl OfVault for Note {
    fn operator(&self) -> Option<OperatorId> {
        None
    }
}

impl Submission for SubmitNote {
    type Message = submitted::SubmitNote;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            note: who.statement(message.note)?,
        })
    }
}

impl Operation for SubmitNote {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { note } = self;
        let (patient, reader) = (note.patient_id, *note.institution_id.as_bytes());
        let permission = tx
            .read_existing(&tables::permission(patient, note.permission_id))
            .await?;
        let same = permission.hash() == note.permission_hash;
        ensure(
            Defence::RequestMatch.holds(same),
            Problem::NotPermitted,
            "the note is about another permission",
        )?;
        let permission = permission.body()?;
        let named = permission.kind != Kind::Emergency && permission.institution_id == note.institution_id;
        ensure(
            Defence::RequestMatch.holds(named),
            Problem::NotPermitted,
            "the permission is another institution's",
        )?;
        let daily = tx.shared.limits.inbox.daily_to_institution;
        received::admit_unasked(tx, reader, *patient.as_bytes(), daily).await?;
        let tells = Tells::of(patient)
            .history(history_entry::What::Noted(note.to_message()))
            .inbox(reader, event::What::Noted(note.to_message()));
        tell::tell(tx, tells).await?;
        Ok(())
    }
}
