//! The upload: present, stand by, seal, send, commit. Every step is in the journal before it is taken, so
//! that a run that was cut off is taken up by the next.

use std::{io::Read, path::PathBuf};

use bytes::Bytes;
use crypto::{OpenedPermission, UploadKey, content::RecordContext};
use protocol_spec::{
    api,
    bodies::StandbyTicket,
    content::{padme, stream_len},
    hash::Sha256Digest,
    ids::{PermissionId, UploadId},
    messages::{self as pb, LeafRange, presentation_answer::Answer},
    permission::{Kind, VerifiedPermission},
    problem::Problem,
    statement::{Signed, Verified},
};
use sha2::{Digest, Sha256};

use super::{
    committed,
    committing::{Sent, Upload, check_receipt, post_commit, receipt_of, send_and_commit},
    delivery::{self, Delivered},
    office::Office,
};
use crate::{
    Addressee, Error, Progress, Result,
    session::blocking,
    transfer::{FileSource, Journal, Source, check_names, interrupted},
};

/// An upload whose session is open, or was.
struct Begun {
    id: UploadId,
    stage: Stage,
}

/// How far an upload has come when a run takes it up.
enum Stage {
    /// Its session is open, and has these leaves.
    Standby(Vec<LeafRange>),
    /// An earlier run has sent this commit, and does not know what was answered.
    Committed(Bytes),
    /// The server has stored it.
    Receipted(Box<pb::Receipt>),
}

/// How a run takes up what is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendTerms {
    /// Takes the place of an upload that another terminal of the institution has begun under the permission, when no use is
    /// free (FLW-17). Of its own, which an earlier run has left, a client always does.
    pub take_over: bool,
    /// Sends what symbolic links lead to; without it, they are left out (CNT-21).
    pub follow: bool,
}

pub(super) async fn send_upload(
    office: &Office,
    permission: PermissionId,
    sources: &[PathBuf],
    progress: &dyn Progress,
) -> Result<Sent> {
    let sent = send_files(office, permission, sources, SendTerms::default(), progress).await?;
    sent_is_known(office, permission)?;
    Ok(sent)
}

pub(super) async fn send_files(
    office: &Office,
    permission: PermissionId,
    sources: &[PathBuf],
    terms: SendTerms,
    progress: &dyn Progress,
) -> Result<Sent> {
    let list = async || {
        let sources = sources.to_vec();
        let list = if terms.follow {
            FileSource::following
        } else {
            FileSource::list
        };
        blocking(move || list(&sources)).await
    };
    let mut contents = Contents::default();
    match send(office, permission, list().await?, terms, &mut contents, progress).await {
        // Sealed before of another content: now anew, under the use that the session holds.
        Err(Error::SourceChanged { .. }) if contents.differ => {
            let source = list().await?;
            send(office, permission, source, terms, &mut contents, progress).await
        }
        sent => sent,
    }
}

pub(super) fn sent_is_known(office: &Office, permission: PermissionId) -> Result<()> {
    Journal::forget(&office.session.home, &permission)
}

pub(super) async fn send_from(
    office: &Office,
    permission: PermissionId,
    source: impl Source,
    progress: &dyn Progress,
) -> Result<Sent> {
    let (terms, mut contents) = (SendTerms::default(), Contents::default());
    let sent = send(office, permission, source, terms, &mut contents, progress).await?;
    sent_is_known(office, permission)?;
    Ok(sent)
}

async fn send<S: Source>(
    office: &Office,
    permission: PermissionId,
    source: S,
    terms: SendTerms,
    contents: &mut Contents,
    progress: &dyn Progress,
) -> Result<Sent> {
    check_names(source.parts())?;
    let delivered = delivery::deliver(office, permission).await?;
    check_budget(&delivered.permission, plaintext_len(&source))?;
    let mut journal = Journal::open(&office.session.home, &permission, source.parts())?;
    let parts = source.parts().to_vec();
    let sent = run(office, delivered, (source, terms), &mut journal, progress)
        .await
        .map_err(interrupted);
    match &sent {
        Ok(_) => {}
        Err(Error::SourceChanged { .. }) if journal.differs() => {
            contents.differ = true;
            // Its session is open, and is found by its permission.
            journal.restart(&parts, None)?;
        }
        // What has changed meanwhile is compared by the next run.
        Err(Error::SourceChanged { .. }) => {}
        // What was refused for good is not taken up again.
        Err(error) if error.is_final() => journal.remove(),
        Err(_) => {}
    }
    sent
}

async fn run<S: Source>(
    office: &Office,
    delivered: Delivered,
    (source, terms): (S, SendTerms),
    journal: &mut Journal,
    progress: &dyn Progress,
) -> Result<Sent> {
    let (source, begun) = take_up(office, &delivered, source, terms, journal).await?;
    let permission = delivered.permission.clone();
    let opened = delivery::open_key::<UploadKey>(office, &permission, None)?;
    let context = RecordContext {
        patient: permission.patient_id,
        record: journal.record_id()?,
        version: journal.version_id()?,
    };
    let key = opened
        .keys
        .record_key(&context.patient, &context.record, &context.version);
    let plaintext_len = plaintext_len(&source);
    let length = stream_len(padme(plaintext_len));
    let begun = match begun {
        Some(begun) => begun,
        None => stand_by(office, delivered, (&opened, &context), journal, length).await?,
    };
    let upload = Upload {
        permission,
        context,
        key,
        id: begun.id,
        plaintext_len,
    };
    progress.started(length);
    let already = matches!(begun.stage, Stage::Receipted(_));
    let (receipt, resumed_bytes) = match begun.stage {
        Stage::Receipted(receipt) => (receipt_of(office, *receipt).await?, length),
        Stage::Committed(commit) => (post_commit(office, &upload, journal, &commit).await?, length),
        Stage::Standby(present) => {
            send_and_commit(office, &upload, &present, source, journal, progress).await?
        }
    };
    let sent = check_receipt(office, &upload, journal, receipt, (resumed_bytes, already))?;
    progress.finished();
    Ok(sent)
}

/// Presents the permission: the server then takes leaves, a stream of this length.
async fn stand_by(
    office: &Office,
    delivered: Delivered,
    (opened, context): (&OpenedPermission<UploadKey>, &RecordContext),
    journal: &Journal,
    length: u64,
) -> Result<Begun> {
    let permission = delivered.permission.clone();
    let bytes = |id: &[u8; 16]| Bytes::copy_from_slice(id);
    let message = pb::Presentation {
        record_id: bytes(context.record.as_bytes()),
        version_id: bytes(context.version.as_bytes()),
        purpose: String::new(),
        session: journal.takes().map_or_else(Bytes::new, |id| bytes(id.as_bytes())),
    };
    let others = delivered.others(&office.key_id());
    let answer = delivery::present(office, delivered, opened, &message, journal.idempotency_key()).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let error = in_use(error, &others);
            return Err(committed::spent_for(office, error, permission.permission_id, length).await);
        }
    };
    let ticket = check_standby_ticket(office, answer, &permission, context)?;
    check_left(ticket.bytes, length)?;
    Ok(Begun {
        id: ticket.upload_id,
        stage: Stage::Standby(Vec::new()),
    })
}

/// Finds the session that an earlier run has opened, and forgets what cannot go on: of another content, ended, or with leaves
/// at the server of which the journal does not know how they were sealed. None where it is still to be opened.
async fn take_up<S: Source>(
    office: &Office,
    delivered: &Delivered,
    mut source: S,
    terms: SendTerms,
    journal: &mut Journal,
) -> Result<(S, Option<Begun>)> {
    let open = delivered.uploads();
    let mine = office.key_id();
    let version = journal.version_id()?;
    let known = |ticket: &StandbyTicket| ticket.version_id == version;
    let by_version = open.iter().find(|(ticket, _)| known(ticket));
    // The answer of its presentation was lost: the delivery has the ticket (FLW-17).
    let id = journal
        .upload_id()
        .or_else(|| by_version.map(|(ticket, _)| ticket.upload_id));
    if let Some(id) = id {
        let path = api::UPLOAD_STATUS.at([&id]);
        let status = match office.get(path).await {
            Err(error) if error.is_final() => None,
            status => Some(status?),
        };
        let is_open = open.iter().any(|(ticket, _)| ticket.upload_id == id);
        let (reader, same) = same_contents(source, journal).await?;
        source = reader;
        let stage = match status {
            Some(status) if same => stage(status.receipt, status.present, is_open, journal)?,
            _ => None,
        };
        if let Some(stage) = stage {
            return Ok((source, Some(Begun { id, stage })));
        }
        journal.restart(source.parts(), None)?;
    }
    // What an earlier run of this home has left open holds a use for nothing.
    let left = open.iter().find(|(_, keyid)| *keyid == mine);
    let left = left.or_else(|| open.first().filter(|_| terms.take_over));
    let left = left.map(|(ticket, _)| ticket.upload_id);
    if left.is_some() && journal.takes() != left {
        journal.restart(source.parts(), left)?;
    }
    Ok((source, None))
}

/// How far an upload of the same content has come, by what the server has of it; none if it cannot go on.
fn stage(
    receipt: Option<pb::Receipt>,
    present: Vec<LeafRange>,
    is_open: bool,
    journal: &Journal,
) -> Result<Option<Stage>> {
    if let Some(receipt) = receipt {
        return Ok(Some(Stage::Receipted(Box::new(receipt))));
    }
    if !is_open || !journal.knows(&present)? {
        return Ok(None);
    }
    let commit = journal.commit()?.map(|commit| Stage::Committed(commit.message));
    Ok(Some(commit.unwrap_or(Stage::Standby(present))))
}

/// Whether what was committed, or is about to be, is what the source contains now. Before there is a commit, the leaves tell.
async fn same_contents<S: Source>(source: S, journal: &Journal) -> Result<(S, bool)> {
    let commit = journal.commit()?;
    let Some(commit) = commit.filter(|_| !journal.looks_same(source.parts())) else {
        return Ok((source, true));
    };
    blocking(move || {
        let mut source = source;
        let now = contents(&mut source)?;
        Ok((source, now == commit.contents))
    })
    .await
}

fn check_standby_ticket(
    office: &Office,
    answer: Answer,
    permission: &VerifiedPermission,
    context: &RecordContext,
) -> Result<Verified<StandbyTicket>> {
    let Answer::Standby(standby) = answer else {
        return Err(Error::tampered(TICKET)("it is for a download"));
    };
    let ticket = Signed::<StandbyTicket>::try_from(standby.ticket)
        .and_then(|ticket| ticket.verify(office.session.server.operator()))
        .map_err(Error::tampered(TICKET))?;
    let same = ticket.operator_id == office.session.server.operator_id()
        && ticket.permission_id == permission.permission_id
        && ticket.patient_id == permission.patient_id
        && ticket.institution_id == office.id()
        && ticket.record_id == context.record
        && ticket.version_id == context.version;
    if same {
        Ok(ticket)
    } else {
        Err(Error::tampered(TICKET)("it is for something else"))
    }
}

/// Of a source that was sealed in an earlier run.
#[derive(Default)]
struct Contents {
    /// It is another one by now.
    differ: bool,
}

/// SHA-256 of each part, as the source has it now.
fn contents(source: &mut impl Source) -> Result<Vec<Sha256Digest>> {
    let mut hashes = Vec::new();
    for index in 0..source.parts().len() {
        let mut part = source.open(index)?;
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
        loop {
            let read = part.read(&mut buffer);
            let read = read.map_err(|_| Error::SourceChanged {
                path: source.path(index),
            })?;
            match buffer.get(..read) {
                Some([]) | None => break,
                Some(read) => hasher.update(read),
            }
        }
        hashes.push(Sha256Digest::from_bytes(hasher.finalize().into()));
    }
    Ok(hashes)
}

/// Who has what is left of the permission, and until when.
pub(super) fn in_use(error: Error, others: &[String]) -> Error {
    match error {
        Error::Refused {
            problem: Problem::PermissionInUse,
            ..
        } if !others.is_empty() => Error::Refused {
            problem: Problem::PermissionInUse,
            reader: Addressee::Institution,
            detail: Some(others.join("; ")),
        },
        error => error,
    }
}

/// Finds before a leaf is sent that what is left does not cover it; nothing is spent then.
fn check_left(left: u64, needed: u64) -> Result<()> {
    if needed <= left {
        return Ok(());
    }
    Err(Error::Refused {
        problem: Problem::BytesSpent,
        reader: Addressee::Institution,
        detail: Some(format!(
            "{left} bytes are left of those permitted, the sealed record has {needed}; nothing was sent or charged"
        )),
    })
}

fn plaintext_len(source: &impl Source) -> u64 {
    source
        .parts()
        .iter()
        .map(|part| part.length)
        .fold(0, u64::saturating_add)
}

/// Finds before anything is spent that a permission does not fit.
fn check_budget(permission: &VerifiedPermission, plaintext: u64) -> Result<()> {
    if permission.kind != Kind::Upload {
        return Err(Error::Usage(
            "this permission is for downloads: fetch with it".into(),
        ));
    }
    let needed = stream_len(padme(plaintext));
    if needed > permission.bytes {
        let detail = format!(
            "{} bytes are permitted, the sealed record has {needed}",
            permission.bytes
        );
        return Err(Error::Refused {
            problem: Problem::BytesSpent,
            detail: Some(detail),
            reader: Addressee::Institution,
        });
    }
    Ok(())
}

const TICKET: &str = "the standby ticket";
