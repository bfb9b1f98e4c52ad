//! Revocation: the server stops at once; then the keys that the institution was given are taken out of use. See
//! `protocol-spec/spec/revocation.md`.

use std::collections::HashSet;

use protocol_spec::{
    bodies::RevocationReceipt,
    ids::{PermissionId, VersionId},
    messages as pb,
    problem::Problem,
    vault_head::Act,
};

use super::{
    Patient, PermissionState,
    certificate::{Released, RevocationReport},
    standing::OwnPermission,
};
use crate::{Error, Progress, Result};

impl Patient {
    /// Revokes a permission, or the one that has taken its place: what starts after the server's acknowledgement gets
    /// nothing, what runs stops at the next leaf. A permission over a collection has handed out the collection's key, so the collection then gets a new
    /// one, and whatever lies under the old key at the server is destroyed. A revocation that was broken off is
    /// taken up again. `progress` counts records. The report says what cannot be taken back.
    ///
    /// The revocation is sent whatever else the server shows (REV-11).
    ///
    /// # Errors
    /// [`Error::Unknown`]; what the server refuses. [`Error::RevokedOnly`] when the server has signed that nothing is released
    /// any more, and the rest was not done.
    pub async fn revoke(
        &self,
        permission: PermissionId,
        progress: &dyn Progress,
    ) -> Result<RevocationReport> {
        self.revoke_with(permission, progress, None).await
    }

    /// As [`Self::revoke`], and then seals anew what the permission exposed and was never handed out, so that its old data
    /// keys open nothing: the records travel to this device and back, which `bytes` counts.
    ///
    /// # Errors
    /// As there, and those of the transfer; what was sealed anew until then stays so.
    pub async fn revoke_and_reseal(
        &self,
        permission: PermissionId,
        progress: &dyn Progress,
        bytes: &dyn Progress,
    ) -> Result<RevocationReport> {
        self.revoke_with(permission, progress, Some(bytes)).await
    }

    async fn revoke_with(
        &self,
        permission: PermissionId,
        progress: &dyn Progress,
        bytes: Option<&dyn Progress>,
    ) -> Result<RevocationReport> {
        let own = match self.newest_permission(permission).await {
            Ok(own) => own,
            Err(error) => return Err(self.revoke_all_the_same(permission, error).await),
        };
        let revoked = match self.submit_revocation(&own).await {
            Ok(revoked) => revoked,
            Err(error) => return Err(self.revoke_all_the_same(permission, error).await),
        };
        match self.follow_revocation(&own, revoked, progress, bytes).await {
            Err(error)
                if error.is_problem(Problem::StorageFull) || error.is_problem(Problem::LogContradicted) =>
            {
                Err(self.only_revoked(&own.permission, error).await)
            }
            report => report,
        }
    }

    /// Takes the keys out of use that went out under a permission that is revoked now, and writes the certificate.
    async fn follow_revocation(
        &self,
        own: &OwnPermission,
        revoked: pb::RevocationAnswer,
        progress: &dyn Progress,
        bytes: Option<&dyn Progress>,
    ) -> Result<RevocationReport> {
        if let Some(selector) = own.permission.collection {
            // First, so that nothing is placed under the old key once it is written down what lies there.
            self.newer_epoch(selector.collection).await?;
        }
        let exposed = self.exposed(&own.permission).await?;
        let closure = match own.permission.collection {
            Some(selector) => {
                let old = selector.collection;
                Some((old, self.retire_epoch(old, progress).await?))
            }
            None => None,
        };
        progress.finished();
        let released = self.released_under(own.permission.permission_id).await?;
        let resealed = match bytes {
            Some(bytes) => {
                let handed_out = self.ever_handed_out(own, &released).await?;
                Some(self.reseal(&own.permission, &exposed, &handed_out, bytes).await?)
            }
            None => None,
        };
        self.put_head_if_room().await?;
        let report = self
            .certify(&own.permission, revoked, exposed, released, closure)
            .await?;
        Ok(RevocationReport { resealed, ..report })
    }

    /// Versions of which something was handed out under a permission, or under those whose place it has taken.
    async fn ever_handed_out(&self, own: &OwnPermission, released: &Released) -> Result<HashSet<VersionId>> {
        let mut versions: HashSet<VersionId> = released.versions().collect();
        let all = self.own_permissions().await?;
        let mut before = own.permission.replaces;
        while let Some(replaced) = before {
            versions.extend(self.released_under(replaced.permission_id).await?.versions());
            // By its hash: by ids alone a chain could be a circle.
            let own = all
                .iter()
                .find(|own| own.permission.hash() == replaced.permission_hash);
            before = own.and_then(|own| own.permission.replaces);
        }
        Ok(versions)
    }

    /// Takes up what earlier revocations, and removals of devices, have left to do. What another process or device is just
    /// doing they do together.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub async fn finish_revocations(&self, progress: &dyn Progress) -> Result<()> {
        drop(self.refresh_ring().await?);
        for own in self.own_permissions().await? {
            let Some(selector) = own.permission.collection else {
                continue;
            };
            let open = self.ring.lock().await.is_open(selector.collection);
            if open && own.state == PermissionState::Revoked {
                self.newer_epoch(selector.collection).await?;
                self.exposed(&own.permission).await?;
                self.retire_epoch(selector.collection, progress).await?;
            }
        }
        // And removals of devices: an epoch that is not the current one is on its way out.
        self.retire_old_epochs(progress).await?;
        self.put_head().await
    }

    /// The permission with this id, or the newest of those that have taken its place one after the other: whoever
    /// takes back what she once permitted means what holds now.
    pub(super) async fn newest_permission(&self, id: PermissionId) -> Result<OwnPermission> {
        let mut all = self.own_permissions().await?;
        let is = |own: &OwnPermission| own.permission.permission_id == id;
        let at = all.iter().position(is).ok_or_else(|| Error::Unknown {
            what: "permission",
            id: id.to_string(),
        })?;
        let mut own = all.swap_remove(at);
        loop {
            let before = own.permission.hash();
            let takes_its_place = |next: &OwnPermission| {
                let replaces = next.permission.replaces.as_ref();
                replaces.is_some_and(|replaces| replaces.permission_hash == before)
            };
            let Some(at) = all.iter().position(takes_its_place) else {
                return Ok(own);
            };
            own = all.swap_remove(at);
        }
    }

    pub(super) async fn submit_revocation(&self, own: &OwnPermission) -> Result<pb::RevocationAnswer> {
        let permission = &own.permission;
        let answer = self
            .send_revocation(permission.permission_id, permission.hash())
            .await?;
        let receipt = self
            .session
            .receipt::<RevocationReceipt>(answer.receipt.clone(), RECEIPT)
            .await?;
        let said = &receipt.statement;
        let same = said.permission_id == permission.permission_id
            && said.patient_id == self.id()
            && said.institution_id == permission.institution_id;
        if !same {
            return Err(Error::tampered(RECEIPT)("it is about another permission"));
        }
        self.did(Act::Revocation(permission.permission_id, said.revocation_hash))
            .await;
        Ok(answer)
    }
}

pub(super) const RECEIPT: &str = "the receipt of the revocation";
