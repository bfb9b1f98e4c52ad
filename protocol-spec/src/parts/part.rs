//! A file inside a record.

use crate::{Error, declare::fields, field::Field, hash::Sha256Digest};

/// Longest name of a part, in bytes: what any system gives a file as its path.
pub const MAX_PART_NAME: usize = 4096;

/// Longest component of it, in bytes: 255 characters of up to four.
pub const MAX_PART_COMPONENT: usize = 1020;

fields! {
    /// One file inside a record.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Part: Part {
        /// Relative path with `/` between components.
        name: PartName,
        /// Media type, `type/subtype` as in RFC 6838.
        media_type: String,
        /// Where it starts in the plaintext.
        offset: u64,
        /// How many bytes of the plaintext are its own.
        length: u64,
        /// SHA-256 of its bytes, as its maker has signed it.
        sha256: Sha256Digest,
        /// Values that clinicians sort files by.
        clinical: Clinical,
        /// When the file was last changed, in nanoseconds since 1970; before that, less than 0.
        modified: Option<i64>,
    }

    /// Clinical metadata; absent values are empty.
    #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
    Clinical: Clinical {
        /// FHIR resource type, for example `Bundle`.
        #[serde(skip_serializing_if = "String::is_empty")]
        fhir_resource_type: String,
        /// DICOM attribute (0020,000D), the study instance UID.
        #[serde(skip_serializing_if = "String::is_empty")]
        dicom_study_uid: String,
        /// DICOM attribute (0020,000E), the series instance UID.
        #[serde(skip_serializing_if = "String::is_empty")]
        dicom_series_uid: String,
        /// Day that the content is of, as `YYYY-MM-DD`.
        #[serde(skip_serializing_if = "String::is_empty")]
        date: String,
        /// The last day, where it is of several; else empty.
        #[serde(skip_serializing_if = "String::is_empty")]
        last_date: String,
    }
}

/// A relative path without empty, `.` or `..` components or control characters (CNT-12). Whether a file system holds
/// it is another matter ([`crate::file_names`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName(String);

impl PartName {
    /// The path, `/` between components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders it lies in.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(end, _)| self.0.get(..end))
    }
}

impl TryFrom<String> for PartName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        let component_ok =
            |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= MAX_PART_COMPONENT;
        let text_ok = !name.chars().any(char::is_control);
        if name.len() > MAX_PART_NAME || !text_ok || !name.split('/').all(component_ok) {
            return Err(Error::Field { field: "part name" });
        }
        Ok(Self(name))
    }
}

impl Field<String> for PartName {
    fn read(wire: String, _: &'static str) -> Result<Self, Error> {
        wire.try_into()
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}
