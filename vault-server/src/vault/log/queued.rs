//! A leaf that waits to be put into the log.

use crate::{store::CommitId, vault::tables::LogQueueRow};

/// A leaf whose commit is durable and whose row stands in the queue.
pub(in crate::vault) struct Queued {
    pub(in crate::vault) commit: CommitId,
    pub(in crate::vault) number: u8,
    pub(in crate::vault) row: LogQueueRow,
}
