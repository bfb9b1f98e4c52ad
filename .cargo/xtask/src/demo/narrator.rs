//! What the demo prints: headings, and one line for each step: who sends what to whom, and how long it took.

use std::fmt::Display;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Starts a part of the story.
pub(super) fn heading(title: &str) {
    if stdout().is_terminal() {
        println!("\n\x1b[1m{title}\x1b[0m");
    } else {
        println!("\n{title}");
    }
}

/// Does a step and tells of it when it is done. Times include starting the program and unlocking its keys.
///
/// Errors: what the step returns.
pub(super) fn tell<T>(route: &str, what: impl Display, action: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let done = action()?;
    line(route, &what, started.elapsed());
    Ok(done)
}

/// Like [`tell`], but what is told depends on the outcome and the time.
///
/// Errors: what the step returns.
pub(super) fn tell_after<T>(
    route: &str,
    action: impl FnOnce() -> Result<T>,
    what: impl FnOnce(&T, Duration) -> String,
) -> Result<T> {
    let started = Instant::now();
    let done = action()?;
    let elapsed = started.elapsed();
    line(route, &what(&done, elapsed), elapsed);
    Ok(done)
}

/// A remark below a step.
pub(super) fn remark(text: impl Display) {
    println!("  {:ROUTE$}  {text}", "");
}

/// Bytes in a unit that people read.
pub(super) fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let amount = bytes as f64 / unit;
    format!("{amount:.1} {name}")
}

/// Throughput in a unit that people read.
pub(super) fn rate(bytes: u64, time: Duration) -> String {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let megabytes = bytes as f64 / 1e6 / time.as_secs_f64().max(1e-6);
    format!("{megabytes:.0} MB/s")
}

fn line(route: &str, what: &impl Display, time: Duration) {
    println!("  {route:ROUTE$}  {what}  [{} ms]", time.as_millis());
}

/// Width of the column that says who sends to whom.
const ROUTE: usize = 46;
