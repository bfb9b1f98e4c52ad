//! Leaves on their way in: hashes announced and signed first, then the leaves, each verified while it is
//! received. They are durable in the blob store before their rows are written, and paid for by the same
//! commit that writes these.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use protocol_spec::{
    content::{LEAF_LEN, leaf_hash},
    defence::Defence,
    hash::LeafHash,
    ids::UploadId,
    problem::Problem,
};

use crate::{
    store::LeafWriter,
    vault::{
        core::{
            refusal::{Refusal, ensure},
            run,
            shared::Shared,
            tx::{Operation, Tx},
        },
        tables::{self, LeafRow},
        transfer::{
            in_flight::RangeClaim,
            upload::{self, InspectUpload},
        },
        who::caller::Caller,
    },
};

/// Opens the intake of leaves `first…`, one for each hash (FLW-7).
pub(crate) async fn begin_leaves(
    shared: &Arc<Shared>,
    caller: &Caller,
    upload: UploadId,
    first: u32,
    hashes: Vec<LeafHash>,
) -> Result<LeafIntake, Refusal> {
    let sender = caller.sender()?;
    let patient = upload::upload_vault(shared, upload).await?;
    let session = InspectUpload {
        patient,
        upload,
        sender,
    };
    let count = u32::try_from(hashes.len()).unwrap_or(u32::MAX);
    let claimed = first.checked_add(count).map(|end| first..end);
    let range = claimed
        .filter(|range| !range.is_empty())
        .ok_or(Problem::Malformed)?;
    let allowed = count <= shared.limits.leaves_per_request;
    ensure(allowed, Problem::TooLarge, "too many leaves in one request")?;
    // Who may not see the session must not learn that somebody sends to it.
    run::run(shared, &session).await?;
    let claim = shared.in_flight.claim(upload, range)?;
    let open = run::run(shared, &session).await?;
    let expected = expected(shared, &session, first, hashes).await?;
    Ok(LeafIntake {
        version: *open.version.as_bytes(),
        bytes_left: open.bytes_left(),
        shared: shared.clone(),
        session,
        expected,
        writer: None,
        taken: Vec::new(),
        complete: false,
        _claim: claim,
    })
}

/// A writer for leaves that are not registered. What an earlier commit, which was refused, has left
/// of an inline stream goes first: a store need not prefer the newer bytes.
pub(in crate::vault) async fn leaf_writer(
    shared: &Shared,
    version: [u8; 16],
    first: u32,
) -> Result<Box<dyn LeafWriter>, Refusal> {
    if first == 0 {
        shared.blobs.delete(version, 0..1).await?;
    }
    Ok(shared.blobs.writer(version, first)?)
}

async fn expected(
    shared: &Shared,
    session: &InspectUpload,
    first: u32,
    hashes: Vec<LeafHash>,
) -> Result<VecDeque<Expected>, Refusal> {
    let rows = upload::leaf_rows(shared, session.patient, session.upload, first, hashes.len()).await?;
    let there: HashMap<u32, LeafRow> = rows.into_iter().collect();
    let expect = |(number, hash): (u32, LeafHash)| {
        let row = there.get(&number);
        let same = row.is_none_or(|row| row.hash == hash.as_bytes()[..]);
        ensure(same, Problem::LeafConflict, "the leaf is there with another hash")?;
        let present = row.is_some();
        Ok(Expected {
            number,
            hash,
            present,
        })
    };
    (first..=u32::MAX).zip(hashes).map(expect).collect()
}

/// Takes the leaves of one request, in order. Dropping it registers nothing.
pub struct LeafIntake {
    shared: Arc<Shared>,
    session: InspectUpload,
    version: [u8; 16],
    /// Of the permission when the request began: an early check, the commit decides.
    bytes_left: u64,
    expected: VecDeque<Expected>,
    writer: Option<Box<dyn LeafWriter>>,
    taken: Vec<(u32, LeafRow)>,
    /// A short leaf ends the request.
    complete: bool,
    _claim: RangeClaim,
}

struct Expected {
    number: u32,
    hash: LeafHash,
    /// Registered already: verified, then skipped.
    present: bool,
}

impl LeafIntake {
    /// Takes the next leaf: 1 MiB, only the last of the request may be shorter. Waits while the store is
    /// slower than the sender.
    pub async fn put(&mut self, leaf: Bytes) -> Result<(), Refusal> {
        let length = leaf.len() as u64;
        let sized = (1..=LEAF_LEN).contains(&length) && !self.complete;
        ensure(
            sized,
            Problem::Malformed,
            "only the last leaf of a request may be shorter than 1 MiB",
        )?;
        let expected = self.expected.pop_front().ok_or(Problem::Malformed)?;
        let Expected {
            number,
            hash,
            present,
        } = expected;
        let same = leaf_hash(u64::from(number), &leaf) == hash;
        let same = Defence::LeafHashes.holds(same);
        ensure(same, Problem::DigestMismatch, "a leaf has another hash")?;
        self.complete = length < LEAF_LEN;
        if present {
            return self.persist().await;
        }
        let left = self.bytes_left.checked_sub(length);
        self.bytes_left = left.ok_or(Problem::BytesSpent)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self
                .writer
                .insert(leaf_writer(&self.shared, self.version, number).await?),
        };
        writer.put(leaf).await?;
        let hash = Bytes::copy_from_slice(hash.as_bytes());
        self.taken.push((number, LeafRow { hash, length }));
        Ok(())
    }

    /// All leaves announced are there: makes them durable and registers them.
    pub async fn finish(self) -> Result<(), Refusal> {
        ensure(
            self.expected.is_empty(),
            Problem::Malformed,
            "fewer leaves came than were announced",
        )?;
        self.finish_partial().await
    }

    /// The request broke off: makes the leaves that are there durable and registers them, so that a
    /// resumed upload profits.
    pub async fn finish_partial(mut self) -> Result<(), Refusal> {
        self.persist().await?;
        if self.taken.is_empty() {
            return Ok(());
        }
        let register = Register {
            session: &self.session,
            leaves: &self.taken,
        };
        let registered = run::run(&self.shared, &register).await;
        if let Err(refusal) = &registered
            && !outcome_unknown(refusal)
        {
            self.discard().await;
        }
        registered
    }

    /// The durability barrier; the next leaf starts a new writer.
    async fn persist(&mut self) -> Result<(), Refusal> {
        if let Some(mut writer) = self.writer.take() {
            writer.persist().await?;
        }
        Ok(())
    }

    async fn discard(&self) {
        for (leaf, _) in &self.taken {
            let range = *leaf..leaf.saturating_add(1);
            if let Err(error) = self.shared.blobs.delete(self.version, range).await {
                tracing::warn!(%error, "a refused leaf stays until its session is swept");
            }
        }
    }
}

/// After these the commit may have been made.
fn outcome_unknown(refusal: &Refusal) -> bool {
    matches!(
        refusal.problem,
        Problem::Internal | Problem::Unavailable | Problem::StorageFull
    )
}

struct Register<'a> {
    session: &'a InspectUpload,
    leaves: &'a [(u32, LeafRow)],
}

impl Operation for Register<'_> {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let InspectUpload {
            patient,
            upload,
            sender,
        } = *self.session;
        let mut session = upload::open_upload(tx, patient, upload, sender).await?;
        let bytes = self.leaves.iter().map(|(_, row)| row.length).sum();
        upload::spend_upload(tx, &mut session, bytes)?;
        for (leaf, row) in self.leaves {
            tx.claim(&tables::leaf(patient, upload, *leaf), row).await?;
        }
        session.row.leaves += self.leaves.len() as u64;
        tx.put(&tables::upload(patient, upload), &session.row);
        Ok(())
    }
}
