//! What stays possible when somebody fills whatever has an end (DEV-12, DEV-16).

use anyhow::{Result, ensure};
use bytes::Bytes;
use crypto::{LinkNonce, OperatingSystem, RecipientSecret, SigningIdentity};
use protocol_spec::{
    defence::Defence,
    devices::DeviceKind,
    ids::{DeviceId, LinkId},
    messages as pb,
    problem::Problem,
};
use tests::{
    attack::play_async,
    raw::{Answer, Call, Key, RawPatient, RawWorld, Wire, defended, random},
};

/// A patient with a kit and 13 more devices, as she is on the first; and as she is on the kit.
async fn with_fifteen(wire: &Wire) -> Result<(RawPatient, RawPatient)> {
    let mut first = RawPatient::enrol(wire).await?;
    let (mut kit, added) = first.adding(|list| {
        if let Some(kit) = list.devices.last_mut() {
            kit.kind = DeviceKind::Recovery;
        }
    })?;
    first.change(wire, &added).await?.message::<pb::Accepted>()?;
    first.list = kit.list.clone();
    for _ in 0..13 {
        let (next, added) = first.adding(|_| ())?;
        first.change(wire, &added).await?.message::<pb::Accepted>()?;
        first.list = next.actor.list;
    }
    kit.list = first.list.clone();
    Ok((first, kit))
}

/// DEV-16: no device takes the place that recovery needs; from the kit it is taken, and what is full can be emptied.
#[tokio::test]
async fn the_last_place_is_kept_for_recovery() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (first, _) = with_fifteen(&world.wire).await?;
        first.change(&world.wire, &first.adding(|_| ())?.1).await
    };
    defended(&[Defence::DeviceLists], Problem::Malformed, attack).await?;
    let world = RawWorld::start().await?;
    let wire = &world.wire;
    let (_, kit) = with_fifteen(wire).await?;
    let (mut anew, added) = kit.adding(|_| ())?;
    kit.change(wire, &added).await?.message::<pb::Accepted>()?;
    anew.get(wire, "/v1/vault/records")
        .await?
        .message::<pb::VaultPage>()?;
    for _ in 0..3 {
        let lost = anew.list.claimed().devices[0].id();
        let (removal, list) = anew.removing(lost)?;
        anew.change(wire, &removal).await?.message::<pb::Accepted>()?;
        anew.list = list;
        // The next removal wraps the root key that this one has made; here nobody opens it.
    }
    Ok(())
}

async fn offer(wire: &Wire) -> Result<Answer> {
    let (device, recipient) = (
        SigningIdentity::generate(&OperatingSystem)?,
        RecipientSecret::generate(&OperatingSystem)?,
    );
    let message = pb::LinkOffer {
        device_key: Bytes::copy_from_slice(device.public().as_bytes()),
        recipient_key: Bytes::copy_from_slice(recipient.public().as_bytes()),
        commitment: Bytes::copy_from_slice(LinkNonce::generate(&OperatingSystem)?.commitment().as_bytes()),
    };
    let place = LinkId::from_bytes(random()?);
    let id = DeviceId::from(&device.public()).to_string();
    let key = Key {
        id: &id,
        signing: &device,
    };
    wire.call(&Call::post(format!("/v1/links/{place}"), &message)?, key)
        .await
}

/// DEV-12: whoever makes new keys for each offer still has one address, and keeps nobody else out.
#[tokio::test]
async fn one_address_offers_a_bounded_number_of_devices() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        for number in 0..64 {
            let taken = offer(&world.wire).await?;
            ensure!(taken.status.is_success(), "{number}: {taken:?}");
        }
        let last = offer(&world.wire).await?;
        let elsewhere = world.wire.from_address([127, 0, 0, 2].into())?;
        offer(&elsewhere).await?.message::<pb::Accepted>()?;
        Ok(last)
    };
    defended(&[Defence::OffersOfAddress], Problem::TooMany, attack).await
}

/// DEV-12, ATK-74: whoever has a block of addresses offers devices from all of them, as many as each may. Without shares for
/// networks he has every place, and nobody links a device for ten minutes.
#[tokio::test]
async fn a_block_of_addresses_leaves_places_for_others() -> Result<()> {
    play_async(&[Defence::OffersOfNetworks], async |off| {
        let world = RawWorld::start_with(&["--link-offers", "64"], off).await?;
        let mut taken = 0;
        for host in 1..=8 {
            let wire = world.wire.from_address([127, 9, 0, host].into())?;
            for _ in 0..10 {
                taken += u32::from(offer(&wire).await?.status.is_success());
            }
        }
        let honest = offer(&world.wire).await?;
        ensure!(
            honest.status.is_success() || honest.problem() == Some(Problem::TooMany),
            "{honest:?}"
        );
        ensure!(
            taken == if off.is_empty() { 8 } else { 64 },
            "{taken} offers were taken"
        );
        Ok(!honest.status.is_success())
    })
    .await
}
