//! The formal models of `protocol-spec/formal`: each query must give what the model's header expects, attacks included.
//!
//! Verifpal is a tool under the GPL, installed at a pinned version beside the programs and never linked. ProVerif comes from
//! no registry that cargo knows; it is used when it is in `PATH`.

mod model;
mod reserved;
mod tools;

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::process::workspace_root;
use model::{Model, QueryVerdict};

/// What to run and how to report.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask formal\n  cargo xtask formal --json revocation emergency-card"
)]
pub(crate) struct Options {
    /// Models to run; all when none is named
    models: Vec<String>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// One query of one model.
struct ModelRow {
    tool: &'static str,
    model: String,
    query: String,
    expected: QueryVerdict,
    found: QueryVerdict,
    /// How long the tool took for the whole model.
    seconds: f64,
}

/// Runs the models, and says which queries give what they must.
///
/// Fails when Verifpal cannot be had, a header is not as it must be, or a query gives something else than expected.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = workspace_root().join("protocol-spec/formal");
    let (verifpal, proverif) = (model::all(&folder, "vp")?, model::all(&folder, "pv")?);
    model::check(&verifpal, &proverif)?;
    let wanted = |model: &&Model| options.models.is_empty() || options.models.contains(&model.name);
    let tool = tools::verifpal()?;
    let mut rows = Vec::new();
    for model in verifpal.values().filter(wanted) {
        run_one(options, "verifpal", model, &mut rows, |model| {
            tools::ask_verifpal(&tool, model)
        })?;
    }
    let has_proverif = tools::has_proverif();
    for model in proverif.values().filter(wanted).filter(|_| has_proverif) {
        run_one(options, "proverif", model, &mut rows, tools::ask_proverif)?;
    }
    let not_run = !has_proverif && proverif.values().any(|model| wanted(&model));
    ensure!(
        !rows.is_empty() || !not_run,
        "not run: proverif not found, install it and put it into PATH"
    );
    ensure!(!rows.is_empty(), "no model has this name");
    report(options, &rows, has_proverif);
    let differ = differ(&rows);
    ensure!(differ == 0, "{differ} queries give something else than expected");
    Ok(())
}

fn run_one(
    options: &Options,
    tool: &'static str,
    model: &Model,
    rows: &mut Vec<ModelRow>,
    ask: impl Fn(&Model) -> Result<Vec<(String, QueryVerdict)>>,
) -> Result<()> {
    let started = Instant::now();
    let found = ask(model)?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(
        found.len() == model.expected.len(),
        "{}: {tool} answered {} queries of {}",
        model.name,
        found.len(),
        model.expected.len()
    );
    let from = rows.len();
    for (query, expected) in &model.expected {
        let answer = found.iter().find(|(asked, _)| asked == query);
        let found = answer.map_or(QueryVerdict::Open, |(_, verdict)| *verdict);
        let (model, query, expected) = (model.name.clone(), query.clone(), *expected);
        rows.push(ModelRow {
            tool,
            model,
            query,
            expected,
            found,
            seconds,
        });
    }
    if !options.json {
        show(model, rows.get(from..).unwrap_or_default());
    }
    Ok(())
}

fn show(model: &Model, rows: &[ModelRow]) {
    let Some(first) = rows.first() else { return };
    let lacks = model
        .control
        .as_ref()
        .map(|(of, without)| format!(": {of} without {without}"));
    println!(
        "{} {} ({:.1} s){}",
        first.tool,
        model.name,
        first.seconds,
        lacks.unwrap_or_default()
    );
    for row in rows {
        let mark = if row.expected == row.found { " " } else { "!" };
        println!(
            "  {mark} {:<56} expected {:<7} found {}",
            row.query,
            row.expected.word(),
            row.found.word()
        );
    }
}

fn report(options: &Options, rows: &[ModelRow], has_proverif: bool) {
    let models = rows
        .chunk_by(|left, right| (left.tool, &left.model) == (right.tool, &right.model))
        .count();
    let attacks = rows
        .iter()
        .filter(|row| row.found == QueryVerdict::Attack)
        .count();
    let proverif = if has_proverif {
        "run"
    } else {
        "not run: proverif not found"
    };
    if options.json {
        let rows: Vec<Value> = rows.iter().map(row_json).collect();
        let differ = rows.iter().filter(|row| row["expected"] != row["found"]).count();
        println!(
            "{}",
            json!({ "rows": rows, "models": models, "differ": differ, "proverif": proverif })
        );
        return;
    }
    println!(
        "{models} models, {} queries, {attacks} attacks found, {} differ",
        rows.len(),
        differ(rows)
    );
    println!("ProVerif: {proverif}");
}

fn differ(rows: &[ModelRow]) -> usize {
    rows.iter().filter(|row| row.expected != row.found).count()
}

fn row_json(row: &ModelRow) -> Value {
    json!({
        "tool": row.tool,
        "model": row.model,
        "query": row.query,
        "expected": row.expected.word(),
        "found": row.found.word(),
        "seconds": row.seconds,
    })
}
