//! The shape of the code: figures over the production code, each with the most that it may be in `shape.toml`. `cargo xtask check`
//! fails when one has grown; no compiler is needed.
//!
//! Production code are the files that `lib.rs` and `main.rs` of the packages in [`PACKAGES`] lead to by `mod`, without items that have
//! `#[cfg(test)]`. A node of a circle is a file.
//!
//! | figure | counts |
//! |---|---|
//! | `lines`, `code` | lines; lines that are neither blank nor begin with `//` |
//! | `circles`, `files_in_circles` | sets of files each of which needs all the others by imports and paths (`ties`); files in them |
//! | `circle_with_contents` | files of the largest circle when a module's use of what is below it counts, too |
//! | `circle_with_methods` | files of the largest circle when calls of inherent methods count, too, whose name no other method has |
//! | `methods_of_one_type`, `files_of_one_type` | the most functions in inherent `impl`s of one type; the most files with such `impl`s |
//! | `functions_over_60`, `functions_over_50`, `longest_function` | functions by lines, from `fn` to the brace |
//! | `files_over_400` | files of more than 400 production lines |
//! | `pb_in_server`, `pb_in_client` | `pb::` in code of `vault-server`; of `client-sdk` and the packages in its folder |
//! | `short_doc_lines` | lines that begin with `///` or `//!` and have one to four words |
//! | `shared_names` | names of types that three or more files define, `Command` and `Options` apart |
//! | `duplicates`, `duplicates_beyond_boilerplate` | pairs of equal runs of ten lines of code or more; those that are not only imports, attributes, fields and braces |
//!
//! | module | does |
//! |---|---|
//! | `production` | one file without its tests |
//! | `modules`, `imports` | one crate as modules |
//! | `resolve` | where a path leads |
//! | `words`, `ties`, `circles` | which files need which |
//! | `methods`, `functions`, `names`, `duplicates` | count |
//! | `figures`, `limits`, `report` | put it together, compare it, print it |

mod circles;
mod duplicates;
mod figures;
mod functions;
mod imports;
mod limits;
mod methods;
mod modules;
mod names;
mod production;
mod report;
mod resolve;
mod ties;
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::workspace_root;
use figures::Figure;
use limits::Ceilings;
use modules::Crate;

/// The packages whose `src` is production code. `tests` is not.
const PACKAGES: [&str; 9] = [
    "protocol-spec",
    "protocol-spec/guard",
    "protocol-spec/witness",
    "crypto",
    "client-sdk",
    "client-sdk/cli",
    "client-sdk/reader",
    "vault-server",
    ".cargo/xtask",
];

/// The most that each figure may be.
const FILE: &str = ".cargo/xtask/shape.toml";

/// What to print or to change.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask shape\n  cargo xtask shape --json\n  cargo xtask shape --tighten"
)]
pub(crate) struct Options {
    /// Print JSON, with all that makes each figure
    #[arg(long)]
    json: bool,
    /// Print all that makes each figure, and not the worst alone
    #[arg(long)]
    all: bool,
    /// Lower the limits in shape.toml that can be lowered
    #[arg(long)]
    tighten: bool,
}

/// Prints the shape, and compares it with the limits, which are lowered before where that is asked for.
///
/// Errors: the errors of [`check`]: a figure above its limit, a file that cannot be read.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace_root();
    let crates = crates(&root)?;
    let figures = figures::all(&crates);
    let (mut limits, text) = limits(&root, &figures)?;
    let loose = limits::loose(&figures, &limits);
    if options.tighten && !loose.is_empty() {
        fs::write(root.join(FILE), limits::tightened(&text, &loose))
            .with_context(|| format!("cannot write {FILE}"))?;
        eprintln!("lowered {} limits in {FILE}", loose.len());
        (limits, _) = self::limits(&root, &figures)?;
    }
    let report = report::Report::new(&root, &crates, figures, &limits)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text(options.all));
    }
    compare(&report.figures, &limits)
}

/// Whether no figure is above its limit. Says which limits can be lowered.
///
/// Errors: each figure that has grown, with what makes it. When a file cannot be read or is not Rust, and when limits
/// and figures are not the same ones.
pub(crate) fn check() -> Result<()> {
    let root = workspace_root();
    let figures = figures::all(&crates(&root)?);
    let (limits, _) = limits(&root, &figures)?;
    compare(&figures, &limits)
}

fn compare(figures: &[Figure], limits: &Ceilings) -> Result<()> {
    if let Some(grown) = limits::grown(figures, limits) {
        bail!("the shape of the code has grown beyond {FILE}:\n{grown}");
    }
    let loose = limits::loose(figures, limits);
    for (key, limit, enough) in &loose {
        eprintln!("    {key}: the limit of {limit} can be {enough}");
    }
    if !loose.is_empty() {
        eprintln!("    `cargo xtask shape --tighten` lowers what can be lower in {FILE}");
    }
    Ok(())
}

fn crates(root: &Path) -> Result<Vec<Crate>> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    PACKAGES
        .iter()
        .map(|package| Crate::read(package, &read))
        .collect()
}

/// The limits, and the text that they stand in.
fn limits(root: &Path, figures: &[Figure]) -> Result<(Ceilings, String)> {
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let limits = limits::read(&text, figures).context(FILE)?;
    Ok((limits, text))
}
