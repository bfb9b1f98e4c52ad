//! Who may enrol as a patient: whoever has an invitation, whoever has done the work, or, for development, anybody. See
//! `spec/accounts.md` §1 and §2.

use std::sync::{Mutex, PoisonError};

use protocol_spec::{
    bodies::Invitation, defence::Defence, hash::Sha256Digest, ids::PatientId, invitation, messages as pb,
    problem::Problem, statement::Signed, work::Work,
};

use super::{
    Refusal, Vault,
    enrolment::Credential,
    refusal::ensure,
    tables::{self, Daily},
    tx::{Tx, random},
};

/// By which rule patients enrol (ACC-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolmentPolicy {
    /// By an invitation of the operator's or an institution's.
    Invitation,
    /// By work, of so many zero bits.
    Work(u32),
    /// Anybody: for development.
    Anybody,
}

/// The challenge over which work is done: a new one every few minutes, the one before it counts too.
#[derive(Default)]
pub(super) struct Challenges(Mutex<Option<Turn>>);

#[derive(Clone, Copy)]
struct Turn {
    since: u64,
    present: [u8; 32],
    before: [u8; 32],
}

impl Challenges {
    fn at(&self, now: u64) -> Result<Turn, Refusal> {
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *turn {
            Some(known) if now < known.since.saturating_add(TURN) => Ok(known),
            known => {
                let before = known.filter(|known| now < known.since.saturating_add(2 * TURN));
                let fresh = Turn {
                    since: now,
                    present: random()?,
                    before: before.map_or(random()?, |known| known.present),
                };
                *turn = Some(fresh);
                Ok(fresh)
            }
        }
    }
}

impl Vault {
    /// What a client must know to enrol here.
    pub(super) fn announce_enrolment(&self, info: &mut pb::ServerInfo) {
        let policy = match self.shared.limits.enrolment {
            EnrolmentPolicy::Invitation => pb::EnrolmentPolicy::Invitation,
            EnrolmentPolicy::Anybody => pb::EnrolmentPolicy::Anybody,
            EnrolmentPolicy::Work(bits) => {
                // Without randomness there is no challenge, and no enrolment; the rest of the answer is still true.
                if let Ok(turn) = self.shared.challenges.at(self.now_ms()) {
                    info.work_challenge = turn.present.to_vec().into();
                }
                info.work_bits = bits;
                pb::EnrolmentPolicy::Work
            }
        };
        info.set_enrolment(policy);
    }
}

impl Tx<'_> {
    /// Whether this patient may enrol, and notes what that uses up (ACC-1). Who has invited her, if an institution has.
    pub(super) async fn admit_patient(
        &mut self,
        patient: PatientId,
        credential: &Credential,
    ) -> Result<Option<[u8; 32]>, Refusal> {
        match self.shared.limits.enrolment {
            EnrolmentPolicy::Anybody => Ok(None),
            EnrolmentPolicy::Work(bits) => {
                let turn = self.shared.challenges.at(self.now)?;
                let done = bits == 0
                    || credential.work.as_ref().is_some_and(|work| {
                        [turn.present, turn.before].into_iter().any(|challenge| {
                            work.challenge == challenge[..]
                                && Work { challenge, bits }.is_done(patient, work.counter)
                        })
                    });
                ensure(
                    Defence::EnrolmentWork.holds(done),
                    Problem::WorkNeeded,
                    "no work over this challenge",
                )?;
                Ok(None)
            }
            EnrolmentPolicy::Invitation => match &credential.invitation {
                Some(invitation) => self.use_invitation(invitation).await,
                None if Defence::EnrolmentInvitation.is_off() => Ok(None),
                None => Err(Problem::InvitationNeeded.into()),
            },
        }
    }

    async fn use_invitation(&mut self, signed: &Signed<Invitation>) -> Result<Option<[u8; 32]>, Refusal> {
        let operator = self.shared.operator.clone();
        let over = |cause| Refusal::new(Problem::InvitationOver, cause);
        let by = signed.claimed().institution_id;
        let key = match by {
            None => *operator.key(),
            Some(by) => {
                let institution = self.institution(by).await;
                *institution
                    .map_err(|_| over("who invites is no institution here, or no more"))?
                    .identity_key()
            }
        };
        let verified = invitation::verify(signed.clone(), operator.id(), &key);
        let invitation = verified.map_err(|error| Refusal::new(Problem::InvitationNeeded, error))?;
        if self.has_passed(invitation.expires).await {
            return Err(over("its time is over"));
        }
        let key = tables::invitation(&invitation.hash());
        let mut row = self.read(&key).await?.unwrap_or_default();
        row.used = row.used.saturating_add(1);
        ensure(
            Defence::EnrolmentInvitation.holds(row.used <= invitation.uses),
            Problem::InvitationOver,
            "it is used up",
        )?;
        self.put(&key, &row);
        if row.used == 1 {
            self.expire(
                invitation.expires,
                tables::Expiring::Invitation(invitation.hash()),
            );
        }
        // ACC-3
        let Some(by) = by else { return Ok(None) };
        let most = self.shared.limits.invited_per_institution;
        let today = self.count_today(*by.as_bytes(), Daily::Invited).await?;
        ensure(
            today <= most,
            Problem::TooMany,
            "the institution has invited as many today as it may",
        )?;
        Ok(Some(*by.as_bytes()))
    }

    /// Counts on for today.
    async fn count_today(&mut self, principal: [u8; 32], what: Daily) -> Result<u32, Refusal> {
        let key = tables::day(principal, what);
        let mut row = self.read(&key).await?.unwrap_or_default();
        let count = row.count_on(self.now);
        self.put(&key, &row);
        Ok(count)
    }
}

impl tables::DayRow {
    /// One more at this time; how many that makes on its day.
    pub(super) fn count_on(&mut self, now: u64) -> u32 {
        let day = now / DAY;
        if self.day != day {
            *self = Self { day, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// What is kept of an invitation whose time is over.
pub(super) fn forgotten(body: &Sha256Digest) -> crate::store::Key {
    tables::invitation(body).key().clone()
}

/// In milliseconds.
const DAY: u64 = 24 * 3600 * 1000;
/// How long a challenge is the newest, in milliseconds.
const TURN: u64 = 10 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// ACC-4: a challenge counts for one or two turns, and never again.
    #[test]
    fn challenges_turn() {
        let challenges = Challenges::default();
        let first = challenges.at(1000).unwrap();
        assert_eq!(challenges.at(999 + TURN).unwrap().present, first.present);
        let second = challenges.at(1000 + TURN).unwrap();
        assert_eq!(second.before, first.present);
        assert_ne!(second.present, first.present);
        let third = challenges.at(1000 + 2 * TURN).unwrap();
        assert_eq!(third.before, second.present);
        let late = challenges.at(1000 + 9 * TURN).unwrap();
        assert!(![first.present, second.present, third.present].contains(&late.before));
    }

    #[test]
    fn days_are_counted_apart() {
        let mut row = tables::DayRow::default();
        assert_eq!([1, 2, DAY - 1].map(|now| row.count_on(now)), [1, 2, 3]);
        assert_eq!(row.count_on(DAY), 1);
    }
}
