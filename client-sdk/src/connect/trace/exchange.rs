//! One request and its answer, told as they travel.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, Request, header, response::Parts};
use protocol_spec::{json::view, request::LEAVES};
use serde_json::Value;

use super::{
    step::{Carried, Raw, Step},
    tracer::{BodyCopy, Detail, Tracer},
};
use crate::ground::{Pieces, System, TransportFailure, millis};

/// Names of the messages that a request and its answer are, among the request's extensions.
#[derive(Clone, Copy, Default)]
pub(crate) struct Names {
    pub(crate) body: Option<&'static str>,
    pub(crate) answer: Option<&'static str>,
}

/// A request and what comes of it.
pub(crate) struct Exchange {
    tracer: Tracer,
    system: Arc<dyn System>,
    number: u64,
    begun: Duration,
    path: String,
    answer: Option<&'static str>,
    status: u16,
    fields: BTreeMap<String, String>,
    reading: AnswerReading,
    came: u64,
}

/// What is done with the pieces of an answer.
enum AnswerReading {
    /// They are one message, a text or a refusal.
    Whole,
    /// They are counted, and kept where bodies are asked for.
    Leaves(BodyCopy),
    /// They are events, of which one may have come in part.
    Events(Vec<u8>),
}

impl Exchange {
    /// Tells that a request goes out.
    pub(in crate::connect) fn begin(
        tracer: &Tracer,
        system: &Arc<dyn System>,
        request: &Request<Pieces>,
    ) -> Self {
        let number = tracer.next_number();
        let names = request.extensions().get::<Names>().copied().unwrap_or_default();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let bytes = request.body().len();
        let content = names.body.map(|name| meaning(name, request.body().whole(), None));
        let pieces = request.body().pieces();
        tracer.tell(&Step::Request {
            number,
            method: request.method().to_string(),
            path: path.to_owned(),
            fields: fields(request.headers(), tracer.detail()),
            carried: Carried {
                bytes: Some(bytes).filter(|bytes| *bytes > 0 || content.is_some()),
                message: names.body,
                content,
                raw: tracer.raw(names.body, pieces),
            },
        });
        Self {
            tracer: tracer.clone(),
            system: system.clone(),
            number,
            begun: system.uptime(),
            path: path.to_owned(),
            answer: names.answer,
            status: 0,
            fields: BTreeMap::new(),
            reading: AnswerReading::Whole,
            came: 0,
        }
    }

    /// The head of the answer.
    pub(crate) fn head(&mut self, parts: &Parts) {
        self.status = parts.status.as_u16();
        if self.tracer.detail() == Detail::Bodies {
            self.fields = fields(&parts.headers, Detail::Bodies);
        }
        self.reading = match parts
            .headers
            .get(header::CONTENT_TYPE)
            .map(|kind| kind.as_bytes())
        {
            Some(b"application/octet-stream") => AnswerReading::Leaves(BodyCopy::default()),
            Some(b"text/event-stream") => AnswerReading::Events(Vec::new()),
            _ => return,
        };
        self.tell_answer(Carried::default());
    }

    /// A piece of the answer.
    pub(crate) fn piece(&mut self, piece: &[u8]) {
        self.came = self.came.saturating_add(length(piece));
        let pending = match &mut self.reading {
            AnswerReading::Events(pending) => pending,
            AnswerReading::Leaves(kept) if self.tracer.detail() == Detail::Bodies => return kept.add(piece),
            _ => return,
        };
        pending.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let rest = pending.split_off(end.saturating_add(2));
            events.push(std::mem::replace(pending, rest));
        }
        for event in events.iter().filter_map(|lines| data(lines)) {
            self.tracer.tell(&Step::Event {
                number: self.number,
                millis: self.millis(),
                carried: Carried {
                    bytes: Some(length(&event)),
                    message: Some("Event"),
                    content: Some(meaning("Event", event.clone().into(), None)),
                    raw: self.tracer.raw(Some("Event"), [event.as_slice()]),
                },
            });
        }
    }

    /// The whole answer, unless it was counted as it came.
    pub(crate) fn whole(&self, bytes: &Bytes) {
        if !matches!(self.reading, AnswerReading::Whole) {
            return;
        }
        let refused = !(200..300).contains(&self.status);
        let message = self.answer.filter(|_| !refused);
        let content = match message {
            Some(name) => meaning(name, bytes.clone(), standing(name, &self.path)),
            None if bytes.is_empty() => Value::Null,
            None if refused => serde_json::from_slice(bytes).unwrap_or_else(|_| view::octets(bytes)),
            None => std::str::from_utf8(bytes).map_or_else(|_| view::octets(bytes), Into::into),
        };
        self.tell_answer(Carried {
            bytes: Some(length(bytes)),
            message,
            content: Some(content).filter(|content| !content.is_null()),
            raw: self.tracer.raw(message, [&bytes[..]]),
        });
    }

    /// No answer, or half of one.
    pub(crate) fn lost(&self, failure: &TransportFailure) {
        let cause = match failure {
            TransportFailure::Certificate(fault) => fault.to_string(),
            TransportFailure::Proxy { proxy, cause } => format!("the proxy {proxy}: {cause}"),
            TransportFailure::Transport(cause) => cause.clone(),
        };
        self.tracer.tell(&Step::Lost {
            number: self.number,
            millis: self.millis(),
            cause,
        });
    }

    fn tell_answer(&self, carried: Carried) {
        self.tracer.tell(&Step::Answer {
            number: self.number,
            status: self.status,
            millis: self.millis(),
            fields: self.fields.clone(),
            carried,
        });
    }

    fn millis(&self) -> u64 {
        millis(self.system.since(self.begun))
    }
}

/// Whoever reads a stream goes when he has enough.
impl Drop for Exchange {
    fn drop(&mut self) {
        let raw = match &self.reading {
            AnswerReading::Whole => return,
            AnswerReading::Leaves(kept) if self.tracer.detail() == Detail::Bodies => kept.raw(),
            AnswerReading::Leaves(_) | AnswerReading::Events(_) => Raw::default(),
        };
        self.tracer.tell(&Step::End {
            number: self.number,
            millis: self.millis(),
            bytes: self.came,
            raw,
        });
    }
}

/// A message's content, or its bytes where it is none.
fn meaning(name: &str, bytes: Bytes, body: Option<&str>) -> Value {
    view::view(name, bytes.clone(), body).unwrap_or_else(|| view::octets(&bytes))
}

/// What a receipt or logged statement is about that is an answer itself.
fn standing(message: &str, path: &str) -> Option<&'static str> {
    match message {
        "Receipt" if path.ends_with("/close") => Some("ReleaseReceiptBody"),
        "Receipt" if path.ends_with("/take-backs") => Some("TakeBackBody"),
        "Receipt" => Some("UploadReceiptBody"),
        "LoggedStatement" if path.ends_with("/heads") => Some("VaultHeadBody"),
        "LoggedStatement" if path.ends_with("/deletions") => Some("RecordDeletionBody"),
        "LoggedStatement" => Some("EpochClosureBody"),
        _ => None,
    }
}

fn fields(headers: &HeaderMap, detail: Detail) -> BTreeMap<String, String> {
    let field = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let shown = match *name == LEAVES && detail == Detail::Meaning {
            true => format!("({} hashes)", text.len() * 3 / 4 / 32),
            false => text.into_owned(),
        };
        (name.to_string(), shown)
    };
    headers.iter().map(field).collect()
}

/// The data of one event of a stream, in base64.
fn data(event: &[u8]) -> Option<Vec<u8>> {
    let mut lines = event.split(|byte| *byte == b'\n');
    let data = lines.find_map(|line| line.strip_prefix(b"data:"))?;
    BASE64.decode(data.trim_ascii()).ok()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
