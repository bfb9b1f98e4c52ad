//! A device is removed: it is shut out, and what it has given ends before anybody gets new keys, or is signed again by this
//! device where she has said so. See `protocol-spec/spec/devices.md` §6 (DEV-21 to DEV-23).

use std::collections::HashSet;

use crypto::{Collection, CollectionKey};
use protocol_spec::{
    defence::Defence,
    devices::{ListedDevice, RECOVERY_DELAY},
    ids::{CollectionId, DeviceId},
    problem::Problem,
};

use super::{
    Given, GivenKind, Patient,
    delegation::DelegationTerms,
    devices::{Change, Newcomer, unknown},
    given::{Holding, Item},
    known::Known,
};
use crate::{Error, Progress, Result, mint};

/// What the removal of a device came to.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// What it had given, and has ended.
    pub ended: Vec<Given>,
    /// What it had given, and this device has signed again.
    pub signed_again: Vec<Given>,
    /// What was to stay and could not be signed again, with why: it gets no new keys, and can be given anew.
    pub not_signed_again: Vec<(Given, String)>,
    /// Recovery members that stay for a while, because they are settled (DEV-23): their leaving is announced.
    pub leaving: Vec<DeviceId>,
}

impl Patient {
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
        if device == self.keys.own.id() {
            return Err(Error::Usage(
                "a device cannot remove itself, since it would know the new keys: remove it from another one"
                    .into(),
            ));
        }
        let known = self.refresh_devices().await?;
        let state = known.device(device).ok_or_else(|| unknown(device))?;
        let leaving = if state.is_removed() {
            Vec::new()
        } else {
            self.shut_out(device, keep).await?
        };
        let gone = self.keys.known().history().gone_with(device);
        let removal = self.end_words(&gone, keep, progress).await?;
        progress.finished();
        self.put_head().await?;
        Ok(Removal { leaving, ..removal })
    }

    /// Adds a device in the place of others, whose keys are of no use from then on; what they have given ends.
    pub(super) async fn replace_devices(
        &self,
        old: &[DeviceId],
        newcomer: &Newcomer<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        if old.is_empty() {
            return self.add_device(newcomer).await;
        }
        self.change(&Change::Replace(&|_| old.to_vec(), Some(newcomer)))
            .await?;
        self.end_words(old, &HashSet::new(), progress).await?;
        progress.finished();
        self.put_head().await
    }

    /// Takes a device off the list, and with it those that are there by its word and are not kept. Gives the recovery members
    /// among them that the server keeps for a while.
    async fn shut_out(&self, device: DeviceId, keep: &HashSet<String>) -> Result<Vec<DeviceId>> {
        let all = |known: &Known| -> Vec<DeviceId> {
            if Defence::SignersWord.is_off() {
                return vec![device];
            }
            self.going_with(known, device, |id| keep.contains(&id.to_string()))
        };
        let is_member = |known: &Known, id: &DeviceId| {
            let listed = known.newest().device(*id);
            listed.is_some_and(ListedDevice::is_for_recovery)
        };
        let kept =
            |outcome: &Result<()>| matches!(outcome, Err(error) if error.is_problem(Problem::RecoveryKept));
        let outcome = self.change(&Change::Replace(&all, None)).await;
        if !kept(&outcome) {
            return outcome.map(|()| Vec::new());
        }
        // One of the members is settled, and only the server knows which: the devices go first, so that nobody adds more.
        let known = self.keys.known();
        let going = all(&known);
        if !is_member(&known, &device) {
            let devices = |known: &Known| {
                let mut devices = all(known);
                devices.retain(|id| !is_member(known, id));
                devices
            };
            self.change(&Change::Replace(&devices, None)).await?;
        }
        let mut leaving = Vec::new();
        for member in going.into_iter().filter(|id| is_member(&known, id)) {
            let outcome = self.change(&Change::Replace(&|_| vec![member], None)).await;
            if kept(&outcome) {
                self.change(&Change::Leaving(member)).await?;
                leaving.push(member);
            } else {
                outcome?;
            }
        }
        Ok(leaving)
    }

    /// Ends what devices that are off the list have given, but for what is to be signed again; only then the keys that they
    /// know are taken out of use.
    async fn end_words(
        &self,
        gone: &[DeviceId],
        keep: &HashSet<String>,
        progress: &dyn Progress,
    ) -> Result<Removal> {
        let mut removal = Removal {
            ended: self.gone_devices(gone)?,
            ..Removal::default()
        };
        let mut last = Vec::new();
        if !Defence::SignersWord.is_off() {
            let asked = gone.first();
            let stays = |item: &Item| {
                let others = item.under.iter().any(|by| gone.contains(by) && Some(by) != asked);
                keep.contains(&item.given.id) && !others
            };
            let (again, end): (Vec<_>, Vec<_>) = self.given(gone, None).await?.into_iter().partition(stays);
            for item in end {
                last.extend(self.end_word(&item).await?);
                removal.ended.push(item.given);
            }
            for item in again {
                match self.sign_again(&item).await {
                    Ok(ended) => {
                        last.extend(ended);
                        removal.signed_again.push(item.given);
                    }
                    Err(error) => removal.not_signed_again.push((item.given, error.to_string())),
                }
            }
        }
        self.retire_up_to(&last, progress).await?;
        self.retire_old_epochs(progress).await?;
        Ok(removal)
    }

    /// The devices that have gone with the first of these.
    fn gone_devices(&self, gone: &[DeviceId]) -> Result<Vec<Given>> {
        let known = self.keys.known();
        let mut devices = Vec::new();
        for id in gone.iter().skip(1) {
            let Some(device) = known.device(*id) else {
                continue;
            };
            devices.push(Given {
                id: id.to_string(),
                kind: if device.listed.is_for_recovery() {
                    GivenKind::Recovery
                } else {
                    GivenKind::Device
                },
                name: known.name(*id)?.as_str().to_owned(),
                created: known.list(device.added).map_or(0, |list| list.claimed().created),
                earlier: false,
            });
        }
        Ok(devices)
    }

    /// Gives the epochs of collections whose keys are to be taken out of use.
    async fn end_word(&self, item: &Item) -> Result<Vec<Collection>> {
        match &item.word {
            Holding::Device => Ok(Vec::new()),
            Holding::Delegation(own) => self.submit_end(own).await,
            Holding::Permission(own) => {
                self.exposed(&own.permission).await?;
                self.submit_revocation(own).await?;
                Ok(Vec::new())
            }
        }
    }

    /// The same on the same terms, by this device's word.
    async fn sign_again(&self, item: &Item) -> Result<Vec<Collection>> {
        match &item.word {
            Holding::Device => Ok(Vec::new()),
            Holding::Delegation(own) => {
                let info = self.delegation_info(own)?;
                let terms = DelegationTerms {
                    name: info.delegate.name,
                    power: info.power,
                    collections: info.collections,
                    not_before: Some(info.not_before),
                    not_after: info.not_after,
                };
                let before = Some(own.delegation.delegation_id);
                self.delegate_after(info.delegate.id, &terms, before).await?;
                self.submit_end(own).await
            }
            Holding::Permission(own) => {
                self.replace(own, |body| {
                    if let Some(old) = &mut body.replaces {
                        old.signed_again = true;
                    }
                })
                .await?;
                Ok(Vec::new())
            }
        }
    }

    /// A recovery member stays: whoever has announced that it leaves is contradicted.
    ///
    /// # Errors
    /// [`Error::Unknown`] for one that is not on the list.
    pub async fn keep_member(&self, member: DeviceId) -> Result<()> {
        self.change(&Change::Staying(member)).await?;
        self.put_head().await
    }

    /// Removes recovery members whose leaving this device has announced long enough ago.
    pub(super) async fn finish_leaving(&self, progress: &dyn Progress) -> Result<()> {
        let known = self.keys.known();
        let due = |id: &DeviceId| {
            let (by, list) = known.history().announced(*id)?;
            let at = known.list(list)?.claimed().created;
            let over = mint::now_ms() >= at.saturating_add(mint::millis(RECOVERY_DELAY));
            (by == self.keys.own.id() && over).then_some(*id)
        };
        for member in known.newest().leaving.iter().filter_map(due) {
            self.remove_device(member, &HashSet::new(), progress).await?;
        }
        Ok(())
    }

    /// Brings whatever lies in her collections under their current keys, and closes the epochs before. Upload keys
    /// are replaced: whoever knew one could read what is yet to come under it.
    pub(super) async fn retire_old_epochs(&self, progress: &dyn Progress) -> Result<()> {
        let old: Vec<Collection> = {
            let ring = self.refresh_ring().await?;
            // What lies under a key that does not open is brought under a new one by what it came with (DEV-30).
            let open = |(id, _, keys): (CollectionId, _, &[Option<CollectionKey>])| {
                let before = keys.split_last().map_or(&[][..], |(_, before)| before);
                let numbered = (0..).zip(before);
                let placed = numbered.map(|(epoch, key)| (Collection { id, epoch }, key));
                placed
                    .filter(|(of, key)| key.is_some() || ring.lost(*of).is_some())
                    .map(|(of, _)| of)
                    .collect::<Vec<_>>()
            };
            let records = ring.keys().filter(|(id, ..)| *id != CollectionId::OWN);
            records.flat_map(open).collect()
        };
        for collection in old {
            self.retire_epoch(collection, progress).await?;
        }
        self.replace_old_upload_keys().await
    }
}
