//! Parts of a record: names that cannot leave the folder they are written to, ranges that tile
//! the plaintext. See `spec/content.md` §5.

use std::collections::HashSet;

pub use crate::parts::part::{Clinical, MAX_PART_COMPONENT, MAX_PART_NAME, Part, PartName};
use crate::{Error, bodies::RecordManifest};

/// Most parts of one record.
pub const MAX_PARTS: usize = 100_000;

impl RecordManifest {
    /// Parts tile the plaintext in order, and no name stands twice or inside another (CNT-11).
    pub fn check_parts(&self) -> Result<(), Error> {
        if self.parts.is_empty() || self.parts.len() > MAX_PARTS {
            return Err(Error::Field { field: "parts" });
        }
        let mut end = 0_u64;
        for part in &self.parts {
            if part.offset != end {
                return Err(Error::Mismatch {
                    what: "offset of a part and end of the one before",
                });
            }
            end = end
                .checked_add(part.length)
                .ok_or(Error::Field { field: "length" })?;
        }
        if end != self.plaintext_len {
            return Err(Error::Mismatch {
                what: "plaintext length and end of the last part",
            });
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<(), Error> {
        let mut names = HashSet::with_capacity(self.parts.len());
        let distinct = self.parts.iter().all(|part| names.insert(part.name.as_str()));
        let nested = |part: &Part| part.name.ancestors().any(|folder| names.contains(folder));
        if !distinct || self.parts.iter().any(nested) {
            return Err(Error::Mismatch {
                what: "name of a part and the other names",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for bad in ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", "a\0b", "./a"] {
            assert!(PartName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        for good in [
            "series 1/IM_0001.dcm",
            "a\\b",
            "c:x",
            "nnn/".repeat(1000).trim_end_matches('/'),
        ] {
            assert!(PartName::try_from((*good).to_owned()).is_ok());
        }
    }
}
