//! Which permission has taken the place of which, as this home has kept it: a revocation reaches the newest of a line.

use std::collections::BTreeMap;

use protocol_spec::ids::PermissionId;

use crate::{
    Result,
    patient::{standing::OwnPermission, vault::Vault},
};

/// Keeps which permission each one has taken the place of: an old copy does not tell.
pub(super) async fn keep_lines(vault: &Vault, own: &[OwnPermission]) -> Result<()> {
    let home = &vault.session.home;
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
pub(super) fn took_place_of(vault: &Vault, permission: PermissionId) -> Result<Option<PermissionId>> {
    let known: Lines = vault.session.home.read_json(LINES)?.unwrap_or_default();
    let before = known.get(&permission.to_string());
    let read = |id: &String| id.parse().map_err(|_| vault.session.home.damaged(LINES));
    before.map(read).transpose()
}

/// The first permission of the line that this one stands in, as far as the home knows it.
pub(super) fn first_of_line(vault: &Vault, permission: PermissionId) -> Result<PermissionId> {
    let known: Lines = vault.session.home.read_json(LINES)?.unwrap_or_default();
    let (mut first, mut left) = (permission, known.len());
    while let Some(before) = known.get(&first.to_string()).filter(|_| left > 0) {
        first = before.parse().map_err(|_| vault.session.home.damaged(LINES))?;
        left -= 1;
    }
    Ok(first)
}

/// New permissions, and which each has taken the place of.
pub(super) type Lines = BTreeMap<String, String>;

pub(super) const LINES: &str = "permissions.lines";
