//! Measurements, by the benchmark program of the `tests` package.

use std::process::Command;

use anyhow::Result;

use crate::process::{cargo, program, step};

/// Builds all programs and runs the benchmark with the given arguments. The log is measured inside the server, because
/// outside it nobody places leaves: `log` alone, or `log N` for a log that grows to so many leaves.
///
/// Fails when the build or the benchmark fails, with its command line.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let [first, rest @ ..] = arguments
        && first == "log"
    {
        return log(rest.first().map_or(LOG_LEAVES, String::as_str));
    }
    step("build", &mut cargo(["build", "--workspace", "--bins"]))?;
    step("bench", Command::new(program("bench")?).args(arguments))?;
    if arguments.is_empty() {
        log(LOG_LEAVES)?;
    }
    Ok(())
}

const LOG_LEAVES: &str = "1048576";

fn log(leaves: &str) -> Result<()> {
    let test = "vault::tests::log_figures::figures";
    let mut figures = cargo([
        "test",
        "--workspace",
        "--lib",
        "--",
        "--ignored",
        "--exact",
        test,
        "--nocapture",
    ]);
    step("bench of the log", figures.env("MEDVAULT_LOG_LEAVES", leaves))
}
