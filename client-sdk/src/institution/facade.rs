//! What an institution, or one of its terminals, does: each verb in its module, over the [`Office`](super::office::Office).
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use protocol_spec::{
    ids::{InstitutionId, PatientId, PermissionId, RecordId, RequestId, TerminalId},
    invitation::Invited,
    link::ServerLink,
    purpose::Purpose,
};

use super::{
    Institution, committed, download, emergency, inviting, joining, keeping_up, requests, returning,
    rotation, taking_back, terminals, upload,
};
use crate::{
    DirectoryEntry, EmergencyKey, FetchTerms, Fetched, Ground, InboxEvent, NewTerminal, NewestEvents,
    Progress, RestorationInfo, Result, ReturnedFile, Rotated, SendTerms, Sent, StoredUpload, TakenBack,
    TerminalInfo, Trust, Unlock,
    inbox::InboxReader,
    patient::{SenderId, SenderInfo},
    senders,
    transfer::{Sink, Source},
};

impl Institution {
    /// Its id.
    pub fn id(&self) -> InstitutionId {
        self.office.id()
    }

    /// The terminal whose home this is, unless it is the institution's own.
    pub fn terminal_id(&self) -> Option<TerminalId> {
        self.office.terminal_id()
    }

    /// The name that the registrar accredited.
    pub fn name(&self) -> &str {
        &self.office.name
    }

    /// On the new terminal: makes its keys in `home`, and a signed request for the institution. Works offline.
    /// Errors: [`crate::Error::HomeExists`]; [`crate::Error::Protocol`] for a name that cannot be shown.
    pub fn terminal_request(
        home: impl Into<Ground>,
        unlock: &Unlock,
        name: &str,
    ) -> Result<(TerminalId, Vec<u8>)> {
        joining::terminal_request(home, unlock, name)
    }

    /// Reads a terminal's request, to be looked at before it is certified. Errors: [`crate::Error::Tampered`].
    pub fn inspect_terminal(request: &[u8]) -> Result<NewTerminal> {
        terminals::inspect_terminal(request)
    }

    /// Certifies a terminal for so long, and gives it the recipient keys.
    /// Errors: as [`Self::inspect_terminal`]; [`crate::Error::Usage`] in the home of a
    /// terminal; what the server refuses.
    pub async fn add_terminal(&self, request: &[u8], valid: Duration) -> Result<TerminalInfo> {
        terminals::add_terminal(&self.office, request, valid).await
    }

    /// All terminals, also those that were removed.
    /// Errors: [`crate::Error::Tampered`] for one that this institution has not certified.
    pub async fn terminals(&self) -> Result<Vec<TerminalInfo>> {
        terminals::terminals(&self.office).await
    }

    /// Removes a terminal, for ever: from now on the server refuses it. It still knows the recipient key: rotate.
    /// Errors: [`crate::Error::Unknown`]; [`crate::Error::Usage`] in the home of a terminal; what the server refuses.
    pub async fn remove_terminal(&self, terminal: TerminalId) -> Result<()> {
        terminals::remove_terminal(&self.office, terminal).await
    }

    /// On the new terminal, once it is certified: joins the server of the link for this institution.
    /// Errors: [`crate::Error::Tampered`] when the certificate is not for this terminal, or not by this institution;
    /// what the server refuses, `unauthenticated` while nobody has certified it.
    pub async fn join(
        home: impl Into<Ground>,
        unlock: &Unlock,
        link: &ServerLink,
        institution: InstitutionId,
    ) -> Result<Self> {
        Ok(Self {
            office: joining::join(home, unlock, link, institution).await?,
        })
    }

    /// Presents a download or reference permission, and opens what it is for into `out/<record id>/…`. Files
    /// appear there only when all of them are verified. `purpose` is what they are used for; without it, what was stated
    /// when it was asked for (CND-2). Run again after an interruption, it goes on where it stopped.
    /// Errors: [`crate::Error::Exists`], [`crate::Error::Refused`], [`crate::Error::Tampered`],
    /// [`crate::Error::Interrupted`], and with a policy of witnesses [`crate::Error::NotWitnessed`] (LOG-23); no file
    /// of it is in `out` then.
    pub async fn fetch(
        &self,
        permission: PermissionId,
        purpose: Option<Purpose>,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        download::fetch(&self.office, permission, purpose, out, progress).await
    }

    /// As [`Self::fetch`]. Until [`Self::fetched_is_known`], a run that finds that the one before has fetched everything into the
    /// same folder says so, and asks for nothing.
    pub async fn fetch_files(
        &self,
        permission: PermissionId,
        terms: FetchTerms,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        download::fetch_files(&self.office, permission, terms, out, progress).await
    }

    /// The outcome of the fetch was told to whoever waits for it.
    /// Errors: [`crate::Error::HomeLocked`] while one is going on.
    pub fn fetched_is_known(&self, permission: PermissionId) -> Result<()> {
        download::fetched_is_known(&self.office, permission)
    }

    /// As [`Self::fetch`], into any sink.
    pub async fn fetch_into(
        &self,
        permission: PermissionId,
        purpose: Option<Purpose>,
        sink: impl Sink,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        download::fetch_into(&self.office, permission, purpose, sink, progress).await
    }

    /// Presents an upload permission and sends files and folders (recursively, sorted, symbolic links not
    /// followed) as one record. Run again after an interruption, it goes on where it stopped. Whoever wants to know what files were
    /// taken for, or what is not sent (CNT-21), lists them with `FileSource` and sends with [`Self::send_from`].
    /// Errors: [`crate::Error::SourceChanged`], [`crate::Error::Refused`], [`crate::Error::Interrupted`]; nothing is
    /// committed then, and no use is spent.
    pub async fn send_upload(
        &self,
        permission: PermissionId,
        sources: &[PathBuf],
        progress: &dyn Progress,
    ) -> Result<Sent> {
        upload::send_upload(&self.office, permission, sources, progress).await
    }

    /// As [`Self::send_upload`]. Until [`Self::sent_is_known`], the same files under the same permission are the same record:
    /// a run that finds that the one before has stored it says so, and sends nothing.
    pub async fn send_files(
        &self,
        permission: PermissionId,
        sources: &[PathBuf],
        terms: SendTerms,
        progress: &dyn Progress,
    ) -> Result<Sent> {
        upload::send_files(&self.office, permission, sources, terms, progress).await
    }

    /// The outcome of the upload was told to whoever waits for it: the same files are another record from now on.
    /// Errors: [`crate::Error::HomeLocked`] while one is going on.
    pub fn sent_is_known(&self, permission: PermissionId) -> Result<()> {
        upload::sent_is_known(&self.office, permission)
    }

    /// As [`Self::send_upload`], from any source.
    pub async fn send_from(
        &self,
        permission: PermissionId,
        source: impl Source,
        progress: &dyn Progress,
    ) -> Result<Sent> {
        upload::send_from(&self.office, permission, source, progress).await
    }

    /// What the institution has stored under an upload permission, oldest first, also what the patient has deleted since. This home
    /// can take it back from now on.
    /// Errors: `not-permitted` for a permission that is not the
    /// institution's; [`crate::Error::Tampered`]; of the connection.
    pub async fn stored_under(&self, permission: PermissionId) -> Result<Vec<StoredUpload>> {
        committed::stored_under(&self.office, permission).await
    }

    /// Asks a patient to let this institution download; `text` says what and why, sealed to her, and `purpose` what for,
    /// for the server to see too.
    /// Errors: [`crate::Error::Unknown`] for a patient whom the server does not know; what it refuses.
    pub async fn request_download(
        &self,
        patient: PatientId,
        text: &str,
        purpose: Option<Purpose>,
    ) -> Result<RequestId> {
        requests::request_download(&self.office, patient, text, purpose).await
    }

    /// Asks a patient to let another institution download: a referral. Errors: as [`Self::request_download`].
    pub async fn request_reference(
        &self,
        patient: PatientId,
        to: &DirectoryEntry,
        text: &str,
        purpose: Option<Purpose>,
    ) -> Result<RequestId> {
        requests::request_reference(&self.office, patient, to, text, purpose).await
    }

    /// An invitation for so many patients, and the link of the server with it.
    /// Errors: [`crate::Error::Usage`] in the home of a terminal, or for more patients or longer
    /// than there may be; [`crate::Error::KeyStore`].
    pub fn invite(&self, uses: u32, lifetime: Duration) -> Result<Invited> {
        inviting::invite(&self.office, uses, lifetime)
    }

    /// Opens a patient's emergency collection, and what lies in it into `out/<record id>/…`. The server writes the
    /// opening down and tells the patient before it gives anything.
    /// Errors: [`crate::Error::Usage`] for a code that is none, or another patient's;
    /// [`crate::Error::Unknown`] where no guardian has named this institution; what the server refuses:
    /// `not-for-emergencies`, `not-permitted` for a card that is not in force, `emergency-waiting`,
    /// `emergency-objected`, `emergency-limit`; then as [`Institution::fetch`].
    pub async fn open_emergency(
        &self,
        patient: PatientId,
        key: EmergencyKey<'_>,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Fetched> {
        emergency::open_emergency(&self.office, patient, key, out, progress).await
    }

    /// Makes the next recipient key, and a request to the registrar to accredit it. Asked again before the rotation,
    /// the same key makes a new request.
    /// Errors: [`crate::Error::Usage`] in the home of a terminal;
    /// [`crate::Error::KeyStore`]; those of the connection.
    pub async fn rotation_request(&self) -> Result<Vec<u8>> {
        rotation::rotation_request(&self.office).await
    }

    /// Goes on with the key that the registrar has accredited. Permissions that are wrapped to earlier keys can be
    /// used for `overlap` longer, or until those end anyway. The same again changes nothing.
    /// Errors: [`crate::Error::Tampered`] for an accreditation that is not for this key or not by the server's
    /// registrar; what the server refuses.
    pub async fn rotate(&self, accreditation: &[u8], overlap: Duration) -> Result<Rotated> {
        rotation::rotate(&self.office, accreditation, overlap).await
    }

    /// Ends the institution at this server, for ever: nothing is asked, received or permitted by it from now on.
    /// Errors: [`crate::Error::Usage`] in the home of a terminal;
    /// [`crate::Error::KeyStore`]; those of the connection.
    pub async fn retire(&self) -> Result<()> {
        rotation::retire(&self.office).await
    }

    /// Takes back a record that this home has sent, or has met in [`Self::stored_under`], as long as nobody has opened it: the server destroys it (DEL-6). The use of the
    /// permission stays spent. One that was taken back already is told again.
    /// Errors: [`crate::Error::Unknown`] for a record that this home has not sent; `record-opened` when it is too
    /// late: then only the patient can delete it.
    pub async fn take_back(&self, record: RecordId) -> Result<TakenBack> {
        taking_back::take_back(&self.office, record).await
    }

    /// The records that this home can take back. Errors: [`crate::Error::HomeDamaged`].
    pub fn sent_records(&self) -> Result<Vec<RecordId>> {
        taking_back::sent_records(&self.office)
    }

    /// The directory and the log of its server, as far as they are proven.
    pub fn trust(&self) -> Trust<'_> {
        self.office.session.trust()
    }

    /// As [`crate::Patient::institution`].
    pub async fn institution(&self, name_or_id: &str) -> Result<DirectoryEntry> {
        self.office.session.mirror.find_named(name_or_id).await
    }

    /// As [`crate::Patient::block`], by the institution's identity key.
    pub async fn block(&self, sender: SenderId, blocked: bool) -> Result<()> {
        self.office.by_identity_key()?;
        senders::block(&self.office.session.server, sender, blocked).await
    }

    /// As [`crate::Patient::senders`], by the institution's identity key.
    pub async fn senders(&self) -> Result<Vec<SenderInfo>> {
        self.office.by_identity_key()?;
        senders::senders(&self.office.session.server).await
    }

    /// As [`crate::Patient::return_share`].
    pub async fn return_share(&self, file: &[u8], offer: &[u8], check: &str) -> Result<ReturnedFile> {
        returning::return_share(&self.office, file, offer, check).await
    }

    /// As [`crate::Patient::inbox`]. A permission that has come is fetched, to verify whose it
    /// is and what it answers.
    pub async fn inbox(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        keeping_up::keep_up(&self.office).await?;
        self.reader().after(after, wait).await
    }

    /// As [`crate::Patient::newest_events`].
    pub async fn newest_events(&self, most: u64, since: u64) -> Result<NewestEvents> {
        keeping_up::keep_up(&self.office).await?;
        self.reader().newest(most, since).await
    }

    fn reader(&self) -> InboxReader<'_> {
        InboxReader::of_institution(&self.office.session, self.office.id(), self.office.key_store())
    }

    /// Goes on with a server that was restored, if that is proven, in its next session: what was restored, and
    /// whether it was accepted before. Errors: as [`crate::accept_restoration`].
    pub async fn accept_restoration(&self) -> Result<(RestorationInfo, bool)> {
        returning::accept_restoration(&self.office).await
    }
}
