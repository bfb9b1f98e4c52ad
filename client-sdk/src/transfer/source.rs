//! What is sent: named parts of known length, read once, in order.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use protocol_spec::{
    file_names::check_sent,
    hash::Sha256Digest,
    manifest::{Clinical, PartName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    runtime::Handle,
};

use crate::{Error, Result};

/// What a source says about one part before it is read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SourcePart {
    /// Relative path below the record's folder.
    #[serde(serialize_with = "crate::text::part_name")]
    pub name: PartName,
    /// The part's media type (RFC 6838).
    pub media_type: String,
    /// Its exact length in bytes.
    #[serde(rename = "bytes")]
    pub length: u64,
    /// What a clinician sorts by.
    #[serde(flatten)]
    pub clinical: Clinical,
    /// When it was last changed, in nanoseconds since 1970, where that is known.
    #[serde(
        serialize_with = "crate::text::modified",
        skip_serializing_if = "crate::text::has_no_time"
    )]
    pub modified: Option<i64>,
    /// Changes when the part's content may have changed, for example size and time of a file. Where it has, contents are
    /// compared before an interrupted upload goes on; without one it starts anew.
    #[serde(skip)]
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

    /// Called again and again while part `index` is read, after its first `read` bytes, at last after all of them. `hash`
    /// gives the SHA-256 of what was read.
    ///
    /// # Errors
    /// [`Error::SourceChanged`] if it has another content now than was read (FLW-19).
    fn look(&mut self, _index: usize, _read: u64, _hash: &dyn Fn() -> Sha256Digest) -> Result<()> {
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

/// Refuses names under which the files would deceive whoever receives them (CNT-17).
pub(crate) fn check_names(parts: &[SourcePart]) -> Result<()> {
    let names = parts.iter().map(|part| &part.name);
    check_sent(names).map_err(|(name, fault)| Error::Usage(format!("{:?}: {fault}", name.as_str())))
}
