//! What commands answered in one story, written down without what is another one each time, and compared with the golden file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Cli, World};

use super::commands;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/protocol/golden");

const ACCEPT: &str = "to accept a change on purpose, run `MEDVAULT_GOLDEN=write cargo nextest run --workspace -E 'test(golden)'` and commit the golden files";

/// The commands of one story, with their answers in order.
pub(super) struct Book {
    file: PathBuf,
    folder: String,
    commands: BTreeSet<String>,
    answers: BTreeMap<String, Vec<Value>>,
}

impl Book {
    pub(super) fn new(name: &str, world: &World) -> Result<Self> {
        Ok(Self {
            file: Path::new(FOLDER).join(name).with_extension("json"),
            folder: world.folder().display().to_string(),
            commands: commands::all()?,
            answers: BTreeMap::new(),
        })
    }

    /// Runs a command that must succeed, and writes down what it answers.
    pub(super) fn run(&mut self, by: &Cli, args: &[&str]) -> Result<Value> {
        let answer = by.run(args)?;
        self.note(args, &answer)?;
        Ok(answer)
    }

    /// Runs a command that must be refused, and writes down how.
    pub(super) fn fail(&mut self, by: &Cli, args: &[&str]) -> Result<Value> {
        let refused = by.fail(args)?;
        self.note(args, &refused.json)?;
        Ok(refused.json)
    }

    /// Writes down what a command has answered.
    pub(super) fn note(&mut self, args: &[&str], answer: &Value) -> Result<()> {
        let prefixes = (1..=args.len().min(3)).rev().map(|words| args[..words].join(" "));
        let mut known = prefixes.filter(|words| self.commands.contains(words));
        let command = known.next().with_context(|| format!("no command: {args:?}"))?;
        let shape = shape("", answer, &self.folder);
        self.answers.entry(command).or_default().push(shape);
        Ok(())
    }

    /// Compares all with the golden file.
    pub(super) fn close(self) -> Result<()> {
        let now = serde_json::to_string_pretty(&self.answers)? + "\n";
        if std::env::var("MEDVAULT_GOLDEN").as_deref() == Ok("write") {
            fs::write(&self.file, &now)?;
        }
        let accepted: BTreeMap<String, Vec<Value>> = read(&self.file)?;
        let file = self.file.display();
        for command in accepted.keys().chain(self.answers.keys()) {
            let (old, new) = (accepted.get(command), self.answers.get(command));
            ensure!(
                old.map(Vec::len) == new.map(Vec::len),
                "medvault {command}: played another number of times than in {file}; {ACCEPT}"
            );
            let pairs = old.into_iter().flatten().zip(new.into_iter().flatten());
            for (number, (old, new)) in pairs.enumerate() {
                if let Some(difference) = difference(old, new, "") {
                    anyhow::bail!(
                        "medvault {command} --json, answer {number}{difference}\nin {new:#}\nunlike {file}; {ACCEPT}"
                    );
                }
            }
        }
        ensure!(
            fs::read_to_string(&self.file)? == now,
            "{file} is laid out otherwise; {ACCEPT}"
        );
        Ok(())
    }
}

/// The commands that are in some golden file.
pub(super) fn played() -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(FOLDER)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            all.extend(read(&path)?.into_keys());
        }
    }
    Ok(all)
}

fn read(file: &Path) -> Result<BTreeMap<String, Vec<Value>>> {
    let text = fs::read(file).with_context(|| format!("no {}; {ACCEPT}", file.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Where two shapes differ first, and how.
fn difference(old: &Value, new: &Value, at: &str) -> Option<String> {
    let both = |old: Option<&Value>, new: Option<&Value>, at: &str| match (old, new) {
        (Some(old), Some(new)) => difference(old, new, at),
        (Some(_), None) => Some(format!("{at} is gone")),
        (None, _) => Some(format!("{at} is new")),
    };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            names
                .into_iter()
                .find_map(|name| both(old.get(name), new.get(name), &format!("{at} > {name}")))
        }
        (Value::Array(old), Value::Array(new)) => (0..old.len().max(new.len()))
            .find_map(|index| both(old.get(index), new.get(index), &format!("{at} > {index}"))),
        _ => (old != new).then(|| format!("{at} was {old}, and is {new}")),
    }
}

/// A value without what is another one each time; `name` is that of the field.
fn shape(name: &str, value: &Value, folder: &str) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), shape(name, value, folder)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(|value| shape("", value, folder)).collect();
            if BY_ID.contains(&name) {
                all.sort_by_key(ToString::to_string);
            }
            all.into()
        }
        Value::Number(_) if NUMBERS.contains(&name) => "<number>".into(),
        Value::Number(number) if number.as_u64().is_some_and(|number| TIMES.contains(&number)) => {
            "<ms>".into()
        }
        // The code of a refusal is a word.
        Value::String(text) if SECRETS.contains(&name) && (name != "code" || text.len() > 40) => {
            format!("<{name}>").into()
        }
        Value::String(text) => words(&text.replace(folder, "<folder>")).into(),
        other => other.clone(),
    }
}

/// Fields whose numbers follow from time, or from how far the log was when somebody looked.
const NUMBERS: &[&str] = &[
    "index",
    "leaves",
    "log_size",
    "lost",
    "lost_seen",
    "millis",
    "seen_before",
];

/// Lists in the order of ids, which are drawn by lot.
const BY_ID: &[&str] = &["senders", "totals"];

/// Milliseconds since 1970 of this century's moments.
const TIMES: std::ops::Range<u64> = 1_600_000_000_000..4_102_444_800_000;

/// Fields with texts that are drawn by lot, or follow from the log.
const SECRETS: &[&str] = &["check_string", "code", "medvault-log-size", "short_string"];

/// A text, word by word.
fn words(text: &str) -> String {
    let mut shaped = String::new();
    for part in text.split_inclusive([' ', '\n', ',', ';', '(', ')', '\'', '"', '`']) {
        let end = part
            .find([' ', '\n', ',', ';', '(', ')', '\'', '"', '`'])
            .unwrap_or(part.len());
        let (word, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        let bare = if word.ends_with("=:") {
            word
        } else {
            word.trim_end_matches(['.', ':'])
        };
        shaped.push_str(&placeholder(bare).unwrap_or_else(|| bare.to_owned()));
        shaped.push_str(word.get(bare.len()..).unwrap_or_default());
        shaped.push_str(rest);
    }
    shaped
}

/// What stands in the place of a word that is another one each time.
fn placeholder(word: &str) -> Option<String> {
    let all = |text: &str, kind: fn(char) -> bool| !text.is_empty() && text.chars().all(kind);
    let digits = |text: &str| all(text, |c| c.is_ascii_digit());
    let base32 = |text: &str| all(text, |c| matches!(c, 'a'..='z' | '2'..='7'));
    if let Some((kind, rest)) = word.split_once('_')
        && all(kind, |c| c.is_ascii_lowercase())
        && (base32(rest) && rest.len() >= 16 || rest.strip_suffix('…').is_some_and(base32))
    {
        return Some(format!("<{kind}_…>"));
    }
    if word.starts_with("https://") && word.contains('#') {
        return Some("<link>".into());
    }
    if let Some((host, port)) = word.rsplit_once(':')
        && ["127.0.0.1", "localhost"].contains(&host)
        && digits(port)
    {
        return Some("<authority>".into());
    }
    let form: String = word
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    match form.as_str() {
        "0000-00-00T00:00:00.000Z" => return Some("<time>".into()),
        "0000-00-00T00:00:00Z" => return Some("<time in seconds>".into()),
        "0000-00-00T00:00:00.000000000Z" => return Some("<time in nanoseconds>".into()),
        "0000-00-00" => return Some("<date>".into()),
        "00:00:00" => return Some("<clock>".into()),
        _ => {}
    }
    // Of a traced request, its signature and when it was made.
    if let Some((name, value)) = word.split_once('=') {
        if value.len() == 10 && digits(value) {
            return Some(format!("{name}=<seconds>"));
        }
        if value.len() > 2 && value.starts_with(':') && value.ends_with("=:") {
            return Some(format!("{name}=:<base64>:"));
        }
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    if word.len() == 44 && word.ends_with('=') && all(word, base64) {
        return Some("<base64>".into());
    }
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    (word.len() >= 32 && all(word, hex)).then(|| format!("<hex of {}>", word.len()))
}

#[test]
fn what_varies_has_a_placeholder_and_nothing_else() {
    let said =
        "perm_aaaaaaaaaaaaaaaaaaaaaaaaaa is over since 2026-11-23 06:20:30 UTC (inst_2222222222222222…).";
    assert_eq!(
        words(said),
        "<perm_…> is over since <date> <clock> UTC (<inst_…>)."
    );
    assert_eq!(words("2026-11-23T06:20:30.123Z"), "<time>");
    assert_eq!(
        words("https://127.0.0.1:41#abc, 127.0.0.1:41"),
        "<link>, <authority>"
    );
    for word in [
        "live",
        "log-restored",
        "answered_by",
        "text/plain",
        "12",
        "Hospital North",
    ] {
        assert_eq!(words(word), word);
    }
}

#[test]
fn the_first_difference_is_named() {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let old = value(r#"{"a": [{"b": 1}]}"#);
    assert_eq!(difference(&old, &old, ""), None);
    let told = |text| difference(&old, &value(text), "").unwrap_or_default();
    assert_eq!(told(r#"{"a": [{"b": 2}]}"#), " > a > 0 > b was 1, and is 2");
    assert_eq!(told(r#"{"a": [{"c": 1}]}"#), " > a > 0 > b is gone");
    assert_eq!(told(r#"{"a": [{"b": 1}, 2]}"#), " > a > 1 is new");
}
