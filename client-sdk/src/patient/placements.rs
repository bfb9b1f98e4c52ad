//! The newest placement that this device has seen of each record. A record that was moved stays where it was moved to, and one
//! that was sealed anew stays so: no server can show it as it lay before, whether or not an index says where it lies (COL-10).

use protocol_spec::index::IndexEntry;
use tokio::sync::MutexGuard;

use crate::{
    Result,
    patient::vault::{Vault, placements::Placements},
};

/// What was seen of placements. It must be looked at before the server is asked: what another process has seen since
/// may be newer than the answer.
pub(super) async fn seen_placements(vault: &Vault) -> Result<MutexGuard<'_, Placements>> {
    let mut placements = vault.placements.lock().await;
    placements.read(&vault.session.home)?;
    Ok(placements)
}

/// Keeps what was seen, and what these entries say.
pub(super) async fn keep_placements(vault: &Vault, entries: &[IndexEntry]) -> Result<()> {
    let mut placements = seen_placements(vault).await?;
    for entry in entries {
        placements.note(entry.record_id, entry.number);
    }
    placements.keep(&vault.session.home).await
}
