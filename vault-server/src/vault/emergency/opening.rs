//! Opening in an emergency: two signatures, then the log, the history and the announcements in one commit, and only
//! when that is durable the server's half. See `spec/emergency.md` §4.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    directory::Institution,
    emergency::{OPENING_WINDOW, Opening},
    ids::{InstitutionId, PatientId, PermissionId},
    lifecycle::Rules,
    messages as pb,
    permission::SignedPermission,
    problem::Problem,
};

use crate::vault::{
    Caller, Intent, Refusal, Shared, Vault,
    challenge::fresh_challenge,
    proven::{Admitted, AnyTerminal, Proven},
    refusal::ensure,
    tables::{self, EmergencyEntryRow, Mark, OpeningRow, RateRow},
    tell::Tells,
    tx::{Operation, Tx},
    units::millis,
};

use pb::{event, history_entry};

impl Vault {
    /// An institution opens with the first half: it gets the permission key, a challenge and the second half (EMG-7).
    /// What it gets is answered only when the opening stands in the log (EMG-8).
    ///
    /// # Errors
    /// `not-for-emergencies`; `not-permitted`, alike for an unknown patient, no such card and a bad signature;
    /// `signature-expired`; `permission-expired`, `permission-spent`, `bytes-spent`; `emergency-objected`,
    /// `emergency-waiting`, `emergency-over`; `emergency-limit`, `already-exists`.
    pub async fn open_emergency(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::EmergencyUse,
    ) -> Result<pb::EmergencyOpened, Refusal> {
        let who = Proven::<AnyTerminal>::new(&self.shared, caller)?;
        let institution = who.principal();
        institution.check_emergency()?;
        let opening = who.statement(&message)?;
        let fresh = opening.created.abs_diff(self.now_ms()) <= OPENING_WINDOW;
        ensure(
            fresh,
            Problem::SignatureExpired,
            "the opening was made at another time",
        )?;
        let entry = tables::institution(institution.id());
        let open = Open {
            caller,
            intent,
            entry: entry.get(&*self.shared.ledger).await?,
            opening: &opening,
            challenge: fresh_challenge(&self.shared)?,
        };
        let mut opened = self.shared.run(&open).await?;
        let hash = opening.statement().hash();
        let proof = self
            .shared
            .log
            .prove(*opening.patient_id.as_bytes(), &hash)
            .await?;
        opened.proof = Some(proof);
        if let Some(delivery) = &mut opened.delivery {
            delivery.open = self.open_sessions(institution.id(), &opening, delivery).await?;
        }
        Ok(opened)
    }

    /// Which sessions of it are open, a repetition must not say as it was (FLW-17).
    async fn open_sessions(
        &self,
        institution: InstitutionId,
        opening: &Opening,
        delivery: &pb::Delivery,
    ) -> Result<Vec<pb::OpenSession>, Refusal> {
        let permission = SignedPermission::try_from(delivery.permission.clone()).map_err(Refusal::damaged)?;
        let id = permission.claimed().permission_id;
        self.shared
            .open_sessions(institution, opening.patient_id, id)
            .await
    }
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

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::EmergencyOpened, Refusal> {
        let Self {
            caller,
            intent,
            opening,
            ..
        } = self;
        tx.check_caller(caller).await?;
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
        tx.shared.check_back(patient).await?;
        tx.check_wait(&entry, opening.institution_id).await?;
        let share = entry.share;
        if let Some(answer) = tx.answered::<pb::EmergencyOpened>(caller, intent).await? {
            return Ok(pb::EmergencyOpened { share, ..answer });
        }
        tx.check_fresh(opening).await?;
        let limits = &tx.shared.limits;
        let (per_patient, per_institution) =
            (limits.emergencies_per_patient, limits.emergencies_per_institution);
        tx.count_emergency(*patient.as_bytes(), per_patient).await?;
        tx.count_emergency(*opening.institution_id.as_bytes(), per_institution)
            .await?;
        let used = pb::EmergencyUse {
            entry: self.entry.clone(),
            ..opening.to_message()
        };
        let told = history_entry::What::EmergencyOpened(used.clone());
        tx.tell(Tells::logged(patient, opening).history(told)).await?;
        tx.announce(patient, &row, event::What::EmergencyOpened(used))
            .await?;
        let ends = tx.now.saturating_add(millis(tx.shared.limits.release_ttl));
        tx.put(
            &tables::opening(patient, id, opening.institution_id),
            &OpeningRow { ends },
        );
        tx.open_challenge(patient, id, self.challenge.clone()).await?;
        let answer = pb::EmergencyOpened {
            delivery: Some(pb::Delivery {
                permission: permission.permission,
                request: None,
                challenge: self.challenge.bytes.clone(),
                challenge_expires: self.challenge.expires,
                open: Vec::new(),
            }),
            share: Bytes::new(),
            proof: None,
        };
        // The half stays where it is forgotten with the permission.
        tx.remember(caller, intent, &answer);
        Ok(pb::EmergencyOpened { share, ..answer })
    }
}

impl Tx<'_> {
    /// A guardian's permission opens for the institution that she names, when the patient could object and did not
    /// (EMG-12, EMG-13).
    async fn check_wait(&self, entry: &EmergencyEntryRow, institution: InstitutionId) -> Result<(), Refusal> {
        if entry.guardian.is_empty() {
            return Ok(());
        }
        let help = entry.help.as_ref().filter(|_| entry.helps(institution));
        let help = help.ok_or_else(|| Refusal::absent("no guardian names this institution"))?;
        let objected = Defence::EmergencyObjection.holds(!entry.objected);
        ensure(objected, Problem::EmergencyObjected, "the patient has objected")?;
        // By the time that the history will say, too.
        let waited = self.now >= help.opens && self.has_passed(help.opens).await;
        ensure(
            Defence::EmergencyWait.holds(waited),
            Problem::EmergencyWaiting,
            "the waiting time is not over",
        )?;
        let ended = self.has_passed(self.help_ends(help)).await;
        ensure(!ended, Problem::EmergencyOver, "the help is too long ago")
    }

    /// Takes an opening once.
    async fn check_fresh(&mut self, opening: &Opening) -> Result<(), Refusal> {
        let key = tables::opening_id(opening.patient_id, opening.opening_id);
        if Defence::EmergencyReplay.is_off() {
            return Ok(());
        }
        self.claim(&key, &Mark {}).await
    }

    /// Counts an opening of this principal, of which so many are taken in a day (EMG-9).
    async fn count_emergency(&mut self, principal: [u8; 32], most: usize) -> Result<(), Refusal> {
        let key = tables::emergency_rate(principal);
        let mut row = self.read(&key).await?.unwrap_or_default();
        let since = self.now.saturating_sub(DAY);
        row.at.retain(|at| *at > since);
        ensure(
            Defence::EmergencyRate.holds(row.at.len() < most),
            Problem::EmergencyLimit,
            "too many emergencies in a day",
        )?;
        row.at.push(self.now);
        self.put(&key, &RateRow { at: row.at });
        Ok(())
    }
}

impl Shared {
    /// Whether this institution has opened this emergency permission, not long ago, and may still (EMG-6).
    pub(in crate::vault) async fn has_opened(
        &self,
        patient: PatientId,
        permission: PermissionId,
        institution: &Institution,
    ) -> Result<bool, Refusal> {
        let row = tables::opening(patient, permission, institution.id());
        let Some(row) = row.get(&*self.ledger).await? else {
            return Ok(false);
        };
        Ok(!self.time.has_passed(row.ends).await && institution.check_emergency().is_ok())
    }
}

/// In which openings are counted, in milliseconds.
const DAY: u64 = 24 * 3_600_000;
