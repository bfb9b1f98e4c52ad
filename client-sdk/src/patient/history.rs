//! What happened to her vault: who asked, what she permitted, who presented, what was stored and released.
//! Statements are checked by their makers' keys, receipts by the log, presentations by both signatures.

mod check;
mod delegates;
mod emergency;
mod item;
mod trail;

use std::collections::HashMap;

use protocol_spec::{
    api,
    bodies::{
        Denial, ReleaseReceipt, ReleaseTicket, Revocation, StandbyTicket, UploadReceipt, UploadRequest,
    },
    delegation::VerifiedDelegation,
    devices::{DeviceList, ListedDevice},
    evidence::ProvenPresentation,
    hash::Sha256Digest,
    ids::{DeviceId, InstitutionId, PermissionId, RecordId},
    keys::IdentityKey,
    messages::{self as pb, history_entry::What},
    patient::{Device, OfPatient, PatientSigned, PatientVerified},
    permission::VerifiedPermission,
    purpose::Purpose,
    released::{ReleasedHasher, VersionLeaves},
    statement::Signed,
};

pub use self::{
    check::HistoryCheck,
    item::{DeviceChange, DeviceRef, HistoryItem, HistoryKind, TerminalRef},
    trail::Counts,
};
use self::{
    emergency::Emergencies,
    trail::{Seen, Trail},
};
use super::{InstitutionRef, Patient};
use crate::{Error, Result, asked::Asked, pages::Pages, rules::rules_by_statement};

/// What entries are checked against and explained by.
struct Met {
    /// The list of devices at this point.
    devices: Signed<DeviceList>,
    trail: Trail,
    /// Delegations, by the hashes of their statements, and whether they have ended.
    delegations: HashMap<Sha256Digest, (VerifiedDelegation, bool)>,
    emergencies: Emergencies,
    /// Rules that answered, by the hash of the signed answer.
    rules: HashMap<String, String>,
    /// Bytes by institution and kind.
    totals: HashMap<(InstitutionId, bool), u64>,
}

/// A history that was gone through.
struct Walk {
    items: Vec<HistoryItem>,
    trail: Trail,
    /// Delegations, and whether they have ended.
    delegations: HashMap<Sha256Digest, (VerifiedDelegation, bool)>,
    seen: Seen,
    /// What this device had seen at the last time.
    before: Option<Seen>,
}

impl Patient {
    /// All that happened to her vault, each entry verified. One that fails is reported, not dropped.
    ///
    /// # Errors
    /// Of the connection, and [`Error::Tampered`] when numbers are missing, or what this device has seen before has
    /// changed.
    pub async fn history(&self) -> Result<Vec<HistoryItem>> {
        let walk = self.walk_history().await?;
        if walk.items.iter().all(|item| item.problem.is_none()) {
            walk.seen.keep(&self.session.home, walk.before).await?;
        }
        Ok(walk.items)
    }

    /// Goes through the history. What it has seen is kept by the caller, if it believes it.
    async fn walk_history(&self) -> Result<Walk> {
        let mut items = Vec::new();
        let known = self.refresh_devices().await?;
        let mut met = Met {
            devices: known
                .list(0)
                .ok_or_else(|| tampered("there is no list of devices"))?,
            trail: Trail::default(),
            delegations: HashMap::new(),
            emergencies: Emergencies::default(),
            rules: rules_by_statement(&self.session.home)?,
            totals: HashMap::new(),
        };
        let (before, mut seen) = (Seen::read(&self.session.home)?, Seen::nothing());
        let mut pages = self.history_pages();
        while let Some(page) = pages.next().await? {
            for entry in page.entries {
                if entry.number != seen.entries + 1 {
                    return Err(Error::tampered("the history")(
                        "entries are missing or out of order",
                    ));
                }
                seen.add(&entry);
                seen.check(before.as_ref())?;
                items.push(self.read(entry, &mut met).await?);
            }
        }
        seen.check_length(before.as_ref())?;
        Ok(Walk {
            items,
            trail: met.trail,
            delegations: met.delegations,
            seen,
            before,
        })
    }

    /// The history as the server shows it.
    pub(super) fn history_pages(&self) -> Pages<'_, pb::HistoryPage, u64> {
        self.session.server.pages(api::HISTORY.here().with("limit", &200))
    }

    async fn read(&self, entry: pb::HistoryEntry, met: &mut Met) -> Result<HistoryItem> {
        let blank = HistoryItem {
            number: entry.number,
            at: entry.at,
            kind: HistoryKind::Unverified,
            institution: None,
            request_id: None,
            permission_id: None,
            record_id: None,
            records: Vec::new(),
            collection: None,
            bytes: None,
            purpose: None,
            total: None,
            device: None,
            delegate: None,
            logged: None,
            problem: None,
            change: None,
            terminal: None,
            guardian: None,
            rule: None,
        };
        let read = match entry.what {
            Some(what) => self.read_what(what, met, blank.clone()).await,
            None => Err(tampered("it is empty")),
        };
        match read {
            // What fails on this side says nothing about the entry (OPR-8).
            Err(error) if error.is_of_this_side() => Err(error),
            Err(error) => Ok(HistoryItem {
                problem: Some(error.to_string()),
                ..blank
            }),
            Ok(mut item) => {
                met.add_up(&mut item);
                Ok(item)
            }
        }
    }

    async fn read_what(&self, what: What, met: &mut Met, blank: HistoryItem) -> Result<HistoryItem> {
        match what {
            What::UploadRequested(statement) => self.upload_requested(statement, met, blank).await,
            What::DownloadRequested(statement) => {
                let asked = self.session.asked_download(statement).await?;
                met.trail.counts.statements += 1;
                self.asked_item(HistoryKind::DownloadRequested, &asked, blank)
                    .await
            }
            What::ReferenceRequested(statement) => {
                let asked = self.session.asked_reference(statement).await?;
                met.trail.counts.statements += 1;
                self.asked_item(HistoryKind::ReferenceRequested, &asked, blank)
                    .await
            }
            What::Permitted(permission) => self.permitted(permission, met, blank).await,
            What::Denied(statement) => self.denied(statement, met, blank).await,
            What::Revoked(statement) => self.revoked(statement, met, blank).await,
            What::EmergencyOpened(used) => self.emergency_opened(used, met, blank).await,
            What::EmergencyHelp(help) => self.emergency_help(help, met, blank).await,
            What::EmergencyObjected(statement) => self.emergency_objected(statement, met, blank).await,
            What::RecordDeleted(logged) => self.record_deleted(logged, met, blank).await,
            What::TakenBack(receipt) => self.taken_back(receipt, met, blank).await,
            What::Deleted(_) => Ok(HistoryItem {
                kind: HistoryKind::Deleted,
                ..blank
            }),
            What::Closed(logged) => self.epoch_closed(logged, met, blank).await,
            What::Delegated(statement) => self.delegated(statement, met, blank).await,
            What::DelegateRead(read) => self.delegate_read(read, met, blank),
            What::DelegationEnded(statement) => self.delegation_ended(statement, met, blank).await,
            What::DevicesChanged(list) => self.devices_changed(list, met, blank),
            What::Presented(presented) => self.presented(presented, met, blank).await,
            What::Stored(receipt) => self.stored(receipt, met, blank).await,
            What::Released(receipt) => self.released(receipt, met, blank).await,
        }
    }

    async fn upload_requested(
        &self,
        statement: pb::PatientStatement,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let request: PatientVerified<UploadRequest> = self.own(statement).await?;
        met.trail.counts.statements += 1;
        let item = HistoryItem {
            request_id: Some(request.request_id),
            device: Some(self.acted(request.device(), met)?),
            ..blank
        };
        self.concerning(HistoryKind::UploadRequested, request.institution_id, item)
            .await
    }

    async fn permitted(
        &self,
        permission: pb::Permission,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let permission = self.own_permission(Some(permission)).await?;
        met.trail.counts.statements += 1;
        met.trail.permitted(permission.clone());
        let signer = (permission.device(), permission.delegation());
        let item = HistoryItem {
            purpose: permission.purpose,
            rule: met.rule(&permission.hash()),
            ..under(&permission, self.signed_by(signer, met, blank)?)
        };
        self.concerning(HistoryKind::Permitted, permission.institution_id, item)
            .await
    }

    async fn denied(
        &self,
        statement: pb::PatientStatement,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let denial: PatientVerified<Denial> = self.own(statement).await?;
        met.trail.counts.statements += 1;
        let signer = (denial.device(), denial.delegation());
        let item = HistoryItem {
            request_id: Some(denial.request_id),
            rule: met.rule(&denial.hash()),
            ..self.signed_by(signer, met, blank)?
        };
        self.concerning(HistoryKind::Denied, denial.institution_id, item)
            .await
    }

    async fn revoked(
        &self,
        statement: pb::PatientStatement,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let revocation: PatientVerified<Revocation> = self.own(statement).await?;
        let permission = met.trail.known(revocation.permission_id)?.clone();
        if revocation.permission_hash != permission.hash() {
            return Err(tampered("it revokes another permission"));
        }
        met.trail.counts.statements += 1;
        met.trail.revoked.insert(revocation.permission_id);
        let item = HistoryItem {
            device: Some(self.acted(revocation.device(), met)?),
            ..under(&permission, blank)
        };
        self.concerning(HistoryKind::Revoked, permission.institution_id, item)
            .await
    }

    async fn record_deleted(
        &self,
        logged: pb::LoggedStatement,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let deletion = self.record_deletion(logged).await?;
        let said = &deletion.statement;
        met.trail.gone(said.record_id, said.version_id)?;
        met.trail.counts.statements += 1;
        Ok(HistoryItem {
            kind: HistoryKind::RecordDeleted,
            device: Some(self.acted(said.device(), met)?),
            record_id: Some(said.record_id),
            logged: Some(deletion.checkpoint.size),
            ..blank
        })
    }

    async fn epoch_closed(
        &self,
        logged: pb::LoggedStatement,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let closure = self.epoch_closure(logged).await?;
        Ok(HistoryItem {
            kind: HistoryKind::EpochClosed,
            device: Some(self.acted(closure.statement.device(), met)?),
            logged: Some(closure.checkpoint.size),
            ..blank
        })
    }

    async fn delegated(
        &self,
        statement: pb::PatientStatement,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let delegation = self.own_delegation_statement(Some(statement)).await?;
        met.trail.counts.statements += 1;
        let item = HistoryItem {
            kind: HistoryKind::Delegated,
            device: Some(self.acted(delegation.device(), met)?),
            delegate: Some(self.delegate_ref(&delegation)?),
            ..blank
        };
        met.delegations.insert(delegation.hash(), (delegation, false));
        Ok(item)
    }
    /// The device that signed, which must have been on the list at this point.
    fn acted(&self, device: &Device, met: &Met) -> Result<DeviceRef> {
        let listed = met.devices.claimed().device(device.id()).is_some();
        ensure(listed, "a device signed it that was not on her list then")?;
        self.device_ref(device.id())
    }

    /// Who signed: a device of hers, or a delegate whose delegation stands before this and has not ended (DLG-9).
    fn signed_by(
        &self,
        (device, delegation): (&Device, Option<&VerifiedDelegation>),
        met: &Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let Some(delegation) = delegation else {
            let device = Some(self.acted(device, met)?);
            return Ok(HistoryItem { device, ..blank });
        };
        let before = met.delegations.get(&delegation.hash());
        let held = before.is_some_and(|(_, ended)| !ended) && delegation.check_time(blank.at).is_ok();
        ensure(held, "a delegate signed it who was none at that time")?;
        let delegate = Some(self.delegate_ref(delegation)?);
        Ok(HistoryItem { delegate, ..blank })
    }

    fn device_ref(&self, id: DeviceId) -> Result<DeviceRef> {
        let name = self.keys.known().name(id)?.as_str().to_owned();
        let this = id == DeviceId::from(&self.device_key());
        Ok(DeviceRef { id, name, this })
    }

    /// A list, which must be the next one that this device has verified.
    fn devices_changed(&self, list: pb::Statement, met: &mut Met, blank: HistoryItem) -> Result<HistoryItem> {
        let list = Signed::<DeviceList>::try_from(list).map_err(tampered)?;
        let sequence = met.devices.claimed().sequence + 1;
        let verified = self.keys.known().list(sequence);
        let same = verified.is_some_and(|verified| verified.hash() == list.hash());
        ensure(same, "it is not the list that follows the one before")?;
        let before = met.devices.claimed();
        let shown = |device: &ListedDevice| self.device_ref(device.id());
        let change = DeviceChange {
            added: list.claimed().added(before).map(shown).collect::<Result<_>>()?,
            removed: list.claimed().removed(before).map(shown).collect::<Result<_>>()?,
        };
        let item = HistoryItem {
            kind: HistoryKind::DevicesChanged,
            device: Some(self.device_ref(list.claimed().signer)?),
            change: Some(change),
            ..blank
        };
        met.devices = list;
        Ok(item)
    }

    async fn stored(&self, receipt: pb::Receipt, met: &mut Met, blank: HistoryItem) -> Result<HistoryItem> {
        let receipt = self
            .session
            .receipt::<UploadReceipt>(Some(receipt), "the receipt")
            .await?;
        self.check_receipt_head(receipt.statement.vault_head).await?;
        let said = &receipt.statement;
        ensure(said.patient_id == self.id(), "it is about somebody else")?;
        held(met, said.permission_id, said.institution_id)?;
        met.trail.stored(said)?;
        let receipted = (said.institution_id, said.hash());
        met.trail.receipts.insert(said.version_id, receipted);
        met.receipt(receipt.checkpoint.size);
        let item = HistoryItem {
            permission_id: Some(said.permission_id),
            record_id: Some(said.record_id),
            bytes: Some(said.stream_len),
            logged: Some(receipt.checkpoint.size),
            ..blank
        };
        let kind = match said.replaces {
            Some(_) => HistoryKind::Resealed,
            None => HistoryKind::Stored,
        };
        self.concerning(kind, said.institution_id, item).await
    }

    async fn taken_back(
        &self,
        receipt: pb::Receipt,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let (said, log_size) = self.session.taken_back(receipt).await?;
        ensure(said.patient_id == self.id(), "it is about somebody else")?;
        met.trail.taken_back(&said)?;
        met.trail.counts.statements += 1;
        let item = HistoryItem {
            record_id: Some(said.record_id),
            logged: Some(log_size),
            ..blank
        };
        self.concerning(HistoryKind::TakenBack, said.institution_id, item)
            .await
    }

    async fn released(&self, receipt: pb::Receipt, met: &mut Met, blank: HistoryItem) -> Result<HistoryItem> {
        let receipt = self
            .session
            .receipt::<ReleaseReceipt>(Some(receipt), "the receipt")
            .await?;
        self.check_receipt_head(receipt.statement.vault_head).await?;
        let said = &receipt.statement;
        ensure(said.patient_id == self.id(), "it is about somebody else")?;
        held(met, said.permission_id, said.institution_id)?;
        met.trail.released(said)?;
        met.receipt(receipt.checkpoint.size);
        let item = HistoryItem {
            permission_id: Some(said.permission_id),
            records: self.released_records(said).await?,
            bytes: Some(said.bytes),
            logged: Some(receipt.checkpoint.size),
            ..blank
        };
        self.concerning(HistoryKind::Released, said.institution_id, item)
            .await
    }

    /// The records of which something was handed out: what the receipt's hash is over (REV-4).
    async fn released_records(&self, receipt: &ReleaseReceipt) -> Result<Vec<RecordId>> {
        let (mut hasher, mut records) = (ReleasedHasher::default(), Vec::new());
        let path = api::RELEASED_RANGES.at([&receipt.release_id]).with("limit", &200);
        let mut pages = self.session.server.pages(path);
        while let Some(page) = pages.next().await? {
            for version in page.versions {
                let version = VersionLeaves::try_from(version).map_err(tampered)?;
                hasher.add(&version).map_err(tampered)?;
                if !records.contains(&version.record_id) {
                    records.push(version.record_id);
                }
            }
        }
        ensure(
            hasher.finish() == receipt.released_hash,
            "the receipt is over other records than those that are shown",
        )?;
        Ok(records)
    }

    /// A presentation is proven by the possession key of her permission and by the institution's own key.
    async fn presented(
        &self,
        message: pb::Presented,
        met: &mut Met,
        blank: HistoryItem,
    ) -> Result<HistoryItem> {
        let permission = met
            .trail
            .known(PermissionId::try_from(message.permission_id.as_ref())?)?
            .clone();
        let permission = &permission;
        let institution = InstitutionId::try_from(message.institution_id.as_ref())?;
        ensure(
            met.emergencies.may_hold(permission, institution),
            "it was presented by somebody else",
        )?;
        let presenter = self.session.institution(institution).await?;
        let proven = ProvenPresentation::verify(&message, permission, &presenter).map_err(tampered)?;
        let pb::Presented {
            release_ticket,
            standby_ticket,
            ..
        } = message;
        met.trail.presented(permission.permission_id, proven.hash)?;
        met.trail.counts.presentations += 1;
        let mut item = HistoryItem {
            terminal: proven.terminal.as_ref().map(TerminalRef::from),
            purpose: Purpose::read(proven.presentation.purpose).map_err(tampered)?,
            ..under(permission, blank)
        };
        if let Some(receipt) = release_ticket {
            let ticket = self
                .session
                .receipt::<ReleaseTicket>(Some(receipt), "the release ticket")
                .await?;
            ensure(
                ticket.statement.permission_id == permission.permission_id,
                "its ticket is for something else",
            )?;
            ensure(
                ticket.statement.presentation_hash == proven.hash,
                "its ticket names another presentation",
            )?;
            met.trail.opened_release(&ticket.statement)?;
            met.receipt(ticket.checkpoint.size);
            item.logged = Some(ticket.checkpoint.size);
        } else {
            let ticket = Signed::<StandbyTicket>::try_from(standby_ticket)
                .and_then(|ticket| ticket.verify(self.session.server.operator()))
                .map_err(tampered)?;
            ensure(
                ticket.permission_id == permission.permission_id,
                "its ticket is for something else",
            )?;
            met.trail.opened_upload(&ticket, proven.hash);
            item.record_id = Some(ticket.record_id);
        }
        self.concerning(HistoryKind::Presented, institution, item).await
    }

    async fn asked_item(&self, kind: HistoryKind, asked: &Asked, blank: HistoryItem) -> Result<HistoryItem> {
        self.open_asked(asked).await?;
        let institution = InstitutionRef {
            id: asked.asker.id(),
            name: asked.asker.name().as_str().to_owned(),
        };
        Ok(HistoryItem {
            kind,
            institution: Some(institution),
            request_id: Some(asked.request_id),
            purpose: asked.purpose,
            ..blank
        })
    }

    async fn concerning(
        &self,
        kind: HistoryKind,
        institution: InstitutionId,
        item: HistoryItem,
    ) -> Result<HistoryItem> {
        let institution = Some(self.institution_ref(institution).await?);
        Ok(HistoryItem {
            kind,
            institution,
            ..item
        })
    }

    /// A statement that must be of a device of hers, or of a delegate (DEV-8).
    async fn own<T: OfPatient>(&self, message: pb::PatientStatement) -> Result<PatientVerified<T>> {
        let statement = PatientSigned::<T>::try_from(message)
            .and_then(PatientSigned::verify)
            .map_err(tampered)?;
        ensure(statement.patient_id() == self.id(), "it is somebody else's")?;
        self.known_signer(statement.device(), statement.delegation())
            .await?;
        Ok(statement)
    }
}

/// A signature base that this key has signed.
fn signed_text<'a>(base: &'a [u8], signature: &[u8], key: &IdentityKey) -> Result<&'a str> {
    let signature = signature.try_into();
    let signature = signature.map_err(|_| tampered("a signature is malformed"))?;
    key.verify(base, signature).map_err(tampered)?;
    std::str::from_utf8(base).map_err(tampered)
}

/// The operator alone says who stored or received: it must be whom the patient permitted.
fn held(met: &Met, permission: PermissionId, institution: InstitutionId) -> Result<()> {
    ensure(
        met.emergencies
            .may_hold(met.trail.known(permission)?, institution),
        "another institution was permitted",
    )
}

/// What an entry says of the permission that it is about.
fn under(permission: &VerifiedPermission, blank: HistoryItem) -> HistoryItem {
    HistoryItem {
        permission_id: Some(permission.permission_id),
        records: permission.records.iter().map(|record| record.record_id).collect(),
        collection: permission.collection.map(|selector| selector.collection.id),
        ..blank
    }
}

impl Met {
    fn rule(&self, statement: &Sha256Digest) -> Option<String> {
        self.rules.get(&statement.to_string()).cloned()
    }

    /// A receipt that was proven to stand in the log.
    fn receipt(&mut self, log_size: u64) {
        let counts = &mut self.trail.counts;
        counts.receipts += 1;
        counts.log_size = counts.log_size.max(log_size);
    }

    /// Carries on what this institution has stored, or has been given.
    fn add_up(&mut self, item: &mut HistoryItem) {
        let moved = matches!(item.kind, HistoryKind::Stored | HistoryKind::Released);
        if let (true, Some(bytes), Some(institution)) = (moved, item.bytes, &item.institution) {
            let stored = item.kind == HistoryKind::Stored;
            let total = self.totals.entry((institution.id, stored)).or_default();
            *total = total.saturating_add(bytes);
            item.total = Some(*total);
        }
    }
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(tampered(otherwise)) }
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the history entry")(cause)
}
