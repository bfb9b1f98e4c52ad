//! `cargo xtask test`: everything that CI runs.
//!
//! One build of all targets comes first, because the protocol tests start the programs of other packages.

use std::time::Instant;

use anyhow::Result;

use crate::process::{cargo, in_path, step};
use crate::{build, check, decryptor};

/// Runs the static checks, then all tests, then the decryptor over the vectors.
///
/// Errors: the first step that fails, with its command line.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    check::run()?;
    build::run()?;
    if in_path("cargo-nextest") {
        step(
            "tests",
            &mut cargo(["nextest", "run", "--workspace", "--no-fail-fast"]),
        )?;
    } else {
        step(
            "tests",
            &mut cargo(["test", "--workspace", "--all-targets", "--no-fail-fast"]),
        )?;
    }
    // nextest runs no documentation tests
    step(
        "documentation tests",
        &mut cargo(["test", "--workspace", "--doc"]),
    )?;
    decryptor::run(&decryptor::Options::default())?;
    println!("all passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}
