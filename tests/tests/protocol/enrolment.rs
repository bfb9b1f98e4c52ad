//! Nobody enters the directory without the registrar, with another's key, or with a degenerate one
//! (ATK-5, ATK-6, ATK-7).

use anyhow::{Result, ensure};
use bytes::Bytes;
use crypto::{OperatingSystem, RecipientSecret, SigningIdentity};
use protocol_spec::{
    bodies::{Accreditation, InstitutionKeys},
    defence::Defence,
    ids::InstitutionId,
    messages as pb,
    problem::Problem,
    statement::{Body, Signed},
};
use tests::{
    attack::play_async,
    harness::{World, text},
    raw::{Answer, Call, Key, RawInstitution, RawPatient, RawWorld, Wire, defended},
};

const EVENTS: &str = "/v1/directory/events";

#[tokio::test]
async fn an_accredited_institution_enrols_once_and_stands_in_the_directory() -> Result<()> {
    let world = RawWorld::start().await?;
    let (hospital, message) = RawInstitution::enrolment(&world.wire, &world.registrar, "Hospital North")?;
    hospital
        .post(&world.wire, "/v1/institutions", &message)
        .await?
        .message::<pb::DirectoryEntry>()?;
    // The same again changes nothing.
    hospital
        .post(&world.wire, "/v1/institutions", &message)
        .await?
        .message::<pb::DirectoryEntry>()?;
    let page: pb::DirectoryEvents = hospital.get(&world.wire, EVENTS).await?.message()?;
    assert_eq!(page.events.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_institution_without_the_registrars_signature_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let impostor = SigningIdentity::generate(&OperatingSystem)?;
        let (clinic, message) = RawInstitution::enrolment(&world.wire, &impostor, "City Hospital")?;
        let answer = clinic.post(&world.wire, "/v1/institutions", &message).await?;
        let page: pb::DirectoryEvents = clinic.get(&world.wire, EVENTS).await?.message()?;
        assert_eq!(page.events.len(), usize::from(answer.status.is_success()));
        Ok(answer)
    };
    // The registrar's id in the accreditation is a second defence behind its signature.
    let off = [Defence::StatementSignatures, Defence::Accreditation];
    defended(&off, Problem::NotAccredited, attack).await
}

/// KEY-8, ATK-1: the operator has made itself a "City Hospital" and put it into its log. A patient who wants to ask that
/// hospital seals nothing to it; in the control her permission key opens for the operator, and what is uploaded with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_of_the_operators_making_is_given_nothing() -> Result<()> {
    let off = [Defence::StatementSignatures, Defence::Accreditation];
    let attack = async |without: &[Defence]| -> Result<bool> {
        let world = World::start_without(&off)?;
        let wire = Wire::connect(world.server.link()).await?;
        let fake = RawInstitution::enrol(
            &wire,
            &SigningIdentity::generate(&OperatingSystem)?,
            "City Hospital",
        )
        .await?;
        let (patient, _) = world.patient("patient")?;
        let ask = ["upload", "request", "--to", "City Hospital", "--text", "please"];
        let answer = patient.without(without).command(&ask)?.output()?;
        let told = String::from_utf8_lossy(&answer.stderr).into_owned();
        let Ok(asked) = serde_json::from_slice::<serde_json::Value>(&answer.stdout) else {
            anyhow::bail!("no answer: {told}");
        };
        let Ok(permission) = text(&asked, "permission_id") else {
            ensure!(told.contains("the directory cannot be trusted"), "{told}");
            return Ok(false);
        };
        let delivery = fake.deliver(&wire, permission.parse()?).await?;
        fake.open(&delivery)?;
        Ok(true)
    };
    play_async(&off, attack).await
}

/// ATK-5
#[tokio::test]
async fn an_institution_that_cannot_open_the_secret_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (clinic, mut message) =
            RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
        message.secret = Bytes::from_static(&[7; 32]);
        clinic.post(&world.wire, "/v1/institutions", &message).await
    };
    defended(&[Defence::AccreditationSecret], Problem::NotAccredited, attack).await
}

/// ATK-5: A squatter puts another institution's X-Wing key into its own entry.
#[tokio::test]
async fn another_institutions_recipient_key_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let victim = world.institution("Hospital North").await?;
        let (squatter, mut message) = RawInstitution::enrolment(&world.wire, &world.registrar, "Squatters")?;
        let mut keys = InstitutionKeys::decode(&message.keys.clone().unwrap_or_default().body)?;
        keys.recipient_key = victim.entry.recipient_key().clone();
        message.keys = Some(Signed::sign(keys, |bytes| squatter.identity.sign_bytes(bytes)).to_message());
        squatter.post(&world.wire, "/v1/institutions", &message).await
    };
    // That the key stands in the victim's entry is a second defence.
    let off = [Defence::Accreditation, Defence::Succession];
    defended(&off, Problem::NotAccredited, attack).await
}

/// Every pair of statement types: the signature of one never verifies as the other (ATK-6).
#[tokio::test]
async fn a_signed_accreditation_is_nothing_else() -> Result<()> {
    let world = RawWorld::start().await?;
    let (clinic, message) = RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
    // The registrar's statement where the institution's own is expected, and the other way round.
    let swapped = pb::EnrolInstitution {
        keys: message.accreditation.clone(),
        accreditation: message.keys.clone(),
        ..message
    };
    let answer = clinic.post(&world.wire, "/v1/institutions", &swapped).await?;
    assert!(answer.status.is_client_error(), "{answer:?}");
    Ok(())
}

/// ATK-7
#[tokio::test]
async fn degenerate_keys_are_refused_at_the_door() -> Result<()> {
    let attack = async |off: &[Defence]| -> Result<bool> {
        let answers = present_degenerate_keys(&RawWorld::start_without(off).await?).await?;
        let passed = answers.iter().filter(|answer| answer.status.is_success()).count();
        let told = |answer: &Answer| answer.problem() == Some(Problem::DegenerateKey);
        ensure!(passed == 2 || answers.iter().all(told), "{answers:?}");
        Ok(passed == 2)
    };
    // Without the admission of keys, the two X-Wing keys pass where the accreditation is not compared either.
    play_async(&[Defence::KeyAdmission, Defence::Accreditation], attack).await
}

/// Enrols with an X-Wing key whose X25519 half is of low order, with one whose ML-KEM half is not canonical,
/// and with an Ed25519 key of small order; each as a fresh, accredited institution.
async fn present_degenerate_keys(world: &RawWorld) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for which in 0..3 {
        answers.push(present_degenerate_key(world, which).await?);
    }
    Ok(answers)
}

async fn present_degenerate_key(world: &RawWorld, which: usize) -> Result<Answer> {
    let (clinic, message) = RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
    let good = message.keys.clone().unwrap_or_default();
    let recipient = clinic.recipient.public().as_bytes().to_vec();
    let replace = |from: &[u8], to: &[u8]| {
        let at = good
            .body
            .windows(from.len())
            .position(|window| window == from)
            .unwrap_or_default();
        let mut body = good.body.to_vec();
        body.splice(at..at + from.len(), to.iter().copied());
        let preimage = protocol_spec::statement::preimage(InstitutionKeys::LABEL, &body);
        let signature = Bytes::copy_from_slice(&clinic.identity.sign_bytes(&preimage));
        pb::Statement {
            body: body.into(),
            signature,
            certificate: None,
        }
    };
    let mut low_order = recipient.clone();
    low_order[1184..].fill(0);
    let mut not_canonical = recipient.clone();
    not_canonical[..3].fill(0xff);
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    let identity = clinic.identity.public();
    let cases: [(&[u8], &[u8]); 3] = [
        (&recipient, &low_order),
        (&recipient, &not_canonical),
        (identity.as_bytes(), &identity_point),
    ];
    let (from, to) = cases[which];
    let bad = pb::EnrolInstitution {
        keys: Some(replace(from, to)),
        ..message.clone()
    };
    clinic.post(&world.wire, "/v1/institutions", &bad).await
}

/// Whoever enrols holds the device key.
#[tokio::test]
async fn somebody_elses_device_does_not_enrol() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (alice, mallory) = (RawPatient::new()?, RawPatient::new()?);
        let message = alice.enrolment()?;
        let name = alice.device_id().to_string();
        let stolen = Key {
            id: &name,
            signing: mallory.key().signing,
        };
        world
            .wire
            .call(&Call::post("/v1/patients", &message)?, stolen)
            .await
    };
    defended(&[Defence::RequestSignatures], Problem::Unauthenticated, attack).await
}

/// ATK-32: An accreditation that the registrar itself has signed, for another name, X-Wing key or institution.
#[tokio::test]
async fn an_accreditation_covers_its_name_and_keys_only() -> Result<()> {
    let edits: [fn(&mut Accreditation) -> Result<()>; 2] = [
        |body| {
            body.name = "University Hospital".to_owned().try_into()?;
            Ok(())
        },
        |body| {
            body.recipient_key_hash = RecipientSecret::generate(&OperatingSystem)?.public().digest();
            Ok(())
        },
    ];
    for edit in edits {
        let attack = async |world: &mut RawWorld| enrol_with(world, edit).await;
        defended(&[Defence::Accreditation], Problem::NotAccredited, attack).await?;
    }
    // Without the comparison, the request would still be refused: it is signed by another than it names.
    let of_another = |body: &mut Accreditation| {
        body.institution_id = InstitutionId::from(&SigningIdentity::generate(&OperatingSystem)?.public());
        Ok(())
    };
    let answer = enrol_with(&RawWorld::start().await?, of_another).await?;
    assert_eq!(answer.problem(), Some(Problem::NotAccredited), "{answer:?}");
    Ok(())
}

/// Enrols with an accreditation that the registrar has signed after this edit.
async fn enrol_with(world: &RawWorld, edit: impl Fn(&mut Accreditation) -> Result<()>) -> Result<Answer> {
    let (clinic, message) = RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
    let mut body = Accreditation::decode(&message.accreditation.clone().unwrap_or_default().body)?;
    edit(&mut body)?;
    let signed = Signed::sign(body, |bytes| world.registrar.sign_bytes(bytes));
    let message = pb::EnrolInstitution {
        accreditation: Some(signed.to_message()),
        ..message
    };
    clinic.post(&world.wire, "/v1/institutions", &message).await
}
