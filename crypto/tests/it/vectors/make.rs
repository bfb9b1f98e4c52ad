//! Builds the cases. Each failing one is a succeeding one with one thing wrong.

mod conditions;
mod content;
mod emergency;
mod keys;
mod link;
mod recovery;
mod sealed;

use actors::vectors;

use super::case::{Case, Check, Hex, Record};

pub fn all() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("conditions", conditions::cases()),
        ("content", content::cases()),
        ("delegated-key", sealed::delegated_key_cases()),
        ("emergency", emergency::cases()),
        ("key-wrap", keys::cases()),
        ("link", link::cases()),
        ("permission-key", sealed::permission_cases()),
        ("recovery", recovery::cases()),
        ("text", sealed::text_cases()),
    ]
}

/// Numbers cases in the order in which they are added.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn success(&mut self, name: &str, rule: &str, description: &str, check: Check) {
        let name = self.next(name);
        self.0.push(vectors::good(rule, &name, description, check));
    }

    fn open_failure(&mut self, name: &str, rule: &str, description: &str, check: Check) {
        self.failure(name, rule, description, "open failure", check);
    }

    fn malformed(&mut self, name: &str, rule: &str, description: &str, check: Check) {
        self.failure(name, rule, description, "malformed", check);
    }

    fn failure(&mut self, name: &str, rule: &str, description: &str, expect: &str, check: Check) {
        let name = self.next(name);
        self.0.push(vectors::bad(rule, expect, &name, description, check));
    }

    /// The name with the number of the case.
    fn next(&self, name: &str) -> String {
        format!("{:02}-{name}", self.0.len() + 1)
    }
}

fn record() -> Record {
    Record {
        data_key: bytes(0xd0, 32),
        patient: bytes(0xa0, 32),
        record: bytes(0xb0, 16),
        version: bytes(0xc0, 16),
    }
}

/// `length` times the same byte.
fn bytes(byte: u8, length: usize) -> Hex {
    Hex(vec![byte; length])
}

fn flipped(bytes: &Hex, at: usize) -> Hex {
    Hex(vectors::flipped(&bytes.0, at))
}
