//! Whatever command a text of the client, or a page of `client-sdk/docs`, names is one that the program has, with options that it
//! has: advice that cannot be followed is found here, and not by whoever needs it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{CommandFactory, error::ErrorKind};

use crate::args::Cli;

/// What follows the program's name where no command is meant.
const PROSE: [&str; 3] = ["and run the command below", "program", "wrote it"];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

/// The text of a file without comments, and with what stands on several lines on one.
fn texts(path: &Path) -> String {
    let source = fs::read_to_string(path).unwrap();
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut text = String::new();
    for line in lines {
        match line.strip_suffix('\\') {
            Some(begun) => text.push_str(begun),
            None if text.ends_with('\n') || text.is_empty() => {
                text.push_str(line);
                text.push('\n');
            }
            None => {
                text.push_str(line.trim_start());
                text.push('\n');
            }
        }
    }
    text
}

/// The words behind the program's name, up to where a command can go no further.
fn words(behind: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = behind.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_sentence =
            matches!(c, '.' | ':') && chars.peek().is_none_or(|next| " \\\"\n`".contains(*next));
        match c {
            '\'' => quoted = !quoted,
            _ if quoted => word.push(c),
            '"' | ';' | ',' | ')' | '(' | '`' | '\\' | '\n' | '>' | '|' => break,
            _ if ends_sentence => break,
            ' ' if chars.peek() == Some(&' ') => break,
            ' ' => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Why the program does not know a command; nothing if it does. Values that stand for others may
/// be wrong, and what is abbreviated may lack something.
fn unknown(words: &[String]) -> Option<String> {
    let line = std::iter::once("medvault").chain(words.iter().map(String::as_str));
    let error = Cli::command().try_get_matches_from(line).err()?;
    let known = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::ValueValidation
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    (!known).then(|| error.to_string())
}

#[test]
fn every_command_that_a_text_names_is_there() {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [cli.join("src"), cli.join("../src")] {
        sources(&folder, &mut files);
    }
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files.iter().filter(|file| !file.ends_with("advice.rs")) {
        let text = texts(file);
        for (at, name) in text.match_indices("medvault ") {
            let behind = &text[at + name.len()..];
            let command = behind.starts_with(|c: char| c.is_ascii_lowercase());
            if !command || PROSE.iter().any(|prose| behind.starts_with(prose)) {
                continue;
            }
            seen += 1;
            let words = words(behind);
            // Which command it is, is decided where the text is made.
            if words.iter().take(2).any(|word| word.starts_with('{')) {
                continue;
            }
            if let Some(why) = unknown(&words) {
                wrong.push(format!("{}: medvault {}: {why}", file.display(), words.join(" ")));
            }
        }
    }
    assert!(seen > 150, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The shell listings of a page, without the quotation marks around values that a shell fills in.
fn listings(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1);
    let listings: Vec<_> = blocks.filter_map(|block| block.split("```").next()).collect();
    listings.concat().replace('"', "")
}

#[test]
fn every_command_that_a_page_names_is_there() {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(cli.join("../docs")).unwrap() {
        let path = entry.unwrap().path();
        let text = listings(&fs::read_to_string(&path).unwrap());
        for (at, name) in text.match_indices("medvault ") {
            let behind = &text[at + name.len()..];
            if !behind.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            seen += 1;
            let words = words(behind);
            if let Some(why) = unknown(&words) {
                wrong.push(format!("{}: medvault {}: {why}", path.display(), words.join(" ")));
            }
        }
    }
    assert!(seen > 50, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_is_not_there_is_found() {
    for wrong in [
        "device leave kit",
        "emergency card --pages FILE",
        "patient",
        "history",
    ] {
        let found = unknown(&words(&format!("{wrong}; and so on")));
        assert_eq!(
            found.is_some(),
            wrong.contains("leave") || wrong.contains("--pages"),
            "{wrong}"
        );
    }
    assert_eq!(
        words("upload request --to 'St. Anna' --text -.\\n"),
        ["upload", "request", "--to", "St. Anna", "--text", "-"]
    );
}
