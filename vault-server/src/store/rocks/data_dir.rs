//! The data directory: whose it is, which format it has, and that one process alone uses it.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::store::StoreError;

/// First line of the marker. The number rises with every change that an older server would
/// misread; a server opens only its own.
const FORMAT: &str = "medvault data 2\n";

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the data directory open.
    #[error("data directory {} is in use by another server: stop it, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// It holds a database without a format marker, or a marker of another version.
    #[error("data directory {} {found}, this server needs {:?}: use the server version that wrote it, or another directory", .path.display(), FORMAT.trim_end())]
    Format {
        /// The data directory that was given.
        path: PathBuf,
        /// The format that stands there instead.
        found: String,
    },
    /// The file system refused something.
    #[error("data directory {} cannot be prepared: {source}", .path.display())]
    Io {
        /// The file or directory concerned.
        path: PathBuf,
        /// Why the system refused it.
        source: io::Error,
    },
    /// Other users of the machine can enter it.
    #[error("data directory {0}")]
    Exposed(#[from] guard::Exposed),
    /// The database in it does not open.
    #[error("the database does not open: {0}")]
    Store(#[from] StoreError),
}

/// A locked data directory of the right format, with an empty `incoming/`.
#[derive(Debug)]
pub(super) struct DataDir {
    root: PathBuf,
    /// The marker; the kernel releases its lock with the process, however that ends.
    _lock: File,
}

impl DataDir {
    /// Opens or makes the directory.
    pub(super) fn open(root: &Path) -> Result<Self, OpenError> {
        create_dir(root)?;
        guard::folder(root)?;
        let lock = lock_marker(root)?;
        let data_dir = Self {
            root: root.to_owned(),
            _lock: lock,
        };
        remove_dir(&data_dir.incoming())?;
        create_dir(&data_dir.incoming())?;
        Ok(data_dir)
    }

    pub(super) fn db(&self) -> PathBuf {
        db(&self.root)
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }
}

fn db(root: &Path) -> PathBuf {
    root.join("db")
}

/// Finds the marker, or makes it where there is no database yet, and locks it.
fn lock_marker(root: &Path) -> Result<File, OpenError> {
    let path = root.join("FORMAT");
    let found = match fs::read_to_string(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_marker(root, &path)?,
        Err(error) => return Err(io_error(&path)(error)),
    };
    if found != FORMAT {
        let found = format!("has the format {:?}", found.lines().next().unwrap_or_default());
        return Err(OpenError::Format {
            path: root.to_owned(),
            found,
        });
    }
    let marker = File::open(&path).map_err(io_error(&path))?;
    match marker.try_lock() {
        Ok(()) => Ok(marker),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

/// Writes the marker before anything else, durable and whole under its name or not at all.
fn create_marker(root: &Path, path: &Path) -> Result<String, OpenError> {
    if db(root).exists() {
        let found = "holds a database without a FORMAT file".to_owned();
        return Err(OpenError::Format {
            path: root.to_owned(),
            found,
        });
    }
    let draft = root.join("FORMAT.new");
    fs::write(&draft, FORMAT).map_err(io_error(&draft))?;
    sync(&draft)?;
    fs::rename(&draft, path).map_err(io_error(path))?;
    sync(root)?;
    Ok(FORMAT.to_owned())
}

/// Makes a directory that only its owner may enter, if there is none, and its entry durable.
fn create_dir(path: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error(path))?;
    match path.canonicalize().map_err(io_error(path))?.parent() {
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}

fn remove_dir(path: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), OpenError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io_error(path))
}

pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io {
        path: path.to_owned(),
        source,
    }
}
