//! A data set as bytes of which most are passed over.

use std::io::{self, Read, Seek, SeekFrom};

use crate::inflate::Inflated;

/// Bytes that can be passed over.
pub(super) trait Skip: Read {
    /// Passes over so many, or over all that are left.
    fn skip(&mut self, count: u64) -> io::Result<()>;
}

impl<F: Read + Seek> Skip for &mut F {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = i64::try_from(count).map_err(|_| io::ErrorKind::InvalidData)?;
        self.seek(SeekFrom::Current(count)).map(drop)
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

/// Reads ahead a buffer at a time, so that short elements cost no call each.
pub(super) struct DataSet<S> {
    source: S,
    buffer: [u8; BUFFER],
    at: usize,
    filled: usize,
}

impl<S: Skip> DataSet<S> {
    pub(super) const fn new(source: S) -> Self {
        Self {
            source,
            buffer: [0; BUFFER],
            at: 0,
            filled: 0,
        }
    }

    /// The next bytes, which stay the next ones.
    pub(super) fn peek<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        while self.filled - self.at < N {
            self.more()?;
        }
        let next = self.buffer.get(self.at..).and_then(|rest| rest.first_chunk());
        next.copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    pub(super) fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let next = self.peek()?;
        self.at += N;
        Ok(next)
    }

    /// A value that is short.
    pub(super) fn read_exact(&mut self, value: &mut [u8]) -> io::Result<()> {
        for byte in value {
            [*byte] = self.take()?;
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        let buffered = (self.filled - self.at) as u64;
        if count <= buffered {
            self.at += usize::try_from(count).unwrap_or_default();
            return Ok(());
        }
        self.at = self.filled;
        self.source.skip(count - buffered)
    }

    /// How many bytes have been read of the source beyond those that were taken.
    pub(super) fn ahead(&self) -> i64 {
        i64::try_from(self.filled - self.at).unwrap_or_default()
    }

    /// What is left moves to the front, and as much as fits comes behind it.
    fn more(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        self.at = 0;
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        match self.source.read(room) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.filled += read;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

const BUFFER: usize = 4096;
