//! Whatever is signed is bound: every field of every statement that a client sends, changed by one bit, is
//! refused (ATK-23, ATK-24, ATK-33). In the controls, where signatures are not checked, the fields that
//! nothing else holds are taken as they come.

mod invitation;
mod wire;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::UploadRequest,
    collection::Collection,
    conditions::Conditions,
    defence::Defence,
    ids::CollectionId,
    messages as pb,
    problem::Problem,
    purpose::Purpose,
    statement::{Body, preimage},
};
use tests::{
    attack::note,
    raw::{Answer, Call, RawInstitution, RawPatient, RawWorld, defended, now_ms, random},
};

use wire::{fields, flip};

/// A statement that clients send.
struct Signed {
    /// Paths of its sub-messages: the header, sealed texts, selectors.
    nested: &'static [&'static str],
    /// How many leaf fields it has.
    fields: usize,
    /// What the control does without.
    off: &'static [Defence],
    /// Fields that only the signature holds.
    free: &'static [&'static str],
}

/// What is done to a body before it is sent.
type Change<'a> = &'a (dyn Fn(&Bytes) -> Bytes + Sync);

/// One institution asks one patient once for each field (ACC-8).
const ASKED_OFTEN: &[&str] = &[
    "--open-of-stranger",
    "1000",
    "--daily-of-stranger",
    "1000",
    "--open-of-strangers",
    "1000",
    "--daily-of-strangers",
    "1000",
    "--open-of-known",
    "1000",
    "--daily-of-known",
    "1000",
];

impl Signed {
    /// Plays `send`, which makes a fresh statement, changes its body and sends it, with each field changed:
    /// all are refused. Unchanged it is taken; and so are, in the control, changes of free fields.
    async fn is_bound<S>(&self, send: S) -> Result<()>
    where
        S: AsyncFn(&Scene<'_>, Change<'_>) -> Result<Answer>,
    {
        let world = RawWorld::start_with(ASKED_OFTEN, &[]).await?;
        let scene = Scene::set(&world).await?;
        let seen = std::sync::Mutex::new(Vec::new());
        let look = |body: &Bytes| {
            let mut places = Vec::new();
            fields(body, "", self.nested, 0, &mut places);
            if let Ok(mut seen) = seen.lock() {
                *seen = places;
            }
            body.clone()
        };
        let unchanged = send(&scene, &look).await?;
        ensure!(unchanged.status.is_success(), "unchanged: {unchanged:?}");
        let names: Vec<String> = seen
            .into_inner()
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        ensure!(names.len() == self.fields, "{} fields: {names:?}", names.len());
        for name in &names {
            let answer = send(&scene, &|body| self.change(body, name)).await?;
            let refused = answer
                .problem()
                .is_some_and(|problem| REFUSALS.contains(&problem));
            note(&[], !refused)?;
            ensure!(refused, "{name}: {answer:?}");
        }
        let world = RawWorld::start_with(ASKED_OFTEN, self.off).await?;
        let scene = Scene::set(&world).await?;
        for name in self.free {
            ensure!(
                names.iter().any(|known| known == name),
                "no field {name}: {names:?}"
            );
            let answer = send(&scene, &|body| self.change(body, name)).await?;
            note(self.off, answer.status.is_success())?;
            ensure!(answer.status.is_success(), "{name}, control: {answer:?}");
        }
        Ok(())
    }

    #[allow(clippy::expect_used, reason = "a test helper")]
    fn change(&self, body: &Bytes, name: &str) -> Bytes {
        let mut places = Vec::new();
        fields(body, "", self.nested, 0, &mut places);
        let place = places.into_iter().find(|(known, _)| known == name);
        flip(
            body,
            place
                .map(|(_, at)| at)
                .expect("the field that the first run has seen"),
        )
    }
}

struct Scene<'a> {
    world: &'a RawWorld,
    patient: RawPatient,
    hospital: RawInstitution,
}

impl<'a> Scene<'a> {
    async fn set(world: &'a RawWorld) -> Result<Self> {
        let patient = RawPatient::enrol(&world.wire).await?;
        let hospital = world.institution("Hospital North").await?;
        Ok(Self {
            world,
            patient,
            hospital,
        })
    }
}

fn changed(statement: Option<pb::Statement>, change: Change<'_>) -> Option<pb::Statement> {
    statement.map(|statement| pb::Statement {
        body: change(&statement.body),
        ..statement
    })
}

fn changed_of_patient(
    statement: Option<pb::PatientStatement>,
    change: Change<'_>,
) -> Option<pb::PatientStatement> {
    statement.map(|signed| pb::PatientStatement {
        statement: changed(signed.statement, change),
        ..signed
    })
}

/// What a changed statement may be: not what was signed, not of its form, not of this version, of a key that
/// is none, or, where the field says who signed the request, not by them.
const REFUSALS: [Problem; 9] = [
    Problem::NotPermitted,
    Problem::NotAccredited,
    Problem::Malformed,
    Problem::UnsupportedVersion,
    Problem::DegenerateKey,
    Problem::Unauthenticated,
    Problem::RequestMismatch,
    Problem::DeviceListConflict,
    Problem::PlacementConflict,
];

const SIGNATURES: &[Defence] = &[Defence::StatementSignatures];

#[tokio::test]
async fn every_field_of_a_device_certificate_is_bound() -> Result<()> {
    let certificate = Signed {
        nested: &["1"],
        fields: 6,
        off: SIGNATURES,
        free: &["1.3"],
    };
    certificate
        .is_bound(async |scene, change| {
            let patient = RawPatient::new()?;
            let mut message = patient.enrolment()?;
            let chain = message.device.as_mut().and_then(|device| device.chain.as_mut());
            let chain = chain.context("no chain")?;
            let certificate = chain.certificates.pop();
            chain.certificates.extend(changed(certificate, change));
            patient.post(&scene.world.wire, "/v1/patients", &message).await
        })
        .await
}

/// The list beside it has the same key, a second defence for every field.
#[tokio::test]
async fn every_field_of_a_vault_key_is_bound() -> Result<()> {
    let key = Signed {
        nested: &["1"],
        fields: 4,
        off: SIGNATURES,
        free: &[],
    };
    key.is_bound(async |scene, change| {
        let patient = RawPatient::new()?;
        let message = patient.enrolment()?;
        let message = pb::EnrolPatient {
            vault_key: changed_of_patient(message.vault_key, change),
            ..message
        };
        patient.post(&scene.world.wire, "/v1/patients", &message).await
    })
    .await
}

#[tokio::test]
async fn every_field_of_a_list_of_devices_is_bound() -> Result<()> {
    let list = Signed {
        nested: &["1", "9"],
        fields: 16,
        off: &[Defence::StatementSignatures, Defence::DeviceLists],
        // What no rule compares: the time and the name of a device.
        free: &["1.3", "9.4"],
    };
    list.is_bound(async |scene, change| {
        let wire = &scene.world.wire;
        let (_, message) = scene.patient.adding(|_| ())?;
        let message = pb::ChangeDevices {
            list: changed(message.list, change),
            ..message
        };
        scene.patient.change(wire, &message).await
    })
    .await
}

#[tokio::test]
async fn every_field_of_an_institutions_keys_is_bound() -> Result<()> {
    let keys = Signed {
        nested: &["1"],
        fields: 8,
        off: SIGNATURES,
        free: &["1.3"],
    };
    keys.is_bound(async |scene, change| {
        let world = scene.world;
        let (clinic, message) = RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
        let message = pb::EnrolInstitution {
            keys: changed(message.keys, change),
            ..message
        };
        clinic.post(&world.wire, "/v1/institutions", &message).await
    })
    .await
}

/// The institution's own statement holds the hash of its accreditation, a second defence.
#[tokio::test]
async fn every_field_of_an_accreditation_is_bound() -> Result<()> {
    let accreditation = Signed {
        nested: &["1"],
        fields: 8,
        off: &[Defence::StatementSignatures, Defence::Accreditation],
        free: &["1.3", "2", "4", "5"],
    };
    accreditation
        .is_bound(async |scene, change| {
            let world = scene.world;
            let (clinic, message) =
                RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
            let message = pb::EnrolInstitution {
                accreditation: changed(message.accreditation, change),
                ..message
            };
            clinic.post(&world.wire, "/v1/institutions", &message).await
        })
        .await
}

/// The permission beside it names its hash, which the control must not compare.
#[tokio::test]
async fn every_field_of_an_upload_request_is_bound() -> Result<()> {
    let request = Signed {
        nested: &["1", "7"],
        fields: 10,
        off: &[Defence::StatementSignatures, Defence::RequestMatch],
        free: &["1.3", "3", "6", "7.1", "7.2"],
    };
    request
        .is_bound(async |scene, change| {
            let wire = &scene.world.wire;
            let offer = scene.patient.offer(wire, &scene.hospital.entry, |_| ())?;
            let message = pb::SubmitUploadRequest {
                request: changed_of_patient(offer.message.request, change),
                ..offer.message
            };
            scene.patient.post(wire, "/v1/requests/upload", &message).await
        })
        .await
}

#[tokio::test]
async fn every_field_of_a_download_request_is_bound() -> Result<()> {
    let request = Signed {
        nested: &["1", "7"],
        fields: 11,
        off: SIGNATURES,
        free: &["1.3", "3", "6", "7.1", "7.2"],
    };
    request
        .is_bound(async |scene, change| {
            let wire = &scene.world.wire;
            let (signed, _) = scene.hospital.download_request(wire, &scene.patient)?;
            let message = pb::SubmitDownloadRequest {
                request: changed(Some(signed), change),
            };
            scene.hospital.post(wire, "/v1/requests/download", &message).await
        })
        .await
}

/// ATK-32
#[tokio::test]
async fn every_field_of_a_reference_request_is_bound() -> Result<()> {
    let request = Signed {
        nested: &["1", "8"],
        fields: 12,
        off: SIGNATURES,
        free: &["1.3", "3", "7", "8.1", "8.2"],
    };
    request
        .is_bound(async |scene, change| {
            let wire = &scene.world.wire;
            let second = scene.world.institution("Clinic South").await?;
            let signed = scene
                .hospital
                .reference_request(wire, &scene.patient, &second.entry)?;
            let message = pb::SubmitReferenceRequest {
                request: changed(Some(signed), change),
            };
            scene
                .hospital
                .post(wire, "/v1/requests/reference", &message)
                .await
        })
        .await
}

/// ATK-23: A permission's conditions, and below its wrap, signature and certificate.
#[tokio::test]
async fn every_field_of_a_permission_is_bound() -> Result<()> {
    let permission = Signed {
        nested: &["1", "9", "20"],
        fields: 21,
        off: SIGNATURES,
        free: &["1.3", "3", "10", "11", "13"],
    };
    permission
        .is_bound(async |scene, change| {
            let good = permission_over_a_record(scene).await?;
            let changed = pb::Permission {
                body: change(&good.body),
                ..good
            };
            submit(scene, changed).await
        })
        .await
}

/// The same over a collection, with a purpose and conditions.
#[tokio::test]
async fn every_field_of_a_permission_over_a_collection_is_bound() -> Result<()> {
    let permission = Signed {
        nested: &["1", "16", "19", "19.1", "20"],
        fields: 22,
        off: SIGNATURES,
        free: &["1.3", "3", "10", "11", "13", "16.3", "19.1.1", "19.2"],
    };
    permission
        .is_bound(async |scene, change| {
            let good = permission_over_a_collection(scene).await?;
            let changed = pb::Permission {
                body: change(&good.body),
                ..good
            };
            submit(scene, changed).await
        })
        .await
}

/// ATK-23: for research instead of treatment, of all days instead of some, also of what comes later.
#[tokio::test]
async fn a_permission_is_not_widened() -> Result<()> {
    type Change = fn(&mut pb::PermissionBody);
    let changes: [(&str, Change); 6] = [
        ("another purpose", |body| body.purpose = "HRESCH".into()),
        ("any purpose", |body| body.purpose.clear()),
        ("other tokens", |body| {
            let conditions = body.conditions.get_or_insert_default();
            conditions.groups = vec![pb::TokenGroup {
                tokens: Bytes::from_static(&[9; 16]),
            }];
        }),
        ("no conditions", |body| body.conditions = None),
        ("also later records", |body| {
            body.collection.get_or_insert_default().until = 0;
        }),
        ("a longer time and more uses", |body| {
            body.not_after += 1;
            body.uses += 1;
        }),
    ];
    for (what, change) in changes {
        let attack = async |world: &mut RawWorld| {
            let scene = Scene::set(world).await?;
            let mut permission = permission_over_a_collection(&scene).await?;
            let mut body = pb::PermissionBody::decode(permission.body)?;
            change(&mut body);
            permission.body = body.encode_to_vec().into();
            submit(&scene, permission).await
        };
        defended(SIGNATURES, Problem::NotPermitted, attack)
            .await
            .map_err(|error| error.context(what))?;
    }
    Ok(())
}

async fn permission_over_a_collection(scene: &Scene<'_>) -> Result<pb::Permission> {
    let wire = &scene.world.wire;
    let request = scene.hospital.ask(wire, &scene.patient).await?;
    let conditions = scene.patient.conditions(&Conditions {
        media_types: ["text/plain".parse()?].into(),
        ..Conditions::default()
    })?;
    let own = Collection {
        id: CollectionId::mint(now_ms(), random()?),
        epoch: 0,
    };
    scene.patient.put_collection(wire, own).await?;
    let entry = &scene.hospital.entry;
    let (_, permission) = scene.patient.over_collection(wire, entry, request, own, |body| {
        if let Some(selector) = body.collection.as_mut() {
            selector.until = Some(7);
        }
        body.purpose = Some(Purpose::TREAT);
        body.conditions = Some(conditions);
    })?;
    Ok(permission)
}

async fn permission_over_a_record(scene: &Scene<'_>) -> Result<pb::Permission> {
    let wire = &scene.world.wire;
    let record = scene.hospital.upload(wire, &scene.patient, 5_000).await?;
    let request = scene.hospital.ask(wire, &scene.patient).await?;
    let entry = &scene.hospital.entry;
    Ok(scene
        .patient
        .permit(wire, entry, request, vec![record], |_| ())?
        .1)
}

async fn submit(scene: &Scene<'_>, permission: pb::Permission) -> Result<Answer> {
    let message = pb::SubmitPermission::from(permission);
    scene
        .patient
        .post(&scene.world.wire, "/v1/permissions", &message)
        .await
}

/// PRM-2: the signature covers the wrap.
#[tokio::test]
async fn the_wrap_of_a_permission_is_bound() -> Result<()> {
    type Change = fn(&mut pb::Permission);
    let changes: [(&str, Change); 3] = [
        ("enc", |permission| {
            let wrap = permission.wrap.get_or_insert_default();
            wrap.enc = flip(&wrap.enc, 500);
        }),
        ("ciphertext", |permission| {
            let wrap = permission.wrap.get_or_insert_default();
            wrap.ciphertext = flip(&wrap.ciphertext, 5);
        }),
        ("signature", |permission| {
            permission.signature = flip(&permission.signature, 3);
        }),
    ];
    for (what, change) in changes {
        let attack = async |world: &mut RawWorld| {
            let scene = Scene::set(world).await?;
            let mut permission = permission_over_a_record(&scene).await?;
            change(&mut permission);
            submit(&scene, permission).await
        };
        defended(SIGNATURES, Problem::NotPermitted, attack)
            .await
            .map_err(|error| error.context(what))?;
    }
    Ok(())
}

#[tokio::test]
async fn every_field_of_a_denial_is_bound() -> Result<()> {
    let denial = Signed {
        nested: &["1", "6"],
        fields: 9,
        off: SIGNATURES,
        free: &["1.3", "6.1", "6.2"],
    };
    denial
        .is_bound(async |scene, change| {
            let wire = &scene.world.wire;
            let (asked, request_id) = scene.hospital.download_request(wire, &scene.patient)?;
            let hash = protocol_spec::hash::Sha256Digest::of(&asked.body);
            let message = pb::SubmitDownloadRequest { request: Some(asked) };
            scene
                .hospital
                .post(wire, "/v1/requests/download", &message)
                .await?
                .message::<pb::Accepted>()?;
            let denial = scene.patient.denial(request_id, hash, &scene.hospital.entry)?;
            let message = pb::SubmitDenial {
                denial: changed_of_patient(denial.denial, change),
            };
            scene.patient.post(wire, "/v1/denials", &message).await
        })
        .await
}

#[tokio::test]
async fn every_field_of_a_revocation_is_bound() -> Result<()> {
    let revocation = Signed {
        nested: &["1"],
        fields: 6,
        off: SIGNATURES,
        free: &["1.3"],
    };
    revocation
        .is_bound(async |scene, change| {
            let wire = &scene.world.wire;
            let offer = scene.patient.offer(wire, &scene.hospital.entry, |_| ())?;
            scene.patient.submit_offer(wire, &offer).await?;
            let permission = offer.message.permission.unwrap_or_default();
            let message = scene.patient.revocation(&permission, offer.permission_id);
            let message = pb::SubmitRevocation {
                revocation: changed_of_patient(message.revocation, change),
            };
            scene.patient.post(wire, "/v1/revocations", &message).await
        })
        .await
}

/// API-5: what the signature says of itself is signed too.
#[tokio::test]
async fn every_parameter_of_a_request_signature_is_bound() -> Result<()> {
    type Change = fn(&str) -> String;
    let changes: [(&str, Change); 3] = [
        ("created", |input| replace_number(input, "created=", -1)),
        ("expires", |input| replace_number(input, "expires=", 1)),
        ("nonce", |input| input.replace("nonce=\"", "nonce=\"0")),
    ];
    for (what, change) in changes {
        let attack = async |world: &mut RawWorld| {
            let patient = RawPatient::enrol(&world.wire).await?;
            // A server does not look at what was signed before it started.
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            let mut request = world.wire.sign(&Call::get("/v1/inbox"), patient.key(), None)?;
            let headers = request.headers_mut();
            let input = headers[&protocol_spec::request::SIGNATURE_INPUT]
                .to_str()?
                .to_owned();
            let changed = change(&input);
            ensure!(changed != input, "{what} is not in {input}");
            headers.insert(protocol_spec::request::SIGNATURE_INPUT, changed.parse()?);
            world.wire.send(request).await
        };
        defended(&[Defence::RequestSignatures], Problem::Unauthenticated, attack)
            .await
            .map_err(|error| error.context(what))?;
    }
    Ok(())
}

/// The number behind `name`, changed by so much.
fn replace_number(input: &str, name: &str, by: i64) -> String {
    let Some((before, rest)) = input.split_once(name) else {
        return input.to_owned();
    };
    let digits = rest.split(';').next().unwrap_or_default();
    let number: i64 = digits.parse().unwrap_or_default();
    format!("{before}{name}{}{}", number + by, &rest[digits.len()..])
}

/// ATK-24: the wrap of one permission under the body of another.
#[tokio::test]
async fn wraps_are_not_exchanged_between_permissions() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let wire = &scene.world.wire;
        let record = scene.hospital.upload(wire, &scene.patient, 5_000).await?;
        let request = scene.hospital.ask(wire, &scene.patient).await?;
        let permit = || {
            let entry = &scene.hospital.entry;
            scene
                .patient
                .permit(wire, entry, request, vec![record.clone()], |_| ())
        };
        let (one, other) = (permit()?.1, permit()?.1);
        let transplanted = pb::Permission {
            wrap: other.wrap,
            ..one
        };
        submit(&scene, transplanted).await
    };
    defended(SIGNATURES, Problem::NotPermitted, attack).await
}

/// ATK-33: the attacker submits what a patient has signed as its own.
#[tokio::test]
async fn a_permission_submitted_by_another_patient_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let scene = Scene::set(world).await?;
        let mallory = RawPatient::enrol(&world.wire).await?;
        let offer = scene.patient.offer(&world.wire, &scene.hospital.entry, |_| ())?;
        mallory
            .post(&world.wire, "/v1/requests/upload", &offer.message)
            .await
    };
    defended(&[Defence::OwnStatements], Problem::NotPermitted, attack).await
}

/// ATK-33: the attacker's chain in place of the patient's: it leads to another patient.
#[tokio::test]
async fn a_permission_under_another_patients_chain_is_refused() -> Result<()> {
    let world = RawWorld::start().await?;
    let scene = Scene::set(&world).await?;
    let mallory = RawPatient::enrol(&world.wire).await?;
    let offer = scene.patient.offer(&world.wire, &scene.hospital.entry, |_| ())?;
    let mut resigned = offer.message.clone();
    if let Some(permission) = resigned.permission.as_mut() {
        permission.device = Some(mallory.chain().into());
    }
    let answer = mallory
        .post(&world.wire, "/v1/requests/upload", &resigned)
        .await?;
    assert_eq!(answer.problem(), Some(Problem::NotPermitted), "{answer:?}");
    // Control: with the chain that belongs to it, it is taken from the patient.
    let own = scene
        .patient
        .post(&world.wire, "/v1/requests/upload", &offer.message);
    own.await?.message::<pb::Accepted>()?;
    Ok(())
}

/// Changes the body of an upload request, signs it again and submits it.
async fn submit_resigned(world: &RawWorld, change: impl Fn(&Bytes) -> Result<Vec<u8>>) -> Result<Answer> {
    let scene = Scene::set(world).await?;
    let mut message = scene
        .patient
        .offer(&world.wire, &scene.hospital.entry, |_| ())?
        .message;
    let request = message.request.get_or_insert_default();
    let statement = request.statement.get_or_insert_default();
    let body = change(&statement.body)?;
    let preimage = preimage(UploadRequest::LABEL, &body);
    statement.signature = Bytes::copy_from_slice(&scene.patient.key().signing.sign_bytes(&preimage));
    statement.body = body.into();
    scene
        .patient
        .post(&world.wire, "/v1/requests/upload", &message)
        .await
}

/// Unknown fields of a body are refused even when it is well signed (FLT-34).
#[tokio::test]
async fn a_body_that_is_not_canonical_is_refused_even_when_well_signed() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        submit_resigned(world, |body| {
            let mut body = body.to_vec();
            body.extend([0xf8, 0x07, 0x01]); // field 127, varint 1
            Ok(body)
        })
        .await
    };
    // The permission is for the request as it was.
    let off = [Defence::CanonicalBodies, Defence::RequestMatch];
    defended(&off, Problem::Malformed, attack).await
}

/// Another protocol version or suite is refused by its own code (ATK-11).
#[tokio::test]
async fn another_version_or_suite_is_refused() -> Result<()> {
    let edits: [fn(&mut pb::Header); 2] = [|header| header.version = 2, |header| header.suite = 2];
    for edit in edits {
        let attack = async |world: &mut RawWorld| {
            submit_resigned(world, |body| {
                let mut body = pb::UploadRequestBody::decode(body.clone())?;
                body.header.as_mut().map(edit);
                Ok(body.encode_to_vec())
            })
            .await
        };
        let off = [Defence::VersionAndSuite, Defence::RequestMatch];
        defended(&off, Problem::UnsupportedVersion, attack).await?;
    }
    Ok(())
}
