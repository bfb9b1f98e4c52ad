//! The way without the card: a guardian begins, the patient can object for as long as she has written down, and who
//! does not answer does not stand in the way. See `spec/emergency.md` §5.

use bytes::Bytes;
use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection},
    defence::Defence,
    ids::PermissionId,
    lifecycle::Rules,
    messages as pb,
    patient::PatientVerified,
    problem::Problem,
    submitted,
};

use crate::vault::{
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::OwnDevice,
        submission::Submission,
        tx::{Operation, Tx},
        units::millis,
    },
    emergency,
    tables::{self, EmergencyEntryRow},
    telling::{
        inbox,
        tell::{self, Tells},
    },
    who::entries,
};

use pb::{event, history_entry};

/// When a help, long after its waiting time, opens nothing more.
pub(in crate::vault) fn help_ends(tx: &Tx<'_>, help: &pb::EmergencyHelp) -> u64 {
    help.opens.saturating_add(millis(tx.shared.limits.release_ttl))
}

/// A guardian begins to help: from now on the waiting time runs (EMG-11).
pub(crate) struct StartHelp {
    help: Admitted<PatientVerified<EmergencyHelp>>,
}

impl Submission for StartHelp {
    type Message = submitted::StartHelp;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            help: who.statement(message.help)?,
        })
    }
}

impl Operation for StartHelp {
    type Answer = pb::HelpStarted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { help } = self;
        let patient = help.patient_id;
        let key = tables::emergency(patient);
        let mut row = tx.read(&key).await?.unwrap_or_default();
        let entry = row.with_card(&help.card_key)?;
        check_may_help(tx, entry, help).await?;
        let id: PermissionId = entry.permission.as_ref().try_into().map_err(Refusal::damaged)?;
        let body = tx.read_existing(&tables::permission(patient, id)).await?.body()?;
        let meter = tx.read_existing(&tables::meter(patient, id)).await?;
        let over = tx.has_passed(body.not_after).await;
        meter.meter().check_live(over, &Rules::in_force())?;
        let begun = pb::EmergencyHelp {
            help: Some(help.to_message()),
            opens: tx.now.saturating_add(entry.wait),
        };
        let opens = begun.opens;
        entry.help = Some(begun.clone());
        entry.help_id = Bytes::copy_from_slice(help.help_id.as_bytes());
        entry.helped = Bytes::copy_from_slice(help.institution_id.as_bytes());
        tx.put(&key, &row);
        let told = history_entry::What::EmergencyHelp(begun.clone());
        tell::tell(tx, Tells::logged(patient, help).history(told)).await?;
        emergency::announce(tx, patient, &row, event::What::EmergencyHelp(begun.clone())).await?;
        inbox::notify(
            tx,
            *help.institution_id.as_bytes(),
            event::What::EmergencyHelp(begun),
        )
        .await?;
        Ok(pb::HelpStarted { opens })
    }
}

/// Whether this guardian may begin to help now, and through this institution (EMG-11).
async fn check_may_help(
    tx: &mut Tx<'_>,
    entry: &EmergencyEntryRow,
    help: &EmergencyHelp,
) -> Result<(), Refusal> {
    let own = Defence::EmergencyGuardian.holds(entry.is_guarded_by(help.guardian_id));
    ensure(own, Problem::NotPermitted, "another guardian's")?;
    ensure(
        !entry.guardian.is_empty(),
        Problem::NotPermitted,
        "the card's, which is no guardian's",
    )?;
    ensure(
        Defence::Acceptance.holds(entry.accepted),
        Problem::NotAccepted,
        "she has not accepted to be a guardian",
    )?;
    let institution = entries::institution(tx, help.institution_id).await?;
    institution.check_emergency()?;
    ensure(
        !entry.objected,
        Problem::EmergencyObjected,
        "the patient has objected",
    )?;
    if let Some(running) = &entry.help {
        let over = tx.has_passed(help_ends(tx, running)).await;
        ensure(over, Problem::AlreadyExists, "the guardian helps already")?;
    }
    Ok(())
}

/// The patient objects in time: nothing is opened by this guardian any more (EMG-13).
pub(crate) struct Object {
    objection: Admitted<PatientVerified<EmergencyObjection>>,
}

impl Submission for Object {
    type Message = submitted::SubmitObjection;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            objection: who.statement(message.objection)?,
        })
    }
}

impl Operation for Object {
    type Answer = ();

    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { objection } = self;
        tx.protects = true;
        let patient = objection.patient_id;
        let key = tables::emergency(patient);
        let mut row = tx.read(&key).await?.unwrap_or_default();
        let id = objection.help_id.as_bytes();
        let entry = row.entries.iter_mut().find(|entry| entry.help_id == id[..]);
        let entry = entry.ok_or_else(|| Refusal::absent("no such help"))?;
        if entry.objected {
            return Ok(());
        }
        let opens = entry.help.as_ref().map_or(0, |help| help.opens);
        let over = tx.has_passed(opens).await;
        ensure(!over, Problem::EmergencyOver, "the waiting time is over")?;
        entry.objected = true;
        let institution: [u8; 32] = entry.helped.as_ref().try_into().map_err(Refusal::damaged)?;
        tx.put(&key, &row);
        let message = objection.to_message();
        let told = history_entry::What::EmergencyObjected(message.clone());
        tell::tell(tx, Tells::logged(patient, objection).history(told)).await?;
        let event = event::What::EmergencyObjected(message);
        emergency::announce(tx, patient, &row, event.clone()).await?;
        inbox::notify(tx, institution, event).await?;
        Ok(())
    }
}
