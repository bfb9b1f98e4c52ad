//! What a command prints: text for people, or exactly one JSON object.
//!
//! Texts that others wrote (names, request texts, file names) pass [`plain`] before they reach a terminal.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write as _},
};

use client_sdk::{
    names::{is_bidi_control, is_ignorable},
    text::system_time,
};
use serde::Serialize;

use crate::failure::Failure;

/// A command's result in both forms.
pub(crate) trait Report: Serialize {
    /// The text for people; ends with a line break unless empty.
    fn text(&self) -> String;
}

/// Prints a result on standard output.
pub(crate) fn print(report: &impl Report, json: bool) -> Result<(), Failure> {
    let text = if json { String::new() } else { report.text() };
    say(&text, report, json)
}

/// Prints a text for people, or `fields` for programs, on standard output.
pub(crate) fn say(text: &str, fields: &impl Serialize, json: bool) -> Result<(), Failure> {
    let written = if json {
        write(&json_line(fields)?)
    } else {
        write(text)
    };
    written.map_err(|source| Failure::output(&source))
}

/// A JSON object of these fields in this order: `fields! { patient_id, files: 3 }`. Of a value with `#[serde(flatten)]` the fields
/// become fields of the object.
macro_rules! fields {
    ($($(#[$attribute:meta])* $name:ident $(: $value:expr)?),+ $(,)?) => {{
        // Each field has a type parameter of its own, by the same name.
        #[allow(non_camel_case_types, reason = "named as the fields")]
        let fields = {
            #[derive(serde::Serialize)]
            struct Fields<$($name),+> {
                $($(#[$attribute])* $name: $name),+
            }
            Fields { $($name $(: $value)?),+ }
        };
        fields
    }};
}
pub(crate) use fields;

/// Prints a failure as one line on standard error; what cannot be printed is dropped, because the exit code
/// says it all the same.
pub(crate) fn print_failure(failure: &Failure) {
    note(&format!("medvault: {}", plain(failure.message())));
}

/// Prints a failure as one JSON object on standard output.
pub(crate) fn print_error_object(failure: &Failure) {
    if let Ok(line) = json_line(&fields! { error: failure }) {
        let _ = write(&line);
    }
}

/// Says something beside the result, on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Text by others made harmless for a terminal: control characters, those that reorder text, spaces that are not U+0020 and
/// characters of which nothing is seen become `\u{…}`. The joiners stay, since scripts and emoji need them.
pub(crate) fn plain(text: &str) -> String {
    let joins = |c| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
    let hides = |c: char| {
        c.is_control()
            || is_bidi_control(c)
            || (c.is_whitespace() && c != ' ')
            || (is_ignorable(c) && !joins(c))
    };
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            if hides(c) {
                out.extend(c.escape_unicode())
            } else {
                out.push(c)
            }
            out
        })
}

/// Another party for people who decide: its name, and as much of its id as nobody can imitate (INS-17).
pub(crate) fn party(name: &str, id: impl Display) -> String {
    format!("{} ({})", plain(name), short_id(id))
}

/// An id's kind and its first 80 bits.
pub(crate) fn short_id(id: impl Display) -> String {
    let id = id.to_string();
    let kind = id.find('_').map_or(0, |at| at + 1);
    id.get(..kind + SHORT_ID)
        .map_or_else(|| id.clone(), |short| format!("{short}…"))
}

/// Characters of base32, five bits each.
const SHORT_ID: usize = 16;

/// A moment for people, to the second: `2026-11-23 06:20:30 UTC`.
pub(crate) fn moment(ms: u64) -> String {
    let seconds = humantime::format_rfc3339_seconds(system_time(ms)).to_string();
    seconds.trim_end_matches('Z').replace('T', " ") + " UTC"
}

/// The word by which programs know a value: what its JSON says.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// The word by which programs know which of several things a value is.
pub(crate) fn tag(value: &impl Serialize, field: &str) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value[field].as_str().unwrap_or_default().to_owned()
}

/// Several words, one behind the other.
pub(crate) fn words<T: Display>(values: &[T]) -> String {
    let all: Vec<String> = values.iter().map(ToString::to_string).collect();
    all.join(" ")
}

/// Lays out rows under their headings; the last column is not padded, so free text goes there.
pub(crate) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().fold(String::new(), |out, row| {
        let line = row
            .iter()
            .zip(widths)
            .fold(String::new(), |mut line, (cell, width)| {
                let _ = write!(line, "{cell:width$}  ");
                line
            });
        out + line.trim_end() + "\n"
    })
}

/// Rows under their headings, or what is said when there are none.
pub(crate) fn table_or<const N: usize>(
    none: &str,
    headings: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut rows = rows.peekable();
    match rows.peek() {
        None => none.to_owned(),
        Some(_) => table(headings, rows),
    }
}

fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map(|line| line + "\n")
        .map_err(|source| Failure::output(&source.into()))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_leave_no_trailing_spaces() {
        let rows = [
            ["rec_a".to_owned(), "St. Anna".to_owned()],
            ["rec_abc".to_owned(), String::new()],
        ];
        assert_eq!(
            table(["RECORD", "FROM"], rows),
            "RECORD   FROM\nrec_a    St. Anna\nrec_abc\n"
        );
    }

    #[test]
    fn texts_by_others_cannot_move_the_cursor_or_turn_the_line() {
        assert_eq!(
            plain("a\u{1b}[2Jb\nc\u{202e}d é"),
            r"a\u{1b}[2Jb\u{a}c\u{202e}d é"
        );
        assert_eq!(
            plain("St.\u{200b}\u{a0}An\u{34f}na\u{2060}"),
            r"St.\u{200b}\u{a0}An\u{34f}na\u{2060}"
        );
        assert_eq!(plain("👩‍⚕️ می‌خواهم"), "👩‍⚕️ می‌خواهم");
    }

    /// INS-17
    #[test]
    fn a_party_is_shown_with_what_nobody_can_imitate() {
        let id = client_sdk::InstitutionId::from_bytes([1; 32]).to_string();
        let shown = party("St.\u{200b} Anna", &id);
        let expected = format!(r"St.\u{{200b}} Anna ({}…)", &id[..5 + 16]);
        assert_eq!(shown, expected);
        assert_eq!(short_id("server"), "server");
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(moment(1_700_000_000_999), "2023-11-14 22:13:20 UTC");
        assert_eq!(
            client_sdk::text::timestamp(1_700_000_000_999),
            "2023-11-14T22:13:20.999Z"
        );
        assert_eq!(moment(u64::MAX), "9999-12-31 23:59:59 UTC");
    }
}
