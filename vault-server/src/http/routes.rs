//! How each endpoint of [`protocol_spec::api`] is served: by a function of its own, or by a generic handler with the call of the vault
//! that answers it. The server's routes and the description that it serves (API-13) are made of both.

use protocol_spec::{api, collection::Collection};

use super::{
    api::Api,
    leaves,
    most::*,
    odd,
    query::{Id, Ids},
    sse,
};

macro_rules! routes {
    ($($kind:ident $endpoint:ident $(up to $most:ident)? $(by $($handler:ident)::+)? $(is $submitted:ident)? $(: |$($argument:pat_param),*| $call:expr)?;)*) => {
        /// All endpoints, each with what serves it.
        pub(super) fn api() -> Api {
            Api::new()$(.$kind(
                &api::$endpoint
                $(, $most)?
                $(, $($handler)::+)?
                $(, |vault, caller, intent, (), message| Box::pin(vault.$submitted(caller, intent, message)))?
                $(, |$($argument),*| Box::pin($call))?
            ))*
        }
    };
}

routes! {
    odd SERVER by odd::server;
    odd OPENAPI by odd::openapi;
    public DIRECTORY_EVENTS up to enrolled_page: |vault, (), asked|
        vault.directory_events(asked.after.unwrap_or_default(), asked.limit.unwrap_or_default(), asked.witnessed.unwrap_or_default());
    public DIRECTORY_ENTRIES up to enrolled_page: |vault, Id(institution), page|
        vault.directory_entries(institution, page.after, page.most());
    brought WITHDRAW_INSTITUTION: |vault, message| vault.withdraw_institution(message);
    brought PUBLISH_PROGRAM: |vault, message| vault.publish_program(message);
    odd LOG_CHECKPOINT by odd::log_checkpoint;
    odd LOG_TILE by odd::log_tile;
    public LOG_CONSISTENCY up to short: |vault, (), asked| vault.log_consistency(asked.first, asked.second);
    reading LOG_SALT up to short: |vault, caller, (), ()| vault.log_salt(caller);
    odd ENROL_PATIENT by odd::enrol_patient;
    odd ENROL_INSTITUTION by odd::enrol_institution;
    submission ROTATE_INSTITUTION is rotate_institution;
    submission RETIRE_INSTITUTION is retire_institution;
    reading TERMINALS up to enrolled_page: |vault, caller, (), page| vault.terminals(caller, page.after, page.most());
    submission ADD_TERMINAL is add_terminal;
    submission REMOVE_TERMINAL is remove_terminal;
    reading TERMINAL up to enrolled: |vault, caller, (), ()| vault.terminal(caller);
    reading PATIENT_INFO up to enrolled: |vault, caller, Id(patient), ()| vault.patient_info(caller, patient);
    reading MEMBER_LIST up to enrolled: |vault, caller, Ids(patient, member), ()|
        vault.member_list(caller, patient, member);
    submission SUBMIT_UPLOAD_REQUEST is submit_upload_request;
    submission SUBMIT_DOWNLOAD_REQUEST is submit_download_request;
    submission SUBMIT_REFERENCE_REQUEST is submit_reference_request;
    reading REQUEST up to two_messages: |vault, caller, Id(request), ()| vault.request(caller, request);
    submission SUBMIT_PERMISSION is submit_permission;
    submission SUBMIT_DENIAL is submit_denial;
    submission SUBMIT_NOTE is submit_note;
    submission SUBMIT_REVOCATION is submit_revocation;
    reading DELIVER up to two_messages: |vault, caller, Id(permission), ()| vault.deliver(caller, permission);
    odd PRESENT by odd::present;
    reading COMMITTED_UPLOADS up to enrolled_page: |vault, caller, Id(permission), page|
        vault.committed_uploads(caller, permission, page.after, page.most());
    reading UPLOAD_STATUS up to two_messages: |vault, caller, Id(upload), ()| vault.upload_status(caller, upload);
    odd RECEIVE_LEAVES by leaves::receive_leaves;
    submission COMMIT_UPLOAD: |vault, caller, intent, Id(upload), message|
        vault.commit_upload(caller, intent, upload, message);
    submission TAKE_BACK is take_back;
    odd RELEASE_LEAVES by leaves::release_leaves;
    odd RELEASED_RECORDS by odd::released_records;
    submission CLOSE_RELEASE: |vault, caller, intent, Id(release), _| vault.close_release(caller, intent, release);
    odd VAULT_RECORDS by odd::vault_records;
    odd ARRIVALS by odd::arrivals;
    odd VAULT_RECORD by odd::vault_record;
    reading INDEX up to page: |vault, caller, (), asked| vault.index(caller, asked.after.unwrap_or_default(), asked.most());
    submission PUT_SEGMENT is put_segment;
    odd OWN_LEAVES by leaves::own_leaves;
    submission ADOPT: |vault, caller, intent, Id(version), message| vault.adopt(caller, intent, version, message);
    submission OPEN_RESEAL is open_reseal;
    submission COMMIT_RESEAL: |vault, caller, intent, Id(upload), message|
        vault.commit_reseal(caller, intent, upload, message);
    reading ACTS up to acts: |vault, caller, (), asked| vault.acts(caller, asked.after.unwrap_or_default(), acts_limit(&asked));
    submission SUBMIT_HEAD is submit_head;
    measured COLLECTIONS: |vault, caller, asked| odd::collections(vault, caller, asked);
    submission PUT_COLLECTION is put_collection;
    reading WRAPS up to wraps: |vault, caller, (), asked| vault.wraps(
        caller,
        Collection { id: asked.collection, epoch: asked.epoch },
        asked.after.unwrap_or_default(),
        wraps_limit(&asked),
    );
    submission PUT_WRAPS is put_wraps;
    submission CLOSE_EPOCH is close_epoch;
    reading DELETIONS up to page: |vault, caller, (), page| vault.deletions(caller, page.after, page.most());
    submission DELETE_RECORD is delete_record;
    measured DEVICE_LISTS: |vault, caller, page| vault.device_lists(caller, page.after, page.most());
    submission CHANGE_DEVICES is change_devices;
    measured EMERGENCY: |vault, caller, ()| vault.emergency(caller);
    submission PUT_EMERGENCY is put_emergency;
    submission SUBMIT_OBJECTION is submit_objection;
    submission OPEN_EMERGENCY is open_emergency;
    submission ACCEPT_GUARDIANSHIP is accept_guardianship;
    submission START_HELP is start_help;
    reading EMERGENCY_INFO up to two_messages: |vault, caller, Id(patient), ()| vault.emergency_info(caller, patient);
    odd OFFER_LINK by odd::offer_link;
    reading LINK_STATE up to enrolled: |vault, caller, Id(link), ()| vault.link_state(caller, link);
    submission ANSWER_LINK: |vault, caller, intent, Id(link), message| vault.answer_link(caller, intent, link, message);
    public LINK_ANSWER up to short: |vault, Id(link), ()| vault.link_answer(link);
    odd OPEN_LINK by odd::open_link;
    reading GIVEN_DELEGATIONS up to message_page: |vault, caller, (), page| vault.given_delegations(caller, page.after, page.most());
    submission PUT_DELEGATION is put_delegation;
    submission PUT_DELEGATED_KEYS is put_delegated_keys;
    submission END_DELEGATION is end_delegation;
    reading HELD_DELEGATIONS up to message_page: |vault, caller, (), page| vault.held_delegations(caller, page.after, page.most());
    reading OFFERED_DELEGATIONS up to message_page: |vault, caller, (), page| vault.offered_delegations(caller, page.after, page.most());
    submission ACCEPT_DELEGATION is accept_delegation;
    reading DELEGATED_KEYS up to delegated_keys: |vault, caller, (), asked| vault.delegated_keys(
        caller,
        Collection { id: asked.collection, epoch: asked.from.unwrap_or_default() },
        keys_limit(&asked),
    );
    reading DELEGATED_REQUESTS up to message_page: |vault, caller, (), page| vault.delegated_requests(caller, page.after, page.most());
    reading VAULT_PERMISSIONS up to message_page: |vault, caller, (), page| vault.vault_permissions(caller, page.after, page.most());
    reading PAST_RELEASES up to page: |vault, caller, Id(permission), page|
        vault.past_releases(caller, permission, page.after, page.most());
    reading RELEASED_RANGES up to ranges: |vault, caller, Id(release), page|
        vault.released_ranges(caller, release, page.after, ranges_limit(&page));
    reading HISTORY up to page: |vault, caller, (), asked| vault.history(caller, asked.after.unwrap_or_default(), asked.most());
    reading INBOX up to message_page: |vault, caller, (), asked| vault.inbox(caller, asked.after.unwrap_or_default(), asked.most());
    odd INBOX_STREAM by sse::inbox_stream;
    submission DELETE_UNANSWERED is delete_unanswered;
    submission BLOCK_SENDER is block_sender;
    reading SENDERS up to short_page: |vault, caller, (), page|
        vault.senders(caller, page.after.map(|sender| *sender.as_bytes()), page.most());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::ContentForm;

    /// Every endpoint of the specification is served once, and takes and answers what is said of it there.
    #[test]
    fn every_endpoint_is_served_as_it_is_specified() {
        let (_, endpoints) = api().into_parts();
        let served: Vec<_> = endpoints.iter().map(|endpoint| endpoint.row.name).collect();
        let specified: Vec<_> = api::ALL.iter().map(|row| row.name).collect();
        assert_eq!(served, specified);
        let name = |content: &ContentForm| match content {
            ContentForm::Message { name, .. } => Some(*name),
            _ => None,
        };
        for endpoint in &endpoints {
            assert_eq!(endpoint.query, (endpoint.row.query)(), "{}", endpoint.row.name);
            let ids = endpoint.row.path.matches('{').count();
            assert_eq!(endpoint.ids.len(), ids, "{}", endpoint.row.name);
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
