//! All that principals submit, by the names of its endpoints. What answers nothing of its own answers `Accepted`.

use protocol_spec::{
    ids::{LinkId, VersionId},
    messages as pb,
};

use super::{
    Caller, Intent, Refusal, Vault,
    acts::SubmitHead,
    closure::CloseEpoch,
    collections::PutCollection,
    delegations::{EndDelegation, PutDelegation, PutKeys},
    deletion::DeleteRecord,
    denial::{SubmitDenial, SubmitNote},
    devices::ChangeDevices,
    emergency::{AcceptGuardianship, Object, PutEmergency, StartHelp},
    held::AcceptDelegation,
    index::PutSegment,
    links::{AnswerLink, Offer, OpenLink},
    permissions::SubmitPermission,
    placement::Place,
    requests::{SubmitDownload, SubmitReference, SubmitUpload},
    reseal::OpenReseal,
    revocation::SubmitRevocation,
    rewrap::PutWraps,
    rotation::{Retire, Rotate},
    take_back::Take,
    terminals::{AddTerminal, RemoveTerminal},
    unanswered::{Block, DeleteUnanswered},
};

macro_rules! submissions {
    ($($name:ident $(($id:ident: $of:ty))?: $submission:ty, $message:ident $(-> $answer:ident)?;)*) => {
        impl Vault {$(
            #[allow(missing_docs, reason = "the table of endpoints says it")]
            pub async fn $name(
                &self,
                caller: &Caller,
                intent: &Intent,
                $($id: $of,)?
                message: pb::$message,
            ) -> Result<submissions!(@answer $($answer)?), Refusal> {
                let submitted = self.shared.submit::<$submission>(caller, intent, submissions!(@wire $($id,)? message));
                submissions!(@answered submitted.await, $($answer)?)
            }
        )*}
    };
    (@wire $id:ident, $message:ident) => { ($id, $message) };
    (@wire $message:ident) => { $message };
    (@answer $answer:ident) => { pb::$answer };
    (@answer) => { pb::Accepted };
    (@answered $submitted:expr, $answer:ident) => { $submitted };
    (@answered $submitted:expr,) => { $submitted.map(|()| pb::Accepted {}) };
}

submissions! {
    submit_upload_request: SubmitUpload, SubmitUploadRequest;
    submit_download_request: SubmitDownload, SubmitDownloadRequest;
    submit_reference_request: SubmitReference, SubmitReferenceRequest;
    submit_permission: SubmitPermission, SubmitPermission -> PermissionAnswer;
    submit_denial: SubmitDenial, SubmitDenial;
    submit_note: SubmitNote, SubmitNote;
    submit_revocation: SubmitRevocation, SubmitRevocation -> RevocationAnswer;
    delete_unanswered: DeleteUnanswered, DeleteUnanswered;
    block_sender: Block, BlockSender;
    submit_head: SubmitHead, SubmitVaultHead -> LoggedStatement;
    put_collection: PutCollection, PutCollection;
    put_wraps: PutWraps, PutWraps;
    close_epoch: CloseEpoch, CloseEpoch -> LoggedStatement;
    adopt(version: VersionId): Place, AdoptRecord;
    put_segment: PutSegment, SignedSegment;
    delete_record: DeleteRecord, DeleteRecord -> LoggedStatement;
    take_back: Take, TakeBackUpload -> Receipt;
    open_reseal: OpenReseal, OpenReseal -> ResealOpened;
    change_devices: ChangeDevices, ChangeDevices;
    offer(link: LinkId): Offer, LinkOffer;
    answer_link(link: LinkId): AnswerLink, LinkAnswer;
    open_link(link: LinkId): OpenLink, LinkOpening;
    put_delegation: PutDelegation, PutDelegation;
    put_delegated_keys: PutKeys, PutDelegatedKeys;
    end_delegation: EndDelegation, EndDelegation;
    accept_delegation: AcceptDelegation, AcceptDelegation;
    put_emergency: PutEmergency, PutEmergency;
    accept_guardianship: AcceptGuardianship, AcceptGuardianship;
    start_help: StartHelp, StartHelp -> HelpStarted;
    submit_objection: Object, SubmitObjection;
    rotate_institution: Rotate, RotateInstitution;
    retire_institution: Retire, RetireInstitution;
    add_terminal: AddTerminal, AddTerminal;
    remove_terminal: RemoveTerminal, RemoveTerminal;
}
