//! One of those who wait looks for all of them, at a pace: else each look, which costs as much as there are who wait, would be
//! made by each of them.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

/// Where one of those who wait keeps a lookout.
#[derive(Default)]
pub(super) struct Lookout {
    /// When somebody looked last. Locked by the one who looks; the others stand in line for it, in the order in which they came.
    looked: Mutex<Option<Instant>>,
    #[cfg(test)]
    pub(super) times: std::sync::atomic::AtomicUsize,
}

impl Lookout {
    /// Looks every so often, and never sooner after the last look, whoever made it; as long as another one does, only waits.
    /// Has no end: when it is dropped, the next one goes on.
    pub(super) async fn keep(&self, every: Duration, look: impl Fn()) {
        let mut looked = self.looked.lock().await;
        loop {
            let rest = looked.map_or(Duration::ZERO, |looked| every.saturating_sub(looked.elapsed()));
            sleep(rest).await;
            *looked = Some(Instant::now());
            #[cfg(test)]
            self.times.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            look();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::Notify, time::timeout};

    use super::*;

    #[tokio::test]
    async fn when_one_goes_the_next_one_looks() {
        let (lookout, every) = (Lookout::default(), Duration::from_millis(1));
        let seen = Notify::new();
        let first = timeout(Duration::from_millis(20), lookout.keep(every, || ()));
        let next = async {
            tokio::select! {
                () = lookout.keep(every, || seen.notify_one()) => {}
                () = seen.notified() => {}
            }
        };
        let both = async { tokio::join!(first, next) };
        assert!(timeout(Duration::from_secs(30), both).await.is_ok());
    }
}
