//! What this client has used of a permission: it keeps to what the patient signed, whatever the
//! server allows. See `protocol-spec/spec/conditions.md` §7.

use std::sync::{Mutex, PoisonError};

use protocol_spec::{
    attributes::Attributes,
    conditions::Conditions,
    defence::Defence,
    ids::ReleaseId,
    permission::{PermissionBody, VerifiedPermission},
    problem::Problem,
    purpose::Purpose,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Progress, Result, clock::Moment, error::Addressee, home::Home, transfer::Budget};

/// A permission as this client holds to it (CND-12).
pub(super) struct Holding<'a> {
    home: &'a Home,
    permission: String,
    used: Used,
    /// The last release was opened by this run.
    is_new: bool,
    limits: SignedLimits,
}

/// How far the permission goes, as the patient signed it.
struct SignedLimits {
    not_before: u64,
    not_after: u64,
    uses: u32,
    bytes: u64,
    purpose: Option<Purpose>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    /// Releases before the last one that have brought something (FLW-16).
    uses: u32,
    /// The last release: what goes on in it is no other use.
    last: String,
    /// Stream bytes that had been taken before it.
    before: u64,
    /// Stream bytes that have been taken, in each release each once.
    bytes: u64,
    /// Of those that were there when the last release went on, what earlier ones have brought.
    #[serde(default)]
    had: u64,
}

impl Used {
    fn spent(&self) -> u32 {
        self.uses.saturating_add(u32::from(self.bytes > self.before))
    }
}

impl<'a> Holding<'a> {
    /// What has been used so far. Whoever holds it holds the permission's journal.
    pub(super) fn open(home: &'a Home, permission: &VerifiedPermission) -> Result<Self> {
        let id = permission.permission_id.to_string();
        let damaged = |_| home.damaged(USED);
        let kept = home.kept(USED, &id)?;
        let used = kept.map(|kept| serde_json::from_slice(&kept)).transpose();
        let PermissionBody {
            not_before,
            not_after,
            uses,
            bytes,
            purpose,
            ..
        } = **permission;
        Ok(Self {
            home,
            used: used.map_err(damaged)?.unwrap_or_default(),
            is_new: false,
            permission: id,
            limits: SignedLimits {
                not_before,
                not_after,
                uses,
                bytes,
                purpose,
            },
        })
    }

    /// Refuses to present it when it is not the time, for another purpose (CND-2), or once too often, unless
    /// the last release goes on.
    pub(super) fn check(
        &self,
        now: Moment,
        purpose: Option<Purpose>,
        goes_on: Option<ReleaseId>,
    ) -> Result<()> {
        let limits = &self.limits;
        let over = now.may_be_over(limits.not_after);
        held(!over, Problem::PermissionExpired, UNSENT)?;
        let begun = now.has_begun(limits.not_before);
        held(begun, Problem::PermissionNotYetValid, UNSENT)?;
        if let Some(only) = limits.purpose {
            let detail = format!("it is for {only}, {}", only.title());
            held(purpose == Some(only), Problem::PurposeMismatch, &detail)?;
        }
        let last = goes_on.is_some_and(|release| self.used.last == release.to_string());
        let unspent = last || self.used.spent() < limits.uses;
        held(unspent, Problem::PermissionSpent, UNSENT)
    }

    /// This release was opened, or goes on if it is the session that was named. It is kept with what it brings first ([`Noting`],
    /// [`Self::keep`]): until then it has used nothing. One that goes on and is not known here was opened by a run that was ended before
    /// that; what lies in the folder is counted as its own.
    /// Errors: `permission-spent` where it is one more than there are uses.
    pub(super) fn presented(&mut self, release: &ReleaseId, named: Option<ReleaseId>) -> Result<()> {
        let goes_on = named == Some(*release);
        let release = release.to_string();
        if self.used.last == release {
            return Ok(());
        }
        let uses = self.used.spent();
        held(uses < self.limits.uses, Problem::PermissionSpent, UNSENT)?;
        self.used = Used {
            uses,
            last: release,
            before: self.used.bytes,
            bytes: self.used.bytes,
            had: 0,
        };
        self.is_new = !goes_on;
        Ok(())
    }

    /// What may be taken in the last release, with what it has brought already.
    pub(super) fn budget(&self) -> Budget {
        if Defence::Holder.is_off() {
            return Budget::default();
        }
        let left = self.limits.bytes.saturating_sub(self.used.before);
        Budget::of(left.saturating_add(self.used.had), self.is_new)
    }

    /// So much of that is left.
    pub(super) fn keep(&mut self, budget: &Budget) -> Result<()> {
        if let Some(left) = budget.left() {
            let bytes = self.limits.bytes.saturating_sub(left);
            self.used.bytes = self.used.bytes.max(bytes);
            self.used.had = self.used.had.max(budget.had());
        }
        self.save()
    }

    fn save(&self) -> Result<()> {
        save(self.home, &self.permission, &self.used)
    }
}

/// Notes with the first leaf that its release has brought something, also if this process is killed then.
pub(super) struct Noting<'a> {
    progress: &'a dyn Progress,
    budget: Budget,
    /// What was left before the first leaf.
    left: Option<u64>,
    first: Mutex<Option<(&'a Home, String, Used)>>,
}

impl<'a> Noting<'a> {
    pub(super) fn new(progress: &'a dyn Progress, holding: &Holding<'a>, budget: &Budget) -> Self {
        let mut used = holding.used.clone();
        let new = used.bytes <= used.before;
        used.bytes = used.bytes.max(used.before.saturating_add(1));
        let first = new.then(|| (holding.home, holding.permission.clone(), used));
        Self {
            progress,
            budget: budget.clone(),
            left: budget.left(),
            first: Mutex::new(first),
        }
    }
}

impl Progress for Noting<'_> {
    fn started(&self, total: u64) {
        self.progress.started(total);
    }

    fn advanced(&self, bytes: u64) {
        let none_yet = self.budget.left() == self.left;
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let first = first.take_if(|_| !none_yet);
        if let Some((home, permission, mut used)) = first {
            used.had = used.had.max(self.budget.had());
            // Noted again, with its error, when the transfer ends.
            drop(save(home, &permission, &used));
        }
        self.progress.advanced(bytes);
    }

    fn finished(&self) {
        self.progress.finished();
    }
}

fn save(home: &Home, permission: &str, used: &Used) -> Result<()> {
    let used = serde_json::to_vec(used).map_err(|_| home.damaged(USED))?;
    home.keep_last(USED, permission, &used)
}

/// Refuses a record that does not fit the conditions, whoever released it (CND-11).
pub(super) fn check_record(conditions: &Conditions, record: &Attributes) -> Result<()> {
    match conditions.check(record) {
        Err(misfit) if !Defence::Holder.is_off() => Err(Error::tampered("a record")(format!(
            "the permission is not for it: {misfit}"
        ))),
        _ => Ok(()),
    }
}

/// A rule that this client keeps itself.
fn held(holds: bool, problem: Problem, detail: &str) -> Result<()> {
    if Defence::Holder.holds(holds) {
        return Ok(());
    }
    Err(Error::Refused {
        problem,
        detail: Some(detail.to_owned()),
        reader: Addressee::Institution,
    })
}

const USED: &str = "used";
const UNSENT: &str = "nothing was sent";

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: ReleaseId = ReleaseId::from_bytes([7; 16]);

    fn holding(home: &Home) -> Holding<'_> {
        Holding {
            home,
            permission: "perm".to_owned(),
            used: Used::default(),
            is_new: false,
            limits: SignedLimits {
                not_before: 0,
                not_after: u64::MAX,
                uses: 1,
                bytes: 100,
                purpose: None,
            },
        }
    }

    /// CND-12, FLW-16: a run that was ended before it could note its release has brought what lies in the folder all the same; what an
    /// earlier release has brought costs a new one nothing.
    #[test]
    fn what_a_run_that_was_ended_has_brought_counts() {
        for (named, spent, left) in [(Some(RELEASE), 1, 60), (None, 0, 100)] {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::at(dir.path());
            let mut holding = holding(&home);
            holding.presented(&RELEASE, named).unwrap();
            let budget = holding.budget();
            budget.take_up(40);
            holding.keep(&budget).unwrap();
            assert_eq!(
                (holding.used.spent(), budget.left()),
                (spent, Some(left)),
                "{named:?}"
            );
        }
    }
}
