//! Folders of this machine that survive a power cut, closed to all but their owner.

use std::{
    fs::{DirBuilder, File},
    io,
    path::Path,
};

#[cfg(unix)]
use std::os::unix::fs::DirBuilderExt;

use crate::{Error, Result};

/// Makes a folder and those above it, open to the owner alone; one that is there stays as it is.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    builder().recursive(true).create(path)
}

/// Makes a folder that must not be there yet, open to the owner alone.
pub(crate) fn make_new_folder(path: &Path) -> io::Result<()> {
    builder().create(path)
}

/// Makes renames in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)?.sync_all()
}

fn builder() -> DirBuilder {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "no mode to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    builder
}

/// Makes files and folders durable.
pub(crate) fn sync_all(root: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_file() {
            let path = entry.path();
            let synced = File::open(path).and_then(|file| file.sync_all());
            synced.map_err(Error::io("cannot write", path))?;
        }
    }
    sync_folders(root)
}

/// Makes the folders below this one, and itself, durable.
pub(crate) fn sync_folders(root: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_dir() {
            sync_folder(entry.path()).map_err(Error::io("cannot sync", entry.path()))?;
        }
    }
    Ok(())
}
