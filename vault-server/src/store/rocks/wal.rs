//! A look at the write-ahead logs before RocksDB opens them. RocksDB stops at the first damaged record and
//! silently drops what follows, and some damage it does not survive at all (FLT-4, FLT-5).
//!
//! The commit thread syncs each record before it writes the next. So a power cut can leave at most one
//! record in pieces, the last: it was never acknowledged and is cut off. A damaged record with the start of
//! another behind it was acknowledged: that is rot, and opening would lose it. Damage to the very last
//! record looks like a torn tail.
//!
//! A log is blocks of 32 KiB, a record is one or more fragments, none across blocks:
//! masked CRC-32C (u32) ‖ length (u16) ‖ part (u8) ‖ payload, little-endian; the CRC covers part and payload.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{OpenError, data_dir::io_error};
use crate::store::StoreError;

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;

/// Which part of its record a fragment is. Recycled and compressed logs, which have others, are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fragment {
    Full,
    First,
    Middle,
    Last,
}

impl Fragment {
    fn starts(self) -> bool {
        matches!(self, Self::Full | Self::First)
    }

    fn ends(self) -> bool {
        matches!(self, Self::Full | Self::Last)
    }
}

/// Cuts torn tails off all logs of a database that is not open.
///
/// Errors: `Corrupt`, with the file's name, when a record before the last is damaged.
pub(super) fn mend(db: &Path) -> Result<(), OpenError> {
    for path in logs(db).map_err(io_error(db))? {
        let mut scan = Scan::default();
        let length = read_blocks(&path, |block| scan.block(block)).map_err(io_error(&path))?;
        if let Some(place) = scan.rot {
            let text = format!("write-ahead log {}, byte {place}", path.display());
            return Err(StoreError::Corrupt(text).into());
        }
        if scan.whole < length {
            tracing::warn!(log = %path.display(), bytes = length - scan.whole, "an unfinished write is cut off");
            cut(&path, scan.whole).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

/// How far one write-ahead log has been read, and what was found.
#[derive(Debug, Default)]
struct Scan {
    /// Bytes before the block that comes next.
    read: u64,
    /// Where the last whole record ends.
    whole: u64,
    /// The record behind it has begun.
    begun: bool,
    /// Where the first damaged record begins.
    damage: Option<u64>,
    /// The first damage, if another record starts behind it.
    rot: Option<u64>,
}

impl Scan {
    fn block(&mut self, block: &[u8]) {
        let mut rest = block;
        while rest.len() >= HEADER && self.rot.is_none() {
            let place = self.read + (block.len() - rest.len()) as u64;
            let Some((part, behind)) = fragment(rest) else {
                // The length may be what is damaged, so the next record may start anywhere.
                if self.damage.is_none() && holds_start(rest) {
                    self.rot = Some(place);
                }
                self.damage.get_or_insert(place);
                break;
            };
            rest = behind;
            self.fragment(part, place, self.read + (block.len() - rest.len()) as u64);
        }
        self.read += block.len() as u64;
    }

    /// A sound fragment, from `place` to `end`.
    fn fragment(&mut self, part: Fragment, place: u64, end: u64) {
        if part.starts() == self.begun {
            self.damage.get_or_insert(place);
        }
        if part.starts() {
            self.rot = self.damage;
        }
        if self.damage.is_none() {
            self.begun = !part.ends();
            self.whole = if part.ends() { end } else { self.whole };
        }
    }
}

/// The sound fragment at the beginning of these bytes, and what is behind it.
fn fragment(bytes: &[u8]) -> Option<(Fragment, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let [c0, c1, c2, c3, l0, l1, number] = *header;
    let part = match number {
        1 => Fragment::Full,
        2 => Fragment::First,
        3 => Fragment::Middle,
        4 => Fragment::Last,
        _ => return None,
    };
    let (payload, behind) = rest.split_at_checked(u16::from_le_bytes([l0, l1]).into())?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[number]), payload);
    // RocksDB masks, because a CRC over bytes that hold their own CRC is weak.
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    (masked == u32::from_le_bytes([c0, c1, c2, c3])).then_some((part, behind))
}

/// Whether a record starts anywhere behind the first byte.
fn holds_start(bytes: &[u8]) -> bool {
    (1..bytes.len()).any(|place| {
        let found = bytes.get(place..).and_then(fragment);
        found.is_some_and(|(part, _)| part.starts())
    })
}

fn logs(db: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(db) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    Ok(paths?.into_iter().filter(is_log).collect())
}

/// Reads a file block by block; returns its length.
fn read_blocks(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut file, mut block, mut length) = (File::open(path)?, Vec::with_capacity(BLOCK), 0);
    loop {
        block.clear();
        length += file.by_ref().take(BLOCK as u64).read_to_end(&mut block)? as u64;
        if block.is_empty() {
            return Ok(length);
        }
        take(&block);
    }
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
