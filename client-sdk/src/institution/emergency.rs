//! Opening in an emergency: with a patient's card, or with the half that her guardian has sealed to
//! this institution. See `protocol-spec/spec/emergency.md` §4.

use std::path::Path;

use crypto::{CardHalf, HalfContext, HalfReader, RecipientSecret, ServerHalf};
use protocol_spec::{
    api,
    bodies::{EmergencyHelp, EmergencyOpening},
    emergency::card_preimage,
    ids::{PatientId, RecordId, RequestId},
    patient::PatientSigned,
    permission::{SignedPermission, VerifiedPermission},
    purpose::Purpose,
    submitted::OpenEmergency,
};

use super::{
    delivery::{self, Delivered},
    download,
    finished::Fetched,
    holding::Holding,
    keeping_up,
    office::Office,
    release::Fetch,
};
use crate::{
    Error, Progress, Result,
    keystore::{KeyStoreError, open_by_any},
    transfer::{FetchJournal, FolderSink, interrupted},
    trust::Began,
};

/// Where the first half of the key comes from.
#[derive(Clone, Copy, Debug)]
pub enum EmergencyKey<'a> {
    /// The patient's card: its code, or what its QR code says.
    Card(&'a str),
    /// A guardian, who has named this institution.
    Guardian,
}

pub(super) async fn open_emergency(
    office: &Office,
    patient: PatientId,
    key: EmergencyKey<'_>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let half = match key {
        EmergencyKey::Card(code) => CardHalf::from_code(code, &patient)
            .map_err(|_| Error::Usage("this is not the code of this patient's card: type it anew".into()))?,
        EmergencyKey::Guardian => guardians_half(office, patient).await?,
    };
    let (delivered, recipient) = sign_opening(office, patient, &half).await?;
    let permission = delivered.permission.permission_id;
    let out = out.to_owned();
    let to_folder = |records: Vec<(RecordId, u64)>| {
        let bytes = records.iter().map(|(_, bytes)| *bytes).sum();
        let ids: Vec<_> = records.into_iter().map(|(id, _)| id).collect();
        FolderSink::with_room(&out, &permission.to_string(), &ids, bytes)
    };
    let mut journal = FetchJournal::open(&office.session.home, &permission)?;
    let fetch = Fetch {
        journal: &mut journal,
        holding: Holding::open(&office.session.home, &delivered.permission)?,
        purpose: Some(Purpose::ETREAT),
        // Nobody in the institution waits for another terminal's.
        take_over: true,
        out: None,
        emergency: Some(recipient),
        began: Began::default(),
    };
    let fetched = download::run_fetch(office, delivered, to_folder, fetch, progress)
        .await
        .map_err(interrupted);
    if fetched.as_ref().map_or_else(Error::is_final, |_| true) {
        journal.remove();
    }
    fetched
}

/// Signs the opening by this institution and by the card's key, and takes the second half for what both halves
/// prove it to be (EMG-7, EMG-9).
async fn sign_opening(
    office: &Office,
    patient: PatientId,
    half: &CardHalf,
) -> Result<(Delivered, RecipientSecret)> {
    let card = half.key(&patient)?;
    let opening = office.keys.statement(EmergencyOpening {
        created: office.session.clock.own_ms(),
        operator_id: office.session.server.operator_id(),
        opening_id: office.session.system().id(RequestId::mint)?,
        patient_id: patient,
        institution_id: office.id(),
        card_key: card.public(),
    })?;
    let hash = opening.hash();
    let message = OpenEmergency {
        card_signature: card.sign_bytes(&card_preimage(&opening.to_message().body)),
        opening,
    };
    let opened = office.post(api::OPEN_EMERGENCY.here(), &message).await?;
    office.session.log.included(opened.proof, &hash, WHAT).await?;
    let delivery = opened.delivery.ok_or_else(|| tampered("it is empty"))?;
    let permission = SignedPermission::try_from(delivery.permission)
        .and_then(SignedPermission::verify)
        .map_err(tampered)?;
    let share: &[u8; 32] = opened.share.as_ref().try_into().map_err(tampered)?;
    let recipient = check_opened(office, &permission, patient, half, &ServerHalf::from_bytes(share))?;
    if let Some(head) = &permission.vault_head {
        office.session.met.head(patient, head)?;
    }
    office.session.met.permission(
        permission.permission_id,
        permission.patient_id,
        &permission.request_hash,
    )?;
    let (challenge, open) = (delivery.challenge, delivery.open);
    let delivered = delivery::in_emergency(&office.session, permission, challenge, open, office.id())?;
    Ok((delivered, recipient))
}

fn check_opened(
    office: &Office,
    permission: &VerifiedPermission,
    patient: PatientId,
    half: &CardHalf,
    share: &ServerHalf,
) -> Result<RecipientSecret> {
    let recipient = half.recipient(share, &patient)?;
    let terms = permission
        .emergency
        .ok_or_else(|| tampered("it is for no emergency"))?;
    let same = permission.patient_id == patient
        && permission.operator_id == office.session.server.operator_id()
        && terms.card_key == half.key(&patient)?.public()
        && terms.share_hash == share.hash()
        && permission.recipient_key_hash == recipient.public().digest();
    if same {
        Ok(recipient)
    } else {
        Err(tampered("it is not what the two halves open"))
    }
}

/// The half that a guardian has sealed to this institution, of the newest help that opens.
async fn guardians_half(office: &Office, patient: PatientId) -> Result<CardHalf> {
    keeping_up::keep_up(office).await?;
    let path = api::EMERGENCY_INFO.at([&patient]);
    let info = office.get(path).await?;
    let newest = info.helps.into_iter().min_by_key(|help| help.opens);
    let newest = newest.ok_or_else(|| Error::Unknown {
        what: "guardian's help for this institution, with patient",
        id: patient.to_string(),
    })?;
    let help = PatientSigned::<EmergencyHelp>::try_from(newest.help)
        .and_then(PatientSigned::verify)
        .map_err(tampered)?;
    if help.patient_id != patient || help.institution_id != office.id() {
        return Err(tampered("it is for somebody else"));
    }
    let context = HalfContext {
        patient,
        card_key: help.card_key,
        reader: HalfReader::Institution(office.id(), help.help_id),
    };
    open_by_any(&*office.keys.store, |key| {
        CardHalf::open(key, &help.half, &context)
    })
    .map_err(KeyStoreError::opening(WHAT))
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered(WHAT)(cause)
}

const WHAT: &str = "the emergency permission";
