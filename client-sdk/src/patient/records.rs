//! Her own records: listed, and opened.

use std::{collections::HashMap, path::Path};

use crypto::{DataKey, content::StreamLengths};
use protocol_spec::{
    api,
    ids::{CollectionId, PermissionId, RecordId, VersionId},
    index::IndexEntry,
    manifest::Part,
};

use crate::{
    Error, LogEntry, Progress, Provenance, Result, VerifiedCheckpoint,
    connect::Server,
    patient::{
        examine::Examined,
        listing::{self, Listing},
        refs::InstitutionRef,
        vault::Vault,
    },
    session::blocking,
    transfer::{Budget, Expected, FolderSink, Leaves, Sink, receive},
    trust::{FetchedPart, VerifiedRecord},
};

/// A record of her vault, its provenance verified.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RecordInfo {
    /// The record, whatever its version is now.
    pub record_id: RecordId,
    /// The version that lies in the vault.
    pub version_id: VersionId,
    /// When the server stored it, in milliseconds since 1970.
    #[serde(serialize_with = "crate::text::moment")]
    pub received: u64,
    /// Which institution made the record.
    #[serde(flatten, serialize_with = "crate::text::from")]
    pub from: InstitutionRef,
    /// The permission it was uploaded under.
    pub permission_id: PermissionId,
    /// The collection it lies in.
    #[serde(rename = "collection_id")]
    pub collection: CollectionId,
    /// The files that the record consists of.
    #[serde(serialize_with = "crate::text::parts")]
    pub parts: Vec<Part>,
    /// Bytes of its sealed stream.
    #[serde(rename = "stream_bytes")]
    pub stream_len: u64,
}

/// What [`crate::Patient::records`] found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Records {
    /// Verified, oldest first; what was new is adopted.
    pub records: Vec<RecordInfo>,
    /// Those that do not verify, and why. They were not adopted.
    #[serde(serialize_with = "crate::text::refused")]
    pub refused: Vec<(RecordId, Error)>,
}

/// A record that was opened into a folder.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Received {
    /// The record, whatever its version is now.
    pub record_id: RecordId,
    /// The version that lies in the vault.
    pub version_id: VersionId,
    /// Its files, as they now lie in the folder.
    pub parts: Vec<FetchedPart>,
    /// Which institution made the record.
    pub provenance: Provenance,
}

pub(super) async fn scan_log(
    vault: &Vault,
    from: u64,
    progress: &dyn Progress,
    visit: impl FnMut(u64, LogEntry) -> Result<()>,
) -> Result<VerifiedCheckpoint> {
    vault.session.log.scan(from, progress, visit).await
}

pub(super) async fn records(vault: &Vault) -> Result<Records> {
    let Listing { entries, refused, .. } = listing::listing(vault).await?;
    let mut makers = HashMap::new();
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        let from = match makers.get(&entry.institution_id) {
            Some(known) => InstitutionRef::clone(known),
            None => {
                let maker = vault.institution_ref(entry.institution_id).await?;
                makers.entry(entry.institution_id).or_insert(maker).clone()
            }
        };
        records.push(RecordInfo::of(entry, from));
    }
    Ok(Records { records, refused })
}

pub(super) async fn get_record(
    vault: &Vault,
    record: RecordId,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Received> {
    let found = listing::examine(vault, record).await?;
    open_record(&vault.session.server, found, (out, false), progress).await
}

pub(super) async fn get_file(
    vault: &Vault,
    record: RecordId,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Received> {
    let found = listing::examine(vault, record).await?;
    open_record(&vault.session.server, found, (out, true), progress).await
}

/// Opens a record that was found in a vault into `out/<record id>/`; perhaps only if it is one file.
pub(super) async fn open_record(
    server: &Server,
    found: Examined,
    (out, single): (&Path, bool),
    progress: &dyn Progress,
) -> Result<Received> {
    let Examined { verified, key, .. } = found;
    let record_id = verified.record_id();
    let mut sink = FolderSink::new(out, &record_id.to_string(), &[record_id])?;
    if single {
        sink = sink.single()?;
    }
    let leaves = Leaves {
        at: api::OWN_LEAVES.at([&verified.version_id()]),
        stream_len: verified.stream_len(),
        budget: Budget::default(),
    };
    progress.started(verified.stream_len());
    let mut sink = receive(server, &leaves, verified.expected(key), sink, progress).await?;
    blocking(move || sink.commit()).await?;
    progress.finished();
    Ok(Received {
        record_id,
        version_id: verified.version_id(),
        parts: verified.fetched_parts(),
        provenance: verified.provenance(),
    })
}

impl RecordInfo {
    /// What was verified, and the accredited name of its maker.
    pub(super) fn of(entry: IndexEntry, from: InstitutionRef) -> Self {
        Self {
            record_id: entry.record_id,
            version_id: entry.version_id,
            received: entry.received,
            from,
            permission_id: entry.permission_id,
            collection: entry.collection_id,
            parts: entry.parts,
            stream_len: entry.stream_len,
        }
    }
}

impl VerifiedRecord {
    /// What the opener is to find.
    pub(crate) fn expected(&self, key: DataKey) -> Expected {
        let lengths = StreamLengths {
            stream: self.stream_len(),
            plaintext: self.manifest.plaintext_len,
        };
        let (root, parts) = (self.content_root(), self.manifest.parts.clone());
        Expected {
            key,
            context: self.context(),
            lengths,
            root,
            parts,
        }
    }
}
