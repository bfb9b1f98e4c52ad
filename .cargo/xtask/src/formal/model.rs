//! What the header of a model declares, and what must hold of the folder as a whole.
//!
//! ```text
//! // model: download-without-challenge
//! // control of: download                    (of a control only)
//! // without: the challenge in what is signed (of a control only)
//! // sessions: 2
//! // expect: attack | freshness? pop          (one for each query, with its exact text)
//! // expect: holds @3 | confidentiality? text (explored with three sessions instead)
//! ```
//!
//! A ProVerif file has the same in comments of its own, without sessions, `true` and `false` for what it is to say of each of
//! its queries in their order; what is only to show that a state can be reached is called `reachable: …`. Its controls are
//! files like those of Verifpal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::reserved;

/// A control differs from its model by this many lines at most, so that what it lacks is the one thing it names.
const LINES_OF_A_CONTROL: usize = 16;

/// What a query is expected to give, or gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum QueryVerdict {
    Holds,
    Attack,
    /// The tool could not decide.
    Open,
}

impl QueryVerdict {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "holds" | "true" => Some(Self::Holds),
            "attack" | "false" => Some(Self::Attack),
            _ => None,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Attack => "attack",
            Self::Open => "open",
        }
    }
}

/// A model with its header.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// How many runs of each principal are explored.
    pub(super) sessions: String,
    /// The model that it is a control of, and what it lacks.
    pub(super) control: Option<(String, String)>,
    /// By query, in the order of the header.
    pub(super) expected: Vec<(String, QueryVerdict)>,
    /// Queries that are explored with another number of sessions.
    other_sessions: BTreeMap<String, String>,
    text: String,
}

impl Model {
    /// Fails when the header lacks something, or its name is not the file's.
    pub(super) fn parse(path: PathBuf, text: String) -> Result<Self> {
        let shown = path.display().to_string();
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = field(&text, "model").with_context(|| format!("{shown}: no `model:` in the header"))?;
        ensure!(name == stem, "{shown}: the header names {name}");
        let control = match (field(&text, "control of"), field(&text, "without")) {
            (Some(of), Some(without)) => Some((of, without)),
            (None, None) => None,
            _ => anyhow::bail!("{shown}: `control of:` and `without:` stand together or not at all"),
        };
        let (mut expected, mut other_sessions) = (Vec::new(), BTreeMap::new());
        for line in fields(&text, "expect") {
            let (verdict, sessions, query) =
                expectation(line).with_context(|| format!("{shown}: cannot read `expect: {line}`"))?;
            other_sessions.extend(sessions.map(|number| (query.to_owned(), number.to_owned())));
            expected.push((query.to_owned(), verdict));
        }
        ensure!(!expected.is_empty(), "{shown}: no expectations in the header");
        let sessions = field(&text, "sessions").unwrap_or_default();
        Ok(Self {
            name,
            path,
            sessions,
            control,
            expected,
            other_sessions,
            text,
        })
    }

    /// The model once for each number of sessions, with the queries that are explored with it.
    pub(super) fn by_sessions(&self) -> BTreeMap<&str, String> {
        let (protocol, queries) = self.text.split_once("queries[").unwrap_or((&self.text, ""));
        let mut texts = BTreeMap::new();
        for query in asked(queries) {
            let sessions = self.other_sessions.get(query).unwrap_or(&self.sessions).as_str();
            let text = texts
                .entry(sessions)
                .or_insert_with(|| format!("{protocol}queries[\n"));
            *text = format!("{text}{query}\n");
        }
        for text in texts.values_mut() {
            text.push_str("]\n");
        }
        texts
    }

    fn holds(&self, query: &str) -> bool {
        self.expected.contains(&(query.to_owned(), QueryVerdict::Holds))
    }

    fn queries(&self) -> BTreeSet<&str> {
        self.expected.iter().map(|(query, _)| query.as_str()).collect()
    }
}

/// All models of the folder with this ending, by name.
///
/// Fails when the folder cannot be read, or a header is not as it must be.
pub(super) fn all(folder: &Path, ending: &str) -> Result<BTreeMap<String, Model>> {
    let mut models = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == ending) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let model = Model::parse(path, text)?;
            models.insert(model.name.clone(), model);
        }
    }
    Ok(models)
}

/// Every Verifpal model expects something of each of its queries; every model that is no control has one, in which a query has
/// an attack that has none in the model; each flow is there for ProVerif too, with the same claims and a control, and no model
/// for ProVerif has a name that ProVerif keeps for itself.
///
/// Errors: the first thing that does not hold.
pub(super) fn check(verifpal: &BTreeMap<String, Model>, proverif: &BTreeMap<String, Model>) -> Result<()> {
    ensure!(!verifpal.is_empty(), "no models");
    for model in verifpal.values() {
        let name = &model.name;
        let sessions = model.sessions.parse::<u8>();
        ensure!(
            sessions.is_ok_and(|number| number > 0),
            "{name}: no `sessions:` in the header"
        );
        let queries = model.text.split_once("queries[").map_or("", |(_, block)| block);
        let asked: BTreeSet<_> = asked(queries).collect();
        ensure!(
            asked == model.queries(),
            "{name}: the header expects other queries than the model asks"
        );
        check_controls(model, verifpal)?;
    }
    for model in proverif.values() {
        let name = &model.name;
        if let Some(word) = reserved::name_of(&model.text) {
            anyhow::bail!("{name}: ProVerif keeps the word `{word}` for itself: choose another name");
        }
        check_controls(model, proverif)?;
    }
    for flow in FLOWS {
        let verifpal = verifpal.get(flow).with_context(|| format!("no {flow}.vp"))?;
        let proverif = proverif.get(flow).with_context(|| format!("no {flow}.pv"))?;
        check_step(verifpal, proverif)?;
    }
    Ok(())
}

/// A control is one; a model that is none has one.
fn check_controls(model: &Model, models: &BTreeMap<String, Model>) -> Result<()> {
    let name = &model.name;
    match &model.control {
        Some((of, _)) => check_control(model, models.get(of).with_context(|| format!("{name}: no {of}"))?),
        None => {
            ensure!(controls(models, name).next().is_some(), "{name}: no control");
            Ok(())
        }
    }
}

fn controls<'a>(models: &'a BTreeMap<String, Model>, name: &str) -> impl Iterator<Item = &'a Model> {
    let of = name.to_owned();
    models
        .values()
        .filter(move |model| model.control.as_ref().is_some_and(|(found, _)| *found == of))
}

fn check_control(control: &Model, of: &Model) -> Result<()> {
    let name = &control.name;
    ensure!(of.control.is_none(), "{name}: {} is a control itself", of.name);
    ensure!(
        control.queries() == of.queries(),
        "{name}: other queries than {}",
        of.name
    );
    let mut found = control
        .expected
        .iter()
        .filter(|(_, verdict)| *verdict == QueryVerdict::Attack);
    ensure!(
        found.any(|(query, _)| of.holds(query)),
        "{name}: expects no attack that {} does not",
        of.name
    );
    let differ = difference(&control.text, &of.text);
    ensure!(
        (1..=LINES_OF_A_CONTROL).contains(&differ),
        "{name}: differs from {} by {differ} lines",
        of.name
    );
    Ok(())
}

fn check_step(verifpal: &Model, proverif: &Model) -> Result<()> {
    let claims = |model: &Model| -> BTreeSet<String> {
        let claimed = model
            .expected
            .iter()
            .filter(|(query, _)| !query.starts_with("reachable: "));
        claimed
            .map(|(query, verdict)| format!("{} {query}", verdict.word()))
            .collect()
    };
    let (left, right) = (claims(verifpal), claims(proverif));
    let apart: Vec<_> = left.symmetric_difference(&right).collect();
    ensure!(
        apart.is_empty(),
        "{}: Verifpal and ProVerif are not in step: {apart:?}",
        verifpal.name
    );
    Ok(())
}

/// Lines, without comments and queries, that stand in one text only, counted as often as they do.
fn difference(left: &str, right: &str) -> usize {
    let mut count: BTreeMap<&str, isize> = BTreeMap::new();
    for (text, step) in [(left, 1), (right, -1)] {
        let lines = text
            .split("queries[")
            .next()
            .unwrap_or_default()
            .lines()
            .map(str::trim);
        for line in
            lines.filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("(*"))
        {
            *count.entry(line).or_default() += step;
        }
    }
    count.values().map(|times| times.unsigned_abs()).sum()
}

/// The queries of a Verifpal model's block.
fn asked(block: &str) -> impl Iterator<Item = &str> {
    block.lines().map(str::trim).filter(|line| line.contains('?'))
}

/// `holds | query` or `holds @2 | query`.
fn expectation(line: &str) -> Option<(QueryVerdict, Option<&str>, &str)> {
    let (start, query) = line.split_once('|')?;
    let mut words = start.split_whitespace();
    let verdict = QueryVerdict::from_word(words.next()?)?;
    let sessions = match words.next() {
        Some(word) => Some(
            word.strip_prefix('@')
                .filter(|number| number.parse::<u8>().is_ok())?,
        ),
        None => None,
    };
    Some((verdict, sessions, query.trim()))
}

fn field(text: &str, name: &str) -> Option<String> {
    fields(text, name).next().map(str::to_owned)
}

/// Values of `// name: value` and `(* name: value *)`.
fn fields<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("{name}:");
    text.lines().filter_map(move |line| {
        let comment = line
            .strip_prefix("//")
            .or_else(|| line.strip_prefix("(*"))?
            .trim();
        Some(comment.strip_prefix(&start)?.trim_end_matches("*)").trim())
    })
}

const FLOWS: [&str; 3] = ["upload", "download", "reference"];

#[cfg(test)]
mod tests;
