//! What has been done to a vault, as a list that only grows, and the heads that her devices
//! sign over it. See `spec/vault-head.md`.

mod act;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
};

pub use self::act::{Act, epoch_hash, wraps_hash};
pub use crate::parts::head::HeadRef;
use crate::{
    Error,
    bodies::VaultHead,
    hash::Sha256Digest,
    ids::{CollectionId, DelegationId, PermissionId, RecordId},
    log::frontier::Frontier,
};

/// All that has been done to a vault, as far as it is known here.
#[derive(Clone, Debug, Default)]
pub struct Acts {
    acts: Vec<Act>,
    tree: Frontier,
    heads: Vec<Covered>,
    deletions: HashMap<RecordId, Deleted>,
    taken_back: HashSet<RecordId>,
    placed: HashSet<RecordId>,
    /// One that was taken back after it was placed.
    wrongly_taken_back: Option<RecordId>,
}

/// What the acts say of a record's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// SHA-256 of the deletion's body.
    pub hash: Sha256Digest,
    /// How many acts stand before it.
    pub acts: u64,
}

/// What the acts say of a head that stands among them.
#[derive(Clone, Copy, Debug)]
struct Covered {
    hash: Sha256Digest,
    /// How many acts stand before it.
    acts: u64,
    /// Root of the vault tree over these acts.
    root: Sha256Digest,
}

/// What the next head must say of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHead {
    /// The number of the head, from 0.
    pub sequence: u64,
    /// The head before it; zeros for the first.
    pub previous_hash: Sha256Digest,
    /// How many acts there are, all of which it is over.
    pub acts: u64,
    /// Root of the vault tree over these acts.
    pub root: Sha256Digest,
}

impl Acts {
    /// Adds the acts that come next, in the form in which they travel. Fails with [`Error::Field`] for bytes that are
    /// no acts; nothing is added then.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (acts, rest) = bytes.as_chunks::<{ Act::LEN }>();
        if !rest.is_empty() {
            return Err(Error::Field { field: "acts" });
        }
        let acts: Vec<Act> = acts.iter().map(|act| Act::read(act)).collect::<Result<_, _>>()?;
        acts.into_iter().for_each(|act| self.push(act));
        Ok(())
    }

    /// Adds the act that comes next.
    pub fn push(&mut self, act: Act) {
        if let Act::Head(hash) = act {
            let NextHead { acts, root, .. } = self.next_head();
            self.heads.push(Covered { hash, acts, root });
        }
        match act {
            Act::Deletion(record, hash) => {
                let acts = self.tree.size;
                self.deletions.entry(record).or_insert(Deleted { hash, acts });
            }
            Act::TakeBack(record, _) => {
                self.taken_back.insert(record);
                if self.placed.contains(&record) {
                    self.wrongly_taken_back.get_or_insert(record);
                }
            }
            Act::Placement(record, _) => drop(self.placed.insert(record)),
            _ => {}
        }
        self.tree.append(&act.bytes());
        self.acts.push(act);
    }

    /// All but the first so many, in the form in which they travel.
    pub fn bytes_after(&self, first: u64) -> Vec<u8> {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        self.acts.iter().skip(first).flat_map(Act::bytes).collect()
    }

    /// In the order in which they were done.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Act> + ExactSizeIterator {
        self.acts.iter()
    }

    /// How many acts there are.
    pub fn count(&self) -> u64 {
        self.tree.size
    }

    /// Whether a head is over all of them.
    pub fn is_settled(&self) -> bool {
        matches!(self.acts.last(), Some(Act::Head(_)))
    }

    /// The newest head that stands among the acts.
    pub fn newest(&self) -> Option<HeadRef> {
        let sequence = self.heads.len().checked_sub(1)?;
        self.head(u64::try_from(sequence).ok()?)
    }

    /// The head with this number.
    pub fn head(&self, sequence: u64) -> Option<HeadRef> {
        let head = self.heads.get(usize::try_from(sequence).ok()?)?;
        Some(HeadRef {
            sequence,
            hash: head.hash,
        })
    }

    /// What a head over all of them must say.
    pub fn next_head(&self) -> NextHead {
        self.head_over(&self.tree)
    }

    /// What a head over all of them and this one after them must say.
    pub fn next_head_with(&self, act: &Act) -> NextHead {
        let mut tree = self.tree.clone();
        tree.append(&act.bytes());
        self.head_over(&tree)
    }

    fn head_over(&self, tree: &Frontier) -> NextHead {
        NextHead {
            sequence: u64::try_from(self.heads.len()).unwrap_or(u64::MAX),
            previous_hash: self.heads.last().map_or(NONE, |head| head.hash),
            acts: tree.size,
            root: Sha256Digest::from_bytes(tree.root()),
        }
    }

    /// Whether the newest head says what the acts say (VLT-3). `hash` is that of its body. Fails with
    /// [`Error::VaultHead`] with what does not fit.
    pub fn check_newest(&self, head: &VaultHead, hash: &Sha256Digest) -> Result<(), Error> {
        let refuse = |rule| Err(Error::VaultHead { rule });
        let Some((covered, before)) = self.heads.split_last() else {
            return refuse("it does not stand among the acts");
        };
        if covered.hash != *hash {
            return refuse("another head stands last among the acts");
        }
        if usize::try_from(head.sequence) != Ok(before.len()) {
            return refuse("it has another number than the acts say");
        }
        if head.previous_hash != before.last().map_or(NONE, |head| head.hash) {
            return refuse("it follows another head than the acts say");
        }
        if (head.acts, head.root) != (covered.acts, covered.root) {
            return refuse("it is over other acts");
        }
        Ok(())
    }

    /// The number of the last list among the first so many acts.
    pub fn last_list(&self, acts: u64) -> Option<u64> {
        let first = self.acts.iter().take(usize::try_from(acts).unwrap_or(usize::MAX));
        let lists = first.filter(|act| matches!(act, Act::Devices(_))).count();
        u64::try_from(lists).ok()?.checked_sub(1)
    }

    /// All epochs of each collection: how many, and the [`epoch_hash`] of the newest.
    pub fn epochs(&self) -> HashMap<CollectionId, (usize, Sha256Digest)> {
        let mut epochs: HashMap<_, (usize, _)> = HashMap::new();
        for act in &self.acts {
            if let Act::Epoch(id, hash) = act {
                let known = epochs.entry(*id).or_insert((0, *hash));
                *known = (known.0 + 1, *hash);
            }
        }
        epochs
    }

    /// All delegations: the hash of each, and whether it has ended.
    pub fn delegations(&self) -> BTreeMap<DelegationId, (Sha256Digest, bool)> {
        let mut delegations = BTreeMap::new();
        for act in &self.acts {
            match act {
                Act::Delegation(id, hash) => drop(delegations.entry(*id).or_insert((*hash, false))),
                Act::DelegationEnd(id, _) => {
                    if let Some((_, ended)) = delegations.get_mut(id) {
                        *ended = true;
                    }
                }
                _ => {}
            }
        }
        delegations
    }

    /// The number of the vault's last placement (COL-4); zero if there is none.
    pub fn last_placement(&self) -> u64 {
        let placed = self.acts.iter().filter(|act| matches!(act, Act::Placement(..)));
        u64::try_from(placed.count()).unwrap_or(u64::MAX)
    }

    /// The numbers of the placements that were made while this epoch of a collection was its current one.
    pub fn placed_under(&self, id: CollectionId, epoch: u64) -> Range<u64> {
        let (mut next_epoch, mut next_number, mut begin) = (0_u64, 1_u64, 0);
        for act in &self.acts {
            match act {
                Act::Placement(..) => next_number = next_number.saturating_add(1),
                Act::Epoch(of, _) if *of == id => {
                    if next_epoch == epoch {
                        begin = next_number;
                    } else if next_epoch > epoch {
                        return begin..next_number;
                    }
                    next_epoch = next_epoch.saturating_add(1);
                }
                _ => {}
            }
        }
        if next_epoch > epoch {
            begin..next_number
        } else {
            0..0
        }
    }

    /// Which record the placement with this number is of (COL-4).
    pub fn placed(&self, number: u64) -> Option<RecordId> {
        let mut placed = self.acts.iter().filter_map(|act| match act {
            Act::Placement(record, _) => Some(*record),
            _ => None,
        });
        placed.nth(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// The newest list of devices.
    pub fn devices(&self) -> Option<Sha256Digest> {
        self.acts.iter().rev().find_map(|act| match act {
            Act::Devices(hash) => Some(*hash),
            _ => None,
        })
    }

    /// The last placement of each record that was not deleted: its number (COL-4) and its hash.
    pub fn placements(&self) -> HashMap<RecordId, (u64, Sha256Digest)> {
        let placed = self.acts.iter().filter_map(|act| match act {
            Act::Placement(record, hash) => Some((*record, *hash)),
            _ => None,
        });
        let numbered = (1..).zip(placed);
        numbered
            .map(|(number, (record, hash))| (record, (number, hash)))
            .filter(|(record, _)| !self.deletions.contains_key(record))
            .collect()
    }

    /// The records that are said to be deleted: of each the first deletion (DEL-4).
    pub fn deletions(&self) -> &HashMap<RecordId, Deleted> {
        &self.deletions
    }

    /// The records that were taken back by who had stored them (DEL-6).
    pub fn taken_back(&self) -> &HashSet<RecordId> {
        &self.taken_back
    }

    /// A record that is said to have been taken back when it was placed already: nobody may do that (DEL-7).
    pub fn wrongly_taken_back(&self) -> Option<RecordId> {
        self.wrongly_taken_back
    }

    /// Whether a record was deleted or taken back, and must not be shown again (DEL-4).
    pub fn is_gone(&self, record: &RecordId) -> bool {
        self.deletions.contains_key(record) || self.taken_back.contains(record)
    }

    /// All permissions, and whether they are revoked.
    pub fn permissions(&self) -> BTreeMap<PermissionId, PermissionActs> {
        let mut permissions: BTreeMap<PermissionId, PermissionActs> = BTreeMap::new();
        for act in &self.acts {
            match act {
                Act::Permission(id, hash) => {
                    let (hash, revoked) = (*hash, false);
                    permissions.entry(*id).or_insert(PermissionActs { hash, revoked });
                }
                Act::Revocation(id, _) => {
                    if let Some(permission) = permissions.get_mut(id) {
                        permission.revoked = true;
                    }
                }
                _ => {}
            }
        }
        permissions
    }
}

/// What the acts say of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionActs {
    /// SHA-256 of the permission's body.
    pub hash: Sha256Digest,
    /// Whether it was taken back.
    pub revoked: bool,
}

/// In the place of the head before the first.
const NONE: Sha256Digest = Sha256Digest::from_bytes([0; 32]);

#[cfg(test)]
mod tests;
