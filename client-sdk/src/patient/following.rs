//! When an institution has rotated: her live permissions for it, wrapped anew to its present key. See
//! `spec/institutions.md` §2.

use protocol_spec::{ids::PermissionId, permission::Kind, problem::Problem};

use super::{InstitutionRef, Patient};
use crate::Result;

/// A permission that has taken the place of one under an earlier key of its institution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// For whom.
    pub institution: InstitutionRef,
    /// The one that it replaces.
    pub old: PermissionId,
    /// The new one: the same conditions, with what was left of the old one.
    pub new: PermissionId,
}

impl Patient {
    /// Wraps anew what is live and lies under an entry that is not its institution's present one. The present one is
    /// believed along the chain alone (INS-4, INS-6), and nothing for whoever has it by the word of a removed device (DEV-21). One that is used meanwhile is left for the next time.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] for a chain that does not hold; of the connection; what the server refuses.
    pub async fn follow_rotations(&self) -> Result<Vec<Rewrapped>> {
        self.session.forget_entries().await;
        let mut done = Vec::new();
        for own in self.standing_permissions().await? {
            let permission = &own.permission;
            if !own.is_live() || permission.kind == Kind::Emergency {
                continue;
            }
            let receiver = self.session.institution(permission.institution_id).await?;
            let present = receiver.entry_hash() == permission.directory_entry_hash;
            if present || receiver.check_goes_on().is_err() || self.is_over_nothing(&own).await? {
                continue;
            }
            match self.replace(&own, |_| ()).await {
                Ok(new) => done.push(Rewrapped {
                    institution: self.institution_ref(permission.institution_id).await?,
                    old: permission.permission_id,
                    new,
                }),
                Err(error) if error.is_problem(Problem::ReplacementConflict) => {}
                Err(error) => return Err(error),
            }
        }
        if !done.is_empty() {
            self.put_head().await?;
        }
        Ok(done)
    }
}
