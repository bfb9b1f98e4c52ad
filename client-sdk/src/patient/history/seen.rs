//! What this device has seen of its history: whoever shows another one later is found out.

use prost::Message;
use protocol_spec::{
    hash::Sha256Digest,
    messages::{self as pb, history_entry::What},
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, home::Home};

/// What this device has seen of its history: a digest over all entries up to a number. A server that later leaves one
/// out, changes or reorders them cannot lead to the same digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) entries: u64,
    /// What SHA-256 gives, in hexadecimal digits.
    digest: String,
}

impl Seen {
    /// What is seen before the first entry.
    pub(super) fn nothing() -> Self {
        Self {
            entries: 0,
            digest: Sha256Digest::of(b"").to_string(),
        }
    }

    /// What the home has kept of the last reading.
    pub(super) fn read(home: &Home) -> Result<Option<Self>> {
        home.read_json(SEEN)
    }

    /// Adds the next entry: SHA-256(digest ‖ entry), the entry without what the log adds later.
    pub(super) fn add(&mut self, entry: &pb::HistoryEntry) {
        let mut entry = entry.clone();
        match &mut entry.what {
            Some(What::Stored(receipt) | What::Released(receipt) | What::TakenBack(receipt)) => {
                receipt.proof = None;
            }
            Some(What::Closed(logged) | What::RecordDeleted(logged)) => logged.proof = None,
            Some(What::EmergencyOpened(used)) => used.proof = None,
            Some(What::Presented(presented)) => {
                if let Some(ticket) = &mut presented.release_ticket {
                    ticket.proof = None;
                }
            }
            // Whether it stands there still, or was deleted since (ACC-9).
            Some(What::DownloadRequested(request) | What::ReferenceRequested(request)) => {
                let hash = Sha256Digest::of(&request.encode_to_vec());
                entry.what = Some(What::Deleted(pb::Deleted {
                    hash: hash.as_bytes().to_vec().into(),
                }));
            }
            _ => {}
        }
        self.entries = entry.number;
        let bytes = [self.digest.as_bytes(), &entry.encode_to_vec()].concat();
        self.digest = Sha256Digest::of(&bytes).to_string();
    }

    /// Refuses a history that differs, at this length, from the one seen before.
    pub(super) fn check(&self, before: Option<&Self>) -> Result<()> {
        let same = before.is_none_or(|before| before.entries != self.entries || before == self);
        if same { Ok(()) } else { Err(rewritten()) }
    }

    /// Refuses a whole history that is shorter than the one seen before.
    pub(super) fn check_length(&self, before: Option<&Self>) -> Result<()> {
        if before.is_some_and(|before| before.entries > self.entries) {
            return Err(rewritten());
        }
        Ok(())
    }

    /// Keeps what was seen, unless more was kept meanwhile.
    pub(super) async fn keep(self, home: &Home, before: Option<Self>) -> Result<()> {
        if before.as_ref() == Some(&self) {
            return Ok(());
        }
        let _lock = home.lock().await?;
        if Self::read(home)?.is_none_or(|kept| kept.entries < self.entries) {
            home.write_json(SEEN, &self)?;
        }
        Ok(())
    }
}

fn rewritten() -> Error {
    Error::tampered("the history")("it is not the one that this device has seen before")
}

const SEEN: &str = "history.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn history(requests: &[u8]) -> Vec<pb::HistoryEntry> {
        let entry = |(number, byte): (u64, &u8)| pb::HistoryEntry {
            number,
            at: number,
            what: Some(What::DownloadRequested(pb::Statement {
                body: vec![*byte].into(),
                ..pb::Statement::default()
            })),
        };
        (1..).zip(requests).map(entry).collect()
    }

    /// Goes through a history as a session does.
    async fn visit(home: &Home, requests: &[u8]) -> Result<()> {
        let (before, mut seen) = (Seen::read(home)?, Seen::nothing());
        for entry in history(requests) {
            seen.add(&entry);
            seen.check(before.as_ref())?;
        }
        seen.check_length(before.as_ref())?;
        seen.keep(home, before).await
    }

    /// FLW-11, ATK-41
    #[tokio::test]
    async fn a_history_that_was_rewritten_since_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        visit(&home, &[1, 2]).await.unwrap();
        visit(&home, &[1, 2, 3]).await.unwrap();
        for rewritten in [&[2, 1, 3][..], &[1, 9, 3, 4], &[1, 2], &[], &[1, 3, 4]] {
            let refused = visit(&home, rewritten).await;
            assert!(matches!(refused, Err(Error::Tampered { .. })), "{rewritten:?}");
        }
        visit(&home, &[1, 2, 3, 4]).await.unwrap();
    }
}
