//! Measurements, by the benchmark program of the `tests` package.

use std::process::Command;

use anyhow::Result;

use crate::process::{cargo, program, step};

/// Builds all programs and runs the benchmark with the given arguments.
///
/// # Errors
/// When the build or the benchmark fails, with its command line.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    step("build", &mut cargo(["build", "--workspace", "--bins"]))?;
    step("bench", Command::new(program("bench")?).args(arguments))
}
