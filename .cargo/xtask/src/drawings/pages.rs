//! Pages in Markdown: where they are, the drawings in them, and whether their links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// A Markdown page of the repository that is searched for drawings.
pub(super) struct SpecPage {
    /// The page's path from the root of the workspace.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// One `mermaid` block. Its first line is a comment with its name, `%% NAME`, or `%% NAME: what else is to be said`.
#[derive(Clone)]
pub(super) struct Drawing {
    pub(super) page: String,
    pub(super) name: String,
    /// The Mermaid source without the line that names the drawing.
    pub(super) text: String,
}

impl Drawing {
    /// The word that says of which kind it is.
    pub(super) fn kind(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }
}

impl SpecPage {
    /// All `mermaid` blocks of the page, in their order.
    ///
    /// Fails when one has no name or no end.
    pub(super) fn drawings(&self) -> Result<Vec<Drawing>> {
        let page = self.path.display().to_string();
        let blocks = self.text.split("\n```mermaid\n").skip(1);
        let drawing = |block: &str| {
            let Some((block, _)) = block.split_once("\n```") else {
                bail!("{page}: a drawing does not end");
            };
            let named = block.strip_prefix("%% ").and_then(|block| block.split_once('\n'));
            let (name, text) =
                named.with_context(|| format!("{page}: a drawing begins without `%% NAME`"))?;
            let name = name.split(':').next().unwrap_or_default();
            Ok(Drawing {
                page: page.clone(),
                name: name.to_owned(),
                text: text.to_owned(),
            })
        };
        blocks.map(drawing).collect()
    }
}

/// All pages below the root, in the order of their paths.
///
/// Fails when one cannot be read.
pub(super) fn all(root: &Path) -> Result<Vec<SpecPage>> {
    let mut pages = Vec::new();
    walk(root, root, &mut pages)?;
    pages.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(pages)
}

/// Folders that are not the project's text.
const SKIPPED: [&str; 3] = [".git", "target", "node_modules"];

fn walk(root: &Path, folder: &Path, pages: &mut Vec<SpecPage>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            walk(root, &path, pages)?;
        } else if path.extension().is_some_and(|ending| ending == "md") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
            pages.push(SpecPage { path, text });
        }
    }
    Ok(())
}

/// Follows every link from a page to a file or a heading of the project.
///
/// Errors: all links that lead nowhere.
pub(super) fn check_links(root: &Path, pages: &[SpecPage]) -> Result<()> {
    let mut broken = Vec::new();
    for page in pages {
        let folder = root.join(page.path.parent().unwrap_or(Path::new("")));
        for link in links(&page.text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                root.join(&page.path)
            } else {
                folder.join(file)
            };
            if !target.exists()
                || !(heading.is_empty() || headings(&target).iter().any(|found| found == heading))
            {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    ensure!(
        broken.is_empty(),
        "links lead nowhere:\n  {}",
        broken.join("\n  ")
    );
    Ok(())
}

/// Those that do not lead out of the project.
fn links(text: &str) -> Vec<&str> {
    let outside_code = text.split("```").step_by(2);
    let ends = outside_code.flat_map(|text| text.split("](").skip(1));
    ends.filter_map(|behind| behind.split(')').next())
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .collect()
}

/// The headings of a page, as links name them.
fn headings(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let heading = |line: &str| {
        let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
    };
    text.lines().filter_map(heading).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> SpecPage {
        SpecPage {
            path: "page.md".into(),
            text: text.into(),
        }
    }

    #[test]
    fn drawings_have_a_name_and_an_end() {
        let drawings = page("a\n```mermaid\n%% one: said of it\nflowchart TD\n  a --> b\n```\nb")
            .drawings()
            .unwrap();
        assert_eq!(
            (drawings[0].name.as_str(), drawings[0].kind()),
            ("one", "flowchart")
        );
        assert!(page("a\n```mermaid\nflowchart TD\n```\n").drawings().is_err());
        assert!(page("a\n```mermaid\n%% one\nflowchart TD\n").drawings().is_err());
    }

    #[test]
    fn links_are_followed_to_files_and_headings() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("other.md"), "# 9. The keys\n").unwrap();
        let check = |text: &str| check_links(folder.path(), &[page(text)]);
        assert!(check("[a](other.md) [b](other.md#9-the-keys) [c](https://nowhere.example/x)").is_ok());
        assert!(check("```sh\necho [a](nothing.md)\n```").is_ok());
        for broken in ["[a](nothing.md)", "[a](other.md#the-keys)"] {
            assert!(check(broken).is_err(), "{broken}");
        }
    }
}
