//! What happened to her vault: who asked, what she permitted, who presented, what was stored and released.
//! Statements are checked by their makers' keys, receipts by the log, presentations by both signatures.

pub(in crate::patient) mod check;
pub(in crate::patient) mod delegates;
pub(in crate::patient) mod emergency;
pub(in crate::patient) mod item;
pub(in crate::patient) mod signed;
pub(in crate::patient) mod trail;

use std::collections::HashMap;

use protocol_spec::{
    api::{self, PageQuery},
    bodies::{
        Denial, Note, ReleaseReceipt, ReleaseTicket, Revocation, StandbyTicket, UploadReceipt, UploadRequest,
    },
    delegation::VerifiedDelegation,
    devices::{DeviceList, ListedDevice},
    evidence::ProvenPresentation,
    hash::Sha256Digest,
    history::purpose_of,
    ids::{InstitutionId, PermissionId, RecordId},
    keys::IdentityKey,
    messages::{self as pb, history_entry::What},
    patient::PatientVerified,
    permission::VerifiedPermission,
    released::{ReleasedHasher, VersionLeaves},
    statement::Signed,
};

use crate::{
    Error, Result,
    patient::{
        delegation, deletions,
        history::{
            emergency::Emergencies,
            item::tampered,
            trail::{Seen, Trail},
        },
        listed, paged, permissions,
        refs::InstitutionRef,
        rekey, requests, shown,
        vault::Vault,
    },
    rules::rules_by_statement,
    trust::Asked,
};

pub use self::{
    check::HistoryCheck,
    item::{DeviceChange, DeviceRef, HistoryItem, HistoryKind, TerminalRef},
    trail::Counts,
};
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

pub(super) async fn history(vault: &Vault) -> Result<Vec<HistoryItem>> {
    let walk = walk_history(vault).await?;
    if walk.items.iter().all(|item| item.problem.is_none()) {
        walk.seen.keep(&vault.session.home, walk.before).await?;
    }
    Ok(walk.items)
}

/// Goes through the history. What it has seen is kept by the caller, if it believes it.
async fn walk_history(vault: &Vault) -> Result<Walk> {
    let mut items = Vec::new();
    let known = listed::refresh_devices(vault).await?;
    let mut met = Met {
        devices: known
            .list(0)
            .ok_or_else(|| tampered("there is no list of devices"))?,
        trail: Trail::default(),
        delegations: HashMap::new(),
        emergencies: Emergencies::default(),
        rules: rules_by_statement(&vault.session.home)?,
        totals: HashMap::new(),
    };
    let (before, mut seen) = (Seen::read(&vault.session.home)?, Seen::nothing());
    let mut pages = paged::history_pages(vault);
    while let Some(page) = pages.next().await? {
        for entry in page.entries {
            if entry.number != seen.entries + 1 {
                return Err(Error::tampered("the history")(
                    "entries are missing or out of order",
                ));
            }
            seen.add(&entry);
            seen.check(before.as_ref())?;
            items.push(read(vault, entry, &mut met).await?);
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

async fn read(vault: &Vault, entry: pb::HistoryEntry, met: &mut Met) -> Result<HistoryItem> {
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
        Some(what) => read_what(vault, what, met, blank.clone()).await,
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

async fn read_what(vault: &Vault, what: What, met: &mut Met, blank: HistoryItem) -> Result<HistoryItem> {
    match what {
        What::UploadRequested(statement) => upload_requested(vault, statement, met, blank).await,
        What::DownloadRequested(statement) => {
            let asked = vault.session.asks.download(statement).await?;
            met.trail.counts.statements += 1;
            asked_item(vault, HistoryKind::DownloadRequested, &asked, blank).await
        }
        What::ReferenceRequested(statement) => {
            let asked = vault.session.asks.reference(statement).await?;
            met.trail.counts.statements += 1;
            asked_item(vault, HistoryKind::ReferenceRequested, &asked, blank).await
        }
        What::Permitted(permission) => permitted(vault, permission, met, blank).await,
        What::Denied(statement) => denied(vault, statement, met, blank).await,
        What::Noted(statement) => noted(vault, statement, met, blank).await,
        What::Revoked(statement) => revoked(vault, statement, met, blank).await,
        What::EmergencyOpened(used) => emergency::emergency_opened(vault, used, met, blank).await,
        What::EmergencyHelp(help) => emergency::emergency_help(vault, help, met, blank).await,
        What::EmergencyObjected(statement) => {
            emergency::emergency_objected(vault, statement, met, blank).await
        }
        What::RecordDeleted(logged) => record_deleted(vault, logged, met, blank).await,
        What::TakenBack(receipt) => taken_back(vault, receipt, met, blank).await,
        What::Deleted(_) => Ok(HistoryItem {
            kind: HistoryKind::Deleted,
            ..blank
        }),
        What::Closed(logged) => epoch_closed(vault, logged, met, blank).await,
        What::Delegated(statement) => delegated(vault, statement, met, blank).await,
        What::DelegateRead(read) => delegates::delegate_read(vault, read, met, blank),
        What::DelegationEnded(statement) => delegates::delegation_ended(vault, statement, met, blank).await,
        What::DevicesChanged(list) => devices_changed(vault, list, met, blank),
        What::Presented(message) => presented(vault, message, met, blank).await,
        What::Stored(receipt) => stored(vault, receipt, met, blank).await,
        What::Released(receipt) => released(vault, receipt, met, blank).await,
    }
}

async fn upload_requested(
    vault: &Vault,
    statement: pb::PatientStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let request: PatientVerified<UploadRequest> = signed::own(vault, statement).await?;
    met.trail.counts.statements += 1;
    let item = HistoryItem {
        request_id: Some(request.request_id),
        device: Some(signed::acted(vault, request.device(), met)?),
        ..blank
    };
    signed::concerning(vault, HistoryKind::UploadRequested, request.institution_id, item).await
}

async fn permitted(
    vault: &Vault,
    permission: pb::Permission,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let permission = permissions::own_permission(vault, Some(permission)).await?;
    met.trail.counts.statements += 1;
    met.trail.permitted(permission.clone());
    let signer = (permission.device(), permission.delegation());
    let item = HistoryItem {
        purpose: permission.purpose,
        rule: met.rule(&permission.hash()),
        ..under(&permission, signed::signed_by(vault, signer, met, blank)?)
    };
    signed::concerning(vault, HistoryKind::Permitted, permission.institution_id, item).await
}

async fn denied(
    vault: &Vault,
    statement: pb::PatientStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let denial: PatientVerified<Denial> = signed::own(vault, statement).await?;
    met.trail.counts.statements += 1;
    let signer = (denial.device(), denial.delegation());
    let item = HistoryItem {
        request_id: Some(denial.request_id),
        rule: met.rule(&denial.hash()),
        ..signed::signed_by(vault, signer, met, blank)?
    };
    signed::concerning(vault, HistoryKind::Denied, denial.institution_id, item).await
}

/// A note must be about a permission that stands before it, for its institution (NOTE-4).
async fn noted(
    vault: &Vault,
    statement: pb::PatientStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let note: PatientVerified<Note> = signed::own(vault, statement).await?;
    let permission = met.trail.known(note.permission_id)?.clone();
    let about = (note.permission_hash, note.institution_id) == (permission.hash(), permission.institution_id);
    ensure(about, "it is about another permission")?;
    met.trail.counts.statements += 1;
    let item = HistoryItem {
        device: Some(signed::acted(vault, note.device(), met)?),
        ..under(&permission, blank)
    };
    signed::concerning(vault, HistoryKind::Noted, note.institution_id, item).await
}

async fn revoked(
    vault: &Vault,
    statement: pb::PatientStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let revocation: PatientVerified<Revocation> = signed::own(vault, statement).await?;
    let permission = met.trail.known(revocation.permission_id)?.clone();
    if revocation.permission_hash != permission.hash() {
        return Err(tampered("it revokes another permission"));
    }
    met.trail.counts.statements += 1;
    met.trail.revoked.insert(revocation.permission_id);
    let item = HistoryItem {
        device: Some(signed::acted(vault, revocation.device(), met)?),
        ..under(&permission, blank)
    };
    signed::concerning(vault, HistoryKind::Revoked, permission.institution_id, item).await
}

async fn record_deleted(
    vault: &Vault,
    logged: pb::LoggedStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let deletion = deletions::record_deletion(vault, logged).await?;
    let said = &deletion.statement;
    met.trail.gone(said.record_id, said.version_id)?;
    met.trail.counts.statements += 1;
    Ok(HistoryItem {
        kind: HistoryKind::RecordDeleted,
        device: Some(signed::acted(vault, said.device(), met)?),
        record_id: Some(said.record_id),
        logged: Some(deletion.checkpoint.size),
        ..blank
    })
}

async fn epoch_closed(
    vault: &Vault,
    logged: pb::LoggedStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let closure = rekey::epoch_closure(vault, logged).await?;
    Ok(HistoryItem {
        kind: HistoryKind::EpochClosed,
        device: Some(signed::acted(vault, closure.statement.device(), met)?),
        logged: Some(closure.checkpoint.size),
        ..blank
    })
}

async fn delegated(
    vault: &Vault,
    statement: pb::PatientStatement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let delegation = delegation::own_delegation_statement(vault, Some(statement)).await?;
    met.trail.counts.statements += 1;
    let item = HistoryItem {
        kind: HistoryKind::Delegated,
        device: Some(signed::acted(vault, delegation.device(), met)?),
        delegate: Some(delegation::delegate_ref(vault, &delegation)?),
        ..blank
    };
    met.delegations.insert(delegation.hash(), (delegation, false));
    Ok(item)
}

/// A list, which must be the next one that this device has verified.
fn devices_changed(
    vault: &Vault,
    list: pb::Statement,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let list = Signed::<DeviceList>::try_from(list).map_err(tampered)?;
    let sequence = met.devices.claimed().sequence + 1;
    let verified = vault.keys.known().list(sequence);
    let same = verified.is_some_and(|verified| verified.hash() == list.hash());
    ensure(same, "it is not the list that follows the one before")?;
    let before = met.devices.claimed();
    let shown = |device: &ListedDevice| signed::device_ref(vault, device.id());
    let change = DeviceChange {
        added: list.claimed().added(before).map(shown).collect::<Result<_>>()?,
        removed: list.claimed().removed(before).map(shown).collect::<Result<_>>()?,
    };
    let item = HistoryItem {
        kind: HistoryKind::DevicesChanged,
        device: Some(signed::device_ref(vault, list.claimed().signer)?),
        change: Some(change),
        ..blank
    };
    met.devices = list;
    Ok(item)
}

async fn stored(
    vault: &Vault,
    receipt: pb::Receipt,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let receipt = vault
        .session
        .log
        .receipt::<UploadReceipt>(Some(receipt), "the receipt")
        .await?;
    shown::check_receipt_head(vault, receipt.statement.vault_head).await?;
    let said = &receipt.statement;
    ensure(said.patient_id == vault.id(), "it is about somebody else")?;
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
    signed::concerning(vault, kind, said.institution_id, item).await
}

async fn taken_back(
    vault: &Vault,
    receipt: pb::Receipt,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let (said, log_size) = vault.session.records.taken_back(receipt).await?;
    ensure(said.patient_id == vault.id(), "it is about somebody else")?;
    met.trail.taken_back(&said)?;
    met.trail.counts.statements += 1;
    let item = HistoryItem {
        record_id: Some(said.record_id),
        logged: Some(log_size),
        ..blank
    };
    signed::concerning(vault, HistoryKind::TakenBack, said.institution_id, item).await
}

async fn released(
    vault: &Vault,
    receipt: pb::Receipt,
    met: &mut Met,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    let receipt = vault
        .session
        .log
        .receipt::<ReleaseReceipt>(Some(receipt), "the receipt")
        .await?;
    shown::check_receipt_head(vault, receipt.statement.vault_head).await?;
    let said = &receipt.statement;
    ensure(said.patient_id == vault.id(), "it is about somebody else")?;
    held(met, said.permission_id, said.institution_id)?;
    met.trail.released(said)?;
    met.receipt(receipt.checkpoint.size);
    let item = HistoryItem {
        permission_id: Some(said.permission_id),
        records: released_records(vault, said).await?,
        bytes: Some(said.bytes),
        logged: Some(receipt.checkpoint.size),
        ..blank
    };
    signed::concerning(vault, HistoryKind::Released, said.institution_id, item).await
}

/// The records of which something was handed out: what the receipt's hash is over (REV-4).
async fn released_records(vault: &Vault, receipt: &ReleaseReceipt) -> Result<Vec<RecordId>> {
    let (mut hasher, mut records) = (ReleasedHasher::default(), Vec::new());
    let path = api::RELEASED_RANGES.ask([&receipt.release_id], PageQuery::of(200));
    let mut pages = vault.session.server.pages(path);
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
    vault: &Vault,
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
    let presenter = vault.session.mirror.institution(institution).await?;
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
        ..under(permission, blank)
    };
    if let Some(receipt) = release_ticket {
        let ticket = vault
            .session
            .log
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
        item.purpose = purpose_of(&proven, permission, ticket.statement.created).map_err(tampered)?;
        met.trail.opened_release(&ticket.statement)?;
        met.receipt(ticket.checkpoint.size);
        item.logged = Some(ticket.checkpoint.size);
    } else {
        let ticket = Signed::<StandbyTicket>::try_from(standby_ticket)
            .and_then(|ticket| ticket.verify(vault.session.server.operator()))
            .map_err(tampered)?;
        ensure(
            ticket.permission_id == permission.permission_id,
            "its ticket is for something else",
        )?;
        item.purpose = purpose_of(&proven, permission, ticket.created).map_err(tampered)?;
        met.trail.opened_upload(&ticket, proven.hash);
        item.record_id = Some(ticket.record_id);
    }
    signed::concerning(vault, HistoryKind::Presented, institution, item).await
}

async fn asked_item(
    vault: &Vault,
    kind: HistoryKind,
    asked: &Asked,
    blank: HistoryItem,
) -> Result<HistoryItem> {
    requests::open_asked(vault, asked).await?;
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
