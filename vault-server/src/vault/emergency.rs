//! Emergency permissions as a patient keeps them: a card, and guardians. The server holds the second half of each key,
//! and hands it out by [`opening`] alone. See `spec/emergency.md`.
//!
//! All of one vault stand in one row, which guards whatever is decided about them.

pub(crate) mod guardianship;
pub(crate) mod help;
pub(in crate::vault) mod opened;
pub(crate) mod opening;

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    emergency::{EmergencyTerms, GuardianTerms, MAX_GUARDIANS},
    ids::{InstitutionId, PatientId, PermissionId},
    keys::IdentityKey,
    messages as pb,
    permission::{PermissionBody, VerifiedPermission},
    problem::Problem,
    submitted::{self, Halves},
};

use crate::vault::{
    ask::{
        permissions,
        received::{self, Arrival, Asking},
    },
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::OwnDevice,
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    keep::collections,
    tables::{self, EmergencyEntryRow, EmergencyRow, PermissionRow},
    telling::inbox,
    who::caller::Caller,
};

use pb::event;

/// What the caller has prepared, the card first, and who has begun to help.
pub(crate) async fn emergency(shared: &Shared, caller: &Caller) -> Result<pb::EmergencyList, Refusal> {
    let row = tables::emergency(caller.patient()?);
    let row = row.get(&*shared.ledger).await?.unwrap_or_default();
    let entry = |entry: EmergencyEntryRow| pb::EmergencyEntry {
        permission_id: entry.permission,
        recipient_key: entry.recipient_key,
        help: entry.help,
        objected: entry.objected,
        accepted: entry.accepted,
        refused: entry.refused,
    };
    Ok(pb::EmergencyList {
        entries: row.entries.into_iter().map(entry).collect(),
    })
}

/// What another may know of a patient's emergency permissions: a guardian her own half, an institution the helps
/// that name it. Nothing, where there is nothing for the caller.
pub(crate) async fn emergency_info(
    shared: &Shared,
    caller: &Caller,
    patient: PatientId,
) -> Result<pb::EmergencyInfo, Refusal> {
    let ledger = &*shared.ledger;
    let row = tables::emergency(patient).get(ledger).await?.unwrap_or_default();
    let mut info = pb::EmergencyInfo::default();
    if let Ok(institution) = caller.institution() {
        let mut named = row.entries;
        named.retain(|entry| entry.helps(institution.id()));
        // One that was objected to is shown where there is no other, so that the institution learns of it.
        if named.iter().any(|entry| !entry.objected) {
            named.retain(|entry| !entry.objected);
        }
        info.helps = named.into_iter().filter_map(|entry| entry.help).collect();
    } else if let Ok(guardian) = caller.patient()
        && let Some(entry) = row
            .entries
            .into_iter()
            .find(|entry| entry.is_guarded_by(guardian) && !entry.refused)
    {
        let id: PermissionId = entry.permission.as_ref().try_into().map_err(Refusal::damaged)?;
        let permission = tables::permission(patient, id).get(ledger).await?;
        info.permission = permission.and_then(|row| row.permission);
        info.guardian_half = entry.guardian_half;
        info.guardian_root_epoch = entry.guardian_root_epoch;
    }
    Ok(info)
}

/// What a new emergency permission comes with; of one in the place of another, only what it says itself.
fn entry(permission: &PermissionBody, terms: &EmergencyTerms, halves: Option<Halves>) -> EmergencyEntryRow {
    let bytes = |id: &[u8]| Bytes::copy_from_slice(id);
    let said = EmergencyEntryRow {
        permission: bytes(permission.permission_id.as_bytes()),
        card_key: bytes(terms.card_key.as_bytes()),
        guardian: terms
            .guardian
            .map_or_else(Bytes::new, |guardian| bytes(guardian.guardian_id.as_bytes())),
        wait: terms.guardian.map_or(0, |guardian| guardian.wait),
        ..EmergencyEntryRow::default()
    };
    let Some(halves) = halves else { return said };
    EmergencyEntryRow {
        share: halves.share,
        recipient_key: bytes(halves.recipient_key.as_bytes()),
        guardian_half: halves.guardian_half.as_ref().map(Into::into),
        guardian_root_epoch: halves.guardian_root_epoch,
        ..said
    }
}

impl EmergencyEntryRow {
    /// Whether it is this guardian's.
    fn is_guarded_by(&self, guardian: PatientId) -> bool {
        self.guardian == guardian.as_bytes()[..]
    }

    /// Whether a help names this institution.
    fn helps(&self, institution: InstitutionId) -> bool {
        self.help.is_some() && self.helped == institution.as_bytes()[..]
    }

    fn guardian(&self) -> Option<[u8; 32]> {
        self.guardian.as_ref().try_into().ok()
    }

    /// Who is told what happens: a guardian who has accepted (ACC-10).
    fn told(&self) -> Option<[u8; 32]> {
        self.guardian()
            .filter(|_| Defence::Acceptance.holds(self.accepted) && !self.refused)
    }
}

impl EmergencyRow {
    /// The permission with this card key.
    fn with_card(&mut self, card_key: &IdentityKey) -> Result<&mut EmergencyEntryRow, Refusal> {
        let is = |entry: &&mut EmergencyEntryRow| entry.card_key == card_key.as_bytes()[..];
        let found = self.entries.iter_mut().find(is);
        found.ok_or_else(|| Refusal::absent("no emergency permission has this card key"))
    }
}

/// Announces something to the patient's devices and to her guardians.
async fn announce(
    tx: &mut Tx<'_>,
    patient: PatientId,
    row: &EmergencyRow,
    what: event::What,
) -> Result<(), Refusal> {
    inbox::notify(tx, *patient.as_bytes(), what.clone()).await?;
    for guardian in row.entries.iter().filter_map(EmergencyEntryRow::told) {
        inbox::notify(tx, guardian, what.clone()).await?;
    }
    Ok(())
}

/// Forgets the server's half of a permission that was revoked, and tells its guardian.
pub(in crate::vault) async fn end_emergency(
    tx: &mut Tx<'_>,
    patient: PatientId,
    permission: PermissionId,
    revocation: pb::PatientStatement,
) -> Result<(), Refusal> {
    let key = tables::emergency(patient);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    let ended = |entry: &EmergencyEntryRow| entry.permission == permission.as_bytes()[..];
    let entry = row.entries.iter().find(|entry| ended(entry)).cloned();
    row.entries.retain(|entry| !ended(entry));
    tx.put(&key, &row);
    let Some(entry) = entry else { return Ok(()) };
    if let Some(guardian) = entry.told() {
        inbox::notify(tx, guardian, event::What::Revoked(revocation)).await?;
    } else if let Some(guardian) = entry.guardian().filter(|_| !entry.refused) {
        guardianship::withdraw_guardianship(tx, patient, guardian, entry.event).await?;
    }
    Ok(())
}

/// The one that is carried, and the one that is to take its place (EMG-14).
const MAX_CARDS: usize = 2;

/// A patient's device makes a card or names a guardian, or wraps anew what there is (EMG-4, EMG-5).
pub(crate) struct PutEmergency {
    permission: Admitted<VerifiedPermission>,
    entry: EmergencyEntryRow,
}

impl Submission for PutEmergency {
    type Message = submitted::PutEmergency;
    type By = OwnDevice;

    fn admit(message: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        let permission = who.statement(message.permission)?;
        let terms = permission.emergency.as_ref();
        let terms = terms.ok_or_else(|| Refusal::new(Problem::Malformed, "it is no emergency permission"))?;
        let entry = entry(&permission, terms, message.halves);
        Ok(Self { permission, entry })
    }
}

impl Operation for PutEmergency {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { permission, entry } = self;
        let patient = permission.patient_id;
        let selector = permission.collection.as_ref();
        let selector = selector.ok_or_else(|| Refusal::absent("it names no collection"))?;
        collections::check_current_epoch(tx, patient, selector.collection).await?;
        let key = tables::emergency(patient);
        let mut row = tx.read(&key).await?.unwrap_or_default();
        if let Some(replaces) = &permission.replaces {
            let old = permissions::end_replaced(tx, permission, replaces).await?;
            let same = old.emergency == permission.emergency
                && old.recipient_key_hash == permission.recipient_key_hash;
            ensure(
                same,
                Problem::RequestMismatch,
                "it is another card's or guardian's",
            )?;
            let card_key = IdentityKey::try_from(entry.card_key.as_ref())?;
            row.with_card(&card_key)?.permission.clone_from(&entry.permission);
        } else {
            let is_card = entry.guardian.is_empty();
            let same = |other: &EmergencyEntryRow| {
                (!is_card && other.guardian == entry.guardian) || other.card_key == entry.card_key
            };
            let taken = row.entries.iter().any(same);
            ensure(
                !taken,
                Problem::AlreadyExists,
                "there is this card, or this guardian, already",
            )?;
            let of_its_kind = |other: &&EmergencyEntryRow| other.guardian.is_empty() == is_card;
            let many = row.entries.iter().filter(of_its_kind).count();
            ensure(
                !is_card || many < MAX_CARDS,
                Problem::AlreadyExists,
                "there are two cards already",
            )?;
            ensure(
                is_card || many < MAX_GUARDIANS,
                Problem::TooMany,
                "there are too many guardians",
            )?;
            let mut entry = entry.clone();
            entry.event = self.name_guardian(tx).await?;
            row.entries.push(entry);
            row.entries.sort_by(|a, b| a.guardian.cmp(&b.guardian));
        }
        tx.put(&key, &row);
        permissions::take_in(tx, permission, PermissionRow::default()).await
    }
}

impl PutEmergency {
    /// Asks a patient to be the guardian, if the permission names one; the number of her event (ACC-8, ACC-10).
    async fn name_guardian(&self, tx: &mut Tx<'_>) -> Result<u64, Refusal> {
        let permission = &self.permission;
        let named = permission.emergency.as_ref().and_then(|terms| terms.guardian);
        let Some(GuardianTerms { guardian_id, .. }) = named else {
            return Ok(0);
        };
        let known = tx.read(&tables::patient(guardian_id)).await?.is_some();
        ensure(known, Problem::NotPermitted, "the guardian is no patient here")?;
        let (patient, guardian) = (permission.patient_id, *guardian_id.as_bytes());
        received::admit(
            tx,
            Arrival {
                receiver: guardian,
                sender: *patient.as_bytes(),
                what: Asking::Guardianship,
                id: patient.as_bytes(),
                expires: permission.not_after,
            },
        )
        .await?;
        received::has_met(tx, *patient.as_bytes(), guardian).await?;
        let event = event::What::GuardianNamed(permission.to_message());
        inbox::notify(tx, guardian, event).await
    }
}
