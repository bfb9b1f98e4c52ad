//! JSON Schemas (2020-12) of the messages, as [`super`] writes them, from the same descriptors: what stands in the
//! `.proto` files beside a message or field is its description. See `spec/api.md`.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, prost_types};
use serde_json::{Map, Value, json};

use super::{PACKAGE, POOL, descriptors, view::said_by};

/// Where an OpenAPI document has its schemas.
const PLACE: &str = "#/components/schemas/";

/// The schema of every message and enumeration, by name.
pub fn all() -> Map<String, Value> {
    let messages = descriptors().map(|message| (message.name().to_owned(), of_message(&message)));
    let choices = choices().map(|choice| (choice.name().to_owned(), of_enum(&choice)));
    messages.chain(choices).collect()
}

fn choices() -> impl Iterator<Item = EnumDescriptor> {
    POOL.all_enums().filter(|choice| choice.package_name() == PACKAGE)
}

/// Refers to the schema of a message or enumeration.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{PLACE}{name}") })
}

fn of_message(message: &MessageDescriptor) -> Value {
    let properties: Map<String, Value> = message
        .fields()
        .map(|field| (field.json_name().to_owned(), of_field(&field)))
        .collect();
    let choices: Vec<Value> = message.oneofs().map(|choice| at_most_one(&choice)).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    schema.insert("additionalProperties".into(), false.into());
    if !choices.is_empty() {
        schema.insert("allOf".into(), choices.into());
    }
    describe(schema, message.parent_file_descriptor_proto(), message.path())
}

fn of_enum(choice: &EnumDescriptor) -> Value {
    let names: Vec<Value> = choice.values().map(|value| value.name().into()).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), names.into());
    describe(schema, choice.parent_file_descriptor_proto(), choice.path())
}

/// Of the fields of a `oneof` at most one is there.
fn at_most_one(choice: &OneofDescriptor) -> Value {
    let each: Vec<Value> = choice
        .fields()
        .map(|field| json!({ "required": [field.json_name()] }))
        .collect();
    let none = json!({ "not": { "anyOf": each } });
    json!({ "oneOf": each.into_iter().chain([none]).collect::<Vec<_>>() })
}

fn of_field(field: &FieldDescriptor) -> Value {
    let mut schema = match field.kind() {
        Kind::Message(entry) if field.is_map() => map_of(&entry),
        _ if field.is_list() => Map::from_iter([
            ("type".to_owned(), "array".into()),
            ("items".to_owned(), of_kind(&field.kind()).into()),
        ]),
        kind => of_kind(&kind),
    };
    // The one thing that a type does not say: of what the bytes in a statement are the encoding.
    if let Some(body) = said_by(field).filter(|_| field.kind().as_message().is_some()) {
        schema.insert("x-medvault-body".into(), body.into());
    }
    let message = field.parent_message();
    describe(schema, message.parent_file_descriptor_proto(), field.path())
}

/// Keys of any kind are texts in JSON.
fn map_of(entry: &MessageDescriptor) -> Map<String, Value> {
    let value = of_kind(&entry.map_entry_value_field().kind());
    Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("additionalProperties".to_owned(), value.into()),
    ])
}

/// One value, by the table of <https://protobuf.dev/programming-guides/json/>.
fn of_kind(kind: &Kind) -> Map<String, Value> {
    let schema = match kind {
        Kind::Message(message) => reference(message.name()),
        Kind::Enum(choice) => reference(choice.name()),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64", "pattern": BASE64 }),
        Kind::String => json!({ "type": "string" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "pattern": "^[0-9]{1,20}$" }),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            json!({ "type": "string", "pattern": "^-?[0-9]{1,19}$" })
        }
        Kind::Float | Kind::Double => json!({ "type": "number" }),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// Adds what the source says at this place, before or behind the definition.
fn describe(mut schema: Map<String, Value>, file: &prost_types::FileDescriptorProto, path: &[i32]) -> Value {
    let places = file.source_code_info.iter().flat_map(|info| &info.location);
    let comments: Vec<&str> = places
        .filter(|place| place.path == path)
        .flat_map(|place| [&place.leading_comments, &place.trailing_comments])
        .flatten()
        .map(|comment| comment.trim())
        .collect();
    if !comments.is_empty() {
        schema.insert("description".into(), comments.join("\n").into());
    }
    schema.into()
}

/// As it is written here; what is read may also lack padding.
const BASE64: &str = "^[A-Za-z0-9+/]*={0,2}$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_schema_of_its_json() {
        let all = all();
        let wrap = &all["Wrap"];
        assert_eq!(wrap["type"], "object");
        assert_eq!(wrap["additionalProperties"], false);
        assert_eq!(wrap["properties"]["number"]["type"], "string");
        assert_eq!(wrap["properties"]["number"]["description"], "of the placement");
        assert_eq!(wrap["properties"]["versionId"]["contentEncoding"], "base64");
        let wraps = &all["WrapPage"]["properties"]["wraps"];
        assert_eq!(wraps["items"], reference("Wrap"));
        let state = &all["StoredRequest"]["properties"]["state"];
        assert_eq!(state["$ref"], "#/components/schemas/RequestState");
        assert_eq!(all["RequestState"]["enum"][1], "REQUEST_STATE_OPEN");
        let denial = &all["SubmitDenial"]["properties"]["denial"];
        assert_eq!(denial["x-medvault-body"], "DenialBody");
        let request = &all["StoredRequest"]["allOf"][0]["oneOf"];
        assert_eq!(request[0]["required"][0], "upload");
        assert_eq!(request.as_array().map(Vec::len), Some(4), "one of three, or none");
    }

    #[test]
    fn no_two_have_one_name() {
        let names = descriptors().count() + choices().count();
        assert_eq!(all().len(), names);
    }
}
