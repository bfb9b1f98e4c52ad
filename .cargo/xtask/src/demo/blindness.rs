//! The proof that the server is blind: what was sent is searched for in all that the operator has.
//!
//! Searched for are pieces of every file, the patient's name and numbers, the files' names, and the texts of
//! the requests. A control runs the same search over the originals: it must find every one of them, or the
//! search itself would be blind.

mod search;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::files;
use super::narrator::{heading, size};
use super::server::ServerProcess;
use search::{Haystack, Needles};

/// Searches the server's folder and log.
///
/// Fails when something is found there, or the control does not find everything.
pub(super) fn prove(
    server: &ServerProcess,
    input: &Path,
    canaries: &[String],
    texts: &[String],
) -> Result<()> {
    heading("Blindness: what the server could have read");
    let mut needles = Needles::default();
    add_files(&mut needles, input)?;
    let names = file_names(input)?;
    for text in canaries.iter().chain(texts).chain(&names) {
        needles.add(text.as_bytes());
    }
    println!(
        "  searching for {} byte strings: {WINDOWS} pieces of each file, names, numbers, texts",
        needles.count()
    );
    control(&needles, input, &names, texts)?;
    search_possessions(&needles, server)
}

/// Searches the originals: the search must find everything there.
fn control(needles: &Needles, input: &Path, names: &[String], texts: &[String]) -> Result<()> {
    let mut control = Haystack::default();
    search_folder(needles, input, &mut control)?;
    control.search(
        needles,
        names
            .iter()
            .chain(texts)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
            .as_bytes(),
    );
    ensure!(
        control.found() == needles.count(),
        "the search is faulty: in the originals it finds {} of {}",
        control.found(),
        needles.count()
    );
    println!("  control: in the originals, all {} are found", control.found());
    Ok(())
}

/// Searches all that the operator has: nothing must be found there.
fn search_possessions(needles: &Needles, server: &ServerProcess) -> Result<()> {
    let started = Instant::now();
    let mut operator = Haystack::default();
    for possession in server.possessions() {
        search_folder(needles, possession, &mut operator)?;
    }
    println!(
        "  searched the server's folder and log: {} files, {}, in {:.1} s",
        operator.files(),
        size(operator.bytes()),
        started.elapsed().as_secs_f64()
    );
    ensure!(
        operator.found() == 0,
        "the server can read: {}",
        operator.describe(needles)
    );
    println!("  found: none of them");
    Ok(())
}

fn search_folder(needles: &Needles, folder: &Path, haystack: &mut Haystack) -> Result<()> {
    for (name, file) in files::list(folder)? {
        haystack.search(needles, name.to_string_lossy().as_bytes());
        let content = fs::read(&file.path).with_context(|| format!("cannot read {}", file.path.display()))?;
        haystack.search_file(needles, &content);
    }
    Ok(())
}

/// Adds pieces of every file, spread over its length, that are not as dull as a row of zeros.
fn add_files(needles: &mut Needles, folder: &Path) -> Result<()> {
    for file in files::list(folder)?.values() {
        let content = fs::read(&file.path).with_context(|| format!("cannot read {}", file.path.display()))?;
        let step = (content.len() / WINDOWS).max(1);
        for part in content.chunks(step).take(WINDOWS) {
            if let Some(window) = part.windows(WINDOW).find(|window| is_telling(window)) {
                needles.add(window);
            }
        }
    }
    Ok(())
}

/// Names of files that are long enough not to occur by chance.
fn file_names(folder: &Path) -> Result<Vec<String>> {
    let found = files::list(folder)?;
    let names = found
        .keys()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned());
    Ok(names.filter(|name| name.len() >= search::SHORTEST).collect())
}

fn is_telling(window: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in window {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count() >= WINDOW / 3
}

/// How many pieces of each file are searched for.
const WINDOWS: usize = 16;

/// Length of a piece; random data holds a given one with probability 2⁻²⁵⁶ at each place.
const WINDOW: usize = 32;
