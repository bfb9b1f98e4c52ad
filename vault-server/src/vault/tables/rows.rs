//! What stands in the rows that no message of the protocol fits. Numbers of fields are part of the stored
//! format: never reuse one.

use bytes::Bytes;
use prost::Message;
use protocol_spec::messages as pb;

/// A row that says all by being there.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct Mark {}

/// What is newest of a patient's devices.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct PatientRow {
    /// `DeviceListBody`.
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) list: Option<pb::Statement>,
    /// Who signed it; of the first list, its device.
    #[prost(message, optional, tag = "2")]
    pub(in crate::vault) signer: Option<pb::DeviceChain>,
    /// The ids in the list.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(in crate::vault) devices: Vec<Bytes>,
    /// As in the list.
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) root_epoch: u64,
    /// By epoch, from 0: each under the one after it.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(in crate::vault) previous_root_keys: Vec<Bytes>,
    /// `VaultKeyBody`: all that others see.
    #[prost(message, optional, tag = "6")]
    pub(in crate::vault) vault_key: Option<pb::PatientStatement>,
    /// Those of the list that are leaving.
    #[prost(message, repeated, tag = "7")]
    pub(in crate::vault) leaving: Vec<LeavingRow>,
    /// Of root epochs whose key stands under a later one than the next, because those between do not open.
    #[prost(message, repeated, tag = "8")]
    pub(in crate::vault) passed_over: Vec<pb::PassedOver>,
    /// When the root epoch began, in milliseconds since 1970.
    #[prost(uint64, tag = "9")]
    pub(in crate::vault) root_since: u64,
    /// Root epochs that are over and of which something is kept, by epoch.
    #[prost(message, repeated, tag = "10")]
    pub(in crate::vault) kept: Vec<KeptEpoch>,
}

/// A root epoch that is over, of which something is kept.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct KeptEpoch {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) root_epoch: u64,
    /// When it began, in milliseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) from: u64,
    /// When the next one took its place.
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) until: u64,
}

/// The root key of an epoch that is over, as it is sealed to each device that was listed then and stayed.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct KeptKeysRow {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::vault) root_keys: Vec<KeptKey>,
}

/// The collections under the root key of an epoch that is over, as its end found them, by id.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct KeptCollectionsRow {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::vault) collections: Vec<pb::CollectionEpochs>,
}

/// A root key as it is sealed to one device.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct KeptKey {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) device: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(in crate::vault) root_key: Option<pb::Sealed>,
}

/// A recovery member whose removal is announced.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LeavingRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) member: Bytes,
    /// Who has announced it.
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) by: Bytes,
    /// When, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) at: u64,
}

/// A device, as long as it is known whose it was.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct DeviceRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) patient: Bytes,
    /// Its root key is that of the newest epoch; gone when the device is removed.
    #[prost(message, optional, tag = "2")]
    pub(in crate::vault) device: Option<pb::NewDevice>,
    /// When it came to the list, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) listed: u64,
}

/// What a new device offers, and what was said of it since.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LinkRow {
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) offer: Option<pb::LinkOffer>,
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) expires: u64,
    /// The first nonce that a patient's device has answered with; empty before.
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) answer: Bytes,
    /// The nonce that the new device has opened; empty before.
    #[prost(bytes = "bytes", tag = "4")]
    pub(in crate::vault) opening: Bytes,
}

/// Where a new device has its offer.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct OfferRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) link: Bytes,
}

/// Where something lies.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct PlaceRow {
    /// In whose vault.
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) patient: Bytes,
    /// Of a request: the SHA-256 under which it stands there.
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) request_hash: Bytes,
}

/// A request and the facts that decide about it.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct RequestRow {
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) stored: Option<pb::StoredRequest>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) request_id: Bytes,
    /// Principal that asked.
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) asker: Bytes,
    /// Institution that may be permitted.
    #[prost(bytes = "bytes", tag = "4")]
    pub(in crate::vault) concerned: Bytes,
    /// The kind of permission that answers it.
    #[prost(enumeration = "pb::PermissionKind", tag = "5")]
    pub(in crate::vault) kind: i32,
    #[prost(uint64, tag = "6")]
    pub(in crate::vault) expires: u64,
    /// The number of its event in the patient's inbox, if it came from an institution.
    #[prost(uint64, tag = "7")]
    pub(in crate::vault) event: u64,
    /// The number of its entry in her history.
    #[prost(uint64, tag = "8")]
    pub(in crate::vault) history: u64,
}

/// A permission as it came.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct PermissionRow {
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) permission: Option<pb::Permission>,
    /// Upload permissions only.
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) upload_key_wrap: Bytes,
    /// Bytes of the sealed manifests of all its records.
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) manifest_bytes: u64,
    /// Of the key that `upload_key_wrap` is under.
    #[prost(uint64, tag = "5")]
    pub(in crate::vault) upload_key_epoch: u64,
}

/// An entry of a vault's history.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct HistoryRow {
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) entry: Option<pb::HistoryEntry>,
    /// What the entry tells, where it is a permission, which stands in a row of its own.
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) permitted: Bytes,
}

/// What is left of a permission.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct MeterRow {
    #[prost(uint32, tag = "1")]
    pub(in crate::vault) uses_left: u32,
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) bytes_left: u64,
    #[prost(bool, tag = "3")]
    pub(in crate::vault) revoked: bool,
    /// Its revocation and, once all releases are closed, the receipt, whose proof holds the salt only.
    #[prost(message, optional, tag = "5")]
    pub(in crate::vault) revocation: Option<pb::RevocationAnswer>,
    /// Another permission has taken its place.
    #[prost(bool, tag = "4")]
    pub(in crate::vault) replaced: bool,
    /// Of open sessions that have brought nothing yet (FLW-6).
    #[prost(uint32, tag = "6")]
    pub(in crate::vault) uses_held: u32,
    /// Of leaves that are not committed.
    #[prost(uint64, tag = "7")]
    pub(in crate::vault) bytes_held: u64,
    /// Presentations that have opened a session (FLW-18).
    #[prost(uint32, tag = "8")]
    pub(in crate::vault) presented: u32,
}

/// An open session of a permission (FLW-17).
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct OpenSessionRow {
    /// An upload; else a release.
    #[prost(bool, tag = "1")]
    pub(in crate::vault) upload: bool,
    /// Whose key has presented it.
    #[prost(string, tag = "2")]
    pub(in crate::vault) keyid: String,
}

/// An upload that was committed under a permission (FLW-22).
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct CommittedRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) permission: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) upload: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) institution: Bytes,
    #[prost(message, tag = "4")]
    pub(in crate::vault) receipt: Option<pb::Receipt>,
}

/// The challenges out for one permission, oldest first.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct ChallengesRow {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::vault) open: Vec<Challenge>,
}

/// One challenge.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct Challenge {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) bytes: Bytes,
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) expires: u64,
}

/// An upload session.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct UploadRow {
    /// `StandbyTicketBody`.
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) ticket: Option<pb::Statement>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) presentation_hash: Bytes,
    /// Leaves registered.
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) leaves: u64,
    /// Once committed; without its proof.
    #[prost(message, optional, tag = "5")]
    pub(in crate::vault) receipt: Option<pb::Receipt>,
    /// Given up because its time was over.
    #[prost(bool, tag = "6")]
    pub(in crate::vault) abandoned: bool,
    /// In place of a ticket: the patient's device seals a record anew.
    #[prost(message, optional, tag = "7")]
    pub(in crate::vault) reseal: Option<ResealRow>,
    /// Of the leaves, as the permission's meter holds them.
    #[prost(uint64, tag = "8")]
    pub(in crate::vault) bytes: u64,
}

/// A session in which the patient's device seals a record anew.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct ResealRow {
    /// The version whose place is taken.
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) replaces: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) version: Bytes,
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) expires: u64,
    /// Of the old stream's length, not sent yet.
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) bytes_left: u64,
}

/// A leaf that is stored durably.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LeafRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) hash: Bytes,
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) length: u64,
}

/// A release session.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct ReleaseRow {
    /// `ReleaseTicketBody`.
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) ticket: Option<pb::Statement>,
    /// Of the leaves that were handed out, or are about to be, each once. Until the first of them it holds a use (FLW-16).
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) bytes: u64,
    /// Once closed; without its proof.
    #[prost(message, optional, tag = "3")]
    pub(in crate::vault) receipt: Option<pb::Receipt>,
    /// The purpose that was stated.
    #[prost(string, tag = "4")]
    pub(in crate::vault) purpose: String,
    /// How often leaves were asked for.
    #[prost(uint64, tag = "5")]
    pub(in crate::vault) asked: u64,
}

/// What of one version a release has handed out, or is about to.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct ReleasedRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) record: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::vault) leaves: Vec<pb::LeafRange>,
}

/// A committed record.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct RecordRow {
    /// Without the sealed manifest; and without the receipt's proof.
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) stored: Option<pb::StoredRecord>,
    /// Bytes of the sealed manifest.
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) manifest_length: u64,
    /// As the patient sent it with the upload permission.
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) upload_key_wrap: Bytes,
    /// Of the key that `upload_key_wrap` is under.
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) upload_key_epoch: u64,
    /// A leaf of it was handed out before it was placed (DEL-7).
    #[prost(bool, tag = "5")]
    pub(in crate::vault) opened: bool,
}

/// A record that was deleted or taken back.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct GoneRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) record: Bytes,
    /// By the patient; its proof holds the salt only.
    #[prost(message, optional, tag = "2")]
    pub(in crate::vault) deletion: Option<pb::LoggedStatement>,
    /// By the institution that had stored it; its proof holds the salt only.
    #[prost(message, optional, tag = "3")]
    pub(in crate::vault) take_back: Option<pb::Receipt>,
    /// That one.
    #[prost(bytes = "bytes", tag = "4")]
    pub(in crate::vault) institution: Bytes,
    /// Of the receipt for the version that is gone.
    #[prost(bytes = "bytes", tag = "5")]
    pub(in crate::vault) receipt_hash: Bytes,
}

/// Where a version lay that was deleted or taken back.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct GoneVersionRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) collection: Bytes,
    /// Of its placement; zero if it had none.
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) number: u64,
}

/// A record's sealed manifest, apart from what lists read.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct ManifestRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) sealed: Bytes,
}

/// A number.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct CountRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) value: u64,
}

/// What was answered to a mutation.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct IdempotencyRow {
    /// SHA-256 of the request it answered.
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) digest: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) answer: Bytes,
}

/// An entry that waits for its place in the log.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LogQueueRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) entry: Bytes,
}

/// An entry in its place.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LogEntryRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) entry: Bytes,
}

/// Where a leaf stands.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct LogIndexRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) index: u64,
}

/// A tile: hashes of complete subtrees, one behind the other.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LogTileRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) hashes: Bytes,
}

/// From which a principal's leaves get their salts and tags.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LogSaltRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) salt: Bytes,
}

/// The largest checkpoint that the quorum of witnesses has cosigned.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LogCosignedRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) size: u64,
    /// The signed note, with their lines.
    #[prost(string, tag = "2")]
    pub(in crate::vault) checkpoint: String,
}

/// The log as it stands.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct LogHeadRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) size: u64,
    /// Roots of the largest complete subtrees, left to right.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(in crate::vault) peaks: Vec<Bytes>,
    /// The signed note over all of it.
    #[prost(string, tag = "3")]
    pub(in crate::vault) checkpoint: String,
    /// When that was signed.
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) at: u64,
    /// Events of the directory, and the chain over them.
    #[prost(uint64, tag = "5")]
    pub(in crate::vault) events: u64,
    #[prost(bytes = "bytes", tag = "6")]
    pub(in crate::vault) events_hash: Bytes,
    /// Restorations that there were (RST-1).
    #[prost(uint64, tag = "7")]
    pub(in crate::vault) restorations: u64,
    /// Where the last of them stands.
    #[prost(uint64, tag = "8")]
    pub(in crate::vault) restored: u64,
}

/// How far a device of the patient's has read the log, by a head that it has signed (RST-8).
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct BackRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) log_size: u64,
}

/// A time that is past.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct FloorRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) at: u64,
}

/// What the data belong to (OPR-1).
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct BoundRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::vault) operator: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::vault) registrar: Vec<u8>,
    /// SHA-256 of the server's own certificate, if its link pins that.
    #[prost(bytes = "vec", tag = "3")]
    pub(in crate::vault) certificate: Vec<u8>,
    /// `host:port` that the operator has given out, if any.
    #[prost(string, tag = "4")]
    pub(in crate::vault) authority: String,
    /// Digest of the policy of its witnesses, if it asks any.
    #[prost(bytes = "vec", tag = "5")]
    pub(in crate::vault) witnesses: Vec<u8>,
}

/// A collection as its patient's devices know it.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct CollectionRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) sealed_name: Bytes,
    /// The collection key of each epoch, from 0, under the vault root key; empty once the epoch is closed.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(in crate::vault) key_wraps: Vec<Bytes>,
}

/// A recipient key that stands in some entry of the directory.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct RecipientKeyRow {
    /// When it ends; zero while it is its institution's present one.
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) ends: u64,
}

/// A terminal of an institution.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct TerminalRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) terminal_id: Bytes,
    /// Its proofs hold the salt only.
    #[prost(message, optional, tag = "2")]
    pub(in crate::vault) terminal: Option<pb::Terminal>,
    /// Of its certificate.
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) not_after: u64,
}

/// Whose a terminal is.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct TerminalPlaceRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) institution: Bytes,
}

/// What a patient lets another one do.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct DelegationRow {
    /// `DelegationBody`.
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) delegation: Option<pb::PatientStatement>,
    /// `DelegationEndBody`, once it has ended.
    #[prost(message, optional, tag = "2")]
    pub(in crate::vault) end: Option<pb::PatientStatement>,
    /// Epochs whose keys the delegate was given.
    #[prost(message, repeated, tag = "3")]
    pub(in crate::vault) given: Vec<pb::GivenEpoch>,
    /// The delegate has accepted it.
    #[prost(bool, tag = "4")]
    pub(in crate::vault) accepted: bool,
    /// The delegate has refused it, or given it up.
    #[prost(bool, tag = "5")]
    pub(in crate::vault) refused: bool,
    /// Another one has taken its place.
    #[prost(bool, tag = "6")]
    pub(in crate::vault) followed: bool,
}

/// In whose vault a patient may act.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct HeldRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) owner: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) delegation: Bytes,
    /// The number of its event in the delegate's inbox.
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) event: u64,
}

/// Where a record version lies.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct PlacementRow {
    /// `PlacementBody`.
    #[prost(message, optional, tag = "1")]
    pub(in crate::vault) placement: Option<pb::PatientStatement>,
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) number: u64,
}

/// A record version.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct VersionRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) version: Bytes,
    /// Of its placement, if it has one.
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) number: u64,
}

/// The newest generation of the index, as far as it goes.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct IndexRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) generation: u64,
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) segments: u64,
    /// SHA-256 of the body of the last.
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) last: Bytes,
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) through: u64,
    /// Of all segments of the generation.
    #[prost(uint64, tag = "5")]
    pub(in crate::vault) bytes: u64,
}

/// What has been done to a vault, as far as the next act and the next head need it.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct ActsRow {
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) count: u64,
    /// Roots of the largest complete subtrees of the vault tree, left to right.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(in crate::vault) peaks: Vec<Bytes>,
    /// How many heads there are.
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) heads: u64,
    /// SHA-256 of the body of the newest.
    #[prost(bytes = "bytes", tag = "4")]
    pub(in crate::vault) newest: Bytes,
}

/// One act, as it stands in the vault tree.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct ActRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) act: Bytes,
}

/// One record version in a collection, with its data key under the key of one epoch.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct WrapRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) wrap: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) version: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) record: Bytes,
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) epoch: u64,
    /// Of the placement.
    #[prost(uint64, tag = "5")]
    pub(in crate::vault) number: u64,
}

/// A patient's emergency permissions: the card first, then by guardian.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct EmergencyRow {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::vault) entries: Vec<EmergencyEntryRow>,
}

/// One emergency permission, and the server's half of its key.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct EmergencyEntryRow {
    /// The newest of those that took one another's place.
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) permission: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::vault) card_key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(in crate::vault) share: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(in crate::vault) recipient_key: Bytes,
    /// Patient id; empty for the card.
    #[prost(bytes = "bytes", tag = "5")]
    pub(in crate::vault) guardian: Bytes,
    /// In milliseconds.
    #[prost(uint64, tag = "6")]
    pub(in crate::vault) wait: u64,
    #[prost(message, optional, tag = "7")]
    pub(in crate::vault) guardian_half: Option<pb::Sealed>,
    #[prost(uint64, tag = "8")]
    pub(in crate::vault) guardian_root_epoch: u64,
    /// The last one.
    #[prost(message, optional, tag = "9")]
    pub(in crate::vault) help: Option<pb::EmergencyHelp>,
    /// Its id.
    #[prost(bytes = "bytes", tag = "10")]
    pub(in crate::vault) help_id: Bytes,
    /// The institution that it names.
    #[prost(bytes = "bytes", tag = "11")]
    pub(in crate::vault) helped: Bytes,
    /// The patient has objected, for good.
    #[prost(bool, tag = "12")]
    pub(in crate::vault) objected: bool,
    /// The guardian has accepted.
    #[prost(bool, tag = "13")]
    pub(in crate::vault) accepted: bool,
    /// The guardian has refused: her half is gone.
    #[prost(bool, tag = "14")]
    pub(in crate::vault) refused: bool,
    /// The number of its event in the guardian's inbox.
    #[prost(uint64, tag = "15")]
    pub(in crate::vault) event: u64,
}

/// An institution has opened an emergency permission.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct OpeningRow {
    /// Until when it may present it.
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) ends: u64,
}

/// When there were emergencies.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct RateRow {
    #[prost(uint64, repeated, tag = "1")]
    pub(in crate::vault) at: Vec<u64>,
}

/// How often an invitation was used.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct InvitationRow {
    #[prost(uint32, tag = "1")]
    pub(in crate::vault) used: u32,
}

/// How many of something there were on the last day that had any.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct DayRow {
    /// Days since 1970.
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) day: u64,
    #[prost(uint32, tag = "2")]
    pub(in crate::vault) count: u32,
}

/// What one sender has put before a receiver.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct SenderRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) sender: Bytes,
    /// The receiver has dealt with it.
    #[prost(bool, tag = "2")]
    pub(in crate::vault) met: bool,
    #[prost(bool, tag = "3")]
    pub(in crate::vault) blocked: bool,
    /// Unanswered.
    #[prost(message, repeated, tag = "4")]
    pub(in crate::vault) open: Vec<OpenRow>,
    /// What came on the last day that had any.
    #[prost(message, optional, tag = "5")]
    pub(in crate::vault) day: Option<DayRow>,
}

/// Something that its receiver has not answered.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct OpenRow {
    /// Of a request its hash, of a delegation its id, of a guardianship the id of whose vault it is.
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) id: Bytes,
    /// When it is open no more.
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) expires: u64,
    /// An `Asking`.
    #[prost(uint32, tag = "3")]
    pub(in crate::vault) what: u32,
}

/// What all strangers together have put before a receiver.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct StrangersRow {
    /// When each of what is unanswered is open no more.
    #[prost(message, repeated, tag = "1")]
    pub(in crate::vault) open: Vec<StrangersOpenRow>,
    /// What came on the last day that had any.
    #[prost(message, optional, tag = "2")]
    pub(in crate::vault) day: Option<DayRow>,
}

/// Something of a stranger's that is unanswered.
#[derive(Clone, PartialEq, Message)]
pub(in crate::vault) struct StrangersOpenRow {
    /// As in [`OpenRow`].
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::vault) id: Bytes,
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) expires: u64,
}

/// What a principal has the server keep, and what it has by others' doing.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::vault) struct AccountRow {
    /// Bytes of rows, but for index segments and leaves.
    #[prost(uint64, tag = "1")]
    pub(in crate::vault) bytes: u64,
    /// Records that came into the vault.
    #[prost(uint64, tag = "2")]
    pub(in crate::vault) records: u64,
    /// Presentations of an institution; delegations and guardianships that were accepted.
    #[prost(uint64, tag = "3")]
    pub(in crate::vault) relations: u64,
    /// Bytes of the sealed manifests of those records.
    #[prost(uint64, tag = "4")]
    pub(in crate::vault) manifests: u64,
    /// When the account began.
    #[prost(uint64, tag = "5")]
    pub(in crate::vault) since: u64,
    /// The last day that had answers, since 1970, and their bytes.
    #[prost(uint64, tag = "6")]
    pub(in crate::vault) answers_day: u64,
    #[prost(uint64, tag = "7")]
    pub(in crate::vault) answers: u64,
}
