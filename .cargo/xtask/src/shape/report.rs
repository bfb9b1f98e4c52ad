//! What `cargo xtask shape` prints, for people and as JSON.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::figures::Figure;
use super::limits::Ceilings;
use super::modules::Crate;
use super::names;
use super::production::SourceFile;
use crate::{drawings, rules};

/// Things that are printed of what makes a figure, when there are more than [`FEW`].
const WORST: usize = 8;

/// So many are printed all.
const FEW: usize = 30;

/// All figures, those without limits, too.
#[derive(Serialize)]
pub(super) struct Report {
    crates: Vec<Size>,
    pub(super) figures: Vec<Figure>,
    limits: Ceilings,
    pages: Pages,
}

/// How large a crate is.
#[derive(Serialize)]
struct Size {
    name: String,
    files: usize,
    lines: usize,
    code: usize,
    doc_lines: usize,
}

/// What the pages have that a newcomer looks for.
#[derive(Serialize)]
struct Pages {
    rules: usize,
    rules_with_role: usize,
    drawings: usize,
    transcripts: usize,
}

impl Report {
    /// Puts the figures together with those that have no limits.
    ///
    /// Fails when a page cannot be read.
    pub(super) fn new(
        root: &Path,
        crates: &[Crate],
        figures: Vec<Figure>,
        limits: &Ceilings,
    ) -> Result<Self> {
        let (rules, rules_with_role) = rules::counted(root)?;
        // Each is there twice: for people, and for programs.
        let transcripts = fs::read_dir(root.join("protocol-spec/spec/transcripts"));
        Ok(Self {
            crates: crates.iter().map(Size::of).collect(),
            figures,
            limits: limits.clone(),
            pages: Pages {
                rules,
                rules_with_role,
                drawings: drawings::count(root)?,
                transcripts: transcripts.map_or(0, |files| files.count() / 2),
            },
        })
    }

    /// For people; of what makes each figure only the worst, unless `all` is asked for.
    pub(super) fn text(&self, all: bool) -> String {
        let mut text = String::new();
        let written = self
            .write_table(&mut text)
            .and_then(|()| self.write_places(&mut text, all));
        written.map_or_else(|_| String::new(), |()| text)
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        let header = ["crate", "files", "lines", "code", "doc lines"];
        let [name, files, lines, code, doc_lines] = header;
        writeln!(text, "{name:<24}{files:>7}{lines:>9}{code:>9}{doc_lines:>11}")?;
        for size in self.crates.iter().chain([&self.whole()]) {
            let Size {
                name,
                files,
                lines,
                code,
                doc_lines,
            } = size;
            writeln!(text, "{name:<24}{files:>7}{lines:>9}{code:>9}{doc_lines:>11}")?;
        }
        writeln!(text, "\n{:<32}{:>8}{:>8}", "figure", "is", "limit")?;
        for Figure { key, value, .. } in &self.figures {
            let limit = self.limits.get(*key).copied().unwrap_or_default();
            writeln!(text, "{key:<32}{value:>8}{limit:>8}")?;
        }
        let Pages {
            rules,
            rules_with_role,
            drawings,
            transcripts,
        } = self.pages;
        writeln!(
            text,
            "\n{rules} rules, {rules_with_role} with a role; {drawings} drawings; {transcripts} transcripts"
        )
    }

    fn write_places(&self, text: &mut String, all: bool) -> std::fmt::Result {
        let mut said: &[String] = &[];
        for figure in &self.figures {
            // Two figures of the same things: those are listed once.
            if figure.from == said {
                continue;
            }
            said = &figure.from;
            let most = if all || said.len() <= FEW {
                said.len()
            } else {
                WORST
            };
            writeln!(text, "\n{}:", figure.key)?;
            for place in said.iter().take(most) {
                writeln!(text, "  {place}")?;
            }
            if said.len() > most {
                writeln!(text, "  and {} more: --all", said.len() - most)?;
            }
        }
        Ok(())
    }

    fn whole(&self) -> Size {
        let sum = |of: fn(&Size) -> usize| self.crates.iter().map(of).sum();
        Size {
            name: "in all".to_owned(),
            files: sum(|size| size.files),
            lines: sum(|size| size.lines),
            code: sum(|size| size.code),
            doc_lines: sum(|size| size.doc_lines),
        }
    }
}

impl Size {
    fn of(krate: &Crate) -> Self {
        let sum = |of: &dyn Fn(&SourceFile) -> usize| krate.files.iter().map(of).sum();
        Self {
            name: krate.name.clone(),
            files: krate.files.len(),
            lines: sum(&|file| file.lines.len()),
            code: sum(&|file| file.code().count()),
            doc_lines: sum(&|file| names::doc_lines(file).0),
        }
    }
}
