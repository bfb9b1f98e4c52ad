//! What a client sends and gets, for a user who asks to see it: each attempt of each request, decoded, without secrets.
//!
//! One for the process, as a log is, but apart from it: a log holds nothing of this (LKG-2), and this comes to be only
//! where somebody asks for it (LKG-3).

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, Request, header, response::Parts};
use hyper::body::Body as _;
use protocol_spec::{json::view, request::LEAVES};
use serde::Serialize;
use serde_json::Value;

use super::{failure::Failure, pieces::Pieces};

/// What happens between client and server. Requests are numbered from 1; what belongs to one has its number.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// A request goes out.
    Request {
        /// Its number.
        number: u64,
        /// HTTP method.
        method: String,
        /// Path and query.
        path: String,
        /// Header fields. Hashes of leaves are only counted.
        fields: BTreeMap<String, String>,
        /// Its body.
        #[serde(flatten)]
        carried: Carried,
    },
    /// It is answered; of a stream, what follows comes as events or is counted at its end.
    Answer {
        /// Of the request.
        number: u64,
        /// HTTP status, also of refusals.
        status: u16,
        /// Milliseconds since the request.
        millis: u64,
        /// The answer's body.
        #[serde(flatten)]
        carried: Carried,
    },
    /// A stream brought an event.
    Event {
        /// Of the request.
        number: u64,
        /// Milliseconds since the request.
        millis: u64,
        /// The event.
        #[serde(flatten)]
        carried: Carried,
    },
    /// A stream is over, or is not read any further.
    End {
        /// Of the request.
        number: u64,
        /// Milliseconds since the request.
        millis: u64,
        /// Bytes that came.
        bytes: u64,
    },
    /// No answer came, or it broke off.
    Lost {
        /// Of the request.
        number: u64,
        /// Milliseconds since the request.
        millis: u64,
        /// Why, in the transport's words.
        cause: String,
    },
    /// The last request is made once more.
    Again {
        /// Attempts so far.
        attempts: u32,
    },
}

/// A body: how long it is, and what it means where it is no leaf.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Carried {
    /// Its length, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The message that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

type Tracer = Box<dyn Fn(&Step) + Send + Sync>;

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Tells every step from now on, as it happens. The first one to ask is told, and nobody else.
pub fn to(tracer: impl Fn(&Step) + Send + Sync + 'static) {
    drop(TRACER.set(Box::new(tracer)));
}

/// Says that a request is made once more.
pub(crate) fn again(attempts: u32) {
    if let Some(tracer) = TRACER.get() {
        tracer(&Step::Again { attempts });
    }
}

/// Names of the messages that a request and its answer are, among the request's extensions.
#[derive(Clone, Copy, Default)]
pub(crate) struct Names {
    pub(crate) body: Option<&'static str>,
    pub(crate) answer: Option<&'static str>,
}

/// A request and what comes of it.
pub(crate) struct Exchange {
    tracer: &'static Tracer,
    number: u64,
    begun: Instant,
    path: String,
    answer: Option<&'static str>,
    status: u16,
    reading: Reading,
    came: u64,
}

/// What is done with the pieces of an answer.
enum Reading {
    /// They are one message, a text or a refusal.
    Whole,
    /// They are counted.
    Leaves,
    /// They are events, of which one may have come in part.
    Events(Vec<u8>),
}

impl Exchange {
    /// Tells what goes out, if anybody asked.
    pub(crate) fn begin(request: &Request<Pieces>) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let tracer = TRACER.get()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let names = request.extensions().get::<Names>().copied().unwrap_or_default();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let bytes = request.body().size_hint().exact();
        let content = names.body.map(|name| meaning(name, request.body().whole(), None));
        tracer(&Step::Request {
            number,
            method: request.method().to_string(),
            path: path.to_owned(),
            fields: fields(request.headers()),
            carried: Carried {
                bytes: bytes.filter(|bytes| *bytes > 0 || content.is_some()),
                message: names.body,
                content,
            },
        });
        Some(Self {
            tracer,
            number,
            begun: Instant::now(),
            path: path.to_owned(),
            answer: names.answer,
            status: 0,
            reading: Reading::Whole,
            came: 0,
        })
    }

    /// The head of the answer.
    pub(crate) fn head(&mut self, parts: &Parts) {
        self.status = parts.status.as_u16();
        self.reading = match parts
            .headers
            .get(header::CONTENT_TYPE)
            .map(|kind| kind.as_bytes())
        {
            Some(b"application/octet-stream") => Reading::Leaves,
            Some(b"text/event-stream") => Reading::Events(Vec::new()),
            _ => return,
        };
        self.tell_answer(Carried::default());
    }

    /// A piece of the answer.
    pub(crate) fn piece(&mut self, piece: &[u8]) {
        self.came = self.came.saturating_add(length(piece));
        let Reading::Events(pending) = &mut self.reading else {
            return;
        };
        pending.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let rest = pending.split_off(end.saturating_add(2));
            events.push(std::mem::replace(pending, rest));
        }
        for event in events.iter().filter_map(|lines| data(lines)) {
            (self.tracer)(&Step::Event {
                number: self.number,
                millis: self.millis(),
                carried: Carried {
                    bytes: Some(length(&event)),
                    message: Some("Event"),
                    content: Some(meaning("Event", event.into(), None)),
                },
            });
        }
    }

    /// The whole answer, unless it was counted as it came.
    pub(crate) fn whole(&self, bytes: &Bytes) {
        if !matches!(self.reading, Reading::Whole) {
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
        });
    }

    /// No answer, or half of one.
    pub(crate) fn lost(&self, failure: &Failure) {
        let cause = match failure {
            Failure::Certificate(fault) => fault.to_string(),
            Failure::Proxy { proxy, cause } => format!("the proxy {proxy}: {cause}"),
            Failure::Transport(cause) => cause.clone(),
        };
        (self.tracer)(&Step::Lost {
            number: self.number,
            millis: self.millis(),
            cause,
        });
    }

    fn tell_answer(&self, carried: Carried) {
        (self.tracer)(&Step::Answer {
            number: self.number,
            status: self.status,
            millis: self.millis(),
            carried,
        });
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whoever reads a stream goes when he has enough.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !matches!(self.reading, Reading::Whole) {
            (self.tracer)(&Step::End {
                number: self.number,
                millis: self.millis(),
                bytes: self.came,
            });
        }
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

fn fields(headers: &HeaderMap) -> BTreeMap<String, String> {
    let field = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let shown = match *name == LEAVES {
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
