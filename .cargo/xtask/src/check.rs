//! The static checks: order and index of the specification's rules, shape of the code, format, drawings and links of
//! pages, lints, documentation, dependency rules.
//!
//! The first two take no compiler. Each of the others runs over the whole workspace, so that all of them
//! share one set of features and the compiled metadata of the dependencies.

use anyhow::Result;

use crate::drawings;
use crate::process::{cargo, in_path, step};
use crate::{rules, shape};

/// Runs every static check, until one fails.
///
/// Errors: the first check that fails, with its command line.
pub(crate) fn run() -> Result<()> {
    eprintln!("==> index of rules");
    rules::check()?;
    eprintln!("==> shape of the code");
    shape::check()?;
    step("format", &mut cargo(["fmt", "--all", "--check"]))?;
    drawings::check()?;
    step(
        "lints",
        &mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    step(
        "documentation",
        cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    dependency_rules()
}

/// Who may depend on what, which licences and sources are allowed: `.cargo/deny.toml`.
fn dependency_rules() -> Result<()> {
    if in_path("cargo-deny") {
        let arguments = [
            "deny",
            "--config",
            ".cargo/deny.toml",
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ];
        step("dependency rules", &mut cargo(arguments))?;
        return advisories();
    }
    println!(
        "==> dependency rules: cargo-deny is not installed: licences, sources and advisories are not checked;"
    );
    println!("    that the server links no cipher is checked by a test over `cargo metadata` all the same");
    println!("    (to install: cargo install cargo-deny --locked)");
    Ok(())
}

/// What is known against a dependency. The database changes every day, so it is fetched; without it nothing is said, and
/// least of all that there is nothing.
fn advisories() -> Result<()> {
    let deny = |arguments: &[&str]| {
        let mut command = cargo(["deny", "--config", ".cargo/deny.toml"]);
        command.args(arguments);
        command
    };
    if step("database of advisories", &mut deny(&["fetch", "db"])).is_err() {
        println!("==> advisories: not checked, because their database cannot be fetched");
        return Ok(());
    }
    let check = ["check", "--disable-fetch", "--hide-inclusion-graph", "advisories"];
    step("advisories", &mut deny(&check))
}
