//! Leaves that are being received: each by one request at a time.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol_spec::{ids::UploadId, problem::Problem};

use crate::vault::core::refusal::Refusal;

/// Which leaves are being received now. Guards the blob store: one writer for each leaf.
#[derive(Clone, Default)]
pub(in crate::vault) struct InFlight {
    ranges: Arc<Mutex<HashMap<UploadId, Vec<Range<u32>>>>>,
}

impl InFlight {
    /// Claims these leaves until the claim is dropped.
    pub(in crate::vault) fn claim(&self, upload: UploadId, range: Range<u32>) -> Result<RangeClaim, Refusal> {
        let mut ranges = self.ranges();
        let claimed = ranges.entry(upload).or_default();
        let overlaps = |other: &Range<u32>| other.start < range.end && range.start < other.end;
        if claimed.iter().any(overlaps) {
            return Err(Refusal::new(
                Problem::LeafConflict,
                "the leaves are being received",
            ));
        }
        claimed.push(range.clone());
        Ok(RangeClaim {
            in_flight: self.clone(),
            upload,
            range,
        })
    }

    fn ranges(&self) -> MutexGuard<'_, HashMap<UploadId, Vec<Range<u32>>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves that nobody else receives meanwhile.
pub(in crate::vault) struct RangeClaim {
    in_flight: InFlight,
    upload: UploadId,
    range: Range<u32>,
}

impl Drop for RangeClaim {
    fn drop(&mut self) {
        let mut ranges = self.in_flight.ranges();
        if let Some(claimed) = ranges.get_mut(&self.upload) {
            claimed.retain(|range| *range != self.range);
            if claimed.is_empty() {
                ranges.remove(&self.upload);
            }
        }
    }
}
