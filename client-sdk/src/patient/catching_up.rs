//! Brings what this device has seen of her vault up to what has been done until now (VLT-3).

use protocol_spec::{defence::Defence, vault_head::Acts};
use tokio::sync::MutexGuard;

use crate::{
    Result,
    patient::{
        leaves, reading_acts,
        vault::{Vault, acts::SeenActs},
    },
};

/// What this device has seen; if that is nothing yet, what has been done until now.
pub(super) async fn known_acts(vault: &Vault) -> Result<MutexGuard<'_, SeenActs>> {
    let mut seen = vault.acts.lock().await;
    if seen.read(&vault.session.home)? && !Defence::VaultHeads.is_off() {
        return Ok(seen);
    }
    drop(seen);
    catch_up(vault).await
}

/// What has been done to the vault until now: what this device has seen, and what has come since (VLT-3). A device that
/// has seen nothing yet reads the log as well, and then once more what has been done: only what it has verified and keeps
/// counts for what it finds there (VLT-9).
#[tracing::instrument(level = "debug", name = "verify", skip_all)]
pub(super) async fn catch_up(vault: &Vault) -> Result<MutexGuard<'_, SeenActs>> {
    let mut seen = vault.acts.lock().await;
    let known = seen.read(&vault.session.home)?;
    if Defence::VaultHeads.is_off() {
        seen.acts = Acts::default();
    }
    let read = match reading_acts::read_acts(vault, &mut seen.acts).await {
        Ok(head) if !known && !Defence::VaultHeads.is_off() => {
            let from = head.map_or(0, |head| head.log_size);
            leaves::check_log(vault, &mut seen.acts, from).await.map(drop)
        }
        read => read.map(drop),
    };
    if let Err(error) = read {
        // What was read on top of what the home has is not believed.
        seen.forget();
        return Err(vault.session.restorations.or_restored(error).await);
    }
    seen.keep(&vault.session.home).await?;
    Ok(seen)
}
