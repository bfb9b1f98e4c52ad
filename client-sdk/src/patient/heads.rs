//! Heads over what has been done to her vault: signed by this device, or checked. See `protocol-spec/spec/vault-head.md` §2.

use std::sync::atomic::Ordering;

use protocol_spec::{
    api,
    bodies::VaultHead,
    hash::Sha256Digest,
    log::{Logged, VaultSalt},
    messages as pb,
    patient::{PatientSigned, PatientVerified},
    permission::PermissionBody,
    problem::Problem,
    statement::{Body, Signed},
    vault_head::{Act, Acts, HeadRef, NextHead},
};

use super::{
    Patient,
    acts::{SALT, tampered, text},
};
use crate::{Error, Result, mint};

impl Patient {
    /// Puts a head over whatever has come since the last one. When another device is faster, what it did is read first
    /// (VLT-4).
    pub(super) async fn put_head(&self) -> Result<()> {
        self.put_head_unless(Acts::is_settled).await
    }

    /// The same although nothing may have come: it says how far this device has read the log (RST-9).
    pub(super) async fn put_head_anyway(&self) -> Result<()> {
        self.put_head_unless(|_| false).await
    }

    async fn put_head_unless(&self, settled: impl Fn(&Acts) -> bool) -> Result<()> {
        for _ in 0..MAX_TRIES {
            let mut seen = self.catch_up().await?;
            seen.find_made()?;
            if settled(&seen.acts) {
                return Ok(());
            }
            match self.submit_head(&seen.acts).await {
                Ok(act) => {
                    seen.acts.push(act);
                    return seen.keep(&self.session.home).await;
                }
                Err(error) if error.is_problem(Problem::HeadConflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(overtaken())
    }

    /// The same, unless the server has no room for it: then it comes with what is done next.
    pub(super) async fn put_head_if_room(&self) -> Result<()> {
        match self.put_head().await {
            Err(error) if error.is_problem(Problem::StorageFull) => Ok(()),
            done => done,
        }
    }

    /// Submits a permission and, in the same commit, the head over it (VLT-2): over what this device has seen, or if other
    /// devices have done something since, over that as well.
    pub(super) async fn submit_with_head(&self, message: &pb::SubmitPermission) -> Result<()> {
        let act = permission_act(message.permission.as_ref())?;
        let mut seen = self.known_acts().await?;
        for _ in 0..MAX_TRIES {
            if !seen.made.is_empty() {
                drop(seen);
                seen = self.catch_up().await?;
                seen.find_made()?;
            }
            let salt = self.log_salt().await?;
            let head = self.sign_head(&seen.acts.next_head_with(&act), &salt)?;
            let message = pb::SubmitPermission {
                head: Some((&head).into()),
                ..message.clone()
            };
            match self
                .session
                .server
                .post(api::SUBMIT_PERMISSION.here(), &message)
                .await
            {
                Ok(pb::PermissionAnswer { head: logged }) => {
                    self.check_own_head(logged, &salt, &head.hash()).await?;
                    seen.acts.push(act);
                    seen.acts.push(Act::Head(head.hash()));
                    return seen.keep(&self.session.home).await;
                }
                Err(error) if error.is_problem(Problem::HeadConflict) => {
                    drop(seen);
                    seen = self.catch_up().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(overtaken())
    }

    /// The same, if anything has come that this device knows of.
    pub(super) async fn put_head_if_due(&self) -> Result<()> {
        let due = {
            let seen = self.known_acts().await?;
            !seen.made.is_empty() || !seen.acts.is_settled()
        };
        if due {
            self.put_head_if_room().await
        } else {
            Ok(())
        }
    }

    /// Signs a head and hands it in.
    async fn submit_head(&self, acts: &Acts) -> Result<Act> {
        let salt = self.log_salt().await?;
        let head = self.sign_head(&acts.next_head(), &salt)?;
        let message = pb::SubmitVaultHead {
            head: Some((&head).into()),
        };
        let logged: pb::LoggedStatement = self
            .session
            .server
            .post(api::SUBMIT_HEAD.here(), &message)
            .await?;
        self.check_own_head(Some(logged), &salt, &head.hash()).await?;
        Ok(Act::Head(head.hash()))
    }

    fn sign_head(&self, next: &NextHead, salt: &VaultSalt) -> Result<PatientSigned<VaultHead>> {
        // By a head her vault moves again: before it, what was taken back is taken back anew (RST-9).
        if !self.returning.load(Ordering::Relaxed) {
            self.session.must_be_back()?;
        }
        let head = VaultHead {
            created: mint::now_ms(),
            operator_id: self.session.server.operator_id(),
            patient_id: self.id(),
            sequence: next.sequence,
            previous_hash: next.previous_hash,
            acts: next.acts,
            root: next.root,
            log_salt_hash: salt.hash(),
            log_size: self.log_read()?,
        };
        let head = Signed::sign(head, |message| self.keys.sign(message));
        Ok(PatientSigned::new(head, self.keys.chain.clone()))
    }

    /// What was handed in must stand in the log, as a leaf of this vault.
    #[tracing::instrument(level = "debug", name = "verify", skip_all)]
    async fn check_own_head(
        &self,
        logged: Option<pb::LoggedStatement>,
        salt: &VaultSalt,
        own: &Sha256Digest,
    ) -> Result<()> {
        let logged = self.logged_head(logged.unwrap_or_default(), salt).await?;
        if logged.hash() == *own {
            Ok(())
        } else {
            Err(tampered("the server answers with another one"))
        }
    }

    /// The newest head that this device knows, for a permission (VLT-6).
    pub(super) async fn head(&self) -> Result<HeadRef> {
        if let Some(head) = self.known_acts().await?.acts.newest() {
            return Ok(head);
        }
        self.put_head().await?;
        let newest = self.known_acts().await?.acts.newest();
        newest.ok_or_else(|| tampered("there is no head"))
    }

    /// Whether the newest head is hers, in the log, and over these acts (VLT-3).
    pub(super) async fn check_head(
        &self,
        acts: &Acts,
        message: pb::LoggedStatement,
        seen: Option<HeadRef>,
    ) -> Result<PatientVerified<VaultHead>> {
        let salt = self.log_salt().await?;
        let head = self.logged_head(message, &salt).await?;
        if let Err(rule) = acts.check_newest(&head, &head.hash()) {
            let shown = format!("{} ({rule})", text(head.sequence, &head.hash()));
            return Err(match seen {
                Some(seen) if head.sequence < seen.sequence => self.older(acts.count(), Some(seen), shown),
                seen => Error::OtherVault {
                    seen: seen.map_or_else(
                        || "no head yet".to_owned(),
                        |seen| text(seen.sequence, &seen.hash),
                    ),
                    shown,
                },
            });
        }
        // A device that was removed signs nothing over what came after.
        let known = self.known_device(head.device()).await?;
        let list = acts.last_list(head.acts).and_then(|last| known.list(last));
        let signer = head.device().id();
        if list.is_none_or(|list| list.claimed().device(signer).is_none()) {
            return Err(tampered("a device has signed it that was not one of hers then"));
        }
        // Only now is it known to be the vault's.
        self.session.home.write_soon(SALT, salt.as_bytes())?;
        Ok(head)
    }

    /// A head of hers as the log has it, with the salt and tag that the vault's leaves have.
    async fn logged_head(
        &self,
        message: pb::LoggedStatement,
        salt: &VaultSalt,
    ) -> Result<PatientVerified<VaultHead>> {
        let mark = message.proof.clone().unwrap_or_default();
        let logged =
            Logged::<VaultHead>::verify(message, self.session.server.operator()).map_err(tampered)?;
        self.session.accept_log(&logged.checkpoint).await?;
        let head = logged.statement;
        if head.patient_id != self.id() || head.operator_id != self.session.server.operator_id() {
            return Err(tampered("it is of another vault"));
        }
        let own = salt.mark(&head.hash());
        if head.log_salt_hash != salt.hash() || mark.salt != own.salt[..] || mark.tag != own.tag[..] {
            return Err(tampered("it is logged under another salt than the vault's"));
        }
        Ok(head)
    }
}

/// What a permission that the server has taken does to the vault.
pub(super) fn permission_act(permission: Option<&pb::Permission>) -> Result<Act> {
    let body = permission
        .map(|permission| permission.body.as_ref())
        .unwrap_or_default();
    let id = PermissionBody::decode(body)?.permission_id;
    Ok(Act::Permission(id, Sha256Digest::of(body)))
}

fn overtaken() -> Error {
    Error::Usage("other devices change the vault all the time: try again later".into())
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
