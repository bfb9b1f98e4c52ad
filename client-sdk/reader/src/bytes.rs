//! Bytes of a file up to a bound, and one by one.

use std::io::{self, Read, Seek, SeekFrom};

/// A file of which no more than [`MOST`] bytes are read, from wherever and however often. Whatever looks into a file has it in this form.
pub(crate) struct Bounded<F> {
    file: F,
    /// Bytes that may still be read.
    left: u64,
}

impl<F> Bounded<F> {
    pub(crate) const fn new(file: F) -> Self {
        Self { file, left: MOST }
    }
}

impl<F: Read> Read for Bounded<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(buffer.len())
            .min(buffer.len());
        let read = self.file.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

impl<F: Seek> Seek for Bounded<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Reads ahead a buffer at a time. A file that cannot be read further ends there.
pub(crate) struct Bytes<R> {
    file: R,
    buffer: Box<[u8; BUFFER]>,
    at: usize,
    filled: usize,
    /// Bytes that may still be read.
    left: u64,
}

impl<R: Read> Bytes<R> {
    pub(crate) fn new(file: R) -> Self {
        Self {
            file,
            buffer: Box::new([0; BUFFER]),
            at: 0,
            filled: 0,
            left: MOST,
        }
    }

    /// The next byte, which stays the next one.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        if self.at == self.filled {
            self.fill();
        }
        self.buffer.get(self.at..self.filled)?.first().copied()
    }

    pub(crate) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Whether the bound has ended it, and not the file.
    pub(crate) fn is_cut(&self) -> bool {
        self.left == 0
    }

    fn fill(&mut self) {
        let most = usize::try_from(self.left).unwrap_or(BUFFER).min(BUFFER);
        let room = self.buffer.get_mut(..most).unwrap_or_default();
        self.at = 0;
        self.filled = loop {
            match self.file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.unwrap_or(0).min(most),
            }
        };
        self.left = self.left.saturating_sub(self.filled as u64);
    }
}

/// Appends to a text that is kept, up to so many bytes; what is longer is none of those that are looked for.
pub(crate) fn keep(text: &mut Vec<u8>, byte: u8, most: usize) {
    if text.len() <= most {
        text.push(byte);
    }
}

/// Of any file, however long. Sending it takes longer than reading so much.
pub(crate) const MOST: u64 = 64 << 20;
const BUFFER: usize = 8192;
