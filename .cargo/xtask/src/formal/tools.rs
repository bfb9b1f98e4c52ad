//! The two tools: how they come here, how they are asked, how their answers are read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::model::{Model, QueryVerdict};
use crate::process::{cargo, in_path, program};

const VERIFPAL: &str = "1.6.7";

/// Verifpal at the pinned version, which is installed first where it is missing.
///
/// Fails when it cannot be installed, with what cargo says.
pub(super) fn verifpal() -> Result<PathBuf> {
    let root = program(&format!("verifpal-{VERIFPAL}"))?;
    let tool = root.join("bin/verifpal");
    if tool.is_file() {
        return Ok(tool);
    }
    eprintln!("installing verifpal {VERIFPAL}, which takes some minutes");
    // It asks for a newer Rust than it needs.
    let arguments = [
        "install",
        "verifpal",
        "--locked",
        "--ignore-rust-version",
        "--version",
        VERIFPAL,
    ];
    let build = root.join("build");
    let mut install = cargo(arguments);
    install.arg("--root").arg(&root).env("CARGO_TARGET_DIR", &build);
    let output = install.output().context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "cannot install verifpal (it comes from crates.io):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    Ok(tool)
}

/// The verdict of each query.
///
/// Fails when Verifpal does not understand the model.
pub(super) fn ask_verifpal(tool: &Path, model: &Model) -> Result<Vec<(String, QueryVerdict)>> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let path = folder.path().join(format!("{}.vp", model.name));
    let mut answers = Vec::new();
    for (sessions, text) in model.by_sessions() {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        answers.extend(explore(tool, &model.name, &path, sessions)?);
    }
    Ok(answers)
}

fn explore(tool: &Path, name: &str, path: &Path, sessions: &str) -> Result<Vec<(String, QueryVerdict)>> {
    let mut command = Command::new(tool);
    command
        .args(["verify", "--format", "json", "--sessions", sessions])
        .arg(path);
    let output = command.output().context("cannot start verifpal")?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{name}: cannot read verifpal's report"))?;
    let Some([analysed]) = report["models"].as_array().map(Vec::as_slice) else {
        bail!("{name}: verifpal reports no model");
    };
    ensure!(
        analysed["ok"] == true,
        "{name}: verifpal refuses it: {}",
        analysed["error"]
    );
    let queries = analysed["analysis"]["queries"].as_array();
    let queries = queries.with_context(|| format!("{name}: verifpal reports no queries"))?;
    queries.iter().map(|query| answer(name, query)).collect()
}

/// A query is `resolved` when an attack was found.
fn answer(name: &str, query: &Value) -> Result<(String, QueryVerdict)> {
    let parts = (query["query"].as_str(), query["resolved"].as_bool());
    let (Some(text), Some(resolved)) = parts else {
        bail!("{name}: a query of verifpal's report is not as expected");
    };
    let exhausted = query["envelope"]["exhausted"] == true;
    let verdict = match (resolved, exhausted) {
        (true, _) => QueryVerdict::Attack,
        (false, true) => QueryVerdict::Holds,
        (false, false) => QueryVerdict::Open,
    };
    Ok((text.to_owned(), verdict))
}

pub(super) fn has_proverif() -> bool {
    in_path("proverif")
}

/// ProVerif names queries in its own way, so its answers are taken in their order.
///
/// Fails when ProVerif does not understand the model.
pub(super) fn ask_proverif(model: &Model) -> Result<Vec<(String, QueryVerdict)>> {
    let output = Command::new("proverif")
        .arg(&model.path)
        .output()
        .context("cannot start proverif")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{}: proverif refuses it:\n{text}",
        model.name
    );
    let verdicts = results(&text);
    Ok(model
        .expected
        .iter()
        .map(|(query, _)| query.clone())
        .zip(verdicts)
        .collect())
}

/// Of a query over injective events that does not hold, a second line in brackets says whether it does without that.
fn results(text: &str) -> Vec<QueryVerdict> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("RESULT "))
        .filter(|line| !line.starts_with('('));
    let verdict = |line: &str| match line {
        _ if line.ends_with(" is true.") => QueryVerdict::Holds,
        _ if line.ends_with(" is false.") => QueryVerdict::Attack,
        _ => QueryVerdict::Open,
    };
    lines.map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_verifpal_could_not_search_through_does_not_hold() {
        let query = |resolved: bool, exhausted: bool| {
            let query = json!({ "query": "q", "resolved": resolved, "envelope": { "exhausted": exhausted } });
            answer("model", &query).unwrap().1
        };
        assert_eq!(query(false, true), QueryVerdict::Holds);
        assert_eq!(query(false, false), QueryVerdict::Open);
        assert_eq!(query(true, false), QueryVerdict::Attack);
        assert!(answer("model", &json!({ "query": "q" })).is_err());
    }

    #[test]
    fn lines_of_proverif_are_read_in_their_order() {
        let text = "RESULT not attacker(record[]) is true.\nRESULT inj-event(A) ==> inj-event(B) is false.\n\
                    RESULT (even event(A) ==> event(B) is false.)\nRESULT event(C) cannot be proved.\n";
        assert_eq!(
            results(text),
            [QueryVerdict::Holds, QueryVerdict::Attack, QueryVerdict::Open]
        );
    }
}
