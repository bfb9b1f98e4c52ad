//! Her permissions: what she has signed, and what has been used of it.

use protocol_spec::{
    conditions::Conditions,
    defence::Defence,
    field::ReadsAs,
    ids::{CollectionId, PermissionId, RecordId},
    permission::{Kind, Replaces, SignedPermission, VerifiedPermission},
    problem::Problem,
    purpose::Purpose,
};

use crate::{
    Error, Result,
    error::Addressee,
    patient::{
        catching_up,
        delegation::{self, named::DelegateRef},
        lines, paged,
        refs::InstitutionRef,
        ring, shown,
        standing::{Misfit, OwnPermission, PermissionState, ShownPermission, stand},
        used,
        vault::{Vault, acts::hidden},
    },
};

/// One of her permissions: what she signed, and what is left of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PermissionInfo {
    /// The permission's id, which a replacement does not keep.
    pub permission_id: PermissionId,
    /// What the permission lets its holder do.
    pub kind: Kind,
    /// The institution that holds the permission.
    #[serde(flatten)]
    pub institution: InstitutionRef,
    /// By what was signed, what was used, and this machine's clock.
    pub state: PermissionState,
    /// How many presentations are left.
    pub uses_left: u32,
    /// How many presentations were signed in all.
    pub uses: u32,
    /// How many bytes of sealed streams are left.
    pub bytes_left: u64,
    /// When it was made, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub created: u64,
    /// When it begins, in milliseconds since 1970.
    #[serde(rename = "begins", serialize_with = "crate::text::moment")]
    pub not_before: u64,
    /// When it ends, in milliseconds since 1970.
    #[serde(rename = "expires", serialize_with = "crate::text::moment")]
    pub not_after: u64,
    /// The records it is for; none for uploads, and where there is a collection.
    pub records: Vec<RecordId>,
    /// The collection it is for.
    #[serde(rename = "collection_id", skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionId>,
    /// The one purpose that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// What its records are like; none where another device has sealed what does not open (DEV-25).
    #[serde(flatten, serialize_with = "crate::text::conditions")]
    pub conditions: Option<Conditions>,
    /// Who gave it for her, if a delegate did.
    #[serde(flatten, serialize_with = "crate::text::delegate")]
    pub delegate: Option<DelegateRef>,
}

pub(super) async fn permissions(vault: &Vault) -> Result<Vec<PermissionInfo>> {
    let mut infos = Vec::new();
    for own in own_permissions(vault).await? {
        let OwnPermission { permission, left, .. } = own;
        infos.push(PermissionInfo {
            permission_id: permission.permission_id,
            kind: permission.kind,
            institution: vault.institution_ref(permission.institution_id).await?,
            state: own.state,
            uses_left: left.uses(),
            uses: permission.uses,
            bytes_left: left.bytes(),
            created: permission.created,
            not_before: permission.not_before,
            not_after: permission.not_after,
            records: permission.records.iter().map(|record| record.record_id).collect(),
            collection: permission.collection.map(|selector| selector.collection.id),
            purpose: permission.purpose,
            conditions: shown_conditions(vault, &permission).await?,
            delegate: (permission.delegation())
                .map(|given| delegation::delegate_ref(vault, given))
                .transpose()?,
        });
    }
    infos.sort_by_key(|info| (info.created, info.permission_id));
    Ok(infos)
}

/// What is left of a permission of hers whose place another one is to take (PRM-14).
pub(super) async fn replaced(vault: &Vault, id: Option<PermissionId>) -> Result<Option<Replaces>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let all = own_permissions(vault).await?;
    let found = all.into_iter().find(|own| own.permission.permission_id == id);
    let own = found.ok_or_else(|| Error::Unknown {
        what: "permission",
        id: id.to_string(),
    })?;
    if own.state != PermissionState::Live {
        return Err(Error::Refused {
            problem: Problem::ReplacementConflict,
            detail: Some("nothing was sent: list your permissions, and name one that is live".into()),
            reader: Addressee::Patient,
        });
    }
    // It is she who gives the new one.
    Ok(Some(own.replaces(true)))
}

/// The conditions of a permission of hers, opened.
pub(super) async fn conditions(vault: &Vault, permission: &VerifiedPermission) -> Result<Conditions> {
    let Some(sealed) = &permission.conditions else {
        return Ok(Conditions::default());
    };
    let id = permission.permission_id;
    let key = ring::tag_key(vault).await?.conditions_key(&id);
    key.open(sealed, &vault.id(), &id)
        .map_err(Error::tampered("a permission"))
}

/// The conditions of a permission, to be shown; none where they do not open: that hides none of the other permissions (DEV-25).
async fn shown_conditions(vault: &Vault, permission: &VerifiedPermission) -> Result<Option<Conditions>> {
    match conditions(vault, permission).await {
        Err(Error::Tampered { .. }) if !Defence::ForeignNames.is_off() => Ok(None),
        conditions => conditions.map(Some),
    }
}

/// All her permissions, and how they stand. What another device replaces while the list is read may stand
/// in it by halves: it is then read once more.
pub(super) async fn own_permissions(vault: &Vault) -> Result<Vec<OwnPermission>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match read_permissions(vault).await? {
            Ok(own) => return Ok(own),
            Err(Misfit(what)) if tries == MAX_TRIES => return Err(hidden(what)),
            Err(_) => {}
        }
    }
}

/// Reads the list once, and holds it against what has been done and used before it was asked for.
async fn read_permissions(vault: &Vault) -> Result<Result<Vec<OwnPermission>, Misfit>> {
    let before = catching_up::catch_up(vault).await?.acts().clone();
    let mut used = used::read_used(vault)?;
    let further = used::used_further(vault, &used).await?;
    let mut shown = Vec::new();
    for mut entry in paged::permission_entries(vault).await? {
        let permission = own_permission(vault, entry.permission.take()).await?;
        shown.push(ShownPermission { permission, entry });
    }
    shown::check_permissions(vault, &before, &shown).await?;
    let all_proven = used::add_use(vault, &mut used, further, &shown).await?;
    // By the later of both clocks: what is over gets no new key, whatever the server calls it (PRM-16).
    let now = vault.session.clock.now();
    let own = stand(shown, |id| used.of(id), |end| now.may_be_over(end))?;
    if let Ok(own) = &own {
        used::keep_used(vault, &used, all_proven).await?;
        lines::keep_lines(vault, own).await?;
    }
    Ok(own)
}

/// Checks that a permission was signed by a device of hers, or by a delegate's, for this server (DEV-8, DLG-7).
pub(super) async fn own_permission(
    vault: &Vault,
    message: impl ReadsAs<SignedPermission>,
) -> Result<VerifiedPermission> {
    let permission = message
        .try_into()
        .and_then(SignedPermission::verify)
        .map_err(Error::tampered("a permission"))?;
    if permission.patient_id != vault.id() || permission.operator_id != vault.session.server.operator_id() {
        return Err(Error::tampered("a permission")("it is somebody else's"));
    }
    delegation::known_signer(vault, permission.device(), permission.delegation()).await?;
    Ok(permission)
}

/// Each failure may be what another device does meanwhile.
const MAX_TRIES: usize = 3;

/// The permission with this id, or the newest of those that have taken its place one after the other: whoever
/// takes back what she once permitted means what holds now.
pub(super) async fn newest_permission(vault: &Vault, id: PermissionId) -> Result<OwnPermission> {
    let mut all = own_permissions(vault).await?;
    let is = |own: &OwnPermission| own.permission.permission_id == id;
    let at = all.iter().position(is).ok_or_else(|| Error::Unknown {
        what: "permission",
        id: id.to_string(),
    })?;
    let mut own = all.swap_remove(at);
    loop {
        let before = own.permission.hash();
        let takes_its_place = |next: &OwnPermission| {
            let replaces = next.permission.replaces.as_ref();
            replaces.is_some_and(|replaces| replaces.permission_hash == before)
        };
        let Some(at) = all.iter().position(takes_its_place) else {
            return Ok(own);
        };
        own = all.swap_remove(at);
    }
}
