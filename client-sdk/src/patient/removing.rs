//! A device is removed: it is shut out, and what it has given ends before anybody gets new keys, or is signed again by this
//! device where she has said so. See `protocol-spec/spec/devices.md` §6 (DEV-21 to DEV-28).

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use crypto::Collection;
use protocol_spec::{
    defence::Defence,
    devices::{ListedDevice, RECOVERY_DELAY},
    field::Name,
    ids::DeviceId,
    problem::Problem,
};

use super::{
    Given, GivenKind, Patient,
    delegation::DelegationTerms,
    devices::{Change, DeviceInfo, Newcomer, unknown},
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

/// What a removal has taken off the list, or will.
#[derive(Default)]
struct ShutOut {
    /// The device that was asked about, and all that go with it.
    going: Vec<DeviceId>,
    /// Those of them that stay for a while.
    leaving: Vec<DeviceId>,
    /// Why the leaving of one could not be announced.
    failed: Option<Error>,
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
        known.device(device).ok_or_else(|| unknown(device))?;
        let shut_out = self.shut_out(device, keep).await?;
        let removal = self.end_words(&shut_out.going, keep, progress).await?;
        progress.finished();
        self.put_head().await?;
        match shut_out.failed {
            None => Ok(Removal {
                leaving: shut_out.leaving,
                ..removal
            }),
            Some(error) => Err(error),
        }
    }

    /// What a removed device has added and is on the list still, because its removal was broken off, or another client has asked
    /// for nothing. To remove the device again takes it along.
    ///
    /// # Errors
    /// As [`Self::devices`].
    pub async fn left_on_list(&self, device: DeviceId) -> Result<Vec<DeviceInfo>> {
        let known = self.refresh_devices().await?;
        if known.newest().device(device).is_some() {
            return Ok(Vec::new());
        }
        let going = self.going_with(&known, device, |_| false);
        let mut left = self.devices().await?;
        left.retain(|info| going.contains(&info.id));
        Ok(left)
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

    /// Takes a device off the list, and with it those that are there by its word and are not kept; of one that is off it
    /// already, those that a removal which was broken off has left. Recovery members that the server keeps for a while are
    /// announced.
    async fn shut_out(&self, device: DeviceId, keep: &HashSet<String>) -> Result<ShutOut> {
        // By the list that is changed: when another device is faster, by the one that it has made.
        let going = Mutex::new(Vec::new());
        let listed = |known: &Known| -> Vec<DeviceId> {
            let all = if Defence::SignersWord.is_off() {
                vec![device]
            } else {
                self.going_with(known, device, |id| keep.contains(&id.to_string()))
            };
            let mut listed = all.clone();
            listed.retain(|id| known.newest().device(*id).is_some());
            *going.lock().unwrap_or_else(PoisonError::into_inner) = all;
            listed
        };
        let (mut leaving, mut failed) = (Vec::new(), None);
        if !listed(&self.keys.known()).is_empty() {
            match self.change(&Change::Replace(&listed, None)).await {
                Err(error) if error.is_problem(Problem::RecoveryKept) => {
                    let members = self.shut_out_devices(&listed).await?;
                    for member in members {
                        match self.member_leaves(member).await {
                            Ok(true) => {}
                            Ok(false) => leaving.push(member),
                            // What the devices have given ends all the same.
                            Err(error) => failed = Some(error),
                        }
                    }
                }
                done => done?,
            }
        }
        let going = going.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(ShutOut {
            going,
            leaving,
            failed,
        })
    }

    /// One of the members that go is settled, and only the server knows which: the devices go first, so that nobody adds more
    /// (DEV-27). Gives the members.
    async fn shut_out_devices(
        &self,
        listed: &(dyn Fn(&Known) -> Vec<DeviceId> + Sync),
    ) -> Result<Vec<DeviceId>> {
        let of_kind = |known: &Known, members: bool| {
            let mut some = listed(known);
            some.retain(|id| {
                let listed = known.newest().device(*id);
                listed.is_some_and(ListedDevice::is_for_recovery) == members
            });
            some
        };
        let members = of_kind(&self.keys.known(), true);
        let devices = |known: &Known| of_kind(known, false);
        if !devices(&self.keys.known()).is_empty() {
            self.change(&Change::Replace(&devices, None)).await?;
        }
        Ok(members)
    }

    /// Removes a recovery member, or announces that it leaves if it may not go yet; whether it has gone.
    async fn member_leaves(&self, member: DeviceId) -> Result<bool> {
        match self.change(&Change::Replace(&|_| vec![member], None)).await {
            Err(error) if error.is_problem(Problem::RecoveryKept) => {
                if !self.keys.known().newest().leaving.contains(&member) {
                    self.change(&Change::Leaving(member)).await?;
                }
                Ok(false)
            }
            done => done.map(|()| true),
        }
    }

    /// Ends what devices that are off the list have given, but for what is to be signed again; only then the keys that they
    /// know are taken out of use.
    async fn end_words(
        &self,
        going: &[DeviceId],
        keep: &HashSet<String>,
        progress: &dyn Progress,
    ) -> Result<Removal> {
        let mut removal = Removal {
            ended: self.gone_devices(going)?,
            ..Removal::default()
        };
        let mut last = Vec::new();
        if !Defence::SignersWord.is_off() {
            let mut items = self.given(going, None).await?;
            // What becomes of devices is decided by the list.
            items.retain(|item| !matches!(item.word, Holding::Device));
            let stays = |item: &Item| keep.contains(&item.given.id) && !item.rests_on_others(going);
            let (again, end): (Vec<_>, Vec<_>) = items.into_iter().partition(stays);
            for item in end {
                last.extend(self.end_word(&item).await?);
                removal.ended.push(item.given);
            }
            // Of what is spent nothing is left that could be given anew.
            for item in again.into_iter().filter(|item| !item.given.spent) {
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
    fn gone_devices(&self, going: &[DeviceId]) -> Result<Vec<Given>> {
        let known = self.keys.known();
        let mut devices = Vec::new();
        for id in going.iter().skip(1) {
            let Some(device) = known.device(*id).filter(|device| device.is_removed()) else {
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
                spent: false,
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
            // Of what is gone nothing can be permitted again.
            Holding::Permission(own) if self.is_over_nothing(own).await? => {
                self.submit_revocation(own).await?;
                Ok(Vec::new())
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

    /// Removes recovery members whose leaving this device has announced long enough ago, each alone: one on which something
    /// rests stays announced, and she says what becomes of that (DEV-28). Gives those that stay for this, with what she calls them.
    ///
    /// # Errors
    /// Of the connection, and what the server refuses; it is taken up again by the next call.
    pub async fn finish_leaving(&self, progress: &dyn Progress) -> Result<Vec<(DeviceId, Name)>> {
        let known = self.keys.known();
        let now = self.session.clock.now();
        let due = |id: &DeviceId| {
            let (by, list) = known.history().announced(*id)?;
            let at = known.list(list)?.claimed().created;
            let over = now.is_over(at.saturating_add(mint::millis(RECOVERY_DELAY)));
            (by == self.keys.own.id() && over).then_some(*id)
        };
        let mut stay = Vec::new();
        for member in known.newest().leaving.iter().filter_map(due) {
            let known = self.refresh_devices().await?;
            if !known.newest().leaving.contains(&member) {
                continue;
            }
            let going = self.going_with(&known, member, |_| false);
            if !self.given(&going, None).await?.is_empty() {
                stay.push((member, known.name(member)?));
                continue;
            }
            // By the server's clock it may not be a week yet: then it stays announced.
            drop(self.remove_device(member, &HashSet::new(), progress).await?);
        }
        Ok(stay)
    }

    /// Brings whatever lies in her collections under their current keys, and closes the epochs before. Upload keys
    /// are replaced: whoever knew one could read what is yet to come under it.
    pub(super) async fn retire_old_epochs(&self, progress: &dyn Progress) -> Result<()> {
        let old = self.refresh_ring().await?.old_epochs();
        for collection in old {
            self.retire_epoch(collection, progress).await?;
        }
        self.replace_old_upload_keys().await
    }
}
