//! Values of the library as lines: what several commands show alike.

pub(crate) mod devices;
pub(crate) mod rules;
pub(crate) mod taken;

use client_sdk::{FetchedPart, Provenance, RecordId};
use indicatif::HumanBytes;

use crate::output::{moment, party, plain};

/// How many files there are and how long: `3 files, 12 MiB`.
pub(crate) fn contents(files: impl ExactSizeIterator<Item = u64>) -> String {
    let number = match files.len() {
        1 => "1 file".to_owned(),
        many => format!("{many} files"),
    };
    format!("{number}, {}", size(files.sum()))
}

pub(crate) fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A record that lies in a folder now: what and where it is, who made it, and which files have another name than the sender's.
pub(crate) fn received(
    folder: &str,
    record: RecordId,
    parts: &[FetchedPart],
    provenance: &Provenance,
) -> String {
    let contents = contents(parts.iter().map(|part| part.bytes));
    let maker = party(&provenance.name, provenance.institution_id);
    let renamed = parts.iter().filter(|part| part.file != part.name);
    let renamed =
        renamed.map(|part| format!("  {} is written as {}\n", plain(&part.name), plain(&part.file)));
    format!(
        "{folder}/{record}: {contents}, verified\n  made by {maker}, {}\n{}",
        moment(provenance.created),
        renamed.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use client_sdk::Sha256Digest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_is_name_bytes_and_hash() {
        let part = FetchedPart {
            name: "series/1.dcm".to_owned(),
            file: "series/1.dcm".to_owned(),
            bytes: 3,
            sha256: Sha256Digest::of(b"abc"),
        };
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = json!({ "name": "series/1.dcm", "bytes": 3, "sha256": sha256 });
        assert_eq!(serde_json::to_value(&part).unwrap(), expected);
        assert_eq!(contents([part.bytes].into_iter()), "1 file, 3 B");
    }
}
