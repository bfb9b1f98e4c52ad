//! Files from standard input, and onto standard output: `-` in place of a path.
//!
//! In between they lie in `piped/` of the home, this user's alone. So a transfer that breaks off goes on as any other, an answer that
//! could not be written is there for the next run (FLW-17), and no byte is handed on before all of the record is verified (CNT-15).

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Write, copy, stdin, stdout},
    os::unix::fs::DirBuilderExt,
    path::{Component, Path, PathBuf},
};

use client_sdk::{Error, FetchedPart, RecordId};
use tempfile::TempDir;

use crate::{context::Context, failure::Failure, words};

/// What stands for standard input or output.
pub(crate) fn is_pipe(path: &Path) -> bool {
    path == Path::new("-")
}

/// All of standard input as a file, which is gone with this.
pub(crate) struct Input {
    folder: TempDir,
    name: String,
    /// Tells it from what a killed run has left.
    _lock: File,
}

impl Input {
    /// Reads to the end of standard input.
    pub(crate) async fn read(context: &Context, name: &str) -> Result<Self, Failure> {
        let mut components = Path::new(name).components();
        let is_name = matches!(
            (components.next(), components.next()),
            (Some(Component::Normal(only)), None) if only == name
        );
        if !is_name {
            return Err(Failure::usage(format!(
                "{name:?} is no name of a file: give --name one without folders, such as report.pdf"
            )));
        }
        let piped = folder(context)?;
        sweep(&piped);
        let failure = |source: &io::Error| Failure::file("cannot write", &piped, source);
        let folder = tempfile::Builder::new()
            .prefix(INPUT)
            .tempdir_in(&piped)
            .map_err(|source| failure(&source))?;
        let lock = File::open(folder.path()).map_err(|source| failure(&source))?;
        match lock.try_lock() {
            // File systems without locks have to do without.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(failure(&io::ErrorKind::ResourceBusy.into())),
        }
        let path = folder.path().join(name);
        let mut file = File::create_new(&path).map_err(|source| failure(&source))?;
        words::apart(move || copy(&mut stdin().lock(), &mut file)).await?;
        Ok(Self {
            folder,
            name: name.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }
}

/// The only file of a record, on its way to standard output.
pub(crate) struct Output(PathBuf);

impl Output {
    /// `name` tells transfers apart, and is the same for every run of one.
    pub(crate) fn prepare(context: &Context, name: &str) -> Result<Self, Failure> {
        if context.json() {
            return Err(Failure::usage(
                "standard output is for the file: leave out --json, or give a folder",
            ));
        }
        Ok(Self(folder(context)?.join(name)))
    }

    /// Into which folder it is received.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Removes what an earlier run has received as a whole, and could not write; what has broken off goes on.
    pub(crate) fn clear(&self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("rec_") {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }

    /// Writes what was received, and removes it. Where it cannot be written it stays for the next run.
    pub(crate) async fn write(self, record: RecordId, parts: &[FetchedPart]) -> Result<(), Failure> {
        let failed = |source: &io::Error| Failure::output(source);
        let [only] = parts else {
            return Err(failed(&io::ErrorKind::InvalidData.into()));
        };
        let path = self.0.join(record.to_string()).join(&only.file);
        let mut file = File::open(&path).map_err(|source| Failure::file("cannot read", &path, &source))?;
        let written = tokio::task::spawn_blocking(move || {
            let mut out = stdout().lock();
            copy(&mut file, &mut out)?;
            out.flush()
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(source)) => return Err(failed(&source)),
            Err(_) => return Err(failed(&io::ErrorKind::Other.into())),
        }
        drop(fs::remove_dir_all(&self.0));
        drop(self.0.parent().map(fs::remove_dir));
        Ok(())
    }
}

/// `piped/` of a home that is there.
fn folder(context: &Context) -> Result<PathBuf, Failure> {
    let home = context.home()?;
    if !home.is_dir() {
        let home = home.to_owned();
        return Err(Error::HomeMissing { home }.into());
    }
    let piped = home.join("piped");
    match DirBuilder::new().mode(0o700).create(&piped) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::file("cannot make", &piped, &source))
        }
        _ => Ok(piped),
    }
}

/// Removes input of runs that were killed.
fn sweep(piped: &Path) {
    for entry in fs::read_dir(piped).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_input = entry.file_name().to_string_lossy().starts_with(INPUT);
        if is_input && File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            drop(fs::remove_dir_all(path));
        }
    }
}

const INPUT: &str = "in-";
