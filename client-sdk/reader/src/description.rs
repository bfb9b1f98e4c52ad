//! The description of a file: days, texts and types that the reader has found in it.

use crate::day::{Days, joined};

/// What a file says of itself; whatever it does not say, or not well, is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// RFC 6838. By the content, where that is of a kind that is known here; else by the name.
    pub media_type: String,
    /// For example `Bundle`; of several resources one behind the other, the one that they all are.
    pub fhir_resource_type: String,
    /// Study Instance UID, DICOM (0020,000D).
    pub dicom_study_uid: String,
    /// Series Instance UID, DICOM (0020,000E).
    pub dicom_series_uid: String,
    /// The days that it is of.
    pub days: Option<Days>,
}

impl Description {
    /// Of a file of which no more is known than its type.
    pub(crate) fn of_type(media_type: &str) -> Self {
        Self {
            media_type: media_type.to_owned(),
            ..Self::default()
        }
    }

    /// Several resources as one: of a kind if they are all of it.
    pub(crate) fn and(self, other: Self) -> Self {
        let same = self.fhir_resource_type == other.fhir_resource_type;
        Self {
            fhir_resource_type: if same {
                self.fhir_resource_type
            } else {
                String::new()
            },
            days: joined(self.days, other.days),
            ..other
        }
    }
}
