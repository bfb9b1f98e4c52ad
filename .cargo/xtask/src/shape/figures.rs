//! The figures, made of what the other modules count.

use std::cmp::Reverse;

use serde::Serialize;

use super::circles::{circles, cut};
use super::duplicates::{self, Pair};
use super::functions::{self, Function};
use super::methods::Methods;
use super::modules::Crate;
use super::names;
use super::production::SourceFile;
use super::ties::{Tied, Ties};

/// Names that are said of one tie.
const MOST_NAMES: usize = 6;

/// One figure that has a limit.
#[derive(Serialize)]
pub(super) struct Figure {
    /// The key under which its limit stands in `shape.toml`.
    pub(super) key: &'static str,
    pub(super) value: usize,
    /// Limits are multiples of this: one for what should not grow at all.
    pub(super) step: usize,
    /// What makes it, the worst first.
    pub(super) from: Vec<String>,
}

impl Figure {
    fn new(key: &'static str, value: usize, from: Vec<String>) -> Self {
        let step = 1;
        Self {
            key,
            value,
            step,
            from,
        }
    }

    /// A figure that counts the things it is made of.
    fn count(key: &'static str, from: Vec<String>) -> Self {
        Self::new(key, from.len(), from)
    }

    /// A figure that is the largest of many.
    fn largest(key: &'static str, of: Vec<(usize, String)>) -> Self {
        let largest = of.iter().map(|(count, _)| *count).max();
        Self::new(key, largest.unwrap_or_default(), worst_first(of))
    }

    /// A figure that grows with every feature, and is held loosely.
    fn loose(self, step: usize) -> Self {
        Self { step, ..self }
    }
}

/// All figures that have limits.
pub(super) fn all(crates: &[Crate]) -> Vec<Figure> {
    let mut figures = Vec::from(size(crates));
    let methods: Vec<Methods> = crates.iter().map(Methods::of).collect();
    figures.extend(walls(crates, &methods));
    figures.extend(types(crates, &methods));
    figures.extend(functions(crates));
    figures.push(Figure::count("files_over_400", long_files(crates)));
    for (key, folder) in [("pb_in_server", "vault-server"), ("pb_in_client", "client-sdk")] {
        let count = |file: &SourceFile| {
            if file.path.starts_with(folder) {
                names::wire_types(file)
            } else {
                0
            }
        };
        figures.push(by_file(key, crates, count));
    }
    figures.push(by_file("short_doc_lines", crates, |file| {
        names::doc_lines(file).1
    }));
    figures.push(Figure::count("shared_names", shared_names(crates)));
    figures.extend(pairs(crates));
    figures
}

fn size(crates: &[Crate]) -> [Figure; 2] {
    [
        by_file("lines", crates, |file| file.lines.len()).loose(500),
        by_file("code", crates, |file| file.code().count()).loose(500),
    ]
}

/// Circles by paths, each with the ties to cut; the largest one with methods, and with what modules are made of.
fn walls(crates: &[Crate], methods: &[Methods]) -> [Figure; 4] {
    let unmistakable = Methods::unmistakable(methods);
    let (mut by_paths, mut with_contents, mut with_methods) = (Vec::new(), Vec::new(), Vec::new());
    let mut files = 0;
    for (krate, methods) in crates.iter().zip(methods) {
        let tied = Tied::of(krate, methods, &unmistakable);
        for circle in circles(&tied.by_paths) {
            files += circle.len();
            by_paths.push((circle.len(), described(krate, &tied.by_paths, &circle)));
        }
        if let Some(circle) = circles(&tied.with_contents()).first() {
            with_contents.push((circle.len(), members(krate, circle)));
        }
        let all = tied.with_methods();
        if let Some(circle) = circles(&all).first() {
            with_methods.push((circle.len(), described(krate, &all, circle)));
        }
    }
    let by_paths = worst_first(by_paths);
    [
        Figure::count("circles", by_paths.clone()),
        Figure::new("files_in_circles", files, by_paths),
        Figure::largest("circle_with_contents", with_contents),
        Figure::largest("circle_with_methods", with_methods),
    ]
}

fn members(krate: &Crate, circle: &[usize]) -> String {
    let names: Vec<&str> = circle.iter().map(|file| short(krate, *file)).collect();
    format!("{}: {} files: {}", krate.name, circle.len(), names.join(", "))
}

fn described(krate: &Crate, ties: &Ties, circle: &[usize]) -> String {
    let cuts = cut(ties, circle).into_iter().map(|(from, to)| {
        let names: Vec<&str> = ties
            .get(&(from, to))
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let shown = names.get(..MOST_NAMES).unwrap_or(&names);
        let more = if shown.len() < names.len() { ", …" } else { "" };
        let (from, to) = (short(krate, from), short(krate, to));
        format!("{from} -> {to} ({}{more})", shown.join(", "))
    });
    let cuts: Vec<String> = cuts.collect();
    let files = members(krate, circle);
    format!("{files}\n    opens without: {}", cuts.join("; "))
}

/// A file by its path in `src`.
fn short(krate: &Crate, file: usize) -> &str {
    let path = krate.files.get(file).map_or("", |file| file.path.as_str());
    path.trim_start_matches(krate.name.as_str())
        .trim_start_matches("/src/")
        .trim_end_matches(".rs")
}

fn types(crates: &[Crate], methods: &[Methods]) -> [Figure; 2] {
    let mut functions = Vec::new();
    let mut files = Vec::new();
    for (krate, methods) in crates.iter().zip(methods) {
        for (name, of_type) in &methods.types {
            let (count, places) = (of_type.functions, of_type.files.len());
            let text = format!("{} {name}: {count} in {places} files", krate.name);
            functions.push((count, text.clone()));
            files.push((places, text));
        }
    }
    [
        Figure::largest("methods_of_one_type", functions),
        Figure::largest("files_of_one_type", files),
    ]
}

fn functions(crates: &[Crate]) -> [Figure; 3] {
    let mut all: Vec<Function> = crates.iter().flat_map(functions::of).collect();
    all.sort_by_key(|function| Reverse(function.lines));
    let over = |limit: usize| -> Vec<String> {
        let long = all.iter().filter(|function| function.lines > limit);
        long.map(|function| format!("{}: {} lines", function.place, function.lines))
            .collect()
    };
    let longest = all.first().map_or(0, |function| function.lines);
    let place = over(longest.saturating_sub(1));
    [
        Figure::count("functions_over_60", over(60)),
        Figure::count("functions_over_50", over(50)),
        Figure::new("longest_function", longest, place),
    ]
}

fn long_files(crates: &[Crate]) -> Vec<String> {
    let files = crates.iter().flat_map(|krate| &krate.files);
    let long = files.filter(|file| file.lines.len() > 400);
    worst_first(
        long.map(|file| {
            (
                file.lines.len(),
                format!("{}: {} lines", file.path, file.lines.len()),
            )
        })
        .collect(),
    )
}

/// A figure that is a sum over files.
fn by_file(key: &'static str, crates: &[Crate], count: impl Fn(&SourceFile) -> usize) -> Figure {
    let files = crates.iter().flat_map(|krate| &krate.files);
    let counts: Vec<(usize, String)> = files
        .map(|file| (count(file), &file.path))
        .filter(|(count, _)| *count > 0)
        .map(|(count, path)| (count, format!("{path}: {count}")))
        .collect();
    let sum = counts.iter().map(|(count, _)| count).sum();
    Figure::new(key, sum, worst_first(counts))
}

fn shared_names(crates: &[Crate]) -> Vec<String> {
    let found = names::types(crates)
        .into_iter()
        .filter(|(name, files)| files.len() >= 3 && !names::APART.contains(&name.as_str()))
        .map(|(name, files)| {
            let places: Vec<&str> = files.iter().copied().collect();
            (files.len(), format!("{name}: {}", places.join(", ")))
        });
    worst_first(found.collect())
}

fn pairs(crates: &[Crate]) -> [Figure; 2] {
    let pairs = duplicates::pairs(crates.iter().flat_map(|krate| &krate.files));
    let said = |pair: &Pair| format!("{} = {}: {} lines", pair.places[0], pair.places[1], pair.lines);
    let beyond = pairs.iter().filter(|pair| !pair.is_boilerplate);
    [
        Figure::count("duplicates", pairs.iter().map(said).collect()),
        Figure::count("duplicates_beyond_boilerplate", beyond.map(said).collect()),
    ]
}

fn worst_first(mut counted: Vec<(usize, String)>) -> Vec<String> {
    counted.sort_by(|(one, text), (other, other_text)| (other, text).cmp(&(one, other_text)));
    counted.into_iter().map(|(_, text)| text).collect()
}
