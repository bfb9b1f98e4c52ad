//! The end of a delegation: the server stops at once; then the keys that the delegate was given are taken out of use,
//! as after a revocation (DLG-10).

use crypto::Collection;
use protocol_spec::{
    api,
    bodies::DelegationEnd,
    delegation::VerifiedDelegation,
    ids::{CollectionId, DelegationId},
    submitted,
    vault_head::Act,
};

use crate::{
    PermissionInfo, PermissionState, Progress, Result,
    patient::{
        acts,
        delegation::{
            self, DelegationInfo, DelegationState, OwnDelegation, delegation_info, giving, tampered,
        },
        heads, permissions, rekey, ring,
        vault::Vault,
    },
};

/// What the end of a delegation came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EndedDelegation {
    /// The delegation that has ended.
    #[serde(flatten)]
    pub delegation: DelegationInfo,
    /// Epochs of collections whose keys were taken out of use.
    #[serde(rename = "epochs_closed")]
    pub closed: usize,
    /// What the delegate has permitted and still holds; only revoking ends it.
    #[serde(serialize_with = "crate::text::still_held")]
    pub permissions: Vec<PermissionInfo>,
}

pub(in crate::patient) async fn end_delegation(
    vault: &Vault,
    id: DelegationId,
    progress: &dyn Progress,
) -> Result<EndedDelegation> {
    let own = delegation::find_delegation(vault, id).await?;
    let last = submit_end(vault, &own).await?;
    let closed = retire_up_to(vault, &last, progress).await?;
    progress.finished();
    heads::put_head(vault).await?;
    Ok(EndedDelegation {
        delegation: DelegationInfo {
            state: DelegationState::Ended,
            ..delegation_info(vault, &own)?
        },
        closed,
        permissions: permitted_by(vault, &own).await?,
    })
}

pub(in crate::patient) async fn tend_delegations(
    vault: &Vault,
    progress: &dyn Progress,
) -> Result<Vec<DelegationInfo>> {
    let mut ended = Vec::new();
    for own in delegation::own_delegations(vault).await? {
        let now = vault.session.clock.now();
        match own.state(now) {
            DelegationState::Live | DelegationState::NotYet | DelegationState::Offered => {
                giving::give_keys(vault, &own).await?;
            }
            // The server's word alone: nothing is signed for it.
            DelegationState::Refused => {}
            // By the server's clock alone it gets nothing, and is not ended for ever (PRM-16).
            DelegationState::Expired if !now.is_over(own.delegation.not_after) => {}
            DelegationState::Expired => {
                let last = submit_end(vault, &own).await?;
                retire_up_to(vault, &last, progress).await?;
                ended.push(delegation_info(vault, &own)?);
            }
            DelegationState::Ended => {
                let last = submit_end(vault, &own).await?;
                retire_up_to(vault, &last, progress).await?;
            }
        }
    }
    heads::put_head(vault).await?;
    Ok(ended)
}

/// Ends a delegation, unless it has ended, and gives the newest epochs that its end gives up. They are this
/// device's own word, or another one's of hers, and not the server's.
pub(in crate::patient) async fn submit_end(vault: &Vault, own: &OwnDelegation) -> Result<Vec<Collection>> {
    if let Some(end) = &own.end {
        return Ok(end.last.clone());
    }
    let last = newest_epochs(vault, &own.delegation).await?;
    let end = DelegationEnd {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        delegation_id: own.delegation.delegation_id,
        delegation_hash: own.delegation.hash(),
        last: last.clone(),
    };
    let end = vault.keys.statement(end);
    let message = submitted::EndDelegation { end };
    vault.post(api::END_DELEGATION.here(), &message).await?;
    // Another device may have been faster: then its end is the one that counts.
    let ended = delegation::find_delegation(vault, own.delegation.delegation_id).await?;
    let end = ended
        .end
        .ok_or_else(|| tampered("the server does not show its end"))?;
    let act = Act::DelegationEnd(end.delegation_id, end.hash());
    acts::did(vault, act).await;
    Ok(end.last.clone())
}

async fn newest_epochs(vault: &Vault, delegation: &VerifiedDelegation) -> Result<Vec<Collection>> {
    let ring = ring::refresh_ring(vault).await?;
    let newest = |id: &CollectionId| {
        let newest = ring.newest(*id);
        newest.ok_or_else(|| tampered("the server does not show a collection of it"))
    };
    delegation.collections.ids().iter().map(newest).collect()
}

/// Takes these epochs and those before out of use, and counts those that still were in use.
pub(in crate::patient) async fn retire_up_to(
    vault: &Vault,
    last: &[Collection],
    progress: &dyn Progress,
) -> Result<usize> {
    let mut open = Vec::new();
    {
        let ring = ring::refresh_ring(vault).await?;
        for newest in last {
            if ring.newest(newest.id).is_none() {
                return Err(tampered("the server does not show a collection of it"));
            }
            let id = newest.id;
            let up_to = (0..=newest.epoch).map(|epoch| Collection { id, epoch });
            open.extend(up_to.filter(|collection| ring.is_open(*collection)));
        }
    }
    for collection in &open {
        rekey::retire_epoch(vault, *collection, progress).await?;
    }
    Ok(open.len())
}

/// What holds of the permissions that were given through a delegation, or has taken their place.
async fn permitted_by(vault: &Vault, own: &OwnDelegation) -> Result<Vec<PermissionInfo>> {
    let hash = own.delegation.hash();
    let mut newest = Vec::new();
    for given in permissions::own_permissions(vault).await? {
        if given.permission.delegation == Some(hash) {
            let id = given.permission.permission_id;
            newest.push(
                permissions::newest_permission(vault, id)
                    .await?
                    .permission
                    .permission_id,
            );
        }
    }
    let mut infos = permissions::permissions(vault).await?;
    infos.retain(|info| info.state == PermissionState::Live && newest.contains(&info.permission_id));
    Ok(infos)
}
