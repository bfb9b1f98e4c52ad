//! A file that is sent, opened once: what is asked of it is asked of the very file that is
//! read, whatever stands under its name meanwhile.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use protocol_spec::{hash::Sha256Digest, manifest::Clinical};
use sha2::{Digest, Sha256};

use super::describe::describe;

/// A regular file, open to be read.
pub(super) struct SentFile {
    file: File,
    path: PathBuf,
}

impl SentFile {
    /// Opens it. A symbolic link is an error unless those are followed, and nothing waits for whoever would write into a FIFO.
    ///
    /// Errors: whatever keeps it from being read; kind `InvalidInput` for what is no regular file.
    pub(super) fn open(path: &Path, follow: bool) -> io::Result<Self> {
        let file = options(follow).open(path)?;
        if file.metadata()?.is_file() {
            let path = path.to_owned();
            Ok(Self { file, path })
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// What it says of itself: media type, and what a clinician sorts by.
    pub(super) fn describe(&self) -> io::Result<(String, Clinical)> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        describe(&self.path, file)
    }

    /// Its content from the beginning on. One at a time.
    pub(super) fn content(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }

    /// SHA-256 of its first bytes as they are now; whoever reads the content goes on where he is.
    pub(super) fn hash(&self, bytes: u64) -> io::Result<Sha256Digest> {
        let mut content = At {
            file: &self.file,
            offset: 0,
        }
        .take(bytes);
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
        loop {
            let read = content.read(&mut buffer)?;
            match buffer.get(..read) {
                Some([]) | None => break,
                Some(read) => hasher.update(read),
            }
        }
        Ok(Sha256Digest::from_bytes(hasher.finalize().into()))
    }
}

/// How it looks: length, times, and on which volume as which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    text: String,
    /// Device and inode, where the system has such.
    file: (u64, u64),
}

impl Look {
    pub(super) fn of(path: &Path, metadata: &Metadata) -> Self {
        let (times, file) = times_and_file(metadata);
        let text = format!(
            "{} {times} {}:{} {}",
            metadata.len(),
            file.0,
            file.1,
            path.display()
        );
        Self { text, file }
    }

    /// Whether it is the same file, perhaps changed.
    pub(super) fn is_file_of(&self, other: &Self) -> bool {
        self.file == other.file
    }

    /// As a journal keeps it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(unix)]
fn times_and_file(metadata: &Metadata) -> (String, (u64, u64)) {
    use std::os::unix::fs::MetadataExt;
    let (m, c) = (metadata.mtime_nsec(), metadata.ctime_nsec());
    let times = format!("{}.{m:09} {}.{c:09}", metadata.mtime(), metadata.ctime());
    (times, (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn times_and_file(metadata: &Metadata) -> (String, (u64, u64)) {
    (format!("{:?}", metadata.modified().ok()), (0, 0))
}

#[cfg(unix)]
fn options(follow: bool) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;
    let no_links = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let mut options = OpenOptions::new();
    let flags = (OFlags::NONBLOCK | no_links).bits();
    options.read(true).custom_flags(flags.cast_signed());
    options
}

#[cfg(not(unix))]
fn options(_: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options
}

/// Reads at an offset of its own.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    #[cfg(unix)]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }

    /// Where a file is read by one offset alone, that is put back.
    #[cfg(not(unix))]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file;
        let before = file.stream_position()?;
        file.seek(io::SeekFrom::Start(self.offset))?;
        let read = file.read(buffer);
        file.seek(io::SeekFrom::Start(before))?;
        let read = read?;
        self.offset += read as u64;
        Ok(read)
    }
}
