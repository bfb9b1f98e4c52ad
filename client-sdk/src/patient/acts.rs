//! What has been done to her vault, as this device has seen it, and the heads that it signs over that. The server can show
//! her no vault in which something is older, other, missing or put in. See `protocol-spec/spec/vault-head.md`.

use protocol_spec::{
    api,
    log::VaultSalt,
    vault_head::{Act, HeadRef},
};

use crate::{
    Contradiction, Error, Result,
    home::At,
    patient::vault::{
        Vault,
        acts::{ACTS, tampered, text},
    },
};

/// Notes what this device has just done to the vault (VLT-4).
pub(super) async fn did(vault: &Vault, act: Act) {
    vault.acts.lock().await.made.push(act);
}

/// By which she recognises her leaves in the log. Until a head has confirmed it, it is the server's word.
pub(super) async fn log_salt(vault: &Vault) -> Result<VaultSalt> {
    let bytes = match vault.session.home.read(SALT)? {
        Some(kept) => kept,
        None => {
            let answer = vault.get(api::LOG_SALT.here()).await?;
            answer.salt.to_vec()
        }
    };
    let salt = <[u8; 32]>::try_from(bytes.as_slice());
    Ok(VaultSalt::from_bytes(
        salt.map_err(|_| tampered("the vault has no salt"))?,
    ))
}

/// How far this device has read the log, and found what each leaf of the vault is of (VLT-9).
pub(super) fn log_read(vault: &Vault) -> Result<u64> {
    Ok(vault.session.home.read_json(LOG_READ)?.unwrap_or(0))
}

/// From now on it has read so far.
pub(super) fn keep_log_read(vault: &Vault, size: u64) -> Result<()> {
    vault.session.home.write_json(LOG_READ, &size)
}

/// Nothing has been done to a vault that is being enrolled, and none of the leaves that there are is of it.
pub(super) async fn begin_acts(vault: &Vault) -> Result<()> {
    let shown = vault.session.witnesses.shown().await?;
    vault.session.log.accept(&shown).await?;
    keep_log_read(vault, shown.size)?;
    let none = vault.session.home.extend_chain(ACTS, &mut At::default(), &[])?;
    if none.is_none() {
        Ok(())
    } else {
        Err(vault.session.home.damaged(ACTS))
    }
}

pub(super) fn older(vault: &Vault, acts: u64, seen: Option<HeadRef>, shown: String) -> Error {
    let head = seen.map_or_else(|| "no head".to_owned(), |seen| text(seen.sequence, &seen.hash));
    Error::Contradicted(Contradiction::OlderVault {
        seen: format!("{head} and {acts} acts"),
        shown,
        kept: vault.session.home.path(ACTS),
    })
}

pub(super) const SALT: &str = "log.salt";
pub(super) const LOG_READ: &str = "log.read";
