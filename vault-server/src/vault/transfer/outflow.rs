//! Leaves on their way out. The next ones are read while the last is sent; whether the permission still
//! holds is asked right before each is handed out.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use bytes::Bytes;
use protocol_spec::{
    content,
    ids::{PatientId, VersionId},
    problem::Problem,
};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    store::{LeafKey, StoreError},
    vault::{
        core::{refusal::Refusal, shared::Shared},
        device::listed,
        keep::gone,
        transfer::charge::Charge,
        who::{
            caller::Caller,
            standing::{self, Use},
        },
    },
};

/// Leaves read ahead: enough to hide the device behind the network, in at most 3 MiB.
const AHEAD: usize = 2;

/// A range of leaves of one record, in order.
pub struct LeafStream {
    shared: Arc<Shared>,
    patient: PatientId,
    version: VersionId,
    stream_len: u64,
    /// The next that is handed out.
    next: u32,
    /// Not yet asked for.
    rest: Range<u32>,
    /// Asked for, not yet handed out.
    ahead: VecDeque<(u32, Read)>,
    /// The first, which was read before anything was promised.
    first: Option<Bytes>,
    total: u64,
    guard: Guard,
    /// What was taken for it.
    charge: Option<Charge>,
}

/// By what leaves leave, for as long as it holds.
pub(in crate::vault) enum Guard {
    /// A permission.
    Permission(Use),
    /// A device of the patient's, or of a delegate's.
    Device(Caller),
}

type Read = JoinHandle<Result<Option<Bytes>, StoreError>>;

impl LeafStream {
    pub(in crate::vault) fn new(
        shared: &Arc<Shared>,
        (patient, version): (PatientId, VersionId),
        stream_len: u64,
        (first, count): (u32, u32),
        guard: Guard,
    ) -> Result<Self, Refusal> {
        let rest = leaf_range(stream_len, first, count)?;
        let lengths = rest
            .clone()
            .map(|leaf| content::leaf_len(stream_len, u64::from(leaf)));
        Ok(Self {
            shared: shared.clone(),
            patient,
            version,
            stream_len,
            total: lengths.sum(),
            next: rest.start,
            rest,
            ahead: VecDeque::with_capacity(AHEAD),
            first: None,
            guard,
            charge: None,
        })
    }

    /// Notes what was taken for it.
    pub(in crate::vault) fn charged(&mut self, charge: Charge) {
        self.charge = Some(charge);
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Reads the first leaf, before anything is promised or taken for it (FLW-20).
    pub(in crate::vault) async fn begin(&mut self) -> Result<(), Refusal> {
        self.read_ahead();
        if let Some((leaf, read)) = self.ahead.pop_front() {
            self.first = Some(self.whole(leaf, read).await?);
        }
        Ok(())
    }

    /// The next leaf, or none at the end. After an error the transfer must be broken off, so that the
    /// client sees that it is incomplete; the stream has then ended.
    pub async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        self.read_ahead();
        let result = match self.first.take() {
            Some(leaf) => self.check_guard().await.map(|()| leaf),
            None => match self.ahead.pop_front() {
                Some((leaf, read)) => self.hand_out(leaf, read).await,
                None => {
                    // All of it was handed out.
                    self.charge = None;
                    return None;
                }
            },
        };
        match &result {
            Ok(_) => self.next = self.next.saturating_add(1),
            Err(_) => {
                self.rest = 0..0;
                self.ahead.clear();
                if let Some(charge) = self.charge.take() {
                    give_back(&self.shared, charge, self.next).await;
                }
            }
        }
        Some(result)
    }

    fn read_ahead(&mut self) {
        while self.ahead.len() < AHEAD
            && let Some(leaf) = self.rest.next()
        {
            let blobs = self.shared.blobs.clone();
            let version = *self.version.as_bytes();
            let read = tokio::spawn(async move { blobs.get(LeafKey { version, leaf }).await });
            self.ahead.push_back((leaf, read));
        }
    }

    async fn hand_out(&mut self, leaf: u32, read: Read) -> Result<Bytes, Refusal> {
        let bytes = self.whole(leaf, read).await?;
        self.check_guard().await?;
        Ok(bytes)
    }

    /// A leaf as it was stored.
    async fn whole(&self, leaf: u32, read: Read) -> Result<Bytes, Refusal> {
        let bytes = match read.await {
            Err(error) => return Err(Refusal::new(Problem::Internal, error)),
            Ok(Err(StoreError::Corrupt(cause))) => return Err(self.damaged(leaf, &cause)),
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Ok(None)) => {
                gone::check_not_gone_now(&self.shared, self.patient, self.version).await?;
                return Err(self.damaged(leaf, "it is missing"));
            }
        };
        let length = content::leaf_len(self.stream_len, u64::from(leaf));
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(self.damaged(leaf, "it has another length"))
        }
    }

    /// FLW-20. The id of a version says nothing of anybody, and is what an operator looks for in a copy.
    fn damaged(&self, leaf: u32, cause: &str) -> Refusal {
        let version = self.version;
        tracing::error!(%version, leaf, cause, "a stored record is damaged: restore it from a copy");
        Refusal::new(Problem::RecordDamaged, cause)
    }

    /// FLW-5, DEV-6, DLG-5, LOG-22, DEL-2.
    async fn check_guard(&self) -> Result<(), Refusal> {
        self.shared.log.check_uncontradicted()?;
        gone::check_not_gone_now(&self.shared, self.patient, self.version).await?;
        match &self.guard {
            Guard::Permission(held) => standing::check_use(&self.shared, held).await,
            Guard::Device(caller) => {
                listed::still_listed(&self.shared, caller).await?;
                standing::check_standing(&self.shared, caller).await
            }
        }
    }
}

impl Drop for LeafStream {
    /// The connection has ended before all was handed to it.
    fn drop(&mut self) {
        let unsent = self.first.is_some() || !self.ahead.is_empty() || !self.rest.is_empty();
        if let Some(charge) = self.charge.take_if(|_| unsent)
            && let Ok(runtime) = Handle::try_current()
        {
            let (shared, next) = (self.shared.clone(), self.next);
            runtime.spawn(async move { give_back(&shared, charge, next).await });
        }
    }
}

/// FLW-20
async fn give_back(shared: &Shared, charge: Charge, unsent: u32) {
    if let Err(refusal) = charge.give_back(shared, unsent).await {
        tracing::warn!(cause = refusal.cause, "what was not sent was not given back");
    }
}

/// Leaves `first…` of a stream, if it has them all and they are any.
pub(in crate::vault) fn leaf_range(stream_len: u64, first: u32, count: u32) -> Result<Range<u32>, Refusal> {
    let end = first.checked_add(count);
    let within = |end: &u32| count > 0 && u64::from(*end) <= content::leaf_count(stream_len);
    let end = end.filter(within).ok_or(Problem::RangeNotSatisfiable)?;
    Ok(first..end)
}
