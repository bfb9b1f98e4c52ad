//! What a file says of itself: media type, and what a clinician sorts by. It goes into the sealed manifest. Read by [`reader`], which is
//! bounded and holds no key (CNT-19, CNT-20).

use std::{fs::File, io, path::Path};

use protocol_spec::manifest::Clinical;
use reader::Description;

/// RFC 6838 media type and clinical metadata of a file of this name, which is read from where it stands.
///
/// Errors: whatever keeps it from being read.
pub(crate) fn describe(path: &Path, file: File) -> io::Result<(String, Clinical)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Description {
        media_type,
        fhir_resource_type,
        dicom_study_uid,
        dicom_series_uid,
        days,
    } = reader::describe(&name, file)?;
    let last = days.filter(|days| days.first != days.last).map(|days| days.last);
    let clinical = Clinical {
        fhir_resource_type,
        dicom_study_uid,
        dicom_series_uid,
        date: days.map(|days| days.first.to_string()).unwrap_or_default(),
        last_date: last.map(|last| last.to_string()).unwrap_or_default(),
    };
    Ok((media_type, clinical))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use protocol_spec::{attributes::Attributes, day::Day};

    use super::*;

    /// CNT-20, CND-3: what is read is what conditions are about.
    #[test]
    fn a_file_tells_kind_and_days_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.2.276.0.1");
        let text = r#"{"resourceType":"Encounter","period":{"start":"2026-05-01","end":"2026-05-09"}}"#;
        fs::write(&path, text).unwrap();
        let (media_type, clinical) = describe(&path, File::open(&path).unwrap()).unwrap();
        assert_eq!(media_type, "application/fhir+json");
        assert_eq!(clinical.fhir_resource_type, "Encounter");
        assert_eq!(
            (clinical.date.as_str(), clinical.last_date.as_str()),
            ("2026-05-01", "2026-05-09")
        );
    }

    /// CNT-20, CND-3: one day that cannot be read takes its record's days away, so none is told. Both crates hold to the same days.
    #[test]
    fn the_days_that_are_told_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for (year, told) in [("1899", false), ("1900", true), ("2257", true), ("2259", false)] {
            let text = format!(r#"{{"resourceType":"List","date":"{year}-12-31"}}"#);
            fs::write(&path, text).unwrap();
            let date = describe(&path, File::open(&path).unwrap()).unwrap().1.date;
            assert_eq!(!date.is_empty(), told, "{year}");
            assert_eq!(format!("{year}-12-31").parse::<Day>().is_ok(), told, "{year}");
        }
        assert_eq!(Attributes::of(&[]).days, None);
    }
}
