//! The ledger's rows: every table, with the key and the type of its rows, and how it is charged.
//!
//! | module | holds |
//! |---|---|
//! | `declare` | how a table is declared |
//! | `parts` | what keys are made of |
//! | `key` | keys that know the type of their row |
//! | `expiring` | what an expiry row says in its suffix |
//! | `rows/*.proto` | the rows that no message of the protocol fits |

mod declare;
mod expiring;
mod key;
mod parts;

#[cfg(test)]
mod golden;

use protocol_spec::{
    bodies::Program,
    collection::Collection,
    hash::Sha256Digest,
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, LinkId, PatientId, PermissionId, RecordId,
        ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    messages as pb,
};

pub(in crate::vault) use self::{
    expiring::Expiring,
    key::{Row, RowKey, get_many},
    parts::{Counted, Daily, Placed},
    rows::*,
};

use crate::{
    store::{CommitId, Key},
    vault::{
        log::tile::TileId,
        tables::{
            declare::tables,
            parts::{LOG, Part as _, Partition as _, SERVER},
        },
    },
};

/// Generated from `rows/*.proto`, where the comments stand.
#[allow(unreachable_pub, clippy::use_self, reason = "generated")]
mod rows {
    include!(concat!(env!("OUT_DIR"), "/medvault.rows.rs"));
}

/// How a row counts in its payer's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vault) enum Charged {
    /// It stays.
    Kept,
    /// An answer, kept for a day.
    Answer,
    /// It goes by itself, or is bounded otherwise.
    Not,
}

tables! {
    /// What is newest of a patient's devices; guards her mutations.
    1 patient(patient: PatientId) -> PatientRow;

    /// The newest entry of an institution.
    2 institution([SERVER]; institution: InstitutionId) -> pb::DirectoryEntry, from first_institution();

    /// In whose vault a thing lies: [`place`].
    3 place_row(id: [u8; 32]; kind: u8) -> PlaceRow;

    /// A request, by its SHA-256.
    4 request(patient: PatientId; hash: Sha256Digest) -> RequestRow, from requests();

    /// A permission, never changed.
    5 permission(patient: PatientId; permission: PermissionId) -> PermissionRow, from permissions();

    /// What is left of a permission.
    6 meter(patient: PatientId; permission: PermissionId) -> MeterRow;

    /// The challenges out for a permission.
    7 challenges(patient: PatientId; permission: PermissionId) -> ChallengesRow;

    /// An upload; guards the rows of its leaves.
    8 upload(patient: PatientId; upload: UploadId) -> UploadRow;

    /// A leaf of an upload. It comes with a record that the patient has permitted.
    9 leaf(patient: PatientId; upload: UploadId, leaf: u32) -> LeafRow, charged Not;

    /// A release.
    10 release(patient: PatientId; release: ReleaseId) -> ReleaseRow;

    /// A record version.
    11 record(patient: PatientId; version: VersionId) -> RecordRow;

    /// The id of a record is taken.
    12 record_id(patient: PatientId; record: RecordId) -> Mark;

    /// The manifest of a record version. It comes with a record that the patient has permitted.
    13 manifest(patient: PatientId; version: VersionId) -> ManifestRow, charged Not;

    /// Where a record version lies.
    14 placement(patient: PatientId; version: VersionId) -> PlacementRow;

    /// How many there are of something; guards history and inbox.
    15 count(principal: [u8; 32]; what: Counted) -> CountRow;

    /// An entry of a vault's history.
    16 history(patient: PatientId; number: u64) -> HistoryRow;

    /// An event of an inbox.
    17 inbox(principal: [u8; 32]; number: u64) -> pb::Event;

    /// What was answered under an idempotency key.
    18 idempotency(principal: [u8; 32]; key: [u8; 32]) -> IdempotencyRow, charged Answer;

    /// Look at what this names at that time; then the row goes.
    19 expiry([SERVER]; at: u64, what: Expiring) -> Mark, charged Not, from expiries();

    /// An entry that waits for its place in the log, in order of arrival; then the row goes.
    20 log_queue([LOG]; commit: CommitId, number: u8) -> LogQueueRow, charged Not, from log_queued(suffix: Vec<u8>);

    /// Where the leaf with this hash stands in the log.
    21 log_index([LOG]; leaf: [u8; 32]) -> LogIndexRow;

    /// The hashes of a tile of the log, the last of a level growing.
    22 log_tile([LOG]; tile: TileId) -> LogTileRow;

    /// The head of the log.
    23 log_head([LOG]) -> LogHeadRow;

    /// A time that is past.
    24 floor([SERVER]) -> FloorRow;

    /// A collection.
    25 collection(patient: PatientId; collection: CollectionId) -> CollectionRow, from collections();

    /// What lies in an epoch of a collection under a placement number, and its key. Scanned on, it leads into the next epoch,
    /// and then into the next collection: [`is_wrap_of`].
    26 wrap(patient: PatientId; collection: Collection, number: u64) -> WrapRow;

    /// The end of an epoch.
    27 closure(patient: PatientId; collection: Collection) -> pb::LoggedStatement;

    /// Leaves of a version that a release has handed out.
    28 released(patient: PatientId; release: ReleaseId, version: VersionId) -> ReleasedRow, from all_released(release: ReleaseId);

    /// There was a release under a permission.
    29 used(patient: PatientId; permission: PermissionId, release: ReleaseId) -> Mark, from all_used(permission: PermissionId);

    /// A device list.
    30 device_list(patient: PatientId; sequence: u64) -> pb::Statement;

    /// A device; stays when the device is removed.
    31 device(device: DeviceId) -> DeviceRow;

    /// What a new device offers.
    32 link(link: LinkId) -> LinkRow;

    /// Where the offer of a new device lies.
    33 offer(device: DeviceId) -> OfferRow;

    /// The root key of an epoch that is over, as it was sealed. A few are kept, for a while.
    34 kept_keys(patient: PatientId; root_epoch: u64) -> KeptKeysRow, charged Not;

    /// An entry of an institution's chain.
    35 entry(institution: InstitutionId; sequence: u64) -> pb::DirectoryEntry;

    /// A recipient key that stands in the directory, by its SHA-256.
    36 recipient_key([SERVER]; key: Sha256Digest) -> RecipientKeyRow;

    /// A terminal of an institution.
    37 terminal(institution: InstitutionId; terminal: TerminalId) -> TerminalRow, from terminals();

    /// Whose a terminal is.
    38 terminal_place(terminal: TerminalId) -> TerminalPlaceRow;

    /// A program that the registrar vouches for, by the SHA-256 of its name, version and target.
    39 program([SERVER]; program: &Program) -> pb::Statement, from first_program();

    /// The collections as they lay under the root key of an epoch that is over. A few are kept, for a while.
    40 kept_collections(patient: PatientId; root_epoch: u64) -> KeptCollectionsRow, charged Not;

    /// A session under a permission, as long as it is open: the id of an upload or a release.
    41 open_session(patient: PatientId; permission: PermissionId, session: &[u8; 16]) -> OpenSessionRow, charged Not,
        from open_sessions(permission: PermissionId);

    /// A record that was deleted or taken back.
    42 gone(patient: PatientId; record: RecordId) -> GoneRow, from all_gone();

    /// A version of such a record.
    43 gone_version(patient: PatientId; version: VersionId) -> GoneVersionRow;

    /// The receipt of an upload that was committed under a permission (FLW-22).
    44 committed(patient: PatientId; permission: PermissionId, upload: UploadId) -> CommittedRow,
        from all_committed(permission: PermissionId);

    /// What an owner has delegated.
    50 delegation(owner: PatientId; delegation: DelegationId) -> DelegationRow, from delegations();

    /// Whose a delegation is that a delegate has accepted.
    51 held_delegation(delegate: PatientId; delegation: DelegationId) -> HeldRow, from held_delegations();

    /// The key of an epoch, as a delegate was given it.
    52 delegated_key(owner: PatientId; delegation: DelegationId, collection: Collection) -> pb::PatientStatement;

    /// That a delegate has read a version on a day stands in the history.
    53 delegate_read(owner: PatientId; delegation: DelegationId, version: VersionId, day: u64) -> Mark;

    /// A patient's emergency permissions; guards them.
    55 emergency(patient: PatientId) -> EmergencyRow;

    /// Until when an institution that has opened an emergency permission may present it.
    56 opening(patient: PatientId; permission: PermissionId, institution: InstitutionId) -> OpeningRow;

    /// The id of an opening is taken.
    57 opening_id(patient: PatientId; opening: RequestId) -> Mark;

    /// Openings of a day.
    58 emergency_rate(principal: [u8; 32]) -> RateRow;

    /// The record version with a placement number.
    60 placed(patient: PatientId; number: u64) -> VersionRow;

    /// A record version that is not placed yet.
    61 arrival(patient: PatientId; version: VersionId) -> VersionRow, from arrivals();

    /// The newest generation of the index.
    62 index(patient: PatientId) -> IndexRow;

    /// A segment of the index. Segments have a budget of their own.
    63 segment(patient: PatientId; generation: u64, number: u64) -> pb::SignedSegment, charged Not;

    /// An entry of the log, never changed.
    64 log_entry([LOG]; index: u64) -> LogEntryRow;

    /// From which a principal's leaves get their salts: whoever deletes it has unlinked them.
    65 log_salt(principal: [u8; 32]) -> LogSaltRow;

    /// The largest checkpoint with the witnesses' cosignatures.
    66 log_cosigned([LOG]) -> LogCosignedRow;

    /// Where an event of the directory stands in the log, from number 1.
    67 log_event([LOG]; number: u64) -> LogIndexRow;

    /// The right edge of the vault tree; guards the acts.
    70 acts(patient: PatientId) -> ActsRow;

    /// An act, never changed.
    71 act(patient: PatientId; number: u64) -> ActRow;

    /// A vault head.
    72 vault_head(patient: PatientId; sequence: u64) -> pb::PatientStatement;

    /// What is used of an invitation, by the SHA-256 of its body.
    80 invitation([SERVER]; body: &Sha256Digest) -> InvitationRow;

    /// How many there were of something on a day.
    81 day(principal: [u8; 32]; what: Daily) -> DayRow;

    /// What of a sender is unanswered, and whether it is blocked.
    82 sender(receiver: [u8; 32]; sender: [u8; 32]) -> SenderRow, from senders();

    /// What is unanswered of all whom a receiver never dealt with.
    83 strangers(receiver: [u8; 32]) -> StrangersRow;

    /// How much a principal has the server keep.
    84 account(principal: [u8; 32]) -> AccountRow;

    /// Whose a delegation is that a delegate was offered and has not accepted yet.
    85 offered_delegation(delegate: PatientId; delegation: DelegationId) -> HeldRow, from offered_delegations();

    /// Which operator, registrar, link and witnesses these data belong to.
    86 bound([SERVER]) -> BoundRow;

    /// Since a restoration one of the patient's devices was here.
    87 back(patient: PatientId) -> BackRow;
}

/// Where a thing lies, by its id.
pub(in crate::vault) fn place(id: &impl Placed) -> RowKey<PlaceRow> {
    let (id, kind) = id.place();
    place_row(id, kind)
}

/// Offers of new devices, of all there are.
pub(in crate::vault) fn offers() -> RowKey<CountRow> {
    count(SERVER, Counted::Offers)
}

/// Whether a row of [`wrap`] with this suffix is of this collection and epoch.
pub(in crate::vault) fn is_wrap_of(suffix: &[u8], collection: Collection) -> bool {
    let mut parts = Vec::new();
    collection.append_to(&mut parts);
    suffix.starts_with(&parts)
}
