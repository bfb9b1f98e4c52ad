//! The form of a transcript that programs read: `spec/transcripts/NAME.json`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use protocol_spec::{
    api::{self, EndpointInfo},
    request::Target,
};
use serde::Deserialize;

use super::Result;

/// One flow, as it was played.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Transcript {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
}

/// What one command sends and gets.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) by: String,
    pub(crate) command: String,
    pub(crate) does: String,
    pub(crate) exchanges: Vec<Exchange>,
}

/// A request and its answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Payload,
    pub(crate) answer: Answer,
}

/// What the server says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Payload,
}

/// What a request or an answer carries: its bytes, or of ciphertext that is long, length and hash.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Payload {
    pub(crate) bytes: usize,
    #[serde(default)]
    pub(crate) base64: String,
    #[serde(default)]
    pub(crate) sha256: Option<String>,
}

impl Transcript {
    pub(crate) fn read(name: &str) -> Result<Self> {
        let text = fs::read_to_string(path(name, "json")).map_err(|error| format!("{name}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))
    }

    pub(crate) fn exchanges(&self) -> impl Iterator<Item = (&Step, &Exchange)> {
        self.steps
            .iter()
            .flat_map(|step| step.exchanges.iter().map(move |exchange| (step, exchange)))
    }
}

impl Exchange {
    pub(crate) fn request(&self) -> Result<Request> {
        let malformed = |_| format!("{}: the request line", self.path);
        Ok(Request {
            method: self.method.parse::<Method>().map_err(|_| malformed(()))?,
            uri: self.path.parse::<Uri>().map_err(|_| malformed(()))?,
            headers: headers(&self.fields)?,
            authority: self.fields.get("host").cloned().unwrap_or_default(),
        })
    }

    /// The endpoint that is asked.
    pub(crate) fn endpoint(&self) -> Result<&'static EndpointInfo> {
        let path = self.path.split('?').next().unwrap_or_default();
        let found = api::ALL
            .iter()
            .find(|one| one.method.as_str() == self.method && fits(one.path, path));
        found.copied().ok_or_else(|| format!("{path} is no endpoint"))
    }
}

impl Payload {
    /// The bytes; none where only length and hash are given.
    pub(crate) fn whole(&self) -> Result<Option<Bytes>> {
        if self.sha256.is_some() {
            return Ok(None);
        }
        let bytes = BASE64
            .decode(self.base64.as_bytes())
            .map_err(|error| error.to_string())?;
        if bytes.len() == self.bytes {
            Ok(Some(bytes.into()))
        } else {
            Err(format!("{} bytes are said to be {}", bytes.len(), self.bytes))
        }
    }
}

/// A request in the types by which it is verified.
pub(crate) struct Request {
    method: Method,
    uri: Uri,
    pub(crate) headers: HeaderMap,
    authority: String,
}

impl Request {
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            method: &self.method,
            authority: &self.authority,
            uri: &self.uri,
            headers: &self.headers,
        }
    }
}

pub(crate) fn path(name: &str, ending: &str) -> PathBuf {
    let folder = [env!("CARGO_MANIFEST_DIR"), "spec", "transcripts"];
    folder
        .iter()
        .collect::<PathBuf>()
        .join(format!("{name}.{ending}"))
}

fn headers(fields: &BTreeMap<String, String>) -> Result<HeaderMap> {
    let field = |(name, value): (&String, &String)| {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        Ok((name, value))
    };
    fields.iter().map(field).collect()
}

/// Whether a path is of this form: `{id}` stands for one part of it, `{*name}` for all that follows.
fn fits(form: &str, path: &str) -> bool {
    let (mut form, mut path) = (form.split('/'), path.split('/'));
    loop {
        match (form.next(), path.next()) {
            (None, None) => return true,
            (Some(name), Some(_)) if name.starts_with("{*") => return true,
            (Some(part), Some(_)) if part.starts_with('{') => {}
            (Some(part), Some(other)) if part == other => {}
            _ => return false,
        }
    }
}
