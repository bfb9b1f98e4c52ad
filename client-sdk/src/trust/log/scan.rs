//! Reading the log itself, all of it or what is new: whoever has read it depends on no answer
//! about it. See `protocol-spec/spec/log.md` §4.

use futures_util::{StreamExt, stream};
use protocol_spec::{
    api,
    log::{Entry, Scan, VerifiedCheckpoint},
};

use super::PinnedLog;
use crate::{Error, Progress, Result};

impl PinnedLog {
    /// Gives `visit` all entries from number `from` on, in order, each verified against the checkpoint that is returned
    /// (LOG-14): the one that the server shows now, cosigned where there is a policy, and consistent with what was seen
    /// before. What `visit` refuses ends it. `progress` counts entries; memory is bounded, however long the log is.
    pub(crate) async fn scan(
        &self,
        from: u64,
        progress: &dyn Progress,
        mut visit: impl FnMut(u64, Entry) -> Result<()>,
    ) -> Result<VerifiedCheckpoint> {
        let checkpoint = self.shown().await?;
        let Some(entries) = checkpoint.size.checked_sub(from) else {
            let cause = format!(
                "it was read up to {from} and is shown with {} leaves",
                checkpoint.size
            );
            return Err(Error::tampered(WHAT)(cause));
        };
        progress.started(entries);
        let mut scan = Scan::new(&checkpoint, from);
        let mut tiles = stream::iter(scan.plan())
            .map(async |tile| {
                let path = tile.to_string();
                let name = path.strip_prefix("tile/").unwrap_or(&path);
                self.server.get_file(api::LOG_TILE.at([&name])).await
            })
            .buffered(AHEAD);
        while let Some(tile) = tiles.next().await {
            let entries = scan.take(tile?).map_err(Error::tampered(WHAT))?;
            let read = entries.len() as u64;
            for (index, entry) in entries {
                visit(index, Entry::parse(&entry).map_err(Error::tampered(WHAT))?)?;
            }
            progress.advanced(read);
        }
        progress.finished();
        Ok(checkpoint)
    }
}

const WHAT: &str = "the log";
/// Tiles that are asked for at once: some hundred kilobytes of salted leaves.
const AHEAD: usize = 16;
