//! How what the library answers stands in JSON: moments as RFC 3339 in UTC, durations as seconds, the rest as its text form.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use protocol_spec::{
    attributes::MediaType,
    bodies::{ReleaseReceipt, UploadReceipt},
    conditions::Conditions,
    day::Day,
    hash::{ContentRoot, Sha256Digest},
    ids::{DeviceId, OperatorId, PermissionId, RecordId},
    log::Receipt,
    manifest::{Clinical, Part, PartName},
};
use serde::{Serialize, Serializer};

use crate::{
    Error,
    patient::{DelegateRef, InstitutionRef, PermissionInfo},
};

/// A moment for programs, of milliseconds since 1970: RFC 3339 in UTC with milliseconds.
pub fn timestamp(ms: u64) -> String {
    humantime::format_rfc3339_millis(system_time(ms)).to_string()
}

/// A moment of milliseconds since 1970. Times come from other people's clocks; RFC 3339 ends with
/// the year 9999, and humantime fails beyond it.
pub fn system_time(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.min(253_402_300_799_999))
}

/// Serialises milliseconds since 1970 as [`timestamp`] does.
pub fn moment<S: Serializer>(ms: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&timestamp(*ms))
}

/// Serialises milliseconds since 1970, where there are any.
pub fn moment_if<S: Serializer>(ms: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    ms.map(timestamp).serialize(to)
}

/// Serialises a duration as whole seconds.
pub fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(duration.as_secs())
}

/// A moment in nanoseconds since 1970; none before 1970, of which the manifest has it all the same.
fn file_time(nanoseconds: i64) -> Option<String> {
    let since = Duration::from_nanos(u64::try_from(nanoseconds).ok()?);
    Some(humantime::format_rfc3339_nanos(UNIX_EPOCH + since).to_string())
}

pub(crate) fn modified<S: Serializer>(nanoseconds: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
    nanoseconds.and_then(file_time).serialize(to)
}

pub(crate) fn has_no_time(nanoseconds: &Option<i64>) -> bool {
    nanoseconds.and_then(file_time).is_none()
}

pub(crate) fn part_name<S: Serializer>(name: &PartName, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_str())
}

/// The files of a record; where each lies in the plaintext concerns nobody.
pub(crate) fn parts<S: Serializer>(parts: &[Part], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct PartFields<'a> {
        name: &'a str,
        bytes: u64,
        sha256: Sha256Digest,
        media_type: &'a str,
        #[serde(serialize_with = "modified", skip_serializing_if = "has_no_time")]
        modified: Option<i64>,
        #[serde(flatten)]
        clinical: &'a Clinical,
    }
    to.collect_seq(parts.iter().map(|part| PartFields {
        name: part.name.as_str(),
        bytes: part.length,
        sha256: part.sha256,
        media_type: &part.media_type,
        modified: part.modified,
        clinical: &part.clinical,
    }))
}

/// The server's word with its place in the log.
#[derive(Serialize)]
struct Said {
    #[serde(serialize_with = "moment")]
    created: u64,
    operator_id: OperatorId,
    permission_id: PermissionId,
    bytes: u64,
    statement_sha256: Sha256Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_root: Option<ContentRoot>,
    log_size: u64,
    log_root: String,
}

pub(crate) fn upload_receipt<S: Serializer>(
    receipt: &Receipt<UploadReceipt>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let Receipt {
        statement,
        checkpoint,
    } = receipt;
    Said {
        created: statement.created,
        operator_id: statement.operator_id,
        permission_id: statement.permission_id,
        bytes: statement.stream_len,
        statement_sha256: statement.hash(),
        content_root: Some(statement.content_root),
        log_size: checkpoint.size,
        log_root: checkpoint.root.to_string(),
    }
    .serialize(to)
}

pub(crate) fn release_receipt<S: Serializer>(
    receipt: &Option<Receipt<ReleaseReceipt>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let said = |Receipt {
                    statement,
                    checkpoint,
                }: &Receipt<ReleaseReceipt>| Said {
        created: statement.created,
        operator_id: statement.operator_id,
        permission_id: statement.permission_id,
        bytes: statement.bytes,
        statement_sha256: statement.hash(),
        content_root: None,
        log_size: checkpoint.size,
        log_root: checkpoint.root.to_string(),
    };
    receipt.as_ref().map(said).serialize(to)
}

/// What records must be like, beside the permission's other fields.
pub(crate) fn conditions<S: Serializer>(conditions: &Option<Conditions>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Fields<'a> {
        #[serde(skip_serializing_if = "BTreeSet::is_empty")]
        media_types: &'a BTreeSet<MediaType>,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Day>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<Day>,
        /// What has no day is taken along.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        undated: bool,
        /// Another device has sealed what does not open.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        conditions_unreadable: bool,
    }
    let none = Conditions::default();
    let readable = conditions.as_ref().unwrap_or(&none);
    Fields {
        media_types: &readable.media_types,
        from: readable.from,
        to: readable.to,
        undated: readable.undated,
        conditions_unreadable: conditions.is_none(),
    }
    .serialize(to)
}

/// Records that are not believed, and why.
pub(crate) fn refused<S: Serializer>(refused: &[(RecordId, Error)], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Refused {
        record_id: RecordId,
        code: &'static str,
        message: String,
    }
    to.collect_seq(refused.iter().map(|(record_id, error)| Refused {
        record_id: *record_id,
        code: error.code(),
        message: error.to_string(),
    }))
}

/// Of permissions that still hold: who has them, and until when.
pub(crate) fn still_held<S: Serializer>(permissions: &[PermissionInfo], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Held<'a> {
        permission_id: PermissionId,
        #[serde(flatten)]
        institution: &'a InstitutionRef,
        #[serde(serialize_with = "moment")]
        expires: u64,
    }
    to.collect_seq(permissions.iter().map(|info| Held {
        permission_id: info.permission_id,
        institution: &info.institution,
        expires: info.not_after,
    }))
}

pub(crate) fn named_devices<S: Serializer>(devices: &[(DeviceId, String)], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Named<'a> {
        device_id: DeviceId,
        name: &'a str,
    }
    to.collect_seq(devices.iter().map(|(device_id, name)| Named {
        device_id: *device_id,
        name,
    }))
}

/// An institution from which something comes: `from`, `from_name`.
pub(crate) fn from<S: Serializer>(party: &InstitutionRef, to: S) -> Result<S::Ok, S::Error> {
    pair(to, ("from", &party.id), ("from_name", &party.name))
}

/// An institution from which something comes, where it is known.
pub(crate) fn from_if<S: Serializer>(party: &Option<InstitutionRef>, to: S) -> Result<S::Ok, S::Error> {
    match party {
        Some(party) => from(party, to),
        None => to.serialize_none(),
    }
}

/// An institution to which something goes: `to`, `to_name`.
pub(crate) fn to<S: Serializer>(party: &InstitutionRef, to: S) -> Result<S::Ok, S::Error> {
    pair(to, ("to", &party.id), ("to_name", &party.name))
}

/// A delegate who acted: `delegate_id`, `delegate`.
pub(crate) fn delegate<S: Serializer>(party: &Option<DelegateRef>, to: S) -> Result<S::Ok, S::Error> {
    match party {
        Some(party) => pair(to, ("delegate_id", &party.id), ("delegate", &party.name)),
        None => to.serialize_none(),
    }
}

fn pair<S: Serializer>(
    to: S,
    (id_field, id): (&'static str, &impl Serialize),
    (name_field, name): (&'static str, &str),
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = to.serialize_map(Some(2))?;
    map.serialize_entry(id_field, id)?;
    map.serialize_entry(name_field, name)?;
    map.end()
}
