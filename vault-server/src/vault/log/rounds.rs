//! Rounds in which the witnesses are asked about the newest checkpoint. Whoever wants cosignatures that are newer than a moment has
//! another round begin after it; all who want it meanwhile share it (LOG-23).

use std::time::Duration;

use tokio::sync::watch;

/// How many rounds were wanted, and how many of those wants are done with.
pub(crate) struct Rounds {
    wanted: watch::Sender<u64>,
    done: watch::Sender<u64>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            wanted: watch::Sender::new(0),
            done: watch::Sender::new(0),
        }
    }
}

impl Rounds {
    /// Has a round begin after now, and waits for its end.
    pub(super) async fn another(&self) {
        let mut mine = 0;
        self.wanted.send_modify(|wanted| {
            *wanted = wanted.saturating_add(1);
            mine = *wanted;
        });
        let mut done = self.done.subscribe();
        // When it takes longer, whoever wants it sees that the cosignatures are old.
        drop(tokio::time::timeout(LONGEST, done.wait_for(|done| *done >= mine)).await);
    }

    /// Rounds that are wanted until now: given to [`Self::end`] when one that begins now has ended.
    pub(crate) fn begin(&self) -> u64 {
        *self.wanted.borrow()
    }

    /// A round has ended.
    pub(crate) fn end(&self, begun: u64) {
        self.done.send_replace(begun);
    }

    /// Pending until one is wanted that has not ended.
    pub(crate) async fn wanted(&self) {
        let done = *self.done.borrow();
        // The sender lives as long as this.
        drop(self.wanted.subscribe().wait_for(|wanted| *wanted > done).await);
    }
}

/// All witnesses have answered by then, or do not in time.
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// LOG-23: a round that had begun before is not the one that was wanted.
    #[tokio::test]
    async fn whoever_wants_a_round_waits_for_one_that_begins_after() {
        let rounds = Arc::new(Rounds::default());
        let begun_before = rounds.begin();
        let waiting = tokio::spawn({
            let rounds = rounds.clone();
            async move { rounds.another().await }
        });
        rounds.wanted().await;
        rounds.end(begun_before);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        rounds.end(rounds.begin());
        waiting.await.unwrap();
    }
}
