//! The ledger's rows: one constructor of keys for each table, which also fixes the type of its rows.
//!
//! | table | partition | suffix | row |
//! |---|---|---|---|
//! | 1 patient | patient | – | [`PatientRow`]: what is newest of her devices; guards her mutations |
//! | 2 institution | server | institution | [`pb::DirectoryEntry`] |
//! | 3 place | id of request, permission, upload, release or version | kind | [`PlaceRow`] |
//! | 4 request | patient | SHA-256 of the request | [`RequestRow`] |
//! | 5 permission | patient | permission | [`PermissionRow`], never changed |
//! | 6 meter | patient | permission | [`MeterRow`]: what is left of it |
//! | 7 challenges | patient | permission | [`ChallengesRow`] |
//! | 8 upload | patient | upload | [`UploadRow`]; guards the rows of its leaves |
//! | 9 leaf | patient | upload ‖ leaf | [`LeafRow`] |
//! | 10 release | patient | release | [`ReleaseRow`] |
//! | 11 record | patient | version | [`RecordRow`] |
//! | 12 record id | patient | record | [`Mark`]: taken |
//! | 13 manifest | patient | version | [`ManifestRow`] |
//! | 14 placement | patient | version | [`PlacementRow`] |
//! | 15 count | principal | what is counted | [`CountRow`]; guards history and inbox |
//! | 16 history | patient | number | [`HistoryRow`] |
//! | 17 inbox | principal | number | [`pb::Event`] |
//! | 18 idempotency | principal | key | [`IdempotencyRow`] |
//! | 19 expiry | server | time ‖ kind ‖ partition ‖ id | [`Mark`]: look at that row then |
//! | 20 log queue | log | commit ‖ number | [`LogQueueRow`] |
//! | 21 log index | log | leaf hash | [`LogIndexRow`] |
//! | 22 log tile | log | level ‖ index | [`LogTileRow`]: the hashes of a tile, the last of a level growing |
//! | 23 log head | log | – | [`LogHeadRow`] |
//! | 24 floor | server | – | [`FloorRow`] |
//! | 25 collection | patient | collection | [`CollectionRow`] |
//! | 26 wrap | patient | collection ‖ epoch ‖ placement number | [`WrapRow`]: what lies there, and its key |
//! | 27 closure | patient | collection ‖ epoch | [`pb::LoggedStatement`] |
//! | 28 released | patient | release ‖ version | [`ReleasedRow`]: leaves handed out |
//! | 29 use | patient | permission ‖ release | [`Mark`]: a release under it |
//! | 30 device list | patient | sequence | [`pb::Statement`] |
//! | 31 device | device | – | [`DeviceRow`]; stays when the device is removed |
//! | 32 link | link | – | [`LinkRow`] |
//! | 33 offer | device | – | [`OfferRow`]: where it lies |
//! | 34 kept keys | patient | root epoch | [`KeptKeysRow`]: the root key of one that is over, for a while |
//! | 35 entry | institution | sequence | [`pb::DirectoryEntry`] of its chain |
//! | 36 recipient key | server | SHA-256 of the key | [`RecipientKeyRow`] |
//! | 37 terminal | institution | terminal | [`TerminalRow`] |
//! | 38 terminal place | terminal | – | [`TerminalPlaceRow`] |
//! | 39 program | server | SHA-256 of name, version and target | [`pb::Statement`] |
//! | 40 kept collections | patient | root epoch | [`KeptCollectionsRow`]: collections as they lay under the root key of an epoch that is over |
//! | 41 open session | patient | permission ‖ upload or release | [`OpenSessionRow`], as long as it is open |
//! | 42 gone | patient | record | [`GoneRow`]: it was deleted or taken back |
//! | 43 gone version | patient | version | [`GoneVersionRow`]: of such a record |
//! | 44 committed | patient | permission ‖ upload | [`CommittedRow`]: its receipt (FLW-22) |
//! | 50 delegation | owner | delegation | [`DelegationRow`] |
//! | 51 held delegation | delegate | delegation | [`HeldRow`]: whose it is |
//! | 52 delegated key | owner | delegation ‖ collection ‖ epoch | [`pb::PatientStatement`] |
//! | 53 delegate read | owner | delegation ‖ version ‖ day | [`Mark`]: it stands in the history |
//! | 55 emergency | patient | – | [`EmergencyRow`]: her emergency permissions; guards them |
//! | 56 opening | patient | permission ‖ institution | [`OpeningRow`]: who has opened it, until when |
//! | 57 opening id | patient | opening | [`Mark`]: taken |
//! | 58 emergency rate | principal | – | [`RateRow`]: openings of a day |
//! | 60 placed | patient | placement number | [`VersionRow`] |
//! | 61 arrival | patient | version | [`VersionRow`]: not placed yet |
//! | 62 index | patient | – | [`IndexRow`] |
//! | 63 segment | patient | generation ‖ number | [`pb::SignedSegment`] |
//! | 64 log entry | log | index | [`LogEntryRow`], never changed |
//! | 65 log salt | principal | – | [`LogSaltRow`]: whoever deletes it has unlinked the principal's leaves |
//! | 66 log cosigned | log | – | [`LogCosignedRow`] |
//! | 67 log event | log | number | [`LogIndexRow`]: where the event of the directory stands, from number 1 |
//! | 70 acts | patient | – | [`ActsRow`]: the right edge of the vault tree; guards the acts |
//! | 71 act | patient | number | [`ActRow`], never changed |
//! | 72 vault head | patient | sequence | [`pb::PatientStatement`] |
//! | 80 invitation | server | SHA-256 of its body | [`InvitationRow`]: what is used of it |
//! | 81 day | principal | what is counted | [`DayRow`]: how many there were on a day |
//! | 82 sender | receiver | sender | [`SenderRow`]: what of it is unanswered, whether it is blocked |
//! | 83 strangers | receiver | – | [`StrangersRow`]: what is unanswered of all whom she never dealt with |
//! | 84 account | principal | – | [`AccountRow`]: how much it has the server keep |
//! | 85 offered delegation | delegate | delegation | [`HeldRow`]: whose it is, not accepted yet |
//! | 86 bound | server | – | [`BoundRow`]: which operator, registrar, link and witnesses these data belong to |
//! | 87 back | patient | – | [`BackRow`]: since a restoration one of her devices was here |
//!
//! Integers in suffixes are big-endian.

mod rows;

#[cfg(test)]
mod golden;

use std::{any::type_name, marker::PhantomData};

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::Program,
    collection::Collection,
    field::Name,
    hash::Sha256Digest,
    ids::{
        CollectionId, DelegationId, DeviceId, InstitutionId, LinkId, PatientId, PermissionId, RecordId,
        ReleaseId, RequestId, TerminalId, UploadId, VersionId,
    },
    messages as pb,
};

pub(super) use self::rows::*;
use super::log::tile::TileId;
use crate::store::{CommitId, Key, Ledger, StoreError, Table, Versioned};

/// The partition of what belongs to no principal; no SHA-256 of a key that anyone can find is this.
const SERVER: [u8; 32] = [0; 32];
/// The partition of the transparency log.
const LOG: [u8; 32] = [1; 32];

/// A row: any message.
pub(super) trait Row: Message + Default {
    /// As the ledger keeps it.
    fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads it back.
    fn from_ledger(row: &Versioned) -> Result<Self, StoreError> {
        Self::decode(row.value.clone())
            .map_err(|_| StoreError::Corrupt(format!("a row is no {}", type_name::<Self>())))
    }
}

impl<M: Message + Default> Row for M {}

/// The key of a row of type `R`.
pub(super) struct RowKey<R> {
    key: Key,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> RowKey<R> {
    fn new(partition: [u8; 32], table: u8, suffix: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Key::new(partition, Table::new(table), suffix),
            row: PhantomData,
        }
    }

    /// The untyped key.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The row as it stands.
    pub(super) async fn get(&self, ledger: &dyn Ledger) -> Result<Option<R>, StoreError> {
        Ok(self.read(ledger).await?.0)
    }

    /// The row as it stands, and its version.
    pub(super) async fn read(
        &self,
        ledger: &dyn Ledger,
    ) -> Result<(Option<R>, Option<CommitId>), StoreError> {
        let rows = ledger.get(std::slice::from_ref(&self.key)).await?;
        match rows.into_iter().next().flatten() {
            Some(row) => Ok((Some(R::from_ledger(&row)?), Some(row.version))),
            None => Ok((None, None)),
        }
    }

    /// The rows of this table and partition from this key on, with their suffixes.
    pub(super) async fn scan(
        &self,
        ledger: &dyn Ledger,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, R)>, StoreError> {
        let Key {
            partition,
            table,
            suffix,
        } = &self.key;
        let rows = ledger.scan(partition, *table, suffix, limit).await?;
        rows.into_iter()
            .map(|(key, row)| Ok((key.suffix, R::from_ledger(&row)?)))
            .collect()
    }

    /// The key of the same table that comes right after this suffix.
    pub(super) fn after(&self, suffix: &[u8]) -> Self {
        Self {
            key: Key::new(self.key.partition, self.key.table, [suffix, &[0]].concat()),
            row: PhantomData,
        }
    }
}

/// Several rows of one table as they stand at one moment, in the order of the keys.
pub(super) async fn get_many<R: Row>(
    keys: &[RowKey<R>],
    ledger: &dyn Ledger,
) -> Result<Vec<Option<R>>, StoreError> {
    let keys: Vec<Key> = keys.iter().map(|key| key.key.clone()).collect();
    let rows = ledger.get(&keys).await?;
    rows.iter()
        .map(|row| row.as_ref().map(R::from_ledger).transpose())
        .collect()
}

/// What has a place row: things whose id does not tell in whose vault they lie.
pub(super) trait Placed {
    /// The partition named after it, and a byte for its kind.
    fn place(&self) -> ([u8; 32], u8);
}

macro_rules! placed {
    ($($id:ident: $kind:literal),*) => {$(
        impl Placed for $id {
            fn place(&self) -> ([u8; 32], u8) {
                let mut partition = [0; 32];
                let (id, _) = partition.split_at_mut(16);
                id.copy_from_slice(self.as_bytes());
                (partition, $kind)
            }
        }
    )*};
}

placed!(RequestId: 1, PermissionId: 2, UploadId: 3, ReleaseId: 4, VersionId: 5);

pub(super) fn patient(patient: PatientId) -> RowKey<PatientRow> {
    RowKey::new(*patient.as_bytes(), 1, [])
}

pub(super) fn institution(institution: InstitutionId) -> RowKey<pb::DirectoryEntry> {
    RowKey::new(SERVER, 2, *institution.as_bytes())
}

/// Where the institutions begin.
pub(super) fn first_institution() -> RowKey<pb::DirectoryEntry> {
    RowKey::new(SERVER, 2, [])
}

pub(super) fn place(id: &impl Placed) -> RowKey<PlaceRow> {
    let (partition, kind) = id.place();
    RowKey::new(partition, 3, [kind])
}

pub(super) fn request(patient: PatientId, hash: Sha256Digest) -> RowKey<RequestRow> {
    RowKey::new(*patient.as_bytes(), 4, *hash.as_bytes())
}

/// Where what is asked of a patient begins.
pub(super) fn requests(patient: PatientId) -> RowKey<RequestRow> {
    RowKey::new(*patient.as_bytes(), 4, [])
}

pub(super) fn permission(patient: PatientId, permission: PermissionId) -> RowKey<PermissionRow> {
    RowKey::new(*patient.as_bytes(), 5, *permission.as_bytes())
}

/// Where a patient's permissions begin.
pub(super) fn permissions(patient: PatientId) -> RowKey<PermissionRow> {
    RowKey::new(*patient.as_bytes(), 5, [])
}

pub(super) fn meter(patient: PatientId, permission: PermissionId) -> RowKey<MeterRow> {
    RowKey::new(*patient.as_bytes(), 6, *permission.as_bytes())
}

pub(super) fn challenges(patient: PatientId, permission: PermissionId) -> RowKey<ChallengesRow> {
    RowKey::new(*patient.as_bytes(), 7, *permission.as_bytes())
}

pub(super) fn upload(patient: PatientId, upload: UploadId) -> RowKey<UploadRow> {
    RowKey::new(*patient.as_bytes(), 8, *upload.as_bytes())
}

pub(super) fn leaf(patient: PatientId, upload: UploadId, leaf: u32) -> RowKey<LeafRow> {
    RowKey::new(
        *patient.as_bytes(),
        9,
        [upload.as_bytes().as_slice(), &leaf.to_be_bytes()].concat(),
    )
}

pub(super) fn release(patient: PatientId, release: ReleaseId) -> RowKey<ReleaseRow> {
    RowKey::new(*patient.as_bytes(), 10, *release.as_bytes())
}

pub(super) fn record(patient: PatientId, version: VersionId) -> RowKey<RecordRow> {
    RowKey::new(*patient.as_bytes(), 11, *version.as_bytes())
}

pub(super) fn record_id(patient: PatientId, record: RecordId) -> RowKey<Mark> {
    RowKey::new(*patient.as_bytes(), 12, *record.as_bytes())
}

pub(super) fn manifest(patient: PatientId, version: VersionId) -> RowKey<ManifestRow> {
    RowKey::new(*patient.as_bytes(), 13, *version.as_bytes())
}

pub(super) fn placement(patient: PatientId, version: VersionId) -> RowKey<PlacementRow> {
    RowKey::new(*patient.as_bytes(), 14, *version.as_bytes())
}

pub(super) fn count(principal: [u8; 32], what: Counted) -> RowKey<CountRow> {
    RowKey::new(principal, 15, [what as u8])
}

pub(super) fn history(patient: PatientId, number: u64) -> RowKey<HistoryRow> {
    RowKey::new(*patient.as_bytes(), 16, number.to_be_bytes())
}

pub(super) fn inbox(principal: [u8; 32], number: u64) -> RowKey<pb::Event> {
    RowKey::new(principal, 17, number.to_be_bytes())
}

pub(super) fn idempotency(principal: [u8; 32], key: [u8; 32]) -> RowKey<IdempotencyRow> {
    RowKey::new(principal, 18, key)
}

pub(super) fn expiry(at: u64, what: Expiring) -> RowKey<Mark> {
    RowKey::new(SERVER, 19, [at.to_be_bytes().as_slice(), &what.encode()].concat())
}

/// Where what expires begins.
pub(super) fn expiries() -> RowKey<Mark> {
    RowKey::new(SERVER, 19, [])
}

pub(super) fn log_queue(commit: CommitId, number: u8) -> RowKey<LogQueueRow> {
    RowKey::new(LOG, 20, [commit.as_bytes().as_slice(), &[number]].concat())
}

/// The queue, in order of arrival, and the key of each row in it.
pub(super) fn log_queued(suffix: Vec<u8>) -> RowKey<LogQueueRow> {
    RowKey::new(LOG, 20, suffix)
}

pub(super) fn log_index(leaf: [u8; 32]) -> RowKey<LogIndexRow> {
    RowKey::new(LOG, 21, leaf)
}

pub(super) fn log_tile(tile: TileId) -> RowKey<LogTileRow> {
    RowKey::new(LOG, 22, [&[tile.level][..], &tile.index.to_be_bytes()].concat())
}

/// Scanned on, it gives the entries from there.
pub(super) fn log_entry(index: u64) -> RowKey<LogEntryRow> {
    RowKey::new(LOG, 64, index.to_be_bytes())
}

/// Scanned on, it gives the events from there.
pub(super) fn log_event(number: u64) -> RowKey<LogIndexRow> {
    RowKey::new(LOG, 67, number.to_be_bytes())
}

pub(super) fn log_cosigned() -> RowKey<LogCosignedRow> {
    RowKey::new(LOG, 66, [])
}

pub(super) fn log_salt(principal: [u8; 32]) -> RowKey<LogSaltRow> {
    RowKey::new(principal, 65, [])
}

pub(super) fn log_head() -> RowKey<LogHeadRow> {
    RowKey::new(LOG, 23, [])
}

pub(super) fn floor() -> RowKey<FloorRow> {
    RowKey::new(SERVER, 24, [])
}

pub(super) fn bound() -> RowKey<BoundRow> {
    RowKey::new(SERVER, 86, [])
}

pub(super) fn collection(patient: PatientId, collection: CollectionId) -> RowKey<CollectionRow> {
    RowKey::new(*patient.as_bytes(), 25, *collection.as_bytes())
}

/// Where a patient's collections begin.
pub(super) fn collections(patient: PatientId) -> RowKey<CollectionRow> {
    RowKey::new(*patient.as_bytes(), 25, [])
}

/// Scanned on, it leads into the next epoch, and then into the next collection.
pub(super) fn wrap(patient: PatientId, collection: Collection, number: u64) -> RowKey<WrapRow> {
    let Collection { id, epoch } = collection;
    let suffix = [
        id.as_bytes().as_slice(),
        &epoch.to_be_bytes(),
        &number.to_be_bytes(),
    ]
    .concat();
    RowKey::new(*patient.as_bytes(), 26, suffix)
}

/// Whether a row of [`wrap`] with this suffix is of this collection and epoch.
pub(super) fn is_wrap_of(suffix: &[u8], collection: Collection) -> bool {
    let Collection { id, epoch } = collection;
    let rest = suffix.strip_prefix(id.as_bytes().as_slice());
    rest.is_some_and(|rest| rest.starts_with(&epoch.to_be_bytes()))
}

pub(super) fn closure(patient: PatientId, collection: Collection) -> RowKey<pb::LoggedStatement> {
    let Collection { id, epoch } = collection;
    let suffix = [id.as_bytes().as_slice(), &epoch.to_be_bytes()].concat();
    RowKey::new(*patient.as_bytes(), 27, suffix)
}

pub(super) fn released(patient: PatientId, release: ReleaseId, version: VersionId) -> RowKey<ReleasedRow> {
    let suffix = [release.as_bytes().as_slice(), version.as_bytes()].concat();
    RowKey::new(*patient.as_bytes(), 28, suffix)
}

/// Where what a release has handed out begins. Scanned on, it leads into the next release.
pub(super) fn all_released(patient: PatientId, release: ReleaseId) -> RowKey<ReleasedRow> {
    RowKey::new(*patient.as_bytes(), 28, *release.as_bytes())
}

pub(super) fn used(patient: PatientId, permission: PermissionId, release: ReleaseId) -> RowKey<Mark> {
    let suffix = [permission.as_bytes().as_slice(), release.as_bytes()].concat();
    RowKey::new(*patient.as_bytes(), 29, suffix)
}

/// Where the releases under a permission begin. Scanned on, it leads into the next permission.
pub(super) fn all_used(patient: PatientId, permission: PermissionId) -> RowKey<Mark> {
    RowKey::new(*patient.as_bytes(), 29, *permission.as_bytes())
}

pub(super) fn open_session(
    patient: PatientId,
    permission: PermissionId,
    session: &[u8; 16],
) -> RowKey<OpenSessionRow> {
    let suffix = [permission.as_bytes().as_slice(), session].concat();
    RowKey::new(*patient.as_bytes(), 41, suffix)
}

/// Where the open sessions of a permission begin. Scanned on, it leads into the next permission.
pub(super) fn open_sessions(patient: PatientId, permission: PermissionId) -> RowKey<OpenSessionRow> {
    RowKey::new(*patient.as_bytes(), 41, *permission.as_bytes())
}

pub(super) fn committed(
    patient: PatientId,
    permission: PermissionId,
    upload: UploadId,
) -> RowKey<CommittedRow> {
    let suffix = [permission.as_bytes().as_slice(), upload.as_bytes()].concat();
    RowKey::new(*patient.as_bytes(), 44, suffix)
}

/// Where the uploads that were committed under a permission begin. Scanned on, it leads into the next permission.
pub(super) fn all_committed(patient: PatientId, permission: PermissionId) -> RowKey<CommittedRow> {
    RowKey::new(*patient.as_bytes(), 44, *permission.as_bytes())
}

pub(super) fn gone(patient: PatientId, record: RecordId) -> RowKey<GoneRow> {
    RowKey::new(*patient.as_bytes(), 42, *record.as_bytes())
}

/// Where the records begin that are gone.
pub(super) fn all_gone(patient: PatientId) -> RowKey<GoneRow> {
    RowKey::new(*patient.as_bytes(), 42, [])
}

pub(super) fn gone_version(patient: PatientId, version: VersionId) -> RowKey<GoneVersionRow> {
    RowKey::new(*patient.as_bytes(), 43, *version.as_bytes())
}

pub(super) fn device_list(patient: PatientId, sequence: u64) -> RowKey<pb::Statement> {
    RowKey::new(*patient.as_bytes(), 30, sequence.to_be_bytes())
}

pub(super) fn device(device: DeviceId) -> RowKey<DeviceRow> {
    RowKey::new(*device.as_bytes(), 31, [])
}

pub(super) fn link(link: LinkId) -> RowKey<LinkRow> {
    RowKey::new(*link.as_bytes(), 32, [])
}

pub(super) fn offer(device: DeviceId) -> RowKey<OfferRow> {
    RowKey::new(*device.as_bytes(), 33, [])
}

/// The root key of an epoch that is over, as it was sealed.
pub(super) fn kept_keys(patient: PatientId, root_epoch: u64) -> RowKey<KeptKeysRow> {
    RowKey::new(*patient.as_bytes(), 34, root_epoch.to_be_bytes())
}

/// The collections of a patient as they lay under the root key of an epoch that is over.
pub(super) fn kept_collections(patient: PatientId, root_epoch: u64) -> RowKey<KeptCollectionsRow> {
    RowKey::new(*patient.as_bytes(), 40, root_epoch.to_be_bytes())
}

/// Offers of new devices, of all there are.
pub(super) fn offers() -> RowKey<CountRow> {
    count(SERVER, Counted::Offers)
}

pub(super) fn entry(institution: InstitutionId, sequence: u64) -> RowKey<pb::DirectoryEntry> {
    RowKey::new(*institution.as_bytes(), 35, sequence.to_be_bytes())
}

pub(super) fn recipient_key(key: Sha256Digest) -> RowKey<RecipientKeyRow> {
    RowKey::new(SERVER, 36, *key.as_bytes())
}

pub(super) fn terminal(institution: InstitutionId, terminal: TerminalId) -> RowKey<TerminalRow> {
    RowKey::new(*institution.as_bytes(), 37, *terminal.as_bytes())
}

/// Where an institution's terminals begin.
pub(super) fn terminals(institution: InstitutionId) -> RowKey<TerminalRow> {
    RowKey::new(*institution.as_bytes(), 37, [])
}

pub(super) fn terminal_place(terminal: TerminalId) -> RowKey<TerminalPlaceRow> {
    RowKey::new(*terminal.as_bytes(), 38, [])
}

/// Where the programs begin.
pub(super) fn first_program() -> RowKey<pb::Statement> {
    RowKey::new(SERVER, 39, [])
}

/// Texts have no control characters, so that a zero byte tells them apart.
pub(super) fn program(program: &Program) -> RowKey<pb::Statement> {
    let Program {
        name,
        version,
        target,
        ..
    } = program;
    let id = [name, version, target].map(Name::as_str).join("\0");
    RowKey::new(SERVER, 39, *Sha256Digest::of(id.as_bytes()).as_bytes())
}

pub(super) fn delegation(owner: PatientId, delegation: DelegationId) -> RowKey<DelegationRow> {
    RowKey::new(*owner.as_bytes(), 50, *delegation.as_bytes())
}

/// Where what a patient has delegated begins.
pub(super) fn delegations(owner: PatientId) -> RowKey<DelegationRow> {
    RowKey::new(*owner.as_bytes(), 50, [])
}

pub(super) fn held_delegation(delegate: PatientId, delegation: DelegationId) -> RowKey<HeldRow> {
    RowKey::new(*delegate.as_bytes(), 51, *delegation.as_bytes())
}

/// Where what a patient was given begins.
pub(super) fn held_delegations(delegate: PatientId) -> RowKey<HeldRow> {
    RowKey::new(*delegate.as_bytes(), 51, [])
}

pub(super) fn delegated_key(
    owner: PatientId,
    delegation: DelegationId,
    collection: Collection,
) -> RowKey<pb::PatientStatement> {
    let suffix = [
        delegation.as_bytes().as_slice(),
        collection.id.as_bytes(),
        &collection.epoch.to_be_bytes(),
    ];
    RowKey::new(*owner.as_bytes(), 52, suffix.concat())
}

pub(super) fn delegate_read(
    owner: PatientId,
    delegation: DelegationId,
    version: VersionId,
    day: u64,
) -> RowKey<Mark> {
    let suffix = [
        delegation.as_bytes().as_slice(),
        version.as_bytes(),
        &day.to_be_bytes(),
    ];
    RowKey::new(*owner.as_bytes(), 53, suffix.concat())
}

pub(super) fn emergency(patient: PatientId) -> RowKey<EmergencyRow> {
    RowKey::new(*patient.as_bytes(), 55, [])
}

pub(super) fn opening(
    patient: PatientId,
    permission: PermissionId,
    institution: InstitutionId,
) -> RowKey<OpeningRow> {
    let suffix = [permission.as_bytes().as_slice(), institution.as_bytes()].concat();
    RowKey::new(*patient.as_bytes(), 56, suffix)
}

pub(super) fn opening_id(patient: PatientId, opening: RequestId) -> RowKey<Mark> {
    RowKey::new(*patient.as_bytes(), 57, *opening.as_bytes())
}

pub(super) fn emergency_rate(principal: [u8; 32]) -> RowKey<RateRow> {
    RowKey::new(principal, 58, [])
}

/// The record version with this placement.
pub(super) fn placed(patient: PatientId, number: u64) -> RowKey<VersionRow> {
    RowKey::new(*patient.as_bytes(), 60, number.to_be_bytes())
}

/// A record version that is not placed.
pub(super) fn arrival(patient: PatientId, version: VersionId) -> RowKey<VersionRow> {
    RowKey::new(*patient.as_bytes(), 61, *version.as_bytes())
}

/// Where those begin.
pub(super) fn arrivals(patient: PatientId) -> RowKey<VersionRow> {
    RowKey::new(*patient.as_bytes(), 61, [])
}

pub(super) fn index(patient: PatientId) -> RowKey<IndexRow> {
    RowKey::new(*patient.as_bytes(), 62, [])
}

pub(super) fn segment(patient: PatientId, generation: u64, number: u64) -> RowKey<pb::SignedSegment> {
    let suffix = [generation.to_be_bytes(), number.to_be_bytes()].concat();
    RowKey::new(*patient.as_bytes(), 63, suffix)
}

pub(super) fn acts(patient: PatientId) -> RowKey<ActsRow> {
    RowKey::new(*patient.as_bytes(), 70, [])
}

/// Scanned on, it gives the acts from there.
pub(super) fn act(patient: PatientId, number: u64) -> RowKey<ActRow> {
    RowKey::new(*patient.as_bytes(), 71, number.to_be_bytes())
}

pub(super) fn back(patient: PatientId) -> RowKey<BackRow> {
    RowKey::new(*patient.as_bytes(), 87, [])
}

pub(super) fn vault_head(patient: PatientId, sequence: u64) -> RowKey<pb::PatientStatement> {
    RowKey::new(*patient.as_bytes(), 72, sequence.to_be_bytes())
}

pub(super) fn invitation(body: &Sha256Digest) -> RowKey<InvitationRow> {
    RowKey::new(SERVER, 80, *body.as_bytes())
}

pub(super) fn day(principal: [u8; 32], what: Daily) -> RowKey<DayRow> {
    RowKey::new(principal, 81, [what as u8])
}

pub(super) fn sender(receiver: [u8; 32], sender: [u8; 32]) -> RowKey<SenderRow> {
    RowKey::new(receiver, 82, sender)
}

/// Where those of whom something has come begin.
pub(super) fn senders(receiver: [u8; 32]) -> RowKey<SenderRow> {
    RowKey::new(receiver, 82, [])
}

pub(super) fn strangers(receiver: [u8; 32]) -> RowKey<StrangersRow> {
    RowKey::new(receiver, 83, [])
}

pub(super) fn account(principal: [u8; 32]) -> RowKey<AccountRow> {
    RowKey::new(principal, 84, [])
}

pub(super) fn offered_delegation(delegate: PatientId, delegation: DelegationId) -> RowKey<HeldRow> {
    RowKey::new(*delegate.as_bytes(), 85, *delegation.as_bytes())
}

/// Where what a patient may accept begins.
pub(super) fn offered_delegations(delegate: PatientId) -> RowKey<HeldRow> {
    RowKey::new(*delegate.as_bytes(), 85, [])
}

/// How a row counts in its payer's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charged {
    /// It stays.
    Kept,
    /// An answer, kept for a day.
    Answer,
    /// It goes by itself, or is bounded otherwise.
    Not,
}

/// By its table.
pub(super) fn charged(key: &Key) -> Charged {
    // Leaves and manifests come with records that a patient has permitted, segments have a budget of their own; what waits for
    // the log or its time goes, and sessions with it, and of epochs that are over a few are kept.
    const NOT: [u8; 8] = [9, 13, 19, 20, 34, 40, 41, 63];
    match key.table.number() {
        18 => Charged::Answer,
        table if NOT.contains(&table) => Charged::Not,
        _ => Charged::Kept,
    }
}

/// What a [`DayRow`] counts.
#[derive(Clone, Copy)]
pub(super) enum Daily {
    /// Patients who enrolled by an institution's invitations.
    Invited = 1,
}

/// What a [`CountRow`] counts.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    /// Entries of the history.
    History = 1,
    /// Events of the inbox.
    Inbox = 2,
    /// Uploads and releases that are open.
    Sessions = 3,
    /// Placements of records in collections.
    Placements = 4,
    /// Collections, but for the default one while nobody has put it.
    Collections = 5,
    /// Offers of new devices.
    Offers = 6,
    /// Terminals, with those that were removed.
    Terminals = 7,
    /// Delegations that a patient has given, with those that are over.
    Delegations = 50,
    /// Records that are placed.
    Placed = 8,
}

/// What somebody looks at when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiring {
    /// An answer kept for repetitions: principal and key.
    Idempotency([u8; 32], [u8; 32]),
    /// An upload session.
    Upload(PatientId, UploadId),
    /// A release session.
    Release(PatientId, ReleaseId),
    /// The wraps of a closed epoch.
    Epoch(PatientId, Collection),
    /// An offer of a new device.
    Offer(LinkId, DeviceId),
    /// What was stored of a version whose place another has taken, or that is gone.
    Version(PatientId, VersionId),
    /// How often an invitation was used: SHA-256 of its body.
    Invitation(Sha256Digest),
    /// What a sender has put before a receiver today: receiver and sender.
    Sender([u8; 32], [u8; 32]),
    /// What is kept of a root epoch that is over.
    Kept(PatientId, u64),
}

impl Expiring {
    fn encode(self) -> Vec<u8> {
        match self {
            Self::Idempotency(principal, key) => [&[1][..], &principal, &key].concat(),
            Self::Sender(receiver, sender) => [&[8][..], &receiver, &sender].concat(),
            Self::Upload(patient, upload) => [&[2][..], patient.as_bytes(), upload.as_bytes()].concat(),
            Self::Kept(patient, epoch) => [&[9][..], patient.as_bytes(), &epoch.to_be_bytes()].concat(),
            Self::Invitation(body) => [&[7][..], body.as_bytes()].concat(),
            Self::Version(patient, version) => [&[6][..], patient.as_bytes(), version.as_bytes()].concat(),
            Self::Offer(link, device) => [&[5][..], link.as_bytes(), device.as_bytes()].concat(),
            Self::Release(patient, release) => [&[3][..], patient.as_bytes(), release.as_bytes()].concat(),
            Self::Epoch(patient, Collection { id, epoch }) => {
                let epoch = epoch.to_be_bytes();
                [&[4][..], patient.as_bytes(), id.as_bytes(), &epoch].concat()
            }
        }
    }

    /// From the suffix of an expiry row: its time, and what it names.
    pub(super) fn decode(suffix: &[u8]) -> Option<(u64, Self)> {
        let (at, rest) = suffix.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (partition, id) = rest.split_first_chunk::<32>()?;
        let patient = PatientId::from_bytes(*partition);
        let what = match kind {
            1 => Self::Idempotency(*partition, id.try_into().ok()?),
            2 => Self::Upload(patient, id.try_into().ok()?),
            3 => Self::Release(patient, id.try_into().ok()?),
            4 => {
                let (id, epoch) = id.split_first_chunk::<16>()?;
                let epoch = u64::from_be_bytes(epoch.try_into().ok()?);
                let id = CollectionId::from_bytes(*id);
                Self::Epoch(patient, Collection { id, epoch })
            }
            5 => Self::Offer(LinkId::from_bytes(*partition), id.try_into().ok()?),
            6 => Self::Version(patient, id.try_into().ok()?),
            7 => Self::Invitation(Sha256Digest::from_bytes(*partition)),
            8 => Self::Sender(*partition, id.try_into().ok()?),
            9 => Self::Kept(patient, u64::from_be_bytes(id.try_into().ok()?)),
            _ => return None,
        };
        Some((u64::from_be_bytes(*at), what))
    }
}
