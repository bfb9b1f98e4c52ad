//! A data set that was deflated as a whole (PS3.5 Annex A.5), inflated a buffer at a time and up to a bound.

use std::io::{self, Read};

use miniz_oxide::{
    DataFormat, MZFlush,
    inflate::stream::{InflateState, inflate},
};

use super::data::Skip;

pub(super) struct Inflated<R> {
    file: R,
    /// Has a window of 32 KiB, whatever the file says.
    state: Box<InflateState>,
    buffer: [u8; BUFFER],
    at: usize,
    filled: usize,
    /// Bytes that may still come out.
    left: u64,
}

impl<R: Read> Inflated<R> {
    pub(super) fn new(file: R) -> Self {
        Self {
            file,
            state: InflateState::new_boxed(DataFormat::Raw),
            buffer: [0; BUFFER],
            at: 0,
            filled: 0,
            left: MOST,
        }
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(out.len()).min(out.len());
        let out = out.get_mut(..most).unwrap_or_default();
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.at == self.filled {
                self.at = 0;
                self.filled = self.file.read(&mut self.buffer)?;
            }
            let ready = self.buffer.get(self.at..self.filled).unwrap_or_default();
            let done = inflate(&mut self.state, ready, out, MZFlush::None);
            self.at += done.bytes_consumed;
            self.left -= done.bytes_written as u64;
            if done.bytes_written > 0 || done.bytes_consumed == 0 {
                // Nothing in and nothing out: it has ended, or is none.
                return Ok(done.bytes_written);
            }
        }
    }
}

impl<R: Read> Skip for Inflated<R> {
    /// What is passed over is inflated all the same.
    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        let mut nowhere = [0; BUFFER];
        while count > 0 {
            let most = usize::try_from(count).unwrap_or(BUFFER).min(BUFFER);
            match self.read(nowhere.get_mut(..most).unwrap_or_default())? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => count -= read as u64,
            }
        }
        Ok(())
    }
}

/// Whatever it would come to.
pub(super) const MOST: u64 = 64 << 20;
const BUFFER: usize = 4096;
