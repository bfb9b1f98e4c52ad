//! What this client has used of a permission: it keeps to what the patient signed, whatever the server allows. See
//! `protocol-spec/spec/conditions.md` §7.

use protocol_spec::{
    attributes::Attributes,
    conditions::Conditions,
    defence::Defence,
    permission::{PermissionBody, VerifiedPermission},
    problem::Problem,
    purpose::Purpose,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, clock::Moment, error::Reader, home::Home, transfer::Budget};

/// A permission as this client holds to it (CND-12).
pub(super) struct Holding<'a> {
    home: &'a Home,
    permission: String,
    used: Used,
    limits: Limits,
}

/// What the patient signed.
struct Limits {
    not_before: u64,
    not_after: u64,
    uses: u32,
    bytes: u64,
    purpose: Option<Purpose>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    /// Presentations that were answered.
    uses: u32,
    /// Idempotency key of the last of them: repeated, it is none.
    last: String,
    /// Stream bytes that were asked for.
    bytes: u64,
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
            permission: id,
            limits: Limits {
                not_before,
                not_after,
                uses,
                bytes,
                purpose,
            },
        })
    }

    /// Refuses to present it when it is not the time, for another purpose (CND-2), or once too often.
    pub(super) fn check(&self, now: Moment, purpose: Option<Purpose>, idempotency_key: &str) -> Result<()> {
        let limits = &self.limits;
        let another = self.used.last != idempotency_key;
        let over = now.may_be_over(limits.not_after);
        held(!over, Problem::PermissionExpired, UNSENT)?;
        let begun = now.has_begun(limits.not_before);
        held(begun, Problem::PermissionNotYetValid, UNSENT)?;
        if let Some(only) = limits.purpose {
            let detail = format!("it is for {only}, {}", only.title());
            held(purpose == Some(only), Problem::PurposeMismatch, &detail)?;
        }
        let unspent = !another || self.used.uses < limits.uses;
        held(unspent, Problem::PermissionSpent, UNSENT)
    }

    /// The presentation under this key was answered.
    pub(super) fn presented(&mut self, idempotency_key: &str) -> Result<()> {
        if self.used.last == idempotency_key {
            return Ok(());
        }
        self.used.uses = self.used.uses.saturating_add(1);
        idempotency_key.clone_into(&mut self.used.last);
        self.save()
    }

    /// What may still be asked for.
    pub(super) fn budget(&self) -> Budget {
        if Defence::Holder.is_off() {
            return Budget::default();
        }
        Budget::of(self.limits.bytes.saturating_sub(self.used.bytes))
    }

    /// So much of the budget is left.
    pub(super) fn keep(&mut self, budget: &Budget) -> Result<()> {
        if let Some(left) = budget.left() {
            self.used.bytes = self.limits.bytes.saturating_sub(left);
        }
        self.save()
    }

    fn save(&self) -> Result<()> {
        let used = serde_json::to_vec(&self.used).map_err(|_| self.home.damaged(USED))?;
        self.home.keep_last(USED, &self.permission, &used)
    }
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
        reader: Reader::Institution,
    })
}

const USED: &str = "used";
const UNSENT: &str = "nothing was sent";
