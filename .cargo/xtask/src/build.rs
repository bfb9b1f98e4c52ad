//! All programs, twice: as they are, and weakened, for the negative controls of the protocol tests.
//!
//! Cargo has one name and place for a program, whatever its features. So the weakened ones are built first
//! and copied to a folder of their own; the ordinary build then puts the ordinary ones in their place.

use std::fs;

use anyhow::{Context, Result};

use crate::process::{cargo, program, step};

const PROGRAMS: [&str; 3] = ["vault-server", "medvault", "medvault-witness"];

/// Builds the weakened programs, then everything in the workspace.
/// Fails when a build fails, with its command line, or a program cannot be copied.
pub(crate) fn run() -> Result<()> {
    weakened()?;
    step("build", &mut cargo(["build", "--workspace", "--all-targets"]))
}

/// Builds the programs alone, without tests: as they are, and weakened.
pub(crate) fn programs() -> Result<()> {
    weakened()?;
    step("build", &mut cargo(["build", "--workspace", "--bins"]))
}

/// Of the whole workspace, so that all dependencies have the features they have without.
fn weakened() -> Result<()> {
    let features = PROGRAMS.map(|name| format!("{name}/weakened")).join(",");
    let mut build = cargo(["build", "--workspace", "--bins", "--features", &features]);
    step("build of weakened programs", &mut build)?;
    let folder = program("weakened")?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in PROGRAMS {
        let to = folder.join(name);
        // A running program cannot be written over, but replaced.
        if to.exists() {
            fs::remove_file(&to).with_context(|| format!("cannot replace {}", to.display()))?;
        }
        fs::copy(program(name)?, &to).with_context(|| format!("cannot make {}", to.display()))?;
    }
    Ok(())
}
