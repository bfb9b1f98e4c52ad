//! When an institution has rotated: her live permissions for it, wrapped anew to its
//! present key. See `spec/institutions.md` §2.

use protocol_spec::{ids::PermissionId, permission::Kind, problem::Problem};

use crate::{
    Result,
    patient::{gone, heads, refs::InstitutionRef, replacing, signers, vault::Vault},
};

/// A permission that has taken the place of one under an earlier key of its institution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// The institution that the permission is for.
    pub institution: InstitutionRef,
    /// The one that it replaces.
    pub old: PermissionId,
    /// The new one: the same conditions, with what was left of the old one.
    pub new: PermissionId,
}

pub(super) async fn follow_rotations(vault: &Vault) -> Result<Vec<Rewrapped>> {
    vault.session.mirror.invalidate().await;
    let mut done = Vec::new();
    for own in signers::standing_permissions(vault).await? {
        let permission = &own.permission;
        if !own.is_live() || permission.kind == Kind::Emergency {
            continue;
        }
        let receiver = vault
            .session
            .mirror
            .institution(permission.institution_id)
            .await?;
        let present = receiver.entry_hash() == permission.directory_entry_hash;
        if present || receiver.check_goes_on().is_err() || gone::is_over_nothing(vault, &own).await? {
            continue;
        }
        match replacing::replace(vault, &own, |_| ()).await {
            Ok(new) => done.push(Rewrapped {
                institution: vault.institution_ref(permission.institution_id).await?,
                old: permission.permission_id,
                new,
            }),
            Err(error) if error.is_problem(Problem::ReplacementConflict) => {}
            Err(error) => return Err(error),
        }
    }
    if !done.is_empty() {
        heads::put_head(vault).await?;
    }
    Ok(done)
}
