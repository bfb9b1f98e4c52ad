//! Work that does not belong on asynchronous threads.

use crate::{Error, Result};

/// Runs what computes long or waits for the disk beside the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Usage("a thread failed: try again".into()))?
}
