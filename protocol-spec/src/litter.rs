//! Files that systems and viewers leave beside what is meant: a record is not of their type (CND-13).
//!
//! Which they are is told by names and media types of the manifest alone, so that all devices of a patient tell the same.

use std::collections::HashSet;

use crate::manifest::Part;

/// Whether a system leaves a file or folder of this name wherever it shows somebody what is there. It says nothing of anybody, and a
/// sender leaves it out (CNT-22).
pub fn is_left_by_a_system(component: &str) -> bool {
    let name = component.to_ascii_lowercase();
    name.starts_with("._") || BY_SYSTEMS.contains(&name.as_str())
}

/// The parts that say of which type a record is: all but litter, or all where there is nothing else (CND-13).
pub fn decisive(parts: &[Part]) -> Vec<&Part> {
    let viewers = Viewers::of(parts);
    let decides = |part: &&Part| {
        let mut components = part.name.as_str().split('/');
        !components.any(|component| is_left_by_a_system(component) || component.eq_ignore_ascii_case(AUTORUN))
            && !is_program(part)
            && !viewers.hold(part)
    };
    let decisive: Vec<&Part> = parts.iter().filter(decides).collect();
    if decisive.is_empty() {
        parts.iter().collect()
    } else {
        decisive
    }
}

/// Folders with a program to look at images, in which there are no images.
struct Viewers<'a> {
    /// Every folder in which, at whatever depth, there is a program.
    programs: HashSet<&'a str>,
    /// The same of what says something of a patient.
    records: HashSet<&'a str>,
}

impl<'a> Viewers<'a> {
    fn of(parts: &'a [Part]) -> Self {
        let folders = |chosen: fn(&Part) -> bool| -> HashSet<&'a str> {
            parts
                .iter()
                .filter(|part| chosen(part))
                .flat_map(folders)
                .collect()
        };
        let programs = folders(is_program);
        // Most records have no program, and nothing else is asked of them.
        let records = if programs.is_empty() {
            HashSet::new()
        } else {
            folders(is_record)
        };
        Self { programs, records }
    }

    fn hold(&self, part: &Part) -> bool {
        !is_record(part)
            && folders(part).any(|folder| self.programs.contains(folder) && !self.records.contains(folder))
    }
}

/// The folders that a part lies in.
fn folders(part: &Part) -> impl Iterator<Item = &str> {
    let name = part.name.as_str();
    name.match_indices('/')
        .filter_map(move |(end, _)| name.get(..end))
}

fn is_program(part: &Part) -> bool {
    PROGRAMS.contains(&essence(part))
}

/// What is never a part of a program.
fn is_record(part: &Part) -> bool {
    RECORDS.contains(&essence(part))
}

fn essence(part: &Part) -> &str {
    part.media_type.split(';').next().unwrap_or_default().trim()
}

/// Names, in lower case, of files that systems leave in folders.
const BY_SYSTEMS: [&str; 14] = [
    ".appledouble",
    ".directory",
    ".ds_store",
    ".fseventsd",
    ".spotlight-v100",
    ".temporaryitems",
    ".trashes",
    "$recycle.bin",
    "__macosx",
    "desktop.ini",
    "ehthumbs.db",
    "system volume information",
    "thumbs.db",
    ".localized",
];
/// Starts the viewer that is on a disc of images.
const AUTORUN: &str = "autorun.inf";
const PROGRAMS: [&str; 5] = [
    "application/vnd.microsoft.portable-executable",
    "application/x-executable",
    "application/x-mach-binary",
    "application/x-msdos-program",
    "application/x-msdownload",
];
const RECORDS: [&str; 8] = [
    "application/cda+xml",
    "application/dicom",
    "application/fhir+json",
    "application/fhir+ndjson",
    "application/fhir+xml",
    "application/hl7-v2",
    "application/msword",
    "application/pdf",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash::Sha256Digest, manifest::Clinical};

    fn decide(parts: &[(&str, &str)]) -> Vec<String> {
        let part = |(name, media_type): &(&str, &str)| Part {
            name: (*name).to_owned().try_into().unwrap(),
            media_type: (*media_type).to_owned(),
            offset: 0,
            length: 0,
            sha256: Sha256Digest::of(b""),
            clinical: Clinical::default(),
            modified: None,
        };
        let parts: Vec<Part> = parts.iter().map(part).collect();
        let decisive = decisive(&parts);
        decisive
            .iter()
            .map(|part| part.name.as_str().to_owned())
            .collect()
    }

    const IMAGE: &str = "application/dicom";
    const PROGRAM: &str = "application/vnd.microsoft.portable-executable";

    /// CND-13
    #[test]
    fn what_systems_and_viewers_leave_does_not_decide() {
        let disc = [
            ("CD/DICOMDIR", IMAGE),
            ("CD/IMAGES/IM1", IMAGE),
            ("CD/.DS_Store", "application/octet-stream"),
            ("CD/IMAGES/._IM1", "application/octet-stream"),
            ("CD/IMAGES/THUMBS.DB", "application/octet-stream"),
            ("__MACOSX/CD/x", "text/plain"),
            ("CD/AUTORUN.INF", "text/plain"),
            ("CD/start.exe", PROGRAM),
            ("CD/VIEWER/bin/view.dll", PROGRAM),
            ("CD/VIEWER/help/index.html", "text/html"),
            ("CD/VIEWER/readme", "text/plain"),
        ];
        assert_eq!(decide(&disc), ["CD/DICOMDIR", "CD/IMAGES/IM1"]);
    }

    /// CND-13: a letter beside a program, or in a viewer's folder, is a letter.
    #[test]
    fn what_may_be_a_record_decides_wherever_it_lies() {
        let mixed = [
            ("IM1", IMAGE),
            ("view.exe", PROGRAM),
            ("letter.txt", "text/plain"),
            ("VIEWER/view.dll", PROGRAM),
            ("VIEWER/letter.pdf", "application/pdf"),
            ("VIEWER/note.txt", "text/plain"),
        ];
        assert_eq!(
            decide(&mixed),
            ["IM1", "letter.txt", "VIEWER/letter.pdf", "VIEWER/note.txt"]
        );
        let alone = [("x/view.exe", PROGRAM), ("x/note", "text/plain")];
        assert_eq!(decide(&alone), ["x/view.exe", "x/note"]);
        assert_eq!(decide(&[("Thumbs.db", "a/b")]), ["Thumbs.db"]);
    }
}
