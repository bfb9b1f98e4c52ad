//! Pages of what the server has of her vault, none of it verified yet.

use protocol_spec::{
    api::{self, PageQuery},
    ids::{RecordId, VersionId},
    messages as pb,
};

use crate::{Result, pages::Pages, patient::vault::Vault};

pub(super) fn deletion_pages(vault: &Vault) -> Pages<'_, pb::DeletionPage, RecordId> {
    vault.session.server.pages(api::DELETIONS.here())
}

/// The history as the server shows it.
pub(super) fn history_pages(vault: &Vault) -> Pages<'_, pb::HistoryPage, u64> {
    vault
        .session
        .server
        .pages(api::HISTORY.ask([], PageQuery::of(200)))
}

/// The list as the server shows it, not verified.
pub(super) async fn permission_entries(vault: &Vault) -> Result<Vec<pb::PermissionEntry>> {
    let mut entries = Vec::new();
    let server = &vault.session.server;
    let mut pages = server.pages(api::VAULT_PERMISSIONS.here());
    while let Some(list) = pages.next().await? {
        entries.extend(list.permissions);
    }
    Ok(entries)
}

/// Records that are placed, by the numbers of their placements.
pub(super) fn placed_pages(vault: &Vault) -> Pages<'_, pb::VaultPage, u64> {
    vault.session.server.pages(api::VAULT_RECORDS.here()).behind(0)
}

/// Records that are not placed, by their versions.
pub(super) fn arrival_pages(vault: &Vault) -> Pages<'_, pb::VaultPage, VersionId> {
    vault.session.server.pages(api::ARRIVALS.here())
}
