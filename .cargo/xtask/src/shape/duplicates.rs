//! Pieces of code that stand in two places: at least [`WINDOW`] lines of code in a row that are equal but for their white space.
//!
//! Each window of so many lines is looked up by its text; windows that follow each other in both places are one run, and a run is one
//! pair. Of a piece that stands in three places there are three pairs.

use std::collections::{BTreeSet, HashMap};

use super::production::SourceFile;

/// Lines of code that a run has at least.
const WINDOW: usize = 10;

/// One run of equal lines.
pub(super) struct Pair {
    /// Where each of both begins: `path:line`.
    pub(super) places: [String; 2],
    /// How many lines of code are the same.
    pub(super) lines: usize,
    /// Whether it says nothing but imports, attributes, fields and braces.
    pub(super) is_boilerplate: bool,
}

struct CodeLine<'a> {
    path: &'a str,
    number: usize,
    /// The line's text without white space.
    text: String,
    is_boilerplate: bool,
}

/// All pairs of these files, the longest first.
pub(super) fn pairs<'a>(files: impl Iterator<Item = &'a SourceFile>) -> Vec<Pair> {
    let files: Vec<Vec<CodeLine<'_>>> = files.map(lines).collect();
    let equal = equal_windows(&files);
    let mut found = Vec::new();
    for &((file, at), (other, other_at)) in &equal {
        let before = at.checked_sub(1).zip(other_at.checked_sub(1));
        if before.is_some_and(|(at, other_at)| equal.contains(&((file, at), (other, other_at)))) {
            continue;
        }
        let windows = (0..)
            .take_while(|step| equal.contains(&((file, at + step), (other, other_at + step))))
            .count();
        let length = windows + WINDOW - 1;
        let run = |file: usize, at: usize| files.get(file).and_then(|lines| lines.get(at..at + length));
        let (Some(run), Some(twin)) = (run(file, at), run(other, other_at)) else {
            continue;
        };
        let place = |run: &[CodeLine<'_>]| {
            let first = run.first();
            first.map_or_else(String::new, |line| format!("{}:{}", line.path, line.number))
        };
        found.push(Pair {
            places: [place(run), place(twin)],
            lines: length,
            is_boilerplate: run
                .iter()
                .zip(twin)
                .all(|(line, other)| line.is_boilerplate && other.is_boilerplate),
        });
    }
    found.sort_by(|one, other| (other.lines, &one.places).cmp(&(one.lines, &other.places)));
    found
}

/// A line of code: file, and place among its lines of code.
type LineAt = (usize, usize);

/// Where equal windows begin, in order. Two of one file may not overlap.
fn equal_windows(files: &[Vec<CodeLine<'_>>]) -> BTreeSet<(LineAt, LineAt)> {
    let mut places: HashMap<Vec<&str>, Vec<LineAt>> = HashMap::new();
    for (file, lines) in files.iter().enumerate() {
        for (at, window) in lines.windows(WINDOW).enumerate() {
            let text = window.iter().map(|line| line.text.as_str()).collect();
            places.entry(text).or_default().push((file, at));
        }
    }
    let mut equal = BTreeSet::new();
    for places in places.values() {
        for (index, one) in places.iter().enumerate() {
            let others = places.iter().skip(index + 1);
            equal.extend(
                others
                    .filter(|other| one.0 != other.0 || other.1 >= one.1 + WINDOW)
                    .map(|other| (*one, *other)),
            );
        }
    }
    equal
}

fn lines(source: &SourceFile) -> Vec<CodeLine<'_>> {
    let mut within = Within::Code;
    let mut found = Vec::new();
    for line in source.code() {
        let text: String = line.text.split_whitespace().collect();
        let starts = Within::of(line.text.trim());
        if within == Within::Code {
            within = starts;
        }
        let is_boilerplate = within != Within::Code || text.starts_with('#') || is_bare(&text);
        found.push(CodeLine {
            path: &source.path,
            number: line.number,
            is_boilerplate,
            text,
        });
        within = within.after(line.text.trim_end());
    }
    found
}

/// Whether a line has signs only.
fn is_bare(text: &str) -> bool {
    !text.contains(char::is_alphanumeric)
}

/// The construct that a line is part of, as far as it tells boilerplate from code.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Code,
    /// A `use`, a `mod`, or a struct without fields: until a semicolon.
    Statement,
    /// The fields of a struct: until a brace that stands as its first did.
    Fields,
}

impl Within {
    fn of(line: &str) -> Self {
        let words = line.split_whitespace().filter(|word| !word.starts_with("pub"));
        match words.clone().find(|word| !word.ends_with(')')) {
            Some("use" | "mod") => Self::Statement,
            Some("struct") if line.ends_with('{') => Self::Fields,
            _ => Self::Code,
        }
    }

    fn after(self, line: &str) -> Self {
        match self {
            Self::Statement if line.ends_with(';') => Self::Code,
            Self::Fields if line.trim_start() == "}" => Self::Code,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str]) -> Vec<(String, String, usize, bool)> {
        let sources: Vec<SourceFile> = texts
            .iter()
            .zip(["a.rs", "b.rs", "c.rs"])
            .map(|(text, path)| SourceFile::parse(path, text).unwrap())
            .collect();
        let pairs = pairs(sources.iter());
        let parts = pairs.into_iter().map(|pair| {
            let [one, other] = pair.places;
            (one, other, pair.lines, pair.is_boilerplate)
        });
        parts.collect()
    }

    fn body(lines: usize) -> String {
        (0..lines).map(|line| format!("    call({line});\n\n")).collect()
    }

    #[test]
    fn a_run_in_two_files_is_one_pair_whatever_its_white_space() {
        let one = format!("fn one() {{\n{}}}\n", body(12));
        let two = format!("fn two() {{\n    // why\n{}}}\n", body(12).replace("(", " ("));
        let pair = ("a.rs:2".to_owned(), "b.rs:3".to_owned(), 13, false);
        assert_eq!(found(&[&one, &two]), [pair]);
        assert_eq!(found(&[&one, &two, &one]).len(), 3);
        assert!(
            found(&[
                &one,
                &one.replace("call(5)", "call(55)").replace("call(6)", "call(66)")
            ])
            .is_empty()
        );
    }

    #[test]
    fn imports_and_fields_are_boilerplate() {
        let text = "use a::{\n    b,\n    c,\n};\n#[derive(Clone)]\npub(crate) struct S {\n    one: u8,\n    two: u8,\n    three: u8,\n    \
                    four: u8,\n}\n";
        assert!(matches!(found(&[text, text]).as_slice(), [(_, _, 11, true)]));
        let text = format!("{text}fn f() {{}}\n");
        assert!(matches!(found(&[&text, &text]).as_slice(), [(_, _, 12, false)]));
    }
}
