//! A share of memory as its holder sees it: it shrinks and grows with what it is for, and says when it is to be given back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use protocol_spec::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::{Account, Pool};
use crate::http::memory::{kib, length};
use crate::vault::Refusal;

/// Memory that is counted as in use, until dropped.
pub(in crate::http) struct Share {
    pool: Arc<Pool>,
    number: u64,
    amount: usize,
    account: Arc<Account>,
    meter: Arc<Meter>,
}

impl Share {
    pub(in crate::http::memory) fn new(
        pool: Arc<Pool>,
        number: u64,
        amount: usize,
        account: Arc<Account>,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            pool,
            number,
            amount,
            account,
            meter,
        }
    }

    /// Gives back what exceeds so many bytes.
    pub(in crate::http) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.amount.saturating_sub(kib(length(bytes)));
        if surplus > 0 {
            self.amount -= surplus;
            self.pool.give_back(self.number, surplus);
        }
    }

    /// Waits until there is enough for so many bytes.
    ///
    /// Errors: `unavailable` after the queue timeout.
    pub(in crate::http) async fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        let missing = kib(length(bytes)).saturating_sub(self.amount);
        if missing == 0 {
            return Ok(());
        }
        let account = Account::clone(&self.account);
        let mut more = self.pool.take(account, missing).await.ok_or_else(too_little)?;
        self.pool.merge(self.number, more.number);
        // It is this one's now.
        self.amount += std::mem::take(&mut more.amount);
        Ok(())
    }

    /// For who moves the bytes that it is for.
    pub(in crate::http) fn watch(&self) -> Watch {
        Watch {
            pool: Arc::clone(&self.pool),
            meter: Arc::clone(&self.meter),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.pool.give_back(self.number, self.amount);
        }
    }
}

/// Why there is no share.
pub(in crate::http::memory) fn too_little() -> Refusal {
    Refusal::new(Problem::Unavailable, "no memory for bodies is free")
}

/// What became of the bytes that a share is for.
pub(in crate::http::memory) struct Meter {
    since: Instant,
    moved: AtomicU64,
    /// A client is waited for: whoever holds it can let go.
    waits_for_client: AtomicBool,
    taken: CancellationToken,
}

impl Meter {
    pub(in crate::http::memory) fn new() -> Self {
        Self {
            since: Instant::now(),
            moved: AtomicU64::new(0),
            waits_for_client: AtomicBool::new(false),
            taken: CancellationToken::new(),
        }
    }

    /// Whether it is held for so long, for a client who is waited for, and not to be given back already.
    pub(in crate::http::memory) fn is_slow(&self, after: Duration) -> bool {
        self.waits_for_client.load(Ordering::Relaxed)
            && !self.taken.is_cancelled()
            && self.since.elapsed() >= after
    }

    /// How fast its bytes have moved so far, in bytes a second.
    pub(in crate::http::memory) fn rate(&self) -> u64 {
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let moved = self.moved.load(Ordering::Relaxed);
        moved.saturating_mul(1000) / millis.max(1)
    }

    pub(in crate::http::memory) fn take_back(&self) {
        self.taken.cancel();
    }
}

/// The bytes that a share is for, on their way.
pub(in crate::http) struct Watch {
    pool: Arc<Pool>,
    meter: Arc<Meter>,
}

impl Watch {
    /// From now on a client is waited for, until this is dropped.
    pub(in crate::http) fn begin(self) -> Self {
        self.meter.waits_for_client.store(true, Ordering::Relaxed);
        self
    }

    pub(in crate::http) fn moved(&self, bytes: usize) {
        self.meter.moved.fetch_add(length(bytes), Ordering::Relaxed);
    }

    /// When the memory is needed for others.
    pub(in crate::http) async fn taken(&self) {
        self.meter.taken.cancelled().await;
    }

    /// What comes of something else that is waited for, unless the memory is needed for others first.
    ///
    /// Errors: `unavailable`: whoever holds the memory lets go of it now.
    pub(in crate::http) async fn unless_taken<T>(
        &self,
        other: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            () = self.taken() => Err(Refusal::new(
                Problem::Unavailable,
                "others need the memory of a slow body",
            )),
            done = other => Ok(done),
        }
    }

    /// How many times faster than usual clients must be: as memory grows scarce, up to eight times (API-16).
    pub(in crate::http) fn haste(&self) -> u32 {
        let (most, used) = (self.pool.most(), self.pool.used());
        let free = most.saturating_sub(used).max(1);
        let times = (most / 2).checked_div(free).unwrap_or_default();
        u32::try_from(times).unwrap_or(MOST_HASTE).clamp(1, MOST_HASTE)
    }
}

/// 128 KiB a second, by the default of `--min-rate`: a line of one megabit.
const MOST_HASTE: u32 = 8;

impl Drop for Watch {
    fn drop(&mut self) {
        self.meter.waits_for_client.store(false, Ordering::Relaxed);
    }
}
