//! What a receiver does about what she was asked and has not answered: she has it deleted, or blocks who asks. See
//! `spec/accounts.md` §4.

use protocol_spec::{
    hash::Sha256Digest,
    ids::{DelegationId, InstitutionId, PatientId, RequestId},
    messages as pb,
    problem::Problem,
    submitted::{self, DeleteUnanswered as What},
};

use crate::vault::{
    ask::{
        asked::request_place,
        received::{self, Asking},
    },
    core::{
        proven::Proven,
        refusal::{Refusal, ensure},
        role::{OwnDevice, Receiver, Role},
        shared::Shared,
        submission::Submission,
        tx::{Operation, Tx},
    },
    delegation::held,
    emergency::guardianship,
    tables::{self, SenderRow},
    telling::{history, inbox},
    who::caller::Caller,
};

use pb::RequestState;

/// Those with whom the caller deals, of whom something is open, or whom it has blocked, by id, after this one.
pub(crate) async fn senders(
    shared: &Shared,
    caller: &Caller,
    after: Option<[u8; 32]>,
    limit: usize,
) -> Result<pb::SenderPage, Refusal> {
    let receiver = Receiver::of(caller)?;
    let first = tables::senders(receiver).behind(after);
    let (rows, more) = shared.short_page(first, limit).await?;
    let last = rows.last().filter(|_| more).map(|row| row.sender.clone());
    let mut page = pb::SenderPage {
        next: last.unwrap_or_default(),
        ..Default::default()
    };
    for row in rows {
        let id = InstitutionId::try_from(row.sender.as_ref()).map_err(Refusal::damaged)?;
        let entry = tables::institution(id).get(&*shared.ledger).await?;
        page.senders.push(shown(row, entry.is_some(), shared.time.now()));
    }
    Ok(page)
}

fn shown(row: SenderRow, institution: bool, now: u64) -> pb::Sender {
    let open = row.open.iter().filter(|open| open.expires > now).count();
    pb::Sender {
        sender_id: row.sender,
        known: row.met,
        blocked: row.blocked,
        open: u32::try_from(open).unwrap_or(u32::MAX),
        institution,
    }
}

/// The receiver has something deleted that she has not answered, or gives up what she had accepted (ACC-9).
pub(crate) struct DeleteUnanswered {
    receiver: PatientId,
    what: submitted::DeleteUnanswered,
}

impl Submission for DeleteUnanswered {
    type Message = submitted::DeleteUnanswered;
    type By = OwnDevice;

    fn admit(what: Self::Message, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        Ok(Self {
            receiver: who.principal(),
            what,
        })
    }
}

impl Operation for DeleteUnanswered {
    type Answer = ();

    /// It ends something, and frees what that took.
    fn is_urgent(&self) -> bool {
        true
    }

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        tx.protects = true;
        let receiver = self.receiver;
        match self.what {
            What::Request(id) => {
                let place = tx.read_existing(&tables::place(&id)).await?;
                let (patient, hash) = request_place(place)?;
                ensure(
                    patient == receiver,
                    Problem::NotPermitted,
                    "it is asked of somebody else",
                )?;
                delete_request(tx, patient, hash).await
            }
            What::Delegation(id) => refuse_delegation(tx, receiver, id).await,
            What::Guardianship(patient) => guardianship::refuse_guardianship(tx, patient, receiver).await,
        }
    }
}

/// Blocks a sender, whose unanswered things are deleted; or takes that back (ACC-9).
pub(crate) struct Block {
    receiver: [u8; 32],
    sender: [u8; 32],
    blocked: bool,
}

impl Submission for Block {
    type Message = submitted::BlockSender;
    type By = Receiver;

    fn admit(message: Self::Message, who: &Proven<'_, Receiver>) -> Result<Self, Refusal> {
        Ok(Self {
            receiver: who.principal(),
            sender: message.sender_id,
            blocked: message.blocked,
        })
    }
}

impl Operation for Block {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self {
            receiver,
            sender,
            blocked,
        } = *self;
        tx.protects = true;
        check_enrolled(tx, sender).await?;
        let key = tables::sender(receiver, sender);
        let open = tx.read(&key).await?.unwrap_or_default().open;
        for open in open.into_iter().filter(|_| blocked) {
            // Patients alone are asked for what they can answer.
            let patient = PatientId::from_bytes(receiver);
            match Asking::try_from(open.what)? {
                Asking::Request => {
                    let hash = Sha256Digest::try_from(open.id.as_ref()).map_err(Refusal::damaged)?;
                    delete_request(tx, patient, hash).await?;
                }
                Asking::Delegation => {
                    let id = DelegationId::try_from(open.id.as_ref()).map_err(Refusal::damaged)?;
                    refuse_delegation(tx, patient, id).await?;
                }
                Asking::Guardianship => {
                    let of = PatientId::try_from(open.id.as_ref()).map_err(Refusal::damaged)?;
                    guardianship::refuse_guardianship(tx, of, patient).await?;
                }
            }
        }
        let mut row = tx.read(&key).await?.unwrap_or_default();
        row.sender = sender.to_vec().into();
        row.blocked = blocked;
        received::put_sender(tx, &key, &row);
        Ok(())
    }
}

/// Only whoever is enrolled is blocked: rows of nobody's are not kept.
async fn check_enrolled(tx: &mut Tx<'_>, principal: [u8; 32]) -> Result<(), Refusal> {
    let patient = tx
        .read(&tables::patient(PatientId::from_bytes(principal)))
        .await?;
    if patient.is_none() {
        let institution = InstitutionId::from_bytes(principal);
        tx.read_existing(&tables::institution(institution)).await?;
    }
    Ok(())
}

/// Leaves of a request that is open, or was never answered, nothing but its numbers.
async fn delete_request(tx: &mut Tx<'_>, patient: PatientId, hash: Sha256Digest) -> Result<(), Refusal> {
    let key = tables::request(patient, hash);
    let row = tx.read_existing(&key).await?;
    let open = row
        .stored
        .as_ref()
        .is_some_and(|stored| stored.state() == RequestState::Open);
    ensure(open, Problem::RequestAnswered, "what was answered stays")?;
    let id = RequestId::try_from(row.request_id.as_ref()).map_err(Refusal::damaged)?;
    let asker = row.asker.as_ref().try_into().map_err(Refusal::damaged)?;
    tx.delete(&key);
    tx.delete(&tables::place(&id));
    inbox::empty_event(tx, *patient.as_bytes(), row.event).await?;
    history::empty_entry(tx, patient, row.history).await?;
    received::settle(tx, *patient.as_bytes(), asker, Asking::Request, hash.as_bytes()).await
}

/// A delegate refuses what she was offered, or gives up what she has accepted.
async fn refuse_delegation(tx: &mut Tx<'_>, delegate: PatientId, id: DelegationId) -> Result<(), Refusal> {
    let held = tables::held_delegation(delegate, id);
    let (row, accepted) = match tx.read(&held).await? {
        Some(row) => (row, true),
        None => (
            tx.read_existing(&tables::offered_delegation(delegate, id))
                .await?,
            false,
        ),
    };
    let owner = PatientId::try_from(row.owner.as_ref()).map_err(Refusal::damaged)?;
    let key = tables::delegation(owner, id);
    let mut given = tx.read_existing(&key).await?;
    given.refused = true;
    tx.put(&key, &given);
    if accepted {
        tx.delete(&held);
    } else {
        held::withdraw_offer(tx, owner, delegate, id).await?;
    }
    Ok(())
}
