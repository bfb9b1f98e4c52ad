//! What a file is and of which day, read from its content (CNT-19, CNT-20). Files are by strangers, and conditions rest on what is read here.
//!
//! Nothing of a file is believed: memory is a few buffers of fixed size, nesting is a number, and what is read ends at bounds that are
//! the same for every file. This crate links nothing of Medvault and no cipher: whatever a file does to it, there is no key in its hands.
//!
//! | module | reads |
//! |---|---|
//! | `bytes`, `inflate` | a file, and what is deflated in it, up to a bound |
//! | `sniff` | which kind a file is, by its first bytes |
//! | `dicom` | study, series and date, in every transfer syntax |
//! | `json`, `xml` | members and elements one by one, of which nothing is kept |
//! | `fhir`, `cda` | the clinical date, by the kind of resource |
//! | `hl7`, `pdf` | dates of messages and of pages |
//! | `day` | days as each of them writes them |
//! | `description` | nothing: what was found |
//!
//! ```
//! use std::io::Cursor;
//! let file = Cursor::new(br#"{"resourceType":"Observation","effectiveDateTime":"2026-05-01T08:00:00Z"}"#);
//! let found = reader::describe("result", file)?;
//! assert_eq!(found.media_type, "application/fhir+json");
//! assert_eq!(found.days.map(|days| days.first.to_string()), Some("2026-05-01".into()));
//! # Ok::<(), std::io::Error>(())
//! ```

mod bytes;
mod cda;
mod day;
mod description;
mod dicom;
mod fhir;
mod hl7;
mod inflate;
mod json;
mod pdf;
mod sniff;
mod xml;

use std::io::{self, Read, Seek};

use self::{bytes::Bounded, sniff::FileKind};
pub use self::{
    day::{Day, Days},
    description::Description,
};

/// Looks into a file. Its name counts for nothing but the media type of what has no content that is known here.
///
/// # Errors
/// Whatever keeps its first bytes from being read; what goes wrong behind them leaves the description empty.
pub fn describe(name: &str, mut file: impl Read + Seek) -> io::Result<Description> {
    let head = sniff::head(&mut file)?;
    for kind in sniff::kinds(&head) {
        file.rewind()?;
        if let Some(found) = look(kind, &mut Bounded::new(&mut file)) {
            return Ok(found);
        }
    }
    Ok(Description::of_type(&by_name(name)))
}

/// What a file of this kind says; none if it is of another kind after all.
fn look(kind: FileKind, file: &mut (impl Read + Seek)) -> Option<Description> {
    match kind {
        FileKind::Known(media_type) => Some(Description::of_type(media_type)),
        FileKind::Dicom(start) => dicom::describe(file, start),
        FileKind::Pdf => Some(Description {
            days: pdf::days(file),
            ..Description::of_type("application/pdf")
        }),
        FileKind::Json => fhir::of_json(file),
        FileKind::Xml => xml::describe(file),
        FileKind::Hl7 => hl7::describe(file),
    }
}

/// A name is not taken at its word where the content would have shown it.
fn by_name(name: &str) -> String {
    let guessed = mime_guess::from_path(name).first_or_octet_stream();
    match guessed.essence_str() {
        shown if SHOWN_BY_CONTENT.contains(&shown) => "application/octet-stream".into(),
        other => other.to_owned(),
    }
}

/// Types of which every file is known by its content.
const SHOWN_BY_CONTENT: [&str; 6] = [
    "application/dicom",
    "application/pdf",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/tiff",
];

#[cfg(test)]
mod tests;
