//! Permissions: granted by the patient, metered by the server. The permission as it came never changes;
//! what is left of it stands in its meter.

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    ids::{PatientId, PermissionId},
    messages as pb,
    permission::{Kind, PermissionBody, SignedPermission, VerifiedPermission},
    problem::Problem,
    statement::Body,
};

use super::{
    Caller, Intent, Refusal, Shared, Vault,
    records::release_bytes,
    refusal::ensure,
    tables::{self, MeterRow, PermissionRow},
    tx::{Operation, Tx},
};

use pb::{PermissionState, RequestState, event, history_entry};

impl Vault {
    /// The patient permits what was asked for.
    ///
    /// # Errors
    /// `not-permitted`, `request-mismatch`, `request-answered`, `request-expired`, `record-mismatch`,
    /// `permission-expired`, `too-large`, `already-exists`.
    pub async fn submit_permission(
        &self,
        caller: &Caller,
        intent: &Intent,
        message: pb::SubmitPermission,
    ) -> Result<pb::Accepted, Refusal> {
        let permission = SignedPermission::try_from(message.permission)?.verify()?;
        self.shared
            .check_patient(caller, permission.patient_id, permission.operator_id)?;
        caller.check_device(permission.device())?;
        self.shared
            .mutate(caller, intent, SubmitPermission { permission })
            .await
    }

    /// The caller's own permissions in the order of their ids, after this one, with what is left of them.
    ///
    /// # Errors
    /// `not-permitted` unless a patient asks; those of the store.
    pub async fn vault_permissions(
        &self,
        caller: &Caller,
        after: Option<PermissionId>,
        limit: usize,
    ) -> Result<pb::PermissionList, Refusal> {
        let patient = caller.patient()?;
        let first = match after {
            Some(permission) => tables::permissions(patient).after(permission.as_bytes()),
            None => tables::permissions(patient),
        };
        let (rows, more) = self.shared.short_page(first, limit).await?;
        let mut list = pb::PermissionList::default();
        if let Some(last) = rows.last().filter(|_| more) {
            list.next = Bytes::copy_from_slice(last.body()?.permission_id.as_bytes());
        }
        for row in rows {
            list.permissions.push(self.shared.entry(patient, row).await?);
        }
        Ok(list)
    }
}

impl Shared {
    async fn entry(&self, patient: PatientId, row: PermissionRow) -> Result<pb::PermissionEntry, Refusal> {
        let body = row.body()?;
        let meter = self.meter(patient, body.permission_id).await?;
        let expired = self.time.has_passed(body.not_after).await;
        Ok(pb::PermissionEntry {
            permission: row.permission,
            state: state(&meter, expired).into(),
            uses_left: meter.uses_left,
            bytes_left: meter.bytes_left,
        })
    }

    /// What is left of a permission now.
    pub(super) async fn meter(
        &self,
        patient: PatientId,
        permission: PermissionId,
    ) -> Result<MeterRow, Refusal> {
        let meter = tables::meter(patient, permission).get(&*self.ledger).await?;
        meter.ok_or_else(|| Refusal::damaged("a permission has no meter"))
    }
}

impl PermissionRow {
    /// The permission's conditions, which were verified before they were stored.
    pub(super) fn body(&self) -> Result<PermissionBody, Refusal> {
        let bytes = self
            .permission
            .as_ref()
            .map_or(&[][..], |permission| &permission.body);
        PermissionBody::decode(bytes).map_err(Refusal::damaged)
    }
}

impl MeterRow {
    /// Takes bytes from what is left (FLW-6, FLW-9).
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), Refusal> {
        let covered = Defence::Budgets.holds(bytes <= self.bytes_left);
        ensure(covered, Problem::BytesSpent, "the budget does not cover this")?;
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        Ok(())
    }
}

impl Tx<'_> {
    /// Takes a verified permission in: checks that it is for the institution as it is enrolled now and not
    /// over, then writes it, its meter, its place in history and in the log (FLW-2). Its row's `permission`
    /// and `salt` are filled in here.
    pub(super) async fn grant(
        &mut self,
        permission: &VerifiedPermission,
        row: PermissionRow,
    ) -> Result<(), Refusal> {
        let patient = permission.patient_id;
        if self.has_passed(permission.not_after).await {
            return Err(Problem::PermissionExpired.into());
        }
        let institution = self.institution(permission.institution_id).await?;
        let current = institution.entry_hash() == permission.directory_entry_hash
            && institution.recipient_key().digest() == permission.recipient_key_hash;
        ensure(
            Defence::RequestMatch.holds(current),
            Problem::RequestMismatch,
            "the permission is for other keys of the institution",
        )?;
        self.place(&permission.permission_id, patient).await?;
        let row = PermissionRow {
            permission: Some(permission.to_message()),
            salt: self.log(&permission.hash())?.salt,
            ..row
        };
        self.claim(&tables::permission(patient, permission.permission_id), &row)
            .await?;
        let meter = MeterRow {
            uses_left: permission.uses,
            bytes_left: permission.bytes,
            revoked: false,
        };
        self.put(&tables::meter(patient, permission.permission_id), &meter);
        let permitted = history_entry::What::Permitted(permission.to_message());
        self.record_history(patient, permitted).await
    }

    /// Every record of the permission is in the vault as the permission describes it (FLW-3), or its collection
    /// is in the epoch whose key it wraps (COL-6). Gives the
    /// bytes of their sealed manifests.
    async fn check_records(&mut self, permission: &PermissionBody) -> Result<u64, Refusal> {
        if let Some(selector) = &permission.collection {
            self.check_current(permission.patient_id, selector.collection)
                .await?;
        }
        let mut manifests = 0_u64;
        for selector in &permission.records {
            let row = self
                .read(&tables::record(permission.patient_id, selector.version_id))
                .await?;
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
        let fits = answer <= self.shared.limits.most_of_release();
        ensure(
            fits,
            Problem::TooLarge,
            "the manifests of all records do not fit one answer",
        )?;
        Ok(manifests)
    }
}

struct SubmitPermission {
    permission: VerifiedPermission,
}

impl Operation for SubmitPermission {
    type Answer = pb::Accepted;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<pb::Accepted, Refusal> {
        let Self { permission } = self;
        let patient = permission.patient_id;
        let request = tx
            .answer_request(patient, permission.request_hash, RequestState::Permitted)
            .await?;
        let kind = pb::PermissionKind::from(permission.kind);
        let fits = permission.kind != Kind::Upload
            && request.kind() == kind
            && request.concerned == permission.institution_id.as_bytes()[..];
        ensure(
            Defence::RequestMatch.holds(fits),
            Problem::RequestMismatch,
            "the permission is of another kind or for another",
        )?;
        let row = PermissionRow {
            manifest_bytes: tx.check_records(permission).await?,
            ..PermissionRow::default()
        };
        tx.grant(permission, row).await?;
        let event = event::What::Permitted(pb::PermissionDelivered {
            permission_id: Bytes::copy_from_slice(permission.permission_id.as_bytes()),
            request_id: request.request_id,
            patient_id: Bytes::copy_from_slice(patient.as_bytes()),
            kind: kind.into(),
        });
        tx.notify(*permission.institution_id.as_bytes(), event).await?;
        Ok(pb::Accepted {})
    }
}

fn state(meter: &MeterRow, expired: bool) -> PermissionState {
    match meter {
        MeterRow { revoked: true, .. } => PermissionState::Revoked,
        _ if expired => PermissionState::Expired,
        MeterRow { uses_left: 0, .. } | MeterRow { bytes_left: 0, .. } => PermissionState::Spent,
        _ => PermissionState::Live,
    }
}
