//! The end of a delegation: the server stops at once; then the keys that the delegate was given are taken out of use,
//! as after a revocation (DLG-10).

use protocol_spec::{
    bodies::DelegationEnd, ids::DelegationId, messages as pb, patient::PatientSigned, statement::Signed,
};

use super::{DelegationInfo, DelegationState, OwnDelegation};
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
    /// under keys that she has not. Broken off, it goes on when it is called again, or with
    /// [`Self::tend_delegations`]. `progress` counts records.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`]; once the first error but this could come, the delegate can do nothing any more.
    pub async fn end_delegation(&self, id: DelegationId, progress: &dyn Progress) -> Result<EndedDelegation> {
        let own = self.find_delegation(id).await?;
        self.submit_end(&own).await?;
        let closed = self.retire_given(&own, progress).await?;
        progress.finished();
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
        let (mut ended, now) = (Vec::new(), self.session.server.now_ms());
        for own in self.own_delegations().await? {
            match own.state(now) {
                DelegationState::Live | DelegationState::NotYet => self.give_keys(&own).await?,
                DelegationState::Expired => {
                    self.submit_end(&own).await?;
                    self.retire_given(&own, progress).await?;
                    ended.push(self.delegation_info(&own)?);
                }
                DelegationState::Ended => drop(self.retire_given(&own, progress).await?),
            }
        }
        Ok(ended)
    }

    async fn submit_end(&self, own: &OwnDelegation) -> Result<()> {
        if own.end.is_some() {
            return Ok(());
        }
        let end = DelegationEnd {
            created: mint::now_ms(),
            patient_id: self.id(),
            delegation_id: own.delegation.delegation_id,
            delegation_hash: own.delegation.hash(),
        };
        let signed = Signed::sign(end, |message| self.keys.sign(message));
        let end = PatientSigned::new(signed, self.keys.chain.clone());
        let message = pb::EndDelegation {
            end: Some((&end).into()),
        };
        self.session
            .server
            .post::<pb::Accepted>("/v1/vault/delegations/ends", &message)
            .await?;
        Ok(())
    }

    /// Takes the epochs whose keys the delegate was given out of use, and counts those that still were in use.
    async fn retire_given(&self, own: &OwnDelegation, progress: &dyn Progress) -> Result<usize> {
        let mut closed = 0;
        let mut given = own.given.clone();
        given.sort_unstable_by_key(|collection| (collection.id, collection.epoch));
        for collection in given {
            if self.is_open(collection).await? {
                self.retire_epoch(collection, progress).await?;
                closed += 1;
            }
        }
        Ok(closed)
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
