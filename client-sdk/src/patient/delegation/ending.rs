//! The end of a delegation: the server stops at once; then the keys that the delegate was given are taken out of use,
//! as after a revocation (DLG-10).

use crypto::Collection;
use protocol_spec::{
    api,
    bodies::DelegationEnd,
    delegation::VerifiedDelegation,
    ids::{CollectionId, DelegationId},
    messages as pb,
    patient::PatientSigned,
    statement::Signed,
    vault_head::Act,
};

use super::{DelegationInfo, DelegationState, OwnDelegation, tampered};
use crate::{PermissionInfo, PermissionState, Progress, Result, mint, patient::Patient};

/// What the end of a delegation came to.
#[derive(Clone, Debug)]
pub struct EndedDelegation {
    /// What has ended.
    pub delegation: DelegationInfo,
    /// Epochs of collections whose keys were taken out of use.
    pub closed: usize,
    /// What the delegate has permitted and still holds; only revoking ends it.
    pub permissions: Vec<PermissionInfo>,
}

impl Patient {
    /// Ends a delegation: from the acknowledgement on the delegate can ask nothing more, and what is added later lies
    /// under keys that she does not have. If it is interrupted, call it again to resume, or
    /// [`Self::tend_delegations`]. `progress` counts records.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`]; once the first error but this could come, the delegate can do nothing any more.
    pub async fn end_delegation(&self, id: DelegationId, progress: &dyn Progress) -> Result<EndedDelegation> {
        let own = self.find_delegation(id).await?;
        let last = self.submit_end(&own).await?;
        let closed = self.retire_up_to(&last, progress).await?;
        progress.finished();
        self.put_head().await?;
        Ok(EndedDelegation {
            delegation: DelegationInfo {
                state: DelegationState::Ended,
                ..self.delegation_info(&own)?
            },
            closed,
            permissions: self.permitted_by(&own).await?,
        })
    }

    /// Does what time and other devices have left to do: delegations that are over are ended and their keys taken out
    /// of use; those that hold get the keys of newer epochs. Gives the delegations that it has ended.
    ///
    /// # Errors
    /// Of the connection, and what the server refuses; it is taken up again by the next call.
    pub async fn tend_delegations(&self, progress: &dyn Progress) -> Result<Vec<DelegationInfo>> {
        let mut ended = Vec::new();
        for own in self.own_delegations().await? {
            let now = self.session.clock.now();
            match own.state(now) {
                DelegationState::Live | DelegationState::NotYet | DelegationState::Offered => {
                    self.give_keys(&own).await?;
                }
                // The server's word alone: nothing is signed for it.
                DelegationState::Refused => {}
                // By the server's clock alone it gets nothing, and is not ended for ever (PRM-16).
                DelegationState::Expired if !now.is_over(own.delegation.not_after) => {}
                DelegationState::Expired => {
                    let last = self.submit_end(&own).await?;
                    self.retire_up_to(&last, progress).await?;
                    ended.push(self.delegation_info(&own)?);
                }
                DelegationState::Ended => {
                    let last = self.submit_end(&own).await?;
                    self.retire_up_to(&last, progress).await?;
                }
            }
        }
        self.put_head().await?;
        Ok(ended)
    }

    /// Ends a delegation, unless it has ended, and gives the newest epochs that its end gives up. They are this
    /// device's own word, or another one's of hers, and not the server's.
    pub(in crate::patient) async fn submit_end(&self, own: &OwnDelegation) -> Result<Vec<Collection>> {
        if let Some(end) = &own.end {
            return Ok(end.last.clone());
        }
        let last = self.newest_epochs(&own.delegation).await?;
        let end = DelegationEnd {
            created: mint::now_ms(),
            patient_id: self.id(),
            delegation_id: own.delegation.delegation_id,
            delegation_hash: own.delegation.hash(),
            last: last.clone(),
        };
        let signed = Signed::sign(end, |message| self.keys.sign(message));
        let end = PatientSigned::new(signed, self.keys.chain.clone());
        let message = pb::EndDelegation {
            end: Some((&end).into()),
        };
        self.session
            .server
            .post(api::END_DELEGATION.here(), &message)
            .await?;
        // Another device may have been faster: then its end is the one that counts.
        let ended = self.find_delegation(own.delegation.delegation_id).await?;
        let end = ended
            .end
            .ok_or_else(|| tampered("the server does not show its end"))?;
        let act = Act::DelegationEnd(end.delegation_id, end.hash());
        self.did(act).await;
        Ok(end.last.clone())
    }

    async fn newest_epochs(&self, delegation: &VerifiedDelegation) -> Result<Vec<Collection>> {
        let ring = self.refresh_ring().await?;
        let newest = |id: &CollectionId| {
            let newest = ring.newest(*id);
            newest.ok_or_else(|| tampered("the server does not show a collection of it"))
        };
        delegation.collections.ids().iter().map(newest).collect()
    }

    /// Takes these epochs and those before out of use, and counts those that still were in use.
    pub(in crate::patient) async fn retire_up_to(
        &self,
        last: &[Collection],
        progress: &dyn Progress,
    ) -> Result<usize> {
        let mut open = Vec::new();
        {
            let ring = self.refresh_ring().await?;
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
            self.retire_epoch(*collection, progress).await?;
        }
        Ok(open.len())
    }

    /// What holds of the permissions that were given through a delegation, or has taken their place.
    async fn permitted_by(&self, own: &OwnDelegation) -> Result<Vec<PermissionInfo>> {
        let hash = own.delegation.hash();
        let mut newest = Vec::new();
        for given in self.own_permissions().await? {
            if given.permission.delegation == Some(hash) {
                let id = given.permission.permission_id;
                newest.push(self.newest_permission(id).await?.permission.permission_id);
            }
        }
        let mut infos = self.permissions().await?;
        infos.retain(|info| info.state == PermissionState::Live && newest.contains(&info.permission_id));
        Ok(infos)
    }
}
