//! What is sent: named parts of known length. See [`Source`].
use std::{io, path::PathBuf};
use protocol_spec::manifest::{Clinical, PartName};
use crate::Result;

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
    /// When it cannot be read any more.
    fn open(&mut self, index: usize) -> io::Result<Box<dyn io::Read + Send>>;

    /// Called after part `index` was read to its end: an error if it changed meanwhile.
    ///
    /// # Errors
    /// [`crate::Error::SourceChanged`].
    fn check(&mut self, _index: usize) -> Result<()> {
        Ok(())
    }
}

/// Files and folders.
pub struct FileSource {}

impl FileSource {
    /// Lists files, and folders recursively, without following symbolic links.
    ///
    /// # Errors
    /// [`crate::Error::Io`] for what is not there; [`crate::Error::Usage`] for two files of one name or none at all.
    pub fn list(paths: &[PathBuf]) -> Result<Self> {
        todo!()
    }
}

impl Source for FileSource {
    fn parts(&self) -> &[SourcePart] {
        todo!()
    }
    fn open(&mut self, _index: usize) -> io::Result<Box<dyn io::Read + Send>> {
        todo!()
    }
}

/// stub
pub struct AsyncPart {}
