//! Whatever is signed is bound: every field of every statement that a client sends, changed by one bit,
//! is refused (ATK-23, ATK-24, ATK-33).

use anyhow::Result;
use bytes::Bytes;
use prost::Message;
use protocol_spec::messages as pb;
use tests::raw::{RawInstitution, RawPatient, RawWorld};

/// Where each leaf field of a canonical protobuf body has its value: (path of field numbers, offset).
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper on bytes the test itself encoded"
)]
fn fields(bytes: &[u8], path: &str, base: usize, out: &mut Vec<(String, usize)>) {
    let mut at = 0;
    while at < bytes.len() {
        let (key, after_key) = varint(bytes, at);
        let name = format!("{path}.{}", key >> 3);
        let (value_at, end) = match key & 7 {
            0 => (after_key, varint(bytes, after_key).1),
            2 => {
                let (length, start) = varint(bytes, after_key);
                (start, start + usize::try_from(length).unwrap())
            }
            other => panic!("wire type {other}"),
        };
        let inner = &bytes[value_at..end];
        if key & 7 == 2 && inner.len() < 4096 && nested(&name) {
            fields(inner, &name, base + value_at, out);
        } else {
            out.push((name, base + value_at + (end - value_at) / 2));
        }
        at = end;
    }
}

/// The sub-messages: header everywhere, record selectors of permissions, sealed texts of requests.
fn nested(name: &str) -> bool {
    ["header.1", "permission.1", "permission.9"].contains(&name)
}

fn varint(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[at];
        value |= u64::from(byte & 0x7f) << shift;
        at += 1;
        shift += 7;
        if byte & 0x80 == 0 {
            return (value, at);
        }
    }
}

fn flip(bytes: &Bytes, at: usize) -> Bytes {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    changed.into()
}

struct Scene {
    world: RawWorld,
    patient: RawPatient,
    hospital: RawInstitution,
}

async fn scene() -> Result<Scene> {
    let world = RawWorld::start().await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let hospital = world.institution("Hospital North").await?;
    Ok(Scene {
        world,
        patient,
        hospital,
    })
}

#[tokio::test]
async fn every_field_of_a_permission_is_bound() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let record = scene.hospital.upload(wire, &scene.patient, 5_000).await?;
    let request = scene.hospital.ask(wire, &scene.patient).await?;
    let (_, good) = scene
        .patient
        .permit(wire, &scene.hospital.entry, request, vec![record], |_| ())?;
    let mut places = Vec::new();
    fields(&good.body, "permission", 0, &mut places);
    assert!(places.len() >= 17, "{places:?}");
    let mut changed: Vec<(String, pb::Permission)> = places
        .into_iter()
        .map(|(name, at)| {
            (
                name,
                pb::Permission {
                    body: flip(&good.body, at),
                    ..good.clone()
                },
            )
        })
        .collect();
    let wrap = good.wrap.clone().unwrap_or_default();
    for (name, wrap) in [
        (
            "enc",
            pb::Sealed {
                enc: flip(&wrap.enc, 500),
                ..wrap.clone()
            },
        ),
        (
            "ciphertext",
            pb::Sealed {
                ciphertext: flip(&wrap.ciphertext, 5),
                ..wrap.clone()
            },
        ),
    ] {
        changed.push((
            name.into(),
            pb::Permission {
                wrap: Some(wrap),
                ..good.clone()
            },
        ));
    }
    changed.push((
        "signature".into(),
        pb::Permission {
            signature: flip(&good.signature, 3),
            ..good.clone()
        },
    ));
    for (name, permission) in changed {
        let message = pb::SubmitPermission {
            permission: Some(permission),
        };
        let answer = scene.patient.post(wire, "/v1/permissions", &message).await?;
        assert!(answer.status.is_client_error(), "{name}: {answer:?}");
    }
    let message = pb::SubmitPermission {
        permission: Some(good),
    };
    scene
        .patient
        .post(wire, "/v1/permissions", &message)
        .await?
        .message::<pb::Accepted>()?;
    Ok(())
}

/// ATK-24: the wrap of one permission under the body of another.
#[tokio::test]
async fn wraps_are_not_exchanged_between_permissions() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let record = scene.hospital.upload(wire, &scene.patient, 5_000).await?;
    let request = scene.hospital.ask(wire, &scene.patient).await?;
    let permit = || {
        scene
            .patient
            .permit(wire, &scene.hospital.entry, request, vec![record.clone()], |_| ())
    };
    let (one, other) = (permit()?.1, permit()?.1);
    let transplanted = pb::Permission {
        wrap: other.wrap,
        ..one
    };
    let message = pb::SubmitPermission {
        permission: Some(transplanted),
    };
    let answer = scene.patient.post(wire, "/v1/permissions", &message).await?;
    assert!(answer.status.is_client_error(), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn every_field_of_an_upload_request_is_bound() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let offer = scene.patient.offer(wire, &scene.hospital.entry, |_| ())?;
    let request = offer.message.request.clone().unwrap_or_default();
    let statement = request.statement.clone().unwrap_or_default();
    let mut places = Vec::new();
    fields(&statement.body, "header", 0, &mut places);
    assert!(places.len() >= 7, "{places:?}");
    for (name, at) in places {
        let changed = pb::Statement {
            body: flip(&statement.body, at),
            ..statement.clone()
        };
        let request = pb::PatientStatement {
            statement: Some(changed),
            ..request.clone()
        };
        let message = pb::SubmitUploadRequest {
            request: Some(request),
            ..offer.message.clone()
        };
        let answer = scene.patient.post(wire, "/v1/requests/upload", &message).await?;
        assert!(answer.status.is_client_error(), "{name}: {answer:?}");
    }
    scene
        .patient
        .post(wire, "/v1/requests/upload", &offer.message)
        .await?
        .message::<pb::Accepted>()?;
    Ok(())
}

/// ATK-33: the attacker puts a good permission under its own vault.
#[tokio::test]
async fn a_permission_submitted_by_another_patient_is_refused() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let mallory = RawPatient::enrol(wire).await?;
    let offer = scene.patient.offer(wire, &scene.hospital.entry, |_| ())?;
    let answer = mallory.post(wire, "/v1/requests/upload", &offer.message).await?;
    assert!(answer.status.is_client_error(), "{answer:?}");
    // Mallory's certificate in place of the patient's.
    let mut resigned = offer.message.clone();
    if let Some(permission) = resigned.permission.as_mut() {
        permission.device_certificate = Some(mallory.certificate().to_message());
    }
    let answer = mallory.post(wire, "/v1/requests/upload", &resigned).await?;
    assert!(answer.status.is_client_error(), "{answer:?}");
    Ok(())
}

/// Unknown fields and other encodings of the same body are refused where something is signed (FLT-34).
#[tokio::test]
async fn a_body_that_is_not_canonical_is_refused_even_when_well_signed() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let offer = scene.patient.offer(wire, &scene.hospital.entry, |_| ())?;
    let mut message = offer.message.clone();
    let statement = message
        .request
        .as_mut()
        .and_then(|request| request.statement.as_mut());
    let Some(statement) = statement else {
        anyhow::bail!("no statement")
    };
    let mut body = statement.body.to_vec();
    body.extend([0xf8, 0x07, 0x01]); // field 127, varint 1
    let preimage = protocol_spec::statement::preimage(protocol_spec::labels::UPLOAD_REQUEST, &body);
    statement.signature = Bytes::copy_from_slice(&scene.patient.key().signing.sign_bytes(&preimage));
    statement.body = body.into();
    assert!(
        pb::UploadRequestBody::decode(statement.body.clone()).is_ok(),
        "prost itself takes it"
    );
    let answer = scene.patient.post(wire, "/v1/requests/upload", &message).await?;
    assert_eq!(
        answer.problem(),
        Some(protocol_spec::problem::Problem::Malformed),
        "{answer:?}"
    );
    Ok(())
}

/// Another protocol version or suite is refused by its own code, before any signature counts (ATK-11).
#[tokio::test]
async fn another_version_or_suite_is_refused() -> Result<()> {
    let scene = scene().await?;
    let wire = &scene.world.wire;
    let offer = scene.patient.offer(wire, &scene.hospital.entry, |_| ())?;
    let edits: [fn(&mut pb::Header); 2] = [|header| header.version = 2, |header| header.suite = 2];
    for edit in edits {
        let mut message = offer.message.clone();
        let statement = message
            .request
            .as_mut()
            .and_then(|request| request.statement.as_mut());
        let Some(statement) = statement else {
            anyhow::bail!("no statement")
        };
        let mut body = pb::UploadRequestBody::decode(statement.body.clone())?;
        body.header.as_mut().map(edit);
        let body = body.encode_to_vec();
        let preimage = protocol_spec::statement::preimage(protocol_spec::labels::UPLOAD_REQUEST, &body);
        statement.signature = Bytes::copy_from_slice(&scene.patient.key().signing.sign_bytes(&preimage));
        statement.body = body.into();
        let answer = scene.patient.post(wire, "/v1/requests/upload", &message).await?;
        assert_eq!(
            answer.problem(),
            Some(protocol_spec::problem::Problem::UnsupportedVersion),
            "{answer:?}"
        );
    }
    Ok(())
}
