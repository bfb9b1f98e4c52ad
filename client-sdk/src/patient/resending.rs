//! A revocation is sent whatever the server shows (REV-11): on an old copy of its data a permission that was revoked has come back to
//! life, and must be closed there. What such a server takes is lost with that copy, so this device keeps it, and sends it again until
//! a vault that verifies has it.

use std::collections::BTreeSet;

use protocol_spec::{
    api,
    bodies::{Revocation, RevocationReceipt},
    hash::Sha256Digest,
    ids::PermissionId,
    log::Receipt,
    messages as pb,
    permission::VerifiedPermission,
    submitted,
};

use crate::{
    Error, Result,
    patient::{
        lines::{self, LINES, Lines},
        paged, permissions,
        standing::{OwnPermission, PermissionState},
        vault::Vault,
    },
};

/// Ids of permissions, as text.
type Waiting = BTreeSet<String>;

/// Revokes a permission at a server that shows another vault than was seen, or none: what the home knows of the permission is
/// enough. The cause remains one; it says whether the revocation was taken.
pub(super) async fn revoke_all_the_same(vault: &Vault, permission: PermissionId, cause: Error) -> Error {
    let hopeless = matches!(
        cause,
        Error::Unknown { .. }
            | Error::Unreachable { .. }
            | Error::HomeLocked { .. }
            | Error::HomeDamaged { .. }
    );
    if hopeless {
        return cause;
    }
    match revoke_unseen(vault, permission).await {
        Ok(revoked) if !revoked.is_empty() => only(&revoked, cause),
        Ok(_) => cause,
        Err(error) => {
            tracing::debug!(%error, "the revocation was not taken");
            cause
        }
    }
}

/// A permission is revoked, and what should follow failed. On an old copy of the data the revocation is lost with
/// that, so it is kept.
pub(super) async fn only_revoked(vault: &Vault, permission: &VerifiedPermission, cause: Error) -> Error {
    let id = permission.permission_id;
    match keep_revocation(vault, id).await {
        Ok(()) => only(&[id], cause),
        Err(error) => error,
    }
}

/// Revokes the permission and all others of its line. Gives those of which a server has signed that it took the revocation.
async fn revoke_unseen(vault: &Vault, permission: PermissionId) -> Result<Vec<PermissionId>> {
    let (mut revoked, mut failed) = (Vec::new(), None);
    for (id, hash) in line_of(vault, permission).await? {
        keep_revocation(vault, id).await?;
        // On an old copy one of them may not be there yet; the others are closed all the same.
        match revoke_one_unseen(vault, id, hash).await {
            Ok(()) => revoked.push(id),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if revoked.is_empty() => Err(error),
        _ => Ok(revoked),
    }
}

pub(super) async fn revoke_one_unseen(vault: &Vault, id: PermissionId, hash: Sha256Digest) -> Result<()> {
    let answer = send_revocation(vault, id, hash).await?;
    let receipt = Receipt::<RevocationReceipt>::verify(answer.receipt, vault.session.server.operator())
        .map_err(Error::tampered(RECEIPT))?;
    let said = &receipt.statement;
    if said.permission_id != id || said.patient_id != vault.id() {
        return Err(Error::tampered(RECEIPT)("it is about another permission"));
    }
    Ok(())
}

/// The permission, those whose place it has taken and those that have taken its own, one after the other, as far as the home or the
/// server knows them. Each is as she has signed it; nobody says that these are all.
async fn line_of(vault: &Vault, permission: PermissionId) -> Result<Vec<(PermissionId, Sha256Digest)>> {
    let mut shown = Vec::new();
    for entry in paged::permission_entries(vault).await.unwrap_or_default() {
        shown.extend(permissions::own_permission(vault, entry.permission).await.ok());
    }
    let given = {
        let mut seen = vault.acts.lock().await;
        seen.kept(&vault.session.home)?.permissions()
    };
    let known: Lines = vault.session.home.read_json(LINES)?.unwrap_or_default();
    let (mut line, mut passed) = (Vec::new(), BTreeSet::new());
    let mut next = Some(lines::first_of_line(vault, permission)?);
    while let Some(id) = next.take() {
        let seen = given.get(&id).map(|given| given.hash);
        let signed = shown.iter().find(|shown| shown.permission_id == id);
        if let Some(hash) = seen.or_else(|| signed.map(VerifiedPermission::hash)) {
            line.push((id, hash));
        }
        let replaces = |shown: &&VerifiedPermission| {
            shown
                .replaces
                .is_some_and(|replaced| replaced.permission_id == id)
        };
        let shown = shown.iter().find(replaces).map(|shown| shown.permission_id);
        let kept = || {
            let by = known.iter().find(|(_, before)| **before == id.to_string());
            by.and_then(|(new, _)| new.parse().ok())
        };
        let after: Option<PermissionId> = shown.or_else(kept);
        passed.insert(id);
        next = after.filter(|after| !passed.contains(after));
    }
    Ok(line)
}

/// Signs a revocation and sends it; the answer is not looked at yet.
pub(super) async fn send_revocation(
    vault: &Vault,
    permission_id: PermissionId,
    permission_hash: Sha256Digest,
) -> Result<pb::RevocationAnswer> {
    let revocation = Revocation {
        created: vault.session.system().now_ms(),
        permission_id,
        permission_hash,
        patient_id: vault.id(),
    };
    let revocation = vault.keys.statement(revocation);
    let message = submitted::SubmitRevocation { revocation };
    vault.post(api::SUBMIT_REVOCATION.here(), &message).await
}

async fn keep_revocation(vault: &Vault, id: PermissionId) -> Result<()> {
    let _lock = vault.session.home.lock().await?;
    let mut waiting = waiting_revocations(vault)?;
    waiting.insert(id.to_string());
    vault.session.home.write_json(WAITING, &waiting)
}

pub(super) fn waiting_revocations(vault: &Vault) -> Result<Waiting> {
    Ok(vault.session.home.read_json(WAITING)?.unwrap_or_default())
}

fn only(revoked: &[PermissionId], cause: Error) -> Error {
    let ids: Vec<String> = revoked.iter().map(ToString::to_string).collect();
    let verb = if ids.len() == 1 { "is" } else { "are" };
    Error::RevokedOnly {
        permissions: format!("{} {verb}", ids.join(", ")),
        cause: Box::new(cause),
    }
}

/// Those that are waiting, or have taken the place of one that is, and still hold or may hold again.
pub(super) fn unsettled(waiting: &Waiting, mut own: Vec<OwnPermission>) -> Vec<OwnPermission> {
    let mut ids = waiting.clone();
    loop {
        let before = ids.len();
        for own in &own {
            let replaces = own.permission.replaces.as_ref();
            if replaces.is_some_and(|replaces| ids.contains(&replaces.permission_id.to_string())) {
                ids.insert(own.permission.permission_id.to_string());
            }
        }
        if ids.len() == before {
            break;
        }
    }
    own.retain(|own| {
        let settled = matches!(own.state, PermissionState::Revoked | PermissionState::Replaced);
        ids.contains(&own.permission.permission_id.to_string()) && !settled
    });
    own
}

/// Revocations that a server has taken, and perhaps lost.
pub(super) const WAITING: &str = "revocations.json";

pub(super) const RECEIPT: &str = "the receipt of the revocation";
