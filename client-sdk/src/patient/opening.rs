//! How a vault is opened on this machine: enrolled, read from its home, or made for a device that is on the lists already.

use protocol_spec::{invitation::InvitationText, link::ServerLink, messages as pb, patient::DeviceChain};

use crate::{
    Ground, Result, Unlock,
    connect::bootstrap,
    home::{ClosedHome, Home, Kind, Pins, Principal},
    patient::{
        acts, collections, device_keys::DeviceKeys, enrolling, keys::PatientKeys, known::KnownDevices,
        vault::Vault,
    },
    session::blocking,
};

pub(super) async fn enrol(
    home: Ground,
    unlock: &Unlock,
    link: &ServerLink,
    invitation: Option<&InvitationText>,
) -> Result<Vault> {
    let home = ClosedHome::at(home);
    let begun = match home.principal() {
        Ok(principal) if principal.kind == Kind::Patient && !principal.enrolled => Some(principal),
        _ => None,
    };
    if begun.is_none() {
        home.must_be_free()?;
    }
    let pins = bootstrap(link, home.ground()).await?;
    let fresh = begun.is_none();
    let (keys, home) = {
        let (unlock, pins) = (unlock.clone(), pins.clone());
        blocking(move || match begun {
            None => PatientKeys::create(&home, &unlock, &pins),
            Some(claimed) => {
                let (keys, home) = PatientKeys::open(&home, &claimed, &unlock)?;
                let mut principal = home.principal()?;
                principal.set_pins(&pins);
                home.save(&principal)?;
                Ok((keys, home))
            }
        })
        .await?
    };
    let enrolled = register(home.clone(), pins, keys, invitation).await;
    if enrolled.is_err() && fresh {
        home.discard();
    }
    enrolled
}

async fn register(
    home: Home,
    pins: Pins,
    keys: PatientKeys,
    invitation: Option<&InvitationText>,
) -> Result<Vault> {
    let vault = Vault::with(home, pins, keys)?;
    let message = vault
        .keys
        .enrolment(invitation.map(|invitation| invitation.signed().clone()))?;
    enrolling::submit(&vault.session.server, vault.id(), message).await?;
    // Nothing has been done before that the log could tell of.
    acts::begin_acts(&vault).await?;
    collections::put_first_collections(&vault).await?;
    let mut principal = vault.session.home.principal()?;
    principal.enrolled = true;
    vault.session.home.save(&principal)?;
    Ok(vault)
}

pub(super) async fn open(home: Ground, unlock: &Unlock) -> Result<Vault> {
    let home = ClosedHome::at(home);
    let claimed = home.principal_of(Kind::Patient)?;
    home.must_be_enrolled(&claimed)?;
    let unlock = unlock.clone();
    let (keys, home) = blocking(move || PatientKeys::open(&home, &claimed, &unlock)).await?;
    let pins = home.pins(&home.principal()?)?;
    Vault::with(home, pins, keys)
}

/// Makes the home of a device that is on the lists which `answer` has, with what leads to it.
pub(super) async fn settle(
    home: ClosedHome,
    unlock: &Unlock,
    pins: Pins,
    own: DeviceKeys,
    chain: DeviceChain,
    answer: pb::DeviceLists,
) -> Result<Vault> {
    let patient = KnownDevices::read(answer.clone(), &own, &chain)?
        .newest()
        .patient_id;
    let mut principal = Principal::new(Kind::Patient, patient);
    principal.set_pins(&pins);
    principal.enrolled = true;
    let unlock = unlock.clone();
    let kept = blocking(move || PatientKeys::keep(&home, &unlock, &principal, own, chain, answer));
    let (keys, home) = kept.await?;
    Vault::with(home, pins, keys)
}
