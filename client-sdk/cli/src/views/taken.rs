//! What files were taken for before they were sent, and what was left out (CNT-21).

use client_sdk::transfer::{FileSource, LeftOut, Remark, Remarked, Source, SourcePart};
use serde::Serialize;

use super::size;
use crate::output::plain;

/// What a record is made of, or would be.
#[derive(Serialize)]
pub(crate) struct TakenView {
    files: Vec<SourcePart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOutView>,
    /// Files that are sent under another name than theirs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    renamed: Vec<RenamedView>,
    /// Folders whose own names are not sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unnamed: Vec<String>,
}

#[derive(Serialize)]
struct LeftOutView {
    path: String,
    reason: LeftOut,
    why: String,
}

#[derive(Serialize)]
struct RenamedView {
    path: String,
    name: String,
}

impl From<&FileSource> for TakenView {
    fn from(source: &FileSource) -> Self {
        let mut view = Self {
            files: source.parts().to_vec(),
            left_out: Vec::new(),
            renamed: Vec::new(),
            unnamed: Vec::new(),
        };
        for Remark { path, what } in source.remarks() {
            let path = path.display().to_string();
            match what {
                Remarked::LeftOut(why) => view.left_out.push(LeftOutView {
                    path,
                    reason: *why,
                    why: why.to_string(),
                }),
                Remarked::Renamed(name) => view.renamed.push(RenamedView {
                    path,
                    name: name.clone(),
                }),
                _ => view.unnamed.push(path),
            }
        }
        view
    }
}

impl TakenView {
    /// One line for files of one kind one behind the other, and one for each thing that was left out or is called another name.
    pub(crate) fn lines(&self) -> String {
        let mut groups: Vec<(String, Vec<&SourcePart>)> = Vec::new();
        for file in &self.files {
            let kind = kind(file);
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, files)) => files.push(file),
                None => groups.push((kind, vec![file])),
            }
        }
        let taken = groups.iter().map(|(kind, files)| match files.as_slice() {
            [file] => format!("{}: {kind}, {}", plain(file.name.as_str()), size(file.length)),
            files => {
                let bytes = files.iter().map(|file| file.length).sum();
                format!("{} files: {kind}, {}", files.len(), size(bytes))
            }
        });
        let left = self
            .left_out
            .iter()
            .map(|one| format!("not sent: {} ({})", plain(&one.path), one.why));
        let renamed = self.renamed.iter().map(|one| {
            let (path, name) = (plain(&one.path), plain(&one.name));
            format!("{path} is called {name} in the record")
        });
        let unnamed = self.unnamed.iter().map(|path| {
            format!(
                "the folder's own name is not sent, since it would deceive: {}",
                plain(path)
            )
        });
        let all = [some(taken), some(left), some(renamed), some(unnamed)];
        all.into_iter()
            .flatten()
            .map(|line| format!("  {line}\n"))
            .collect()
    }
}

/// As many lines as a person reads, and how many there are more.
fn some(mut lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let mut shown: Vec<String> = lines.by_ref().take(MOST_LINES).collect();
    if lines.len() > 0 {
        shown.push(format!("and {} more: --json names them all", lines.len()));
    }
    shown
}

/// What a file is, and of which day: `application/dicom, of 2026-05-01`.
fn kind(file: &SourcePart) -> String {
    let clinical = &file.clinical;
    let kind = if clinical.fhir_resource_type.is_empty() {
        file.media_type.clone()
    } else {
        format!("{} ({})", file.media_type, clinical.fhir_resource_type)
    };
    match (clinical.date.as_str(), clinical.last_date.as_str()) {
        ("", _) => format!("{kind}, no day"),
        (first, "") => format!("{kind}, of {first}"),
        (first, last) => format!("{kind}, of {first} to {last}"),
    }
}

const MOST_LINES: usize = 20;

#[cfg(test)]
mod tests {
    use client_sdk::Clinical;
    use serde_json::json;

    use super::*;

    fn file(name: &str, media_type: &str, date: &str) -> SourcePart {
        SourcePart {
            name: name.to_owned().try_into().unwrap(),
            length: 3,
            media_type: media_type.to_owned(),
            modified: None,
            clinical: Clinical {
                date: date.to_owned(),
                ..Clinical::default()
            },
            identity: None,
        }
    }

    /// CNT-21: for people a line for each kind, and a word for whatever is not sent.
    #[test]
    fn each_kind_has_a_line_and_so_has_what_is_left_out() {
        let view = TakenView {
            files: vec![
                file("study/IM1", "application/dicom", "2026-05-01"),
                file("study/a.txt", "text/plain", ""),
                file("study/IM2", "application/dicom", "2026-05-01"),
            ],
            left_out: vec![LeftOutView {
                path: "study/pipe".into(),
                reason: LeftOut::Fifo,
                why: LeftOut::Fifo.to_string(),
            }],
            renamed: Vec::new(),
            unnamed: Vec::new(),
        };
        let lines = "  2 files: application/dicom, of 2026-05-01, 6 B\n  study/a.txt: text/plain, no day, 3 B\n  \
                     not sent: study/pipe (a FIFO, which has no content of its own)\n";
        assert_eq!(view.lines(), lines);
        let many = some((0..30).map(|number| number.to_string()));
        assert_eq!(
            (many.len(), many[20].as_str()),
            (21, "and 10 more: --json names them all")
        );
        let view = serde_json::to_value(&view).unwrap();
        assert_eq!(view["left_out"][0]["reason"], json!("fifo"));
    }
}
