//! One try at one operation: what it reads is checked when it commits, what it writes is written at
//! once, and whoever waits for it is woken only after it is durable.

use std::{collections::BTreeMap, future::Future};

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    ids::PatientId,
    log::{Entry, VaultSalt},
    problem::Problem,
};

use super::{
    Refusal, Shared,
    log::Queued,
    payer::{Payer, Written},
    tables::{
        self, Charged, CountRow, Counted, Expiring, LogQueueRow, LogSaltRow, Mark, PlaceRow, Placed, Row,
        RowKey,
    },
};
use crate::store::{Commit, CommitId, Decision, Key, Versioned, transact};

/// A change of state. [`Shared::run`] repeats it until its commit applies, so it must have no effects
/// but those on its transaction.
pub(super) trait Operation: Sync {
    /// What it comes to.
    type Answer: Send;

    /// Whether it takes access away, or ends something: then it is carried out also when only the volume's reserve is left
    /// (FLW-14), and on an old copy of the data (LOG-22).
    fn is_urgent(&self) -> bool {
        false
    }

    /// Decides by the rows it reads, and writes; a refusal writes nothing.
    fn apply(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Self::Answer, Refusal>> + Send;
}

impl Shared {
    /// Carries an operation out. On return it is durable.
    pub(super) async fn run<O: Operation>(&self, operation: &O) -> Result<O::Answer, Refusal> {
        if !operation.is_urgent() {
            self.log.check_uncontradicted()?;
        }
        let (answer, logged, woken) = transact(&*self.ledger, |_| self.attempt(operation)).await?;
        self.log.queue(logged);
        for principal in woken {
            self.wakes.wake(&principal);
        }
        Ok(answer)
    }

    async fn attempt<O: Operation>(
        &self,
        operation: &O,
    ) -> Result<Decision<(O::Answer, Vec<Queued>, Vec<[u8; 32]>)>, Refusal> {
        let mut tx = Tx {
            shared: self,
            now: self.time.now(),
            id: CommitId::fresh(),
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            logged: Vec::new(),
            woken: Vec::new(),
            payer: None,
            returned: BTreeMap::new(),
            protects: false,
        };
        let answer = operation.apply(&mut tx).await?;
        if let Some(payer) = tx.payer {
            tx.give_back(payer).await?;
            let written = tx.written();
            tx.charge(payer, written).await?;
        }
        let Tx {
            id,
            reads,
            writes,
            logged,
            woken,
            ..
        } = tx;
        let value = (answer, logged, woken);
        if writes.is_empty() {
            return Ok(Decision::Done(value));
        }
        let checks = reads
            .into_iter()
            .filter(|_| !Defence::CommitChecks.is_off())
            .map(|(key, row)| (key, row.map(|row| row.version)));
        let commit = Commit {
            id,
            checks: checks.collect(),
            writes: writes.into_iter().collect(),
            urgent: operation.is_urgent(),
        };
        Ok(Decision::Commit(commit, value))
    }
}

/// What one try has read and is going to write.
pub(super) struct Tx<'a> {
    /// The vault's parts that need no transaction.
    pub(super) shared: &'a Shared,
    /// One time for the whole try.
    pub(super) now: u64,
    id: CommitId,
    reads: BTreeMap<Key, Option<Versioned>>,
    writes: BTreeMap<Key, Option<Bytes>>,
    logged: Vec<Queued>,
    woken: Vec<[u8; 32]>,
    payer: Option<Payer>,
    /// Rows that go and others have paid for: who.
    returned: BTreeMap<Key, [u8; 32]>,
    /// What is done protects, or takes away: it may use what is kept for that.
    pub(super) protects: bool,
}

impl Tx<'_> {
    /// Has a principal pay for what this try writes.
    pub(super) fn paid_by(&mut self, payer: Payer) {
        self.payer = Some(payer);
    }

    /// Whether this try changes anything so far.
    pub(super) fn writes_something(&self) -> bool {
        !self.writes.is_empty()
    }

    /// What this try is going to write and delete, as far as it has read what was there.
    fn written(&self) -> Written {
        let mut written = Written::default();
        for (key, value) in &self.writes {
            let new = value.as_ref().map_or(0, |value| row_bytes(key, value));
            match tables::charged(key) {
                Charged::Kept => {
                    let returned = self.returned.contains_key(key);
                    let old = self.reads.get(key).filter(|_| !returned).and_then(Option::as_ref);
                    written.came += new;
                    written.went += old.map_or(0, |old| row_bytes(key, &old.value));
                }
                Charged::Answer => written.answers += new,
                Charged::Not => {}
            }
        }
        written
    }

    /// The row as this transaction sees it; the commit will check that it still is so.
    pub(super) async fn read<R: Row>(&mut self, row: &RowKey<R>) -> Result<Option<R>, Refusal> {
        if let Some(written) = self.writes.get(row.key()) {
            let decode = |value: &Bytes| R::decode(value.clone());
            let damaged = |_| Refusal::new(Problem::Internal, "a row just written cannot be read");
            return written.as_ref().map(decode).transpose().map_err(damaged);
        }
        if !self.reads.contains_key(row.key()) {
            let rows = self.shared.ledger.get(std::slice::from_ref(row.key())).await?;
            self.reads
                .insert(row.key().clone(), rows.into_iter().next().flatten());
        }
        let stored = self.reads.get(row.key()).and_then(Option::as_ref);
        Ok(stored.map(R::from_ledger).transpose()?)
    }

    /// Rows as they stand, which the commit will not check: something else that it checks must guard them.
    pub(super) async fn peek<R: Row>(&self, rows: &[RowKey<R>]) -> Result<Vec<Option<R>>, Refusal> {
        Ok(tables::get_many(rows, &*self.shared.ledger).await?)
    }

    /// A row that must be there.
    pub(super) async fn read_existing<R: Row>(&mut self, row: &RowKey<R>) -> Result<R, Refusal> {
        self.read(row)
            .await?
            .ok_or_else(|| Refusal::absent("no such row"))
    }

    /// Writes a row.
    pub(super) fn put<R: Row>(&mut self, row: &RowKey<R>, value: &R) {
        self.writes.insert(row.key().clone(), Some(value.bytes()));
    }

    /// Deletes a row, if it is there.
    pub(super) fn delete<R: Row>(&mut self, row: &RowKey<R>) {
        self.writes.insert(row.key().clone(), None);
    }

    /// Deletes a row; what it took is given back to whoever pays for this.
    pub(super) async fn delete_read<R: Row>(&mut self, row: &RowKey<R>) -> Result<(), Refusal> {
        self.read(row).await?;
        self.delete(row);
        Ok(())
    }

    /// Deletes a row; what it took is given back to whom it was charged.
    pub(super) async fn delete_paid<R: Row>(
        &mut self,
        row: &RowKey<R>,
        payer: [u8; 32],
    ) -> Result<(), Refusal> {
        self.delete_read(row).await?;
        self.returned.insert(row.key().clone(), payer);
        Ok(())
    }

    /// Gives back what went, to those who had paid for it and do not pay for this.
    async fn give_back(&mut self, payer: Payer) -> Result<(), Refusal> {
        self.returned.retain(|_, paid| !payer.is(paid));
        let mut went: BTreeMap<[u8; 32], u64> = BTreeMap::new();
        for (key, paid) in &self.returned {
            let old = self.reads.get(key).and_then(Option::as_ref);
            let bytes = old.map_or(0, |old| row_bytes(key, &old.value));
            *went.entry(*paid).or_default() += bytes;
        }
        for (paid, bytes) in went {
            self.returned_bytes(paid, bytes).await?;
        }
        Ok(())
    }

    /// Writes a row that must not be there yet.
    pub(super) async fn claim<R: Row>(&mut self, row: &RowKey<R>, value: &R) -> Result<(), Refusal> {
        if self.read(row).await?.is_some() {
            return Err(Problem::AlreadyExists.into());
        }
        self.put(row, value);
        Ok(())
    }

    /// Notes in whose vault a new thing lies; its id must be new.
    pub(super) async fn place(&mut self, id: &impl Placed, patient: PatientId) -> Result<(), Refusal> {
        let row = PlaceRow {
            patient: Bytes::copy_from_slice(patient.as_bytes()),
            request_hash: Bytes::new(),
        };
        self.claim(&tables::place(id), &row).await
    }

    /// Counts on and returns the new number, from 1. The count's row guards what is numbered by it.
    pub(super) async fn next_number(&mut self, principal: [u8; 32], what: Counted) -> Result<u64, Refusal> {
        let key = tables::count(principal, what);
        let value = self.read(&key).await?.unwrap_or_default().value + 1;
        self.put(&key, &CountRow { value });
        Ok(value)
    }

    /// Has something looked at when its time has come.
    pub(super) fn expire(&mut self, at: u64, what: Expiring) {
        self.put(&tables::expiry(at, what), &Mark {});
    }

    /// Queues a statement about somebody's vault, or an institution's terminals, for the log, as a salted leaf (LOG-5,
    /// LOG-7).
    pub(super) async fn log(&mut self, whose: [u8; 32], statement: &Sha256Digest) -> Result<(), Refusal> {
        let key = tables::log_salt(whose);
        let salt = match self.read(&key).await? {
            Some(row) => row.salt()?,
            None => {
                let salt: [u8; 32] = random()?;
                let row = LogSaltRow {
                    salt: Bytes::copy_from_slice(&salt),
                };
                self.put(&key, &row);
                VaultSalt::from_bytes(salt)
            }
        };
        self.publish(&salt.entry(statement))
    }

    /// Queues an entry for the log (LOG-5).
    pub(super) fn publish(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let row = LogQueueRow {
            entry: entry.bytes()?.into(),
        };
        let number = u8::try_from(self.logged.len());
        let number = number.map_err(|_| Refusal::new(Problem::Internal, "too many leaves in one commit"))?;
        self.put(&tables::log_queue(self.id, number), &row);
        self.logged.push(Queued {
            commit: self.id,
            number,
            row,
        });
        Ok(())
    }

    /// Has a principal's inbox looked at once this is durable.
    pub(super) fn wake(&mut self, principal: [u8; 32]) {
        self.woken.push(principal);
    }

    /// Whether a deadline has passed, for good.
    pub(super) async fn has_passed(&self, deadline: u64) -> bool {
        self.shared.time.has_passed(deadline).await
    }
}

/// What a row takes: its key and its value.
fn row_bytes(key: &Key, value: &Bytes) -> u64 {
    let bytes = key.partition.len() + key.suffix.len() + value.len();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes from the system's generator.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Refusal::new(Problem::Internal, error))?;
    Ok(bytes)
}
