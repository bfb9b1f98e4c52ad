//! Identifiers: a type for each, so that none can stand in for another. See `spec/keys.md` §2.
//!
//! Principals are named by the SHA-256 of their Ed25519 public key (32 bytes, self-certifying);
//! things that happen are named by a UUIDv7 (16 bytes, RFC 9562 §5.7), minted by whoever creates them.
//! The text form is `prefix_` and lower-case RFC 4648 base32 without padding (KEY-4).

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;

use crate::{Error, keys::IdentityKey};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The text form's prefix, without the underscore.
            pub const PREFIX: &str = $prefix;

            /// Names the thing with exactly these bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes as they stand in messages and storage keys.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = Error;

            fn try_from(bytes: &[u8]) -> Result<Self, Error> {
                bytes.try_into().map(Self).map_err(|_| Error::Length {
                    field: concat!($prefix, " id"),
                    got: bytes.len(),
                    want: $len,
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let malformed = Error::IdText { want: concat!($prefix, "_…") };
                let Some(("", body)) = text.split_once(concat!($prefix, "_")) else { return Err(malformed) };
                if body.bytes().any(|c| c.is_ascii_uppercase()) {
                    return Err(malformed);
                }
                BASE32_NOPAD
                    .decode(body.to_ascii_uppercase().as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or(malformed)
            }
        }
    };
}

macro_rules! key_hash_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        id!($(#[$doc])* $name, $prefix, 32);

        // KEY-1
        impl From<&IdentityKey> for $name {
            fn from(key: &IdentityKey) -> Self {
                Self(crate::hash::sha256(&[key.as_bytes()]))
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        id!($(#[$doc])* $name, $prefix, 16);

        impl $name {
            /// A new id: the caller's clock (milliseconds since 1970) and 10 random bytes, as UUIDv7.
            pub fn mint(now_ms: u64, random: [u8; 10]) -> Self {
                Self(*uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid().as_bytes())
            }
        }
    };
}

key_hash_id!(
    /// A patient: SHA-256 of her identity key, handed over out of band (text, QR).
    PatientId, "pat"
);
key_hash_id!(
    /// An institution: SHA-256 of its identity key, found in the directory.
    InstitutionId, "inst"
);
key_hash_id!(
    /// The operator of a server: SHA-256 of its identity key, the audience of every permission.
    OperatorId, "op"
);
key_hash_id!(
    /// The registrar that accredits institutions: SHA-256 of its identity key.
    RegistrarId, "reg"
);
key_hash_id!(
    /// A device of a patient: SHA-256 of its key, which signs its requests under this id.
    DeviceId, "dev"
);
id!(
    /// A place at which a new device offers its keys: follows from a secret in its code.
    LinkId, "link", 32
);
key_hash_id!(
    /// A terminal of an institution: SHA-256 of its Ed25519 key.
    TerminalId, "term"
);
uuid_id!(
    /// An upload, download or reference request.
    RequestId, "req"
);
uuid_id!(
    /// One permission, and the permission key that belongs to it.
    PermissionId, "perm"
);
uuid_id!(
    /// One item of medical information.
    RecordId, "rec"
);
uuid_id!(
    /// One version of a record; its leaves are stored under it.
    VersionId, "ver"
);
uuid_id!(
    /// A collection of a vault's records.
    CollectionId, "col"
);
uuid_id!(
    /// What a patient lets another one do in her vault.
    DelegationId, "del"
);
uuid_id!(
    /// What lets somebody enrol as a patient.
    InvitationId, "ivt"
);
uuid_id!(
    /// An upload session, opened by a presentation.
    UploadId, "upl"
);
uuid_id!(
    /// A release session, opened by a presentation.
    ReleaseId, "rel"
);

impl CollectionId {
    /// The collection that every vault has.
    pub const DEFAULT: Self = Self([0; 16]);
    /// What is opened in an emergency.
    pub const EMERGENCY: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// Holds no records: its key is for her devices alone, and no permission wraps it (COL-9).
    pub const OWN: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KEY-1.
    #[test]
    fn a_principals_id_is_the_sha_256_of_its_key() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
        let identity = IdentityKey::try_from(key.as_bytes().as_slice()).unwrap();
        let hash = crate::hash::sha256(&[key.as_bytes()]);
        assert_eq!(PatientId::from(&identity), PatientId::from_bytes(hash));
        assert_eq!(InstitutionId::from(&identity), InstitutionId::from_bytes(hash));
    }

    #[test]
    fn text_form_round_trips_and_keeps_kinds_apart() {
        let record = RecordId::mint(1_700_000_000_000, [7; 10]);
        assert_eq!(record.to_string().parse::<RecordId>(), Ok(record));
        assert!(record.to_string().parse::<VersionId>().is_err());
        assert!(record.to_string().to_uppercase().parse::<RecordId>().is_err());
        assert!("rec_aaaa".parse::<RecordId>().is_err());
    }
}
