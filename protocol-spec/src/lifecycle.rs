//! What may be done under a permission, and what is left of it then: the decisions alone. See `spec/permission.md` §4 and
//! `spec/flows.md` §3.
//!
//! A server reads a [`Meter`] and its [`Floor`] of time, decides here, and commits what comes out if nothing has changed
//! meanwhile. `tests/lifecycle` runs these same functions through every order of events within its bounds.

use crate::{
    defence::Defence,
    permission::{PermissionBody, Replaces},
    problem::Problem,
    purpose::Purpose,
};

/// What is left of a permission. What is neither left nor held is spent (FLW-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// Uses that nobody has.
    pub uses_left: u32,
    /// Ciphertext bytes that nobody has.
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
    /// All.
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
    /// The server's time.
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

    /// Neither revoked nor replaced.
    ///
    /// # Errors
    /// `permission-revoked`, `permission-replaced`.
    pub fn check_not_ended(&self, rules: &Rules) -> Result<(), Problem> {
        if self.revoked && rules.revocation {
            return Err(Problem::PermissionRevoked);
        }
        if self.replaced && rules.replacement {
            return Err(Problem::PermissionReplaced);
        }
        Ok(())
    }

    /// Neither ended nor over: something may leave the server under it (FLW-5).
    ///
    /// # Errors
    /// As [`Self::check_not_ended`]; `permission-expired`.
    pub fn check_live(&self, over: bool, rules: &Rules) -> Result<(), Problem> {
        self.check_not_ended(rules)?;
        if over {
            return Err(Problem::PermissionExpired);
        }
        Ok(())
    }

    /// A presentation, by which a session holds a use (PRM-12, CND-2, FLW-6).
    ///
    /// # Errors
    /// The first reason why not, in the order of PRM-12.
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

    /// A leaf has come to an upload that is not committed (FLW-6).
    ///
    /// # Errors
    /// `bytes-spent`.
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

    /// Takes bytes from what is left (FLW-6, FLW-9).
    ///
    /// # Errors
    /// `bytes-spent`.
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

    /// Another permission takes its place, if it is live and as the device saw it (PRM-14).
    ///
    /// # Errors
    /// `replacement-conflict`.
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

/// The server's time, which never goes back: whatever was once called past stays past (PRM-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Floor {
    latest: u64,
    durable: u64,
}

/// What a [`Floor`] says of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It has not passed.
    Ahead,
    /// It has passed, and this is on disk.
    Passed,
    /// It has passed; this time must be written before anybody is told.
    PassedOnceWritten(u64),
}

impl Floor {
    /// As it stood on disk.
    pub fn load(durable: u64) -> Self {
        Self {
            latest: durable,
            durable,
        }
    }

    /// After a restart: what was not written is forgotten.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self::load(self.durable)
    }

    /// The time, when the clock says `clock`.
    pub fn now(&mut self, clock: u64) -> u64 {
        self.latest = self.latest.max(clock);
        self.latest
    }

    /// Whether a deadline, the first moment that is too late, has passed.
    pub fn judge(&mut self, clock: u64, deadline: u64, rules: &Rules) -> Judgement {
        let now = self.now(clock);
        if now < deadline || !rules.deadlines {
            Judgement::Ahead
        } else if self.durable >= deadline {
            Judgement::Passed
        } else {
            Judgement::PassedOnceWritten(now)
        }
    }

    /// So much is on disk now.
    pub fn written(&mut self, at: u64) {
        self.durable = self.durable.max(at);
        self.latest = self.latest.max(at);
    }
}

impl Judgement {
    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self != Self::Ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash::Sha256Digest, ids::PermissionId};

    const METER: Meter = Meter {
        uses_left: 2,
        bytes_left: 10,
        uses_held: 0,
        bytes_held: 0,
        presented: 0,
        revoked: false,
        replaced: false,
    };

    #[test]
    fn what_has_ended_moves_nothing() {
        let revoked = METER.revoke().unwrap();
        assert_eq!(revoked.revoke(), None);
        assert_eq!(
            revoked.check_not_ended(&Rules::ALL),
            Err(Problem::PermissionRevoked)
        );
        let replaced = Meter {
            replaced: true,
            ..METER
        };
        assert_eq!(
            replaced.check_not_ended(&Rules::ALL),
            Err(Problem::PermissionReplaced)
        );
        assert_eq!(
            METER.check_live(true, &Rules::ALL),
            Err(Problem::PermissionExpired)
        );
        assert_eq!(METER.check_live(false, &Rules::ALL), Ok(()));
    }

    /// FLW-6, FLW-9
    #[test]
    fn bytes_are_spent_to_the_last_and_no_further() {
        let spent = METER.spend(10, &Rules::ALL).unwrap();
        assert_eq!(spent.bytes_left, 0);
        assert_eq!(spent.spend(1, &Rules::ALL), Err(Problem::BytesSpent));
        assert_eq!(spent.spend(0, &Rules::ALL), Ok(spent));
    }

    /// FLW-16
    #[test]
    fn what_brings_nothing_costs_nothing() {
        let open = Meter {
            uses_left: 1,
            uses_held: 1,
            ..METER
        };
        let sent = open.hold(7, &Rules::ALL).unwrap();
        assert_eq!((sent.bytes_left, sent.bytes_held, sent.bytes()), (3, 7, 10));
        assert_eq!(sent.hold(4, &Rules::ALL), Err(Problem::BytesSpent));
        assert_eq!(sent.give_back(7), METER);
        let stored = sent.bring(7);
        assert_eq!((stored.uses(), stored.bytes()), (1, 3));
        // Whoever held nothing gets nothing.
        assert_eq!(stored.give_back(9), stored);
    }

    /// FLW-16, FLW-18
    #[test]
    fn a_history_shows_no_more_uses_than_there_are() {
        let mut shown = ShownUses::default();
        assert!(shown.presented(true, 2) && shown.presented(true, 2));
        assert!(!shown.clone().presented(true, 2), "a third that is open");
        shown.released(0);
        assert!(shown.presented(true, 2), "one of them brought nothing");
        shown.released(5);
        assert_eq!((shown.spent(), shown.open()), (1, 1));
        assert!(!shown.presented(true, 2), "one is spent, one is open");
        let mut shown = ShownUses::default();
        for _ in 0..TRIES {
            assert!(shown.presented(false, 1));
        }
        assert!(!shown.clone().presented(false, 1), "too often");
        assert!(shown.stored(1) && !shown.stored(1));
    }

    /// PRM-14: what a session holds goes over to the permission that takes the place.
    #[test]
    fn what_is_held_counts_as_not_spent() {
        let open = Meter {
            uses_left: 1,
            uses_held: 1,
            ..METER
        }
        .hold(7, &Rules::ALL)
        .unwrap();
        let seen = |uses_left, bytes_left| Replaces {
            permission_id: PermissionId::from_bytes([1; 16]),
            permission_hash: Sha256Digest::of(b"permission"),
            uses_left,
            bytes_left,
            signed_again: false,
        };
        assert!(open.replace(&seen(2, 10), false).is_ok());
        for (uses, bytes) in [(1, 10), (2, 3), (1, 3)] {
            let refused = open.replace(&seen(uses, bytes), false);
            assert_eq!(refused, Err(Problem::ReplacementConflict));
        }
    }

    /// PRM-13, ATK-29
    #[test]
    fn what_was_called_past_stays_past_over_a_restart() {
        let mut floor = Floor::load(0);
        assert_eq!(floor.judge(9, 10, &Rules::ALL), Judgement::Ahead);
        assert_eq!(floor.judge(10, 10, &Rules::ALL), Judgement::PassedOnceWritten(10));
        assert_eq!(floor.judge(3, 10, &Rules::ALL), Judgement::PassedOnceWritten(10));
        floor.written(10);
        let mut restarted = Floor::load(10);
        assert_eq!(restarted.judge(3, 10, &Rules::ALL), Judgement::Passed);
        assert_eq!(restarted.now(3), 10);
    }
}
