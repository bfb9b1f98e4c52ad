//! The form of a transcript that people read: `spec/transcripts/NAME.md`, made from the other form.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use data_encoding::{BASE64, HEXLOWER};
use protocol_spec::{hash::sha256, request::RequestSignature};
use serde_json::Value;

use super::{
    Result,
    check::{labels, meaning, message_name},
    record::{Exchange, Payload, Step, Transcript},
    world::World,
};

/// A body with more bytes stands in the other form alone.
const SHORT: usize = 1024;
/// Characters of a line of base64.
const LINE: usize = 100;

/// Why each request is made, from the table of `spec/transcripts.md`: by method and path as the endpoints have them, and
/// whether a page shows it whole.
pub(crate) struct Reasons(BTreeMap<String, (bool, String)>);

impl Reasons {
    pub(crate) fn read() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/transcripts.md");
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let rows = text.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.trim_end_matches(" |").split(" | ");
            let (request, shown, why) = (cells.next()?, cells.next()?, cells.next()?);
            let request = request.trim_end_matches('`').to_owned();
            Some((request, (shown == "whole", why.to_owned())))
        });
        Ok(Self(rows.collect()))
    }

    fn of(&self, exchange: &Exchange) -> Result<&(bool, String)> {
        let endpoint = exchange.endpoint()?;
        let request = format!("{} {}", endpoint.method, endpoint.path);
        self.0
            .get(&request)
            .ok_or_else(|| format!("transcripts.md does not say why {request}"))
    }
}

/// The whole page. `world` knows all keys of the flow.
pub(crate) fn page(name: &str, transcript: &Transcript, world: &World, reasons: &Reasons) -> Result<String> {
    let mut out = format!(
        "# {}: a transcript\n\nHow it was made, and how to read it: [transcripts.md](../transcripts.md). All bytes: [{name}.json]({name}.json).\nThe keys are throw-away: they and the server lived for one run.\n\n",
        transcript.title
    );
    keys(&mut out, transcript, world)?;
    for (number, step) in transcript.steps.iter().enumerate() {
        self::step(&mut out, number + 1, step, reasons)?;
    }
    Ok(out.trim_end().to_owned() + "\n")
}

/// The keys that sign requests of this flow, and the operator's.
fn keys(out: &mut String, transcript: &Transcript, world: &World) -> Result<()> {
    out.push_str("## Keys\n\n| id | whose | Ed25519 public key |\n|---|---|---|\n");
    let mut used = String::new();
    for (_, exchange) in transcript.exchanges() {
        used += exchange.fields.get("signature-input").map_or("", String::as_str);
        used += exchange
            .fields
            .get("medvault-operator")
            .map_or("", String::as_str);
    }
    for (id, who, key) in world.keys().filter(|(id, ..)| used.contains(id)) {
        line(
            out,
            &format!("| `{id}` | {who} | `{}` |", HEXLOWER.encode(key.as_bytes())),
        )?;
    }
    out.push('\n');
    Ok(())
}

fn step(out: &mut String, number: usize, step: &Step, reasons: &Reasons) -> Result<()> {
    line(out, &format!("## {number}. {}: {}\n", step.by, step.does))?;
    line(out, &format!("    {}\n", step.command))?;
    out.push_str("| | request | answer | why |\n|---|---|---|---|\n");
    for (at, exchange) in step.exchanges.iter().enumerate() {
        let (whole, why) = reasons.of(exchange)?;
        let place = match whole {
            true => format!("**{number}.{}**", at + 1),
            false => format!("{number}.{}", at + 1),
        };
        line(
            out,
            &format!(
                "| {place} | `{} {}` | {} | {why} |",
                exchange.method,
                exchange.path,
                short(exchange)?
            ),
        )?;
    }
    out.push('\n');
    for (at, exchange) in step.exchanges.iter().enumerate() {
        if reasons.of(exchange)?.0 {
            whole(out, &format!("{number}.{}", at + 1), &step.by, exchange)?;
        }
    }
    Ok(())
}

/// What is answered, in a few words.
fn short(exchange: &Exchange) -> Result<String> {
    let name = exchange.endpoint()?.answer;
    let name = message_name(name).map_or_else(|| name.to_owned(), |name| format!("`{name}`"));
    Ok(format!(
        "{} {name}, {} bytes",
        exchange.answer.status, exchange.answer.body.bytes
    ))
}

fn whole(out: &mut String, place: &str, by: &str, exchange: &Exchange) -> Result<()> {
    let endpoint = exchange.endpoint()?;
    line(
        out,
        &format!("### {place} `{} {}`\n", endpoint.method, endpoint.path),
    )?;
    line(out, &format!("{by} to the server:\n"))?;
    let mut head = format!("{} {} HTTP/1.1\n", exchange.method, exchange.path);
    fields(&mut head, &exchange.fields)?;
    fenced(out, "http", &head)?;
    let request = exchange.request()?;
    for label in labels(exchange) {
        let signature =
            RequestSignature::parse(&request.target(), label).map_err(|error| error.to_string())?;
        let base = request
            .target()
            .signature_base(&signature.params)
            .map_err(|error| error.to_string())?;
        line(out, &format!("Signature base of `{}`:\n", label.as_str()))?;
        fenced(out, "text", &base)?;
    }
    if exchange.body.bytes > 0 {
        payload(out, "Body", endpoint.body, &exchange.path, &exchange.body)?;
    }
    line(out, "The server:\n")?;
    let mut head = format!("HTTP/1.1 {}\n", exchange.answer.status);
    fields(&mut head, &exchange.answer.fields)?;
    fenced(out, "http", &head)?;
    payload(
        out,
        "Answer",
        endpoint.answer,
        &exchange.path,
        &exchange.answer.body,
    )
}

fn fields(out: &mut String, fields: &BTreeMap<String, String>) -> Result<()> {
    fields
        .iter()
        .try_for_each(|(name, value)| line(out, &format!("{name}: {value}")))
}

/// A message decoded, and its bytes where they are few.
fn payload(out: &mut String, what: &str, name: &'static str, path: &str, payload: &Payload) -> Result<()> {
    let message = message_name(name);
    let shown = message.map_or_else(|| name.to_owned(), |name| format!("`{name}`"));
    let Some(bytes) = payload.whole()? else {
        let hash = payload.sha256.as_deref().unwrap_or_default();
        return line(
            out,
            &format!(
                "{what}: {shown}, {} bytes of ciphertext, left out; SHA-256 `{hash}`\n",
                payload.bytes
            ),
        );
    };
    let hash = HEXLOWER.encode(&sha256(&[&bytes]));
    line(
        out,
        &format!("{what}: {shown}, {} bytes, SHA-256 `{hash}`\n", bytes.len()),
    )?;
    if bytes.is_empty() {
        return Ok(());
    }
    if let Some(name) = message {
        let meaning = meaning(name, path, bytes.clone()).ok_or_else(|| format!("it is no {name}"))?;
        fenced(out, "json", &format!("{:#}", shortened(meaning)))?;
    }
    if let ("SignedNote", Ok(text)) = (name, std::str::from_utf8(&bytes)) {
        return fenced(out, "text", text);
    }
    if bytes.len() <= SHORT {
        let base64 = BASE64.encode(&bytes);
        let lines: Vec<_> = base64
            .as_bytes()
            .chunks(LINE)
            .map(String::from_utf8_lossy)
            .collect();
        fenced(out, "base64", &lines.join("\n"))?;
    }
    Ok(())
}

fn fenced(out: &mut String, kind: &str, text: &str) -> Result<()> {
    line(out, &format!("```{kind}\n{}\n```\n", text.trim_end()))
}

fn line(out: &mut String, text: &str) -> Result<()> {
    writeln!(out, "{text}").map_err(|error| error.to_string())
}

/// Without the bytes of what has length and hash.
fn shortened(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            if fields.contains_key("sha256") {
                fields.remove("base64");
            }
            let fields = fields.into_iter();
            fields.map(|(name, value)| (name, shortened(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(shortened).collect(),
        other => other,
    }
}
