//! Answers to requests: signed first, sent second. What has been signed is exact bytes, so that it can be kept between
//! the two and sent once more after a crash, without a second signature over other conditions.

use crypto::{
    CollectionKey, ConditionsKey, DataKey, PermissionKey, TextContext, permission::Granted, seal_text,
};
use prost::Message;
use protocol_spec::{
    api,
    bodies::Denial,
    collection::CollectionSelector,
    conditions::Conditions,
    delegation::VerifiedDelegation,
    hash::Sha256Digest,
    ids::PermissionId,
    keys::RecipientKey,
    permission::{Kind, PermissionBody, RecordSelector, Replaces, SignedPermission},
    purpose::Purpose,
    statement::Body,
    submitted::{self, Submitted},
    tags::SealedConditions,
};

use crate::{
    DirectoryEntry, Error, Result,
    connect::Server,
    patient::{
        acts,
        heads::{self, permission_act},
        listing::OwnRecord,
        ring,
        terms::InCollection,
        vault::Vault,
    },
    trust::Asked,
    trust::must_go_on,
};

pub(super) use crate::clock::CLOCK_TOLERANCE;

/// What a permission is for, besides its limits.
pub(super) struct Grant<'a> {
    pub(super) id: PermissionId,
    pub(super) kind: Kind,
    pub(super) to: &'a DirectoryEntry,
    pub(super) records: Vec<RecordSelector>,
    pub(super) collection: Option<CollectionSelector>,
    pub(super) request_hash: Sha256Digest,
    /// The permission whose place it takes.
    pub(super) replaces: Option<Replaces>,
    pub(super) conditions: Option<SealedConditions>,
    /// The delegation by which it is given for another patient.
    pub(super) behalf: Option<&'a VerifiedDelegation>,
}

/// How far a permission goes.
#[derive(Clone, Debug)]
pub(crate) struct PermissionLimits {
    /// In milliseconds since 1970; none: from now on.
    pub(crate) not_before: Option<u64>,
    /// When it ends, in milliseconds since 1970.
    pub(crate) not_after: u64,
    pub(crate) uses: u32,
    /// Without it, enough for every use and as much again for transfers that break off.
    pub(crate) bytes: Option<u64>,
    /// The one purpose that it is for.
    pub(crate) purpose: Option<Purpose>,
    /// Which records, of those that it is for.
    pub(crate) conditions: Conditions,
    /// The permission whose place it takes.
    pub(crate) replaces: Option<Replaces>,
}

/// A signed answer, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) enum SignedAnswer {
    Permission(Box<submitted::SubmitPermission>),
    Denial(Box<submitted::SubmitDenial>),
}

impl SignedAnswer {
    /// SHA-256 of the body that was signed: what the history shows it by.
    pub(crate) fn statement_hash(&self) -> Sha256Digest {
        match self {
            Self::Permission(message) => message.permission.hash(),
            Self::Denial(message) => message.denial.hash(),
        }
    }

    /// Sends it, without a head.
    pub(crate) async fn send(&self, server: &Server) -> Result<()> {
        match self {
            Self::Permission(message) => {
                drop(server.post(api::SUBMIT_PERMISSION.here(), &**message).await?);
            }
            Self::Denial(message) => drop(server.post(api::SUBMIT_DENIAL.here(), &**message).await?),
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Permission(message) => message.write().encode_to_vec(),
            Self::Denial(message) => message.write().encode_to_vec(),
        }
    }
}

/// Signs a permission for exactly these records. The receiver is looked up in her own verified directory (FLW-4).
pub(crate) async fn sign_permit(
    vault: &Vault,
    asked: &Asked,
    chosen: Vec<OwnRecord>,
    limits: &PermissionLimits,
    behalf: Option<&VerifiedDelegation>,
) -> Result<(PermissionId, SignedAnswer)> {
    let receiver = vault.session.mirror.as_of_now(asked.receiver).await?;
    let id = vault.session.system().id(PermissionId::mint)?;
    let records: Vec<_> = chosen.iter().map(selector).collect();
    let all = records
        .iter()
        .map(|record| record.stream_len)
        .fold(0, u64::saturating_add);
    // Transfers that break off are charged too, so without a limit there is room for as much again.
    let enough = all.saturating_mul(u64::from(limits.uses)).saturating_mul(2);
    let limits = PermissionLimits {
        bytes: Some(limits.bytes.unwrap_or(enough)),
        ..limits.clone()
    };
    let keys: Vec<DataKey> = chosen.into_iter().map(|record| record.key).collect();
    let (key, conditions) = mint_key(vault, &id, &keys, &limits.conditions, false).await?;
    let grant = Grant {
        id,
        kind: asked.kind,
        to: &receiver,
        records,
        collection: None,
        request_hash: asked.hash,
        replaces: limits.replaces,
        conditions,
        behalf,
    };
    sign_answer(vault, grant, key, &limits).await
}

/// The permission key that gives `keys`, and the conditions as the permission carries them: with tokens where the
/// server is to test records (CND-8).
pub(super) async fn mint_key<K: Granted>(
    vault: &Vault,
    id: &PermissionId,
    keys: &K,
    conditions: &Conditions,
    tested: bool,
) -> Result<(PermissionKey, Option<SealedConditions>)> {
    if conditions.is_empty() {
        return Ok((PermissionKey::mint(vault.session.system(), id, keys)?, None));
    }
    let conditions = conditions.clone().checked()?;
    let tag_key = ring::tag_key(vault).await?;
    let groups = if tested {
        tag_key.groups(&conditions)?
    } else {
        Vec::new()
    };
    let key: ConditionsKey = tag_key.conditions_key(id);
    let sealed = key.seal(vault.session.system(), &conditions, &vault.id(), id, groups)?;
    Ok((
        PermissionKey::mint_with(vault.session.system(), id, keys, Some(&key))?,
        Some(sealed),
    ))
}

/// Signs a permission for whatever lies in a collection, under its current key (COL-5).
pub(crate) async fn sign_permit_collection(
    vault: &Vault,
    asked: &Asked,
    of: InCollection,
    limits: &PermissionLimits,
) -> Result<(PermissionId, SignedAnswer)> {
    let (selector, key) = {
        let ring = ring::refresh_ring(vault).await?;
        let (collection, key) = ring.current(of.id).ok_or_else(|| Error::Unknown {
            what: "collection",
            id: of.id.to_string(),
        })?;
        let until = of.until_now.then_some(ring.last_placement());
        if until == Some(0) {
            return Err(Error::Usage(
                "there is no record to permit: ask for an upload first".into(),
            ));
        }
        let key = CollectionKey::from_bytes(key.expose());
        (CollectionSelector { collection, until }, key)
    };
    sign_permit_selector(vault, asked, (selector, key), limits, None).await
}

/// Signs a permission for what a selector names, of whose collection this is the key.
pub(crate) async fn sign_permit_selector(
    vault: &Vault,
    asked: &Asked,
    (selector, key): (CollectionSelector, CollectionKey),
    limits: &PermissionLimits,
    behalf: Option<&VerifiedDelegation>,
) -> Result<(PermissionId, SignedAnswer)> {
    let receiver = vault.session.mirror.as_of_now(asked.receiver).await?;
    let id = vault.session.system().id(PermissionId::mint)?;
    let (key, conditions) = mint_key(vault, &id, &key, &limits.conditions, true).await?;
    let grant = Grant {
        id,
        kind: asked.kind,
        to: &receiver,
        records: Vec::new(),
        collection: Some(selector),
        request_hash: asked.hash,
        replaces: limits.replaces,
        conditions,
        behalf,
    };
    sign_answer(vault, grant, key, limits).await
}

async fn sign_answer(
    vault: &Vault,
    grant: Grant<'_>,
    key: PermissionKey,
    limits: &PermissionLimits,
) -> Result<(PermissionId, SignedAnswer)> {
    let id = grant.id;
    let permission = sign_permission(vault, grant, key, limits).await?;
    Ok((id, SignedAnswer::Permission(Box::new(permission.into()))))
}

/// Signs a denial, of her own or by a delegation.
pub(crate) async fn sign_denial(
    vault: &Vault,
    asked: &Asked,
    text: &str,
    behalf: Option<&VerifiedDelegation>,
) -> Result<SignedAnswer> {
    let Asked { request_id, hash, .. } = asked;
    let asker = vault.session.mirror.as_of_now(asked.asker.id()).await?;
    let patient_id = behalf.map_or(vault.id(), |delegation| delegation.patient_id);
    let context = TextContext::to_institution(*request_id, &patient_id, &asker.id());
    let denial = Denial {
        created: vault.session.system().now_ms(),
        request_id: *request_id,
        request_hash: *hash,
        patient_id,
        institution_id: asker.id(),
        text: seal_text(vault.session.system(), asker.recipient_key(), &context, text)?,
    };
    let denial = vault.keys.statement(denial);
    let denial = match behalf {
        Some(delegation) => denial.through(delegation.signed()),
        None => denial,
    };
    Ok(SignedAnswer::Denial(Box::new(submitted::SubmitDenial { denial })))
}

/// Sends an answer, a permission with the head over it.
pub(crate) async fn submit(vault: &Vault, answer: &SignedAnswer) -> Result<()> {
    match answer {
        SignedAnswer::Permission(message) => heads::submit_with_head(vault, message).await,
        SignedAnswer::Denial(_) => answer.send(&vault.session.server).await,
    }
}

/// Notes a permission that the server has taken.
pub(super) async fn did_permit(vault: &Vault, permission: &SignedPermission) {
    acts::did(vault, permission_act(permission)).await;
}

/// Encodes the body, wraps the key over it, and signs both (PRM-2, PRM-6).
pub(super) async fn sign_permission(
    vault: &Vault,
    grant: Grant<'_>,
    key: PermissionKey,
    limits: &PermissionLimits,
) -> Result<SignedPermission> {
    must_go_on(grant.to)?;
    let Grant { to, behalf, .. } = grant;
    let vault_head = match behalf {
        None => Some(heads::head(vault).await?),
        Some(_) => None,
    };
    let now = vault.session.system().now_ms();
    let body = PermissionBody {
        created: now,
        operator_id: vault.session.server.operator_id(),
        permission_id: grant.id,
        kind: grant.kind,
        patient_id: behalf.map_or(vault.id(), |delegation| delegation.patient_id),
        institution_id: to.id(),
        directory_entry_hash: to.entry_hash(),
        recipient_key_hash: to.recipient_key().digest(),
        records: grant.records,
        collection: grant.collection,
        // Clocks differ: a permission that is to hold now must not wait for the server's clock.
        not_before: limits.not_before.unwrap_or(now.saturating_sub(CLOCK_TOLERANCE)),
        not_after: limits.not_after,
        uses: limits.uses,
        bytes: limits.bytes.unwrap_or(u64::MAX),
        request_hash: grant.request_hash,
        possession_key: key.possession(),
        replaces: grant.replaces,
        purpose: limits.purpose,
        conditions: grant.conditions,
        vault_head,
        delegation: behalf.map(VerifiedDelegation::hash),
        emergency: None,
    };
    let permission = seal_permission(vault, &body, key, to.recipient_key())?;
    Ok(match behalf {
        Some(delegation) => permission.through(delegation.signed()),
        None => permission,
    })
}

pub(super) fn seal_permission(
    vault: &Vault,
    body: &PermissionBody,
    key: PermissionKey,
    to: &RecipientKey,
) -> Result<SignedPermission> {
    let bytes = body.encode();
    let wrap = key.seal(vault.session.system(), to, &bytes)?;
    let chain = vault.keys.chain.clone();
    Ok(SignedPermission::sign(bytes, wrap, chain, |message| {
        vault.keys.sign(message)
    })?)
}

fn selector(record: &OwnRecord) -> RecordSelector {
    let entry = &record.entry;
    RecordSelector {
        record_id: entry.record_id,
        version_id: entry.version_id,
        content_root: entry.content_root,
        stream_len: entry.stream_len,
    }
}
