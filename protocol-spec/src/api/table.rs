//! The table, in the order of `spec/api.md` §2.

use http::Method;

use super::{
    Callers, CheckpointQuery, CollectionsQuery, ConsistencyQuery, DelegatedKeysQuery, Endpoint, EndpointInfo,
    EventStream, EventsQuery, FirstLeaf, LeafBytes, LeafQuery, OpenApiDocument, PageQuery, PrincipalId,
    Query, ServerQuery, SignedNote, Size, StreamQuery, TileData, WrapsQuery,
};
use crate::{
    ids::{DelegationId, PermissionId, RecordId, ReleaseId, RequestId, TerminalId, UploadId, VersionId},
    messages as pb,
    problem::Problem,
};

macro_rules! endpoints {
    (@is) => { false };
    (@size) => { Size::Message };
    (@size $size:ident) => { Size::$size };
    (@query) => { () };
    (@query $query:ty) => { $query };
    (@is $delegates:ident) => { true };
    ($($name:ident[$ids:literal]: $method:ident $path:literal by $by:ident $(for $delegates:ident)? $(up to $size:ident)? $(asked $query:ty)?, $body:ty => $answer:ty
        $(, refuses $($problem:ident)*)?;)*) => {
        $(
            #[doc = concat!("`", stringify!($method), " ", $path, "`")]
            pub static $name: Endpoint<$ids, endpoints!(@query $($query)?), $body, $answer> = Endpoint::new(EndpointInfo {
                name: stringify!($name),
                method: Method::$method,
                path: $path,
                query: <endpoints!(@query $($query)?) as Query>::parameters,
                by: Callers::$by,
                size: endpoints!(@size $($size)?),
                body: stringify!($body),
                answer: stringify!($answer),
                for_delegates: endpoints!(@is $($delegates)?),
                refuses: &[$($(Problem::$problem),*)?],
            });
        )*

        /// What is known of every endpoint, in the order of the page.
        pub static ALL: &[&EndpointInfo] = &[$(&$name.row),*];
    };
}

endpoints! {
    SERVER[0]: GET "/v1/server" by Anybody asked ServerQuery, () => pb::ServerInfo, refuses NotPermitted;
    OPENAPI[0]: GET "/v1/openapi.json" by Anybody, () => OpenApiDocument;
    DIRECTORY_EVENTS[0]: GET "/v1/directory/events" by Anybody asked EventsQuery, () => pb::DirectoryEvents;
    DIRECTORY_ENTRIES[1]: GET "/v1/directory/{institution}/entries" by Anybody asked PageQuery<u64>, () => pb::EntryPage, refuses NotFound;
    WITHDRAW_INSTITUTION[0]: POST "/v1/directory/withdrawals" by Anybody up to Enrolment, pb::WithdrawInstitution => pb::Withdrawn,
        refuses NotPermitted;
    PUBLISH_PROGRAM[0]: POST "/v1/directory/programs" by Anybody up to Enrolment, pb::PublishProgram => pb::ProgramPublished,
        refuses NotPermitted AlreadyExists;
    LOG_CHECKPOINT[0]: GET "/v1/log/checkpoint" by Anybody asked CheckpointQuery, () => SignedNote;
    LOG_TILE[1]: GET "/v1/log/tile/{*name}" by Anybody, () => TileData;
    LOG_CONSISTENCY[0]: GET "/v1/log/consistency" by Anybody asked ConsistencyQuery, () => pb::ConsistencyProof, refuses NotFound;
    LOG_SALT[0]: GET "/v1/log/salt" by PatientOrInstitution, () => pb::LogSalt;
    ENROL_PATIENT[0]: POST "/v1/patients" by NewPatient up to Enrolment, pb::EnrolPatient => pb::Accepted,
        refuses NotPermitted AlreadyExists InvitationNeeded InvitationOver WorkNeeded TooMany;
    ENROL_INSTITUTION[0]: POST "/v1/institutions" by NewInstitution up to Enrolment, pb::EnrolInstitution => pb::Accepted,
        refuses NotPermitted NotAccredited AlreadyExists ChainConflict;
    ROTATE_INSTITUTION[0]: POST "/v1/institutions/rotation" by IdentityKey, pb::RotateInstitution => pb::Accepted,
        refuses NotAccredited ChainConflict AlreadyExists;
    RETIRE_INSTITUTION[0]: POST "/v1/institutions/retirement" by IdentityKey, pb::RetireInstitution => pb::Accepted,
        refuses ChainConflict;
    TERMINALS[0]: GET "/v1/institutions/terminals" by Institution asked PageQuery<TerminalId>, () => pb::TerminalPage;
    ADD_TERMINAL[0]: POST "/v1/institutions/terminals" by IdentityKey, pb::AddTerminal => pb::Accepted,
        refuses AlreadyExists TooMany;
    REMOVE_TERMINAL[0]: POST "/v1/institutions/terminals/removals" by IdentityKey, pb::RemoveTerminal => pb::Accepted;
    TERMINAL[0]: GET "/v1/institutions/terminal" by Terminal, () => pb::Terminal;
    PATIENT_INFO[1]: GET "/v1/patients/{patient}" by PatientOrInstitution, () => pb::PatientInfo;
    MEMBER_LIST[2]: GET "/v1/patients/{patient}/recovery/{device}" by PatientOrInstitution, () => pb::MemberList;
    SUBMIT_UPLOAD_REQUEST[0]: POST "/v1/requests/upload" by Patient, pb::SubmitUploadRequest => pb::Accepted,
        refuses ReceiverFull RequestMismatch RequestExpired PermissionExpired AlreadyExists EpochMismatch
            HeadConflict;
    SUBMIT_DOWNLOAD_REQUEST[0]: POST "/v1/requests/download" by Institution, pb::SubmitDownloadRequest => pb::Accepted,
        refuses ReceiverFull RequestExpired AlreadyExists;
    SUBMIT_REFERENCE_REQUEST[0]: POST "/v1/requests/reference"
        by Institution, pb::SubmitReferenceRequest => pb::Accepted,
        refuses ReceiverFull RequestExpired AlreadyExists;
    REQUEST[1]: GET "/v1/requests/{request}" by PatientOrInstitution for delegates, () => pb::StoredRequest;
    SUBMIT_PERMISSION[0]: POST "/v1/permissions"
        by Patient for delegates, pb::SubmitPermission => pb::PermissionAnswer,
        refuses RequestMismatch RequestAnswered RequestExpired RecordMismatch RecordDeleted EpochMismatch
            PermissionExpired DelegationScope ReplacementConflict AlreadyExists HeadConflict;
    SUBMIT_DENIAL[0]: POST "/v1/denials" by Patient for delegates, pb::SubmitDenial => pb::Accepted,
        refuses RequestMismatch RequestAnswered RequestExpired;
    SUBMIT_NOTE[0]: POST "/v1/notes" by Patient, pb::SubmitNote => pb::Accepted, refuses ReceiverFull;
    SUBMIT_REVOCATION[0]: POST "/v1/revocations" by Patient, pb::SubmitRevocation => pb::RevocationAnswer;
    DELIVER[1]: GET "/v1/permissions/{permission}" by Institution, () => pb::Delivery, refuses StorageFull;
    PRESENT[1]: POST "/v1/permissions/{permission}/presentation" by Holder up to Presentation, pb::Presentation => pb::PresentationAnswer,
        refuses PermissionNotYetValid PermissionExpired PermissionRevoked PermissionReplaced PurposeMismatch
            PermissionSpent BytesSpent PermissionInUse KeyEnded DelegationEnded DelegationExpired AlreadyExists
            UploadClosed ReleaseClosed RecordMismatch RecordDeleted;
    COMMITTED_UPLOADS[1]: GET "/v1/permissions/{permission}/uploads" by Institution asked PageQuery<UploadId>, () => pb::UploadPage;
    UPLOAD_STATUS[1]: GET "/v1/uploads/{upload}" by Institution, () => pb::UploadStatus;
    RECEIVE_LEAVES[1]: PUT "/v1/uploads/{upload}/leaves" by PatientOrInstitution asked FirstLeaf, LeafBytes => pb::Accepted,
        refuses UploadClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired
            LeafConflict BytesSpent StorageFull;
    COMMIT_UPLOAD[1]: POST "/v1/uploads/{upload}/commit" by Institution up to Commit, pb::CommitUpload => pb::Receipt,
        refuses UploadClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired
            LeavesMissing LeafConflict BytesSpent AlreadyExists;
    TAKE_BACK[0]: POST "/v1/take-backs" by Institution, pb::TakeBackUpload => pb::Receipt,
        refuses RecordOpened RecordDeleted;
    RELEASE_LEAVES[2]: GET "/v1/releases/{release}/records/{version}/leaves" by Institution asked LeafQuery, () => LeafBytes,
        refuses ReleaseClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired
            BytesSpent RangeNotSatisfiable RecordDamaged RecordDeleted StorageFull;
    RELEASED_RECORDS[1]: GET "/v1/releases/{release}/records" by Institution asked PageQuery<u64>, () => pb::ReleasedPage,
        refuses ReleaseClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired;
    CLOSE_RELEASE[1]: POST "/v1/releases/{release}/close" by Institution, pb::Accepted => pb::Receipt;
    VAULT_RECORDS[0]: GET "/v1/vault/records" by Patient for delegates asked PageQuery<u64>, () => pb::VaultPage;
    ARRIVALS[0]: GET "/v1/vault/arrivals" by Patient asked PageQuery<VersionId>, () => pb::VaultPage;
    VAULT_RECORD[1]: GET "/v1/vault/records/{version}" by Patient, () => pb::VaultRecord, refuses RecordDeleted;
    INDEX[0]: GET "/v1/vault/index" by Patient asked PageQuery<u64>, () => pb::IndexPage;
    PUT_SEGMENT[0]: POST "/v1/vault/index" by Patient, pb::SignedSegment => pb::Accepted,
        refuses IndexConflict TooMany;
    OWN_LEAVES[1]: GET "/v1/vault/records/{version}/leaves" by Patient for delegates asked LeafQuery, () => LeafBytes,
        refuses RangeNotSatisfiable RecordDamaged RecordDeleted DelegationScope StorageFull;
    ADOPT[1]: POST "/v1/vault/records/{version}/adoption" by Patient, pb::AdoptRecord => pb::Accepted,
        refuses RecordMismatch RecordDeleted EpochMismatch PlacementConflict;
    OPEN_RESEAL[0]: POST "/v1/vault/reseals" by Patient, pb::OpenReseal => pb::ResealOpened,
        refuses RecordMismatch RecordDeleted AlreadyExists;
    COMMIT_RESEAL[1]: POST "/v1/vault/reseals/{upload}" by Patient, pb::CommitReseal => pb::Receipt,
        refuses UploadClosed LeavesMissing LeafConflict BytesSpent RecordMismatch RecordDeleted EpochMismatch
            PlacementConflict;
    ACTS[0]: GET "/v1/vault/acts" by Patient asked PageQuery<u64>, () => pb::VaultActs;
    SUBMIT_HEAD[0]: POST "/v1/vault/heads" by Patient, pb::SubmitVaultHead => pb::LoggedStatement,
        refuses HeadConflict;
    COLLECTIONS[0]: GET "/v1/vault/collections" by Patient asked CollectionsQuery, () => pb::CollectionList, refuses NotFound;
    PUT_COLLECTION[0]: POST "/v1/vault/collections" by Patient, pb::PutCollection => pb::Accepted,
        refuses EpochMismatch TooMany;
    WRAPS[0]: GET "/v1/vault/wraps" by Patient asked WrapsQuery, () => pb::WrapPage;
    PUT_WRAPS[0]: POST "/v1/vault/wraps" by Patient, pb::PutWraps => pb::Accepted,
        refuses EpochMismatch PlacementConflict;
    CLOSE_EPOCH[0]: POST "/v1/vault/closures" by Patient, pb::CloseEpoch => pb::LoggedStatement,
        refuses EpochMismatch WrapsMissing;
    DELETIONS[0]: GET "/v1/vault/deletions" by Patient asked PageQuery<RecordId>, () => pb::DeletionPage;
    DELETE_RECORD[0]: POST "/v1/vault/deletions" by Patient, pb::DeleteRecord => pb::LoggedStatement,
        refuses RecordMismatch RecordDeleted;
    DEVICE_LISTS[0]: GET "/v1/vault/devices" by Patient asked PageQuery<u64>, () => pb::DeviceLists;
    CHANGE_DEVICES[0]: POST "/v1/vault/devices" by Patient, pb::ChangeDevices => pb::Accepted,
        refuses DeviceListConflict PlacementConflict EpochMismatch AlreadyExists RecoveryKept;
    EMERGENCY[0]: GET "/v1/vault/emergency" by Patient, () => pb::EmergencyList;
    PUT_EMERGENCY[0]: POST "/v1/vault/emergency" by Patient, pb::PutEmergency => pb::Accepted,
        refuses ReceiverFull PermissionExpired EpochMismatch AlreadyExists ReplacementConflict RequestMismatch
            HeadConflict;
    SUBMIT_OBJECTION[0]: POST "/v1/vault/emergency/objections" by Patient, pb::SubmitObjection => pb::Accepted,
        refuses EmergencyOver;
    OPEN_EMERGENCY[0]: POST "/v1/emergency/openings" by Institution, pb::EmergencyUse => pb::EmergencyOpened,
        refuses NotForEmergencies EmergencyLimit EmergencyWaiting EmergencyObjected EmergencyOver AlreadyExists
            PermissionExpired PermissionRevoked PermissionReplaced;
    ACCEPT_GUARDIANSHIP[0]: POST "/v1/emergency/guardianships" by Guardian, pb::AcceptGuardianship => pb::Accepted;
    START_HELP[0]: POST "/v1/emergency/helps" by Guardian, pb::StartHelp => pb::HelpStarted,
        refuses NotAccepted EmergencyObjected EmergencyOver AlreadyExists;
    EMERGENCY_INFO[1]: GET "/v1/emergency/{patient}" by PatientOrInstitution, () => pb::EmergencyInfo;
    OFFER_LINK[1]: POST "/v1/links/{link}" by OfferedDevice up to Enrolment, pb::LinkOffer => pb::Accepted,
        refuses AlreadyExists TooMany;
    LINK_STATE[1]: GET "/v1/links/{link}" by Patient, () => pb::LinkState;
    ANSWER_LINK[1]: POST "/v1/links/{link}/answer" by Patient, pb::LinkAnswer => pb::Accepted, refuses AlreadyExists;
    LINK_ANSWER[1]: GET "/v1/links/{link}/answer" by Anybody, () => pb::LinkAnswer, refuses NotFound;
    OPEN_LINK[1]: POST "/v1/links/{link}/opening" by OfferedDevice up to Enrolment, pb::LinkOpening => pb::Accepted;
    GIVEN_DELEGATIONS[0]: GET "/v1/vault/delegations" by Patient asked PageQuery<DelegationId>, () => pb::DelegationPage;
    PUT_DELEGATION[0]: POST "/v1/vault/delegations" by Patient, pb::PutDelegation => pb::Accepted,
        refuses ReceiverFull EpochMismatch DelegationExpired AlreadyExists TooMany;
    PUT_DELEGATED_KEYS[0]: POST "/v1/vault/delegations/keys" by Patient, pb::PutDelegatedKeys => pb::Accepted,
        refuses DelegationEnded DelegationExpired EpochMismatch;
    END_DELEGATION[0]: POST "/v1/vault/delegations/ends" by Patient, pb::EndDelegation => pb::Accepted;
    HELD_DELEGATIONS[0]: GET "/v1/delegations" by Patient asked PageQuery<DelegationId>, () => pb::DelegationPage;
    OFFERED_DELEGATIONS[0]: GET "/v1/delegations/offered" by Patient asked PageQuery<DelegationId>, () => pb::DelegationPage;
    ACCEPT_DELEGATION[0]: POST "/v1/delegations/acceptances" by Patient, pb::AcceptDelegation => pb::Accepted,
        refuses DelegationExpired;
    DELEGATED_KEYS[0]: GET "/v1/delegated-keys" by Delegate for delegates asked DelegatedKeysQuery, () => pb::DelegatedKeyPage,
        refuses DelegationScope;
    DELEGATED_REQUESTS[0]: GET "/v1/delegated-requests" by Delegate for delegates asked PageQuery<RequestId>, () => pb::RequestPage;
    VAULT_PERMISSIONS[0]: GET "/v1/vault/permissions" by Patient asked PageQuery<PermissionId>, () => pb::PermissionList;
    PAST_RELEASES[1]: GET "/v1/vault/permissions/{permission}/releases" by Patient asked PageQuery<ReleaseId>, () => pb::ReleaseList;
    RELEASED_RANGES[1]: GET "/v1/vault/releases/{release}/ranges" by Patient asked PageQuery<VersionId>, () => pb::ReleasedRanges;
    HISTORY[0]: GET "/v1/vault/history" by Patient asked PageQuery<u64>, () => pb::HistoryPage;
    INBOX[0]: GET "/v1/inbox" by PatientOrInstitution asked PageQuery<u64>, () => pb::InboxPage;
    INBOX_STREAM[0]: GET "/v1/inbox/stream" by PatientOrInstitution asked StreamQuery, () => EventStream;
    DELETE_UNANSWERED[0]: POST "/v1/inbox/deletions" by Patient, pb::DeleteUnanswered => pb::Accepted,
        refuses RequestAnswered;
    BLOCK_SENDER[0]: POST "/v1/inbox/blocks" by PatientOrIdentityKey, pb::BlockSender => pb::Accepted,
        refuses RequestAnswered;
    SENDERS[0]: GET "/v1/inbox/senders" by PatientOrIdentityKey asked PageQuery<PrincipalId>, () => pb::SenderPage;
}
