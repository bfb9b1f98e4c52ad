//! Heads over what has been done to her vault: signed by this device, or checked. See `protocol-spec/spec/vault-head.md` §2.

use std::sync::atomic::Ordering;

use protocol_spec::{
    api,
    bodies::VaultHead,
    log::VaultSalt,
    patient::PatientSigned,
    permission::SignedPermission,
    problem::Problem,
    submitted,
    vault_head::{Act, Acts, HeadRef, NextHead},
};

use crate::{
    Error, Result,
    patient::{
        acts, catching_up, head_check,
        vault::{Vault, acts::tampered},
    },
};

/// Puts a head over whatever has come since the last one. When another device is faster, what it
/// did is read first (VLT-4).
pub(super) async fn put_head(vault: &Vault) -> Result<()> {
    put_head_unless(vault, Acts::is_settled).await
}

/// The same although nothing may have come: it says how far this device has read the log (RST-9).
pub(super) async fn put_head_anyway(vault: &Vault) -> Result<()> {
    put_head_unless(vault, |_| false).await
}

async fn put_head_unless(vault: &Vault, settled: impl Fn(&Acts) -> bool) -> Result<()> {
    for _ in 0..MAX_TRIES {
        let mut seen = catching_up::catch_up(vault).await?;
        seen.find_made()?;
        if settled(&seen.acts) {
            return Ok(());
        }
        match submit_head(vault, &seen.acts).await {
            Ok(act) => {
                seen.acts.push(act);
                return seen.keep(&vault.session.home).await;
            }
            Err(error) if error.is_problem(Problem::HeadConflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(overtaken())
}

/// The same, unless the server has no room for it: then it comes with what is done next.
pub(super) async fn put_head_if_room(vault: &Vault) -> Result<()> {
    match put_head(vault).await {
        Err(error) if error.is_problem(Problem::StorageFull) => Ok(()),
        done => done,
    }
}

/// Submits a permission and, in the same commit, the head over it (VLT-2): over what this device has seen, or if other
/// devices have done something since, over that as well.
pub(super) async fn submit_with_head(vault: &Vault, message: &submitted::SubmitPermission) -> Result<()> {
    let act = permission_act(&message.permission);
    let mut seen = catching_up::known_acts(vault).await?;
    for _ in 0..MAX_TRIES {
        if !seen.made.is_empty() {
            drop(seen);
            seen = catching_up::catch_up(vault).await?;
            seen.find_made()?;
        }
        let salt = acts::log_salt(vault).await?;
        let head = sign_head(vault, &seen.acts.next_head_with(&act), &salt)?;
        let (hash, head) = (head.hash(), Some(head));
        let message = submitted::SubmitPermission {
            head,
            ..message.clone()
        };
        match vault.post(api::SUBMIT_PERMISSION.here(), &message).await {
            Ok(answer) => {
                head_check::check_own_head(vault, answer.head, &salt, &hash).await?;
                seen.acts.push(act);
                seen.acts.push(Act::Head(hash));
                return seen.keep(&vault.session.home).await;
            }
            Err(error) if error.is_problem(Problem::HeadConflict) => {
                drop(seen);
                seen = catching_up::catch_up(vault).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(overtaken())
}

/// The same, if anything has come that this device knows of.
pub(super) async fn put_head_if_due(vault: &Vault) -> Result<()> {
    let due = {
        let seen = catching_up::known_acts(vault).await?;
        !seen.made.is_empty() || !seen.acts.is_settled()
    };
    if due {
        put_head_if_room(vault).await
    } else {
        Ok(())
    }
}

/// Signs a head and hands it in.
async fn submit_head(vault: &Vault, acts: &Acts) -> Result<Act> {
    let salt = acts::log_salt(vault).await?;
    let head = sign_head(vault, &acts.next_head(), &salt)?;
    let hash = head.hash();
    let message = submitted::SubmitVaultHead { head };
    let logged = vault.post(api::SUBMIT_HEAD.here(), &message).await?;
    head_check::check_own_head(vault, Some(logged), &salt, &hash).await?;
    Ok(Act::Head(hash))
}

fn sign_head(vault: &Vault, next: &NextHead, salt: &VaultSalt) -> Result<PatientSigned<VaultHead>> {
    // By a head her vault moves again: before it, what was taken back is taken back anew (RST-9).
    if !vault.returning.load(Ordering::Relaxed) {
        vault.session.restorations.must_be_back()?;
    }
    let head = VaultHead {
        created: vault.session.system().now_ms(),
        operator_id: vault.session.server.operator_id(),
        patient_id: vault.id(),
        sequence: next.sequence,
        previous_hash: next.previous_hash,
        acts: next.acts,
        root: next.root,
        log_salt_hash: salt.hash(),
        log_size: acts::log_read(vault)?,
    };
    Ok(vault.keys.statement(head))
}

/// The newest head that this device knows, for a permission (VLT-6).
pub(super) async fn head(vault: &Vault) -> Result<HeadRef> {
    if let Some(head) = catching_up::known_acts(vault).await?.acts.newest() {
        return Ok(head);
    }
    put_head(vault).await?;
    let newest = catching_up::known_acts(vault).await?.acts.newest();
    newest.ok_or_else(|| tampered("there is no head"))
}

/// What a permission that the server has taken does to the vault.
pub(super) fn permission_act(permission: &SignedPermission) -> Act {
    Act::Permission(permission.claimed().permission_id, permission.hash())
}

fn overtaken() -> Error {
    Error::Usage("other devices change the vault all the time: try again later".into())
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;
