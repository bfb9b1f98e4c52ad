//! Inboxes: events in order, each opened and verified before it is shown. One that does not verify is shown
//! as such, so that a bad event hides no good one.

mod emergency;
mod event;
mod institution;
mod newest;
mod patient;

use std::time::Duration;

use crypto::TextContext;
use prost::Message;
use protocol_spec::{
    api::{self, PageQuery, StreamQuery},
    bodies::{Denial, UploadRequest},
    ids::{InstitutionId, PermissionId},
    messages::{self as pb, event::What},
    patient::{OfPatient, PatientSigned, PatientVerified},
    permission::Kind,
};

use self::event::Content;
pub use self::event::{InboxEvent, InboxWhat, NewestEvents, Party};
use crate::{
    DirectoryEntry, Error, Result,
    institution::{answered, delivered},
    keystore::{KeyStore, KeyStoreError, open_text},
    pages::Whole,
    patient::{Vault, requests},
    session::Session,
    trust::Asked,
};

/// Whose inbox is read.
pub(crate) enum Reader<'a> {
    Patient(&'a Vault),
    Institution {
        id: InstitutionId,
        keys: &'a dyn KeyStore,
    },
}

impl Session {
    /// All events after `after`; with `wait`, at least one unless the time runs out.
    pub(crate) async fn inbox(
        &self,
        reader: &Reader<'_>,
        after: u64,
        wait: Option<Duration>,
    ) -> Result<Vec<InboxEvent>> {
        let system = self.system();
        let deadline = wait.map(|wait| system.uptime().saturating_add(wait));
        loop {
            let events = self.events(after).await?;
            if !events.is_empty() {
                // Who asks may have rotated or retired while this waited.
                self.mirror.invalidate().await;
                let mut opened = Vec::with_capacity(events.len());
                for event in events {
                    opened.push(self.open_event(reader, event).await?);
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

    async fn events(&self, mut after: u64) -> Result<Vec<pb::Event>> {
        let (mut all, mut whole) = (Vec::new(), Whole::new("the inbox"));
        loop {
            let page: pb::InboxPage = self
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
                    return Err(Error::tampered("the inbox")("events are missing or out of order"));
                }
                all.push(event);
            }
        }
    }

    /// Returns at the first event of the stream, or a little after the stream has failed.
    async fn until_event(&self, after: u64) {
        let mut line = Vec::new();
        if let Ok(mut stream) = self
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
        self.system().sleep(STREAM_PAUSE).await;
    }

    /// Verifies and opens one event. Only what keeps all events from being verified is an error.
    async fn open_event(&self, reader: &Reader<'_>, event: pb::Event) -> Result<InboxEvent> {
        let pb::Event { number, at, what } = event;
        let (from, what, text) = match self.open_what(reader, what).await {
            // What fails on this side says nothing about the event (OPR-8).
            Err(error) if error.is_of_this_side() => return Err(error),
            Err(error) => (Party::Server, InboxWhat::Unverified, error.to_string()),
            Ok(content) => content,
        };
        Ok(InboxEvent {
            number,
            at,
            from,
            what,
            text,
        })
    }

    async fn open_what(&self, reader: &Reader<'_>, what: Option<What>) -> Result<Content> {
        let what = what.ok_or_else(|| tampered("it is empty"))?;
        match reader {
            Reader::Patient(patient) => self.to_patient(patient, what).await,
            Reader::Institution { id, keys } => self.to_institution(*id, *keys, what).await,
        }
    }

    fn upload_requested(
        &self,
        message: pb::UploadPermitted,
        id: InstitutionId,
        keys: &dyn KeyStore,
    ) -> Result<Content> {
        let request: PatientVerified<UploadRequest> =
            verify(message.request.ok_or_else(|| tampered("it is empty"))?)?;
        check(request.institution_id == id && request.operator_id == self.server.operator_id())?;
        let context = TextContext::to_institution(request.request_id, &request.patient_id, &id);
        let text = open_text(keys, &context, &request.text).map_err(opening)?;
        let permission_id = PermissionId::try_from(message.permission_id.as_ref())?;
        // Which permission comes with the request is the server's word: sending checks it by what was met here.
        self.met
            .permission(permission_id, request.patient_id, &request.hash())?;
        let what = InboxWhat::UploadRequest {
            request_id: request.request_id,
            permission_id,
        };
        Ok((Party::Patient(request.patient_id), what, text))
    }

    /// A permission key waits. Whose it is and what it answers is read from the permission itself (FLW-13).
    async fn permitted(
        &self,
        message: &pb::PermissionDelivered,
        id: InstitutionId,
        keys: &dyn KeyStore,
    ) -> Result<Content> {
        let permission_id = PermissionId::try_from(message.permission_id.as_ref())?;
        let mut delivered = delivered(self, permission_id, id, keys).await?;
        let asked = answered(self, &mut delivered).await?;
        let permission = delivered.permission;
        let what = InboxWhat::Permission {
            request_id: asked.request_id,
            permission_id,
            purpose: permission.purpose,
            delegate: permission.delegation().map(|given| given.delegate_id),
        };
        Ok((Party::Patient(permission.patient_id), what, String::new()))
    }

    async fn asked_event(&self, asked: &Asked, patient: &Vault) -> Result<Content> {
        let text = requests::open_asked(patient, asked).await?;
        let (request_id, purpose) = (asked.request_id, asked.purpose);
        let what = match asked.kind {
            Kind::Reference => InboxWhat::ReferenceRequest {
                request_id,
                to: party(&self.mirror.institution(asked.receiver).await?),
                purpose,
            },
            _ => InboxWhat::DownloadRequest { request_id, purpose },
        };
        Ok((party(&asked.asker), what, text))
    }
}

/// Whether a line that tells of an event has ended. Of the line that has not, only its beginning is kept: the
/// server decides how long it gets.
fn says_data(line: &mut Vec<u8>, bytes: &[u8]) -> bool {
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

fn denied(message: pb::PatientStatement, id: InstitutionId, keys: &dyn KeyStore) -> Result<Content> {
    let denial: PatientVerified<Denial> = verify(message)?;
    check(denial.institution_id == id)?;
    let context = TextContext::to_institution(denial.request_id, &denial.patient_id, &id);
    let text = open_text(keys, &context, &denial.text).map_err(opening)?;
    let what = InboxWhat::Denial {
        request_id: denial.request_id,
        delegate: denial.delegation().map(|given| given.delegate_id),
    };
    Ok((Party::Patient(denial.patient_id), what, text))
}

fn verify<T: OfPatient>(message: pb::PatientStatement) -> Result<PatientVerified<T>> {
    PatientSigned::try_from(message)
        .and_then(PatientSigned::verify)
        .map_err(tampered)
}

fn check(for_reader: bool) -> Result<()> {
    if for_reader {
        Ok(())
    } else {
        Err(tampered("it is for somebody else"))
    }
}

fn party(entry: &DirectoryEntry) -> Party {
    Party::Institution {
        id: entry.id(),
        name: entry.name().as_str().to_owned(),
    }
}

fn tampered<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the event")(cause)
}

fn opening(error: KeyStoreError) -> Error {
    KeyStoreError::opening("the event")(error)
}

/// Before a stream that failed is opened again.
const STREAM_PAUSE: Duration = Duration::from_millis(500);

/// What says all by its kind.
fn wordless(from: Party, what: InboxWhat) -> Content {
    (from, what, String::new())
}

#[cfg(test)]
mod tests;
