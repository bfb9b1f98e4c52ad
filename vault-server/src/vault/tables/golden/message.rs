//! A message of the protocol in which every field is set. It is made from the schema that the `.proto` files give, so that a field
//! which is added there is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use data_encoding::BASE64;
use prost::{Message, Name};
use protocol_spec::{json, messages as pb};
use serde_json::{Map, Value};

use super::sample::{Sample, Source};

static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(json::schema::all);

macro_rules! messages {
    ($($name:ident)*) => {
        $(impl Sample for pb::$name {
            fn sample(source: &mut Source) -> Self {
                message(source)
            }
        })*
        /// The messages that stand in rows.
        const IN_ROWS: &[&str] = &[$(<pb::$name as Name>::NAME),*];
    };
}

messages! {
    CollectionEpochs DeviceChain DirectoryEntry EmergencyHelp Event GivenEpoch HistoryEntry LeafRange LinkOffer LoggedStatement
    NewDevice PassedOver PatientStatement Permission Receipt RevocationAnswer Sealed SignedSegment Statement StoredRecord
    StoredRequest Terminal
}

fn message<M: Message + Name + Default>(source: &mut Source) -> M {
    let text = object(M::NAME, source).to_string();
    json::decode(text.as_bytes()).unwrap()
}

fn object(name: &str, source: &mut Source) -> Value {
    let schema = &SCHEMAS[name];
    if let Some(words) = schema["enum"].as_array() {
        return words[1 + usize::from(source.next()) % (words.len() - 1)].clone();
    }
    let left_out = left_out(schema, source.choice);
    let within = source.within.clone();
    source.within.push(name.to_owned());
    let fields = schema["properties"].as_object().unwrap().iter();
    // A message in itself is there once.
    let fields = fields.filter(|(field, schema)| {
        let again = message_in(schema).is_some_and(|message| within.iter().any(|open| open == message));
        !left_out.contains(field.as_str()) && !again
    });
    let object: Map<_, _> = fields
        .map(|(field, schema)| (field.clone(), value(schema, source)))
        .collect();
    source.within = within;
    object.into()
}

/// The message or enumeration that a field holds.
fn message_in(schema: &Value) -> Option<&str> {
    let place = schema["$ref"].as_str().or(schema["items"]["$ref"].as_str());
    place.and_then(|place| place.rsplit('/').next())
}

fn value(schema: &Value, source: &mut Source) -> Value {
    if let (Some(message), true) = (message_in(schema), schema["items"].is_null()) {
        return object(message, source);
    }
    match schema["type"].as_str().unwrap() {
        "array" => vec![value(&schema["items"], source)].into(),
        "boolean" => true.into(),
        "integer" => source.next().into(),
        "string" if schema["contentEncoding"] == "base64" => BASE64.encode(&[source.next()]).into(),
        "string" if schema["pattern"].is_string() => source.next().to_string().into(),
        "string" => source.text().into(),
        other => panic!("{other}"),
    }
}

/// Of the fields of a `oneof`, all but this one.
fn left_out(schema: &Value, choice: usize) -> BTreeSet<&str> {
    let groups = schema["allOf"].as_array().into_iter().flatten();
    groups
        .flat_map(|group| {
            let choices = choices(group);
            let taken = choices.get(choice % choices.len()).copied();
            choices.into_iter().filter(move |field| Some(*field) != taken)
        })
        .collect()
}

fn choices(group: &Value) -> Vec<&str> {
    let each = group["oneOf"].as_array().unwrap().iter();
    each.filter_map(|each| each["required"][0].as_str()).collect()
}

/// The numbers of the fields of all messages in rows, and of those in them.
pub(super) fn message_tags() -> Vec<String> {
    let mut waiting: Vec<&str> = IN_ROWS.to_vec();
    let mut found = BTreeMap::new();
    let numbers: BTreeMap<String, String> = json::descriptors()
        .map(|message| {
            let fields = message
                .fields()
                .map(|field| format!("{}={}", field.name(), field.number()));
            (message.name().to_owned(), fields.collect::<Vec<_>>().join(" "))
        })
        .collect();
    while let Some(name) = waiting.pop() {
        let Some(line) = numbers.get(name) else { continue };
        if found.insert(name, format!("tag {name}: {line}")).is_none() {
            let fields = SCHEMAS[name]["properties"].as_object().unwrap().values();
            waiting.extend(fields.filter_map(message_in));
        }
    }
    found.into_values().collect()
}

/// The most choices that a message, or one in it, has.
pub(super) fn most_choices() -> usize {
    let groups = SCHEMAS
        .values()
        .filter_map(|schema| schema["allOf"].as_array())
        .flatten();
    groups.map(|group| choices(group).len()).max().unwrap_or(1)
}
