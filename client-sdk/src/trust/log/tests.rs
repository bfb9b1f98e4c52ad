//! What of the log is pinned in a home that several processes share.

use super::*;
use crate::trust::mirror::tests::{checkpoint, session};

fn pinned(home: &std::path::Path) -> u64 {
    session(home).log.pinned().unwrap().unwrap().size
}

/// LOG-4: when a session ends, what it has seen takes the place of what it had compared with it, and of nothing else.
#[tokio::test]
async fn another_processes_pin_is_replaced_by_nothing_that_was_not_compared_with_it() {
    for (known, size) in [(true, 7), (false, 6)] {
        let dir = tempfile::tempdir().unwrap();
        let other = checkpoint(6, &[]);
        let ending = session(dir.path());
        let newest = checkpoint(7, &[]);
        *ending.log.seen.lock().await = SeenLog {
            accepted: known.then(|| head(&other)).into_iter().collect(),
            newest: Some(newest),
            unpinned: true,
            ..SeenLog::default()
        };
        session(dir.path()).log.keep(&other).unwrap();
        drop(ending);
        assert_eq!(pinned(dir.path()), size);
    }
}

/// LOG-4: what cannot be compared with another process's pin is not gone on with, in this session or in the next.
#[tokio::test]
async fn what_contradicts_another_processes_pin_is_not_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let late = session(dir.path());
    session(dir.path()).log.keep(&checkpoint(6, &[])).unwrap();
    for _ in 0..2 {
        // Nobody answers here, so that there is no proof.
        let refused = late.log.accept(&checkpoint(7, &[])).await;
        assert!(matches!(refused, Err(Error::Unreachable { .. })), "{refused:?}");
    }
    drop(late);
    assert_eq!(pinned(dir.path()), 6);
}
