//! A revocation is sent whatever the server shows (REV-11): on an old copy of its data a permission that was revoked has come back to
//! life, and must be closed there. What such a server takes is lost with that copy, so this device keeps it, and sends it again until
//! a vault that verifies has it.

use std::collections::{BTreeMap, BTreeSet};

use protocol_spec::{
    api,
    bodies::{Revocation, RevocationReceipt},
    hash::Sha256Digest,
    ids::PermissionId,
    log::Receipt,
    messages as pb,
    patient::PatientSigned,
    permission::VerifiedPermission,
    statement::Signed,
};

use super::{Patient, PermissionState, revoking::RECEIPT, standing::OwnPermission};
use crate::{Error, Result, mint};

/// Ids of permissions, as text.
type Waiting = BTreeSet<String>;

impl Patient {
    /// Sends a revocation again that was taken by a server whose vault did not verify, or that a witness contradicted, if there are
    /// any. Gives those that were sent.
    ///
    /// # Errors
    /// Of the connection; of a vault that does not verify: they are kept then.
    pub async fn resend_revocations(&self) -> Result<Vec<PermissionId>> {
        let waiting = self.waiting_revocations()?;
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let mut sent = Vec::new();
        for own in unsettled(&waiting, self.own_permissions().await?) {
            self.submit_revocation(&own).await?;
            sent.push(own.permission.permission_id);
        }
        // What works on an old copy takes no head.
        self.put_head().await?;
        let _lock = self.session.home.lock().await?;
        let mut left = self.waiting_revocations()?;
        left.retain(|id| !waiting.contains(id));
        self.session.home.write_json(WAITING, &left)?;
        Ok(sent)
    }

    /// Revokes a permission at a server that shows another vault than was seen, or none: what the home knows of the permission is
    /// enough. The cause remains one; it says whether the revocation was taken.
    pub(super) async fn revoke_all_the_same(&self, permission: PermissionId, cause: Error) -> Error {
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
        match self.revoke_unseen(permission).await {
            Ok(revoked) if !revoked.is_empty() => only(&revoked, cause),
            Ok(_) => cause,
            Err(error) => {
                tracing::debug!(%error, "the revocation was not taken");
                cause
            }
        }
    }

    /// A permission is revoked, and what should follow failed. On an old copy of the data the revocation is lost with that, so it is
    /// kept.
    pub(super) async fn only_revoked(&self, permission: &VerifiedPermission, cause: Error) -> Error {
        let id = permission.permission_id;
        match self.keep_revocation(id).await {
            Ok(()) => only(&[id], cause),
            Err(error) => error,
        }
    }

    /// Revokes the permission and all others of its line. Gives those of which a server has signed that it took the revocation.
    async fn revoke_unseen(&self, permission: PermissionId) -> Result<Vec<PermissionId>> {
        let (mut revoked, mut failed) = (Vec::new(), None);
        for (id, hash) in self.line_of(permission).await? {
            self.keep_revocation(id).await?;
            // On an old copy one of them may not be there yet; the others are closed all the same.
            match self.revoke_one_unseen(id, hash).await {
                Ok(()) => revoked.push(id),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if revoked.is_empty() => Err(error),
            _ => Ok(revoked),
        }
    }

    pub(super) async fn revoke_one_unseen(&self, id: PermissionId, hash: Sha256Digest) -> Result<()> {
        let answer = self.send_revocation(id, hash).await?;
        let receipt = Receipt::<RevocationReceipt>::verify(answer.receipt, self.session.server.operator())
            .map_err(Error::tampered(RECEIPT))?;
        let said = &receipt.statement;
        if said.permission_id != id || said.patient_id != self.id() {
            return Err(Error::tampered(RECEIPT)("it is about another permission"));
        }
        Ok(())
    }

    /// Keeps which permission each one has taken the place of: an old copy does not tell.
    pub(super) async fn keep_lines(&self, own: &[OwnPermission]) -> Result<()> {
        let home = &self.session.home;
        let lines = own.iter().filter_map(|own| {
            let before = own.permission.replaces.as_ref()?;
            Some((
                own.permission.permission_id.to_string(),
                before.permission_id.to_string(),
            ))
        });
        let lines: Lines = lines.collect();
        let known: Lines = home.read_json(LINES)?.unwrap_or_default();
        if lines.iter().all(|(new, before)| known.get(new) == Some(before)) {
            return Ok(());
        }
        let _lock = home.lock().await?;
        let mut known: Lines = home.read_json(LINES)?.unwrap_or_default();
        known.extend(lines);
        home.write_json(LINES, &known)
    }

    /// Whose place a permission has taken, as far as the home knows.
    pub(super) fn took_place_of(&self, permission: PermissionId) -> Result<Option<PermissionId>> {
        let known: Lines = self.session.home.read_json(LINES)?.unwrap_or_default();
        let before = known.get(&permission.to_string());
        let read = |id: &String| id.parse().map_err(|_| self.session.home.damaged(LINES));
        before.map(read).transpose()
    }

    /// The first permission of the line that this one stands in, as far as the home knows it.
    fn first_of_line(&self, permission: PermissionId) -> Result<PermissionId> {
        let known: Lines = self.session.home.read_json(LINES)?.unwrap_or_default();
        let (mut first, mut left) = (permission, known.len());
        while let Some(before) = known.get(&first.to_string()).filter(|_| left > 0) {
            first = before.parse().map_err(|_| self.session.home.damaged(LINES))?;
            left -= 1;
        }
        Ok(first)
    }

    /// The permission, those whose place it has taken and those that have taken its own, one after the other, as far as the home or the
    /// server knows them. Each is as she has signed it; nobody says that these are all.
    async fn line_of(&self, permission: PermissionId) -> Result<Vec<(PermissionId, Sha256Digest)>> {
        let mut shown = Vec::new();
        for entry in self.permission_entries().await.unwrap_or_default() {
            shown.extend(self.own_permission(entry.permission).await.ok());
        }
        let given = {
            let mut seen = self.acts.lock().await;
            seen.kept(&self.session.home)?.permissions()
        };
        let known: Lines = self.session.home.read_json(LINES)?.unwrap_or_default();
        let (mut line, mut passed) = (Vec::new(), BTreeSet::new());
        let mut next = Some(self.first_of_line(permission)?);
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
        &self,
        permission_id: PermissionId,
        permission_hash: Sha256Digest,
    ) -> Result<pb::RevocationAnswer> {
        let revocation = Revocation {
            created: mint::now_ms(),
            permission_id,
            permission_hash,
            patient_id: self.id(),
        };
        let signed = Signed::sign(revocation, |message| self.keys.sign(message));
        let revocation = PatientSigned::new(signed, self.keys.chain.clone());
        let message = pb::SubmitRevocation {
            revocation: Some((&revocation).into()),
        };
        self.session
            .server
            .post(api::SUBMIT_REVOCATION.here(), &message)
            .await
    }

    async fn keep_revocation(&self, id: PermissionId) -> Result<()> {
        let _lock = self.session.home.lock().await?;
        let mut waiting = self.waiting_revocations()?;
        waiting.insert(id.to_string());
        self.session.home.write_json(WAITING, &waiting)
    }

    fn waiting_revocations(&self) -> Result<Waiting> {
        Ok(self.session.home.read_json(WAITING)?.unwrap_or_default())
    }
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
fn unsettled(waiting: &Waiting, mut own: Vec<OwnPermission>) -> Vec<OwnPermission> {
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

/// New permissions, and which each has taken the place of.
type Lines = BTreeMap<String, String>;

const LINES: &str = "permissions.lines";
/// Revocations that a server has taken, and perhaps lost.
const WAITING: &str = "revocations.json";
