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

use crate::{
    store::{Commit, CommitId, Key, Versioned},
    vault::{
        core::{
            payer::{Payer, Written},
            refusal::Refusal,
            shared::Shared,
            units,
        },
        log::Queued,
        tables::{
            self, Charged, CountRow, Counted, Expiring, LogQueueRow, LogSaltRow, Mark, PlaceRow, Placed, Row,
            RowKey,
        },
    },
};

/// A change of state. [`crate::vault::core::run::run`] repeats it until its commit applies, so it must have no effects
/// but those on its transaction.
pub(crate) trait Operation: Sync {
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

/// What one try has read and is going to write.
pub(crate) struct Tx<'a> {
    /// The vault's parts that need no transaction.
    pub(in crate::vault) shared: &'a Shared,
    /// One time for the whole try.
    pub(in crate::vault) now: u64,
    id: CommitId,
    reads: BTreeMap<Key, Option<Versioned>>,
    writes: BTreeMap<Key, Option<Bytes>>,
    logged: Vec<Queued>,
    woken: Vec<[u8; 32]>,
    payer: Option<Payer>,
    /// Rows that go and others have paid for: who.
    returned: BTreeMap<Key, [u8; 32]>,
    /// What is done protects, or takes away: it may use what is kept for that.
    pub(in crate::vault) protects: bool,
}

impl<'a> Tx<'a> {
    /// A try that has read nothing yet.
    pub(in crate::vault) fn begin(shared: &'a Shared) -> Self {
        Self {
            shared,
            now: shared.time.now(),
            id: CommitId::fresh(),
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            logged: Vec::new(),
            woken: Vec::new(),
            payer: None,
            returned: BTreeMap::new(),
            protects: false,
        }
    }

    /// Ends the try: what is to be committed, if anything was written.
    pub(in crate::vault) fn end(self, urgent: bool) -> Ended {
        let checks = self
            .reads
            .into_iter()
            .filter(|_| !Defence::CommitChecks.is_off())
            .map(|(key, row)| (key, row.map(|row| row.version)));
        let commit = Commit {
            id: self.id,
            checks: checks.collect(),
            writes: self.writes.into_iter().collect(),
            urgent,
        };
        Ended {
            commit: (!commit.writes.is_empty()).then_some(commit),
            logged: self.logged,
            woken: self.woken,
        }
    }
}

/// A try that has ended.
pub(in crate::vault) struct Ended {
    /// What it reads and writes; none if it writes nothing.
    pub(in crate::vault) commit: Option<Commit>,
    /// Leaves for the log.
    pub(in crate::vault) logged: Vec<Queued>,
    /// Principals whose inbox has something new.
    pub(in crate::vault) woken: Vec<[u8; 32]>,
}

impl Tx<'_> {
    /// Has a principal pay for what this try writes.
    pub(in crate::vault) fn paid_by(&mut self, payer: Payer) {
        self.payer = Some(payer);
    }

    /// Whether this try changes anything so far.
    pub(in crate::vault) fn writes_something(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Who pays for what this try writes.
    pub(in crate::vault) fn payer(&self) -> Option<Payer> {
        self.payer
    }

    /// Bytes of the rows that go and others than the payer have paid for, by who has; they are nobody's from now on.
    pub(in crate::vault) fn take_returned(&mut self, payer: Payer) -> BTreeMap<[u8; 32], u64> {
        self.returned.retain(|_, paid| !payer.is(paid));
        let mut went: BTreeMap<[u8; 32], u64> = BTreeMap::new();
        for (key, paid) in &self.returned {
            let old = self.reads.get(key).and_then(Option::as_ref);
            let bytes = old.map_or(0, |old| row_bytes(key, &old.value));
            *went.entry(*paid).or_default() += bytes;
        }
        went
    }

    /// What this try is going to write and delete, as far as it has read what was there.
    pub(in crate::vault) fn written(&self) -> Written {
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
    pub(in crate::vault) async fn read<R: Row>(&mut self, row: &RowKey<R>) -> Result<Option<R>, Refusal> {
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
    pub(in crate::vault) async fn peek<R: Row>(&self, rows: &[RowKey<R>]) -> Result<Vec<Option<R>>, Refusal> {
        Ok(tables::get_many(rows, &*self.shared.ledger).await?)
    }

    /// A row that must be there.
    pub(in crate::vault) async fn read_existing<R: Row>(&mut self, row: &RowKey<R>) -> Result<R, Refusal> {
        self.read(row)
            .await?
            .ok_or_else(|| Refusal::absent("no such row"))
    }

    /// Writes a row.
    pub(in crate::vault) fn put<R: Row>(&mut self, row: &RowKey<R>, value: &R) {
        self.writes.insert(row.key().clone(), Some(value.bytes()));
    }

    /// Deletes a row, if it is there.
    pub(in crate::vault) fn delete<R: Row>(&mut self, row: &RowKey<R>) {
        self.writes.insert(row.key().clone(), None);
    }

    /// Deletes a row; what it took is given back to whoever pays for this.
    pub(in crate::vault) async fn delete_read<R: Row>(&mut self, row: &RowKey<R>) -> Result<(), Refusal> {
        self.read(row).await?;
        self.delete(row);
        Ok(())
    }

    /// Deletes a row; what it took is given back to whom it was charged.
    pub(in crate::vault) async fn delete_paid<R: Row>(
        &mut self,
        row: &RowKey<R>,
        payer: [u8; 32],
    ) -> Result<(), Refusal> {
        self.delete_read(row).await?;
        self.returned.insert(row.key().clone(), payer);
        Ok(())
    }

    /// Writes a row that must not be there yet.
    pub(in crate::vault) async fn claim<R: Row>(
        &mut self,
        row: &RowKey<R>,
        value: &R,
    ) -> Result<(), Refusal> {
        if self.read(row).await?.is_some() {
            return Err(Problem::AlreadyExists.into());
        }
        self.put(row, value);
        Ok(())
    }

    /// Notes in whose vault a new thing lies; its id must be new.
    pub(in crate::vault) async fn place(
        &mut self,
        id: &impl Placed,
        patient: PatientId,
    ) -> Result<(), Refusal> {
        let row = PlaceRow {
            patient: Bytes::copy_from_slice(patient.as_bytes()),
            request_hash: Bytes::new(),
        };
        self.claim(&tables::place(id), &row).await
    }

    /// Counts on and returns the new number, from 1. The count's row guards what is numbered by it.
    pub(in crate::vault) async fn next_number(
        &mut self,
        principal: [u8; 32],
        what: Counted,
    ) -> Result<u64, Refusal> {
        let key = tables::count(principal, what);
        let value = self.read(&key).await?.unwrap_or_default().value + 1;
        self.put(&key, &CountRow { value });
        Ok(value)
    }

    /// Has something looked at when its time has come.
    pub(in crate::vault) fn expire(&mut self, at: u64, what: Expiring) {
        self.put(&tables::expiry(at, what), &Mark {});
    }

    /// Queues a statement about somebody's vault, or an institution's terminals, for the log, as a salted leaf (LOG-5,
    /// LOG-7).
    pub(in crate::vault) async fn log(
        &mut self,
        whose: [u8; 32],
        statement: &Sha256Digest,
    ) -> Result<(), Refusal> {
        let key = tables::log_salt(whose);
        let salt = match self.read(&key).await? {
            Some(row) => row.salt()?,
            None => {
                let salt: [u8; 32] = units::random()?;
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
    pub(in crate::vault) fn publish(&mut self, entry: &Entry) -> Result<(), Refusal> {
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
    pub(in crate::vault) fn wake(&mut self, principal: [u8; 32]) {
        self.woken.push(principal);
    }

    /// Whether a deadline has passed, for good.
    pub(in crate::vault) async fn has_passed(&self, deadline: u64) -> bool {
        self.shared.time.has_passed(deadline).await
    }
}

/// What a row takes: its key and its value.
fn row_bytes(key: &Key, value: &Bytes) -> u64 {
    let bytes = key.partition.len() + key.suffix.len() + value.len();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
