//! Opening in an emergency: two signatures, then the log, the history and the announcements in one commit, and only
//! when that is durable the server's half. See `spec/emergency.md` §4.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    emergency::{OPENING_WINDOW, Opening},
    ids::{InstitutionId, PermissionId},
    lifecycle::Rules,
    messages as pb,
    permission::SignedPermission,
    problem::Problem,
};

use crate::vault::{
    ask::challenge::{self, fresh_challenge},
    core::{
        back, idempotency,
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::AnyTerminal,
        run,
        shared::Shared,
        tx::{Operation, Tx},
        units::millis,
    },
    emergency::{self, help},
    tables::{self, EmergencyEntryRow, Mark, OpeningRow, RateRow},
    telling::tell::{self, Tells},
    transfer::sessions,
    who::{
        caller::{Caller, Intent},
        standing,
    },
};

use pb::{event, history_entry};

/// An institution opens with the first half: it gets the permission key, a challenge and the second half (EMG-7).
/// What it gets is answered only when the opening stands in the log (EMG-8).
pub(crate) async fn open_emergency(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
    message: pb::EmergencyUse,
) -> Result<pb::EmergencyOpened, Refusal> {
    let who = Proven::<AnyTerminal>::new(shared, caller)?;
    let institution = who.principal();
    institution.check_emergency()?;
    let opening = who.statement(&message)?;
    let fresh = opening.created.abs_diff(shared.time.now()) <= OPENING_WINDOW;
    ensure(
        fresh,
        Problem::SignatureExpired,
        "the opening was made at another time",
    )?;
    let entry = tables::institution(institution.id());
    let open = Open {
        caller,
        intent,
        entry: entry.get(&*shared.ledger).await?,
        opening: &opening,
        challenge: fresh_challenge(shared)?,
    };
    let mut opened = run::run(shared, &open).await?;
    let hash = opening.statement().hash();
    let proof = shared.log.prove(*opening.patient_id.as_bytes(), &hash).await?;
    opened.proof = Some(proof);
    if let Some(delivery) = &mut opened.delivery {
        delivery.open = sessions_of_opening(shared, institution.id(), &opening, delivery).await?;
    }
    Ok(opened)
}

/// Which sessions of it are open, a repetition must not say as it was (FLW-17).
async fn sessions_of_opening(
    shared: &Shared,
    institution: InstitutionId,
    opening: &Opening,
    delivery: &pb::Delivery,
) -> Result<Vec<pb::OpenSession>, Refusal> {
    let permission = SignedPermission::try_from(delivery.permission.clone()).map_err(Refusal::damaged)?;
    let id = permission.claimed().permission_id;
    sessions::open_sessions(shared, institution, opening.patient_id, id).await
}

struct Open<'a> {
    caller: &'a Caller,
    intent: &'a Intent,
    /// The institution's, as it is now: kept with the opening.
    entry: Option<pb::DirectoryEntry>,
    opening: &'a Admitted<Opening>,
    challenge: tables::Challenge,
}

impl Operation for Open<'_> {
    type Answer = pb::EmergencyOpened;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self {
            caller,
            intent,
            opening,
            ..
        } = self;
        standing::check_caller(tx, caller).await?;
        tx.protects = true;
        let patient = opening.patient_id;
        let mut row = tx.read(&tables::emergency(patient)).await?.unwrap_or_default();
        let entry = row.with_card(&opening.card_key)?.clone();
        let id: PermissionId = entry.permission.as_ref().try_into().map_err(Refusal::damaged)?;
        let permission = tx.read_existing(&tables::permission(patient, id)).await?;
        let body = permission.body()?;
        let meter = tx.read_existing(&tables::meter(patient, id)).await?;
        let over = tx.has_passed(body.not_after).await;
        meter.meter().check_live(over, &Rules::in_force())?;
        back::check_back(tx.shared, patient).await?;
        check_wait(tx, &entry, opening.institution_id).await?;
        let share = entry.share;
        if let Some(answer) = idempotency::answered::<pb::EmergencyOpened>(tx, caller, intent).await? {
            return Ok(pb::EmergencyOpened { share, ..answer });
        }
        check_fresh(tx, opening).await?;
        count_emergencies(tx, opening).await?;
        let used = pb::EmergencyUse {
            entry: self.entry.clone(),
            ..opening.to_message()
        };
        let told = history_entry::What::EmergencyOpened(used.clone());
        tell::tell(tx, Tells::logged(patient, opening).history(told)).await?;
        emergency::announce(tx, patient, &row, event::What::EmergencyOpened(used)).await?;
        let ends = tx.now.saturating_add(millis(tx.shared.limits.release_ttl));
        tx.put(
            &tables::opening(patient, id, opening.institution_id),
            &OpeningRow { ends },
        );
        challenge::open_challenge(tx, patient, id, self.challenge.clone()).await?;
        let answer = self.answer(permission.permission);
        idempotency::remember(tx, caller, intent, &answer);
        Ok(pb::EmergencyOpened { share, ..answer })
    }
}

impl Open<'_> {
    /// What is kept for a repetition: without the guardian's half, which is forgotten with the permission.
    fn answer(&self, permission: Option<pb::Permission>) -> pb::EmergencyOpened {
        pb::EmergencyOpened {
            delivery: Some(pb::Delivery {
                permission,
                request: None,
                challenge: self.challenge.bytes.clone(),
                challenge_expires: self.challenge.expires,
                open: Vec::new(),
            }),
            share: Bytes::new(),
            proof: None,
        }
    }
}

/// A guardian's permission opens for the institution that she names, when the patient could object and did not
/// (EMG-12, EMG-13).
async fn check_wait(
    tx: &Tx<'_>,
    entry: &EmergencyEntryRow,
    institution: InstitutionId,
) -> Result<(), Refusal> {
    if entry.guardian.is_empty() {
        return Ok(());
    }
    let help = entry.help.as_ref().filter(|_| entry.helps(institution));
    let help = help.ok_or_else(|| Refusal::absent("no guardian names this institution"))?;
    let objected = Defence::EmergencyObjection.holds(!entry.objected);
    ensure(objected, Problem::EmergencyObjected, "the patient has objected")?;
    // By the time that the history will say, too.
    let waited = tx.now >= help.opens && tx.has_passed(help.opens).await;
    ensure(
        Defence::EmergencyWait.holds(waited),
        Problem::EmergencyWaiting,
        "the waiting time is not over",
    )?;
    let ended = tx.has_passed(help::help_ends(tx, help)).await;
    ensure(!ended, Problem::EmergencyOver, "the help is too long ago")
}

/// Takes an opening once.
async fn check_fresh(tx: &mut Tx<'_>, opening: &Opening) -> Result<(), Refusal> {
    let key = tables::opening_id(opening.patient_id, opening.opening_id);
    if Defence::EmergencyReplay.is_off() {
        return Ok(());
    }
    tx.claim(&key, &Mark {}).await
}

/// Counts an opening of this patient and of this institution (EMG-9).
async fn count_emergencies(tx: &mut Tx<'_>, opening: &Opening) -> Result<(), Refusal> {
    let limits = &tx.shared.limits;
    let (per_patient, per_institution) = (limits.emergencies_per_patient, limits.emergencies_per_institution);
    count_emergency(tx, *opening.patient_id.as_bytes(), per_patient).await?;
    count_emergency(tx, *opening.institution_id.as_bytes(), per_institution).await
}

/// Counts an opening of this principal, of which so many are taken in a day (EMG-9).
async fn count_emergency(tx: &mut Tx<'_>, principal: [u8; 32], most: usize) -> Result<(), Refusal> {
    let key = tables::emergency_rate(principal);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    let since = tx.now.saturating_sub(DAY);
    row.at.retain(|at| *at > since);
    ensure(
        Defence::EmergencyRate.holds(row.at.len() < most),
        Problem::EmergencyLimit,
        "too many emergencies in a day",
    )?;
    row.at.push(tx.now);
    tx.put(&key, &RateRow { at: row.at });
    Ok(())
}

/// In which openings are counted, in milliseconds.
const DAY: u64 = 24 * 3_600_000;
