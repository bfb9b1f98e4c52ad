//! How her permissions stand: by what her devices have signed, by what was proven of their use, and by this
//! machine's clock. The server says it too; where it says more than that, nothing of its list is used
//! (VLT-10, PRM-17). See `protocol-spec/spec/vault-head.md` §2 and `protocol-spec/spec/permission.md` §5.

use std::collections::HashMap;

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    ids::PermissionId,
    messages as pb,
    permission::{Replaces, VerifiedPermission},
};

use crate::Result;

pub use protocol_spec::permission::PermissionState;

/// What was used of one permission, at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Uses that have brought something.
    pub(super) spent: u32,
    /// Releases that are open: they hold a use, or have spent it.
    pub(super) open: u32,
    /// Bytes in receipts: a release that is open has none yet.
    pub(super) bytes: u64,
}

/// A permission of the patient's, and how it stands.
pub(crate) struct OwnPermission {
    /// What was signed in her name.
    pub(crate) permission: VerifiedPermission,
    /// Whether the permission holds now.
    pub(crate) state: PermissionState,
    /// What is left of it.
    pub(crate) left: Left,
    /// The key of an upload, wrapped under a key of hers.
    pub(crate) upload_key_wrap: Bytes,
    /// The server counts it as live too, and would take another one in its place.
    said_live: bool,
}

impl OwnPermission {
    /// Whether it may be given anew: it holds by her account and by the server's.
    pub(crate) fn is_live(&self) -> bool {
        self.state == PermissionState::Live && self.said_live
    }

    /// What a permission says that takes its place (PRM-14), and whether she gives it herself (DEV-21).
    pub(crate) fn replaces(&self, signed_again: bool) -> Replaces {
        Replaces {
            permission_id: self.permission.permission_id,
            permission_hash: self.permission.hash(),
            uses_left: self.left.uses(),
            bytes_left: self.left.bytes(),
            signed_again,
        }
    }
}

/// What is left of a permission, and what open sessions hold of it: never more than was signed, nor than
/// its proven use leaves (PRM-17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    uses: u32,
    bytes: u64,
    uses_held: u32,
    bytes_held: u64,
}

impl Left {
    /// What the server says, unless that is more than there can be.
    fn new(said: Self, signed: (u32, u64), used: Use) -> Option<Self> {
        let uses = signed.0.saturating_sub(used.spent);
        let bytes = signed.1.saturating_sub(used.bytes);
        let within =
            said.uses() <= uses && said.uses <= uses.saturating_sub(used.open) && said.bytes() <= bytes;
        Defence::PermissionLeft.holds(within).then_some(said)
    }

    /// Uses that are not spent.
    pub(crate) fn uses(self) -> u32 {
        self.uses.saturating_add(self.uses_held)
    }

    /// Those of them that open sessions hold.
    pub(crate) fn uses_held(self) -> u32 {
        self.uses_held
    }

    /// Stream bytes that are not spent.
    pub(crate) fn bytes(self) -> u64 {
        self.bytes.saturating_add(self.bytes_held)
    }

    fn is_none(self) -> bool {
        self.uses() == 0 || self.bytes() == 0
    }
}

/// A permission as it was verified, and what the server says of it.
pub(super) struct ShownPermission {
    pub(super) permission: VerifiedPermission,
    pub(super) entry: pb::PermissionEntry,
}

/// What does not fit in a list of permissions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit(pub(super) String);

/// How all her permissions stand now. Which are revoked was compared with the acts before.
pub(super) fn stand(
    shown: Vec<ShownPermission>,
    used: impl Fn(&PermissionId) -> Use,
    is_over: impl Fn(u64) -> bool,
) -> Result<Result<Vec<OwnPermission>, Misfit>> {
    let replaces = |one: &ShownPermission| {
        let replaced = one.permission.replaces?;
        Some((replaced.permission_hash, one.permission.permission_id))
    };
    let successors: HashMap<Sha256Digest, PermissionId> = shown.iter().filter_map(replaces).collect();
    let mut own = Vec::with_capacity(shown.len());
    for ShownPermission { permission, entry } in shown {
        let id = permission.permission_id;
        let said = PermissionState::try_from(entry.state())?;
        let successor = successors.get(&permission.hash()).copied();
        if let Err(misfit) = check_replaced(id, said, successor) {
            return Ok(Err(misfit));
        }
        let signed = (permission.uses, permission.bytes);
        let left = Left {
            uses: entry.uses_left,
            bytes: entry.bytes_left,
            uses_held: entry.uses_held,
            bytes_held: entry.bytes_held,
        };
        let Some(left) = Left::new(left, signed, used(&id)) else {
            let more = "is shown with more left than was signed, or than its proven use leaves";
            return Ok(Err(Misfit(format!("{id} {more}"))));
        };
        own.push(OwnPermission {
            state: state(said, is_over(permission.not_after), left),
            left,
            upload_key_wrap: entry.upload_key_wrap,
            said_live: said == PermissionState::Live,
            permission,
        });
    }
    Ok(Ok(own))
}

/// One is replaced if another of hers names it, and only then.
fn check_replaced(
    id: PermissionId,
    said: PermissionState,
    successor: Option<PermissionId>,
) -> Result<(), Misfit> {
    let fits = match said {
        PermissionState::Revoked => true,
        PermissionState::Replaced => successor.is_some(),
        PermissionState::Live | PermissionState::Expired | PermissionState::Spent => successor.is_none(),
    };
    if Defence::PermissionStates.holds(fits) {
        return Ok(());
    }
    Err(Misfit(match successor {
        Some(other) => format!("{id} is shown as if {other} had not taken its place"),
        None => format!("{id} is shown as replaced, and by none of her permissions"),
    }))
}

/// What is over by her clock, or has nothing left, is not live, whatever the server says.
fn state(said: PermissionState, over: bool, left: Left) -> PermissionState {
    match said {
        PermissionState::Revoked | PermissionState::Replaced => said,
        _ if Defence::PermissionStates.is_off() => said,
        _ if over => PermissionState::Expired,
        _ if left.is_none() => PermissionState::Spent,
        _ => PermissionState::Live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: PermissionId = PermissionId::from_bytes([1; 16]);
    const OTHER: PermissionId = PermissionId::from_bytes([2; 16]);
    const SIGNED: Left = left(3, 100);

    const fn left(uses: u32, bytes: u64) -> Left {
        Left {
            uses,
            bytes,
            uses_held: 0,
            bytes_held: 0,
        }
    }

    /// VLT-10, ATK-63
    #[test]
    fn a_permission_is_replaced_by_one_of_hers_and_not_by_the_servers_word() {
        use PermissionState::{Expired, Live, Replaced, Revoked, Spent};
        for said in [Live, Expired, Spent] {
            assert_eq!(check_replaced(ID, said, None), Ok(()));
            assert!(check_replaced(ID, said, Some(OTHER)).is_err(), "{said:?}");
        }
        assert_eq!(check_replaced(ID, Replaced, Some(OTHER)), Ok(()));
        assert!(check_replaced(ID, Replaced, None).is_err());
        for successor in [None, Some(OTHER)] {
            assert_eq!(check_replaced(ID, Revoked, successor), Ok(()));
        }
    }

    /// VLT-10, ATK-63
    #[test]
    fn what_is_over_or_spent_is_not_live_whatever_the_server_says() {
        use PermissionState::{Expired, Live, Replaced, Revoked, Spent};
        let none = [left(0, 9), left(9, 0)];
        let held = Left {
            uses_held: 1,
            bytes_held: 1,
            ..left(0, 0)
        };
        assert_eq!(state(Live, false, held), Live);
        for said in [Live, Expired, Spent] {
            assert_eq!(state(said, false, SIGNED), Live);
            assert_eq!(state(said, true, SIGNED), Expired);
            assert!(none.iter().all(|left| state(said, false, *left) == Spent));
        }
        for ended in [Revoked, Replaced] {
            assert_eq!(state(ended, true, SIGNED), ended);
        }
    }

    /// PRM-17, ATK-64
    #[test]
    fn no_more_is_left_than_was_signed_and_was_not_used() {
        let signed = (3, 100);
        let used = Use {
            spent: 1,
            open: 0,
            bytes: 40,
        };
        for (uses, bytes) in [(2, 60), (0, 60), (2, 0), (1, 59)] {
            assert_eq!(
                Left::new(left(uses, bytes), signed, used),
                Some(left(uses, bytes))
            );
        }
        for (uses, bytes) in [(3, 60), (2, 61), (u32::MAX, 0), (0, u64::MAX)] {
            assert_eq!(Left::new(left(uses, bytes), signed, used), None, "{uses} {bytes}");
        }
        assert_eq!(Left::new(SIGNED, signed, Use::default()), Some(SIGNED));
    }

    /// PRM-17, FLW-16: what is held is not spent, and not more than is open.
    #[test]
    fn what_is_held_is_counted_once() {
        let signed = (3, 100);
        let used = Use {
            spent: 1,
            open: 1,
            bytes: 40,
        };
        let said = |uses, uses_held, bytes_held| Left {
            uses,
            bytes: 60 - bytes_held,
            uses_held,
            bytes_held,
        };
        for fits in [said(1, 1, 20), said(1, 0, 0), said(0, 2, 60)] {
            assert_eq!(Left::new(fits, signed, used), Some(fits));
            assert_eq!((fits.bytes(), fits.uses()), (60, fits.uses + fits.uses_held));
        }
        for more in [said(2, 0, 0), said(1, 2, 0), said(u32::MAX, 1, 0)] {
            assert_eq!(Left::new(more, signed, used), None, "{more:?}");
        }
    }
}
