//! What the SDK stands on is given to it (`client-sdk/src/ground`), and the random bytes of `crypto` too (`SecureRandom`): only the
//! modules that are named here touch a file system, a socket, a clock or a source of chance of their own.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

/// The sources of a crate that stands on what it is given.
struct Given {
    sources: &'static str,
    /// Folders and files below them that may touch the machine, and what they are for.
    native: &'static [(&'static str, &'static str)],
    /// What is forbidden elsewhere, and what the crate itself makes and so may name.
    own: &'static [&'static str],
}

const SDK: Given = Given {
    sources: "../client-sdk/src",
    native: &[
        (
            "ground/native/",
            "the three traits on a machine with an operating system",
        ),
        ("transfer/files/", "the user's own files, which she names"),
        ("transfer/pipe.rs", "a pipe from one thread to another"),
    ],
    own: &[],
};

const CRYPTO: Given = Given {
    sources: "../crypto/src",
    native: &[(
        "random/operating_system.rs",
        "random bytes of the operating system",
    )],
    own: &["OperatingSystem"],
};

/// Paths, or pieces of them, and methods.
const FORBIDDEN: [&str; 31] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "io::pipe",
    "thread::sleep",
    "SystemTime::now",
    "Instant",
    "OperatingSystem",
    "tokio::fs",
    "tokio::net",
    "tokio::process",
    "tokio::time",
    "getrandom",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "libc",
    "rustix",
    "rustls",
    "rustls_native_certs",
    "tempfile",
    "walkdir",
    ".canonicalize",
    ".elapsed",
    ".exists",
    ".is_dir",
    ".is_file",
    ".metadata",
    ".symlink_metadata",
];

#[test]
fn the_sdk_has_no_files_sockets_clocks_or_chance_of_its_own() -> Result<()> {
    check(&SDK)
}

#[test]
fn random_bytes_of_crypto_come_from_whoever_calls_or_from_one_file() -> Result<()> {
    check(&CRYPTO)
}

fn check(given: &Given) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(given.sources);
    let mut elsewhere = Vec::new();
    let mut native = vec![0_usize; given.native.len()];
    for entry in walkdir::WalkDir::new(&sources) {
        let entry = entry?;
        let name = entry.path().strip_prefix(&sources)?.to_str().context("no text")?;
        let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
        if !name.ends_with(".rs") || is_test {
            continue;
        }
        let mut found = touched(&fs::read_to_string(entry.path())?);
        found.retain(|found| !given.own.contains(found));
        let is_native = |(native, _): &(&str, &str)| name.starts_with(native);
        match given.native.iter().position(is_native) {
            Some(place) => native[place] += found.len(),
            None => elsewhere.extend(found.into_iter().map(|found| format!("{name}: {found}"))),
        }
    }
    ensure!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
    // The list is short because each of them needs to be on it.
    for ((name, what), count) in given.native.iter().zip(native) {
        ensure!(
            count > 0,
            "{name} ({what}) is native no more: strike it off the list"
        );
    }
    Ok(())
}

/// The check can fail.
#[test]
fn whatever_is_imported_or_called_is_found() {
    for (code, expected) in [
        ("use std::fs;", "std::fs"),
        ("use std::{io, fs::{self, File}};", "std::fs"),
        ("use std::{\n    time::{Duration, Instant},\n};", "Instant"),
        ("let now = std::time::SystemTime::now();", "SystemTime::now"),
        ("tokio::time::sleep(pause).await", "tokio::time"),
        ("if path\n    .exists() { }", ".exists"),
        ("getrandom::fill(&mut bytes)?;", "getrandom"),
        ("DataKey::generate(&crypto::OperatingSystem)?", "OperatingSystem"),
        ("let text = \"a // b\"; std::net::lookup()", "std::net"),
        ("let quote = '\"'; std::env::var(\"HOME\")", "std::env"),
    ] {
        assert_eq!(touched(code), [expected], "{code}");
    }
    for code in [
        "use std::{fmt, time::Duration};",
        "// std::fs\n/// `Instant`\n//! tokio::net",
        "let text = \"std::fs \\\" tempfile\";",
        "fn exists(&self) -> bool { self.files.is_there() }",
        "use crate::ground::System;\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
        "let lifetime: &'static str = \"libc\";",
        "fn pages(&self) -> impl Iterator + use<'_> { self.first(); self.rest() }",
    ] {
        assert!(touched(code).is_empty(), "{code}");
    }
}

/// What a file touches of what is forbidden, outside its tests.
fn touched(code: &str) -> Vec<&'static str> {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut tokens = tokens(code).into_iter().peekable();
    let mut paths = Vec::new();
    while let Some(token) = tokens.next() {
        match token.as_str() {
            // Not what an opaque type captures: `impl Future + use<'_>`.
            "use" if tokens.peek().is_some_and(|next| next != "<") => tree(&mut tokens, &[], &mut paths),
            "." => paths.extend(tokens.next().map(|method| vec![format!(".{method}")])),
            name if is_name(name) => {
                let mut path = vec![token];
                while tokens.next_if_eq("::").is_some() {
                    path.extend(tokens.next_if(|next| is_name(next)));
                }
                paths.push(path);
            }
            _ => {}
        }
    }
    let is_in = |forbidden: &&str| {
        let pieces: Vec<_> = forbidden.split("::").collect();
        let has = |path: &Vec<String>| path.windows(pieces.len()).any(|part| part == pieces);
        paths.iter().any(has)
    };
    FORBIDDEN.into_iter().filter(is_in).collect()
}

/// The paths of an import, up to the end of this branch.
fn tree(
    tokens: &mut std::iter::Peekable<impl Iterator<Item = String>>,
    above: &[String],
    paths: &mut Vec<Vec<String>>,
) {
    let mut path = above.to_vec();
    while let Some(token) = tokens.next_if(|next| !matches!(next.as_str(), "," | "}" | ";")) {
        match token.as_str() {
            "{" => {
                while tokens.next_if_eq("}").is_none() && tokens.peek().is_some() {
                    tree(tokens, &path, paths);
                    // A branch ends before any of these, so that each turn goes on.
                    tokens.next_if(|next| matches!(next.as_str(), "," | ";"));
                }
            }
            name if is_name(name) => path.push(token),
            _ => {}
        }
    }
    paths.push(path);
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// Names, `::` and other characters, without comments and texts.
fn tokens(code: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), code);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("'\"'") || rest.starts_with("b'\"'") => {
                rest.find("\"'").map_or(1, |end| end + 2)
            }
            '"' => text_end(rest),
            _ if is_name(rest) => {
                let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = rest.get(..name.unwrap_or(rest.len())).unwrap_or_default();
                tokens.push(name.to_owned());
                name.len()
            }
            _ if rest.starts_with("::") => {
                tokens.push("::".to_owned());
                2
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(first.to_string());
                }
                first.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// How long a text is, with its quotes.
fn text_end(code: &str) -> usize {
    let mut escaped = true;
    for (place, character) in code.char_indices() {
        match character {
            '"' if !escaped => return place + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    code.len()
}
