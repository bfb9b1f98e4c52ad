//! What the entries of a history must agree on with those before them: a receipt with the presentation that opened its
//! session, a presentation with the permission, the whole with what this device has seen before.

use std::collections::{HashMap, HashSet};

use prost::Message;
use protocol_spec::{
    bodies::{ReleaseReceipt, ReleaseTicket, StandbyTicket, TakeBack, UploadReceipt},
    hash::Sha256Digest,
    ids::{InstitutionId, PermissionId, RecordId, ReleaseId, UploadId, VersionId},
    lifecycle::ShownUses,
    messages::{self as pb, history_entry::What},
    permission::{Kind, VerifiedPermission},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    home::Home,
    patient::history::{ensure, tampered},
};

/// What was met on the way through a history.
#[derive(Default)]
pub(super) struct Trail {
    pub(super) permissions: HashMap<PermissionId, Permitted>,
    releases: HashMap<ReleaseId, (PermissionId, Sha256Digest)>,
    uploads: HashMap<UploadId, Standby>,
    /// Their evidence.
    presentations: HashSet<Sha256Digest>,
    /// Versions that were stored, and of which record.
    pub(super) stored: HashMap<VersionId, RecordId>,
    /// By whom, and the hash of the receipt.
    pub(super) receipts: HashMap<VersionId, (InstitutionId, Sha256Digest)>,
    /// Records that were deleted or taken back.
    pub(super) gone: HashSet<RecordId>,
    /// What delegates have signed to read a record (DLG-11).
    pub(super) read_by_delegates: HashSet<Sha256Digest>,
    /// Permissions that were revoked.
    pub(super) revoked: HashSet<PermissionId>,
    /// What was checked so far.
    pub(super) counts: Counts,
}

/// A permission, and what was done under it.
pub(super) struct Permitted {
    pub(super) permission: VerifiedPermission,
    /// Presentations, spent uses and open releases, as the history shows them so far.
    pub(super) uses: ShownUses,
    released: u64,
}

/// A session that waited for leaves.
struct Standby {
    permission: PermissionId,
    version: VersionId,
    presentation: Sha256Digest,
}

/// How much of a history has been proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Statements of the patient's devices and of institutions, each by its maker's signature.
    pub statements: u64,
    /// Presentations, each by both of its signatures.
    pub presentations: u64,
    /// Receipts and tickets of the server, each by its signature and its place in the log.
    pub receipts: u64,
    /// Entries of the log under which the newest of them stands.
    pub log_size: u64,
}

impl Trail {
    pub(super) fn permitted(&mut self, permission: VerifiedPermission) {
        let permitted = Permitted {
            permission,
            uses: ShownUses::default(),
            released: 0,
        };
        self.permissions
            .insert(permitted.permission.permission_id, permitted);
    }

    pub(super) fn known(&self, id: PermissionId) -> Result<&VerifiedPermission> {
        let permitted = self.permissions.get(&id);
        permitted
            .map(|permitted| &permitted.permission)
            .ok_or_else(|| tampered("its permission does not come before it"))
    }

    fn used(&mut self, id: PermissionId) -> Result<&mut Permitted> {
        let permitted = self.permissions.get_mut(&id);
        permitted.ok_or_else(|| tampered("its permission does not come before it"))
    }

    /// A presentation opens a session: not too often (FLW-18), and a release has a use (FLW-16).
    pub(super) fn presented(&mut self, id: PermissionId, evidence: Sha256Digest) -> Result<()> {
        let first = self.presentations.insert(evidence);
        ensure(first, "it stands here a second time")?;
        let Permitted { permission, uses, .. } = self.used(id)?;
        let release = permission.kind != Kind::Upload;
        let within = uses.presented(release, permission.uses);
        ensure(within, MORE_USES)
    }

    pub(super) fn opened_release(&mut self, ticket: &ReleaseTicket) -> Result<()> {
        let opened = (ticket.permission_id, ticket.presentation_hash);
        let first = self.releases.insert(ticket.release_id, opened).is_none();
        ensure(first, "its release was opened before")
    }

    pub(super) fn opened_upload(&mut self, ticket: &StandbyTicket, presentation: Sha256Digest) {
        let standby = Standby {
            permission: ticket.permission_id,
            version: ticket.version_id,
            presentation,
        };
        self.uploads.insert(ticket.upload_id, standby);
    }

    /// A release ends once, under the permission and by the presentation that opened it, within the budget.
    pub(super) fn released(&mut self, receipt: &ReleaseReceipt) -> Result<()> {
        let opened = self.releases.remove(&receipt.release_id);
        ensure(
            opened == Some((receipt.permission_id, receipt.presentation_hash)),
            "the presentation that opened it does not come before it",
        )?;
        let permitted = self.used(receipt.permission_id)?;
        permitted.uses.released(receipt.bytes);
        permitted.released = permitted.released.saturating_add(receipt.bytes);
        ensure(
            permitted.released <= permitted.permission.bytes,
            "more bytes were released than were permitted",
        )
    }

    /// What was stored is gone for good, once.
    pub(super) fn gone(&mut self, record: RecordId, version: VersionId) -> Result<()> {
        let there = self.stored.remove(&version) == Some(record);
        ensure(there, "no such version of the record was stored before it")?;
        self.gone.insert(record);
        Ok(())
    }

    /// What was taken back is what this institution had stored, by the receipt that it names (DEL-6).
    pub(super) fn taken_back(&mut self, said: &TakeBack) -> Result<()> {
        let stored = self.receipts.get(&said.version_id);
        let own = stored == Some(&(said.institution_id, said.receipt_hash));
        ensure(own, "it is not of what this institution had stored")?;
        self.gone(said.record_id, said.version_id)
    }

    /// A record is stored once, by the session that waited for it, or in the place of a version that was (REV-9).
    pub(super) fn stored(&mut self, receipt: &UploadReceipt) -> Result<()> {
        if let Some(before) = &receipt.replaces {
            let there = self.stored.remove(before) == Some(receipt.record_id);
            ensure(there, "the version whose place it takes was not stored before it")?;
            self.stored.insert(receipt.version_id, receipt.record_id);
            return Ok(());
        }
        let standby = self.uploads.remove(&receipt.upload_id);
        let same = standby.is_some_and(|standby| {
            standby.permission == receipt.permission_id
                && standby.version == receipt.version_id
                && standby.presentation == receipt.presentation_hash
        });
        ensure(same, "the presentation that opened it does not come before it")?;
        self.stored.insert(receipt.version_id, receipt.record_id);
        let Permitted { permission, uses, .. } = self.used(receipt.permission_id)?;
        ensure(uses.stored(permission.uses), MORE_USES)
    }
}

const MORE_USES: &str = "it is one more use than was permitted";

/// What this device has seen of its history: a digest over all entries up to a number. A server that later leaves one
/// out, changes or reorders them cannot lead to the same digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) entries: u64,
    /// Hex.
    digest: String,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        Self {
            entries: 0,
            digest: Sha256Digest::of(b"").to_string(),
        }
    }

    /// What was kept at last.
    pub(super) fn read(home: &Home) -> Result<Option<Self>> {
        home.read_json(SEEN)
    }

    /// Adds the next entry: SHA-256(digest ‖ entry), the entry without what the log adds later.
    pub(super) fn add(&mut self, entry: &pb::HistoryEntry) {
        let mut entry = entry.clone();
        match &mut entry.what {
            Some(What::Stored(receipt) | What::Released(receipt) | What::TakenBack(receipt)) => {
                receipt.proof = None;
            }
            Some(What::Closed(logged) | What::RecordDeleted(logged)) => logged.proof = None,
            Some(What::EmergencyOpened(used)) => used.proof = None,
            Some(What::Presented(presented)) => {
                if let Some(ticket) = &mut presented.release_ticket {
                    ticket.proof = None;
                }
            }
            // Whether it stands there still, or was deleted since (ACC-9).
            Some(What::DownloadRequested(request) | What::ReferenceRequested(request)) => {
                let hash = Sha256Digest::of(&request.encode_to_vec());
                entry.what = Some(What::Deleted(pb::Deleted {
                    hash: hash.as_bytes().to_vec().into(),
                }));
            }
            _ => {}
        }
        self.entries = entry.number;
        let bytes = [self.digest.as_bytes(), &entry.encode_to_vec()].concat();
        self.digest = Sha256Digest::of(&bytes).to_string();
    }

    /// Refuses a history that differs, at this length, from the one seen before.
    pub(super) fn check(&self, before: Option<&Self>) -> Result<()> {
        let same = before.is_none_or(|before| before.entries != self.entries || before == self);
        if same { Ok(()) } else { Err(rewritten()) }
    }

    /// Refuses a whole history that is shorter than the one seen before.
    pub(super) fn check_length(&self, before: Option<&Self>) -> Result<()> {
        if before.is_some_and(|before| before.entries > self.entries) {
            return Err(rewritten());
        }
        Ok(())
    }

    /// Keeps what was seen, unless more was kept meanwhile.
    pub(super) async fn keep(self, home: &Home, before: Option<Self>) -> Result<()> {
        if before.as_ref() == Some(&self) {
            return Ok(());
        }
        let _lock = home.lock().await?;
        if Self::read(home)?.is_none_or(|kept| kept.entries < self.entries) {
            home.write_json(SEEN, &self)?;
        }
        Ok(())
    }
}

fn rewritten() -> Error {
    Error::tampered("the history")("it is not the one that this device has seen before")
}

const SEEN: &str = "history.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn history(requests: &[u8]) -> Vec<pb::HistoryEntry> {
        let entry = |(number, byte): (u64, &u8)| pb::HistoryEntry {
            number,
            at: number,
            what: Some(What::DownloadRequested(pb::Statement {
                body: vec![*byte].into(),
                ..pb::Statement::default()
            })),
        };
        (1..).zip(requests).map(entry).collect()
    }

    /// Goes through a history as a session does.
    async fn visit(home: &Home, requests: &[u8]) -> Result<()> {
        let (before, mut seen) = (Seen::read(home)?, Seen::nothing());
        for entry in history(requests) {
            seen.add(&entry);
            seen.check(before.as_ref())?;
        }
        seen.check_length(before.as_ref())?;
        seen.keep(home, before).await
    }

    /// FLW-11, ATK-41
    #[tokio::test]
    async fn a_history_that_was_rewritten_since_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        visit(&home, &[1, 2]).await.unwrap();
        visit(&home, &[1, 2, 3]).await.unwrap();
        for rewritten in [&[2, 1, 3][..], &[1, 9, 3, 4], &[1, 2], &[], &[1, 3, 4]] {
            let refused = visit(&home, rewritten).await;
            assert!(matches!(refused, Err(Error::Tampered { .. })), "{rewritten:?}");
        }
        visit(&home, &[1, 2, 3, 4]).await.unwrap();
    }
}
