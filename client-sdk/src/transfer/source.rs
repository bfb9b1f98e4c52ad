//! What is sent: named parts of known length, read once, in order.

use std::{
    collections::HashSet,
    fs::{File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

use protocol_spec::{
    file_names::{check_sent, tidied},
    manifest::{Clinical, MAX_PARTS, PartName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    runtime::Handle,
};
use walkdir::WalkDir;

use super::describe::describe;
use crate::{Error, Result};

/// What a source says about one part before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePart {
    /// Relative path below the record's folder.
    pub name: PartName,
    /// RFC 6838 media type.
    pub media_type: String,
    /// Its exact length in bytes.
    pub length: u64,
    /// What a clinician sorts by.
    pub clinical: Clinical,
    /// Changes when the part's content may have changed, for example size and time of a file. Equal texts let
    /// an interrupted upload go on; without one it starts anew.
    pub identity: Option<String>,
}

/// A record's plaintext. It is read once, in order, on a thread that may block.
pub trait Source: Send + 'static {
    /// The parts, in the order in which they are read.
    fn parts(&self) -> &[SourcePart];

    /// Opens part `index` at its beginning. It must yield exactly the length announced.
    ///
    /// # Errors
    /// [`Error::SourceChanged`] or [`Error::Io`] when it cannot be read any more.
    fn open(&mut self, index: usize) -> Result<Box<dyn Read + Send>>;

    /// Called after part `index` was read to its end.
    ///
    /// # Errors
    /// [`Error::SourceChanged`] if it is not what it was at the beginning.
    fn check(&mut self, _index: usize) -> Result<()> {
        Ok(())
    }

    /// What to call part `index` in errors.
    fn path(&self, index: usize) -> PathBuf {
        self.parts()
            .get(index)
            .map_or_else(PathBuf::new, |part| part.name.as_str().into())
    }
}

/// Turns an asynchronous reader into one that a [`Source`] can hand out.
pub struct AsyncPart<R> {
    reader: R,
    runtime: Handle,
}

impl<R: AsyncRead + Unpin> AsyncPart<R> {
    /// Must be called inside a tokio runtime of several threads; the reader is polled on it.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            runtime: Handle::current(),
        }
    }
}

impl<R: AsyncRead + Unpin> Read for AsyncPart<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.reader.read(buffer))
    }
}

/// Refuses names under which the files would deceive whoever receives them, or could not lie side by side (CNT-17).
///
/// # Errors
/// [`Error::Usage`].
pub(crate) fn check_names(source: &impl Source) -> Result<()> {
    let names = source.parts().iter().map(|part| &part.name);
    check_sent(names).map_err(|(name, fault)| Error::Usage(format!("{:?}: {fault}", name.as_str())))
}

/// Files and folders. Each is known by size, times and inode, so that one that changes is noticed.
pub struct FileSource {
    paths: Vec<PathBuf>,
    parts: Vec<SourcePart>,
}

impl FileSource {
    /// Lists files, and folders recursively in the order of their names. Symbolic links are not followed: a
    /// link given by name is an error, one inside a folder is left out.
    ///
    /// # Errors
    /// [`Error::Io`] for what is not there; [`Error::Usage`] for names that a record cannot hold or that should not be sent
    /// (CNT-17), two files of one name, or none at all.
    pub fn list(paths: &[PathBuf]) -> Result<Self> {
        let mut source = Self {
            paths: Vec::new(),
            parts: Vec::new(),
        };
        for path in paths {
            source.add(path)?;
        }
        let mut names = HashSet::new();
        if let Some(twice) = source.parts.iter().find(|part| !names.insert(part.name.as_str())) {
            let name = twice.name.as_str();
            return Err(Error::Usage(format!(
                "two files are called {name}: send them in a folder each"
            )));
        }
        if !(1..=MAX_PARTS).contains(&source.parts.len()) {
            let found = source.parts.len();
            return Err(Error::Usage(format!(
                "a record has 1 to {MAX_PARTS} files, here are {found}: choose others"
            )));
        }
        check_names(&source)?;
        Ok(source)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let metadata = path.symlink_metadata().map_err(Error::io("cannot read", path))?;
        if metadata.is_symlink() {
            return Err(Error::Usage(format!(
                "{} is a symbolic link: name the file itself",
                path.display()
            )));
        }
        if !metadata.is_dir() {
            return self.add_file(
                path,
                Path::new(path.file_name().unwrap_or(path.as_os_str())),
                &metadata,
            );
        }
        for entry in WalkDir::new(path).follow_links(false).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let at = error.path().unwrap_or(path).to_owned();
                Error::io("cannot read", &at)(error.into())
            })?;
            if entry.file_type().is_file() {
                let metadata = entry
                    .path()
                    .symlink_metadata()
                    .map_err(Error::io("cannot read", entry.path()))?;
                let name = entry.path().strip_prefix(path).unwrap_or(entry.path());
                self.add_file(entry.path(), name, &metadata)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &Path, metadata: &Metadata) -> Result<()> {
        if !metadata.is_file() {
            return Err(Error::Usage(format!(
                "{} is not a file: leave it out",
                path.display()
            )));
        }
        let unfit = |_| {
            Error::Usage(format!(
                "{} has a name that a record cannot hold: rename it",
                path.display()
            ))
        };
        let components: Vec<_> = name
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect();
        let (media_type, clinical) = describe(path);
        self.parts.push(SourcePart {
            name: PartName::try_from(tidied(&components.join("/"))).map_err(unfit)?,
            media_type,
            length: metadata.len(),
            clinical,
            identity: Some(identity(path, metadata)),
        });
        self.paths.push(path.to_owned());
        Ok(())
    }

    fn unchanged(&self, index: usize, metadata: io::Result<Metadata>) -> Result<()> {
        let (Some(path), Some(part)) = (self.paths.get(index), self.parts.get(index)) else {
            return Ok(());
        };
        match metadata {
            Ok(metadata) if part.identity.as_deref() == Some(&identity(path, &metadata)) => Ok(()),
            _ => Err(Error::SourceChanged { path: path.clone() }),
        }
    }
}

impl Source for FileSource {
    fn parts(&self) -> &[SourcePart] {
        &self.parts
    }

    fn open(&mut self, index: usize) -> Result<Box<dyn Read + Send>> {
        let path = self.path(index);
        let file = File::open(&path).map_err(|_| Error::SourceChanged { path })?;
        self.unchanged(index, file.metadata())?;
        Ok(Box::new(file))
    }

    fn check(&mut self, index: usize) -> Result<()> {
        self.unchanged(index, self.path(index).symlink_metadata())
    }

    fn path(&self, index: usize) -> PathBuf {
        self.paths.get(index).cloned().unwrap_or_default()
    }
}

#[cfg(unix)]
fn identity(path: &Path, metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    let (m, c) = (metadata.mtime_nsec(), metadata.ctime_nsec());
    let times = format!("{}.{m:09} {}.{c:09}", metadata.mtime(), metadata.ctime());
    format!(
        "{} {times} {}:{} {}",
        metadata.len(),
        metadata.dev(),
        metadata.ino(),
        path.display()
    )
}

#[cfg(not(unix))]
fn identity(path: &Path, metadata: &Metadata) -> String {
    format!(
        "{} {:?} {}",
        metadata.len(),
        metadata.modified().ok(),
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        dir
    }

    fn names(source: &FileSource) -> Vec<&str> {
        source.parts().iter().map(|part| part.name.as_str()).collect()
    }

    #[test]
    fn folders_are_listed_in_order_and_files_by_their_name() {
        let dir = tree(&["b/2.txt", "b/1.txt", "a.json", "z/deep/er.xml"]);
        let folder = FileSource::list(&[dir.path().to_owned()]).unwrap();
        assert_eq!(names(&folder), ["a.json", "b/1.txt", "b/2.txt", "z/deep/er.xml"]);
        let chosen = FileSource::list(&[dir.path().join("a.json"), dir.path().join("b")]).unwrap();
        assert_eq!(names(&chosen), ["a.json", "1.txt", "2.txt"]);
        assert_eq!(chosen.parts()[0].media_type, "application/json");
    }

    #[test]
    fn what_a_record_cannot_hold_is_refused() {
        let dir = tree(&["a/x", "b/x", "c/bad\\name"]);
        let list = |names: &[&str]| {
            FileSource::list(&names.iter().map(|name| dir.path().join(name)).collect::<Vec<_>>()).err()
        };
        assert!(matches!(list(&["a/x", "b/x"]), Some(Error::Usage(_))));
        assert!(matches!(list(&["c"]), Some(Error::Usage(_))));
        assert!(matches!(list(&[]), Some(Error::Usage(_))));
        assert!(matches!(list(&["missing"]), Some(Error::Io { .. })));
    }

    /// CNT-17, ATK-73; what the sender can put right by itself is.
    #[cfg(unix)]
    #[test]
    fn names_that_deceive_are_refused_with_what_to_do() {
        for bad in ["-rf", ".bashrc", "CON", "x ", "y.", "report\u{202e}fdp.exe"] {
            let dir = tree(&[bad]);
            let error = FileSource::list(&[dir.path().to_owned()])
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains("rename it"), "{error}");
        }
        let dir = tree(&["A.txt", "a.txt"]);
        let error = FileSource::list(&[dir.path().to_owned()])
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("\"a.txt\": some file systems"), "{error}");
        let dir = tree(&["u\u{308}bersicht\u{a0}1.txt"]);
        let source = FileSource::list(&[dir.path().to_owned()]).unwrap();
        assert_eq!(names(&source), ["übersicht 1.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_not_followed() {
        let dir = tree(&["a/x"]);
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a/link")).unwrap();
        assert_eq!(names(&FileSource::list(&[dir.path().join("a")]).unwrap()), ["x"]);
        assert!(matches!(
            FileSource::list(&[dir.path().join("a/link")]),
            Err(Error::Usage(_))
        ));
    }

    #[test]
    fn a_file_that_changes_or_vanishes_is_noticed() {
        let dir = tree(&["x", "y"]);
        let mut source = FileSource::list(&[dir.path().to_owned()]).unwrap();
        assert!(source.open(0).is_ok() && source.check(0).is_ok());
        std::fs::write(dir.path().join("x"), "longer than before").unwrap();
        assert!(matches!(source.check(0), Err(Error::SourceChanged { .. })));
        std::fs::remove_file(dir.path().join("y")).unwrap();
        assert!(matches!(source.open(1), Err(Error::SourceChanged { .. })));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn asynchronous_readers_can_be_parts() {
        let mut part = AsyncPart::new(&b"from far away"[..]);
        let text = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            part.read_to_string(&mut text).map(|_| text)
        });
        assert_eq!(text.await.unwrap().unwrap(), "from far away");
    }
}
