//! Floods of storage: an account fills the disk with index segments, or with rows.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use protocol_spec::{
    bodies::IndexSegment, defence::Defence, hash::Sha256Digest, index::IndexHead, messages as pb,
    patient::PatientSigned, problem::Problem, statement::Signed,
};
use tests::raw::{Answer, RawPatient, Wire, defended_with, now_ms, random};

/// Puts noise after the index, and gives what stands there now.
async fn segment(wire: &Wire, patient: &RawPatient, head: &mut IndexHead, bytes: usize) -> Result<Answer> {
    let mut sealed = vec![0; bytes];
    sealed[..32].copy_from_slice(&random::<32>()?);
    let body = IndexSegment {
        created: now_ms(),
        patient_id: patient.id,
        generation: head.generation,
        number: head.segments,
        previous: head.last,
        through: 0,
        epoch: 0,
        sealed_hash: Sha256Digest::of(&sealed),
    };
    let after = head.then(&body)?;
    let signed = Signed::sign(body, |message| patient.sign(message));
    let signed = PatientSigned::new(signed, patient.chain().clone());
    let message = pb::SignedSegment {
        head: Some((&signed).into()),
        sealed: Bytes::from(sealed),
    };
    let answer = patient.post(wire, "/v1/vault/index", &message).await?;
    if answer.status.is_success() {
        *head = after;
    }
    Ok(answer)
}

/// ACC-7, ATK-81: a vault without records gets an index of more than it could need; a new generation starts anew.
#[tokio::test]
async fn an_index_is_no_larger_than_its_vault() -> Result<()> {
    let flags = &["--index-budget", "256KiB"];
    let off = &[Defence::StorageBudget];
    defended_with(flags, off, Problem::StorageBudget, async |world| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let mut head = IndexHead::begin(0);
        for _ in 0..2 {
            segment(wire, &patient, &mut head, 100 << 10)
                .await?
                .message::<pb::Accepted>()?;
        }
        let refused = segment(wire, &patient, &mut head, 100 << 10).await?;
        let mut fresh = IndexHead::begin(1);
        segment(wire, &patient, &mut fresh, 100 << 10)
            .await?
            .message::<pb::Accepted>()?;
        Ok(refused)
    })
    .await
}

/// ACC-6, ATK-81: an account makes the server keep row after row. It is refused in the end, and what protects is not.
#[tokio::test]
async fn an_account_keeps_within_its_budget() -> Result<()> {
    let flags = &["--patient-budget", "256KiB"];
    let off = &[Defence::StorageBudget];
    defended_with(flags, off, Problem::StorageBudget, async |world| {
        let wire = &world.wire;
        let (clinic, patient) = (world.institution("Clinic").await?, RawPatient::enrol(wire).await?);
        let mut taken = None;
        for _ in 0..40 {
            let offer = patient.offer(wire, &clinic.entry, |_| ())?;
            let answer = patient.post(wire, "/v1/requests/upload", &offer.message).await?;
            if !answer.status.is_success() {
                let (id, permission) = taken.context("nothing was taken")?;
                let revocation = patient.revocation(&permission, id);
                let revoked = patient.post(wire, "/v1/revocations", &revocation).await?;
                ensure!(
                    revoked.status.is_success(),
                    "what protects is refused: {revoked:?}"
                );
                return Ok(answer);
            }
            taken = offer
                .message
                .permission
                .map(|permission| (offer.permission_id, permission));
        }
        // All were taken.
        let offer = patient.offer(wire, &clinic.entry, |_| ())?;
        patient.post(wire, "/v1/requests/upload", &offer.message).await
    })
    .await
}
