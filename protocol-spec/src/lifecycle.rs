//! What may be done under a permission, and what is left of it then: the decisions alone. See
//! `spec/permission.md` §4 and `spec/flows.md` §3.
//!
//! A server reads a [`Meter`] and its [`Floor`] of time, decides here, and commits what comes out if nothing has changed
//! meanwhile. `tests/lifecycle` runs these same functions through every order of events within its bounds.

mod floor;

pub use self::floor::{Floor, Judgement};
use crate::{
    defence::Defence,
    permission::{PermissionBody, Replaces},
    problem::Problem,
    purpose::Purpose,
};

/// What is left of a permission. What is neither left nor held is spent (FLW-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// Uses that are neither spent nor held by a session.
    pub uses_left: u32,
    /// Ciphertext bytes that are neither spent nor held by an upload.
    pub bytes_left: u64,
    /// Uses of open sessions that have brought nothing yet (FLW-6).
    pub uses_held: u32,
    /// Bytes of leaves that have come to uploads which are not committed.
    pub bytes_held: u64,
    /// Presentations that have opened a session (FLW-18).
    pub presented: u32,
    /// The patient has taken it back.
    pub revoked: bool,
    /// Another permission has taken its place.
    pub replaced: bool,
}

/// Which rules are kept. A server keeps all; tests see what happens without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Nothing moves under a revoked permission (FLW-5).
    pub revocation: bool,
    /// Nothing moves under a replaced one (PRM-14).
    pub replacement: bool,
    /// Permissions end in time, and begin in time (PRM-12, PRM-13).
    pub deadlines: bool,
    /// Uses and bytes are spent (FLW-6).
    pub budgets: bool,
    /// A permission serves its own purpose (CND-2).
    pub purpose: bool,
    /// Presentations for each use, whatever comes of them (FLW-18).
    pub tries: u32,
}

/// So often each use may be presented (FLW-18).
pub const TRIES: u32 = 16;

impl Rules {
    /// Every rule is kept.
    pub const ALL: Self = Self {
        revocation: true,
        replacement: true,
        deadlines: true,
        budgets: true,
        purpose: true,
        tries: TRIES,
    };

    /// Those whose defences nobody has switched off.
    pub fn in_force() -> Self {
        Self {
            revocation: !Defence::Revocation.is_off(),
            replacement: !Defence::Replacement.is_off(),
            deadlines: !Defence::Deadlines.is_off(),
            budgets: !Defence::Budgets.is_off(),
            purpose: !Defence::Purpose.is_off(),
            tries: TRIES,
        }
    }
}

/// What a presentation is judged by, besides the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The server's time, in milliseconds since 1970.
    pub now: u64,
    /// Whether `not_after` has passed, as [`Floor::judge`] says.
    pub over: bool,
    /// The purpose that is stated.
    pub purpose: Option<Purpose>,
}

impl Meter {
    /// Of a permission that has just been given.
    pub fn of(permission: &PermissionBody) -> Self {
        Self {
            uses_left: permission.uses,
            bytes_left: permission.bytes,
            uses_held: 0,
            bytes_held: 0,
            presented: 0,
            revoked: false,
            replaced: false,
        }
    }

    /// Neither revoked nor replaced. Refused as `permission-revoked` or `permission-replaced`.
    pub fn check_not_ended(&self, rules: &Rules) -> Result<(), Problem> {
        if self.revoked && rules.revocation {
            return Err(Problem::PermissionRevoked);
        }
        if self.replaced && rules.replacement {
            return Err(Problem::PermissionReplaced);
        }
        Ok(())
    }

    /// Neither ended nor over: something may leave the server under it (FLW-5). Refused as
    /// [`Self::check_not_ended`] says, and as `permission-expired`.
    pub fn check_live(&self, over: bool, rules: &Rules) -> Result<(), Problem> {
        self.check_not_ended(rules)?;
        if over {
            return Err(Problem::PermissionExpired);
        }
        Ok(())
    }

    /// A presentation, by which a session holds a use (PRM-12, CND-2, FLW-6). Refused for the first
    /// reason in the order of PRM-12.
    pub fn present(
        self,
        permission: &PermissionBody,
        presented: Presented,
        rules: &Rules,
    ) -> Result<Self, Problem> {
        let Presented { now, over, purpose } = presented;
        self.check_live(over, rules)?;
        let for_this = permission.purpose.is_none() || permission.purpose == purpose;
        let tried = self.presented >= permission.uses.saturating_mul(rules.tries);
        match self {
            _ if rules.deadlines && now < permission.not_before => Err(Problem::PermissionNotYetValid),
            _ if rules.purpose && !for_this => Err(Problem::PurposeMismatch),
            _ if rules.budgets && (tried || self.uses() == 0) => Err(Problem::PermissionSpent),
            _ if rules.budgets && self.bytes() == 0 => Err(Problem::BytesSpent),
            Self { uses_left: 0, .. } | Self { bytes_left: 0, .. } if rules.budgets => {
                Err(Problem::PermissionInUse)
            }
            _ => Ok(Self {
                uses_left: self.uses_left.saturating_sub(1),
                uses_held: self.uses_held.saturating_add(1),
                presented: self.presented.saturating_add(1),
                ..self
            }),
        }
    }

    /// Uses that are not spent: left, or held.
    pub fn uses(&self) -> u32 {
        self.uses_left.saturating_add(self.uses_held)
    }

    /// Bytes that are not spent.
    pub fn bytes(&self) -> u64 {
        self.bytes_left.saturating_add(self.bytes_held)
    }

    /// A leaf has come to an upload that is not committed (FLW-6). Refused as `bytes-spent`.
    pub fn hold(self, bytes: u64, rules: &Rules) -> Result<Self, Problem> {
        let spent = self.spend(bytes, rules)?;
        Ok(Self {
            bytes_held: self.bytes_held.saturating_add(bytes),
            ..spent
        })
    }

    /// A session that held a use, and so many bytes, has brought something: they are spent (FLW-16).
    #[must_use]
    pub fn bring(self, bytes: u64) -> Self {
        Self {
            uses_held: self.uses_held.saturating_sub(1),
            bytes_held: self.bytes_held.saturating_sub(bytes),
            ..self
        }
    }

    /// A session that held a use, and so many bytes, has ended and brought nothing (FLW-16).
    #[must_use]
    pub fn give_back(self, bytes: u64) -> Self {
        let ended = self.bring(bytes);
        Self {
            uses_left: ended.uses_left.saturating_add(self.uses_held - ended.uses_held),
            bytes_left: ended
                .bytes_left
                .saturating_add(self.bytes_held - ended.bytes_held),
            ..ended
        }
    }

    /// Takes bytes from what is left (FLW-6, FLW-9). Refused as `bytes-spent`.
    pub fn spend(self, bytes: u64, rules: &Rules) -> Result<Self, Problem> {
        if rules.budgets && bytes > self.bytes_left {
            return Err(Problem::BytesSpent);
        }
        Ok(Self {
            bytes_left: self.bytes_left.saturating_sub(bytes),
            ..self
        })
    }

    /// The patient takes it back, whatever state it is in; none if she had before.
    pub fn revoke(self) -> Option<Self> {
        (!self.revoked).then_some(Self {
            revoked: true,
            ..self
        })
    }

    /// Another permission takes its place, if it is live and as the device saw it
    /// (PRM-14). Refused as `replacement-conflict`.
    pub fn replace(self, seen: &Replaces, over: bool) -> Result<Self, Problem> {
        let live = !self.revoked && !self.replaced && !over;
        let same = (self.uses(), self.bytes()) == (seen.uses_left, seen.bytes_left);
        if live && same {
            Ok(Self {
                replaced: true,
                ..self
            })
        } else {
            Err(Problem::ReplacementConflict)
        }
    }
}

/// What a history shows of the uses of one permission, entry after entry (FLW-16, FLW-18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShownUses {
    presented: u32,
    spent: u32,
    open: u32,
}

impl ShownUses {
    /// Those that have brought something.
    pub fn spent(&self) -> u32 {
        self.spent
    }

    /// Releases without their receipt: each holds a use, or has spent it.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// A presentation has opened an upload or a release. Whether that is within the permission's uses.
    pub fn presented(&mut self, release: bool, uses: u32) -> bool {
        self.presented = self.presented.saturating_add(1);
        // Which uploads are open, a history does not say: they end without a word.
        self.open = self.open.saturating_add(u32::from(release));
        self.presented <= uses.saturating_mul(TRIES) && self.within(uses)
    }

    /// A record was stored. Whether that is within the permission's uses.
    pub fn stored(&mut self, uses: u32) -> bool {
        self.spent = self.spent.saturating_add(1);
        self.within(uses)
    }

    /// A release has ended, and handed out so many bytes.
    pub fn released(&mut self, bytes: u64) {
        self.open = self.open.saturating_sub(1);
        self.spent = self.spent.saturating_add(u32::from(bytes > 0));
    }

    fn within(self, uses: u32) -> bool {
        self.spent.saturating_add(self.open) <= uses
    }
}

/// When a session under a permission ends: never after the permission (§5 of `flows.md`).
pub fn session_end(now: u64, longest: u64, permission: &PermissionBody) -> u64 {
    permission.not_after.min(now.saturating_add(longest))
}

#[cfg(test)]
mod tests;
