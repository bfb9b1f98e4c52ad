//! Permissions: granted by the patient, metered by the server. The permission as it came never changes;
//! what is left of it stands in its meter.

use bytes::Bytes;
use protocol_spec::{
    bodies::VaultHead,
    defence::Defence,
    hash::Sha256Digest,
    ids::{PatientId, PermissionId},
    lifecycle::Meter,
    messages as pb,
    patient::PatientVerified,
    permission::{Kind, PermissionBody, Replaces, VerifiedPermission},
    problem::Problem,
    statement::Body,
    submitted,
    vault_head::Act,
};

use crate::vault::{
    ask::{asked, meter, received},
    core::{
        proven::{Admitted, Proven},
        refusal::{Refusal, ensure},
        role::MayPermit,
        shared::Shared,
        sizes::release_bytes,
        submission::{Submission, Turn},
        tx::{Operation, Tx},
    },
    delegation::acting,
    keep::{collections, gone},
    tables::{self, MeterRow, PermissionRow, RequestRow},
    telling::{
        acts, heads, history,
        tell::{self, Tells},
    },
    who::{caller::Caller, entries},
};

use pb::{RequestState, event};

/// The caller's own permissions in the order of their ids, after this one, with what is left of them.
pub(crate) async fn vault_permissions(
    shared: &Shared,
    caller: &Caller,
    after: Option<PermissionId>,
    limit: usize,
) -> Result<pb::PermissionList, Refusal> {
    let patient = caller.patient()?;
    let first = tables::permissions(patient).behind(after);
    let (rows, more) = shared.short_page(first, limit).await?;
    let mut list = pb::PermissionList::default();
    if let Some(last) = rows.last().filter(|_| more) {
        list.next = Bytes::copy_from_slice(last.body()?.permission_id.as_bytes());
    }
    for row in rows {
        list.permissions.push(entry(shared, patient, row).await?);
    }
    Ok(list)
}

async fn entry(
    shared: &Shared,
    patient: PatientId,
    row: PermissionRow,
) -> Result<pb::PermissionEntry, Refusal> {
    let body = row.body()?;
    let meter = meter::meter(shared, patient, body.permission_id).await?;
    let expired = shared.time.has_passed(body.not_after).await;
    let receipt = meter
        .revocation
        .as_ref()
        .and_then(|answer| answer.receipt.clone());
    Ok(pb::PermissionEntry {
        revocation_receipt: receipt.and_then(|receipt| receipt.statement),
        permission: row.permission,
        state: meter::state(&meter, expired).into(),
        uses_left: meter.uses_left,
        bytes_left: meter.bytes_left,
        uses_held: meter.uses_held,
        bytes_held: meter.bytes_held,
        upload_key_wrap: row.upload_key_wrap,
    })
}

impl PermissionRow {
    /// SHA-256 of its exact body.
    pub(in crate::vault) fn hash(&self) -> Sha256Digest {
        let body = self.permission.as_ref().map(|permission| &permission.body);
        Sha256Digest::of(body.map(AsRef::as_ref).unwrap_or_default())
    }

    /// The permission's conditions, which were verified before they were stored.
    pub(in crate::vault) fn body(&self) -> Result<PermissionBody, Refusal> {
        let bytes = self
            .permission
            .as_ref()
            .map_or(&[][..], |permission| &permission.body);
        PermissionBody::decode(bytes).map_err(Refusal::damaged)
    }
}

/// Takes a verified permission in: checks that it is for the institution as it is enrolled now and not
/// over, then writes it, its meter, its place in history and in the log (FLW-2). Its row's `permission`
/// and `salt` are filled in here.
pub(in crate::vault) async fn grant(
    tx: &mut Tx<'_>,
    permission: &Admitted<VerifiedPermission>,
    row: PermissionRow,
) -> Result<(), Refusal> {
    if tx.has_passed(permission.not_after).await {
        return Err(Problem::PermissionExpired.into());
    }
    let institution = entries::institution(tx, permission.institution_id).await?;
    let current = institution.entry_hash() == permission.directory_entry_hash
        && institution.recipient_key().digest() == permission.recipient_key_hash;
    ensure(
        Defence::RequestMatch.holds(current),
        Problem::RequestMismatch,
        "the permission is for other keys of the institution",
    )?;
    take_in(tx, permission, row).await
}

/// Writes a permission, its meter, its place in history and in the log.
pub(in crate::vault) async fn take_in(
    tx: &mut Tx<'_>,
    permission: &Admitted<VerifiedPermission>,
    row: PermissionRow,
) -> Result<(), Refusal> {
    let patient = permission.patient_id;
    if tx.has_passed(permission.not_after).await {
        return Err(Problem::PermissionExpired.into());
    }
    tx.place(&permission.permission_id, patient).await?;
    acts::check_head(tx, permission).await?;
    let act = Act::Permission(permission.permission_id, permission.hash());
    tell::tell(tx, Tells::logged(patient, permission).act(act)).await?;
    let row = PermissionRow {
        permission: Some(permission.to_message()),
        ..row
    };
    tx.claim(&tables::permission(patient, permission.permission_id), &row)
        .await?;
    let meter = MeterRow::default().with(Meter::of(permission));
    tx.put(&tables::meter(patient, permission.permission_id), &meter);
    if permission.kind != Kind::Emergency {
        let institution = *permission.institution_id.as_bytes();
        received::has_met(tx, *patient.as_bytes(), institution).await?;
    }
    history::record_permission(tx, permission).await
}

/// Ends the permission whose place this one takes, which must be live and as the device saw it (PRM-14). Gives the
/// request that both answer.
async fn replace(
    tx: &mut Tx<'_>,
    permission: &PermissionBody,
    replaces: &Replaces,
) -> Result<RequestRow, Refusal> {
    end_replaced(tx, permission, replaces).await?;
    tx.read_existing(&tables::request(permission.patient_id, permission.request_hash))
        .await
}

/// Ends the permission whose place this one takes (PRM-14), and gives its conditions.
pub(in crate::vault) async fn end_replaced(
    tx: &mut Tx<'_>,
    permission: &PermissionBody,
    replaces: &Replaces,
) -> Result<PermissionBody, Refusal> {
    let (patient, id) = (permission.patient_id, replaces.permission_id);
    let row = tx.read_existing(&tables::permission(patient, id)).await?;
    let old = row.body()?;
    let same = row.hash() == replaces.permission_hash
        && old.request_hash == permission.request_hash
        && old.kind == permission.kind
        && old.institution_id == permission.institution_id;
    ensure(
        Defence::RequestMatch.holds(same),
        Problem::RequestMismatch,
        "it would take the place of another permission",
    )?;
    let key = tables::meter(patient, id);
    let meter = tx.read_existing(&key).await?;
    let over = tx.has_passed(old.not_after).await;
    let replaced = meter.meter().replace(replaces, over)?;
    tx.put(&key, &meter.with(replaced));
    Ok(old)
}

/// Every record of the permission is in the vault as the permission describes it (FLW-3), or its collection
/// is in the epoch whose key it wraps (COL-6). Gives the
/// bytes of their sealed manifests.
async fn check_records(tx: &mut Tx<'_>, permission: &PermissionBody) -> Result<u64, Refusal> {
    if let Some(selector) = &permission.collection {
        collections::check_current_epoch(tx, permission.patient_id, selector.collection).await?;
    }
    let mut manifests = 0_u64;
    for selector in &permission.records {
        let row = tx
            .read(&tables::record(permission.patient_id, selector.version_id))
            .await?;
        gone::check_not_gone(tx, permission.patient_id, selector.version_id).await?;
        let row = row.ok_or(Problem::RecordMismatch)?;
        let same = row.stored.is_some_and(|stored| {
            stored.record_id == selector.record_id.as_bytes()[..]
                && stored.content_root == selector.content_root.as_bytes()[..]
                && stored.stream_len == selector.stream_len
        });
        let same = Defence::RecordMatch.holds(same);
        ensure(same, Problem::RecordMismatch, "the record is another")?;
        manifests = manifests.saturating_add(row.manifest_length);
    }
    let answer = release_bytes(permission.records.len(), manifests);
    let fits = answer <= tx.shared.limits.most_of_release();
    ensure(
        fits,
        Problem::TooLarge,
        "the manifests of all records do not fit one answer",
    )?;
    Ok(manifests)
}

/// The patient, or a delegate of hers, permits what was asked for.
pub(crate) struct SubmitPermission {
    permission: Admitted<VerifiedPermission>,
    /// What the message holds beside the permission, as it is stored.
    row: PermissionRow,
    /// Over it and what came before.
    head: Option<Admitted<PatientVerified<VaultHead>>>,
}

impl Submission for SubmitPermission {
    type Message = submitted::SubmitPermission;
    type By = MayPermit;

    fn admit(message: Self::Message, who: &Proven<'_, MayPermit>) -> Result<Self, Refusal> {
        let permission = who.statement(message.permission)?;
        let wrap = message.upload_key_wrap.map(|wrap| wrap.bytes().clone());
        let row = PermissionRow {
            upload_key_wrap: wrap.unwrap_or_default(),
            upload_key_epoch: message.upload_key_epoch,
            ..PermissionRow::default()
        };
        // Heads are for devices of her own.
        let head = message.head.map(|head| who.own()?.statement(head)).transpose()?;
        Ok(Self {
            permission,
            row,
            head,
        })
    }

    async fn carry_out(&self, turn: Turn<'_>) -> Result<Self::Answer, Refusal> {
        let mut answer = turn.commit(self).await?;
        if let Some(head) = &mut answer.head {
            let patient = self.permission.patient_id;
            turn.shared.complete_logged(patient, head).await?;
        }
        Ok(answer)
    }
}

impl Operation for SubmitPermission {
    type Answer = pb::PermissionAnswer;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self {
            permission,
            row,
            head,
        } = self;
        let patient = permission.patient_id;
        tx.protects = permission.replaces.is_some();
        let kind = pb::PermissionKind::from(permission.kind);
        let request = match &permission.replaces {
            Some(replaces) => replace(tx, permission, replaces).await?,
            // An upload's comes with its request.
            None if permission.kind == Kind::Upload => return Err(Problem::RequestMismatch.into()),
            None => {
                asked::answer_request(tx, patient, permission.request_hash, RequestState::Permitted).await?
            }
        };
        let fits = request.kind() == kind && request.concerned == permission.institution_id.as_bytes()[..];
        ensure(
            Defence::RequestMatch.holds(fits),
            Problem::RequestMismatch,
            "the permission is of another kind or for another",
        )?;
        acting::check_delegated_records(tx, permission).await?;
        let row = PermissionRow {
            manifest_bytes: check_records(tx, permission).await?,
            ..row.clone()
        };
        grant(tx, permission, row).await?;
        let permitted = event::What::Permitted(pb::PermissionDelivered {
            permission_id: Bytes::copy_from_slice(permission.permission_id.as_bytes()),
            request_id: request.request_id,
            patient_id: Bytes::copy_from_slice(patient.as_bytes()),
            kind: kind.into(),
            replaced_permission_id: permission.replaces.map_or_else(Bytes::new, |replaces| {
                Bytes::copy_from_slice(replaces.permission_id.as_bytes())
            }),
        });
        let institution = *permission.institution_id.as_bytes();
        tell::tell(tx, Tells::of(patient).inbox(institution, permitted)).await?;
        Ok(pb::PermissionAnswer {
            head: match head {
                Some(head) => Some(heads::take_head(tx, head).await?),
                None => None,
            },
        })
    }
}
