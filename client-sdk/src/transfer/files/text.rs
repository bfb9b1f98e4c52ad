//! The parts that an earlier run has written, read again.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

/// Parts one behind the other, up to the first that is not there as a whole.
pub(super) struct Text {
    /// Where each part lies, and how long it is.
    files: std::vec::IntoIter<(PathBuf, u64)>,
    /// What is left of the one that is read.
    current: Option<(File, u64)>,
}

impl Text {
    /// Of these files, each of this length.
    pub(super) fn of(files: Vec<(PathBuf, u64)>) -> Self {
        Self {
            files: files.into_iter(),
            current: None,
        }
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some((file, left)) = self.current.as_mut().filter(|(_, left)| *left > 0) {
                let wanted = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                let read = file.read(buffer.get_mut(..wanted).unwrap_or_default())?;
                *left -= read as u64;
                return Ok(read);
            }
            let Some((path, length)) = self.files.next() else {
                return Ok(0);
            };
            self.current = Some((File::open(path)?, length));
        }
    }
}
