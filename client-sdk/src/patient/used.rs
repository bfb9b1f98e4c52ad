//! What was proven of the use of her permissions: presentations by the signatures of the permission key and
//! of the institution, bytes by the operator's receipts. The home keeps it: what was once seen as used stays
//! used (PRM-17).

use std::collections::{BTreeMap, HashMap, HashSet};

use protocol_spec::{
    bodies::{ReleaseReceipt, UploadReceipt},
    evidence::ProvenPresentation,
    hash::Sha256Digest,
    ids::{InstitutionId, PermissionId},
    messages::{self as pb, history_entry::What},
    permission::{Kind, VerifiedPermission},
    statement::{Body, Signed, Verified},
};
use serde::{Deserialize, Serialize};

use super::{Patient, standing::Shown};
use crate::{Error, Result};

/// What was used of each permission, by the first so many entries of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    entries: u64,
    permissions: BTreeMap<String, Use>,
    /// What was proven behind those, where something else was not: it is looked at again, and is never less.
    #[serde(default)]
    at_least: BTreeMap<String, Use>,
}

/// What was used of one permission, at least: a session that runs has no receipt yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Use {
    pub(super) presented: u32,
    pub(super) bytes: u64,
}

impl Use {
    /// Of each the larger.
    fn max(self, other: Self) -> Self {
        Self {
            presented: self.presented.max(other.presented),
            bytes: self.bytes.max(other.bytes),
        }
    }
}

/// What the history says beyond that.
pub(super) struct Further {
    entries: u64,
    presented: Vec<pb::Presented>,
    moved: Vec<(PermissionId, u64)>,
    /// Something in it is not proven, which the history shows as such. It counts for nothing, and is looked at again.
    unproven: bool,
}

impl Used {
    pub(super) fn of(&self, permission: &PermissionId) -> Use {
        let id = permission.to_string();
        let of = |all: &BTreeMap<String, Use>| all.get(&id).copied().unwrap_or_default();
        of(&self.permissions).max(of(&self.at_least))
    }

    /// Takes what another look has found, as far as it is more; how far the history was counted stays.
    fn raise(&mut self, found: &Self) {
        for (id, used) in found.permissions.iter().chain(&found.at_least) {
            let floor = self.at_least.entry(id.clone()).or_default();
            *floor = floor.max(*used);
        }
    }

    fn change(&mut self, permission: PermissionId) -> &mut Use {
        self.permissions.entry(permission.to_string()).or_default()
    }
}

impl Patient {
    /// What was used, as this home has seen it last.
    pub(super) fn used(&self) -> Result<Used> {
        Ok(self.session.home.read_json(USED)?.unwrap_or_default())
    }

    /// What the history says since. It is read before the list of permissions: what is used meanwhile makes
    /// that say less.
    pub(super) async fn used_further(&self, since: &Used) -> Result<Further> {
        let mut further = Further {
            entries: since.entries,
            presented: Vec::new(),
            moved: Vec::new(),
            unproven: false,
        };
        let mut pages = self.history_pages().behind(since.entries);
        while let Some(page) = pages.next().await? {
            for entry in page.entries {
                // `history` says so; here what is behind counts for nothing, and what was counted before stays.
                if entry.number != further.entries.saturating_add(1) {
                    further.unproven = true;
                    return Ok(further);
                }
                further.entries = entry.number;
                let noted = self.note_use(entry.what, &mut further);
                further.unproven |= noted.is_err();
            }
        }
        Ok(further)
    }

    fn note_use(&self, what: Option<What>, further: &mut Further) -> Result<()> {
        match what {
            Some(What::Presented(presented)) => further.presented.push(presented),
            Some(What::Released(receipt)) => {
                let said = self.receipt_of::<ReleaseReceipt>(receipt)?;
                further.moved.push((said.permission_id, said.bytes));
            }
            Some(What::Stored(receipt)) => {
                let said = self.receipt_of::<UploadReceipt>(receipt)?;
                // What her own device has sealed anew costs no permission anything.
                if said.replaces.is_none() {
                    further.moved.push((said.permission_id, said.stream_len));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn receipt_of<T: Body>(&self, receipt: pb::Receipt) -> Result<Verified<T>> {
        Signed::<T>::try_from(receipt.statement)
            .and_then(|receipt| receipt.verify(self.session.server.operator()))
            .map_err(tampered)
    }

    /// Adds what has come, each presentation by the signatures under it and once. Says whether all of it is proven: what is
    /// counted otherwise is too little to be kept.
    pub(super) async fn add_use(&self, used: &mut Used, further: Further, shown: &[Shown]) -> Result<bool> {
        let by_id: HashMap<PermissionId, &VerifiedPermission> = shown
            .iter()
            .map(|one| (one.permission.permission_id, &one.permission))
            .collect();
        let (mut seen, mut unproven) = (HashSet::new(), further.unproven);
        for presented in &further.presented {
            match self.proven(presented, &by_id).await {
                Ok((id, evidence)) => {
                    let used = used.change(id);
                    used.presented = used.presented.saturating_add(u32::from(seen.insert(evidence)));
                }
                // What fails for want of a connection says nothing about the presentation.
                Err(error @ (Error::Unreachable { .. } | Error::HomeLocked { .. })) => return Err(error),
                Err(_) => unproven = true,
            }
        }
        for (id, bytes) in further.moved {
            let used = used.change(id);
            used.bytes = used.bytes.saturating_add(bytes);
        }
        used.entries = further.entries;
        Ok(!unproven)
    }

    async fn proven(
        &self,
        presented: &pb::Presented,
        permissions: &HashMap<PermissionId, &VerifiedPermission>,
    ) -> Result<(PermissionId, Sha256Digest)> {
        let id = PermissionId::try_from(presented.permission_id.as_ref()).map_err(tampered)?;
        let permission = permissions.get(&id);
        let permission = permission.ok_or_else(|| tampered("it is of no permission of hers"))?;
        let by = InstitutionId::try_from(presented.institution_id.as_ref()).map_err(tampered)?;
        if permission.kind != Kind::Emergency && permission.institution_id != by {
            return Err(tampered("it was presented by somebody else"));
        }
        let presenter = self.session.institution(by).await?;
        let proven = ProvenPresentation::verify(presented, permission, &presenter);
        Ok((id, proven.map_err(tampered)?.hash))
    }

    /// Keeps what was found to fit: all of it, unless another process has kept more; where something is not proven, at least what is.
    pub(super) async fn keep_used(&self, used: &Used, all_proven: bool) -> Result<()> {
        let home = &self.session.home;
        if self.used()? == *used {
            return Ok(());
        }
        let _lock = home.lock().await?;
        let kept = self.used()?;
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
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("an entry of the history")(cause)
}

const USED: &str = "permissions.used";

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(entries: u64, presented: u32) -> Used {
        let used = Use {
            presented,
            bytes: 10 * u64::from(presented),
        };
        Used {
            entries,
            permissions: [(PermissionId::from_bytes([1; 16]).to_string(), used)].into(),
            at_least: BTreeMap::new(),
        }
    }

    /// PRM-17: what was proven once is not forgotten because something else was not, and is not counted twice.
    #[test]
    fn what_was_proven_once_is_a_floor() {
        let id = PermissionId::from_bytes([1; 16]);
        let mut kept = counted(5, 2);
        kept.raise(&counted(9, 4));
        assert_eq!((kept.entries, kept.of(&id)), (5, counted(9, 4).of(&id)));
        kept.raise(&counted(9, 3));
        assert_eq!(kept.of(&id).presented, 4);
        kept.change(id).presented += 1;
        assert_eq!(kept.of(&id).presented, 4, "counted again from where it was held");
        assert_eq!(kept.of(&PermissionId::from_bytes([2; 16])), Use::default());
    }
}
