//! What a patient can do, one method each: the work is done by the functions of the other modules, over her vault.

use std::{collections::HashSet, path::Path, time::Duration};

use protocol_spec::{
    conditions::Conditions,
    field::Name,
    ids::{CollectionId, DelegationId, DeviceId, PatientId, PermissionId, RecordId, RequestId},
    invitation::InvitationText,
    link::ServerLink,
    log::VerifiedCheckpoint,
};
use zeroize::Zeroizing;

use crate::{
    CollectionInfo, DeviceInfo, DirectoryEntry, Error, LogEntry, Patient, PermissionInfo, Progress, Received,
    Records, Result, Unlock,
    patient::{
        case,
        certificate::RevocationReport,
        collections,
        coverage::{self, Coverage},
        delegation::{
            self, Delegate, DelegationInfo, EndedDelegation, giving::DelegationTerms, offers::HeldDelegation,
        },
        deleting, devices,
        emergency::{self, EmergencyCard, EmergencyLimits, GuardianInfo, HelpInfo, MadeCard},
        following::{self, Rewrapped},
        given::{self, Given},
        gone::DeletedRecord,
        history::{self, HistoryCheck, item::HistoryItem},
        link::{self, PendingDevice},
        listed,
        news::{self, News},
        opening, permissions, records,
        recovery::{self, Entrusted, Kit, NewTrustees, RecoveryMember, Rehearsed, Trustee},
        removing::{self, Removal},
        requests,
        returning::{self, Returned},
        revoking,
        terms::{InCollection, OpenRequest, PermitTerms, Selection, UploadTerms},
        unanswered::{self, SenderId, SenderInfo, Unanswered},
    },
    senders,
    shares::ReturnedFile,
};

impl Patient {
    /// Makes a new vault in `home` and enrols it with the server of the link. An enrolment that broke off is
    /// taken up again.
    ///
    /// # Errors
    /// [`crate::Error::HomeExists`], [`crate::Error::WrongServer`], [`crate::Error::Unreachable`] and others; the home is then as
    /// before.
    pub async fn enrol(home: &Path, unlock: &Unlock, link: &ServerLink) -> Result<Self> {
        Self::enrol_by(home, unlock, link, None).await
    }

    /// As [`Self::enrol`], by an invitation, where the server asks for one (ACC-1).
    ///
    /// # Errors
    /// As [`Self::enrol`]; what the server refuses.
    pub async fn enrol_by(
        home: &Path,
        unlock: &Unlock,
        link: &ServerLink,
        invitation: Option<&InvitationText>,
    ) -> Result<Self> {
        let vault = opening::enrol(home, unlock, link, invitation).await?;
        Ok(Self { vault })
    }

    /// Opens an enrolled home. Nothing is sent yet.
    ///
    /// # Errors
    /// [`crate::Error::HomeMissing`], [`crate::Error::NotEnrolled`], [`crate::Error::WrongUnlock`], [`crate::Error::HomeKind`].
    pub async fn open(home: &Path, unlock: &Unlock) -> Result<Self> {
        let vault = opening::open(home, unlock).await?;
        Ok(Self { vault })
    }

    /// Her id: what institutions need to ask her for something.
    pub fn id(&self) -> PatientId {
        self.vault.id()
    }

    /// The link of her server.
    pub fn link(&self) -> &ServerLink {
        self.vault.session.server.link()
    }

    /// The one institution with this id or this name (in any case).
    ///
    /// # Errors
    /// [`crate::Error::UnknownInstitution`], [`crate::Error::AmbiguousInstitution`], or as [`crate::Trust::institutions`].
    pub async fn institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        self.vault.session.mirror.find_named(name_or_id).await
    }

    /// Blocks a sender, whose unanswered things are deleted; or takes that back. It is told what anybody is told of whom she has
    /// enough (ACC-9).
    ///
    /// # Errors
    /// `not-permitted` where nobody has this id.
    pub async fn block(&self, sender: SenderId, blocked: bool) -> Result<()> {
        senders::block(&self.vault.session.server, sender, blocked).await
    }

    /// With whom she deals, of whom something is unanswered, whom she has blocked.
    ///
    /// # Errors
    /// Of the connection.
    pub async fn senders(&self) -> Result<Vec<SenderInfo>> {
        senders::senders(&self.vault.session.server).await
    }

    /// All that happened under a permission, as a file to be shown to whoever was not there.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Usage`] of an emergency permission; [`Error::Tampered`] when what the server shows does not
    /// hold.
    pub async fn export_case(&self, permission: PermissionId) -> Result<Vec<u8>> {
        case::export_case(&self.vault, permission).await
    }

    /// Wraps anew what is live and lies under an entry that is not its institution's present one. The present one is
    /// believed along the chain alone (INS-4, INS-6), and nothing for whoever has it by the word of a removed device (DEV-21). One that is used meanwhile is left for the next time.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] for a chain that does not hold; of the connection; what the server refuses.
    pub async fn follow_rotations(&self) -> Result<Vec<Rewrapped>> {
        following::follow_rotations(&self.vault).await
    }

    /// Revokes a permission, or the one that has taken its place: what starts after the server's acknowledgement gets
    /// nothing, what runs stops at the next leaf. A permission over a collection has handed out the collection's key, so the collection then gets a new
    /// one, and whatever lies under the old key at the server is destroyed. A revocation that was broken off is
    /// taken up again. `progress` counts records. The report says what cannot be taken back.
    ///
    /// The revocation is sent whatever else the server shows (REV-11).
    ///
    /// # Errors
    /// [`Error::Unknown`]; what the server refuses. [`Error::RevokedOnly`] when the server has signed that nothing is released
    /// any more, and the rest was not done.
    pub async fn revoke(
        &self,
        permission: PermissionId,
        progress: &dyn Progress,
    ) -> Result<RevocationReport> {
        revoking::revoke(&self.vault, permission, progress).await
    }

    /// As [`Self::revoke`], and then seals anew what the permission exposed and was never handed out, so that its old data
    /// keys open nothing: the records travel to this device and back, which `bytes` counts.
    ///
    /// # Errors
    /// As there, and those of the transfer; what was sealed anew until then stays so.
    pub async fn revoke_and_reseal(
        &self,
        permission: PermissionId,
        progress: &dyn Progress,
        bytes: &dyn Progress,
    ) -> Result<RevocationReport> {
        revoking::revoke_and_reseal(&self.vault, permission, progress, bytes).await
    }

    /// Takes up what earlier revocations, and removals of devices, have left to do. What another process or device is just
    /// doing they do together.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub async fn finish_revocations(&self, progress: &dyn Progress) -> Result<()> {
        revoking::finish_revocations(&self.vault, progress).await
    }

    /// How many of these records fit the conditions.
    ///
    /// # Errors
    /// Of the connection.
    pub async fn coverage(&self, of: &Selection, conditions: &Conditions) -> Result<Coverage> {
        coverage::coverage(&self.vault, of, conditions).await
    }

    /// How many of the records that lie in a collection now fit the conditions.
    ///
    /// # Errors
    /// Of the connection.
    pub async fn coverage_in(&self, of: CollectionId, conditions: &Conditions) -> Result<Coverage> {
        coverage::coverage_in(&self.vault, of, conditions).await
    }

    /// Deletes a record for good: the server destroys it, and every permission over it ends there. What was handed out before
    /// stays with whoever has it. One that is deleted already is told again (DEL-1).
    ///
    /// # Errors
    /// [`Error::Unknown`] for a record that is not hers; [`Error::RecordGone`] for one that was taken back; what the server refuses.
    pub async fn delete_record(&self, record: RecordId) -> Result<DeletedRecord> {
        deleting::delete_record(&self.vault, record).await
    }

    /// All that happened to her vault, each entry verified. One that fails is reported, not dropped.
    ///
    /// # Errors
    /// Of the connection, and [`Error::Tampered`] when numbers are missing, or what this device has seen before has
    /// changed.
    pub async fn history(&self) -> Result<Vec<HistoryItem>> {
        history::history(&self.vault).await
    }

    /// Asks an institution to upload, and gives it the permission key to do so.
    ///
    /// # Errors
    /// What the server refuses; [`Error::Crypto`] for a text that is too long.
    pub async fn request_upload(
        &self,
        to: &DirectoryEntry,
        text: &str,
        terms: &UploadTerms,
    ) -> Result<(RequestId, PermissionId)> {
        requests::request_upload(&self.vault, to, text, terms).await
    }

    /// A download or reference request to her, verified: who asks, and who would receive.
    ///
    /// # Errors
    /// [`Error::Tampered`] for a request that does not verify; what the server refuses.
    pub async fn request(&self, request: RequestId) -> Result<OpenRequest> {
        requests::request(&self.vault, request).await
    }

    /// Permits a download or reference request. For a reference the receiver is looked up in her own verified
    /// directory, never taken from the referral's word (FLW-4).
    ///
    /// # Errors
    /// [`Error::Unknown`] for a record that is not hers; [`Error::Tampered`] for a request or a record that
    /// does not verify; what the server refuses.
    pub async fn permit(
        &self,
        request: RequestId,
        records: &Selection,
        terms: &PermitTerms,
    ) -> Result<PermissionId> {
        requests::permit(&self.vault, request, records, terms).await
    }

    /// Permits a download or reference request over a collection: one wrap, however many records lie in it, and what
    /// is placed there later too, unless it is to be for those of now alone (COL-6).
    ///
    /// # Errors
    /// As [`Self::permit`].
    pub async fn permit_collection(
        &self,
        request: RequestId,
        of: InCollection,
        terms: &PermitTerms,
    ) -> Result<PermissionId> {
        requests::permit_collection(&self.vault, request, of, terms).await
    }

    /// Denies a download or reference request; `text` tells the institution why.
    ///
    /// # Errors
    /// As [`Self::permit`].
    pub async fn deny(&self, request: RequestId, text: &str) -> Result<()> {
        requests::deny(&self.vault, request, text).await
    }

    /// Removes another device: from the acknowledgement on it is refused everywhere. What it has given, by itself and by
    /// devices that it has added, ends before anybody gets new keys, but for what `keep` names by its id as
    /// [`Self::given_by`] shows it: that is signed again by this device. Then a new root key is sealed to the devices that stay,
    /// each collection gets a new key, and what lies under the keys that the removed device knows is brought under the new
    /// ones. A removal that was broken off is taken up again. `progress` counts records.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Usage`] for this device itself.
    pub async fn remove_device(
        &self,
        device: DeviceId,
        keep: &HashSet<String>,
        progress: &dyn Progress,
    ) -> Result<Removal> {
        removing::remove_device(&self.vault, device, keep, progress).await
    }

    /// What a removed device has added and is on the list still, because its removal was broken off, or another client has asked
    /// for nothing. To remove the device again takes it along.
    ///
    /// # Errors
    /// As [`Self::devices`].
    pub async fn left_on_list(&self, device: DeviceId) -> Result<Vec<DeviceInfo>> {
        removing::left_on_list(&self.vault, device).await
    }

    /// A recovery member stays: whoever has announced that it leaves is contradicted.
    ///
    /// # Errors
    /// [`Error::Unknown`] for one that is not on the list.
    pub async fn keep_member(&self, member: DeviceId) -> Result<()> {
        removing::keep_member(&self.vault, member).await
    }

    /// Removes recovery members whose leaving this device has announced long enough ago, each alone: one on which something
    /// rests stays announced, and she says what becomes of that (DEV-28). Gives those that stay for this, with what she calls them.
    ///
    /// # Errors
    /// Of the connection, and what the server refuses; it is taken up again by the next call.
    pub async fn finish_leaving(&self, progress: &dyn Progress) -> Result<Vec<(DeviceId, Name)>> {
        removing::finish_leaving(&self.vault, progress).await
    }

    /// Her collections.
    ///
    /// # Errors
    /// [`Error::Tampered`] when the server shows one that is not hers, or an older state than this device has seen.
    pub async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        collections::collections(&self.vault).await
    }

    /// The collection with this id or name.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none, or several have the name.
    pub async fn collection(&self, id_or_name: &str) -> Result<CollectionInfo> {
        collections::collection(&self.vault, id_or_name).await
    }

    /// Makes a collection. `emergency` is the name of the one that is opened in an emergency.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that is taken or is none.
    pub async fn create_collection(&self, name: &str) -> Result<CollectionInfo> {
        collections::create_collection(&self.vault, name).await
    }

    /// Moves one of her records into a collection. Permissions over the collection it leaves release it no more.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Tampered`].
    pub async fn move_record(&self, record: RecordId, to: CollectionId) -> Result<()> {
        collections::move_record(&self.vault, record, to).await
    }

    /// Has something deleted that she has not answered; refuses, or gives up, to be somebody's delegate or guardian (ACC-9).
    ///
    /// # Errors
    /// What the server refuses: `not-permitted` for what is not there, `request-answered`.
    pub async fn delete_unanswered(&self, what: Unanswered) -> Result<()> {
        unanswered::delete_unanswered(&self.vault, what).await
    }

    /// Her devices, in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Tampered`] when the server shows an older list than this device has seen, or one that a device of
    /// hers has not signed.
    pub async fn devices(&self) -> Result<Vec<DeviceInfo>> {
        listed::devices(&self.vault).await
    }

    /// If the newest root key that this device knows of does not open, or does not lead on: what can be done about it (DEV-30).
    pub fn unusable_root_key(&self) -> Option<Error> {
        listed::unusable_root_key(&self.vault)
    }

    /// The device with this id or name.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Usage`] when several have the name.
    pub async fn find_device(&self, id_or_name: &str) -> Result<DeviceInfo> {
        listed::find_device(&self.vault, id_or_name).await
    }

    /// Calls a device something else.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Protocol`] for a text that is no name.
    pub async fn name_device(&self, device: DeviceId, name: &str) -> Result<()> {
        devices::name_device(&self.vault, device, name).await
    }

    /// Sends a revocation again that was taken by a server whose vault did not verify, or that a witness contradicted, if there are
    /// any. Gives those that were sent.
    ///
    /// # Errors
    /// Of the connection; of a vault that does not verify: they are kept then.
    pub async fn resend_revocations(&self) -> Result<Vec<PermissionId>> {
        revoking::resend_revocations(&self.vault).await
    }

    /// All her permissions; each was checked to be hers.
    ///
    /// # Errors
    /// [`Error::Tampered`] when one is not.
    pub async fn permissions(&self) -> Result<Vec<PermissionInfo>> {
        permissions::permissions(&self.vault).await
    }

    /// Reads the server's log from entry number `from` on, under the checkpoint that it returns: all entries in order, each
    /// verified before `visit` gets it (LOG-14). `progress` counts entries.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] when a tile is not that of the checkpoint or `from` lies beyond it, [`crate::Error::LogConflict`],
    /// [`crate::Error::NotWitnessed`], what `visit` returns, or of the connection.
    pub async fn scan_log(
        &self,
        from: u64,
        progress: &dyn Progress,
        visit: impl FnMut(u64, LogEntry) -> Result<()>,
    ) -> Result<VerifiedCheckpoint> {
        records::scan_log(&self.vault, from, progress, visit).await
    }

    /// Her records, each verified by this device or another one of hers; new ones are adopted into the vault.
    ///
    /// # Errors
    /// Of the connection alone; a record that does not verify stands in `refused`.
    pub async fn records(&self) -> Result<Records> {
        records::records(&self.vault).await
    }

    /// Opens one of her records into `out/<record id>/`.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Exists`], [`Error::Tampered`]; nothing is then left in `out`.
    pub async fn get_record(
        &self,
        record: RecordId,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Received> {
        records::get_record(&self.vault, record, out, progress).await
    }

    /// As [`Self::get_record`], if it is one file.
    ///
    /// # Errors
    /// As [`Self::get_record`]; [`Error::Usage`] when the record has more than one file.
    pub async fn get_file(&self, record: RecordId, out: &Path, progress: &dyn Progress) -> Result<Received> {
        records::get_file(&self.vault, record, out, progress).await
    }

    /// What other devices have added since this home was told last, once. A home that has been told nothing yet begins with what
    /// there is.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] and others for what is not hers; of the connection. It is then told the next time.
    pub async fn news(&self) -> Result<Vec<News>> {
        news::news(&self.vault).await
    }

    /// Goes on with a server that was restored, if that is proven (RST-5, RST-6): does what has to be done before her vault moves
    /// again, and says what was lost. If it is interrupted, call it again to resume.
    ///
    /// # Errors
    /// [`Error::Usage`] if nothing was restored, or if her list of devices was changed since the copy was made; [`Error::Tampered`] for
    /// what is not proven; of the connection.
    pub async fn accept_restoration(home: &Path, unlock: &Unlock) -> Result<Returned> {
        returning::accept_restoration(home, unlock).await
    }

    /// Looks up the device whose code this is, answers it, and waits until it has opened its nonce: it then shows the short
    /// string. The same code may be tried again.
    ///
    /// # Errors
    /// [`Error::Usage`] for a code that is none, was used or is over, and when the new device does not answer;
    /// [`Error::Tampered`] when the server shows something else than the code names (DEV-9).
    pub async fn pending_device(&self, code: &str) -> Result<PendingDevice> {
        link::pending_device(&self.vault, code).await
    }

    /// Adds it, if `short_string` is what she has read on the new device.
    ///
    /// # Errors
    /// [`Error::Usage`] when the strings differ: nothing is then sent.
    pub async fn approve_device(
        &self,
        pending: &PendingDevice,
        short_string: &str,
        name: &str,
    ) -> Result<DeviceId> {
        link::approve_device(&self.vault, pending, short_string, name).await
    }

    /// What a device has given that still holds, also by way of devices that it has added: all of it, each with whether this
    /// device had seen it at `since`, in milliseconds since 1970. Of a device that was removed, what its removal has left.
    ///
    /// # Errors
    /// [`crate::Error::Tampered`] for what is not hers; of the connection.
    pub async fn given_by(&self, device: DeviceId, since: Option<u64>) -> Result<Vec<Given>> {
        given::given_by(&self.vault, device, since).await
    }

    /// Of what [`Self::given_by`] shows, what stays when the device is removed and this is kept: nothing by devices that go with it.
    ///
    /// # Errors
    /// As [`Self::given_by`].
    pub async fn staying(
        &self,
        device: DeviceId,
        since: Option<u64>,
        keep: impl Fn(&Given) -> bool,
    ) -> Result<Vec<Given>> {
        given::staying(&self.vault, device, since, keep).await
    }

    /// What still holds by the word of devices that are off the list, as a removal that was broken off or asked for nothing leaves it:
    /// how much, by device. It gets no new keys (DEV-21), and what is spent gets none anyway.
    ///
    /// # Errors
    /// As [`Self::given_by`].
    pub async fn left_behind(&self) -> Result<Vec<(DeviceId, usize)>> {
        given::left_behind(&self.vault).await
    }

    /// Checks each entry, each with those before it, and all with the permissions and records that the server lists.
    ///
    /// # Errors
    /// Of the connection; [`crate::Error::Tampered`] when numbers are missing, or the history is not the one that this device
    /// has seen before.
    pub async fn check_history(&self) -> Result<HistoryCheck> {
        history::check::check_history(&self.vault).await
    }

    /// Names a guardian: another patient, who can help without the card after this waiting time. Her half is sealed to
    /// the vault key of her newest list of devices (EMG-10).
    ///
    /// # Errors
    /// [`Error::Unknown`] for a patient whom the server does not know; [`Error::Usage`] for herself and for waiting times
    /// that are none; what the server refuses, `already-exists` for one who is a guardian already.
    pub async fn add_guardian(
        &self,
        guardian: PatientId,
        wait: Duration,
        limits: &EmergencyLimits,
    ) -> Result<PermissionId> {
        emergency::guardians::add_guardian(&self.vault, guardian, wait, limits).await
    }

    /// A guardian can help no more; what her half could open is brought under a new key. `progress` counts records.
    ///
    /// # Errors
    /// [`Error::Unknown`] for one who is no guardian; what the server refuses.
    pub async fn remove_guardian(
        &self,
        guardian: PatientId,
        progress: &dyn Progress,
    ) -> Result<RevocationReport> {
        emergency::guardians::remove_guardian(&self.vault, guardian, progress).await
    }

    /// Her guardians, with what they have begun.
    ///
    /// # Errors
    /// [`Error::Tampered`] for what is not hers.
    pub async fn guardians(&self) -> Result<Vec<GuardianInfo>> {
        emergency::guardians::guardians(&self.vault).await
    }

    /// Objects to a guardian's help: nothing is opened by it, nor by this guardian again (EMG-13).
    ///
    /// # Errors
    /// `not-permitted` for an id that is none; `emergency-over` when the waiting time is over.
    pub async fn object(&self, help: RequestId) -> Result<()> {
        emergency::guardians::object(&self.vault, help).await
    }

    /// Accepts to be another patient's guardian, once the half that she has given opens (ACC-10).
    ///
    /// # Errors
    /// [`Error::Unknown`] where nobody has asked; [`Error::Tampered`] for a half that is not hers.
    pub async fn accept_guardianship(&self, patient: PatientId) -> Result<()> {
        emergency::guardians::accept_guardianship(&self.vault, patient).await
    }

    /// As a guardian: begins to help, and hands the half to an institution that is accredited for emergencies. Gives
    /// when the patient can object no more.
    ///
    /// # Errors
    /// [`Error::Unknown`] where this is no guardian; `not-for-emergencies`, before anything is sealed (EMG-6); what the
    /// server refuses.
    pub async fn help(&self, patient: PatientId, to: &DirectoryEntry) -> Result<HelpInfo> {
        emergency::guardians::help(&self.vault, patient, to).await
    }

    /// The card as a PDF of one page. It holds the code.
    ///
    /// # Errors
    /// Those of reading the home.
    pub fn card_sheet(&self, card: &EmergencyCard) -> Result<Zeroizing<Vec<u8>>> {
        emergency::card::card_sheet(&self.vault, card)
    }

    /// From now on this card opens the emergency collection, and so does the one before it, which is then to be closed
    /// (EMG-14). If there were two before, because that was broken off, the older one is closed first; `progress` counts
    /// records.
    ///
    /// # Errors
    /// Of the connection, and what the server refuses. The card before this one is then as good as ever.
    pub async fn use_card(
        &self,
        card: &EmergencyCard,
        limits: &EmergencyLimits,
        progress: &dyn Progress,
    ) -> Result<MadeCard> {
        emergency::card::use_card(&self.vault, card, limits, progress).await
    }

    /// The cards before one that is in force open nothing any more, and what they could open is brought under a new key;
    /// `progress` counts records (EMG-14).
    ///
    /// # Errors
    /// As [`Patient::revoke`]: which of them is not closed can be revoked.
    pub async fn close_cards_before(&self, made: &MadeCard, progress: &dyn Progress) -> Result<()> {
        emergency::card::close_cards_before(&self.vault, made, progress).await
    }

    /// What others let her do, also what is over.
    ///
    /// # Errors
    /// [`Error::Tampered`] for one that is not for her.
    pub async fn held_delegations(&self) -> Result<Vec<HeldDelegation>> {
        delegation::acting::held_delegations(&self.vault).await
    }

    /// Acts for another patient by the delegation of hers that allows most, and holds longest.
    ///
    /// # Errors
    /// [`Error::Usage`] when she has given none; [`Error::Refused`] when none holds now.
    pub async fn acting_for(&self, owner: PatientId) -> Result<Delegate<'_>> {
        delegation::acting::acting_for(&self.vault, owner).await
    }

    /// Lets another patient of the server act in her vault, and gives her the keys for it.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a patient or collection that is not there, [`Error::Usage`] for terms that make no
    /// sense, [`Error::Tampered`] when the delegate's vault key does not verify: then no key is given.
    pub async fn delegate(&self, to: PatientId, terms: &DelegationTerms) -> Result<DelegationInfo> {
        delegation::giving::delegate(&self.vault, to, terms).await
    }

    /// Delegations that she was offered and has not answered.
    ///
    /// # Errors
    /// [`Error::Tampered`] for one that is not for her.
    pub async fn offered_delegations(&self) -> Result<Vec<HeldDelegation>> {
        delegation::offers::offered_delegations(&self.vault).await
    }

    /// Accepts a delegation that she was offered: from now on she may act (ACC-10).
    ///
    /// # Errors
    /// [`Error::Unknown`] for one that she was not offered, [`Error::Tampered`] for one that is not for her.
    pub async fn accept_delegation(&self, id: DelegationId) -> Result<HeldDelegation> {
        delegation::offers::accept_delegation(&self.vault, id).await
    }

    /// Ends a delegation: from the acknowledgement on the delegate can ask nothing more, and what is added later lies
    /// under keys that she does not have. If it is interrupted, call it again to resume, or
    /// [`Self::tend_delegations`]. `progress` counts records.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`]; once the first error but this could come, the delegate can do nothing any more.
    pub async fn end_delegation(&self, id: DelegationId, progress: &dyn Progress) -> Result<EndedDelegation> {
        delegation::ending::end_delegation(&self.vault, id, progress).await
    }

    /// Does what time and other devices have left to do: delegations that are over are ended and their keys taken out
    /// of use; those that hold get the keys of newer epochs. Gives the delegations that it has ended.
    ///
    /// # Errors
    /// Of the connection, and what the server refuses; it is taken up again by the next call.
    pub async fn tend_delegations(&self, progress: &dyn Progress) -> Result<Vec<DelegationInfo>> {
        delegation::ending::tend_delegations(&self.vault, progress).await
    }

    /// What she lets others do, also what is over.
    ///
    /// # Errors
    /// [`Error::Tampered`] for one that is not hers.
    pub async fn delegations(&self) -> Result<Vec<DelegationInfo>> {
        delegation::delegations(&self.vault).await
    }

    /// The kit as a PDF of one page. It holds the words.
    ///
    /// # Errors
    /// Those of reading the home.
    pub fn kit_sheet(&self, kit: &Kit) -> Result<Zeroizing<Vec<u8>>> {
        recovery::kit::kit_sheet(&self.vault, kit)
    }

    /// From now on this kit opens the vault, and one before it does not any more: what the one before could open is
    /// brought under new keys, and `progress` counts its records. One that is settled goes at once only with its own words,
    /// `before`; else it stays for a while, and its leaving is announced on all devices (DEV-23).
    ///
    /// # Errors
    /// [`Error::RecoveryWords`], [`Error::UnknownRecovery`] for words that are not those of the one before.
    /// Of the connection, and what the server refuses. After [`Error::Unreachable`] nobody knows which kit is in force; else
    /// the new one is of no use, and one before it as good as ever.
    pub async fn use_kit(
        &self,
        kit: &Kit,
        before: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<RecoveryMember> {
        recovery::kit::use_kit(&self.vault, kit, before, progress).await
    }

    /// Whether the list of devices has a kit.
    ///
    /// # Errors
    /// As [`Self::devices`].
    pub async fn has_kit(&self) -> Result<bool> {
        recovery::kit::has_kit(&self.vault).await
    }

    /// Does with a kit's words all that a restoration does before it changes anything (RCV-11).
    ///
    /// # Errors
    /// [`Error::RecoveryWords`], [`Error::UnknownRecovery`]; [`Error::Usage`] for the words of another vault.
    pub async fn rehearse(&self, words: &str) -> Result<Rehearsed> {
        recovery::kit::rehearse(&self.vault, words).await
    }

    /// The trustee with this patient id, or the institution with this id or name.
    ///
    /// # Errors
    /// As [`Self::institution`].
    pub async fn trustee(&self, id_or_name: &str) -> Result<Trustee> {
        recovery::trustees::trustee(&self.vault, id_or_name).await
    }

    /// Divides a new secret among trustees, any `threshold` of whom can restore the vault.
    ///
    /// # Errors
    /// [`Error::Usage`] for numbers that make no sense; [`Error::Unknown`] for a patient whom the server does not know.
    pub async fn new_trustees(&self, threshold: u8, trustees: &[Trustee]) -> Result<NewTrustees> {
        recovery::trustees::new_trustees(&self.vault, threshold, trustees).await
    }

    /// From now on these trustees can restore the vault, and others before them cannot any more, as with
    /// [`Self::use_kit`].
    ///
    /// # Errors
    /// Of the connection, and what the server refuses: the shares are then of no use, and those before them as good as
    /// ever.
    pub async fn use_trustees(&self, new: &NewTrustees, progress: &dyn Progress) -> Result<Entrusted> {
        recovery::trustees::use_trustees(&self.vault, new, progress).await
    }

    /// Gives a share that this patient holds back to a machine whose check string its owner has told.
    ///
    /// # Errors
    /// [`Error::Usage`] when the check string is another, or the share is not in force; [`Error::WrongShare`].
    pub async fn return_share(&self, file: &[u8], offer: &[u8], check: &str) -> Result<ReturnedFile> {
        recovery::trustees::return_share(&self.vault, file, offer, check).await
    }

    /// Whether she should be reminded to rehearse, which she is once a day when a kit has not been tried for a year;
    /// and since when.
    ///
    /// # Errors
    /// [`crate::Error::HomeDamaged`], [`crate::Error::Io`].
    pub fn recovery_reminder(&self) -> Result<Option<u64>> {
        recovery::reminder::recovery_reminder(&self.vault)
    }
}
