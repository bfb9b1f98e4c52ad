//! What a client sends and gets, for a user who asks to see it: each attempt of each request, decoded, without secrets.
//!
//! It is apart from a log, which holds nothing of this (LKG-2), and comes to be only where somebody asks for it (LKG-3).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use http::{HeaderMap, Request, header, response::Parts};
use protocol_spec::{json::view, request::LEAVES};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ground::{Failure, Pieces, System, millis};

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
        /// Header fields. Hashes of leaves are only counted, unless bodies are asked for.
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
        /// Header fields, where bodies are asked for.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
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
        /// These bytes, where bodies are asked for and they are leaves.
        #[serde(flatten)]
        raw: Raw,
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
    /// The body itself.
    #[serde(flatten)]
    pub raw: Raw,
}

/// A body as it travels, for whoever asks for bodies: without what holds a secret (LKG-3), and of long ones the hash.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Raw {
    /// The bytes of a body of at most 64 KiB, in Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// SHA-256 of a longer one, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// How much is told of each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Messages are told by their fields, bodies are left out.
    Meaning,
    /// Bodies as they travel, too, and all header fields whole.
    Bodies,
}

/// Who is told every step, as it happens. Copies of it count the requests together.
#[derive(Clone)]
pub struct Tracer {
    detail: Detail,
    tell: Arc<dyn Fn(&Step) + Send + Sync>,
    /// Requests so far.
    count: Arc<AtomicU64>,
}

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
    reading: Reading,
    came: u64,
}

/// What is done with the pieces of an answer.
enum Reading {
    /// They are one message, a text or a refusal.
    Whole,
    /// They are counted, and kept where bodies are asked for.
    Leaves(BodyCopy),
    /// They are events, of which one may have come in part.
    Events(Vec<u8>),
}

impl Exchange {
    /// Tells what goes out.
    pub(super) fn begin(tracer: &Tracer, system: &Arc<dyn System>, request: &Request<Pieces>) -> Self {
        let number = tracer.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let names = request.extensions().get::<Names>().copied().unwrap_or_default();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let bytes = request.body().len();
        let content = names.body.map(|name| meaning(name, request.body().whole(), None));
        let pieces = request.body().pieces();
        (tracer.tell)(&Step::Request {
            number,
            method: request.method().to_string(),
            path: path.to_owned(),
            fields: fields(request.headers(), tracer.detail),
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
            reading: Reading::Whole,
            came: 0,
        }
    }

    /// The head of the answer.
    pub(crate) fn head(&mut self, parts: &Parts) {
        self.status = parts.status.as_u16();
        if self.tracer.detail == Detail::Bodies {
            self.fields = fields(&parts.headers, Detail::Bodies);
        }
        self.reading = match parts
            .headers
            .get(header::CONTENT_TYPE)
            .map(|kind| kind.as_bytes())
        {
            Some(b"application/octet-stream") => Reading::Leaves(BodyCopy::default()),
            Some(b"text/event-stream") => Reading::Events(Vec::new()),
            _ => return,
        };
        self.tell_answer(Carried::default());
    }

    /// A piece of the answer.
    pub(crate) fn piece(&mut self, piece: &[u8]) {
        self.came = self.came.saturating_add(length(piece));
        let pending = match &mut self.reading {
            Reading::Events(pending) => pending,
            Reading::Leaves(kept) if self.tracer.detail == Detail::Bodies => return kept.add(piece),
            _ => return,
        };
        pending.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let rest = pending.split_off(end.saturating_add(2));
            events.push(std::mem::replace(pending, rest));
        }
        for event in events.iter().filter_map(|lines| data(lines)) {
            (self.tracer.tell)(&Step::Event {
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
            raw: self.tracer.raw(message, [&bytes[..]]),
        });
    }

    /// No answer, or half of one.
    pub(crate) fn lost(&self, failure: &Failure) {
        let cause = match failure {
            Failure::Certificate(fault) => fault.to_string(),
            Failure::Proxy { proxy, cause } => format!("the proxy {proxy}: {cause}"),
            Failure::Transport(cause) => cause.clone(),
        };
        (self.tracer.tell)(&Step::Lost {
            number: self.number,
            millis: self.millis(),
            cause,
        });
    }

    fn tell_answer(&self, carried: Carried) {
        (self.tracer.tell)(&Step::Answer {
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
            Reading::Whole => return,
            Reading::Leaves(kept) if self.tracer.detail == Detail::Bodies => kept.raw(),
            Reading::Leaves(_) | Reading::Events(_) => Raw::default(),
        };
        (self.tracer.tell)(&Step::End {
            number: self.number,
            millis: self.millis(),
            bytes: self.came,
            raw,
        });
    }
}

impl Tracer {
    /// Tells them by this function, which may be called from several threads at once.
    pub fn new(detail: Detail, tell: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        Self {
            detail,
            tell: Arc::new(tell),
            count: Arc::default(),
        }
    }

    /// Says that a request is made once more.
    pub(super) fn again(&self, attempts: u32) {
        (self.tell)(&Step::Again { attempts });
    }

    /// A body, if bodies are asked for and it holds no secret.
    fn raw<'a>(&self, message: Option<&str>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Raw {
        if self.detail == Detail::Meaning {
            return Raw::default();
        }
        let mut kept = BodyCopy::default();
        pieces.into_iter().for_each(|piece| kept.add(piece));
        match message {
            Some(name) if view::holds_secret(name, &kept.first) => Raw::default(),
            _ => kept.raw(),
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            detail,
            tell: _,
            count,
        } = self;
        f.debug_struct("Tracer")
            .field("detail", detail)
            .field("count", count)
            .finish_non_exhaustive()
    }
}

/// What is kept of a body that comes in pieces: all of it while it is short.
#[derive(Default)]
struct BodyCopy {
    first: Vec<u8>,
    all: Sha256,
    is_long: bool,
}

impl BodyCopy {
    fn add(&mut self, piece: &[u8]) {
        self.all.update(piece);
        self.is_long |= self.first.len().saturating_add(piece.len()) > LONG;
        if !self.is_long {
            self.first.extend_from_slice(piece);
        }
    }

    fn raw(&self) -> Raw {
        if self.is_long {
            let sha256 = Some(HEXLOWER.encode(&self.all.clone().finalize()));
            return Raw { base64: None, sha256 };
        }
        let base64 = Some(BASE64.encode(&self.first)).filter(|base64| !base64.is_empty());
        Raw { base64, sha256: None }
    }
}

/// Of a longer body only the hash is told.
const LONG: usize = 64 * 1024;

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
