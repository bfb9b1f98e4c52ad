//! Texts that are sealed, and codes that open something: from standard input, a file or a prompt. Arguments stand in the
//! list of processes and in the history of the shell, so they are not taken from there unless somebody insists (PRG-7).

use std::{
    io::{self, BufRead, IsTerminal, Read, stdin},
    path::{Path, PathBuf},
};

use clap::Args;
use protocol_spec::defence::Defence;
use zeroize::Zeroizing;

use crate::{failure::Failure, new_file, values::Global, words};

/// Where a text that is sealed comes from.
#[derive(Args, Debug)]
pub(crate) struct Text {
    /// `-`: all of standard input is the text. Without this and --text-file you are asked for it
    #[arg(
        long,
        value_name = "-",
        conflicts_with = "text_file",
        allow_hyphen_values = true
    )]
    text: Option<String>,
    /// What this file holds is the text
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
}

impl Text {
    /// The text, without the line break at its end.
    pub(crate) async fn read(self, global: &Global) -> Result<Zeroizing<String>, Failure> {
        let text = match (self.text.map(Zeroizing::new), &self.text_file) {
            (Some(text), _) if *text == "-" => words::apart(all_of_input).await?,
            (Some(text), _) => return in_arguments(text, "--text -", global),
            (None, Some(file)) => from_file(file)?,
            (None, None) if stdin().is_terminal() => words::shown_line("Text: ").await?,
            (None, None) => return Err(Failure::usage(NO_TEXT)),
        };
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// A code: what was given for it, `-`, or nothing, and then it is asked for without being shown.
pub(crate) async fn code(
    given: Option<String>,
    prompt: &'static str,
    global: &Global,
) -> Result<Zeroizing<String>, Failure> {
    match given.map(Zeroizing::new) {
        Some(code) if *code != "-" => in_arguments(code, "`-`", global),
        _ => {
            let line = words::line(prompt).await?;
            Ok(Zeroizing::new(line.trim().to_owned()))
        }
    }
}

fn in_arguments(
    given: Zeroizing<String>,
    instead: &str,
    global: &Global,
) -> Result<Zeroizing<String>, Failure> {
    // PRG-7.
    if Defence::SecretArguments.holds(global.secrets_in_arguments) {
        return Ok(given);
    }
    Err(Failure::usage(format!(
        "everybody on this machine can read the command line, and your shell keeps it: give {instead} and write it to standard \
         input, or insist with --secrets-in-arguments"
    )))
}

fn all_of_input() -> io::Result<Zeroizing<String>> {
    whole(stdin().lock())
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let content = Zeroizing::new(new_file::read(path)?);
    let text = std::str::from_utf8(&content)
        .map_err(|_| Failure::usage(format!("{} is not UTF-8: give a text file", path.display())))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What is longer than any text is handed on too long, and refused with the reason.
fn whole(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(2 * LONGEST));
    let limit = u64::try_from(LONGEST + 2).unwrap_or(u64::MAX);
    from.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// Bytes that a sealed text may have (KEY-15).
const LONGEST: usize = 16_384;

const NO_TEXT: &str = "there is no text and no terminal to ask on: give --text - and the text on standard input, or \
                       --text-file FILE";

/// A line that somebody types, as it is read from standard input.
pub(crate) fn typed_line() -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = stdin().lock().read_line(&mut line);
    read.map_err(|source| {
        Failure::usage(format!(
            "standard input cannot be read ({source}): run it on a terminal"
        ))
    })?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}
