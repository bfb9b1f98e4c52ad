//! Ids and links in their text forms.

use actors::vectors::Run;
use protocol_spec::ids::{
    DeviceId, InstitutionId, LinkId, OperatorId, PatientId, PermissionId, RecordId, RegistrarId, ReleaseId,
    RequestId, TerminalId, UploadId, VersionId,
};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{OPERATOR, REGISTRAR, key},
};

pub(crate) fn ids() -> Vec<Case> {
    let check = |kind: &str, text: &str| Check::Id {
        kind: kind.to_owned(),
        text: text.to_owned(),
    };
    let right = |kind: &str, text: String| good("KEY-4", kind, "its text form", check(kind, &text));
    let wrong =
        |name, description, kind, text: &str| bad("KEY-4", "malformed", name, description, check(kind, text));
    let long: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7).unwrap());
    let record = RecordId::from_bytes([0xa5; 16]).to_string();
    let last = record.len() - 1;
    vec![
        right("patient", PatientId::from_bytes(long).to_string()),
        right("device", DeviceId::from_bytes(long).to_string()),
        right("link", LinkId::from_bytes(long).to_string()),
        right("institution", InstitutionId::from_bytes(long).to_string()),
        right("operator", OperatorId::from_bytes(long).to_string()),
        right("registrar", RegistrarId::from_bytes(long).to_string()),
        right("terminal", TerminalId::from_bytes(long).to_string()),
        right(
            "request",
            RequestId::mint(1_800_000_000_000, [0xff; 10]).to_string(),
        ),
        right(
            "permission",
            PermissionId::mint(1_800_000_000_000, [0; 10]).to_string(),
        ),
        right("record", record.clone()),
        right("version", VersionId::from_bytes([0xff; 16]).to_string()),
        right("upload", UploadId::from_bytes([1; 16]).to_string()),
        right("release", ReleaseId::from_bytes([0; 16]).to_string()),
        wrong(
            "another-prefix",
            "a record's id for a version",
            "version",
            &record,
        ),
        wrong(
            "upper-case",
            "upper-case letters",
            "record",
            &record.to_uppercase().replace("REC", "rec"),
        ),
        wrong(
            "no-prefix",
            "base32 alone",
            "record",
            record.trim_start_matches("rec_"),
        ),
        wrong("padding", "with padding", "record", &format!("{record}======")),
        wrong("short", "one character less", "record", &record[..last]),
        wrong(
            "trailing-bits",
            "bits that stand for nothing are set",
            "record",
            &format!("{}5", &record[..last]),
        ),
        wrong(
            "wrong-length",
            "32 bytes where 16 belong",
            "record",
            &PatientId::from_bytes(long).to_string().replace("pat", "rec"),
        ),
        wrong(
            "white-space",
            "a line feed behind it",
            "record",
            &format!("{record}\n"),
        ),
    ]
}

pub(crate) fn links() -> Vec<Case> {
    let public = |seed: u8| Hex(key(seed).public().as_bytes().to_vec());
    let fingerprint = |certificate_hash: Option<Hex>| Check::Fingerprint {
        operator_key: public(OPERATOR),
        registrar_key: public(REGISTRAR),
        certificate_hash,
    };
    let print = fingerprint(None).run().unwrap();
    let link = |text: String| Check::Link { text };
    let wrong = |name, description, text: String| bad("KEY-9", "link", name, description, link(text));
    vec![
        good(
            "KEY-9",
            "fingerprint",
            "of a server with a certificate from elsewhere",
            fingerprint(None),
        ),
        good(
            "KEY-9",
            "fingerprint-development",
            "of a server that made its certificate itself",
            fingerprint(Some(Hex(vec![0xce; 32]))),
        ),
        bad(
            "KEY-2",
            "degenerate key",
            "fingerprint-weak-key",
            "an operator key of small order",
            Check::Fingerprint {
                operator_key: Hex(vec![0; 32]),
                registrar_key: public(REGISTRAR),
                certificate_hash: None,
            },
        ),
        good(
            "KEY-9",
            "link",
            "a link; host names have no case",
            link(format!("https://Vault.Example:8443/#{print}")),
        ),
        good(
            "KEY-9",
            "link-ipv6",
            "an address in brackets",
            link(format!("https://[::1]:8443/#{print}")),
        ),
        wrong("http", "not https", format!("http://vault.example:8443/#{print}")),
        wrong(
            "no-fingerprint",
            "no fragment",
            "https://vault.example:8443/".to_owned(),
        ),
        wrong(
            "short-fingerprint",
            "one character less",
            format!("https://vault.example:8443/#{}", &print[1..]),
        ),
        wrong(
            "user-name",
            "a user name in front of the host",
            format!("https://vault.example@evil.example:8443/#{print}"),
        ),
        wrong(
            "path",
            "a path in front of the fragment",
            format!("https://vault.example:8443/v1/#{print}"),
        ),
    ]
}
