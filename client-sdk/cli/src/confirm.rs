//! Asking a person before something is signed that cannot be taken back.

use std::{
    io::{IsTerminal, Write, stderr, stdin},
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    context::Context,
    failure::Failure,
    output::{moment, note},
};

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

/// Asks about what would be over within the hour: `6m` are six minutes, and six months were meant more than once. A program that reads
/// the answer, and `--yes`, mean what they say.
pub(crate) fn if_short(context: &Context, yes: bool, life: Duration) -> Result<(), Failure> {
    if yes || context.json() || life >= SHORT {
        return Ok(());
    }
    let about = format!(
        "It would be over in {}, at {} ({MINUTES})",
        humantime::format_duration(life),
        moment(from_now(life))
    );
    confirm(&about, "Is that meant?")
}

/// Whether a life is so short that another unit may have been meant.
pub(crate) fn is_short(life: Duration) -> bool {
    life < SHORT
}

/// When something is over that begins now, in milliseconds since 1970.
pub(crate) fn from_now(life: Duration) -> u64 {
    let end = UNIX_EPOCH.elapsed().unwrap_or_default().saturating_add(life);
    u64::try_from(end.as_millis()).unwrap_or(u64::MAX)
}

/// What is said of a short life.
pub(crate) const MINUTES: &str = "6m are minutes; months are 6months or 180d";
const SHORT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_not_short() {
        let read = |text| crate::values::duration(text).unwrap();
        assert!(is_short(read("6m")) && is_short(read("59m 59s")));
        assert!(!is_short(read("1h")) && !is_short(read("6months")) && !is_short(read("180d")));
        let ends = from_now(read("180d"));
        assert!(ends > from_now(Duration::ZERO) + 179 * 86_400_000);
    }
}
