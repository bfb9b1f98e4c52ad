//! The drawings in the pages: `mermaid` blocks, which GitHub shows. Each is held against what it draws, without a renderer, by
//! [`check`] (part of `cargo xtask check`); `cargo xtask drawings` also renders each, and fails on one that does not render.
//!
//! | module | does |
//! |---|---|
//! | `pages` | finds pages, their drawings, and links that lead nowhere |
//! | `flowchart` | reads nodes and arrows |
//! | `truth` | compares a drawing with the table, page or manifests that it draws |
//! | `render` | renders, with a pinned Mermaid in a browser without a window |

mod flowchart;
mod pages;
mod render;
mod truth;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::process::workspace_root;
use pages::{Drawing, SpecPage};

/// The options of `cargo xtask drawings`: where the rendered drawings are kept.
#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask drawings\n  cargo xtask drawings --out /tmp/drawings")]
pub(crate) struct Options {
    /// Write each drawing as NAME.svg into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Checks all drawings, then renders them.
///
/// Errors: as [`check`]; when Mermaid or a browser cannot be had; the
/// drawings that do not render, each with the reason.
pub(crate) fn run(options: &Options) -> Result<()> {
    let drawings = checked(&workspace_root())?;
    render::all(&drawings, options.out.as_deref())?;
    println!("{} drawings render", drawings.len());
    Ok(())
}

/// Compares each drawing with what it draws, and follows the links between pages. It needs no renderer.
///
/// Errors: the first drawing that is not true, or page with a link that leads nowhere.
pub(crate) fn check() -> Result<()> {
    let drawings = checked(&workspace_root())?;
    eprintln!("==> drawings: {} are as what they draw", drawings.len());
    Ok(())
}

/// How many drawings the pages have.
///
/// Fails when a page cannot be read, or a drawing has no name or no end.
pub(crate) fn count(root: &Path) -> Result<usize> {
    let drawings = pages::all(root)?
        .iter()
        .map(SpecPage::drawings)
        .collect::<Result<Vec<_>>>()?;
    Ok(drawings.concat().len())
}

/// The drawings that there must be, each once, and of which kind each is.
const EXPECTED: [(&str, &str); 6] = [
    ("crates", "flowchart"),
    ("flow-upload", "sequenceDiagram"),
    ("flow-download", "sequenceDiagram"),
    ("flow-reference", "sequenceDiagram"),
    ("keys", "flowchart"),
    ("states", "stateDiagram-v2"),
];

fn checked(root: &Path) -> Result<Vec<Drawing>> {
    let pages = pages::all(root)?;
    truth::check_readmes()?;
    pages::check_links(root, &pages)?;
    let drawings: Vec<Drawing> = pages
        .iter()
        .map(SpecPage::drawings)
        .collect::<Result<Vec<_>>>()?
        .concat();
    expected(&drawings)?;
    for drawing in &drawings {
        truth::check(root, drawing).with_context(|| format!("{}, drawing {}", drawing.page, drawing.name))?;
    }
    Ok(drawings)
}

fn expected(drawings: &[Drawing]) -> Result<()> {
    for drawing in drawings {
        let Some((_, kind)) = EXPECTED.iter().find(|(name, _)| *name == drawing.name) else {
            bail!(
                "{}: nothing checks a drawing {}: enter it in `EXPECTED`",
                drawing.page,
                drawing.name
            );
        };
        ensure!(
            drawing.kind() == *kind,
            "{}: drawing {} begins with `{}` and not with `{kind}`",
            drawing.page,
            drawing.name,
            drawing.kind()
        );
    }
    for (name, _) in EXPECTED {
        let found = drawings.iter().filter(|drawing| drawing.name == name).count();
        ensure!(found == 1, "there are {found} drawings {name}, and not one");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawings_are_as_what_they_draw() {
        assert_eq!(checked(&workspace_root()).unwrap().len(), EXPECTED.len());
    }

    #[test]
    fn a_drawing_that_nothing_checks_and_one_of_another_kind_are_refused() {
        let of = |name: &str, text: &str| {
            vec![Drawing {
                page: "page.md".into(),
                name: name.into(),
                text: text.into(),
            }]
        };
        let refused = |drawings: &[Drawing]| expected(drawings).unwrap_err().to_string();
        assert!(refused(&of("of-mine", "flowchart TD")).contains("nothing checks"));
        assert!(refused(&of("states", "graph TD")).contains("`graph`"));
        assert!(refused(&of("states", "stateDiagram-v2")).contains("0 drawings crates"));
    }
}
