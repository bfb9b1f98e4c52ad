//! Presentation: proof of possession opens a session. One commit uses the challenge up, has the session hold a use,
//! opens it and keeps the evidence; a release ticket is in the log before it is answered. One that names an open
//! session takes that up ([`crate::vault::transfer::sessions`]).
//!
//! Order of refusals: first what looks alike for everybody who is not the proven holder, then the
//! challenge, then a repetition's stored answer (a release only while the permission lives), and only then
//! why the permission cannot be used.

use bytes::Bytes;
use prost::Message;
use protocol_spec::{
    bodies::{ReleaseTicket, StandbyTicket},
    defence::Defence,
    hash::Sha256Digest,
    ids::{InstitutionId, PermissionId, RecordId, ReleaseId, UploadId, VersionId},
    lifecycle::{Presented, Rules, session_end},
    messages as pb,
    permission::{Kind, PermissionBody},
    problem::Problem,
    purpose::Purpose,
    request::{self, RequestSignature},
    statement::{Signed, Verified},
};

use crate::vault::{
    ask::challenge::{self, HeldPermission},
    core::{
        back, idempotency,
        refusal::{Refusal, ensure},
        run,
        shared::Shared,
        sizes::release_bytes,
        tx::{Operation, Tx},
        units::{millis, random},
    },
    keep::{gone, records},
    log::statement_hash,
    tables::{self, Expiring, MeterRow, ReleaseRow, UploadRow},
    telling::history,
    transfer::{session_rows, sessions},
    who::{
        caller::{Caller, Intent},
        standing,
    },
};

use pb::{history_entry, presentation_answer::Answer};

/// What a presentation proves itself with.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// From the delivery.
    pub challenge: [u8; 32],
    /// By the possession key; verified here.
    pub pop: &'a RequestSignature,
    /// By the institution's key; verified by whoever made the caller, kept as evidence.
    pub id: &'a RequestSignature,
}

/// Verifies the proof of whoever holds a permission. Nothing is spent yet.
pub(crate) async fn possession<'a>(
    shared: &'a Shared,
    caller: &'a Caller,
    permission: PermissionId,
    proof: Proof<'a>,
) -> Result<Possession<'a>, Refusal> {
    let institution = caller.institution()?.id();
    let fresh = proof.pop.check_time(shared.time.now() / 1000);
    fresh.map_err(|error| Refusal::new(Problem::SignatureExpired, error))?;
    let held = challenge::held(shared, caller.institution()?, permission).await?;
    let held = check_possession(shared, held, permission, proof.pop)?;
    Ok(Possession {
        shared,
        caller,
        institution,
        held,
        proof,
    })
}

/// A permission in the hands of its proven holder.
pub struct Possession<'a> {
    shared: &'a Shared,
    caller: &'a Caller,
    institution: InstitutionId,
    held: HeldPermission,
    proof: Proof<'a>,
}

impl Possession<'_> {
    /// The most bytes that the answer will have.
    pub fn answer_bytes(&self) -> u64 {
        release_bytes(self.held.body.records.len(), self.held.manifest_bytes)
    }

    /// Opens a session. `bytes` are the body that the proof covers, and that the message was read from.
    pub async fn present(
        &self,
        intent: &Intent,
        message: pb::Presentation,
        bytes: Bytes,
    ) -> Result<pb::PresentationAnswer, Refusal> {
        let evidence = request::evidence(self.proof.id, self.proof.pop);
        let present = Present {
            caller: self.caller,
            intent,
            institution: self.institution,
            body: &self.held.body,
            challenge: &self.proof.challenge,
            evidence_hash: Sha256Digest::of(&evidence.encode_to_vec()),
            evidence,
            message,
            bytes,
        };
        let answer = match run::run(self.shared, &present).await {
            // What holds the use may be over, and not be swept yet.
            Err(refusal) if refusal.problem == Problem::PermissionInUse => {
                sessions::end_over(self.shared, &self.held.body).await?;
                run::run(self.shared, &present).await?
            }
            answer => answer?,
        };
        complete_answer(self.shared, &self.held.body, answer).await
    }
}

/// Verifies the possession proof. Where there is no permission, the same work is done with another key.
/// (PRM-9, PRM-10)
fn check_possession(
    shared: &Shared,
    held: Option<HeldPermission>,
    permission: PermissionId,
    pop: &RequestSignature,
) -> Result<HeldPermission, Refusal> {
    let key = held
        .as_ref()
        .map_or(shared.operator.key(), |held| &held.body.possession_key);
    let verified = pop.verify(key).is_ok() && pop.params.key_id == permission.to_string();
    let verified = Defence::Possession.holds(verified);
    held.filter(|_| verified)
        .ok_or_else(|| Refusal::absent("no such permission, or a bad proof"))
}

/// Adds what is not kept for repetitions: the ticket's place in the log, the records.
async fn complete_answer(
    shared: &Shared,
    permission: &PermissionBody,
    mut answer: pb::PresentationAnswer,
) -> Result<pb::PresentationAnswer, Refusal> {
    if let Some(Answer::Release(release)) = &mut answer.answer {
        let hash = statement_hash(release.ticket.as_ref());
        let proof = shared.log.prove(*permission.patient_id.as_bytes(), &hash).await?;
        release.proof = Some(proof);
        for selector in &permission.records {
            match records::stored_record(shared, permission.patient_id, selector.version_id).await {
                Ok(record) => release.records.push(record),
                // DEL-3
                Err(refusal) => {
                    let deletion = gone::deletion(shared, permission.patient_id, selector.record_id).await?;
                    release.deleted.push(deletion.ok_or(refusal)?);
                }
            }
        }
    }
    Ok(answer)
}

struct Present<'a> {
    caller: &'a Caller,
    intent: &'a Intent,
    institution: InstitutionId,
    body: &'a PermissionBody,
    challenge: &'a [u8; 32],
    evidence: pb::Evidence,
    evidence_hash: Sha256Digest,
    message: pb::Presentation,
    bytes: Bytes,
}

impl Operation for Present<'_> {
    type Answer = pb::PresentationAnswer;

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Answer, Refusal> {
        let Self { body, .. } = self;
        standing::check_caller(tx, self.caller).await?;
        challenge::consume_challenge(tx, body, self.challenge).await?;
        let key = tables::meter(body.patient_id, body.permission_id);
        let meter = tx.read_existing(&key).await?;
        if let Some(answer) = idempotency::answered(tx, self.caller, self.intent).await? {
            // A release is answered with sealed manifests, which are part of what is released (FLW-5).
            if body.kind != Kind::Upload {
                check_live(tx, body, &meter).await?;
            }
            return Ok(answer);
        }
        check_live(tx, body, &meter).await?;
        if !self.message.session.is_empty() {
            if body.kind != Kind::Upload {
                return self.go_on(tx).await;
            }
            sessions::take_over(tx, body, self.institution, &self.message.session).await?;
        }
        let meter = tx.read_existing(&key).await?;
        let presented = Presented {
            now: tx.now,
            over: tx.has_passed(body.not_after).await,
            purpose: Purpose::read(self.message.purpose.clone())?,
        };
        let left = meter.meter().present(body, presented, &Rules::in_force())?;
        let meter = meter.with(left);
        tx.put(&key, &meter);
        let most = u64::from(tx.shared.limits.sessions_per_institution);
        session_rows::open_session(tx, *self.institution.as_bytes(), most).await?;
        let (answer, presented) = match body.kind {
            Kind::Upload => self.stand_by(tx, meter.bytes_left).await?,
            Kind::Download | Kind::Reference | Kind::Emergency => self.release(tx, meter.bytes_left).await?,
        };
        let presented = pb::Presented {
            permission_id: Bytes::copy_from_slice(body.permission_id.as_bytes()),
            institution_id: Bytes::copy_from_slice(self.institution.as_bytes()),
            evidence: Some(self.evidence.clone()),
            presentation: self.bytes.clone(),
            terminal: self.caller.certificate().map(Verified::to_message),
            ..presented
        };
        history::record_history(tx, body.patient_id, history_entry::What::Presented(presented)).await?;
        let answer = pb::PresentationAnswer { answer: Some(answer) };
        idempotency::remember(tx, self.caller, self.intent, &answer);
        Ok(answer)
    }
}

impl Present<'_> {
    /// The same session again: nothing is taken, and nothing comes into the history (FLW-17).
    async fn go_on(&self, tx: &mut Tx<'_>) -> Result<pb::PresentationAnswer, Refusal> {
        let holder = self.caller.holder()?;
        let row = sessions::goes_on(tx, self.body, holder, &self.message).await?;
        check_there(tx, self.body).await?;
        let release = pb::Release {
            ticket: row.ticket,
            ..Default::default()
        };
        let answer = pb::PresentationAnswer {
            answer: Some(Answer::Release(release)),
        };
        idempotency::remember(tx, self.caller, self.intent, &answer);
        Ok(answer)
    }

    async fn stand_by(&self, tx: &mut Tx<'_>, bytes: u64) -> Result<(Answer, pb::Presented), Refusal> {
        let Self { body, message, .. } = self;
        let record_id = RecordId::try_from(message.record_id.as_ref())?;
        let version_id = VersionId::try_from(message.version_id.as_ref())?;
        tx.place(&version_id, body.patient_id).await?;
        tx.claim(&tables::record_id(body.patient_id, record_id), &tables::Mark {})
            .await?;
        let upload_id = UploadId::mint(tx.now, random()?);
        tx.place(&upload_id, body.patient_id).await?;
        let operator = &tx.shared.operator;
        let ticket = StandbyTicket {
            created: tx.now,
            operator_id: operator.id(),
            upload_id,
            permission_id: body.permission_id,
            patient_id: body.patient_id,
            institution_id: self.institution,
            record_id,
            version_id,
            bytes,
            expires: session_end(tx.now, millis(tx.shared.limits.upload_ttl), body),
        };
        let expires = ticket.expires;
        let ticket = Signed::sign(ticket, |message| operator.sign(message));
        tx.log(*body.patient_id.as_bytes(), &ticket.hash()).await?;
        let row = UploadRow {
            ticket: Some(ticket.to_message()),
            presentation_hash: Bytes::copy_from_slice(self.evidence_hash.as_bytes()),
            ..UploadRow::default()
        };
        tx.put(&tables::upload(body.patient_id, upload_id), &row);
        session_rows::opened(tx, body, upload_id.as_bytes(), true, self.caller.key_id());
        tx.expire(expires, Expiring::Upload(body.patient_id, upload_id));
        let presented = pb::Presented {
            standby_ticket: row.ticket.clone(),
            ..Default::default()
        };
        Ok((Answer::Standby(pb::Standby { ticket: row.ticket }), presented))
    }

    async fn release(&self, tx: &mut Tx<'_>, bytes: u64) -> Result<(Answer, pb::Presented), Refusal> {
        let Self { body, .. } = self;
        check_there(tx, body).await?;
        let release_id = ReleaseId::mint(tx.now, random()?);
        tx.place(&release_id, body.patient_id).await?;
        let operator = &tx.shared.operator;
        let ticket = ReleaseTicket {
            created: tx.now,
            operator_id: operator.id(),
            release_id,
            permission_id: body.permission_id,
            patient_id: body.patient_id,
            institution_id: self.institution,
            bytes,
            expires: session_end(tx.now, millis(tx.shared.limits.release_ttl), body),
            presentation_hash: self.evidence_hash,
        };
        let expires = ticket.expires;
        let ticket = Signed::sign(ticket, |message| operator.sign(message));
        let receipt = pb::Receipt {
            statement: Some(ticket.to_message()),
            proof: None,
        };
        tx.log(*body.patient_id.as_bytes(), &ticket.hash()).await?;
        let row = ReleaseRow {
            ticket: receipt.statement.clone(),
            purpose: self.message.purpose.clone(),
            ..ReleaseRow::default()
        };
        tx.put(&tables::release(body.patient_id, release_id), &row);
        session_rows::opened(tx, body, release_id.as_bytes(), false, self.caller.key_id());
        let used = tables::used(body.patient_id, body.permission_id, release_id);
        tx.put(&used, &tables::Mark {});
        tx.expire(expires, Expiring::Release(body.patient_id, release_id));
        let answer = Answer::Release(pb::Release {
            ticket: receipt.statement.clone(),
            proof: None,
            records: Vec::new(),
            deleted: Vec::new(),
        });
        let presented = pb::Presented {
            release_ticket: Some(receipt),
            ..Default::default()
        };
        Ok((answer, presented))
    }
}

/// Whether all that a permission names is there, but for what was deleted: the patient may have sealed it anew since
/// (REV-9). Where nothing is left, that is said (DEL-3).
async fn check_there(tx: &mut Tx<'_>, body: &PermissionBody) -> Result<(), Refusal> {
    let mut left = body.records.is_empty();
    for selector in &body.records {
        let key = tables::gone(body.patient_id, selector.record_id);
        if let Some(gone) = tx.read(&key).await? {
            let deleted = gone.deletion.is_some();
            ensure(deleted, Problem::RecordDeleted, "a record was taken back")?;
        } else {
            gone::check_stored(tx, body.patient_id, selector.version_id).await?;
            left = true;
        }
    }
    ensure(left, Problem::RecordDeleted, "all its records were deleted")
}

/// Neither revoked, replaced nor over, nor wrapped to a key that has ended: something may leave the server under it.
async fn check_live(tx: &mut Tx<'_>, body: &PermissionBody, meter: &MeterRow) -> Result<(), Refusal> {
    let over = tx.has_passed(body.not_after).await;
    meter.meter().check_live(over, &Rules::in_force())?;
    standing::check_key(tx, body.recipient_key_hash).await?;
    back::check_back(tx.shared, body.patient_id).await
}
