//! Which function serves each endpoint of [`protocol_spec::api`]. The server's routes and the description that it serves (API-13) are
//! made of both; the rest follows from the handler's signature.

use protocol_spec::api;

use super::{api::Api, handlers, leaves, sse};

macro_rules! routes {
    ($($endpoint:ident is $module:ident::$handler:ident;)*) => {
        /// All endpoints, each with what serves it.
        pub(super) fn api() -> Api {
            Api::new()$(.route(&api::$endpoint.row, (stringify!($handler), $module::$handler)))*
        }
    };
}

routes! {
    SERVER is handlers::server;
    OPENAPI is handlers::openapi;
    DIRECTORY_EVENTS is handlers::directory_events;
    DIRECTORY_ENTRIES is handlers::directory_entries;
    WITHDRAW_INSTITUTION is handlers::withdraw_institution;
    PUBLISH_PROGRAM is handlers::publish_program;
    LOG_CHECKPOINT is handlers::log_checkpoint;
    LOG_TILE is handlers::log_tile;
    LOG_CONSISTENCY is handlers::log_consistency;
    LOG_SALT is handlers::log_salt;
    ENROL_PATIENT is handlers::enrol_patient;
    ENROL_INSTITUTION is handlers::enrol_institution;
    ROTATE_INSTITUTION is handlers::rotate_institution;
    RETIRE_INSTITUTION is handlers::retire_institution;
    TERMINALS is handlers::terminals;
    ADD_TERMINAL is handlers::add_terminal;
    REMOVE_TERMINAL is handlers::remove_terminal;
    TERMINAL is handlers::terminal;
    PATIENT_INFO is handlers::patient_info;
    MEMBER_LIST is handlers::member_list;
    SUBMIT_UPLOAD_REQUEST is handlers::submit_upload_request;
    SUBMIT_DOWNLOAD_REQUEST is handlers::submit_download_request;
    SUBMIT_REFERENCE_REQUEST is handlers::submit_reference_request;
    REQUEST is handlers::request;
    SUBMIT_PERMISSION is handlers::submit_permission;
    SUBMIT_DENIAL is handlers::submit_denial;
    SUBMIT_REVOCATION is handlers::submit_revocation;
    DELIVER is handlers::deliver;
    PRESENT is handlers::present;
    COMMITTED_UPLOADS is handlers::committed_uploads;
    UPLOAD_STATUS is handlers::upload_status;
    RECEIVE_LEAVES is leaves::receive_leaves;
    COMMIT_UPLOAD is handlers::commit_upload;
    TAKE_BACK is handlers::take_back;
    RELEASE_LEAVES is leaves::release_leaves;
    RELEASED_RECORDS is handlers::released_records;
    CLOSE_RELEASE is handlers::close_release;
    VAULT_RECORDS is handlers::vault_records;
    ARRIVALS is handlers::arrivals;
    VAULT_RECORD is handlers::vault_record;
    INDEX is handlers::index;
    PUT_SEGMENT is handlers::put_segment;
    OWN_LEAVES is leaves::own_leaves;
    ADOPT is handlers::adopt;
    OPEN_RESEAL is handlers::open_reseal;
    COMMIT_RESEAL is handlers::commit_reseal;
    ACTS is handlers::acts;
    SUBMIT_HEAD is handlers::submit_head;
    COLLECTIONS is handlers::collections;
    PUT_COLLECTION is handlers::put_collection;
    WRAPS is handlers::wraps;
    PUT_WRAPS is handlers::put_wraps;
    CLOSE_EPOCH is handlers::close_epoch;
    DELETIONS is handlers::deletions;
    DELETE_RECORD is handlers::delete_record;
    DEVICE_LISTS is handlers::device_lists;
    CHANGE_DEVICES is handlers::change_devices;
    EMERGENCY is handlers::emergency;
    PUT_EMERGENCY is handlers::put_emergency;
    SUBMIT_OBJECTION is handlers::submit_objection;
    OPEN_EMERGENCY is handlers::open_emergency;
    ACCEPT_GUARDIANSHIP is handlers::accept_guardianship;
    START_HELP is handlers::start_help;
    EMERGENCY_INFO is handlers::emergency_info;
    OFFER_LINK is handlers::offer_link;
    LINK_STATE is handlers::link_state;
    ANSWER_LINK is handlers::answer_link;
    LINK_ANSWER is handlers::link_answer;
    OPEN_LINK is handlers::open_link;
    GIVEN_DELEGATIONS is handlers::given_delegations;
    PUT_DELEGATION is handlers::put_delegation;
    PUT_DELEGATED_KEYS is handlers::put_delegated_keys;
    END_DELEGATION is handlers::end_delegation;
    HELD_DELEGATIONS is handlers::held_delegations;
    OFFERED_DELEGATIONS is handlers::offered_delegations;
    ACCEPT_DELEGATION is handlers::accept_delegation;
    DELEGATED_KEYS is handlers::delegated_keys;
    DELEGATED_REQUESTS is handlers::delegated_requests;
    VAULT_PERMISSIONS is handlers::vault_permissions;
    PAST_RELEASES is handlers::past_releases;
    RELEASED_RANGES is handlers::released_ranges;
    HISTORY is handlers::history;
    INBOX is handlers::inbox;
    INBOX_STREAM is sse::inbox_stream;
    DELETE_UNANSWERED is handlers::delete_unanswered;
    BLOCK_SENDER is handlers::block_sender;
    SENDERS is handlers::senders;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::Content;

    /// Every endpoint of the specification is served once, and takes and answers what is said of it there.
    #[test]
    fn every_endpoint_is_served_as_it_is_specified() {
        let (_, endpoints) = api().into_parts();
        let served: Vec<_> = endpoints.iter().map(|endpoint| endpoint.row.name).collect();
        let specified: Vec<_> = api::ALL.iter().map(|row| row.name).collect();
        assert_eq!(served, specified);
        let name = |content: &Content| match content {
            Content::Message { name, .. } => Some(*name),
            _ => None,
        };
        for endpoint in &endpoints {
            let message = |said: &'static str| said.strip_prefix("pb::");
            let body = endpoint.body.as_ref().and_then(name);
            assert_eq!(body, message(endpoint.row.body), "{}", endpoint.row.name);
            assert_eq!(
                name(&endpoint.answer),
                message(endpoint.row.answer),
                "{}",
                endpoint.row.name
            );
        }
    }
}
