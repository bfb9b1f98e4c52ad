//! What a patient can do about who may send to her vault, read in it, and act in it.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use crate::{
    DirectoryEntry, Patient, PermissionInfo, Progress, Result,
    patient::{
        certificate::RevocationReport,
        coverage::{self, Coverage},
        delegation::{
            self, Delegate, DelegationInfo, EndedDelegation, giving::DelegationTerms, offers::HeldDelegation,
        },
        emergency::{self, EmergencyCard, EmergencyLimits, GuardianInfo, HelpInfo, MadeCard},
        following::{self, Rewrapped},
        permissions, requests, revoking,
        terms::{InCollection, OpenRequest, PermitTerms, Selection, UploadTerms},
        unanswered::{self, SenderId, SenderInfo, Unanswered},
    },
    senders,
};
use protocol_spec::{
    conditions::Conditions,
    ids::{CollectionId, DelegationId, PatientId, PermissionId, RequestId},
};
use std::time::Duration;
use zeroize::Zeroizing;

impl Patient {
    /// Blocks a sender, whose unanswered things are deleted; or takes that back. It is told what anybody is told of
    /// whom she has enough (ACC-9).
    /// Errors: `not-permitted` where nobody has this id.
    pub async fn block(&self, sender: SenderId, blocked: bool) -> Result<()> {
        senders::block(&self.vault.session.server, sender, blocked).await
    }

    /// With whom she deals, of whom something is unanswered, whom she has blocked.
    pub async fn senders(&self) -> Result<Vec<SenderInfo>> {
        senders::senders(&self.vault.session.server).await
    }

    /// Wraps anew what is live and lies under an entry that is not its institution's present one. The present one is
    /// believed along the chain alone (INS-4, INS-6), and nothing for whoever has it by the word of a removed device (DEV-21). One that is used meanwhile is left for the next time.
    /// Errors: [`crate::Error::Tampered`] for a chain that does not hold; of the connection; what the server refuses.
    pub async fn follow_rotations(&self) -> Result<Vec<Rewrapped>> {
        following::follow_rotations(&self.vault).await
    }

    /// Revokes a permission, or the one that has taken its place: what starts after the server's acknowledgement gets
    /// nothing, what runs stops at the next leaf. A permission over a collection has handed out the collection's key, so the collection then gets a new
    /// one, and whatever lies under the old key at the server is destroyed. A revocation that was broken off is
    /// taken up again. `progress` counts records. The report says what cannot be taken back.
    ///
    /// The revocation is sent whatever else the server shows (REV-11).
    /// Errors: [`crate::Error::Unknown`]; what the server refuses. [`crate::Error::RevokedOnly`] when the server has
    /// signed that nothing is released any more, and the rest was not done.
    pub async fn revoke(
        &self,
        permission: PermissionId,
        progress: &dyn Progress,
    ) -> Result<RevocationReport> {
        revoking::revoke(&self.vault, permission, progress).await
    }

    /// As [`Self::revoke`], and then seals anew what the permission exposed and was never handed out, so that its old data
    /// keys open nothing: the records travel to this device and back, which `bytes` counts.
    /// Errors: those of [`Self::revoke`], and those of the transfer; what was sealed anew until then stays so.
    pub async fn revoke_and_reseal(
        &self,
        permission: PermissionId,
        progress: &dyn Progress,
        bytes: &dyn Progress,
    ) -> Result<RevocationReport> {
        revoking::revoke_and_reseal(&self.vault, permission, progress, bytes).await
    }

    /// Takes up what earlier revocations, and removals of devices, have left to do. What another process or device is just
    /// doing they do together. Errors: as [`Self::revoke`].
    pub async fn finish_revocations(&self, progress: &dyn Progress) -> Result<()> {
        revoking::finish_revocations(&self.vault, progress).await
    }

    /// How many of these records fit the conditions.
    pub async fn coverage(&self, of: &Selection, conditions: &Conditions) -> Result<Coverage> {
        coverage::coverage(&self.vault, of, conditions).await
    }

    /// How many of the records that lie in a collection now fit the conditions.
    pub async fn coverage_in(&self, of: CollectionId, conditions: &Conditions) -> Result<Coverage> {
        coverage::coverage_in(&self.vault, of, conditions).await
    }

    /// Asks an institution to upload, and gives it the permission key to do so.
    /// Errors: what the server refuses; [`crate::Error::Crypto`] for a text that is too long.
    pub async fn request_upload(
        &self,
        to: &DirectoryEntry,
        text: &str,
        terms: &UploadTerms,
    ) -> Result<(RequestId, PermissionId)> {
        requests::request_upload(&self.vault, to, text, terms).await
    }

    /// A download or reference request to her, verified: who asks, and who would receive.
    /// Errors: [`crate::Error::Tampered`] for a request that does not verify; what the server refuses.
    pub async fn request(&self, request: RequestId) -> Result<OpenRequest> {
        requests::request(&self.vault, request).await
    }

    /// Permits a download or reference request. For a reference the receiver is looked up in her own verified
    /// directory, never taken from the referral's word (FLW-4).
    /// Errors: [`crate::Error::Unknown`] for a record that is not hers; [`crate::Error::Tampered`] for a request or a
    /// record that does not verify; what the server refuses.
    pub async fn permit(
        &self,
        request: RequestId,
        records: &Selection,
        terms: &PermitTerms,
    ) -> Result<PermissionId> {
        requests::permit(&self.vault, request, records, terms).await
    }

    /// Permits a download or reference request over a collection: one wrap, however many records lie in it, and what
    /// is placed there later too, unless it is to be for those of now alone (COL-6). Errors: as [`Self::permit`].
    pub async fn permit_collection(
        &self,
        request: RequestId,
        of: InCollection,
        terms: &PermitTerms,
    ) -> Result<PermissionId> {
        requests::permit_collection(&self.vault, request, of, terms).await
    }

    /// Denies a download or reference request; `text` tells the institution why. Errors: as [`Self::permit`].
    pub async fn deny(&self, request: RequestId, text: &str) -> Result<()> {
        requests::deny(&self.vault, request, text).await
    }

    /// Tells an institution something about a permission that it has of her: at most
    /// [`protocol_spec::bodies::Note::MAX_TEXT`] characters, sealed to it (NOTE-3).
    /// Errors: [`crate::Error::Usage`], [`crate::Error::Unknown`]; what the server refuses.
    pub async fn note(&self, permission: PermissionId, text: &str) -> Result<()> {
        requests::note(&self.vault, permission, text).await
    }

    /// Has something deleted that she has not answered; refuses, or gives up, to be somebody's delegate or guardian (ACC-9).
    /// Errors: what the server refuses: `not-permitted` for what is not there, `request-answered`.
    pub async fn delete_unanswered(&self, what: Unanswered) -> Result<()> {
        unanswered::delete_unanswered(&self.vault, what).await
    }

    /// Sends a revocation again that was taken by a server whose vault did not verify, or that a witness contradicted, if there are
    /// any. Gives those that were sent.
    /// Errors: of the connection; of a vault that does not verify: they are kept then.
    pub async fn resend_revocations(&self) -> Result<Vec<PermissionId>> {
        revoking::resend_revocations(&self.vault).await
    }

    /// All her permissions; each was checked to be hers.
    /// Errors: [`crate::Error::Tampered`] when one is not.
    pub async fn permissions(&self) -> Result<Vec<PermissionInfo>> {
        permissions::permissions(&self.vault).await
    }

    /// Names a guardian: another patient, who can help without the card after this waiting time. Her half is sealed to
    /// the vault key of her newest list of devices (EMG-10).
    /// Errors: [`crate::Error::Unknown`] for a patient whom the server does not know;
    /// [`crate::Error::Usage`] for herself and for waiting times that are none; what the server refuses,
    /// `already-exists` for one who is a guardian already.
    pub async fn add_guardian(
        &self,
        guardian: PatientId,
        wait: Duration,
        limits: &EmergencyLimits,
    ) -> Result<PermissionId> {
        emergency::guardians::add_guardian(&self.vault, guardian, wait, limits).await
    }

    /// A guardian can help no more; what her half could open is brought under a new key. `progress` counts records.
    /// Errors: [`crate::Error::Unknown`] for one who is no guardian; what the server refuses.
    pub async fn remove_guardian(
        &self,
        guardian: PatientId,
        progress: &dyn Progress,
    ) -> Result<RevocationReport> {
        emergency::guardians::remove_guardian(&self.vault, guardian, progress).await
    }

    /// Her guardians, with what they have begun.
    /// Errors: [`crate::Error::Tampered`] for what is not hers.
    pub async fn guardians(&self) -> Result<Vec<GuardianInfo>> {
        emergency::guardians::guardians(&self.vault).await
    }

    /// Objects to a guardian's help: nothing is opened by it, nor by this guardian again (EMG-13).
    /// Errors: `not-permitted` for an id that is none; `emergency-over` when the waiting time is over.
    pub async fn object(&self, help: RequestId) -> Result<()> {
        emergency::guardians::object(&self.vault, help).await
    }

    /// Accepts to be another patient's guardian, once the half that she has given opens (ACC-10).
    /// Errors: [`crate::Error::Unknown`] where nobody has asked; [`crate::Error::Tampered`] for a
    /// half that is not hers.
    pub async fn accept_guardianship(&self, patient: PatientId) -> Result<()> {
        emergency::guardians::accept_guardianship(&self.vault, patient).await
    }

    /// As a guardian: begins to help, and hands the half to an institution that is accredited for emergencies. Gives
    /// when the patient can object no more.
    /// Errors: [`crate::Error::Unknown`] where this is no guardian; `not-for-emergencies`, before anything is sealed
    /// (EMG-6); what the server refuses.
    pub async fn help(&self, patient: PatientId, to: &DirectoryEntry) -> Result<HelpInfo> {
        emergency::guardians::help(&self.vault, patient, to).await
    }

    /// The card as a PDF of one page. It holds the code.
    /// Errors: those of reading the home.
    pub fn card_sheet(&self, card: &EmergencyCard) -> Result<Zeroizing<Vec<u8>>> {
        emergency::card::card_sheet(&self.vault, card)
    }

    /// From now on this card opens the emergency collection, and so does the one before it, which is then
    /// to be closed (EMG-14). If there were two before, because that was broken off, the older one is
    /// closed first; `progress` counts records.
    /// Errors: of the connection, and what the server refuses. The card before this one is then as good as ever.
    pub async fn use_card(
        &self,
        card: &EmergencyCard,
        limits: &EmergencyLimits,
        progress: &dyn Progress,
    ) -> Result<MadeCard> {
        emergency::card::use_card(&self.vault, card, limits, progress).await
    }

    /// The cards before one that is in force open nothing any more, and what they could open is brought under a new
    /// key; `progress` counts records (EMG-14).
    /// Errors: as [`Patient::revoke`]: which of them is not closed can be revoked.
    pub async fn close_cards_before(&self, made: &MadeCard, progress: &dyn Progress) -> Result<()> {
        emergency::card::close_cards_before(&self.vault, made, progress).await
    }

    /// What others let her do, also what is over.
    /// Errors: [`crate::Error::Tampered`] for one that is not for her.
    pub async fn held_delegations(&self) -> Result<Vec<HeldDelegation>> {
        delegation::acting::held_delegations(&self.vault).await
    }

    /// Acts for another patient by the delegation of hers that allows most, and holds longest.
    /// Errors: [`crate::Error::Usage`] when she has given none; [`crate::Error::Refused`] when none holds now.
    pub async fn acting_for(&self, owner: PatientId) -> Result<Delegate<'_>> {
        delegation::acting::acting_for(&self.vault, owner).await
    }

    /// Lets another patient of the server act in her vault, and gives her the keys for it.
    /// Errors: [`crate::Error::Unknown`] for a patient or collection that is not there, [`crate::Error::Usage`]
    /// for terms that make no sense, [`crate::Error::Tampered`] when the delegate's vault key does not verify:
    /// then no key is given.
    pub async fn delegate(&self, to: PatientId, terms: &DelegationTerms) -> Result<DelegationInfo> {
        delegation::giving::delegate(&self.vault, to, terms).await
    }

    /// Delegations that she was offered and has not answered.
    /// Errors: [`crate::Error::Tampered`] for one that is not for her.
    pub async fn offered_delegations(&self) -> Result<Vec<HeldDelegation>> {
        delegation::offers::offered_delegations(&self.vault).await
    }

    /// Accepts a delegation that she was offered: from now on she may act (ACC-10).
    /// Errors: [`crate::Error::Unknown`] for one that she was not offered, [`crate::Error::Tampered`] for one
    /// that is not for her.
    pub async fn accept_delegation(&self, id: DelegationId) -> Result<HeldDelegation> {
        delegation::offers::accept_delegation(&self.vault, id).await
    }

    /// Ends a delegation: from the acknowledgement on the delegate can ask nothing more, and what is
    /// added later lies under keys that she does not have. If it is interrupted, call it again to resume,
    /// or [`Self::tend_delegations`]. `progress` counts records.
    /// Errors: [`crate::Error::Unknown`]; once the first error but this could come, the delegate
    /// can do nothing any more.
    pub async fn end_delegation(&self, id: DelegationId, progress: &dyn Progress) -> Result<EndedDelegation> {
        delegation::ending::end_delegation(&self.vault, id, progress).await
    }

    /// Does what time and other devices have left to do: delegations that are over are ended and their keys taken out
    /// of use; those that hold get the keys of newer epochs. Gives the delegations that it has ended.
    /// Errors: of the connection, and what the server refuses; it is taken up again by the next call.
    pub async fn tend_delegations(&self, progress: &dyn Progress) -> Result<Vec<DelegationInfo>> {
        delegation::ending::tend_delegations(&self.vault, progress).await
    }

    /// What she lets others do, also what is over.
    /// Errors: [`crate::Error::Tampered`] for one that is not hers.
    pub async fn delegations(&self) -> Result<Vec<DelegationInfo>> {
        delegation::delegations(&self.vault).await
    }
}
