//! Revocation: the server stops at once; then the keys that the institution was given are taken
//! out of use. See `protocol-spec/spec/revocation.md`.

use std::collections::HashSet;

use protocol_spec::{
    bodies::RevocationReceipt,
    ids::{PermissionId, VersionId},
    messages as pb,
    problem::Problem,
    vault_head::Act,
};

use crate::{
    Error, Progress, Result,
    patient::{
        acts,
        certificate::{self, Released, RevocationReport},
        heads, permissions, rekey, reseal,
        resending::{self, RECEIPT, WAITING, unsettled},
        ring,
        standing::{OwnPermission, PermissionState},
        vault::Vault,
    },
};

pub(super) async fn revoke(
    vault: &Vault,
    permission: PermissionId,
    progress: &dyn Progress,
) -> Result<RevocationReport> {
    revoke_with(vault, permission, progress, None).await
}

pub(super) async fn revoke_and_reseal(
    vault: &Vault,
    permission: PermissionId,
    progress: &dyn Progress,
    bytes: &dyn Progress,
) -> Result<RevocationReport> {
    revoke_with(vault, permission, progress, Some(bytes)).await
}

async fn revoke_with(
    vault: &Vault,
    permission: PermissionId,
    progress: &dyn Progress,
    bytes: Option<&dyn Progress>,
) -> Result<RevocationReport> {
    let own = match permissions::newest_permission(vault, permission).await {
        Ok(own) => own,
        Err(error) => return Err(resending::revoke_all_the_same(vault, permission, error).await),
    };
    let revoked = match submit_revocation(vault, &own).await {
        Ok(revoked) => revoked,
        Err(error) => return Err(resending::revoke_all_the_same(vault, permission, error).await),
    };
    match follow_revocation(vault, &own, revoked, progress, bytes).await {
        Err(error)
            if error.is_problem(Problem::StorageFull) || error.is_problem(Problem::LogContradicted) =>
        {
            Err(resending::only_revoked(vault, &own.permission, error).await)
        }
        report => report,
    }
}

/// Takes the keys out of use that went out under a permission that is revoked now, and writes the certificate.
async fn follow_revocation(
    vault: &Vault,
    own: &OwnPermission,
    revoked: pb::RevocationAnswer,
    progress: &dyn Progress,
    bytes: Option<&dyn Progress>,
) -> Result<RevocationReport> {
    if let Some(selector) = own.permission.collection {
        // First, so that nothing is placed under the old key once it is written down what lies there.
        rekey::newer_epoch(vault, selector.collection).await?;
    }
    let exposed = certificate::exposed(vault, &own.permission).await?;
    let closure = match own.permission.collection {
        Some(selector) => {
            let old = selector.collection;
            Some((old, rekey::retire_epoch(vault, old, progress).await?))
        }
        None => None,
    };
    progress.finished();
    let released = certificate::released_under(vault, own.permission.permission_id).await?;
    let resealed = match bytes {
        Some(bytes) => {
            let handed_out = ever_handed_out(vault, own, &released).await?;
            Some(reseal::reseal(vault, &own.permission, &exposed, &handed_out, bytes).await?)
        }
        None => None,
    };
    heads::put_head_if_room(vault).await?;
    let report = certificate::certify(vault, &own.permission, revoked, exposed, released, closure).await?;
    Ok(RevocationReport { resealed, ..report })
}

/// Versions of which something was handed out under a permission, or under those whose place it has taken.
async fn ever_handed_out(
    vault: &Vault,
    own: &OwnPermission,
    released: &Released,
) -> Result<HashSet<VersionId>> {
    let mut versions: HashSet<VersionId> = released.versions().collect();
    let all = permissions::own_permissions(vault).await?;
    let mut before = own.permission.replaces;
    while let Some(replaced) = before {
        versions.extend(
            certificate::released_under(vault, replaced.permission_id)
                .await?
                .versions(),
        );
        // By its hash: by ids alone a chain could be a circle.
        let own = all
            .iter()
            .find(|own| own.permission.hash() == replaced.permission_hash);
        before = own.and_then(|own| own.permission.replaces);
    }
    Ok(versions)
}

pub(super) async fn finish_revocations(vault: &Vault, progress: &dyn Progress) -> Result<()> {
    ring::refresh_ring(vault).await?;
    for own in permissions::own_permissions(vault).await? {
        let Some(selector) = own.permission.collection else {
            continue;
        };
        let open = vault.ring.get().is_open(selector.collection);
        if open && own.state == PermissionState::Revoked {
            rekey::newer_epoch(vault, selector.collection).await?;
            certificate::exposed(vault, &own.permission).await?;
            rekey::retire_epoch(vault, selector.collection, progress).await?;
        }
    }
    // And removals of devices: an epoch that is not the current one is on its way out.
    rekey::retire_old_epochs(vault, progress).await?;
    heads::put_head(vault).await
}

pub(super) async fn submit_revocation(vault: &Vault, own: &OwnPermission) -> Result<pb::RevocationAnswer> {
    let permission = &own.permission;
    let answer = resending::send_revocation(vault, permission.permission_id, permission.hash()).await?;
    let receipt = vault
        .session
        .log
        .receipt::<RevocationReceipt>(answer.receipt.clone(), RECEIPT)
        .await?;
    let said = &receipt.statement;
    let same = said.permission_id == permission.permission_id
        && said.patient_id == vault.id()
        && said.institution_id == permission.institution_id;
    if !same {
        return Err(Error::tampered(RECEIPT)("it is about another permission"));
    }
    acts::did(
        vault,
        Act::Revocation(permission.permission_id, said.revocation_hash),
    )
    .await;
    Ok(answer)
}

pub(super) async fn resend_revocations(vault: &Vault) -> Result<Vec<PermissionId>> {
    let waiting = resending::waiting_revocations(vault)?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let mut sent = Vec::new();
    for own in unsettled(&waiting, permissions::own_permissions(vault).await?) {
        submit_revocation(vault, &own).await?;
        sent.push(own.permission.permission_id);
    }
    // What works on an old copy takes no head.
    heads::put_head(vault).await?;
    let _lock = vault.session.home.lock().await?;
    let mut left = resending::waiting_revocations(vault)?;
    left.retain(|id| !waiting.contains(id));
    vault.session.home.write_json(WAITING, &left)?;
    Ok(sent)
}
