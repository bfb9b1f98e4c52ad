//! Whose word it is that somebody may have keys of hers: nothing is given new keys by itself for whoever has them by the
//! word of a device that is gone. See `protocol-spec/spec/devices.md` §6 (DEV-21).

use std::collections::HashMap;

use protocol_spec::{
    defence::Defence,
    delegation::VerifiedDelegation,
    ids::{DeviceId, PermissionId},
    permission::Kind,
};

use crate::{
    Result,
    patient::{known::KnownDevices, permissions, standing::OwnPermission, vault::Vault},
};

/// By whose word each of her permissions is given.
pub(super) struct Words(HashMap<PermissionId, Word>);

/// By whose word one is.
pub(super) struct Word {
    /// The device of hers that has signed it, or the delegation that it is given through.
    pub(super) by: DeviceId,
    /// The permission whose place it has taken without anybody asking her.
    instead_of: Option<PermissionId>,
}

impl Word {
    fn of(own: &OwnPermission) -> Self {
        let permission = &own.permission;
        let signer = permission.device().id();
        let given = permission.delegation();
        let replaces = permission.replaces.as_ref().filter(|old| !old.signed_again);
        Self {
            by: given.map_or(signer, |given| given.device().id()),
            instead_of: replaces.map(|old| old.permission_id),
        }
    }
}

impl Words {
    pub(super) fn of(all: &[OwnPermission]) -> Self {
        let word = |own: &OwnPermission| (own.permission.permission_id, Word::of(own));
        Self(all.iter().map(word).collect())
    }

    /// What a permission rests on: its own word, and that of those whose place it has taken without anybody asking her.
    pub(super) fn under(&self, id: PermissionId) -> HashMap<PermissionId, &Word> {
        let (mut under, mut at) = (HashMap::new(), id);
        while let Some(word) = self.0.get(&at) {
            if under.insert(at, word).is_some() {
                break;
            }
            match word.instead_of {
                Some(before) => at = before,
                None => break,
            }
        }
        under
    }
}

impl KnownDevices {
    /// Whether this device's word still is hers.
    fn is_hers(&self, device: DeviceId) -> bool {
        Defence::SignersWord.is_off() || self.newest().device(device).is_some()
    }
}

/// Her permissions that rest on the word of devices which she still has.
pub(super) async fn standing_permissions(vault: &Vault) -> Result<Vec<OwnPermission>> {
    let mut all = permissions::own_permissions(vault).await?;
    let (words, known) = (Words::of(&all), vault.keys.known());
    all.retain(|own| {
        let under = words.under(own.permission.permission_id);
        under.values().all(|word| known.is_hers(word.by))
    });
    Ok(all)
}

/// Whether a delegation is the word of a device which she still has.
pub(super) fn delegation_stands(vault: &Vault, delegation: &VerifiedDelegation) -> bool {
    vault.keys.known().is_hers(delegation.device().id())
}

/// Nothing is released to an institution that has ended, by whatever key (INS-13, INS-15). An emergency permission
/// is for none in particular.
pub(super) async fn is_for_a_retired_one(vault: &Vault, own: &OwnPermission) -> Result<bool> {
    if own.permission.kind == Kind::Emergency {
        return Ok(false);
    }
    let receiver = vault
        .session
        .mirror
        .institution(own.permission.institution_id)
        .await?;
    Ok(receiver.check_goes_on().is_err())
}
