//! What is sent must fit what is there: a permission its request and the records of the vault, leaves their
//! hashes. Each misfit is taken by a server that does not compare.

use anyhow::{Context, Result};
use bytes::Bytes;
use protocol_spec::{
    bodies::StandbyTicket,
    content::{LEAF_LEN, leaf_hash},
    defence::Defence,
    hash::{ContentRoot, Sha256Digest},
    messages as pb,
    permission::{Kind, PermissionBody, RecordSelector},
    problem::Problem,
    statement::Signed,
};
use tests::raw::{Answer, Call, RawPatient, RawWorld, byte_sequence, defended};

/// Permits a download of one record after a change to what is signed.
async fn permit(
    world: &RawWorld,
    change: impl FnOnce(&mut PermissionBody, &mut RecordSelector),
) -> Result<Answer> {
    let wire = &world.wire;
    let patient = RawPatient::enrol(wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let record = hospital.upload(wire, &patient, 5_000).await?;
    let request = hospital.ask(wire, &patient).await?;
    let edit = |body: &mut PermissionBody| {
        let mut record = body.records.remove(0);
        change(body, &mut record);
        body.records.push(record);
    };
    let (_, permission) = patient.permit(wire, &hospital.entry, request, vec![record], edit)?;
    let message = pb::SubmitPermission::from(permission);
    patient.post(wire, "/v1/permissions", &message).await
}

/// FLW-2
#[tokio::test]
async fn a_permission_of_another_kind_than_its_request_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| permit(world, |body, _| body.kind = Kind::Reference).await;
    defended(&[Defence::RequestMatch], Problem::RequestMismatch, attack).await
}

/// FLW-2: a permission for keys that the institution does not have.
#[tokio::test]
async fn a_permission_for_another_directory_entry_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        permit(world, |body, _| {
            body.directory_entry_hash = Sha256Digest::of(b"another entry")
        })
        .await
    };
    defended(&[Defence::RequestMatch], Problem::RequestMismatch, attack).await
}

/// FLW-3
#[tokio::test]
async fn a_permission_over_other_content_than_the_vault_has_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        permit(world, |_, record| {
            record.content_root = ContentRoot::from_bytes([7; 32])
        })
        .await
    };
    defended(&[Defence::RecordMatch], Problem::RecordMismatch, attack).await
}

/// FLW-7
#[tokio::test]
async fn a_leaf_that_has_another_hash_than_was_signed_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let offer = patient.offer(wire, &hospital.entry, |_| ())?;
        patient.submit_offer(wire, &offer).await?;
        let answer: pb::PresentationAnswer = hospital.present(wire, offer.permission_id).await?.message()?;
        let standby = match answer.answer.context("empty")? {
            pb::presentation_answer::Answer::Standby(standby) => standby,
            pb::presentation_answer::Answer::Release(_) => anyhow::bail!("a release"),
        };
        let ticket = Signed::<StandbyTicket>::try_from(standby.ticket)?;
        let leaf = vec![1; usize::try_from(LEAF_LEN)?];
        let signed = leaf_hash(0, &vec![2; leaf.len()]);
        let call = Call {
            method: http::Method::PUT,
            path: format!("/v1/uploads/{}/leaves?first=0", ticket.claimed().upload_id),
            body: Bytes::from(leaf),
            headers: vec![("medvault-leaves", byte_sequence(signed.as_bytes()))],
        };
        wire.call(&call, hospital.key()).await
    };
    defended(&[Defence::LeafHashes], Problem::DigestMismatch, attack).await
}
