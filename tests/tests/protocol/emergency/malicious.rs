//! An operator that lies about emergencies.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crypto::{CollectionKey, ExpectedPermission, OpenedPermission, OperatingSystem, RecipientSecret};
use prost::Message;
use protocol_spec::{
    defence::Defence,
    messages as pb,
    permission::{Kind, SignedPermission},
};
use tests::{
    attack::play,
    harness::{Liar, World, text},
};

use super::problem;

/// Whether one of these permissions opens to the operator's own key.
fn opens_to(secret: &RecipientSecret, permissions: &[pb::Permission]) -> Result<bool> {
    for message in permissions {
        let permission = SignedPermission::try_from(message.clone())?.verify()?;
        let expected = ExpectedPermission {
            body: permission.bytes(),
            id: &permission.permission_id,
            keys: 1,
            conditions: false,
            possession: &permission.possession_key,
        };
        let opened = OpenedPermission::<CollectionKey>::open(secret, permission.wrap(), &expected);
        if permission.kind == Kind::Emergency && opened.is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Shows a key of its own as the one to wrap to, and keeps all permissions that it lists.
fn substitutes(liar: &Liar, key: Bytes) -> Arc<Mutex<Vec<pb::Permission>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    liar.tell(move |asked, body| match asked {
        "/v1/vault/emergency" => match pb::EmergencyList::decode(body.clone()) {
            Ok(mut list) => {
                list.entries
                    .iter_mut()
                    .for_each(|entry| entry.recipient_key = key.clone());
                list.encode_to_vec().into()
            }
            Err(_) => body,
        },
        path if path.starts_with("/v1/vault/permissions") => {
            let list = pb::PermissionList::decode(body.clone()).unwrap_or_default();
            let permissions = list.permissions.into_iter().filter_map(|entry| entry.permission);
            keep.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(permissions);
            body
        }
        _ => body,
    });
    seen
}

/// EMG-5, ATK-1, ATK-2: the collection gets a new key, and the operator would have it wrapped to a key of its own.
#[test]
fn a_guardians_permission_is_given_anew_to_its_own_key_alone() -> Result<()> {
    let attack = |without: &[Defence]| -> Result<(bool, Vec<pb::Permission>, RecipientSecret)> {
        let (world, liar) = World::start_behind_liar()?;
        let (patient, _) = world.patient("patient")?;
        let (_, guardian) = world.patient("guardian")?;
        let card = |name: &str| {
            let page = world.path(name).display().to_string();
            ["emergency", "card", "--pdf", &page].map(ToOwned::to_owned)
        };
        patient.run(&card("first.pdf"))?;
        patient.run(&["emergency", "guardian", "add", &guardian])?;
        let secret = RecipientSecret::generate(&OperatingSystem)?;
        let seen = substitutes(&liar, Bytes::copy_from_slice(secret.public().as_bytes()));
        let device = patient.without(without);
        let refused = device.fail(&card("second.pdf")).ok();
        if let Some(refused) = &refused {
            ensure!(problem(refused) == "tampered", "{refused:?}");
        }
        patient.run(&["permissions"])?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok((refused.is_some(), seen, secret))
    };
    play(&[Defence::EmergencyKey], |without| {
        let (refused, seen, secret) = attack(without)?;
        ensure!(refused == without.is_empty(), "refused: {refused}");
        opens_to(&secret, &seen)
    })
}

/// EMG-9: what is given out to whoever opens must be what the two halves open.
#[test]
fn whoever_opens_refuses_another_half_or_permission() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, patient_id) = world.patient("patient")?;
    let (other, _) = world.patient("other")?;
    let (ambulance, _) = world.institution_for("Ambulance", &["--emergency"])?;
    let page = world.path("card.pdf");
    patient.run(&["emergency", "card", "--pdf", &page.display().to_string()])?;
    let others = world.path("others.pdf").display().to_string();
    let made = other.run(&["emergency", "card", "--pdf", &others])?;
    text(&made, "permission_id")?;
    let code = super::code(&std::fs::read(page)?)?;
    let out = world.path("out").display().to_string();
    let open = [
        "emergency",
        "open",
        "--patient",
        &patient_id,
        "--card",
        &code,
        "--out",
        &out,
    ];
    liar.tell_of("/v1/emergency/openings", |mut opened: pb::EmergencyOpened| {
        opened.share = vec![7; 32].into();
        opened
    });
    let refused = ambulance.fail(&open)?;
    ensure!(problem(&refused) == "tampered", "another half: {refused:?}");
    liar.tell_of("/v1/emergency/openings", |mut opened: pb::EmergencyOpened| {
        if let Some(proof) = &mut opened.proof {
            proof.proof = proof.proof.replacen("index ", "index 1", 1);
        }
        opened
    });
    let refused = ambulance.fail(&open)?;
    ensure!(problem(&refused) == "tampered", "not in the log: {refused:?}");
    // Another patient's permission, which she has signed as well.
    let theirs = Arc::new(Mutex::new(None));
    let keep = theirs.clone();
    liar.tell(move |asked, body| {
        if asked.starts_with("/v1/vault/permissions") {
            let list = pb::PermissionList::decode(body.clone()).unwrap_or_default();
            let first = list
                .permissions
                .into_iter()
                .next()
                .and_then(|entry| entry.permission);
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = first;
        }
        body
    });
    other.run(&["permissions"])?;
    let theirs = theirs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let theirs = theirs.context("no permission was listed")?;
    liar.tell_of(
        "/v1/emergency/openings",
        move |mut opened: pb::EmergencyOpened| {
            if let Some(delivery) = &mut opened.delivery {
                delivery.permission = Some(theirs.clone());
            }
            opened
        },
    );
    let refused = ambulance.fail(&open)?;
    ensure!(problem(&refused) == "tampered", "another permission: {refused:?}");
    liar.be_honest();
    ambulance.run(&open)?;
    Ok(())
}
