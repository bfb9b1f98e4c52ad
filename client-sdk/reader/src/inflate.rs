//! What was deflated (RFC 1951), inflated a window at a time and up to bounds.
//!
//! A block of the format may be a few bits that stand for nothing, and each has tables that are built anew. So there is a bound on
//! their number too: without it a file would have as much work done as it is long, for no byte that comes out.

use std::io::{self, Read};

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{
        DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress,
        inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY},
    },
};

/// What is deflated in a file, read as it comes out.
pub(crate) struct Inflated<R> {
    file: R,
    state: Box<DecompressorOxide>,
    buffer: [u8; BUFFER],
    at: usize,
    filled: usize,
    /// What came out last, as far back as the format may refer to it, whatever the file says.
    window: Box<[u8; TINFL_LZ_DICT_SIZE]>,
    /// What of the window has come out and was not taken.
    ready: std::ops::Range<usize>,
    /// Bytes that may still be taken.
    left: u64,
    /// Blocks that may still end.
    blocks: u32,
    ended: bool,
}

impl<R: Read> Inflated<R> {
    /// Gives no more than so many bytes, whatever it would come to, of no more than so many blocks.
    pub(crate) fn new(file: R, most: u64, blocks: u32) -> Self {
        Self {
            file,
            state: Box::default(),
            buffer: [0; BUFFER],
            at: 0,
            filled: 0,
            window: Box::new([0; TINFL_LZ_DICT_SIZE]),
            ready: 0..0,
            left: most,
            blocks,
            ended: false,
        }
    }

    /// Goes on for one block at most, and until the window's end.
    fn inflate(&mut self) -> io::Result<()> {
        if self.at == self.filled {
            self.at = 0;
            self.filled = self.file.read(&mut self.buffer)?;
        }
        let input = self.buffer.get(self.at..self.filled).unwrap_or_default();
        let from = self.ready.end % self.window.len();
        let (status, consumed, written) =
            decompress(&mut self.state, input, self.window.as_mut_slice(), from, FLAGS);
        self.at += consumed;
        self.ready = from..from + written;
        self.ended = match status {
            TINFLStatus::HasMoreOutput => false,
            TINFLStatus::NeedsMoreInput => input.is_empty(),
            TINFLStatus::BlockBoundary => {
                self.blocks = self.blocks.saturating_sub(1);
                self.blocks == 0
            }
            _ => true,
        };
        Ok(())
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.ended {
            self.inflate()?;
        }
        let ready = self.window.get(self.ready.clone()).unwrap_or_default();
        let count = ready.take(self.left).read(out)?;
        self.ready.start += count;
        self.left -= count as u64;
        Ok(count)
    }
}

const FLAGS: u32 = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
const BUFFER: usize = 4096;
