//! What is told of a request: its steps, each with what it carries, without secrets (LKG-3).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// What happens between client and server. Requests are numbered from 1; what belongs to one has its number.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// A request goes out to the server.
    Request {
        /// The number of the request.
        number: u64,
        /// The HTTP method of the request.
        method: String,
        /// The path and the query of the request.
        path: String,
        /// Header fields. Hashes of leaves are only counted, unless bodies are asked for.
        fields: BTreeMap<String, String>,
        /// The body of the request.
        #[serde(flatten)]
        carried: Carried,
    },
    /// It is answered; of a stream, what follows comes as events or is counted at its end.
    Answer {
        /// The number of the request.
        number: u64,
        /// HTTP status, also of refusals.
        status: u16,
        /// Milliseconds since the request went out.
        millis: u64,
        /// Header fields, where bodies are asked for.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// The body of the answer.
        #[serde(flatten)]
        carried: Carried,
    },
    /// A stream brought an event.
    Event {
        /// The number of the request.
        number: u64,
        /// Milliseconds since the request went out.
        millis: u64,
        /// The event as a message.
        #[serde(flatten)]
        carried: Carried,
    },
    /// A stream is over, or is not read any further.
    End {
        /// The number of the request.
        number: u64,
        /// Milliseconds since the request went out.
        millis: u64,
        /// How many bytes have come.
        bytes: u64,
        /// These bytes, where bodies are asked for and they are leaves.
        #[serde(flatten)]
        raw: Raw,
    },
    /// No answer came, or it broke off.
    Lost {
        /// The number of the request.
        number: u64,
        /// Milliseconds since the request went out.
        millis: u64,
        /// Why, in the transport's words.
        cause: String,
    },
    /// The last request is made once more.
    Again {
        /// How many attempts were made.
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
    /// What the message says, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// The body as it travels.
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
