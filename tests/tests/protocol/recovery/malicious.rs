//! What a malicious operator tries with recovery (ATK-3, ATK-45): a vault of its own, a guardian of its own, an older
//! state; and, as controls, programs without the defence.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crypto::{OperatingSystem, RecipientSecret, RecoverySecret, SigningIdentity};
use protocol_spec::{
    defence::Defence,
    devices::{DeviceKind, DeviceList, ListedDevice},
    ids::DeviceId,
    messages as pb,
    statement::Signed,
};
use tests::{
    attack::play,
    harness::{World, kept, text},
    raw::{RawPatient, Wire},
};

use super::{code, fail_to_recover, kit, kit_with, recover, right, with_record};

/// RCV-3: the operator has a patient of its own list the kit's public keys, which it knows, and hides all else. With
/// the defence the machine refuses that vault; without it the patient is at home in the operator's.
#[tokio::test]
async fn a_kit_leads_into_no_vault_but_its_own() -> Result<()> {
    let mut world = World::start()?;
    let (patient, id) = world.patient("patient")?;
    let (words, _) = kit(&patient, &world.path("kit.pdf"))?;
    world.server.stop()?;
    std::fs::rename(world.server.data().join("db"), world.path("hidden"))?;
    world.server.restart()?;
    let wire = Wire::connect(world.server.link()).await?;
    let operators = RawPatient::enrol(&wire).await?;
    let keys = RecoverySecret::from_words(&words)?.keys()?;
    let offer = pb::LinkOffer {
        device_key: Bytes::copy_from_slice(keys.identity.public().as_bytes()),
        recipient_key: Bytes::copy_from_slice(keys.recipient.public().as_bytes()),
        ..pb::LinkOffer::default()
    };
    let message = operators.taking_in_as(DeviceKind::Recovery, &offer)?;
    let answer = operators.change(&wire, &message).await?;
    assert!(answer.status.is_success(), "{answer:?}");

    let refused = fail_to_recover(&world, &world.principal("machine"), &words)?;
    assert_eq!(code(&refused), "tampered", "{refused:?}");
    let believing = world.principal("believing").without(&[Defence::RecoveryApproval]);
    let restored = recover(&world, &believing, &words)?;
    assert_eq!(
        text(&restored, "patient_id")?,
        operators.id.to_string(),
        "the control"
    );
    assert_ne!(operators.id.to_string(), id);
    Ok(())
}

/// Once the new kit is in force its page stays, whatever breaks off then; what is left to do is told.
#[test]
fn a_kit_whose_rekeying_breaks_off_is_in_force() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, id, record) = with_record(&world, "patient")?;
    let (before, _) = kit(&patient, &world.path("before.pdf"))?;
    liar.tell_of("/v1/vault/closures", |_: pb::LoggedStatement| {
        pb::LoggedStatement::default()
    });
    let (words, made) = kit(&patient, &world.path("kit.pdf"))?;
    assert!(made["unfinished"].is_string(), "{made}");
    assert!(world.path("kit.pdf").exists());
    liar.be_honest();
    let refused = fail_to_recover(&world, &world.principal("old"), &before)?;
    assert_eq!(code(&refused), "unknown-recovery", "{refused:?}");
    let machine = world.principal("machine");
    let restored = recover(&world, &machine, &words)?;
    assert_eq!(text(&restored, "patient_id")?, id);
    let out = world.path("own").display().to_string();
    machine.run(&["records", "get", &record, "--out", &out])?;
    Ok(())
}

/// A recovery member of the operator's making, with its keys, behind a list.
fn escrow(before: &Signed<DeviceList>) -> Result<(Signed<DeviceList>, pb::DeviceKeys)> {
    let (device, recipient) = (
        SigningIdentity::generate(&OperatingSystem)?,
        RecipientSecret::generate(&OperatingSystem)?,
    );
    let mut list = before.claimed().clone();
    list.sequence += 1;
    list.previous_hash = before.hash();
    list.signer = DeviceId::from(&device.public());
    let sealed_name = list.devices.first().context("no device")?.sealed_name.clone();
    list.devices.push(ListedDevice {
        device_key: device.public(),
        recipient_key_hash: recipient.public().digest(),
        kind: DeviceKind::Recovery,
        sealed_name,
    });
    let keys = pb::DeviceKeys {
        chain: None,
        recipient_key: Bytes::copy_from_slice(recipient.public().as_bytes()),
    };
    Ok((Signed::sign(list, |message| device.sign_bytes(message)), keys))
}

/// ATK-45: "your guardian is X". The operator shows a list with a recovery member of its own while a new kit is made,
/// for which the vault gets a new root key. Nothing is sealed to it; without the check on lists, what would be sent
/// has a root key for it.
#[test]
fn a_guardian_of_the_operators_making_is_given_no_key() -> Result<()> {
    let attack = |without: &[Defence]| -> Result<(bool, String)> {
        let (world, liar) = World::start_behind_liar()?;
        let (patient, _) = world.patient("patient")?;
        kit(&patient, &world.path("first.pdf"))?;
        let device = patient.without(without);
        liar.tell_of("/v1/vault/devices", |mut answer: pb::DeviceLists| {
            let newest = answer.lists.last().cloned().map(Signed::<DeviceList>::try_from);
            if let Some(Ok(newest)) = newest
                && let Ok((list, keys)) = escrow(&newest)
            {
                answer.lists.push(list.to_message());
                answer.devices.push(keys);
            }
            answer
        });
        let (ended, _) = kit_with(&device, &world.path("second.pdf"), right)?;
        assert!(!ended.success);
        // The home keeps what it has believed: the lists that a new root key would go to.
        let kept = kept(device.home(), "devices.pb")?;
        let kept = <pb::DeviceLists as prost::Message>::decode(kept.as_slice())?;
        let newest = kept.lists.last().cloned().context("no list")?;
        let members = Signed::<DeviceList>::try_from(newest)?.claimed().devices.len();
        Ok((members > 2, ended.stderr))
    };
    play(&[Defence::DeviceLists], |without| {
        let (believed, said) = attack(without)?;
        ensure!(
            believed || said.contains("its signer is not in the list before"),
            "{said}"
        );
        Ok(believed)
    })
}

/// A kit is not led into a state from before it was made, and a removed one opens nothing on an honest server.
#[test]
fn a_state_without_the_kit_is_no_vault_for_it() -> Result<()> {
    let mut world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    world.server.stop()?;
    copy(&world.server.data().join("db"), &world.path("before"))?;
    world.server.restart()?;
    let (words, made) = kit(&patient, &world.path("kit.pdf"))?;
    world.server.stop()?;
    std::fs::rename(world.server.data().join("db"), world.path("after"))?;
    std::fs::rename(world.path("before"), world.server.data().join("db"))?;
    world.server.restart()?;
    let machine = world.principal("machine");
    let refused = fail_to_recover(&world, &machine, &words)?;
    assert_eq!(code(&refused), "unknown-recovery", "{refused:?}");
    let refused = patient.fed(&words).fail(&["recovery", "drill"])?;
    assert_eq!(code(&refused), "unknown-recovery", "{refused:?}");

    world.server.stop()?;
    std::fs::rename(world.server.data().join("db"), world.path("before"))?;
    std::fs::rename(world.path("after"), world.server.data().join("db"))?;
    world.server.restart()?;
    patient.run(&["device", "remove", &text(&made, "device_id")?, "--lost"])?;
    let refused = fail_to_recover(&world, &machine, &words)?;
    assert_eq!(code(&refused), "unknown-recovery", "{refused:?}");
    Ok(())
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// RCV-11: the words see what the device sees, or the drill says that they do not.
#[test]
fn a_drill_notices_that_the_kit_is_shown_an_older_list() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, _) = world.patient("patient")?;
    let (words, _) = kit(&patient, &world.path("kit.pdf"))?;
    patient.run(&["device", "name", "first device", "Telephone"])?;
    patient.fed(&words).run(&["recovery", "drill"])?;
    // The kit asks from the first list on, and then for what follows list 1; the device, for what follows list 2.
    liar.tell(
        |asked, body| match <pb::DeviceLists as prost::Message>::decode(body.clone()) {
            Ok(mut answer) if ["/v1/vault/devices", "/v1/vault/devices?after=0"].contains(&asked) => {
                answer.lists.pop();
                prost::Message::encode_to_vec(&answer).into()
            }
            _ => body,
        },
    );
    let refused = patient.fed(&words).fail(&["recovery", "drill"])?;
    assert_eq!(code(&refused), "tampered", "{refused:?}");
    assert!(
        refused.text.contains("another one than this device"),
        "{refused:?}"
    );
    Ok(())
}
