//! Messages for people who look at what travels: bytes that are a statement's body are shown as what they mean, long ones by
//! length and hash, and secrets not at all (LKG-3).

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, Value as Field};
use serde_json::{Map, Value, json};

use super::POOL;
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

/// The type of the statement in a field, where the message or the field's name alone says it.
pub(super) fn body_of(field: &FieldDescriptor) -> Option<&'static str> {
    let holds = field.kind();
    if !holds
        .as_message()
        .is_some_and(|holds| WRAPPERS.contains(&holds.name()))
    {
        return None;
    }
    let message = field.parent_message();
    let place = |(place, _): &&(&str, &str)| match place.split_once('.') {
        Some((owner, name)) => owner == message.name() && name == field.name(),
        None => *place == field.name(),
    };
    BODIES.iter().find(place).map(|(_, body)| *body)
}

fn descriptor(name: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&format!("medvault.v1.{name}"))
}

fn of_message(message: &DynamicMessage, body: Option<&str>) -> Value {
    let shown = message.fields().map(|(field, value)| {
        let shown = if is_secret(&field) && !Defence::TraceRedaction.is_off() {
            hidden(value)
        } else if field.name() == "body" {
            let own = (field.parent_message().name() == "Permission").then_some("PermissionBody");
            of_body(value, own.or(body))
        } else {
            // What only wraps a statement has the type from outside.
            of_value(value, &field, body_of(&field).or(body))
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

fn is_secret(field: &FieldDescriptor) -> bool {
    let message = field.parent_message();
    SECRETS.contains(&(message.name(), field.name()))
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

/// What a statement stands in.
const WRAPPERS: [&str; 4] = ["Statement", "PatientStatement", "LoggedStatement", "Receipt"];

/// Keys, hashes, ids and signatures are shown as they are.
const SHORT: usize = 64;
/// Nothing longer is shown.
const LONG: usize = 4096;

/// Fields that no trace shows. Whatever else is secret is sealed before it stands in a message.
const SECRETS: &[(&str, &str)] = &[
    ("EnrolInstitution", "secret"),
    ("RotateInstitution", "secret"),
    // Halves of keys for emergencies.
    ("PutEmergency", "share"),
    ("EmergencyOpened", "share"),
    // By which the log's leaves are recognised.
    ("LogSalt", "salt"),
    ("LogProof", "salt"),
];

/// What a statement in a field of this name says; of this message, where names say too little.
const BODIES: &[(&str, &str)] = &[
    ("CertificateFile.certificate", "RevocationCertificateBody"),
    ("PutDelegatedKeys.keys", "DelegatedKeyBody"),
    ("DelegatedKeyPage.keys", "DelegatedKeyBody"),
    ("SubmitPermission.head", "VaultHeadBody"),
    ("PermissionAnswer.head", "VaultHeadBody"),
    ("SubmitVaultHead.head", "VaultHeadBody"),
    ("VaultActs.head", "VaultHeadBody"),
    ("SubmitUploadRequest.request", "UploadRequestBody"),
    ("SubmitDownloadRequest.request", "DownloadRequestBody"),
    ("SubmitReferenceRequest.request", "ReferenceRequestBody"),
    ("UploadPermitted.request", "UploadRequestBody"),
    ("RevocationAnswer.receipt", "RevocationReceiptBody"),
    ("PastRelease.receipt", "ReleaseReceiptBody"),
    ("CertifiedRelease.receipt", "ReleaseReceiptBody"),
    ("PastRelease.ticket", "ReleaseTicketBody"),
    ("Release.ticket", "ReleaseTicketBody"),
    ("accreditation", "AccreditationBody"),
    ("by_operator", "RestorationBody"),
    ("by_registrar", "RestorationBody"),
    ("certificate", "TerminalCertificateBody"),
    ("certificates", "DeviceCertificateBody"),
    ("closed", "EpochClosureBody"),
    ("closure", "EpochClosureBody"),
    ("closures", "EpochClosureBody"),
    ("delegated", "DelegationBody"),
    ("delegation", "DelegationBody"),
    ("delegation_ended", "DelegationEndBody"),
    ("denial", "DenialBody"),
    ("deleted", "RecordDeletionBody"),
    ("deletion", "RecordDeletionBody"),
    ("deletions", "RecordDeletionBody"),
    ("denied", "DenialBody"),
    ("device_lists", "DeviceListBody"),
    ("devices_changed", "DeviceListBody"),
    ("division", "RecoverySharesBody"),
    ("download", "DownloadRequestBody"),
    ("download_requested", "DownloadRequestBody"),
    ("emergency_objected", "EmergencyObjectionBody"),
    ("end", "DelegationEndBody"),
    ("head", "IndexSegmentBody"),
    ("help", "EmergencyHelpBody"),
    ("invitation", "InvitationBody"),
    ("keys", "InstitutionKeysBody"),
    ("list", "DeviceListBody"),
    ("lists", "DeviceListBody"),
    ("manifest", "RecordManifestBody"),
    ("objection", "EmergencyObjectionBody"),
    ("opening", "EmergencyOpeningBody"),
    ("placement", "PlacementBody"),
    ("program", "ProgramBody"),
    ("receipt", "UploadReceiptBody"),
    ("receipts", "UploadReceiptBody"),
    ("record_deleted", "RecordDeletionBody"),
    ("reference", "ReferenceRequestBody"),
    ("reference_requested", "ReferenceRequestBody"),
    ("release_ticket", "ReleaseTicketBody"),
    ("released", "ReleaseReceiptBody"),
    ("removal", "TerminalRemovalBody"),
    ("reseal", "ResealBody"),
    ("reseals", "UploadReceiptBody"),
    ("retirement", "RetirementBody"),
    ("revocation", "RevocationBody"),
    ("revocation_receipt", "RevocationReceiptBody"),
    ("revoked", "RevocationBody"),
    ("standby_ticket", "StandbyTicketBody"),
    ("stored", "UploadReceiptBody"),
    ("take_back", "TakeBackBody"),
    ("taken_back", "TakeBackBody"),
    ("terminal", "TerminalCertificateBody"),
    ("ticket", "StandbyTicketBody"),
    ("upload", "UploadRequestBody"),
    ("upload_requested", "UploadRequestBody"),
    ("vault_key", "VaultKeyBody"),
    ("withdrawal", "WithdrawalBody"),
];

#[cfg(test)]
mod tests;
