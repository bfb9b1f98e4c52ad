//! How each endpoint of [`protocol_spec::api`] is served: by a function of its own, or by a generic handler with the call of the vault
//! that answers it. The server's routes and the description that it serves (API-13) are made of both.

use protocol_spec::{api, collection::Collection};

use crate::{
    http::{
        api::Api,
        leaves,
        most::*,
        odd,
        query::{Id, Ids},
        sse,
    },
    vault::{
        ask::{delivery, denial, permissions, requests, revocation, unanswered},
        core::submission::submit,
        delegation::{delegated, delegations, held},
        device::{devices, links},
        emergency::{self, guardianship, help, opening},
        keep::{closure, collections, deletion, index, placement, reseal, rewrap},
        telling::{acts, heads, history, inbox},
        transfer::{commit, release_end, take_back, upload},
        who::{directory, programs, rotation, strangers, terminals, withdrawal},
    },
};

macro_rules! routes {
    ($($kind:ident $endpoint:ident $(up to $most:ident)? $(by $($handler:ident)::+)? $(is $submitted:ty)? $(: |$($argument:pat_param),*| $call:expr)?;)*) => {
        /// All endpoints, each with what serves it.
        pub(super) fn api() -> Api {
            Api::new()$(.$kind(
                &api::$endpoint
                $(, $most)?
                $(, $($handler)::+)?
                $(, |vault, caller, intent, (), message| Box::pin(submit::<$submitted>(vault, caller, intent, message)))?
                $(, |$($argument),*| Box::pin($call))?
            ))*
        }
    };
}

routes! {
    odd SERVER by odd::server;
    odd OPENAPI by odd::openapi;
    public DIRECTORY_EVENTS up to enrolled_page: |vault, (), asked|
        directory::directory_events(vault, asked.after.unwrap_or_default(), asked.limit.unwrap_or_default(), asked.witnessed.unwrap_or_default());
    public DIRECTORY_ENTRIES up to enrolled_page: |vault, Id(institution), page|
        directory::directory_entries(vault, institution, page.after, page.most());
    brought WITHDRAW_INSTITUTION: |vault, message| withdrawal::withdraw_institution(vault, message);
    brought PUBLISH_PROGRAM: |vault, message| programs::publish_program(vault, message);
    odd LOG_CHECKPOINT by odd::log_checkpoint;
    odd LOG_TILE by odd::log_tile;
    public LOG_CONSISTENCY up to short: |vault, (), asked| vault.log_consistency(asked.first, asked.second);
    reading LOG_SALT up to short: |vault, caller, (), ()| vault.log_salt(caller);
    odd ENROL_PATIENT by odd::enrol_patient;
    odd ENROL_INSTITUTION by odd::enrol_institution;
    submission ROTATE_INSTITUTION is rotation::Rotate;
    submission RETIRE_INSTITUTION is rotation::Retire;
    reading TERMINALS up to enrolled_page: |vault, caller, (), page| terminals::terminals(vault, caller, page.after, page.most());
    submission ADD_TERMINAL is terminals::AddTerminal;
    submission REMOVE_TERMINAL is terminals::RemoveTerminal;
    reading TERMINAL up to enrolled: |vault, caller, (), ()| terminals::terminal(vault, caller);
    reading PATIENT_INFO up to enrolled: |vault, caller, Id(patient), ()| strangers::patient_info(vault, caller, patient);
    reading MEMBER_LIST up to enrolled: |vault, caller, Ids(patient, member), ()|
        strangers::member_list(vault, caller, patient, member);
    submission SUBMIT_UPLOAD_REQUEST is requests::SubmitUpload;
    submission SUBMIT_DOWNLOAD_REQUEST is requests::SubmitDownload;
    submission SUBMIT_REFERENCE_REQUEST is requests::SubmitReference;
    reading REQUEST up to two_messages: |vault, caller, Id(request), ()| requests::request(vault, caller, request);
    submission SUBMIT_PERMISSION is permissions::SubmitPermission;
    submission SUBMIT_DENIAL is denial::SubmitDenial;
    submission SUBMIT_NOTE is denial::SubmitNote;
    submission SUBMIT_REVOCATION is revocation::SubmitRevocation;
    reading DELIVER up to two_messages: |vault, caller, Id(permission), ()| delivery::deliver(vault, caller, permission);
    odd PRESENT by odd::present;
    reading COMMITTED_UPLOADS up to enrolled_page: |vault, caller, Id(permission), page|
        upload::committed_uploads(vault, caller, permission, page.after, page.most());
    reading UPLOAD_STATUS up to two_messages: |vault, caller, Id(upload), ()| upload::upload_status(vault, caller, upload);
    odd RECEIVE_LEAVES by leaves::receive_leaves;
    submission COMMIT_UPLOAD: |vault, caller, intent, Id(upload), message|
        commit::commit_upload(vault, caller, intent, upload, message);
    submission TAKE_BACK is take_back::Take;
    odd RELEASE_LEAVES by leaves::release_leaves;
    odd RELEASED_RECORDS by odd::released_records;
    submission CLOSE_RELEASE: |vault, caller, intent, Id(release), _| release_end::close_release(vault, caller, intent, release);
    odd VAULT_RECORDS by odd::vault_records;
    odd ARRIVALS by odd::arrivals;
    odd VAULT_RECORD by odd::vault_record;
    reading INDEX up to page: |vault, caller, (), asked| index::index(vault, caller, asked.after.unwrap_or_default(), asked.most());
    submission PUT_SEGMENT is index::PutSegment;
    odd OWN_LEAVES by leaves::own_leaves;
    submission ADOPT: |vault, caller, intent, Id(version), message| submit::<placement::Place>(vault, caller, intent, (version, message));
    submission OPEN_RESEAL is reseal::OpenReseal;
    submission COMMIT_RESEAL: |vault, caller, intent, Id(upload), message|
        reseal::commit_reseal(vault, caller, intent, upload, message);
    reading ACTS up to acts: |vault, caller, (), asked| acts::acts(vault, caller, asked.after.unwrap_or_default(), acts_limit(&asked));
    submission SUBMIT_HEAD is heads::SubmitHead;
    measured COLLECTIONS: |vault, caller, asked| odd::collections(vault, caller, asked);
    submission PUT_COLLECTION is collections::PutCollection;
    reading WRAPS up to wraps: |vault, caller, (), asked| rewrap::wraps(vault,
        caller,
        Collection { id: asked.collection, epoch: asked.epoch },
        asked.after.unwrap_or_default(),
        wraps_limit(&asked),
    );
    submission PUT_WRAPS is rewrap::PutWraps;
    submission CLOSE_EPOCH is closure::CloseEpoch;
    reading DELETIONS up to page: |vault, caller, (), page| deletion::deletions(vault, caller, page.after, page.most());
    submission DELETE_RECORD is deletion::DeleteRecord;
    measured DEVICE_LISTS: |vault, caller, page| devices::device_lists(vault, caller, page.after, page.most());
    submission CHANGE_DEVICES is devices::ChangeDevices;
    measured EMERGENCY: |vault, caller, ()| emergency::emergency(vault, caller);
    submission PUT_EMERGENCY is emergency::PutEmergency;
    submission SUBMIT_OBJECTION is help::Object;
    submission OPEN_EMERGENCY: |vault, caller, intent, (), message|
        opening::open_emergency(vault, caller, intent, message);
    submission ACCEPT_GUARDIANSHIP is guardianship::AcceptGuardianship;
    submission START_HELP is help::StartHelp;
    reading EMERGENCY_INFO up to two_messages: |vault, caller, Id(patient), ()| emergency::emergency_info(vault, caller, patient);
    odd OFFER_LINK by odd::offer_link;
    reading LINK_STATE up to enrolled: |vault, caller, Id(link), ()| links::link_state(vault, caller, link);
    submission ANSWER_LINK: |vault, caller, intent, Id(link), message| submit::<links::AnswerLink>(vault, caller, intent, (link, message));
    public LINK_ANSWER up to short: |vault, Id(link), ()| links::link_answer(vault, link);
    odd OPEN_LINK by odd::open_link;
    reading GIVEN_DELEGATIONS up to message_page: |vault, caller, (), page| delegations::given_delegations(vault, caller, page.after, page.most());
    submission PUT_DELEGATION is delegations::PutDelegation;
    submission PUT_DELEGATED_KEYS is delegations::PutKeys;
    submission END_DELEGATION is delegations::EndDelegation;
    reading HELD_DELEGATIONS up to message_page: |vault, caller, (), page| held::held_delegations(vault, caller, page.after, page.most());
    reading OFFERED_DELEGATIONS up to message_page: |vault, caller, (), page| held::offered_delegations(vault, caller, page.after, page.most());
    submission ACCEPT_DELEGATION is held::AcceptDelegation;
    reading DELEGATED_KEYS up to delegated_keys: |vault, caller, (), asked| delegated::delegated_keys(vault,
        caller,
        Collection { id: asked.collection, epoch: asked.from.unwrap_or_default() },
        keys_limit(&asked),
    );
    reading DELEGATED_REQUESTS up to message_page: |vault, caller, (), page| delegated::delegated_requests(vault, caller, page.after, page.most());
    reading VAULT_PERMISSIONS up to message_page: |vault, caller, (), page| permissions::vault_permissions(vault, caller, page.after, page.most());
    reading PAST_RELEASES up to page: |vault, caller, Id(permission), page|
        revocation::past_releases(vault, caller, permission, page.after, page.most());
    reading RELEASED_RANGES up to ranges: |vault, caller, Id(release), page|
        release_end::released_ranges(vault, caller, release, page.after, ranges_limit(&page));
    reading HISTORY up to page: |vault, caller, (), asked| history::history(vault, caller, asked.after.unwrap_or_default(), asked.most());
    reading INBOX up to message_page: |vault, caller, (), asked| inbox::inbox(vault, caller, asked.after.unwrap_or_default(), asked.most());
    odd INBOX_STREAM by sse::inbox_stream;
    submission DELETE_UNANSWERED is unanswered::DeleteUnanswered;
    submission BLOCK_SENDER is unanswered::Block;
    reading SENDERS up to short_page: |vault, caller, (), page|
        unanswered::senders(vault, caller, page.after.map(|sender| *sender.as_bytes()), page.most());
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
