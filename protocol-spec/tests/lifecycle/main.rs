//! Permissions through every order of events, within bounds, on the functions that the server runs.
//!
//! Two institutions, two devices, three permissions (the third takes the place of the first), one collection that is
//! re-keyed once, a clock that jumps between three moments in both directions, restarts, and two transactions that overlap.
//! Each rule has its control: without it, the checker finds how what it keeps out comes about.
//!
//! One transaction after the other, all within these bounds is explored: 4,796,019 states. With two at once (`cargo xtask model`) there are
//! too many for three permissions; they are explored for each pair of which one can matter to the other: the first with the one that takes
//! its place (2,456,889 states), and the first with the second institution's (3,441,558).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod model;
mod world;

use std::time::Instant;

use model::{EPOCHS, NO_DOUBLE_SPEND, NO_RELEASE, NO_RETURN, Vault};
use protocol_spec::lifecycle::Rules;
use stateright::{Checker, HasDiscoveries, Model};

/// Explores all states that there are within the bounds, and says how many.
fn explore(vault: Vault) {
    let started = Instant::now();
    let checker = vault.checker().threads(threads()).spawn_bfs().join();
    checker.assert_properties();
    println!(
        "{} distinct states, {} in all, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f64()
    );
}

/// Without a rule, events lead to where `property` does not hold.
fn breaks(vault: Vault, property: &'static str) {
    let checker = vault
        .checker()
        .threads(threads())
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .spawn_bfs()
        .join();
    let path = checker.discovery(property);
    assert!(path.is_some(), "{property}: it holds without the rule");
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn without(change: impl FnOnce(&mut Rules)) -> Vault {
    let mut rules = Rules::ALL;
    change(&mut rules);
    Vault {
        rules,
        ..Vault::new()
    }
}

/// ATK-30: One transaction after the other.
#[test]
fn permissions_hold_in_every_order_of_requests() {
    explore(Vault {
        in_flight: 1,
        ..Vault::new()
    });
}

/// Two transactions that overlap, on a permission and on the one that takes its place. More states than a test should take:
/// `cargo xtask model` runs it.
#[test]
#[ignore = "takes minutes: cargo xtask model"]
fn permissions_hold_while_requests_overlap() {
    explore(Vault {
        given: &[0, 2],
        ..Vault::new()
    });
}

/// Two transactions that overlap, on the permissions of two institutions.
#[test]
#[ignore = "takes minutes: cargo xtask model"]
fn permissions_of_two_institutions_hold_while_requests_overlap() {
    explore(Vault {
        given: &[0, 1],
        ..Vault::new()
    });
}

/// ATK-30: the rows that a transaction has read have changed, and nobody looks.
#[test]
fn without_commit_checks_a_use_is_spent_twice() {
    let vault = || Vault {
        commit_checks: false,
        ..Vault::new()
    };
    breaks(vault(), NO_DOUBLE_SPEND);
    // A presentation that overlaps a revocation writes back what it read.
    breaks(vault(), NO_RETURN);
}

/// ATK-30
#[test]
fn without_budgets_a_use_is_spent_twice() {
    breaks(without(|rules| rules.budgets = false), NO_DOUBLE_SPEND);
}

/// FLW-5
#[test]
fn without_revocation_there_is_a_release() {
    breaks(without(|rules| rules.revocation = false), NO_RELEASE);
}

/// PRM-14
#[test]
fn without_replacement_there_is_a_release() {
    breaks(without(|rules| rules.replacement = false), NO_RELEASE);
}

/// PRM-12
#[test]
fn without_deadlines_there_is_a_release() {
    breaks(without(|rules| rules.deadlines = false), NO_RELEASE);
}

/// ATK-29: a clock that is set back over a restart.
#[test]
fn without_a_written_floor_what_was_over_begins_again() {
    let vault = || Vault {
        durable_floor: false,
        ..Vault::new()
    };
    breaks(vault(), NO_RETURN);
    breaks(vault(), NO_RELEASE);
}

/// COL-6, COL-7
#[test]
fn without_epochs_a_permission_reaches_into_another() {
    let vault = Vault {
        epochs: false,
        ..Vault::new()
    };
    breaks(vault, EPOCHS);
}
