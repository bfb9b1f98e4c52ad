//! The document that the server publishes of itself: it names the endpoints of the specification and no others, holds
//! together, and says the truth about what the server answers (API-13).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::{Context, Result, ensure};
use protocol_spec::{messages as pb, problem::Problem};
use serde_json::{Map, Value, json};
use tests::raw::{Answer, Call, RawPatient, RawWorld, Wire};

async fn document(wire: &Wire) -> Result<Value> {
    let answer = wire.ask("/v1/openapi.json").await?;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(answer.headers["cache-control"].to_str()?.starts_with("public"));
    Ok(serde_json::from_slice(&answer.body)?)
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().with_context(|| format!("no object: {value}"))
}

/// All operations, by method and path.
fn operations(document: &Value) -> Result<BTreeMap<(String, String), &Value>> {
    let mut found = BTreeMap::new();
    for (path, item) in object(&document["paths"])? {
        for (method, operation) in object(item)? {
            found.insert((method.to_uppercase(), path.clone()), operation);
        }
    }
    Ok(found)
}

/// What a table has of an endpoint: names of query parameters, caller, body and answer.
type Row = (BTreeSet<String>, String, String, String);

fn described(operation: &Value) -> Result<Row> {
    let query = operation["parameters"].as_array().context("parameters")?.iter();
    let query = query.filter(|parameter| parameter["in"] == "query");
    let names = query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned));
    let content = |holder: &Value| {
        let first = object(&holder["content"])?
            .iter()
            .next_back()
            .context("no content")?;
        let message = first.1["x-medvault-message"].as_str();
        anyhow::Ok(
            message
                .unwrap_or(first.0)
                .split(';')
                .next()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let body = match &operation["requestBody"] {
        Value::Null => String::new(),
        body => content(body)?,
    };
    let caller = operation["x-medvault-caller"].as_str().context("no caller")?;
    let answer = content(&operation["responses"]["200"])?;
    // An empty body is a message, too.
    Ok((
        names.collect(),
        caller.to_owned(),
        body.replace("Accepted", ""),
        answer,
    ))
}

/// A row of the specification.
fn specified(row: &str) -> Result<((String, String), Row)> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [call, caller, carried] = cells[..] else {
        anyhow::bail!("{row}")
    };
    let (method, target) = call.trim_matches('`').split_once(' ').context("no method")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // Tiles have names of several parts.
    let path = match path.starts_with("/v1/log/tile/") {
        true => "/v1/log/tile/{name}",
        false => path,
    };
    let names = query.split('&').filter_map(|name| name.strip_suffix('='));
    let (body, answer) = match carried.split_once('→') {
        Some((body, answer)) => (kind(body)?, kind(answer)?),
        None => (String::new(), kind(carried)?),
    };
    let names = names.map(str::to_owned).collect();
    Ok(((method.into(), path.into()), (names, caller.into(), body, answer)))
}

/// What is named between back quotes, a message or a media type, or one of the words for streams.
fn kind(cell: &str) -> Result<String> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(String::new());
    }
    if cell == "leaves" {
        return Ok("application/octet-stream".into());
    }
    if cell.starts_with("server-sent events") {
        return Ok("text/event-stream".into());
    }
    let named = cell
        .split('`')
        .nth(1)
        .with_context(|| format!("nothing is named: {cell}"))?;
    Ok(named.to_owned())
}

#[tokio::test]
async fn its_endpoints_are_those_of_the_specification() -> Result<()> {
    let world = RawWorld::start().await?;
    let document = document(&world.wire).await?;
    let page = include_str!("../../../protocol-spec/spec/api.md");
    let (_, table) = page.split_once("| method, path | caller |").context("no table")?;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let specified: BTreeMap<_, _> = rows.map(specified).collect::<Result<_>>()?;
    let mut written = BTreeMap::new();
    for (call, operation) in operations(&document)? {
        written.insert(call, described(operation)?);
    }
    assert!(written.len() > 60);
    assert_eq!(written, specified);
    Ok(())
}

/// Every value of a document with its place.
fn visit(value: &Value, seen: &mut dyn FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            seen(object);
            object.values().for_each(|value| visit(value, seen));
        }
        Value::Array(values) => values.iter().for_each(|value| visit(value, seen)),
        _ => {}
    }
}

#[tokio::test]
async fn it_holds_together() -> Result<()> {
    let world = RawWorld::start().await?;
    let document = document(&world.wire).await?;
    assert_eq!(document["openapi"], "3.1.1");
    let mut dangling = Vec::new();
    visit(&document, &mut |object| {
        if let Some(Value::String(place)) = object.get("$ref") {
            let there = place.strip_prefix('#').and_then(|place| document.pointer(place));
            if there.is_none() {
                dangling.push(place.clone());
            }
        }
    });
    assert!(dangling.is_empty(), "{dangling:?}");

    let mut names = HashSet::new();
    for ((method, path), operation) in operations(&document)? {
        assert!(
            names.insert(operation["operationId"].as_str().context("no id")?),
            "{path}"
        );
        let parameters = operation["parameters"].as_array().context("no parameters")?;
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let declared: Vec<_> = in_path
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let named: Vec<_> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(declared, named, "{method} {path}");
        let signed = !operation["security"].is_null();
        assert_eq!(
            signed,
            operation["x-medvault-caller"] != "anybody",
            "{method} {path}"
        );
        for code in operation["x-medvault-problems"]
            .as_array()
            .context("no problems")?
        {
            let problem = Problem::ALL
                .iter()
                .find(|problem| code == problem.code())
                .context("unknown")?;
            assert!(
                operation["responses"][problem.status().to_string()].is_object(),
                "{path}: {code}"
            );
        }
    }
    Ok(())
}

/// A schema of the document, as a schema of its own.
fn validator(document: &Value, schema: Value) -> Result<jsonschema::Validator> {
    let mut whole = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema] });
    whole["components"] = document["components"].clone();
    Ok(jsonschema::validator_for(&whole)?)
}

/// What the document says of an answer of this endpoint.
fn said(document: &Value, call: (&str, &str), answer: &Answer) -> Result<jsonschema::Validator> {
    let operations = operations(document)?;
    let operation = operations
        .get(&(call.0.into(), call.1.into()))
        .context("no such endpoint")?;
    let mut response = &operation["responses"][answer.status.as_str()];
    if let Some(place) = response["$ref"].as_str() {
        response = document
            .pointer(place.trim_start_matches('#'))
            .context("dangling")?;
    }
    let media_type = answer.headers["content-type"].to_str()?;
    let schema = response["content"][media_type]["schema"].clone();
    ensure!(
        schema.is_object(),
        "{call:?}: {media_type} is not described: {response}"
    );
    validator(document, schema)
}

#[tokio::test]
async fn what_the_server_answers_is_what_it_says() -> Result<()> {
    let world = RawWorld::start().await?;
    let wire = &world.wire;
    let document = document(wire).await?;
    let patient = RawPatient::enrol(wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let record = hospital.upload(wire, &patient, 5_000).await?;
    let request = hospital.ask(wire, &patient).await?;
    let (id, permission) = patient.permit(wire, &hospital.entry, request, vec![record], |_| ())?;
    patient.grant(wire, permission).await?;
    hospital.present(wire, id).await?;

    let of_patient = [
        ("/v1/server", String::new()),
        ("/v1/directory/events", String::new()),
        ("/v1/vault/acts", String::new()),
        ("/v1/log/salt", String::new()),
        ("/v1/patients/{patient}", patient.key().id.to_owned()),
        ("/v1/vault/records", String::new()),
        ("/v1/vault/arrivals", String::new()),
        ("/v1/vault/index", String::new()),
        ("/v1/vault/collections", String::new()),
        ("/v1/vault/devices", String::new()),
        ("/v1/vault/emergency", String::new()),
        ("/v1/vault/permissions", String::new()),
        ("/v1/vault/permissions/{permission}/releases", id.to_string()),
        ("/v1/vault/history", String::new()),
        ("/v1/inbox", String::new()),
    ];
    let of_hospital = [
        ("/v1/permissions/{permission}", id.to_string()),
        ("/v1/institutions/terminals", String::new()),
        ("/v1/inbox", String::new()),
    ];
    let asked = of_patient.iter().map(|asked| (patient.key(), asked));
    let asked = asked.chain(of_hospital.iter().map(|asked| (hospital.key(), asked)));
    let (mut answered, mut longest) = (0, 0);
    for (key, (path, id)) in asked {
        let (before, after) = path.split_once('{').unwrap_or((path, "}"));
        let rest = after.split_once('}').map_or("", |(_, rest)| rest);
        let call = Call::get(format!("{before}{id}{rest}")).with("accept", "application/json");
        let answer = wire.call(&call, key).await?;
        let body: Value = serde_json::from_slice(&answer.body)?;
        let said = said(&document, ("GET", path), &answer)?;
        if let Err(error) = said.validate(&body) {
            panic!("{path}: {error}\n{body:#}");
        }
        answered += usize::from(answer.status.is_success());
        longest = longest.max(answer.body.len());
        // The schema says something.
        assert!(
            !said.is_valid(&json!({ "other": 1 })) && !said.is_valid(&json!([])),
            "{path}"
        );
    }
    assert!(
        answered >= 16 && longest > 2_000,
        "{answered} answered, up to {longest} bytes"
    );
    Ok(())
}

#[tokio::test]
async fn what_the_server_refuses_is_what_it_says() -> Result<()> {
    let world = RawWorld::start().await?;
    let wire = &world.wire;
    let document = document(wire).await?;
    let patient = RawPatient::enrol(wire).await?;
    let denial = Call::post("/v1/denials", &pb::SubmitDenial::default())?;
    let answers = [
        ("/v1/inbox", "GET", wire.ask("/v1/inbox").await?),
        (
            "/v1/directory/events",
            "GET",
            wire.ask("/v1/directory/events?page=2").await?,
        ),
        (
            "/v1/log/tile/{name}",
            "GET",
            wire.ask("/v1/log/tile/0/x001/000").await?,
        ),
        ("/v1/denials", "POST", wire.call(&denial, patient.key()).await?),
        (
            "/v1/denials",
            "POST",
            wire.call(&denial.clone().with("content-digest", "x"), patient.key())
                .await?,
        ),
    ];
    for (path, method, answer) in answers {
        let body: Value = serde_json::from_slice(&answer.body)?;
        let said = said(&document, (method, path), &answer)?;
        assert!(said.is_valid(&body), "{path}: {body}");
        let mut other = body.clone();
        other["status"] = 418.into();
        assert!(!said.is_valid(&other));
        let code = answer.problem().context("no problem")?.code();
        let operations = operations(&document)?;
        let operation = operations[&(method.to_owned(), path.to_owned())];
        let codes = operation["x-medvault-problems"]
            .as_array()
            .context("no problems")?;
        assert!(codes.contains(&code.into()), "{path}: {code}");
    }
    Ok(())
}
