//! What a patient can do with her devices, and for the day when she has lost them.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use crate::{
    DeviceInfo, Error, Ground, Patient, Progress, Result, Unlock,
    patient::{
        devices,
        given::{self, Given},
        link::{self, PendingDevice},
        listed,
        news::{self, News},
        recovery::{self, Entrusted, Kit, NewTrustees, RecoveryMember, Rehearsed, Trustee},
        removing::{self, Removal},
        returning::{self, Returned},
    },
    shares::ReturnedFile,
};
use protocol_spec::{field::Name, ids::DeviceId};
use std::collections::HashSet;
use zeroize::Zeroizing;

impl Patient {
    /// Removes another device: from the acknowledgement on it is refused everywhere. What it has given, by itself and by
    /// devices that it has added, ends before anybody gets new keys, but for what `keep` names by its id as
    /// [`Self::given_by`] shows it: that is signed again by this device. Then a new root key is sealed to the devices that stay,
    /// each collection gets a new key, and what lies under the keys that the removed device knows is brought under the new
    /// ones. A removal that was broken off is taken up again. `progress` counts records.
    /// Errors: [`Error::Unknown`]; [`Error::Usage`] for this device itself.
    pub async fn remove_device(
        &self,
        device: DeviceId,
        keep: &HashSet<String>,
        progress: &dyn Progress,
    ) -> Result<Removal> {
        removing::remove_device(&self.vault, device, keep, progress).await
    }

    /// What a removed device has added and is on the list still, because its removal was broken off, or another client has asked
    /// for nothing. To remove the device again takes it along. Errors: as [`Self::devices`].
    pub async fn left_on_list(&self, device: DeviceId) -> Result<Vec<DeviceInfo>> {
        removing::left_on_list(&self.vault, device).await
    }

    /// A recovery member stays: whoever has announced that it leaves is contradicted.
    /// Errors: [`Error::Unknown`] for one that is not on the list.
    pub async fn keep_member(&self, member: DeviceId) -> Result<()> {
        removing::keep_member(&self.vault, member).await
    }

    /// Removes recovery members whose leaving this device has announced long enough ago, each alone: one on which something
    /// rests stays announced, and she says what becomes of that (DEV-28). Gives those that stay for this, with what she calls them.
    /// Errors: of the connection, and what the server refuses; it is taken up again by the next call.
    pub async fn finish_leaving(&self, progress: &dyn Progress) -> Result<Vec<(DeviceId, Name)>> {
        removing::finish_leaving(&self.vault, progress).await
    }

    /// Her devices, in the order in which they came.
    /// Errors: [`Error::Tampered`] when the server shows an older list than this device has seen, or one that a
    /// device of hers has not signed.
    pub async fn devices(&self) -> Result<Vec<DeviceInfo>> {
        listed::devices(&self.vault).await
    }

    /// If the newest root key that this device knows of does not open, or does not lead on: what can be done about it (DEV-30).
    pub fn unusable_root_key(&self) -> Option<Error> {
        listed::unusable_root_key(&self.vault)
    }

    /// The device with this id or name.
    /// Errors: [`Error::Unknown`]; [`Error::Usage`] when several have the name.
    pub async fn find_device(&self, id_or_name: &str) -> Result<DeviceInfo> {
        listed::find_device(&self.vault, id_or_name).await
    }

    /// Calls a device something else.
    /// Errors: [`Error::Unknown`]; [`Error::Protocol`] for a text that is no name.
    pub async fn name_device(&self, device: DeviceId, name: &str) -> Result<()> {
        devices::name_device(&self.vault, device, name).await
    }

    /// What other devices have added since this home was told last, once. A home that has been told nothing yet
    /// begins with what there is.
    /// Errors: [`crate::Error::Tampered`] and others for what is not hers; of the connection. It is
    /// then told the next time.
    pub async fn news(&self) -> Result<Vec<News>> {
        news::news(&self.vault).await
    }

    /// Goes on with a server that was restored, if that is proven (RST-5, RST-6): does what has to be done before her vault moves
    /// again, and says what was lost. If it is interrupted, call it again to resume.
    /// Errors: [`Error::Usage`] if nothing was restored, or if her list of devices was changed since the copy was
    /// made; [`Error::Tampered`] for what is not proven; of the connection.
    pub async fn accept_restoration(home: impl Into<Ground>, unlock: &Unlock) -> Result<Returned> {
        returning::accept_restoration(home.into(), unlock).await
    }

    /// Looks up the device whose code this is, answers it, and waits until it has opened its nonce: it then shows the short
    /// string. The same code may be tried again.
    /// Errors: [`Error::Usage`] for a code that is none, was used or is over, and when the new device does not
    /// answer; [`Error::Tampered`] when the server shows something else than the code names (DEV-9).
    pub async fn pending_device(&self, code: &str) -> Result<PendingDevice> {
        link::pending_device(&self.vault, code).await
    }

    /// Adds it, if `short_string` is what she has read on the new device.
    /// Errors: [`Error::Usage`] when the strings differ: nothing is then sent.
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
    /// Errors: [`crate::Error::Tampered`] for what is not hers; of the connection.
    pub async fn given_by(&self, device: DeviceId, since: Option<u64>) -> Result<Vec<Given>> {
        given::given_by(&self.vault, device, since).await
    }

    /// Of what [`Self::given_by`] shows, what stays when the device is removed and this is kept: nothing by devices that go with it.
    pub async fn staying(
        &self,
        device: DeviceId,
        since: Option<u64>,
        keep: impl Fn(&Given) -> bool,
    ) -> Result<Vec<Given>> {
        given::staying(&self.vault, device, since, keep).await
    }

    /// What still holds by the word of devices that are off the list, as a removal that was broken off or asked for nothing leaves it:
    /// how much, by device. It gets no new keys (DEV-21), and what is spent gets none anyway. Errors: as [`Self::given_by`].
    pub async fn left_behind(&self) -> Result<Vec<(DeviceId, usize)>> {
        given::left_behind(&self.vault).await
    }

    /// The kit as a PDF of one page. It holds the words.
    /// Errors: those of reading the home.
    pub fn kit_sheet(&self, kit: &Kit) -> Result<Zeroizing<Vec<u8>>> {
        recovery::kit::kit_sheet(&self.vault, kit)
    }

    /// From now on this kit opens the vault, and one before it does not any more: what the one before could open is
    /// brought under new keys, and `progress` counts its records. One that is settled goes at once only with its own words,
    /// `before`; else it stays for a while, and its leaving is announced on all devices (DEV-23).
    /// Errors: [`Error::RecoveryWords`], [`Error::UnknownRecovery`] for words that are not those of the one before.
    /// Of the connection, and what the server refuses. After [`Error::Unreachable`] nobody knows which kit is in
    /// force; else the new one is of no use, and one before it as good as ever.
    pub async fn use_kit(
        &self,
        kit: &Kit,
        before: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<RecoveryMember> {
        recovery::kit::use_kit(&self.vault, kit, before, progress).await
    }

    /// Whether the list of devices has a kit. Errors: as [`Self::devices`].
    pub async fn has_kit(&self) -> Result<bool> {
        recovery::kit::has_kit(&self.vault).await
    }

    /// Does with a kit's words all that a restoration does before it changes anything (RCV-11).
    /// Errors: [`Error::RecoveryWords`], [`Error::UnknownRecovery`]; [`Error::Usage`] for the words of another vault.
    pub async fn rehearse(&self, words: &str) -> Result<Rehearsed> {
        recovery::kit::rehearse(&self.vault, words).await
    }

    /// The trustee with this patient id, or the institution with this id or name. Errors: as [`Self::institution`].
    pub async fn trustee(&self, id_or_name: &str) -> Result<Trustee> {
        recovery::trustees::trustee(&self.vault, id_or_name).await
    }

    /// Divides a new secret among trustees, any `threshold` of whom can restore the vault.
    /// Errors: [`Error::Usage`] for numbers that make no sense; [`Error::Unknown`] for a patient whom
    /// the server does not know.
    pub async fn new_trustees(&self, threshold: u8, trustees: &[Trustee]) -> Result<NewTrustees> {
        recovery::trustees::new_trustees(&self.vault, threshold, trustees).await
    }

    /// From now on these trustees can restore the vault, and others before them cannot
    /// any more, as with [`Self::use_kit`].
    /// Errors: of the connection, and what the server refuses: the shares are then of no use, and those before
    /// them as good as ever.
    pub async fn use_trustees(&self, new: &NewTrustees, progress: &dyn Progress) -> Result<Entrusted> {
        recovery::trustees::use_trustees(&self.vault, new, progress).await
    }

    /// Gives a share that this patient holds back to a machine whose check string its owner has told.
    /// Errors: [`Error::Usage`] when the check string is another, or the share
    /// is not in force; [`Error::WrongShare`].
    pub async fn return_share(&self, file: &[u8], offer: &[u8], check: &str) -> Result<ReturnedFile> {
        recovery::trustees::return_share(&self.vault, file, offer, check).await
    }

    /// Whether she should be reminded to rehearse, which she is once a day when a kit has not been tried for a year;
    /// and since when. Errors: [`crate::Error::HomeDamaged`], [`crate::Error::Io`].
    pub fn recovery_reminder(&self) -> Result<Option<u64>> {
        recovery::reminder::recovery_reminder(&self.vault)
    }
}
