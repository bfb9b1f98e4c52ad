//! A leaf that waits to be put into the log.

use super::super::tables::LogQueueRow;
use crate::store::CommitId;

/// A leaf whose commit is durable and whose row stands in the queue.
pub(in crate::vault) struct Queued {
    pub(in crate::vault) commit: CommitId,
    pub(in crate::vault) number: u8,
    pub(in crate::vault) row: LogQueueRow,
}
