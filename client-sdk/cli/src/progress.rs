//! Transfers shown as a bar on standard error, when a terminal is attached there.

use std::io::{IsTerminal, stderr};

use client_sdk::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar; hidden when nobody would see it.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar for a transfer described by one word, hidden with `json` or without a terminal.
    pub(crate) fn new(verb: &'static str, json: bool) -> Self {
        Self::with(TEMPLATE, verb, json)
    }

    /// A count of records, as [`Self::new`].
    pub(crate) fn records(verb: &'static str, json: bool) -> Self {
        Self::with(RECORDS, verb, json)
    }

    /// A count of entries of the log, as [`Self::new`].
    pub(crate) fn entries(verb: &'static str, json: bool) -> Self {
        Self::with(ENTRIES, verb, json)
    }

    fn with(template: &str, verb: &'static str, json: bool) -> Self {
        let bar = ProgressBar::no_length().with_prefix(verb);
        let visible = !json && stderr().is_terminal();
        bar.set_draw_target(if visible {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        });
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn started(&self, total: u64) {
        self.0.set_length(total);
        self.0.reset();
    }

    fn advanced(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn finished(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    // A transfer that fails must not leave half a bar in front of the error line.
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const ENTRIES: &str = "{prefix} [{bar:30}] {human_pos}/{human_len} entries  {eta} left";
const RECORDS: &str = "{prefix} {human_pos} records";
const TEMPLATE: &str = "{prefix} [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
