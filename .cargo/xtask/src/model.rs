//! The model of permissions, through all its states.

use anyhow::Result;

use crate::process::{cargo, step};

/// Explores the model, also with transactions that overlap, and says how many states there are.
///
/// Fails when a property does not hold, with the events that lead there.
pub(crate) fn run() -> Result<()> {
    let arguments = [
        "test",
        "--package",
        "protocol-spec",
        "--test",
        "lifecycle",
        "--",
        "--include-ignored",
        "--nocapture",
    ];
    step("model of permissions", &mut cargo(arguments))
}
