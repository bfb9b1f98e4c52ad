//! The newest events of an inbox, read from its end backwards: a large inbox is not fetched for its last page.

use prost::Message;
use protocol_spec::{
    api::{self, PageQuery},
    messages as pb,
};

use super::{NewestEvents, Reader};
use crate::{Error, Result, pages::Whole, session::Session};

impl Session {
    /// At most `most` of the newest events, and none that arrived before `since`, in milliseconds since 1970 by the server's
    /// clock.
    ///
    /// # Errors
    /// [`Error::Tampered`] when events are missing or out of order; of the connection.
    pub(crate) async fn newest_events(
        &self,
        reader: &Reader<'_>,
        most: u64,
        since: u64,
    ) -> Result<NewestEvents> {
        let (mut begin, mut found) = (self.newest_event().await?, Vec::new());
        let mut whole = Whole::new("the inbox");
        let mut wanted = most;
        while begin > 0 && wanted > 0 {
            let end = begin;
            begin = end.saturating_sub(wanted.min(PAGE));
            wanted -= end - begin;
            let mut part = self.events_between(begin, end, &mut whole).await?;
            if let Some(before) = part.iter().rposition(|event| event.at < since) {
                part.drain(..=before);
                begin += before as u64 + 1;
                wanted = 0;
            }
            part.append(&mut found);
            found = part;
        }
        let mut events = Vec::with_capacity(found.len());
        for event in found {
            events.push(self.open_event(reader, event).await?);
        }
        Ok(NewestEvents {
            events,
            earlier: begin,
        })
    }

    async fn newest_event(&self) -> Result<u64> {
        let page: pb::InboxPage = self.server.get(api::INBOX.ask([], PageQuery::of(1))).await?;
        Ok(page.newest)
    }

    /// The events after number `begin` up to `end`; a page may hold fewer than it was asked for.
    async fn events_between(&self, begin: u64, end: u64, whole: &mut Whole) -> Result<Vec<pb::Event>> {
        let (mut all, mut after) = (Vec::new(), begin);
        while after < end {
            let query = PageQuery {
                after: Some(after),
                limit: usize::try_from(end - after).ok(),
            };
            let path = api::INBOX.ask([], query);
            let page: pb::InboxPage = self.server.get(path).await?;
            whole.add(page.events.len(), page.encoded_len())?;
            if page.events.is_empty() {
                return Err(Error::tampered("the inbox")("events are missing or out of order"));
            }
            for event in page.events {
                after += 1;
                if event.number != after || after > end {
                    return Err(Error::tampered("the inbox")("events are missing or out of order"));
                }
                all.push(event);
            }
        }
        Ok(all)
    }
}

/// Events that are asked for at once: as many as a page holds at most.
const PAGE: u64 = 200;
