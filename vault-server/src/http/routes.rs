//! Every endpoint, in the order of `spec/api.md` §2, whose words its caller has: the server's routes are made from this
//! table, and so is the description that it serves (API-13). Behind `refuses` stands what the vault may refuse; the
//! rest follows from the handler's signature.

use http::Method;
use protocol_spec::problem::Problem;

use super::{api::Api, handlers, leaves, sse};

macro_rules! endpoints {
    ($($method:ident $path:literal by $caller:literal is $module:ident::$handler:ident $(refuses $($problem:ident)*)?;)*) => {
        /// All of them.
        pub(super) fn api() -> Api {
            Api::new()$(.route(
                (Method::$method, $path),
                $caller,
                (stringify!($handler), $module::$handler),
                &[$($(Problem::$problem),*)?],
            ))*
        }
    };
}

endpoints! {
    GET "/v1/server" by "anybody" is handlers::server
        refuses NotPermitted;
    GET "/v1/openapi.json" by "anybody" is handlers::openapi;
    GET "/v1/directory/events" by "anybody" is handlers::directory_events;
    GET "/v1/directory/{institution}/entries" by "anybody" is handlers::directory_entries
        refuses NotFound;
    POST "/v1/directory/withdrawals" by "anybody" is handlers::withdraw_institution
        refuses NotPermitted;
    POST "/v1/directory/programs" by "anybody" is handlers::publish_program
        refuses NotPermitted AlreadyExists;
    GET "/v1/log/checkpoint" by "anybody" is handlers::log_checkpoint;
    GET "/v1/log/tile/{*name}" by "anybody" is handlers::log_tile;
    GET "/v1/log/consistency" by "anybody" is handlers::log_consistency
        refuses NotFound;
    GET "/v1/log/salt" by "P, I" is handlers::log_salt;
    POST "/v1/patients" by "P, signed by the key being enrolled" is handlers::enrol_patient
        refuses NotPermitted AlreadyExists InvitationNeeded InvitationOver WorkNeeded TooMany;
    POST "/v1/institutions" by "I, signed by the key being enrolled" is handlers::enrol_institution
        refuses NotPermitted NotAccredited AlreadyExists ChainConflict;
    POST "/v1/institutions/rotation" by "I, identity key" is handlers::rotate_institution
        refuses NotAccredited ChainConflict AlreadyExists;
    POST "/v1/institutions/retirement" by "I, identity key" is handlers::retire_institution
        refuses ChainConflict;
    GET "/v1/institutions/terminals" by "I" is handlers::terminals;
    POST "/v1/institutions/terminals" by "I, identity key" is handlers::add_terminal
        refuses AlreadyExists TooMany;
    POST "/v1/institutions/terminals/removals" by "I, identity key" is handlers::remove_terminal;
    GET "/v1/institutions/terminal" by "a terminal" is handlers::terminal;
    GET "/v1/patients/{patient}" by "I, P" is handlers::patient_info;
    GET "/v1/patients/{patient}/recovery/{device}" by "I, P" is handlers::member_list;
    POST "/v1/requests/upload" by "P" is handlers::submit_upload_request
        refuses ReceiverFull RequestMismatch RequestExpired PermissionExpired AlreadyExists EpochMismatch HeadConflict;
    POST "/v1/requests/download" by "I" is handlers::submit_download_request
        refuses ReceiverFull RequestExpired AlreadyExists;
    POST "/v1/requests/reference" by "I" is handlers::submit_reference_request
        refuses ReceiverFull RequestExpired AlreadyExists;
    GET "/v1/requests/{request}" by "P, I" is handlers::request;
    POST "/v1/permissions" by "P" is handlers::submit_permission
        refuses RequestMismatch RequestAnswered RequestExpired RecordMismatch RecordDeleted EpochMismatch PermissionExpired
            DelegationScope ReplacementConflict AlreadyExists HeadConflict;
    POST "/v1/denials" by "P" is handlers::submit_denial
        refuses RequestMismatch RequestAnswered RequestExpired;
    POST "/v1/revocations" by "P" is handlers::submit_revocation;
    GET "/v1/permissions/{permission}" by "I" is handlers::deliver
        refuses StorageFull;
    POST "/v1/permissions/{permission}/presentation" by "I, two signatures" is handlers::present
        refuses PermissionNotYetValid PermissionExpired PermissionRevoked PermissionReplaced PurposeMismatch
            PermissionSpent BytesSpent PermissionInUse KeyEnded DelegationEnded DelegationExpired AlreadyExists
            UploadClosed ReleaseClosed RecordMismatch RecordDeleted;
    GET "/v1/permissions/{permission}/uploads" by "I" is handlers::committed_uploads;
    GET "/v1/uploads/{upload}" by "I" is handlers::upload_status;
    PUT "/v1/uploads/{upload}/leaves" by "I, P" is leaves::receive_leaves
        refuses UploadClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired
            LeafConflict BytesSpent StorageFull;
    POST "/v1/uploads/{upload}/commit" by "I" is handlers::commit_upload
        refuses UploadClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired
            LeavesMissing LeafConflict BytesSpent AlreadyExists;
    POST "/v1/take-backs" by "I" is handlers::take_back
        refuses RecordOpened RecordDeleted;
    GET "/v1/releases/{release}/records/{version}/leaves" by "I" is leaves::release_leaves
        refuses ReleaseClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired
            BytesSpent RangeNotSatisfiable RecordDamaged RecordDeleted StorageFull;
    GET "/v1/releases/{release}/records" by "I" is handlers::released_records
        refuses ReleaseClosed PermissionRevoked PermissionReplaced KeyEnded DelegationEnded DelegationExpired;
    POST "/v1/releases/{release}/close" by "I" is handlers::close_release;
    GET "/v1/vault/records" by "P" is handlers::vault_records;
    GET "/v1/vault/arrivals" by "P" is handlers::arrivals;
    GET "/v1/vault/records/{version}" by "P" is handlers::vault_record
        refuses RecordDeleted;
    GET "/v1/vault/index" by "P" is handlers::index;
    POST "/v1/vault/index" by "P" is handlers::put_segment
        refuses IndexConflict TooMany;
    GET "/v1/vault/records/{version}/leaves" by "P" is leaves::own_leaves
        refuses RangeNotSatisfiable RecordDamaged RecordDeleted DelegationScope StorageFull;
    POST "/v1/vault/records/{version}/adoption" by "P" is handlers::adopt
        refuses RecordMismatch RecordDeleted EpochMismatch PlacementConflict;
    POST "/v1/vault/reseals" by "P" is handlers::open_reseal
        refuses RecordMismatch RecordDeleted AlreadyExists;
    POST "/v1/vault/reseals/{upload}" by "P" is handlers::commit_reseal
        refuses UploadClosed LeavesMissing LeafConflict BytesSpent RecordMismatch RecordDeleted EpochMismatch
            PlacementConflict;
    GET "/v1/vault/acts" by "P" is handlers::acts;
    POST "/v1/vault/heads" by "P" is handlers::submit_head
        refuses HeadConflict;
    GET "/v1/vault/collections" by "P" is handlers::collections
        refuses NotFound;
    POST "/v1/vault/collections" by "P" is handlers::put_collection
        refuses EpochMismatch TooMany;
    GET "/v1/vault/wraps" by "P" is handlers::wraps;
    POST "/v1/vault/wraps" by "P" is handlers::put_wraps
        refuses EpochMismatch PlacementConflict;
    POST "/v1/vault/closures" by "P" is handlers::close_epoch
        refuses EpochMismatch WrapsMissing;
    GET "/v1/vault/deletions" by "P" is handlers::deletions;
    POST "/v1/vault/deletions" by "P" is handlers::delete_record
        refuses RecordMismatch RecordDeleted;
    GET "/v1/vault/devices" by "P" is handlers::device_lists;
    POST "/v1/vault/devices" by "P" is handlers::change_devices
        refuses DeviceListConflict PlacementConflict EpochMismatch AlreadyExists RecoveryKept;
    GET "/v1/vault/emergency" by "P" is handlers::emergency;
    POST "/v1/vault/emergency" by "P" is handlers::put_emergency
        refuses ReceiverFull PermissionExpired EpochMismatch AlreadyExists ReplacementConflict RequestMismatch HeadConflict;
    POST "/v1/vault/emergency/objections" by "P" is handlers::submit_objection
        refuses EmergencyOver;
    POST "/v1/emergency/openings" by "I" is handlers::open_emergency
        refuses NotForEmergencies EmergencyLimit EmergencyWaiting EmergencyObjected EmergencyOver
            AlreadyExists PermissionExpired PermissionRevoked PermissionReplaced;
    POST "/v1/emergency/guardianships" by "P, a guardian" is handlers::accept_guardianship;
    POST "/v1/emergency/helps" by "P, a guardian" is handlers::start_help
        refuses NotAccepted EmergencyObjected EmergencyOver AlreadyExists;
    GET "/v1/emergency/{patient}" by "P, I" is handlers::emergency_info;
    POST "/v1/links/{link}" by "signed by the device key that is offered" is handlers::offer_link
        refuses AlreadyExists TooMany;
    GET "/v1/links/{link}" by "P" is handlers::link_state;
    POST "/v1/links/{link}/answer" by "P" is handlers::answer_link
        refuses AlreadyExists;
    GET "/v1/links/{link}/answer" by "anybody" is handlers::link_answer
        refuses NotFound;
    POST "/v1/links/{link}/opening" by "signed by the device key that is offered" is handlers::open_link;
    GET "/v1/vault/delegations" by "P" is handlers::given_delegations;
    POST "/v1/vault/delegations" by "P" is handlers::put_delegation
        refuses ReceiverFull EpochMismatch DelegationExpired AlreadyExists TooMany;
    POST "/v1/vault/delegations/keys" by "P" is handlers::put_delegated_keys
        refuses DelegationEnded DelegationExpired EpochMismatch;
    POST "/v1/vault/delegations/ends" by "P" is handlers::end_delegation;
    GET "/v1/delegations" by "P" is handlers::held_delegations;
    GET "/v1/delegations/offered" by "P" is handlers::offered_delegations;
    POST "/v1/delegations/acceptances" by "P" is handlers::accept_delegation
        refuses DelegationExpired;
    GET "/v1/delegated-keys" by "a delegate" is handlers::delegated_keys
        refuses DelegationScope;
    GET "/v1/delegated-requests" by "a delegate" is handlers::delegated_requests;
    GET "/v1/vault/permissions" by "P" is handlers::vault_permissions;
    GET "/v1/vault/permissions/{permission}/releases" by "P" is handlers::past_releases;
    GET "/v1/vault/releases/{release}/ranges" by "P" is handlers::released_ranges;
    GET "/v1/vault/history" by "P" is handlers::history;
    GET "/v1/inbox" by "P, I" is handlers::inbox;
    GET "/v1/inbox/stream" by "P, I" is sse::inbox_stream;
    POST "/v1/inbox/deletions" by "P" is handlers::delete_unanswered
        refuses RequestAnswered;
    POST "/v1/inbox/blocks" by "P; I, identity key" is handlers::block_sender
        refuses RequestAnswered;
    GET "/v1/inbox/senders" by "P; I, identity key" is handlers::senders;
}
