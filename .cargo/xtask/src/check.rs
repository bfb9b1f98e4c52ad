//! The static checks: format, lints, documentation, dependency rules.
//!
//! Each runs over the whole workspace, so that all of them share one set of features and the compiled
//! metadata of the dependencies.

use anyhow::Result;

use crate::process::{cargo, in_path, step};

/// Runs every static check.
///
/// # Errors
/// The first check that fails, with its command line.
pub(crate) fn run() -> Result<()> {
    step("format", &mut cargo(["fmt", "--all", "--check"]))?;
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
        return step("dependency rules", &mut cargo(arguments));
    }
    println!("==> dependency rules: cargo-deny is not installed, licences and sources are not checked;");
    println!("    that the server links no cipher is checked by a test over `cargo metadata` all the same");
    println!("    (to install: cargo install cargo-deny --locked)");
    Ok(())
}
