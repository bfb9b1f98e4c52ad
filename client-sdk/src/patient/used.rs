//! What was proven of the use of her permissions: uses and bytes by the operator's receipts of what came of them
//! (FLW-16), releases that are open by the signatures of the permission key and of the institution. The home keeps it:
//! what was once seen as spent stays spent (PRM-17).

use std::collections::{BTreeMap, HashMap, HashSet};

use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket, UploadReceipt},
    evidence::ProvenPresentation,
    field::ReadsAs,
    ids::{InstitutionId, PermissionId, ReleaseId, UploadId},
    messages::{self as pb, history_entry::What},
    permission::{Kind, VerifiedPermission},
    statement::{Body, Signed, Verified},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    patient::{
        paged,
        standing::{ShownPermission, Use},
        vault::Vault,
    },
};

/// What was used of each permission, by the first so many entries of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    entries: u64,
    permissions: BTreeMap<String, Spent>,
    /// Releases that were opened and have no receipt yet, and their permissions.
    open: BTreeMap<String, String>,
    /// What was proven behind those, where something else was not: it is looked at again, and is never less.
    at_least: BTreeMap<String, Spent>,
}

/// What was spent of one permission, by receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Spent {
    uses: u32,
    bytes: u64,
}

impl Spent {
    /// The larger of both, of uses and of bytes.
    fn max(self, other: Self) -> Self {
        Self {
            uses: self.uses.max(other.uses),
            bytes: self.bytes.max(other.bytes),
        }
    }
}

/// What the history says beyond that.
pub(super) struct Further {
    entries: u64,
    presented: Vec<pb::Presented>,
    moved: Vec<UsedBytes>,
    /// Something in it is not proven, which the history shows as such. It counts for nothing, and is looked at again.
    unproven: bool,
}

/// A receipt of what came of a session.
struct UsedBytes {
    permission: PermissionId,
    session: UsingSession,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum UsingSession {
    Upload(UploadId),
    Release(ReleaseId),
}

impl Used {
    pub(super) fn of(&self, permission: &PermissionId) -> Use {
        let id = permission.to_string();
        let of = |all: &BTreeMap<String, Spent>| all.get(&id).copied().unwrap_or_default();
        let Spent { uses: spent, bytes } = of(&self.permissions).max(of(&self.at_least));
        let open = self.open.values().filter(|open| **open == id).count();
        Use {
            spent,
            open: u32::try_from(open).unwrap_or(u32::MAX),
            bytes,
        }
    }

    /// Notes that a release was opened.
    fn opened(&mut self, permission: PermissionId, release: ReleaseId) {
        self.open.insert(release.to_string(), permission.to_string());
    }

    /// A session has its receipt: a record is one use, a release is one if it has handed out something.
    fn ended(&mut self, moved: &UsedBytes) {
        let brought = match moved.session {
            UsingSession::Upload(_) => true,
            UsingSession::Release(release) => {
                self.open.remove(&release.to_string());
                moved.bytes > 0
            }
        };
        let spent = self.permissions.entry(moved.permission.to_string()).or_default();
        spent.uses = spent.uses.saturating_add(u32::from(brought));
        spent.bytes = spent.bytes.saturating_add(moved.bytes);
    }

    /// Takes what another look has found, as far as it is more; how far the history was counted stays.
    fn raise(&mut self, found: &Self) {
        for (id, used) in found.permissions.iter().chain(&found.at_least) {
            let floor = self.at_least.entry(id.clone()).or_default();
            *floor = floor.max(*used);
        }
    }
}

/// What was used, as this home has seen it last.
pub(super) fn read_used(vault: &Vault) -> Result<Used> {
    Ok(vault.session.home.read_json(USED)?.unwrap_or_default())
}

/// What the history says since. It is read before the list of permissions: what is used
/// meanwhile makes that say less.
pub(super) async fn used_further(vault: &Vault, since: &Used) -> Result<Further> {
    let mut further = Further {
        entries: since.entries,
        presented: Vec::new(),
        moved: Vec::new(),
        unproven: false,
    };
    let mut pages = paged::history_pages(vault).behind(since.entries);
    while let Some(page) = pages.next().await? {
        for entry in page.entries {
            // `history` says so; here what is behind counts for nothing, and what was counted before stays.
            if entry.number != further.entries.saturating_add(1) {
                further.unproven = true;
                return Ok(further);
            }
            further.entries = entry.number;
            let noted = note_use(vault, entry.what, &mut further);
            further.unproven |= noted.is_err();
        }
    }
    Ok(further)
}

fn note_use(vault: &Vault, what: Option<What>, further: &mut Further) -> Result<()> {
    match what {
        Some(What::Presented(presented)) => further.presented.push(presented),
        Some(What::Released(receipt)) => {
            let said = said_in::<ReleaseReceipt>(vault, receipt.statement)?;
            further.moved.push(UsedBytes {
                permission: said.permission_id,
                session: UsingSession::Release(said.release_id),
                bytes: said.bytes,
            });
        }
        Some(What::Stored(receipt)) => {
            let said = said_in::<UploadReceipt>(vault, receipt.statement)?;
            // What her own device has sealed anew costs no permission anything.
            if said.replaces.is_none() {
                further.moved.push(UsedBytes {
                    permission: said.permission_id,
                    session: UsingSession::Upload(said.upload_id),
                    bytes: said.stream_len,
                });
            }
        }
        _ => {}
    }
    Ok(())
}

fn said_in<T: Body>(vault: &Vault, receipt: impl ReadsAs<Signed<T>>) -> Result<Verified<T>> {
    receipt
        .try_into()
        .and_then(|receipt| receipt.verify(vault.session.server.operator()))
        .map_err(tampered)
}

/// Adds what has come, each presentation by the signatures under it and once. Says whether all of it is proven: what is
/// counted otherwise is too little to be kept.
pub(super) async fn add_use(
    vault: &Vault,
    used: &mut Used,
    further: Further,
    shown: &[ShownPermission],
) -> Result<bool> {
    let by_id: HashMap<PermissionId, &VerifiedPermission> = shown
        .iter()
        .map(|one| (one.permission.permission_id, &one.permission))
        .collect();
    let (mut seen, mut unproven) = (HashSet::new(), further.unproven);
    for presented in &further.presented {
        match proven(vault, presented, &by_id).await {
            Ok((id, Some(release))) => used.opened(id, release),
            // An upload is a use when its record is there.
            Ok((_, None)) => {}
            // What fails for want of a connection says nothing about the presentation.
            Err(error @ (Error::Unreachable { .. } | Error::HomeLocked { .. })) => return Err(error),
            Err(_) => unproven = true,
        }
    }
    for moved in &further.moved {
        if seen.insert(moved.session) {
            used.ended(moved);
        }
    }
    used.entries = further.entries;
    Ok(!unproven)
}

/// Of which permission it is, and which release it has opened, if it was none of an upload's.
async fn proven(
    vault: &Vault,
    presented: &pb::Presented,
    permissions: &HashMap<PermissionId, &VerifiedPermission>,
) -> Result<(PermissionId, Option<ReleaseId>)> {
    let id = PermissionId::try_from(presented.permission_id.as_ref()).map_err(tampered)?;
    let permission = permissions.get(&id);
    let permission = permission.ok_or_else(|| tampered("it is of no permission of hers"))?;
    let by = InstitutionId::try_from(presented.institution_id.as_ref()).map_err(tampered)?;
    if permission.kind != Kind::Emergency && permission.institution_id != by {
        return Err(tampered("it was presented by somebody else"));
    }
    let presenter = vault.session.mirror.institution(by).await?;
    let proven = ProvenPresentation::verify(presented, permission, &presenter).map_err(tampered)?;
    let Some(ticket) = presented.release_ticket.clone() else {
        return Ok((id, None));
    };
    let ticket = said_in::<ReleaseTicket>(vault, ticket.statement)?;
    if ticket.permission_id != id || ticket.presentation_hash != proven.hash {
        return Err(tampered("its ticket is for something else"));
    }
    Ok((id, Some(ticket.release_id)))
}

/// Keeps what was found to fit: all of it, unless another process has kept more; where something is not proven, at least what is.
pub(super) async fn keep_used(vault: &Vault, used: &Used, all_proven: bool) -> Result<()> {
    let home = &vault.session.home;
    if read_used(vault)? == *used {
        return Ok(());
    }
    let _lock = home.lock().await?;
    let kept = read_used(vault)?;
    let mut next = kept.clone();
    if all_proven && kept.entries < used.entries {
        next = used.clone();
        next.at_least.clear();
        next.raise(&kept);
    } else {
        next.raise(used);
    }
    if next != kept {
        home.write_json(USED, &next)?;
    }
    Ok(())
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("an entry of the history")(cause)
}

const USED: &str = "permissions.used";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: PermissionId = PermissionId::from_bytes([1; 16]);

    fn counted(entries: u64, uses: u32) -> Used {
        let spent = Spent {
            uses,
            bytes: 10 * u64::from(uses),
        };
        Used {
            entries,
            permissions: [(ID.to_string(), spent)].into(),
            ..Used::default()
        }
    }

    fn released(bytes: u64) -> UsedBytes {
        UsedBytes {
            permission: ID,
            session: UsingSession::Release(ReleaseId::from_bytes([2; 16])),
            bytes,
        }
    }

    /// PRM-17: what was proven once is not forgotten because something else was not, and is not counted twice.
    #[test]
    fn what_was_proven_once_is_a_floor() {
        let mut kept = counted(5, 2);
        kept.raise(&counted(9, 4));
        assert_eq!((kept.entries, kept.of(&ID)), (5, counted(9, 4).of(&ID)));
        kept.raise(&counted(9, 3));
        assert_eq!(kept.of(&ID).spent, 4);
        kept.ended(&released(1));
        assert_eq!(kept.of(&ID).spent, 4, "counted again from where it was held");
        assert_eq!(kept.of(&PermissionId::from_bytes([2; 16])), Use::default());
    }

    /// PRM-17, FLW-16: a release that has handed out nothing is no use.
    #[test]
    fn what_brings_nothing_is_no_use() {
        for (bytes, spent) in [(0, 0), (7, 1)] {
            let mut used = Used::default();
            used.opened(ID, ReleaseId::from_bytes([2; 16]));
            assert_eq!((used.of(&ID).spent, used.of(&ID).open), (0, 1));
            used.ended(&released(bytes));
            let of = used.of(&ID);
            assert_eq!((of.spent, of.open, of.bytes), (spent, 0, bytes));
        }
        let mut used = Used::default();
        used.ended(&UsedBytes {
            session: UsingSession::Upload(UploadId::from_bytes([3; 16])),
            ..released(9)
        });
        assert_eq!((used.of(&ID).spent, used.of(&ID).bytes), (1, 9));
    }
}
