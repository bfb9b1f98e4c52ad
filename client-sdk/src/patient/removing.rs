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

use crate::{
    Error, Progress, Result,
    ground::millis,
    patient::{
        certificate,
        delegation::{self, giving::DelegationTerms},
        devices::{self, Change, unknown},
        given::{self, Given, GivenKind, Holding, Item},
        gone, heads,
        known::KnownDevices,
        listed::{self, DeviceInfo, Newcomer},
        rekey, replacing, revoking,
        vault::Vault,
    },
};

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

pub(super) async fn remove_device(
    vault: &Vault,
    device: DeviceId,
    keep: &HashSet<String>,
    progress: &dyn Progress,
) -> Result<Removal> {
    if device == vault.keys.own.id() {
        return Err(Error::Usage(
            "a device cannot remove itself, since it would know the new keys: remove it from another one"
                .into(),
        ));
    }
    let known = listed::refresh_devices(vault).await?;
    known.device(device).ok_or_else(|| unknown(device))?;
    let shut_out = shut_out(vault, device, keep).await?;
    let removal = end_words(vault, &shut_out.going, keep, progress).await?;
    progress.finished();
    heads::put_head(vault).await?;
    match shut_out.failed {
        None => Ok(Removal {
            leaving: shut_out.leaving,
            ..removal
        }),
        Some(error) => Err(error),
    }
}

pub(super) async fn left_on_list(vault: &Vault, device: DeviceId) -> Result<Vec<DeviceInfo>> {
    let known = listed::refresh_devices(vault).await?;
    if known.newest().device(device).is_some() {
        return Ok(Vec::new());
    }
    let going = given::going_with(vault, &known, device, |_| false);
    let mut left = listed::devices(vault).await?;
    left.retain(|info| going.contains(&info.id));
    Ok(left)
}

/// Adds a device in the place of others, whose keys are of no use from then on; what they have given ends.
pub(super) async fn replace_devices(
    vault: &Vault,
    old: &[DeviceId],
    newcomer: &Newcomer<'_>,
    progress: &dyn Progress,
) -> Result<()> {
    if old.is_empty() {
        return devices::add_device(vault, newcomer).await;
    }
    devices::change(vault, &Change::Replace(&|_| old.to_vec(), Some(newcomer))).await?;
    end_words(vault, old, &HashSet::new(), progress).await?;
    progress.finished();
    heads::put_head(vault).await
}

/// Takes a device off the list, and with it those that are there by its word and are not kept; of one that is
/// off it already, those that a removal which was broken off has left. Recovery members that the server keeps
/// for a while are announced.
async fn shut_out(vault: &Vault, device: DeviceId, keep: &HashSet<String>) -> Result<ShutOut> {
    // By the list that is changed: when another device is faster, by the one that it has made.
    let going = Mutex::new(Vec::new());
    let listed = |known: &KnownDevices| -> Vec<DeviceId> {
        let all = if Defence::SignersWord.is_off() {
            vec![device]
        } else {
            given::going_with(vault, known, device, |id| keep.contains(&id.to_string()))
        };
        let mut listed = all.clone();
        listed.retain(|id| known.newest().device(*id).is_some());
        *going.lock().unwrap_or_else(PoisonError::into_inner) = all;
        listed
    };
    let (mut leaving, mut failed) = (Vec::new(), None);
    if !listed(&vault.keys.known()).is_empty() {
        match devices::change(vault, &Change::Replace(&listed, None)).await {
            Err(error) if error.is_problem(Problem::RecoveryKept) => {
                let members = shut_out_devices(vault, &listed).await?;
                for member in members {
                    match member_leaves(vault, member).await {
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

/// One of the members that go is settled, and only the server knows which: the devices go first, so that nobody adds
/// more (DEV-27). Gives the members.
async fn shut_out_devices(
    vault: &Vault,
    listed: &(dyn Fn(&KnownDevices) -> Vec<DeviceId> + Sync),
) -> Result<Vec<DeviceId>> {
    let of_kind = |known: &KnownDevices, members: bool| {
        let mut some = listed(known);
        some.retain(|id| {
            let listed = known.newest().device(*id);
            listed.is_some_and(ListedDevice::is_for_recovery) == members
        });
        some
    };
    let members = of_kind(&vault.keys.known(), true);
    let devices = |known: &KnownDevices| of_kind(known, false);
    if !devices(&vault.keys.known()).is_empty() {
        devices::change(vault, &Change::Replace(&devices, None)).await?;
    }
    Ok(members)
}

/// Removes a recovery member, or announces that it leaves if it may not go yet; whether it has gone.
async fn member_leaves(vault: &Vault, member: DeviceId) -> Result<bool> {
    match devices::change(vault, &Change::Replace(&|_| vec![member], None)).await {
        Err(error) if error.is_problem(Problem::RecoveryKept) => {
            if !vault.keys.known().newest().leaving.contains(&member) {
                devices::change(vault, &Change::Leaving(member)).await?;
            }
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

/// Ends what devices that are off the list have given, but for what is to be signed again; only then the keys that they
/// know are taken out of use.
async fn end_words(
    vault: &Vault,
    going: &[DeviceId],
    keep: &HashSet<String>,
    progress: &dyn Progress,
) -> Result<Removal> {
    let mut removal = Removal {
        ended: gone_devices(vault, going)?,
        ..Removal::default()
    };
    let mut last = Vec::new();
    if !Defence::SignersWord.is_off() {
        let mut items = given::given(vault, going, None).await?;
        // What becomes of devices is decided by the list.
        items.retain(|item| !matches!(item.word, Holding::Device));
        let stays = |item: &Item| keep.contains(&item.given.id) && !item.rests_on_others(going);
        let (again, end): (Vec<_>, Vec<_>) = items.into_iter().partition(stays);
        for item in end {
            last.extend(end_word(vault, &item).await?);
            removal.ended.push(item.given);
        }
        // Of what is spent nothing is left that could be given anew.
        for item in again.into_iter().filter(|item| !item.given.spent) {
            match sign_again(vault, &item).await {
                Ok(ended) => {
                    last.extend(ended);
                    removal.signed_again.push(item.given);
                }
                Err(error) => removal.not_signed_again.push((item.given, error.to_string())),
            }
        }
    }
    delegation::ending::retire_up_to(vault, &last, progress).await?;
    rekey::retire_old_epochs(vault, progress).await?;
    Ok(removal)
}

/// The devices that have gone with the first of these.
fn gone_devices(vault: &Vault, going: &[DeviceId]) -> Result<Vec<Given>> {
    let known = vault.keys.known();
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
async fn end_word(vault: &Vault, item: &Item) -> Result<Vec<Collection>> {
    match &item.word {
        Holding::Device => Ok(Vec::new()),
        Holding::Delegation(own) => delegation::ending::submit_end(vault, own).await,
        Holding::Permission(own) => {
            certificate::exposed(vault, &own.permission).await?;
            revoking::submit_revocation(vault, own).await?;
            Ok(Vec::new())
        }
    }
}

/// The same on the same terms, by this device's word.
async fn sign_again(vault: &Vault, item: &Item) -> Result<Vec<Collection>> {
    match &item.word {
        Holding::Device => Ok(Vec::new()),
        Holding::Delegation(own) => {
            let info = delegation::delegation_info(vault, own)?;
            let terms = DelegationTerms {
                name: info.delegate.name,
                power: info.power,
                collections: info.collections,
                not_before: Some(info.not_before),
                not_after: info.not_after,
            };
            let before = Some(own.delegation.delegation_id);
            delegation::giving::delegate_after(vault, info.delegate.id, &terms, before).await?;
            delegation::ending::submit_end(vault, own).await
        }
        // Of what is gone nothing can be permitted again.
        Holding::Permission(own) if gone::is_over_nothing(vault, own).await? => {
            revoking::submit_revocation(vault, own).await?;
            Ok(Vec::new())
        }
        Holding::Permission(own) => {
            replacing::replace(vault, own, |body| {
                if let Some(old) = &mut body.replaces {
                    old.signed_again = true;
                }
            })
            .await?;
            Ok(Vec::new())
        }
    }
}

pub(super) async fn keep_member(vault: &Vault, member: DeviceId) -> Result<()> {
    devices::change(vault, &Change::Staying(member)).await?;
    heads::put_head(vault).await
}

pub(super) async fn finish_leaving(vault: &Vault, progress: &dyn Progress) -> Result<Vec<(DeviceId, Name)>> {
    let known = vault.keys.known();
    let now = vault.session.clock.now();
    let due = |id: &DeviceId| {
        let (by, list) = known.history().announced(*id)?;
        let at = known.list(list)?.claimed().created;
        let over = now.is_over(at.saturating_add(millis(RECOVERY_DELAY)));
        (by == vault.keys.own.id() && over).then_some(*id)
    };
    let mut stay = Vec::new();
    for member in known.newest().leaving.iter().filter_map(due) {
        let known = listed::refresh_devices(vault).await?;
        if !known.newest().leaving.contains(&member) {
            continue;
        }
        let going = given::going_with(vault, &known, member, |_| false);
        if !given::given(vault, &going, None).await?.is_empty() {
            stay.push((member, known.name(member)?));
            continue;
        }
        // By the server's clock it may not be a week yet: then it stays announced.
        drop(remove_device(vault, member, &HashSet::new(), progress).await?);
    }
    Ok(stay)
}
