//! Whether a file is what it should be, by its length and its SHA-256.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

use protocol_spec::hash::Sha256Digest;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// SHA-256 of a file of any size.
pub(crate) fn file_hash(path: &Path) -> Result<Sha256Digest> {
    hash(path).map_err(Error::io("cannot read", path))
}

/// True if the path names a file or a folder that exists.
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists()
}

/// Whether a file is there, with this length and hash.
pub(crate) fn is_whole(path: &Path, length: u64, expected: &Sha256Digest) -> bool {
    let metadata = path.symlink_metadata().ok().filter(Metadata::is_file);
    metadata.is_some_and(|metadata| metadata.len() == length)
        && hash(path).is_ok_and(|hash| hash == *expected)
}

/// Where a path leads, as far as that can be said.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

fn hash(path: &Path) -> io::Result<Sha256Digest> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; BUFFER]);
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(&[]) | None => return Ok(Sha256Digest::from_bytes(hasher.finalize().into())),
            Some(bytes) => hasher.update(bytes),
        }
    }
}

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// PRG-4.
    #[test]
    fn a_file_is_hashed_whole_whatever_its_size() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, BUFFER - 1, BUFFER, 3 * BUFFER + 7] {
            let content = vec![7; size];
            let path = folder.path().join(size.to_string());
            std::fs::write(&path, &content).unwrap();
            assert_eq!(file_hash(&path).unwrap(), Sha256Digest::of(&content));
        }
        let missing = file_hash(&folder.path().join("missing"));
        assert!(matches!(missing, Err(Error::Io { .. })));
    }
}
