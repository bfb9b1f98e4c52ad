//! What of a transcript anybody can check who has nothing but it: signatures of requests, digests, statements.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol_spec::{
    Error,
    json::view::view,
    request::{
        CONTENT_DIGEST, LEAVES, OPERATOR, RequestSignature, SIGNATURE_INPUT, SignatureLabel, content_digest,
        evidence, read_bytes_field,
    },
};
use serde_json::Value;

use super::{
    Result,
    record::{Exchange, Transcript},
    world::World,
};

/// Checks all exchanges of a flow; what was shown before is in `world`, and what is shown now is added to it. Signatures
/// of requests come last: a new device signs before its key was shown.
pub(crate) fn check(transcript: &Transcript, world: &mut World) -> Result<()> {
    let mut signed = Vec::new();
    for (_, exchange) in transcript.exchanges() {
        let place = |error| {
            format!(
                "{}: {} {}: {error}",
                transcript.title, exchange.method, exchange.path
            )
        };
        let signatures = signatures(exchange).map_err(place)?;
        if let [id, pop] = signatures.as_slice() {
            world.presented(&evidence(id, pop));
        }
        one(exchange, world).map_err(place)?;
        signed.extend(signatures.into_iter().map(|signature| (exchange, signature)));
    }
    for (exchange, signature) in signed {
        let place = |error| format!("{}: {}: its signature: {error}", transcript.title, exchange.path);
        let key = world.key(&signature.params.key_id).map_err(place)?;
        let verified = signature.verify(key);
        verified.map_err(|error| place(error.to_string()))?;
    }
    Ok(())
}

fn one(exchange: &Exchange, world: &mut World) -> Result<()> {
    let endpoint = exchange.endpoint()?;
    let body = exchange.body.whole()?;
    let path = exchange.path.split('?').next().unwrap_or_default();
    let sent = message_name(endpoint.body);
    if let (Some(name), Some(body)) = (sent, &body) {
        view(name, body.clone(), None).ok_or_else(|| format!("it is no {name}"))?;
        world
            .request(name, path, body)
            .map_err(|error| format!("{name}: {error}"))?;
    }
    covers_body(exchange, body.as_ref(), world)?;
    let Some(answer) = exchange.answer.body.whole()? else {
        return Ok(());
    };
    if exchange.answer.status != 200 {
        return Err(format!("it was refused with {}", exchange.answer.status));
    }
    match endpoint.answer {
        "LeafBytes" => world.leaf(&answer).map_err(|error| error.to_string()),
        name => {
            let name = message_name(name).unwrap_or(name);
            world
                .answer(name, path, &answer)
                .map_err(|error| format!("{name}: {error}"))
        }
    }
}

/// Rebuilds the base of each signature of a request (API-4 to API-7).
fn signatures(exchange: &Exchange) -> Result<Vec<RequestSignature>> {
    let request = exchange.request()?;
    let read = |label| {
        let signature = RequestSignature::parse(&request.target(), label)?;
        signature.check_time(signature.params.created)?;
        Ok(signature)
    };
    let read = labels(exchange).into_iter().map(read);
    read.collect::<std::result::Result<_, Error>>()
        .map_err(|error| error.to_string())
}

/// The signatures that a request says it has.
pub(crate) fn labels(exchange: &Exchange) -> Vec<SignatureLabel> {
    let input = exchange.fields.get(SIGNATURE_INPUT.as_str());
    let input = input.map_or("", String::as_str);
    let both = [SignatureLabel::Id, SignatureLabel::Pop];
    let names: BTreeSet<_> = input
        .split(", ")
        .filter_map(|one| one.split_once('='))
        .map(|(name, _)| name)
        .collect();
    both.into_iter()
        .filter(|label| names.contains(label.as_str()))
        .collect()
}

/// What the signature covers stands for the body: its digest (API-3), or the hashes of its leaves (API-2).
fn covers_body(exchange: &Exchange, body: Option<&Bytes>, world: &mut World) -> Result<()> {
    let request = exchange.request()?;
    let digest = request.headers.get(CONTENT_DIGEST);
    match (exchange.method.as_str(), body) {
        ("POST", Some(body)) if digest.is_none_or(|digest| digest != &content_digest(body)[..]) => {
            Err("the digest is not the body's".to_owned())
        }
        ("PUT", _) => {
            let hashes = read_bytes_field(&request.headers, &LEAVES).map_err(|error| error.to_string())?;
            if hashes.len() != 32 * exchange.body.bytes.div_ceil(1 << 20) {
                return Err("not as many hashes as leaves".to_owned());
            }
            let (path, query) = exchange.path.split_once('?').unwrap_or((&exchange.path, ""));
            let first = query.strip_prefix("first=").and_then(|first| first.parse().ok());
            let first = first.ok_or("it does not say which leaf is the first")?;
            world.sent(path.trim_end_matches("/leaves"), first, &hashes);
            Ok(())
        }
        ("GET", Some(body)) if !body.is_empty() => Err("a GET has a body".to_owned()),
        _ if request.headers.contains_key(SIGNATURE_INPUT) && !request.headers.contains_key(OPERATOR) => {
            Err("the operator is not named".to_owned())
        }
        _ => Ok(()),
    }
}

/// The name of a message of the endpoints' table; none for what is no message.
pub(crate) fn message_name(in_table: &'static str) -> Option<&'static str> {
    in_table
        .strip_prefix("pb::")
        .or_else(|| in_table.strip_prefix("pb :: "))
}

/// What a body says, without what no trace shows (LKG-3).
pub(crate) fn meaning(name: &str, path: &str, bytes: Bytes) -> Option<Value> {
    let path = path.split('?').next().unwrap_or_default();
    let statement = match name {
        "Receipt" if path.ends_with("/close") => Some("ReleaseReceiptBody"),
        "Receipt" => Some("UploadReceiptBody"),
        "LoggedStatement" if path.ends_with("/heads") => Some("VaultHeadBody"),
        _ => None,
    };
    view(name, bytes, statement)
}
