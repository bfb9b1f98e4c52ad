//! Files in folders: listed with their size, and compared byte for byte.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// A file that was found.
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// All files in a folder, or the one file itself, by their path relative to it. Symbolic links are not followed.
pub(super) fn list(root: &Path) -> Result<BTreeMap<PathBuf, FoundFile>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if about.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else if about.is_file() {
            let relative = path.strip_prefix(root)?.to_path_buf();
            found.insert(
                relative,
                FoundFile {
                    path,
                    bytes: about.len(),
                },
            );
        }
    }
    Ok(found)
}

/// Compares what was sent with the one record in the folder that received it.
///
/// Fails when a file is missing, added or different.
pub(super) fn compare(sent: &Path, received: &Path) -> Result<()> {
    let original = list(sent)?;
    let copy = list(&record_root(sent, received)?)?;
    ensure!(
        original.keys().eq(copy.keys()),
        "{} does not hold the same files as {}",
        received.display(),
        sent.display()
    );
    let mut bytes = 0;
    for (one, other) in original.values().zip(copy.values()) {
        ensure!(
            same_content(&one.path, &other.path)?,
            "{} differs from {}",
            other.path.display(),
            one.path.display()
        );
        bytes += one.bytes;
    }
    println!(
        "  {} files, {bytes} bytes in {} are the same byte for byte",
        original.len(),
        received.display()
    );
    Ok(())
}

/// Where the files lie below the folder: in one named after the record, and there, if the folder that was sent
/// became part of their names, in one named after that.
fn record_root(sent: &Path, received: &Path) -> Result<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(received)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    let [record] = entries.as_slice() else {
        bail!(
            "{} should hold one record, it holds {}",
            received.display(),
            entries.len()
        );
    };
    let named = record.join(sent.file_name().unwrap_or_default());
    Ok(if named.is_dir() { named } else { record.clone() })
}

fn same_content(one: &Path, other: &Path) -> Result<bool> {
    let (mut one, mut other) = (
        BufReader::new(File::open(one)?),
        BufReader::new(File::open(other)?),
    );
    let (mut left, mut right) = (vec![0; BLOCK], Vec::with_capacity(BLOCK));
    loop {
        let read = one.read(&mut left)?;
        right.clear();
        (&mut other).take(read.max(1) as u64).read_to_end(&mut right)?;
        if left.get(..read) != Some(right.as_slice()) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

const BLOCK: usize = 256 * 1024;
