//! A key by each constructor, and of each kind, for fixed ids.

use data_encoding::HEXLOWER;

use protocol_spec::field::Name;

use super::{super::*, name_of, sample::Sample};

/// One line of the golden file.
pub(super) struct GoldenKey {
    pub(super) table: u8,
    /// The call that makes it, as it stands here.
    pub(super) call: String,
    /// The type of its row.
    pub(super) row: &'static str,
    pub(super) bytes: String,
    /// What the golden file says of that row.
    pub(super) row_line: String,
}

fn golden<R: Row + Sample>(call: &str, key: &RowKey<R>) -> GoldenKey {
    GoldenKey {
        table: key.key().table.number(),
        call: call.split_whitespace().collect::<Vec<_>>().join(" "),
        row: name_of::<R>(),
        bytes: HEXLOWER.encode(&key.key().encode()),
        row_line: super::sample::line::<R>(),
    }
}

macro_rules! keys {
    ($($call:expr),* $(,)?) => { vec![$(golden(stringify!($call), &$call)),*] };
}

const P: PatientId = PatientId::from_bytes([0xa1; 32]);
const Q: PatientId = PatientId::from_bytes([0xa2; 32]);
const INST: InstitutionId = InstitutionId::from_bytes([0xa3; 32]);
const DEV: DeviceId = DeviceId::from_bytes([0xa4; 32]);
const LINK: LinkId = LinkId::from_bytes([0xa5; 32]);
const TERM: TerminalId = TerminalId::from_bytes([0xa6; 32]);
const HASH: Sha256Digest = Sha256Digest::from_bytes([0xa7; 32]);
const ANY: [u8; 32] = [0xa8; 32];
const KEY: [u8; 32] = [0xa9; 32];
const REQ: RequestId = RequestId::from_bytes([0xb1; 16]);
const PERM: PermissionId = PermissionId::from_bytes([0xb2; 16]);
const UP: UploadId = UploadId::from_bytes([0xb3; 16]);
const REL: ReleaseId = ReleaseId::from_bytes([0xb4; 16]);
const REC: RecordId = RecordId::from_bytes([0xb5; 16]);
const VER: VersionId = VersionId::from_bytes([0xb6; 16]);
const DELEG: DelegationId = DelegationId::from_bytes([0xb7; 16]);
const COMMIT: CommitId = CommitId::from_bytes([0xb8; 16]);
const COL: Collection = Collection {
    id: CollectionId::from_bytes([0xb9; 16]),
    epoch: 0x0102_0304_0506_0708,
};
/// A number that has another byte at each place.
const N: u64 = 0x1112_1314_1516_1718;
const M: u64 = 0x2122_2324_2526_2728;

pub(super) fn all() -> Vec<GoldenKey> {
    let mut keys = of_principals();
    keys.extend(of_patients());
    keys.extend(of_server_and_log());
    keys
}

fn of_principals() -> Vec<GoldenKey> {
    keys![
        place(&RequestId::from_bytes([0xb1; 16])),
        place(&PermissionId::from_bytes([0xb2; 16])),
        place(&UploadId::from_bytes([0xb3; 16])),
        place(&ReleaseId::from_bytes([0xb4; 16])),
        place(&VersionId::from_bytes([0xb6; 16])),
        count(ANY, Counted::History),
        count(ANY, Counted::Inbox),
        count(ANY, Counted::Sessions),
        count(ANY, Counted::Placements),
        count(ANY, Counted::Collections),
        count(ANY, Counted::Offers),
        count(ANY, Counted::Terminals),
        count(ANY, Counted::Delegations),
        count(ANY, Counted::Placed),
        inbox(ANY, N),
        idempotency(ANY, KEY),
        log_salt(ANY),
        device(DEV),
        link(LINK),
        offer(DEV),
        entry(INST, N),
        terminal(INST, TERM),
        terminals(INST),
        terminal_place(TERM),
        emergency_rate(ANY),
        day(ANY, Daily::Invited),
        sender(ANY, KEY),
        senders(ANY),
        strangers(ANY),
        account(ANY),
        held_delegation(Q, DELEG),
        held_delegations(Q),
        offered_delegation(Q, DELEG),
        offered_delegations(Q),
    ]
}

fn of_patients() -> Vec<GoldenKey> {
    keys![
        patient(P),
        request(P, HASH),
        requests(P),
        permission(P, PERM),
        permissions(P),
        meter(P, PERM),
        challenges(P, PERM),
        upload(P, UP),
        leaf(P, UP, 0x3132_3334),
        release(P, REL),
        record(P, VER),
        record_id(P, REC),
        manifest(P, VER),
        placement(P, VER),
        history(P, N),
        collection(P, COL.id),
        collections(P),
        wrap(P, COL, N),
        closure(P, COL),
        released(P, REL, VER),
        all_released(P, REL),
        used(P, PERM, REL),
        all_used(P, PERM),
        open_session(P, PERM, UP.as_bytes()),
        open_sessions(P, PERM),
        committed(P, PERM, UP),
        all_committed(P, PERM),
        gone(P, REC),
        all_gone(P),
        gone_version(P, VER),
        device_list(P, N),
        kept_keys(P, N),
        kept_collections(P, N),
        delegation(P, DELEG),
        delegations(P),
        delegated_key(P, DELEG, COL),
        delegate_read(P, DELEG, VER, N),
        emergency(P),
        opening(P, PERM, INST),
        opening_id(P, REQ),
        placed(P, N),
        arrival(P, VER),
        arrivals(P),
        index(P),
        segment(P, N, M),
        acts(P),
        act(P, N),
        back(P),
        vault_head(P, N),
    ]
}

fn of_server_and_log() -> Vec<GoldenKey> {
    let tile = TileId { level: 7, index: N };
    keys![
        institution(INST),
        first_institution(),
        expiries(),
        expiry(N, Expiring::Idempotency(ANY, KEY)),
        expiry(N, Expiring::Upload(P, UP)),
        expiry(N, Expiring::Release(P, REL)),
        expiry(N, Expiring::Epoch(P, COL)),
        expiry(N, Expiring::Offer(LINK, DEV)),
        expiry(N, Expiring::Version(P, VER)),
        expiry(N, Expiring::Invitation(HASH)),
        expiry(N, Expiring::Sender(ANY, KEY)),
        expiry(N, Expiring::Kept(P, M)),
        log_queue(COMMIT, 5),
        log_queued(vec![1, 2, 3]),
        log_index(ANY),
        log_tile(tile),
        log_entry(N),
        log_event(N),
        log_cosigned(),
        log_head(),
        floor(),
        bound(),
        offers(),
        recipient_key(HASH),
        first_program(),
        program(&a_program()),
        invitation(&HASH),
    ]
}

fn a_program() -> Program {
    let text = |text: &str| Name::try_from(text.to_owned()).unwrap();
    Program {
        created: 1,
        registrar_id: protocol_spec::ids::RegistrarId::from_bytes(ANY),
        name: text("a name"),
        version: text("a version"),
        target: text("a target"),
        source: text("a source"),
        toolchain: text("a toolchain"),
        file_hash: HASH,
    }
}
