//! Who may enrol as a patient: whoever has an invitation, whoever has done the work, or, for development, anybody. See
//! `spec/accounts.md` §1 and §2.

use protocol_spec::{
    bodies::Invitation, defence::Defence, hash::Sha256Digest, ids::PatientId, invitation, messages as pb,
    problem::Problem, statement::Signed, work::Work,
};

use crate::vault::{
    core::{
        limits::EnrolmentPolicy,
        refusal::{Refusal, ensure},
        shared::Shared,
        tx::Tx,
    },
    tables::{self, Daily},
    who::{enrolment::Credential, entries},
};

/// What a client must know to enrol here.
pub(crate) fn announce_enrolment(shared: &Shared, info: &mut pb::ServerInfo) {
    let policy = match shared.limits.enrolment {
        EnrolmentPolicy::Invitation => pb::EnrolmentPolicy::Invitation,
        EnrolmentPolicy::Anybody => pb::EnrolmentPolicy::Anybody,
        EnrolmentPolicy::Work(bits) => {
            // Without randomness there is no challenge, and no enrolment; the rest of the answer is still true.
            if let Ok(turn) = shared.challenges.at(shared.time.now()) {
                info.work_challenge = turn.present.to_vec().into();
            }
            info.work_bits = bits;
            pb::EnrolmentPolicy::Work
        }
    };
    info.set_enrolment(policy);
}

/// Whether this patient may enrol, and notes what that uses up (ACC-1). Who has invited her, if an institution has.
pub(in crate::vault) async fn admit_patient(
    tx: &mut Tx<'_>,
    patient: PatientId,
    credential: &Credential,
) -> Result<Option<[u8; 32]>, Refusal> {
    match tx.shared.limits.enrolment {
        EnrolmentPolicy::Anybody => Ok(None),
        EnrolmentPolicy::Work(bits) => {
            let turn = tx.shared.challenges.at(tx.now)?;
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
            Some(invitation) => use_invitation(tx, invitation).await,
            None if Defence::EnrolmentInvitation.is_off() => Ok(None),
            None => Err(Problem::InvitationNeeded.into()),
        },
    }
}

async fn use_invitation(tx: &mut Tx<'_>, signed: &Signed<Invitation>) -> Result<Option<[u8; 32]>, Refusal> {
    let operator = tx.shared.operator.clone();
    let over = |cause| Refusal::new(Problem::InvitationOver, cause);
    let by = signed.claimed().institution_id;
    let key = match by {
        None => *operator.key(),
        Some(by) => {
            let institution = entries::institution(tx, by).await;
            *institution
                .map_err(|_| over("who invites is no institution here, or no more"))?
                .identity_key()
        }
    };
    let verified = invitation::verify(signed.clone(), operator.id(), &key);
    let invitation = verified.map_err(|error| Refusal::new(Problem::InvitationNeeded, error))?;
    if tx.has_passed(invitation.expires).await {
        return Err(over("its time is over"));
    }
    let key = tables::invitation(&invitation.hash());
    let mut row = tx.read(&key).await?.unwrap_or_default();
    row.used = row.used.saturating_add(1);
    ensure(
        Defence::EnrolmentInvitation.holds(row.used <= invitation.uses),
        Problem::InvitationOver,
        "it is used up",
    )?;
    tx.put(&key, &row);
    if row.used == 1 {
        tx.expire(
            invitation.expires,
            tables::Expiring::Invitation(invitation.hash()),
        );
    }
    // ACC-3
    let Some(by) = by else { return Ok(None) };
    let most = tx.shared.limits.invited_per_institution;
    let today = count_today(tx, *by.as_bytes(), Daily::Invited).await?;
    ensure(
        today <= most,
        Problem::TooMany,
        "the institution has invited as many today as it may",
    )?;
    Ok(Some(*by.as_bytes()))
}

/// Counts on for today.
async fn count_today(tx: &mut Tx<'_>, principal: [u8; 32], what: Daily) -> Result<u32, Refusal> {
    let key = tables::day(principal, what);
    let mut row = tx.read(&key).await?.unwrap_or_default();
    let count = row.count_on(tx.now);
    tx.put(&key, &row);
    Ok(count)
}

impl tables::DayRow {
    /// One more at this time; how many that makes on its day.
    pub(in crate::vault) fn count_on(&mut self, now: u64) -> u32 {
        let day = now / DAY;
        if self.day != day {
            *self = Self { day, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// What is kept of an invitation whose time is over.
pub(in crate::vault) fn forgotten(body: &Sha256Digest) -> crate::store::Key {
    tables::invitation(body).key().clone()
}

/// In milliseconds.
const DAY: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_apart() {
        let mut row = tables::DayRow::default();
        assert_eq!([1, 2, DAY - 1].map(|now| row.count_on(now)), [1, 2, 3]);
        assert_eq!(row.count_on(DAY), 1);
    }
}
