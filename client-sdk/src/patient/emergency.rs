//! Emergency access, as a patient prepares it: a card that she carries, and guardians who can
//! help without it. See `protocol-spec/spec/emergency.md`.
//!
//! | module | does |
//! |---|---|
//! | `card` | makes a card; the page to print |
//! | `guardians` | names and removes guardians; helps as one; objects |

pub(in crate::patient) mod card;
pub(crate) mod guardians;

use std::time::Duration;

use crypto::{CardHalf, CollectionKey, PermissionKey, ServerHalf};
use protocol_spec::{
    api,
    collection::CollectionSelector,
    defence::Defence,
    emergency::{ANY_INSTITUTION, EmergencyTerms, GuardianTerms, NOTHING},
    field::SealedBytes,
    ids::{CollectionId, PermissionId},
    keys::RecipientKey,
    messages as pb,
    permission::{Kind, PermissionBody},
    submitted,
};

use crate::{
    Error, Result,
    ground::millis,
    patient::{
        answers, collections, heads, ring,
        standing::OwnPermission,
        vault::{Vault, ring::Ring},
    },
};

pub(crate) use self::guardians::OpenedBy;
pub use self::{
    card::{EmergencyCard, MadeCard},
    guardians::{GuardianInfo, HelpInfo},
};
/// How far an emergency permission goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmergencyLimits {
    /// How often it may be presented in all.
    pub uses: u32,
    /// Ciphertext bytes in all; none: as many as there are.
    pub bytes: Option<u64>,
    /// How long it holds, from now on.
    pub expires: Duration,
}

impl Default for EmergencyLimits {
    fn default() -> Self {
        Self {
            uses: 20,
            bytes: None,
            // People carry cards for years.
            expires: Duration::from_secs(5 * 365 * 24 * 3600),
        }
    }
}

/// Who is to have the first half, and how it is sealed to him.
struct Guarded {
    terms: GuardianTerms,
    half: SealedBytes,
    root_epoch: u64,
}

/// Makes the second half, wraps the collection's key to both, and sends it with what the server is to keep (EMG-2,
/// EMG-4). The first half is the caller's to hand over.
async fn put_emergency(
    vault: &Vault,
    half: &CardHalf,
    guarded: Option<Guarded>,
    limits: &EmergencyLimits,
) -> Result<PermissionId> {
    if ring::refresh_ring(vault)
        .await?
        .current(CollectionId::EMERGENCY)
        .is_none()
    {
        collections::create_collection(vault, collections::EMERGENCY).await?;
    }
    let share = ServerHalf::generate(vault.session.system())?;
    let recipient = half.recipient(&share, &vault.id())?;
    let id = vault.session.system().id(PermissionId::mint)?;
    let (collection, key) = emergency_key(vault, &id).await?;
    let terms = EmergencyTerms {
        card_key: half.key(&vault.id())?.public(),
        share_hash: share.hash(),
        guardian: guarded.as_ref().map(|guarded| guarded.terms),
    };
    let mut body = emergency_body(vault, (id, &key), collection, recipient.public(), limits);
    body.vault_head = Some(heads::head(vault).await?);
    body.emergency = Some(terms);
    let permission = answers::seal_permission(vault, &body, key, recipient.public())?;
    let guardian_root_epoch = guarded.as_ref().map_or(0, |guarded| guarded.root_epoch);
    let halves = submitted::Halves {
        share: bytes::Bytes::copy_from_slice(share.expose()),
        recipient_key: recipient.public().clone(),
        guardian_half: guarded.map(|guarded| guarded.half),
        guardian_root_epoch,
    };
    let message = submitted::PutEmergency {
        permission,
        halves: Some(halves),
    };
    vault.post(api::PUT_EMERGENCY.here(), &message).await?;
    answers::did_permit(vault, &message.permission).await;
    heads::put_head(vault).await?;
    Ok(id)
}

/// What a new emergency permission says, but for its head and its terms.
fn emergency_body(
    vault: &Vault,
    (id, key): (PermissionId, &PermissionKey),
    collection: CollectionSelector,
    recipient: &RecipientKey,
    limits: &EmergencyLimits,
) -> PermissionBody {
    let now = vault.session.system().now_ms();
    PermissionBody {
        created: now,
        operator_id: vault.session.server.operator_id(),
        permission_id: id,
        kind: Kind::Emergency,
        patient_id: vault.id(),
        institution_id: ANY_INSTITUTION,
        directory_entry_hash: NOTHING,
        recipient_key_hash: recipient.digest(),
        records: Vec::new(),
        collection: Some(collection),
        not_before: now.saturating_sub(answers::CLOCK_TOLERANCE),
        not_after: now.saturating_add(millis(limits.expires)),
        uses: limits.uses,
        bytes: limits.bytes.unwrap_or(u64::MAX),
        request_hash: NOTHING,
        possession_key: key.possession(),
        replaces: None,
        purpose: None,
        conditions: None,
        vault_head: None,
        delegation: None,
        emergency: None,
    }
}

/// Wraps the collection's present key anew, to the same halves: neither card nor guardian notices. The key to wrap
/// to is the server's to keep, and the old permission's to name.
pub(super) async fn rewrap_emergency(
    vault: &Vault,
    old: &OwnPermission,
    change: impl FnOnce(&mut PermissionBody),
) -> Result<PermissionId> {
    let OwnPermission { permission, left, .. } = old;
    let shown = emergency_list(vault).await?;
    let id = permission.permission_id.as_bytes();
    let shown = shown.into_iter().find(|entry| entry.permission_id == id[..]);
    let shown = shown.ok_or_else(|| tampered("the server does not show its key"))?;
    let recipient = RecipientKey::try_from(shown.recipient_key.as_ref()).map_err(tampered)?;
    let same = recipient.digest() == permission.recipient_key_hash;
    if !Defence::EmergencyKey.holds(same) {
        return Err(tampered("the server shows another key to wrap to"));
    }
    let id = vault.session.system().id(PermissionId::mint)?;
    let (collection, key) = emergency_key(vault, &id).await?;
    let mut body = PermissionBody {
        created: vault.session.system().now_ms(),
        permission_id: id,
        collection: Some(collection),
        uses: left.uses(),
        bytes: left.bytes(),
        possession_key: key.possession(),
        replaces: Some(old.replaces(false)),
        vault_head: Some(heads::head(vault).await?),
        ..PermissionBody::clone(permission)
    };
    change(&mut body);
    let message = submitted::PutEmergency {
        permission: answers::seal_permission(vault, &body, key, &recipient)?,
        halves: None,
    };
    vault.post(api::PUT_EMERGENCY.here(), &message).await?;
    answers::did_permit(vault, &message.permission).await;
    Ok(id)
}

/// The key of the collection in its present epoch, as a permission gives it.
async fn emergency_key(vault: &Vault, id: &PermissionId) -> Result<(CollectionSelector, PermissionKey)> {
    let current = |ring: &Ring| {
        let (collection, key) = ring.current(CollectionId::EMERGENCY)?;
        let selector = CollectionSelector {
            collection,
            until: None,
        };
        Some((
            selector,
            PermissionKey::mint::<CollectionKey>(vault.session.system(), id, key),
        ))
    };
    let (collection, key) = ring::in_ring(vault, current)
        .await?
        .ok_or_else(|| Error::Unknown {
            what: "collection",
            id: collections::EMERGENCY.to_owned(),
        })?;
    Ok((collection, key?))
}

pub(super) async fn emergency_list(vault: &Vault) -> Result<Vec<pb::EmergencyEntry>> {
    let list = vault.get(api::EMERGENCY.here()).await?;
    Ok(list.entries)
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("an emergency permission")(cause)
}
