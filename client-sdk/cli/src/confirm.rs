//! Asking a person before something is signed that cannot be taken back.

use std::io::{IsTerminal, Write, stderr, stdin};

use crate::{failure::Failure, output::note};

/// Shows what it is about and asks; everything but a yes declines.
pub(crate) fn confirm(about: &str, question: &str) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::usage(
            "nobody is there to confirm: give --yes once you have compared what it shows",
        ));
    }
    note(about);
    let _ = write!(stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    stdin().read_line(&mut answer).map_err(|_| Failure::declined())?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::declined())
    }
}
