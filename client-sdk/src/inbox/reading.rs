//! One inbox, read from a number on or from its end backwards: numbered without gaps, each event opened and verified.

use std::time::Duration;

use prost::Message;
use protocol_spec::{
    api::{self, PageQuery, StreamQuery},
    ids::InstitutionId,
    messages as pb,
};

use super::{
    event::{InboxEvent, NewestEvents},
    opened::{OpenedEvent, Recipient, tampered},
    party::Party,
    what::{self, InboxWhat},
};
use crate::{Error, Result, keystore::KeyStore, pages::Whole, patient::Vault, session::Session};

/// An inbox, with what it takes to open what is in it.
pub(crate) struct InboxReader<'a> {
    session: &'a Session,
    owner: Owner<'a>,
}

/// Whose inbox it is that is read.
enum Owner<'a> {
    Patient(&'a Vault),
    Institution(Recipient<'a>),
}

impl<'a> InboxReader<'a> {
    /// The inbox of the patient whose vault this is.
    pub(crate) fn of_patient(vault: &'a Vault) -> Self {
        Self {
            session: vault.session(),
            owner: Owner::Patient(vault),
        }
    }

    /// The inbox of an institution, which opens texts by these keys.
    pub(crate) fn of_institution(session: &'a Session, id: InstitutionId, keys: &'a dyn KeyStore) -> Self {
        Self {
            session,
            owner: Owner::Institution(Recipient { id, keys }),
        }
    }

    /// All events after `after`; with `wait`, at least one unless the time runs out.
    pub(crate) async fn after(&self, after: u64, wait: Option<Duration>) -> Result<Vec<InboxEvent>> {
        let system = self.session.system();
        let deadline = wait.map(|wait| system.uptime().saturating_add(wait));
        loop {
            let events = self.events(after).await?;
            if !events.is_empty() {
                // Who asks may have rotated or retired while this waited.
                self.session.mirror.invalidate().await;
                let mut opened = Vec::with_capacity(events.len());
                for event in events {
                    opened.push(self.open_event(event).await?);
                }
                return Ok(opened);
            }
            let left = deadline.map(|deadline| deadline.saturating_sub(system.uptime()));
            match left {
                Some(left) if !left.is_zero() => {
                    // Until something comes, the stream breaks off, or the time is over: the events are then read
                    // as above, so that what the stream says need not be believed.
                    system.within(left, self.until_event(after)).await;
                }
                _ => return Ok(Vec::new()),
            }
        }
    }

    /// At most `most` of the newest events, and none that arrived before `since`, by the server's clock in milliseconds since
    /// 1970. It is read backwards: a large inbox is not fetched for its last page.
    pub(crate) async fn newest(&self, most: u64, since: u64) -> Result<NewestEvents> {
        let (mut begin, mut found) = (self.newest_number().await?, Vec::new());
        let mut whole = Whole::new(INBOX);
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
            events.push(self.open_event(event).await?);
        }
        Ok(NewestEvents {
            events,
            earlier: begin,
        })
    }

    async fn newest_number(&self) -> Result<u64> {
        let page = self
            .session
            .server
            .get(api::INBOX.ask([], PageQuery::of(1)))
            .await?;
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
            let page = self.session.server.get(path).await?;
            whole.add(page.events.len(), page.encoded_len())?;
            if page.events.is_empty() {
                return Err(out_of_order());
            }
            for event in page.events {
                after += 1;
                if event.number != after || after > end {
                    return Err(out_of_order());
                }
                all.push(event);
            }
        }
        Ok(all)
    }
    async fn events(&self, mut after: u64) -> Result<Vec<pb::Event>> {
        let (mut all, mut whole) = (Vec::new(), Whole::new(INBOX));
        loop {
            let page = self
                .session
                .server
                .get(api::INBOX.ask(
                    [],
                    PageQuery {
                        after: Some(after),
                        limit: Some(200),
                    },
                ))
                .await?;
            if page.events.is_empty() {
                return Ok(all);
            }
            whole.add(page.events.len(), page.encoded_len())?;
            for event in page.events {
                after += 1;
                if event.number != after {
                    return Err(out_of_order());
                }
                all.push(event);
            }
        }
    }

    /// Returns at the first event of the stream, or a little after the stream has failed.
    async fn until_event(&self, after: u64) {
        let mut line = Vec::new();
        if let Ok(mut stream) = self
            .session
            .server
            .stream(api::INBOX_STREAM.ask([], StreamQuery { after: Some(after) }))
            .await
        {
            while let Ok(Some(bytes)) = stream.next().await {
                if says_data(&mut line, &bytes) {
                    return;
                }
            }
        }
        self.session.system().sleep(STREAM_PAUSE).await;
    }

    /// Verifies and opens one event. Only what keeps all events from being verified is an error.
    pub(super) async fn open_event(&self, event: pb::Event) -> Result<InboxEvent> {
        let opened = match event.what {
            None => Err(tampered("it is empty")),
            Some(what) => match &self.owner {
                Owner::Patient(patient) => what::to_patient(patient, what).await,
                Owner::Institution(to) => what::to_institution(self.session, *to, what).await,
            },
        };
        let OpenedEvent { from, what, text } = match opened {
            // What fails on this side says nothing about the event (OPR-8).
            Err(error) if error.is_of_this_side() => return Err(error),
            Err(error) => OpenedEvent::new(Party::Server, InboxWhat::Unverified, error.to_string()),
            Ok(opened) => opened,
        };
        Ok(InboxEvent {
            number: event.number,
            at: event.at,
            from,
            what,
            text,
        })
    }
}

/// Whether a line that tells of an event has ended. Of the line that has not, only its beginning is kept: the
/// server decides how long it gets.
pub(super) fn says_data(line: &mut Vec<u8>, bytes: &[u8]) -> bool {
    const DATA: &[u8] = b"data:";
    for &byte in bytes {
        if byte != b'\n' {
            if line.len() < DATA.len() {
                line.push(byte);
            }
        } else if std::mem::take(line) == DATA {
            return true;
        }
    }
    false
}

fn out_of_order() -> Error {
    Error::tampered(INBOX)("events are missing or out of order")
}

const INBOX: &str = "the inbox";
/// Before a stream that failed is opened again.
const STREAM_PAUSE: Duration = Duration::from_millis(500);

/// Events that are asked for at once: as many as a page holds at most.
const PAGE: u64 = 200;
