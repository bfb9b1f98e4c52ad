//! Nobody enters the directory without the registrar, with another's key, or with a degenerate one
//! (ATK-5, ATK-6, ATK-7).

use anyhow::Result;
use bytes::Bytes;
use crypto::{RecipientSecret, SigningIdentity};
use protocol_spec::{
    bodies::{Accreditation, InstitutionKeys},
    messages as pb,
    problem::Problem,
    statement::{Body, Signed},
};
use tests::raw::{RawInstitution, RawPatient, RawWorld};

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
    let page: pb::DirectoryPage = hospital.get(&world.wire, "/v1/directory").await?.message()?;
    assert_eq!(page.entries.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_institution_without_the_registrars_signature_is_refused() -> Result<()> {
    let world = RawWorld::start().await?;
    let impostor = SigningIdentity::generate()?;
    let (clinic, message) = RawInstitution::enrolment(&world.wire, &impostor, "City Hospital")?;
    let answer = clinic.post(&world.wire, "/v1/institutions", &message).await?;
    assert_eq!(answer.problem(), Some(Problem::NotAccredited), "{answer:?}");
    let page: pb::DirectoryPage = clinic.get(&world.wire, "/v1/directory").await?.message()?;
    assert!(page.entries.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_institution_that_cannot_open_the_secret_is_refused() -> Result<()> {
    let world = RawWorld::start().await?;
    let (clinic, mut message) = RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
    message.secret = Bytes::from_static(&[7; 32]);
    let answer = clinic.post(&world.wire, "/v1/institutions", &message).await?;
    assert_eq!(answer.problem(), Some(Problem::NotAccredited), "{answer:?}");
    Ok(())
}

/// A squatter puts another institution's X-Wing key into its own entry.
#[tokio::test]
async fn another_institutions_recipient_key_is_refused() -> Result<()> {
    let world = RawWorld::start().await?;
    let victim = world.institution("Hospital North").await?;
    let (squatter, mut message) = RawInstitution::enrolment(&world.wire, &world.registrar, "Squatters")?;
    let mut keys = InstitutionKeys::decode(&message.keys.clone().unwrap_or_default().body)?;
    keys.recipient_key = victim.entry.recipient_key().clone();
    message.keys = Some(Signed::sign(keys, |bytes| squatter.identity.sign_bytes(bytes)).to_message());
    let answer = squatter.post(&world.wire, "/v1/institutions", &message).await?;
    assert_eq!(answer.problem(), Some(Problem::NotAccredited), "{answer:?}");
    Ok(())
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

#[tokio::test]
async fn degenerate_keys_are_refused_at_the_door() -> Result<()> {
    let world = RawWorld::start().await?;
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
        }
    };
    let mut low_order = recipient.clone();
    low_order[1184..].fill(0);
    let mut not_canonical = recipient.clone();
    not_canonical[..3].fill(0xff);
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    let identity = clinic.identity.public();
    let cases = [
        (recipient.as_slice(), low_order.as_slice()),
        (recipient.as_slice(), not_canonical.as_slice()),
        (identity.as_bytes().as_slice(), &identity_point[..]),
    ];
    for (from, to) in cases {
        let bad = pb::EnrolInstitution {
            keys: Some(replace(from, to)),
            ..message.clone()
        };
        let answer = clinic.post(&world.wire, "/v1/institutions", &bad).await?;
        assert_eq!(answer.problem(), Some(Problem::DegenerateKey), "{answer:?}");
    }
    clinic
        .post(&world.wire, "/v1/institutions", &message)
        .await?
        .message::<pb::DirectoryEntry>()?;
    Ok(())
}

/// A patient's certificate proves that whoever enrols holds the device key.
#[tokio::test]
async fn a_foreign_device_certificate_does_not_enrol() -> Result<()> {
    let world = RawWorld::start().await?;
    let (alice, mallory) = (RawPatient::new()?, RawPatient::new()?);
    let message = pb::EnrolPatient {
        device_certificate: Some(alice.certificate().to_message()),
    };
    let call = tests::raw::Call::post("/v1/patients", &message)?;
    let name = alice.id.to_string();
    let stolen = tests::raw::Key {
        id: &name,
        signing: mallory.key().signing,
    };
    let answer = world.wire.call(&call, stolen).await?;
    assert_eq!(answer.problem(), Some(Problem::Unauthenticated), "{answer:?}");
    Ok(())
}

/// The accreditation names one X-Wing key: RecipientSecret of somebody else cannot take its place.
#[tokio::test]
async fn an_accreditation_covers_its_name_and_keys_only() -> Result<()> {
    let world = RawWorld::start().await?;
    let (clinic, message) = RawInstitution::enrolment(&world.wire, &world.registrar, "City Hospital")?;
    let accreditation = Accreditation::decode(&message.accreditation.clone().unwrap_or_default().body)?;
    let edits: [fn(&mut Accreditation) -> Result<()>; 3] = [
        |body| {
            body.name = "University Hospital".to_owned().try_into()?;
            Ok(())
        },
        |body| {
            body.recipient_key_hash = RecipientSecret::generate()?.public().digest();
            Ok(())
        },
        |body| {
            body.institution_id =
                protocol_spec::ids::InstitutionId::from(&SigningIdentity::generate()?.public());
            Ok(())
        },
    ];
    for edit in edits {
        let mut body = accreditation.clone();
        edit(&mut body)?;
        // The registrar itself signs it, so that the signature is good and only the match can fail.
        let signed = Signed::sign(body, |bytes| world.registrar.sign_bytes(bytes));
        let bad = pb::EnrolInstitution {
            accreditation: Some(signed.to_message()),
            ..message.clone()
        };
        let answer = clinic.post(&world.wire, "/v1/institutions", &bad).await?;
        assert_eq!(answer.problem(), Some(Problem::NotAccredited), "{answer:?}");
    }
    Ok(())
}
