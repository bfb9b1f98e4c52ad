//! What a malicious operator tries with devices (ATK-2, ATK-3, ATK-38, ATK-39): the real programs against a server
//! that lies, and, as controls, programs without the defence.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crypto::{
    Collection, LinkCode, OperatingSystem, RecipientSecret, RootKeyContext, SigningIdentity, VaultRootKey,
    WrappedKey, seal_root_key,
};
use prost::Message;
use protocol_spec::{
    defence::Defence,
    devices::{DeviceKind, DeviceList, ListedDevice},
    hash::sha256,
    ids::{CollectionId, DeviceId},
    keys::RecipientKey,
    labels, messages as pb,
    statement::Signed,
};
use tests::{
    attack::{play, play_async},
    harness::{Cli, World, kept, text},
    raw::{RawPatient, Wire, random},
};

use super::{Linking, approve, link, listed};

const DEVICES: &str = "/v1/vault/devices";

/// The device that a malicious operator puts into a list.
fn ghost(before: &Signed<DeviceList>) -> Result<Signed<DeviceList>> {
    let (device, recipient) = (
        SigningIdentity::generate(&OperatingSystem)?,
        RecipientSecret::generate(&OperatingSystem)?,
    );
    let mut list = before.claimed().clone();
    list.sequence += 1;
    list.previous_hash = before.hash();
    list.signer = DeviceId::from(&device.public());
    // It has no root key to seal a name with, so it takes another's place with its keys.
    let first = list.devices.first_mut().context("no device")?;
    first.device_key = device.public();
    first.recipient_key_hash = recipient.public().digest();
    Ok(Signed::sign(list, |message| device.sign_bytes(message)))
}

/// ATK-3: the server shows a list that no device of hers has signed. Nobody takes it up; without the check it becomes
/// what the device keeps.
#[test]
fn a_list_that_no_device_has_signed_is_refused() -> Result<()> {
    let attack = |without: &[Defence]| -> Result<(bool, String)> {
        let (world, liar) = World::start_behind_liar()?;
        let (first, _) = world.patient("patient")?;
        link(&world, &first, "Tablet")?;
        let device = if without.is_empty() {
            first
        } else {
            first.without(without)
        };
        let kept = || Ok::<_, anyhow::Error>(std::fs::read(device.home().join("devices.pb"))?);
        device.run(&["device", "list"])?;
        let before = kept()?;
        liar.tell_of(DEVICES, |mut answer: pb::DeviceLists| {
            let last = answer.lists.last().cloned().map(Signed::<DeviceList>::try_from);
            if let Some(Ok(last)) = last
                && let Ok((forged, keys)) = forged_by_a_stranger(&last)
            {
                answer.lists.push(forged.to_message());
                answer.devices.push(keys);
            }
            answer
        });
        let outcome = device.command(&["device", "list"])?.output()?;
        Ok((
            kept()? != before,
            String::from_utf8_lossy(&outcome.stderr).into_owned(),
        ))
    };
    play(&[Defence::DeviceLists], |without| {
        let (taken, said) = attack(without)?;
        ensure!(
            taken || said.contains("its signer is not in the list before"),
            "{said}"
        );
        Ok(taken)
    })
}

/// A list with one more device, which has signed it itself.
fn forged_by_a_stranger(before: &Signed<DeviceList>) -> Result<(Signed<DeviceList>, pb::DeviceKeys)> {
    let (device, recipient) = (
        SigningIdentity::generate(&OperatingSystem)?,
        RecipientSecret::generate(&OperatingSystem)?,
    );
    let mut list = before.claimed().clone();
    list.sequence += 1;
    list.previous_hash = before.hash();
    list.signer = DeviceId::from(&device.public());
    list.devices.push(ListedDevice {
        device_key: device.public(),
        recipient_key_hash: recipient.public().digest(),
        kind: DeviceKind::Device,
        sealed_name: Bytes::from_static(&[1; 136]),
    });
    let keys = pb::DeviceKeys {
        chain: None,
        recipient_key: Bytes::copy_from_slice(recipient.public().as_bytes()),
    };
    Ok((Signed::sign(list, |message| device.sign_bytes(message)), keys))
}

/// DEV-14, ATK-38, ATK-39: an older list, or another one in the place of one that was seen.
#[test]
fn an_older_or_another_list_than_was_seen_is_refused() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (first, _) = world.patient("patient")?;
    link(&world, &first, "Tablet")?;
    assert_eq!(listed(&first)?, ["first device", "Tablet"]);
    let fork = |what: &str| -> Result<()> {
        let refused = first.fail(&["device", "list"])?;
        assert_eq!(refused.json["error"]["code"], "tampered", "{what}: {refused:?}");
        Ok(())
    };
    first.run(&["device", "name", "Tablet", "Kitchen"])?;
    // What is asked for begins with the newest list that was seen. A server that was set back shows one before it.
    let earlier = kept(first.home(), "devices.pb")?;
    let earlier = pb::DeviceLists::decode(earlier.as_slice())?.lists;
    liar.tell_of(DEVICES, move |mut answer: pb::DeviceLists| {
        answer.lists = earlier.get(1..2).unwrap_or_default().to_vec();
        answer
    });
    fork("the one before")?;
    liar.tell_of(DEVICES, |mut answer: pb::DeviceLists| {
        answer.lists.clear();
        answer
    });
    fork("with none")?;
    liar.tell_of(DEVICES, |mut answer: pb::DeviceLists| {
        let before = answer.lists.pop().map(Signed::<DeviceList>::try_from);
        if let Some(Ok(before)) = before
            && let Ok(other) = ghost(&before)
        {
            answer.lists.push(other.to_message());
        }
        answer
    });
    fork("with another")?;
    liar.be_honest();
    assert_eq!(listed(&first)?, ["first device", "Kitchen"]);
    Ok(())
}

/// ATK-38, ATK-39, the control: a device that has not seen the newest list believes the one before.
#[test]
fn without_memory_an_older_list_is_believed() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (first, _) = world.patient("patient")?;
    let second = link(&world, &first, "Tablet")?;
    first.run(&["device", "name", "Tablet", "Kitchen"])?;
    assert_eq!(listed(&first)?, ["first device", "Kitchen"]);
    liar.tell_of(DEVICES, |mut answer: pb::DeviceLists| {
        answer.lists.truncate(1);
        answer
    });
    assert_eq!(listed(&second)?, ["first device", "Tablet"]);
    Ok(())
}

/// DEV-5, ATK-2: the server seals a root key of its own to a new device. Without the check, whatever the device makes
/// opens for the server.
#[test]
fn a_root_key_of_the_servers_making_is_refused() -> Result<()> {
    let attack = |without: &[Defence]| -> Result<usize> {
        let (world, liar) = World::start_behind_liar()?;
        let (first, patient) = world.patient("patient")?;
        // With VLT-5 the server could not show an empty vault either.
        let off = match without {
            [] => Vec::new(),
            _ => [without, &[Defence::VaultHeads]].concat(),
        };
        let device = world.principal("tablet").without(&off);
        let mut linking = Linking::start(&world, device.clone())?;
        let forged = VaultRootKey::generate(&OperatingSystem)?;
        let own = VaultRootKey::from_bytes(forged.expose());
        let patient = patient.parse()?;
        liar.tell_of(DEVICES, move |mut answer: pb::DeviceLists| {
            let last = answer.devices.last();
            let key = last.and_then(|device| RecipientKey::try_from(device.recipient_key.as_ref()).ok());
            let list = answer.lists.last().cloned().map(Signed::<DeviceList>::try_from);
            if !answer.approval.is_empty()
                && let (Some(key), Some(Ok(list))) = (key, list)
                && let Some(device) = list.claimed().devices.last().map(ListedDevice::id)
            {
                let context = RootKeyContext {
                    patient,
                    epoch: 0,
                    device,
                };
                answer.root_key = seal_root_key(&OperatingSystem, &key, &context, &forged)
                    .ok()
                    .map(|sealed| (&sealed).into());
            }
            answer
        });
        approve(&first, &mut linking, "Tablet")?;
        if without.is_empty() {
            let failure = linking.fail()?;
            ensure!(failure["error"]["code"] == "tampered", "{failure}");
            ensure!(!device.home().join("principal.json").exists(), "it has a home");
            return Ok(0);
        }
        linking.finish()?;
        // The control: it has taken the key; the server shows an empty vault, and reads what is put there.
        liar.tell_of("/v1/vault/collections", |mut list: pb::CollectionList| {
            list.collections.clear();
            list
        });
        device.run(&["collection", "create", "secret"])?;
        let wraps = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = wraps.clone();
        liar.tell_of("/v1/vault/collections", move |list: pb::CollectionList| {
            seen.lock()
                .map(|mut seen| seen.extend(list.collections.iter().cloned()))
                .unwrap_or_default();
            list
        });
        first.command(&["collection", "list"])?.output()?;
        let seen = wraps.lock().map(|seen| seen.clone()).unwrap_or_default();
        let opened = seen.iter().filter(|made| {
            let id = CollectionId::try_from(made.collection_id.as_ref());
            let wrapped = made
                .key_wraps
                .first()
                .map(|wrap| WrappedKey::try_from(wrap.as_ref()));
            let (Ok(id), Some(Ok(wrapped))) = (id, wrapped) else {
                return false;
            };
            own.unwrap_collection_key(&wrapped, &patient, &Collection { id, epoch: 0 })
                .is_ok()
        });
        Ok(opened.count())
    };
    // In the control the server opens the new collection's key.
    play(&[Defence::RootKey], |without| Ok(attack(without)? == 1))
}

/// DEV-9, ATK-3: in the place of the new device's keys the server shows its own.
#[test]
fn other_keys_than_the_code_names_are_not_added() -> Result<()> {
    let attack = |without: &[Defence]| -> Result<(String, usize)> {
        let (world, liar) = World::start_behind_liar()?;
        let (first, _) = world.patient("patient")?;
        let mut linking = Linking::start(&world, world.principal("tablet"))?;
        let (device, recipient) = (
            SigningIdentity::generate(&OperatingSystem)?,
            RecipientSecret::generate(&OperatingSystem)?,
        );
        let offer = (device.public(), recipient.public().clone());
        liar.tell_of("/v1/links/", move |state: pb::LinkState| pb::LinkState {
            offer: state.offer.map(|honest| pb::LinkOffer {
                device_key: Bytes::copy_from_slice(offer.0.as_bytes()),
                recipient_key: Bytes::copy_from_slice(offer.1.as_bytes()),
                ..honest
            }),
            ..state
        });
        let by = first.without(without);
        let outcome = by.command(&["device", "approve", &linking.code])?.output()?;
        let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
        if said.contains("now shows a short string") {
            approve(&by, &mut linking, "Tablet")?;
        }
        liar.be_honest();
        linking.stop()?;
        Ok((said, listed(&first)?.len()))
    };
    play(&[Defence::LinkOffer], |without| {
        let (said, devices) = attack(without)?;
        ensure!(
            devices == 2 || said.contains("other keys than its code"),
            "{said}"
        );
        Ok(devices == 2)
    })
}

/// DEV-20, ATK-70: what a new device will show cannot be computed from its offer, before a device of hers has answered: so nobody
/// has a table of it.
#[test]
fn a_short_string_is_not_known_in_advance() -> Result<()> {
    play(&[Defence::ShortString], |without| {
        let world = World::start()?;
        let (first, _) = world.patient("patient")?;
        let mut linking = Linking::start(&world, world.principal("tablet").without(without))?;
        // The operator computes it from the keys that are offered; here the code stands in for its eyes.
        let code = linking.code.trim_start_matches("code_").to_ascii_uppercase();
        let code = data_encoding::BASE32_NOPAD.decode(code.as_bytes())?;
        let offer = code.get(16..).context("no offer")?;
        let digest = sha256(&[&labels::LINK_SHORT_STRING.bytes(), offer]);
        let number = digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)) % 1_000_000_000;
        approve(&first.without(without), &mut linking, "Tablet")?;
        let shown: String = linking
            .short_string()?
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        linking.finish()?;
        Ok(shown.parse() == Ok(number))
    })
}

/// DEV-20, ATK-70: the server gives the new device another answer than hers. Both show other strings; without the nonces in them
/// nobody notices.
#[test]
fn another_answer_than_hers_gives_another_short_string() -> Result<()> {
    play(&[Defence::ShortString], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let (first, _) = world.patient("patient")?;
        let mut linking = Linking::start(&world, world.principal("tablet").without(without))?;
        liar.tell(|asked, body| {
            if asked.ends_with("/answer") && !body.is_empty() {
                let nonce = Bytes::from_static(&[7; 32]);
                pb::LinkAnswer { nonce }.encode_to_vec().into()
            } else {
                body
            }
        });
        let by = first.without(without);
        by.fail(&["device", "approve", &linking.code])?;
        let short = linking.short_string()?;
        let args = ["device", "approve", &linking.code, "--short-string", &short];
        let said = by.command(&args)?.output()?;
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        liar.be_honest();
        linking.stop()?;
        let added = listed(&first)?.len() == 2;
        ensure!(added || said.contains("short strings differ"), "{said}");
        Ok(added)
    })
}

/// DEV-11, ATK-3: somebody else, whom the server helps, takes the new device into a vault of her own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_device_joins_no_vault_that_its_code_did_not_approve() -> Result<()> {
    let attack = async |without: &[Defence]| -> Result<bool> {
        let world = World::start()?;
        let wire = Wire::connect(world.server.link()).await?;
        let mallory = RawPatient::enrol(&wire).await?;
        let device: Cli = world.principal("tablet").without(without);
        let mut linking = Linking::start(&world, device)?;
        // The operator sees what is offered, and not the code; here the place stands in for its eyes.
        let place = linking.code.parse::<LinkCode>()?.place();
        let state: pb::LinkState = mallory
            .get(&wire, &format!("/v1/links/{place}"))
            .await?
            .message()?;
        let nonce = Bytes::copy_from_slice(&random::<32>()?);
        let (path, answer) = (format!("/v1/links/{place}/answer"), pb::LinkAnswer { nonce });
        let answered = mallory.post(&wire, &path, &answer).await?;
        answered.message::<pb::Accepted>()?;
        // The device has read the answer: with the list that adds it, the offer goes.
        linking.short_string()?;
        let message = mallory.taking_in(&state.offer.context("no offer")?)?;
        mallory.change(&wire, &message).await?.message::<pb::Accepted>()?;
        if without.is_empty() {
            let failure = linking.fail()?;
            ensure!(failure["error"]["code"] == "tampered", "{failure}");
            return Ok(false);
        }
        let (_, shown) = linking.finish()?;
        Ok(text(&shown, "patient_id")? == mallory.id.to_string())
    };
    play_async(&[Defence::LinkApproval], attack).await
}
