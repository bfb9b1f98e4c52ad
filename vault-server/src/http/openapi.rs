//! The API as an OpenAPI 3.1 document, made from what the routes are made from, the descriptors of the messages and the
//! registry of problems (API-13). Nothing of it is written down a second time.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;
use protocol_spec::{api::QueryParameter, json::schema, problem::Problem, request};
use serde_json::{Map, Value, json};

use super::{
    api::{ContentForm, Endpoint, Signatures},
    sse::LAST_EVENT,
};

/// The document, as it is served.
pub(super) fn document(endpoints: &[Endpoint]) -> String {
    of(endpoints).to_string()
}

/// Whether an endpoint is said to refuse so; what is no endpoint has nothing said of it.
pub(super) fn names(endpoints: &[Endpoint], method: &str, path: &str, problem: Problem) -> bool {
    endpoints
        .iter()
        .filter(|endpoint| endpoint.row.method == method && endpoint.row.path == path)
        .all(|endpoint| endpoint.names(problem))
}

fn of(endpoints: &[Endpoint]) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for endpoint in endpoints {
        // A rest of several parts is one parameter here.
        let path = paths.entry(endpoint.row.path.replace("{*", "{")).or_default();
        path.insert(
            endpoint.row.method.as_str().to_ascii_lowercase(),
            operation(endpoint),
        );
    }
    let mut schemas = schema::all();
    schemas.insert("Problem".into(), problem_schema());
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Medvault",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": fields(),
            "responses": refusals(),
            "securitySchemes": { SIGNATURES: {
                "type": "apiKey",
                "in": "header",
                "name": request::SIGNATURE.as_str(),
                "description": SIGNING,
            } },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let problems: Vec<Problem> = endpoint.problems().collect();
    let statuses: BTreeSet<u16> = problems.iter().map(|problem| problem.status()).collect();
    let mut responses = Map::new();
    responses.insert("200".into(), answer(endpoint.answer));
    for status in statuses.into_iter().chain([HEADERS_TOO_LARGE]) {
        let response = json!({ "$ref": format!("#/components/responses/{status}") });
        responses.insert(status.to_string(), response);
    }
    let mut operation = json!({
        "operationId": endpoint.row.name.to_ascii_lowercase(),
        "tags": [endpoint.row.path.split(['/', '.']).nth(2)],
        "description": format!("Caller: {}.", endpoint.row.by.words()),
        "parameters": parameters(endpoint),
        "responses": responses,
        "x-medvault-caller": endpoint.row.by.words(),
        "x-medvault-problems": problems.iter().map(|problem| problem.code()).collect::<Vec<_>>(),
    });
    if let Some(body) = endpoint.body {
        operation["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    if endpoint.signatures != Signatures::None {
        operation["security"] = json!([{ SIGNATURES: [] }]);
        operation["x-medvault-signatures"] = match endpoint.signatures {
            Signatures::IdAndPop => json!(["id", "pop"]),
            _ => json!(["id"]),
        };
    }
    operation
}

fn answer(answered: ContentForm) -> Value {
    let what = match answered {
        ContentForm::Message { name, .. } => name,
        ContentForm::Raw(media_type) => media_type,
    };
    json!({ "description": what, "content": content(answered) })
}

fn content(content: ContentForm) -> Value {
    let (name, json) = match content {
        ContentForm::Raw(media_type) => return json!({ media_type: {} }),
        ContentForm::Message { name, json } => (name, json),
    };
    let mut forms = json!({ "application/protobuf": { "x-medvault-message": name } });
    if json {
        forms["application/json"] = json!({ "schema": schema::reference(name) });
    }
    forms
}

/// In the path, in the query, and in the header section.
fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let path = endpoint
        .row
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let path = path.zip(&endpoint.ids).map(|(name, schema)| {
        let name = name.trim_start_matches('*');
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let query = endpoint.query.iter().map(|parameter| {
        let QueryParameter {
            name,
            required,
            schema,
        } = parameter;
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    });
    let signed: &[HeaderName] = match endpoint.signatures {
        Signatures::None => &[],
        _ => &[request::SIGNATURE_INPUT, request::OPERATOR],
    };
    let fields = signed.iter().chain(&endpoint.fields);
    let fields = fields.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
    path.chain(query).chain(fields).collect()
}

/// Header fields of requests, by name.
fn fields() -> Value {
    let field = |(name, required, pattern, description): &(HeaderName, bool, &str, &str)| {
        let parameter = json!({
            "name": name.as_str(),
            "in": "header",
            "required": required,
            "description": description,
            "schema": { "type": "string", "pattern": pattern },
        });
        (name.to_string(), parameter)
    };
    FIELDS.iter().map(field).collect::<Map<_, _>>().into()
}

const FIELDS: [(HeaderName, bool, &str, &str); 8] = [
    (
        request::SIGNATURE_INPUT,
        true,
        "^id=\\(.+",
        "RFC 9421 §4.1, by the profile of api.md §3 (API-4 to API-6)",
    ),
    (
        request::OPERATOR,
        true,
        "^op_[a-z2-7]{52}$",
        "The operator that the request is meant for (API-1)",
    ),
    (
        request::CONTENT_DIGEST,
        true,
        "^sha-256=:[A-Za-z0-9+/]{43}=:$",
        "RFC 9530, of the body (API-3)",
    ),
    (
        request::IDEMPOTENCY_KEY,
        true,
        "^[!-~]{1,64}$",
        "Names one intended effect (API-10)",
    ),
    (
        request::CHALLENGE,
        true,
        "^:[A-Za-z0-9+/]{43}=:$",
        "Of the `Delivery` (PRM-11)",
    ),
    (
        request::LEAVES,
        true,
        "^:[A-Za-z0-9+/]+={0,2}:$",
        "The 32-byte hashes of the leaves in the body, one behind the other (API-2)",
    ),
    (
        request::DELEGATION,
        false,
        "^del_[a-z2-7]{26}$",
        "By which the caller acts for another patient (DLG-5)",
    ),
    (LAST_EVENT, false, "^[0-9]+$", "Where to go on"),
];

/// Refusals by status. The header section is bounded below what makes problems: such a refusal has no body.
fn refusals() -> Value {
    let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::new();
    for problem in Problem::ALL.iter().copied() {
        by_status.entry(problem.status()).or_default().push(problem);
    }
    let response = |(status, problems): (u16, Vec<Problem>)| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("`{}`: {}", problem.code(), problem.title()))
            .collect();
        let mut response = json!({ "description": lines.join("; ") });
        if status != HEADERS_TOO_LARGE {
            let types: Vec<String> = problems.into_iter().map(uri).collect();
            let one = json!({ "properties": { "status": { "const": status }, "type": { "enum": types } } });
            let schema = json!({ "allOf": [schema::reference("Problem"), one] });
            response["content"] = json!({ "application/problem+json": { "schema": schema } });
        }
        (status.to_string(), response)
    };
    by_status.into_iter().map(response).collect::<Map<_, _>>().into()
}

fn uri(problem: Problem) -> String {
    format!("{}{}", Problem::TYPE_PREFIX, problem.code())
}

/// RFC 9457, as far as it is used (API-9).
fn problem_schema() -> Value {
    let types: Vec<String> = Problem::ALL.iter().copied().map(uri).collect();
    json!({
        "type": "object",
        "description": "A refusal (RFC 9457). It holds nothing of the request.",
        "properties": {
            "type": { "type": "string", "enum": types },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "now": {
                "type": "integer",
                "description": "the server's clock, in milliseconds: of `signature-expired` alone (API-7)",
            },
        },
        "required": ["type", "title", "status"],
        "additionalProperties": false,
    })
}

const HEADERS_TOO_LARGE: u16 = Problem::HeadersTooLarge.status();

/// Name of the security scheme.
const SIGNATURES: &str = "signatures";

const ABOUT: &str = "\
The server keeps patients' medical information and cannot read it. This document is made from the server's own routes, its message \
definitions and its registry of refusals; what they mean is in the specification, protocol-spec/spec.

Messages are `application/protobuf`; to whoever asks with `accept: application/json` they are the JSON that Protocol Buffers define for \
them, and bodies of up to 64 KiB may be that, too. What is signed stays bytes: a `body` in base64 is the encoding of another message of \
this document, such as `PermissionBody`.

Of callers, *P* is a patient and *I* an institution. Any path and method that is not here is refused with `not-found` or `method-not-allowed`.";

const SIGNING: &str = "\
HTTP message signatures (RFC 9421) by the profile of api.md §3. Label `id` is the caller's key: a patient's device, or an institution or \
one of its terminals. A presentation has also label `pop`, by the possession key of the permission. Covered are `@method`, `@authority`, \
`@path`, `@query`, and of the fields medvault-operator, content-digest, idempotency-key, medvault-challenge, medvault-leaves and \
medvault-delegation those that the request has, in this order; parameters are created, expires, nonce, alg=\"ed25519\", keyid and \
tag=\"medvault/v1\". A signature is taken once, within its two minutes.";

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    /// API-13
    #[test]
    fn a_refusal_is_described_where_it_may_happen_and_nowhere_else() {
        let (_, endpoints) = routes::api().into_parts();
        assert!(names(&endpoints, "GET", "/v1/inbox", Problem::Unauthenticated));
        assert!(!names(&endpoints, "GET", "/v1/inbox", Problem::LeavesMissing));
        assert!(names(
            &endpoints,
            "POST",
            "/v1/uploads/{upload}/commit",
            Problem::LeavesMissing
        ));
        // No endpoint, and so nothing is said of it.
        assert!(names(&endpoints, "POST", "/v1/inbox", Problem::MethodNotAllowed));
    }

    /// Each problem is one of some endpoint, or of none because it comes before one is found.
    #[test]
    fn every_problem_is_somewhere() {
        let (_, endpoints) = routes::api().into_parts();
        let nowhere: Vec<_> = Problem::ALL
            .iter()
            .filter(|problem| !endpoints.iter().any(|endpoint| endpoint.names(**problem)))
            .collect();
        assert_eq!(nowhere, [&Problem::MethodNotAllowed, &Problem::HeadersTooLarge]);
    }
}
