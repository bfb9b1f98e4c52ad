//! Messages for people who look at what travels: bytes that are a statement's body are shown as what they mean, long ones by
//! length and hash, and secrets not at all (LKG-3).

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, Value as Field};
use serde_json::{Map, Value, json};

use super::{PACKAGE, POOL};
use crate::{defence::Defence, hash::sha256};

/// What the message of this name means; `body` is the type of its statement, for those that are one themselves. Nothing for
/// what is no such message.
pub fn view(name: &str, bytes: Bytes, body: Option<&str>) -> Option<Value> {
    let message = DynamicMessage::decode(descriptor(name)?, bytes).ok()?;
    Some(of_message(&message, body))
}

/// Whether what is left out of a view stands in these bytes; in bytes that are no such message it might.
pub fn holds_secret(name: &str, bytes: &[u8]) -> bool {
    let message = descriptor(name).and_then(|message| DynamicMessage::decode(message, bytes).ok());
    !Defence::TraceRedaction.is_off() && message.is_none_or(|message| has_secret(&message))
}

fn has_secret(message: &DynamicMessage) -> bool {
    message
        .fields()
        .any(|(field, value)| is_secret(&field) || is_there(value))
}

fn is_there(value: &Field) -> bool {
    match value {
        Field::Message(message) => has_secret(message),
        Field::List(values) => values.iter().any(is_there),
        Field::Map(values) => values.values().any(is_there),
        _ => false,
    }
}

/// Bytes that are no message: how many, and their SHA-256; the bytes as well when they are few.
pub fn octets(bytes: &[u8]) -> Value {
    if bytes.len() <= SHORT {
        return BASE64.encode(bytes).into();
    }
    let mut shown = json!({ "length": bytes.len(), "sha256": HEXLOWER.encode(&sha256(&[bytes])) });
    if let (Some(shown), true) = (shown.as_object_mut(), bytes.len() <= LONG) {
        shown.insert("base64".into(), BASE64.encode(bytes).into());
    }
    shown
}

/// What the statement in a field says, or of which message its bytes are the encoding.
pub(super) fn said_by(field: &FieldDescriptor) -> Option<String> {
    option(field, "says")?.as_str().map(str::to_owned)
}

fn is_secret(field: &FieldDescriptor) -> bool {
    option(field, "hidden").and_then(|hidden| hidden.as_bool()) == Some(true)
}

/// An option of `options.proto`, where the field has it.
fn option(field: &FieldDescriptor, name: &str) -> Option<Field> {
    let extension = POOL.get_extension_by_name(&format!("{PACKAGE}.{name}"))?;
    let options = field.options();
    let set = options.has_extension(&extension);
    set.then(|| options.get_extension(&extension).into_owned())
}

fn descriptor(name: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&format!("{PACKAGE}.{name}"))
}

fn of_message(message: &DynamicMessage, body: Option<&str>) -> Value {
    let shown = message.fields().map(|(field, value)| {
        let shown = if is_secret(&field) && !Defence::TraceRedaction.is_off() {
            hidden(value)
        } else if field.name() == "body" {
            of_body(value, said_by(&field).as_deref().or(body))
        } else {
            // What only wraps a statement has the type from outside.
            of_value(value, &field, said_by(&field).as_deref().or(body))
        };
        (field.json_name().to_owned(), shown)
    });
    shown.collect::<Map<_, _>>().into()
}

fn of_value(value: &Field, field: &FieldDescriptor, body: Option<&str>) -> Value {
    match value {
        Field::Message(message) => of_message(message, body),
        Field::Bytes(bytes) => octets(bytes),
        Field::List(values) => values.iter().map(|value| of_value(value, field, body)).collect(),
        Field::Map(values) => values
            .iter()
            .map(|(key, value)| (text(key), of_value(value, field, body)))
            .collect::<Map<_, _>>()
            .into(),
        Field::EnumNumber(number) => match field.kind().as_enum().and_then(|kind| kind.get_value(*number)) {
            Some(name) => name.name().into(),
            None => (*number).into(),
        },
        Field::Bool(value) => (*value).into(),
        Field::String(value) => value.as_str().into(),
        Field::I32(value) => (*value).into(),
        Field::U32(value) => (*value).into(),
        // As in JSON of messages: not every reader has whole numbers so large.
        Field::I64(value) => value.to_string().into(),
        Field::U64(value) => value.to_string().into(),
        Field::F32(value) => (*value).into(),
        Field::F64(value) => (*value).into(),
    }
}

/// A statement's body: signed as these bytes, shown as what they mean.
fn of_body(value: &Field, name: Option<&str>) -> Value {
    let Field::Bytes(bytes) = value else {
        return Value::Null;
    };
    let meaning = name.and_then(|name| Some((name, view(name, bytes.clone(), None)?)));
    let Some((name, meaning)) = meaning else {
        return octets(bytes);
    };
    json!({
        "type": name,
        "length": bytes.len(),
        "sha256": HEXLOWER.encode(&sha256(&[bytes])),
        "means": meaning,
    })
}

fn hidden(value: &Field) -> Value {
    let length = value.as_bytes().map_or(0, Bytes::len);
    format!("(secret, {length} bytes)").into()
}

fn text(key: &MapKey) -> String {
    match key {
        MapKey::String(key) => key.clone(),
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
    }
}

/// Keys, hashes, ids and signatures are shown as they are.
const SHORT: usize = 64;
/// Fields of more bytes than this are shown by their length alone.
const LONG: usize = 4096;

#[cfg(test)]
mod tests;
