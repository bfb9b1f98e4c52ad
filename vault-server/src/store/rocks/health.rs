//! Whether the store may go on. After one failed write RocksDB's memory and the device may
//! disagree (the failed write can be there after a restart), so nothing later may succeed.

use protocol_spec::defence::Defence;
use tokio::sync::watch;

use crate::store::StoreError;

/// One state for all clones of the store, which only ever leaves `Serving`.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: watch::Sender<StoreState>,
}

#[derive(Debug, Default)]
enum StoreState {
    #[default]
    Serving,
    Closed,
    Failed(String),
}

impl Health {
    /// Errors: `Unavailable` unless the store is serving.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match *self.state.borrow() {
            StoreState::Serving => Ok(()),
            StoreState::Closed | StoreState::Failed(_) => Err(StoreError::Unavailable),
        }
    }

    pub(super) fn fail(&self, cause: &StoreError) {
        tracing::error!(%cause, "a write failed, the store takes no more operations");
        self.leave_serving(StoreState::Failed(cause.to_string()));
    }

    pub(super) fn close(&self) {
        self.leave_serving(StoreState::Closed);
    }

    /// Pending until [`Health::fail`] was called.
    pub(super) async fn failed(&self) -> String {
        let mut state = self.state.subscribe();
        let failed = match state
            .wait_for(|state| matches!(state, StoreState::Failed(_)))
            .await
            .as_deref()
        {
            Ok(StoreState::Failed(cause)) => Some(cause.clone()),
            _ => None,
        };
        match failed {
            Some(cause) => cause,
            None => std::future::pending().await,
        }
    }

    fn leave_serving(&self, next: StoreState) {
        self.state.send_if_modified(|state| {
            let leaves = matches!(state, StoreState::Serving);
            if leaves {
                *state = next;
            }
            leaves
        });
    }
}

/// What the system says of something that it will have again: EMFILE, ENFILE, ENOMEM, EAGAIN.
const PASSING: [&str; 4] = [
    "Too many open files",
    "Too many open files in system",
    "Cannot allocate memory",
    "Resource temporarily unavailable",
];

/// RocksDB's error by what the caller does next. Its binding passes on only the text, in which a
/// full volume (or quota) shows by the name that the system gives it, and so does what passes.
pub(super) fn classify(error: &rocksdb::Error) -> StoreError {
    let text: &str = error.as_ref();
    let passing = PASSING.iter().any(|name| text.ends_with(name));
    if passing && !Defence::Descriptors.is_off() {
        return StoreError::Short(text.to_owned());
    }
    if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
        return StoreError::Full;
    }
    match error.kind() {
        rocksdb::ErrorKind::Corruption => StoreError::Corrupt(text.to_owned()),
        rocksdb::ErrorKind::ShutdownInProgress => StoreError::Unavailable,
        _ => StoreError::Io(text.to_owned()),
    }
}
