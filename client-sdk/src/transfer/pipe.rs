//! One record from the server and back to it without ever lying on the disk: what
//! a [`Sink`] is given, a [`Source`] yields.

use std::{
    io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe},
    path::Path,
};

use protocol_spec::{ids::RecordId, manifest::Part};

use super::{Sink, Source, SourcePart};
use crate::{Error, Result};

/// Both ends of a pipe through which the parts of one record run.
pub(crate) fn through(parts: &[Part]) -> Result<(PipeSource, PipeSink)> {
    let (reader, writer) = pipe().map_err(broken)?;
    let parts = parts.iter().map(|part| SourcePart {
        name: part.name.clone(),
        media_type: part.media_type.clone(),
        length: part.length,
        clinical: part.clinical.clone(),
        modified: part.modified,
        identity: None,
    });
    let source = PipeSource {
        parts: parts.collect(),
        reader,
    };
    Ok((source, PipeSink { writer }))
}

/// Yields the parts as they come.
pub(crate) struct PipeSource {
    parts: Vec<SourcePart>,
    reader: PipeReader,
}

impl Source for PipeSource {
    fn parts(&self) -> &[SourcePart] {
        &self.parts
    }

    fn open(&mut self, _: usize) -> Result<Box<dyn Read + Send>> {
        // The parts stand one behind the other, and each is read to its end.
        Ok(Box::new(self.reader.try_clone().map_err(broken)?))
    }
}

/// Takes the parts as they are opened. They are verified only when the whole record has run through.
pub(crate) struct PipeSink {
    writer: PipeWriter,
}

impl Sink for PipeSink {
    fn begin(&mut self, _: &RecordId, _: &Part) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(broken)
    }

    fn commit(&mut self) -> Result<()> {
        Ok(())
    }
}

fn broken(source: std::io::Error) -> Error {
    Error::io("cannot pass on", Path::new("a record"))(source)
}

/// Whether nobody reads the other end any more: why, whoever read says.
pub(crate) fn is_unread(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}
