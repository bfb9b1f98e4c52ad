//! Statements of where a record lies: made, and put on the server (COL-5).

use std::future::Future;

use crypto::DataKey;
use protocol_spec::{
    api,
    attributes::Attributes,
    bodies::Placement,
    hash::{ContentRoot, Sha256Digest},
    ids::{CollectionId, RecordId, VersionId},
    problem::Problem,
    submitted,
    vault_head::Act,
};

use crate::{
    Error, Result,
    patient::{acts, ring, vault::Vault},
    trust::VerifiedRecord,
};

/// Places a record version in a collection. Gives the number of the placement.
pub(super) async fn place(
    vault: &Vault,
    record: &VerifiedRecord,
    key: &DataKey,
    to: CollectionId,
) -> Result<u64> {
    let path = api::ADOPT.at([&record.version_id()]);
    let adopt = |adoption| {
        let (server, path) = (&vault.session.server, &path);
        async move { server.post(path.again(), &adoption).await }
    };
    let (number, _) = placing(vault, &record.into(), key, to, adopt).await?;
    Ok(number)
}

/// Sends a placement. When another device has placed one meanwhile, it is done anew behind that (COL-4). Gives
/// its number and the answer.
pub(super) async fn placing<A, F: Future<Output = Result<A>>>(
    vault: &Vault,
    record: &ToPlace,
    key: &DataKey,
    to: CollectionId,
    send: impl Fn(submitted::AdoptRecord) -> F,
) -> Result<(u64, A)> {
    for _ in 0..MAX_TRIES {
        let (number, hash, message) = placement(vault, record, key, to).await?;
        match send(message).await {
            Ok(answer) => {
                vault.ring.get().placed(number);
                vault.placements.note(record.record_id, number)?;
                acts::did(vault, Act::Placement(record.record_id, hash)).await;
                return Ok((number, answer));
            }
            Err(Error::Refused {
                problem: Problem::PlacementConflict | Problem::EpochMismatch,
                ..
            }) => {
                ring::refresh_ring(vault).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::Usage(
        "other devices place records all the time: try again later".into(),
    ))
}

async fn placement(
    vault: &Vault,
    record: &ToPlace,
    key: &DataKey,
    to: CollectionId,
) -> Result<(u64, Sha256Digest, submitted::AdoptRecord)> {
    let version = record.version_id;
    let tags = ring::tag_key(vault).await?.tags(&record.attributes, &version)?;
    let wrap = |ring: &crate::patient::vault::ring::Ring| {
        let (collection, wrapping) = ring.current(to)?;
        Some((
            collection.epoch,
            ring.last_placement(),
            wrapping.wrap_data_key(vault.session.system(), key, &collection, &version),
        ))
    };
    let (epoch, last, wrap) = ring::in_ring(vault, wrap).await?.ok_or_else(|| Error::Unknown {
        what: "collection",
        id: to.to_string(),
    })?;
    let body = Placement {
        created: vault.session.system().now_ms(),
        patient_id: vault.id(),
        record_id: record.record_id,
        version_id: version,
        content_root: record.content_root,
        stream_len: record.stream_len,
        collection_id: to,
        number: last + 1,
        tags,
    };
    let placement = vault.keys.statement(body);
    let hash = placement.hash();
    let message = submitted::AdoptRecord {
        placement,
        epoch,
        data_key_wrap: (&wrap?).into(),
    };
    Ok((last + 1, hash, message))
}

/// Each failure is another device's success.
const MAX_TRIES: usize = 8;

/// A record version as a placement names it.
pub(super) struct ToPlace {
    pub(super) record_id: RecordId,
    pub(super) version_id: VersionId,
    pub(super) content_root: ContentRoot,
    pub(super) stream_len: u64,
    pub(super) attributes: Attributes,
}

impl From<&VerifiedRecord> for ToPlace {
    fn from(record: &VerifiedRecord) -> Self {
        Self {
            record_id: record.record_id(),
            version_id: record.version_id(),
            content_root: record.content_root(),
            stream_len: record.stream_len(),
            attributes: record.attributes(),
        }
    }
}
