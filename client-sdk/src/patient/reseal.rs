//! Content that a revoked permission exposed and nobody fetched, sealed anew: the institution knows the old data key, and
//! nothing lies under that any more. See `protocol-spec/spec/revocation.md` §5.

use std::collections::{HashMap, HashSet};

use crypto::{
    DataKey,
    content::{RecordContext, Sealer, seal_manifest},
};
use protocol_spec::{
    api,
    bodies::{Reseal, UploadReceipt},
    certificate::ExposedVersion,
    ids::{CollectionId, PermissionId, RecordId, UploadId, VersionId},
    index::IndexEntry,
    messages as pb,
    permission::VerifiedPermission,
    provenance::SealedManifest,
    submitted,
};

use crate::{
    Error, Progress, Result,
    patient::{
        examine::{self, Examined},
        listing::{self, Listing},
        permissions,
        placing::{self, ToPlace},
        standing::PermissionState,
        vault::Vault,
    },
    transfer::{Budget, Leaves, SealedStream, interrupted, pipe, receive, upload},
    trust::VerifiedRecord,
};

/// A record that stays as it is sealed, though its data key was given away.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Kept {
    /// The record that stays as it was.
    pub record_id: RecordId,
    /// Why it was not sealed anew.
    #[serde(flatten)]
    pub why: KeptWhy,
}

/// Why a record is not sealed anew.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum KeptWhy {
    /// The institution has received it already, at least in part.
    #[serde(rename = "received")]
    HandedOut,
    /// The institution has made it.
    ItsOwn,
    /// Another permission that still holds, or whose last use may still run, names it as it is.
    #[serde(rename = "permitted")]
    Named {
        /// The other permission that names it.
        permission_id: PermissionId,
    },
    /// It does not verify, or could not be passed on: what went wrong.
    Failed {
        /// What went wrong, for people to read.
        error: String,
    },
}

/// What sealing anew came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Resealed {
    /// Records that now lie under another data key.
    #[serde(rename = "sealed_anew")]
    pub records: Vec<RecordId>,
    /// Records that lie as before.
    pub kept: Vec<Kept>,
}

/// A record on its way from its old version to a new one.
struct Anew {
    old: VerifiedRecord,
    collection: CollectionId,
    context: RecordContext,
    key: DataKey,
    upload: UploadId,
}

/// Seals anew what a permission has exposed, if not one leaf of it was handed out. `progress` counts bytes.
pub(super) async fn reseal(
    vault: &Vault,
    permission: &VerifiedPermission,
    exposed: &[ExposedVersion],
    handed_out: &HashSet<VersionId>,
    progress: &dyn Progress,
) -> Result<Resealed> {
    let mut resealed = Resealed::default();
    let named = named_by_others(vault).await?;
    let (mut wanted, mut bytes) = (Vec::new(), 0_u64);
    let (entries, refused) = still_there(vault, exposed).await?;
    let failed = |record_id, error: &Error| Kept {
        record_id,
        why: KeptWhy::Failed {
            error: error.to_string(),
        },
    };
    resealed
        .kept
        .extend(refused.iter().map(|(id, error)| failed(*id, error)));
    for entry in entries {
        let (record_id, version) = (entry.record_id, entry.version_id);
        let why = if handed_out.contains(&version) {
            KeptWhy::HandedOut
        } else if entry.institution_id == permission.institution_id {
            KeptWhy::ItsOwn
        } else if let Some(other) = named.get(&version) {
            KeptWhy::Named {
                permission_id: *other,
            }
        } else {
            bytes = bytes.saturating_add(entry.stream_len);
            wanted.push(record_id);
            continue;
        };
        resealed.kept.push(Kept { record_id, why });
    }
    progress.started(bytes);
    for record in wanted {
        match reseal_record(vault, record, progress).await {
            Ok(()) => resealed.records.push(record),
            // The next run goes on where this one stopped.
            Err(error) if error.is_of_this_side() => return Err(error),
            // One bad record does not keep the others from it.
            Err(error) => resealed.kept.push(failed(record, &error)),
        }
    }
    progress.finished();
    Ok(resealed)
}

/// Of these versions, those that lie in the vault as they were, and records of them that do not verify.
async fn still_there(
    vault: &Vault,
    exposed: &[ExposedVersion],
) -> Result<(Vec<IndexEntry>, Vec<(RecordId, Error)>)> {
    let versions: HashSet<VersionId> = exposed.iter().map(|one| one.version_id).collect();
    let records: HashSet<RecordId> = exposed.iter().map(|one| one.record_id).collect();
    let Listing {
        mut entries,
        mut refused,
        ..
    } = listing::listing(vault).await?;
    entries.retain(|entry| versions.contains(&entry.version_id));
    refused.retain(|(record, _)| records.contains(record));
    Ok((entries, refused))
}

/// Versions that stand in the lists of permissions that still hold.
async fn named_by_others(vault: &Vault) -> Result<HashMap<VersionId, PermissionId>> {
    let mut named = HashMap::new();
    for own in permissions::own_permissions(vault).await? {
        if matches!(own.state, PermissionState::Live | PermissionState::Spent) {
            let id = own.permission.permission_id;
            let versions = own.permission.records.iter().map(|record| record.version_id);
            named.extend(versions.map(|version| (version, id)));
        }
    }
    Ok(named)
}

/// Brings one record under a new data key (REV-8). If it is interrupted, nothing has changed.
async fn reseal_record(vault: &Vault, record: RecordId, progress: &dyn Progress) -> Result<()> {
    let Examined {
        verified: old,
        key: old_key,
        collection,
        ..
    } = listing::examine(vault, record).await?;
    let version = vault.session.system().id(VersionId::mint)?;
    let open = submitted::OpenReseal {
        replaces: old.version_id(),
        version_id: version,
    };
    let opened = vault.post(api::OPEN_RESEAL.here(), &open).await?;
    let anew = Anew {
        context: RecordContext {
            version,
            ..old.context()
        },
        old,
        collection,
        key: DataKey::generate(vault.session.system())?,
        upload: opened.upload_id.as_ref().try_into()?,
    };
    let sealed = send_anew(vault, &anew, old_key, progress).await?;
    let receipt = commit_anew(vault, &anew, sealed).await?;
    let receipt = vault
        .session
        .log
        .receipt::<UploadReceipt>(Some(receipt), RECEIPT)
        .await?;
    let said = &receipt.statement;
    let same = said.patient_id == vault.id()
        && (said.record_id, said.version_id) == (record, version)
        && said.replaces == Some(anew.old.version_id());
    if same {
        Ok(())
    } else {
        Err(Error::tampered(RECEIPT)("it is for something else"))
    }
}

/// Reads the old version and sends the new one at the same time; nothing lies on the disk in between.
async fn send_anew(
    vault: &Vault,
    anew: &Anew,
    old_key: DataKey,
    progress: &dyn Progress,
) -> Result<SealedStream> {
    let Anew {
        old,
        context,
        key,
        upload: id,
        ..
    } = anew;
    let manifest = &old.manifest;
    let server = &vault.session.server;
    let (source, sink) = pipe::through(&manifest.parts)?;
    let sealer = Sealer::new(vault.session.system(), key, context, manifest.plaintext_len)?;
    let leaves = Leaves {
        at: api::OWN_LEAVES.at([&old.version_id()]),
        stream_len: old.stream_len(),
        budget: Budget::default(),
    };
    let (received, sent) = tokio::join!(
        receive(server, &leaves, old.expected(old_key), sink, &()),
        upload(server, id, &[], (source, sealer, None), progress)
    );
    match (received, sent) {
        // Whichever end failed first knows why.
        (Err(error), Err(cause)) if pipe::is_unread(&error) => Err(interrupted(cause)),
        (Err(error), _) | (Ok(_), Err(error)) => Err(interrupted(error)),
        (Ok(_), Ok(outcome)) if outcome.sealed.parts == manifest.parts => Ok(outcome.sealed),
        (Ok(_), Ok(_)) => Err(Error::tampered("the record")("it was not passed on as it is")),
    }
}

async fn commit_anew(vault: &Vault, anew: &Anew, sealed: SealedStream) -> Result<pb::Receipt> {
    let Anew {
        old, context, key, ..
    } = anew;
    let manifest = &old.manifest;
    let reseal = Reseal {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        record_id: context.record,
        replaces: old.version_id(),
        version_id: context.version,
        content_root: sealed.root,
        manifest_hash: manifest.hash(),
    };
    let reseal = vault.keys.statement(reseal);
    let manifest = SealedManifest::new(manifest.signed().clone()).resealed(reseal);
    let stream = submitted::CommitUpload {
        content_root: sealed.root,
        stream_len: old.stream_len(),
        sealed_manifest: seal_manifest(vault.session.system(), key, context, &manifest.encode())?.into(),
        content: sealed.single.unwrap_or_default(),
    };
    let place = ToPlace {
        record_id: context.record,
        version_id: context.version,
        content_root: sealed.root,
        stream_len: old.stream_len(),
        attributes: old.attributes(),
    };
    let path = api::COMMIT_RESEAL.at([&anew.upload]);
    let commit = |adoption| {
        let message = submitted::CommitReseal {
            upload: stream.clone(),
            adoption,
        };
        let (server, path) = (&vault.session.server, &path);
        async move { server.post(path.again(), &message).await }
    };
    let (_, receipt) = placing::placing(vault, &place, key, anew.collection, commit).await?;
    vault.placements.keep().await?;
    Ok(receipt)
}

/// Of the exposed versions, those whose places others have taken, and the receipts that say so (REV-10).
pub(super) async fn reseals(
    vault: &Vault,
    exposed: impl Iterator<Item = &ExposedVersion>,
) -> Result<(Vec<ExposedVersion>, Vec<pb::Receipt>)> {
    let mut exposed = exposed.peekable();
    if exposed.peek().is_none() {
        return Ok(Default::default());
    }
    let entries = listing::listing(vault).await?.entries;
    let now = entries.iter().map(|entry| (entry.record_id, entry.version_id));
    let now: HashMap<RecordId, VersionId> = now.collect();
    let mut reseals = Vec::new();
    for one in exposed {
        let Some(version) = now.get(&one.record_id).filter(|now| **now != one.version_id) else {
            continue;
        };
        let stored = examine::shown(vault, *version).await?.record.unwrap_or_default();
        let receipt = vault
            .session
            .log
            .receipt::<UploadReceipt>(stored.receipt.clone(), RECEIPT)
            .await?;
        if receipt.statement.replaces == Some(one.version_id) {
            reseals.extend(stored.receipt.map(|receipt| (*one, receipt)));
        }
    }
    Ok(reseals.into_iter().unzip())
}

const RECEIPT: &str = "the receipt";
