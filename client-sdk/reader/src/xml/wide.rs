//! XML in UTF-16, which begins with a byte order mark (XML 1.0 §4.3.3).

use std::io::{self, Read, Seek};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// By the first bytes of a file; none of one that is not in UTF-16.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0xff, 0xfe, ..] => Some(Self::Little),
            [0xfe, 0xff, ..] => Some(Self::Big),
            _ => None,
        }
    }

    /// The letter of one unit, if it is ASCII. What is looked for is, and of all else only that it is there counts.
    pub(crate) fn letter(self, unit: [u8; 2]) -> u8 {
        let unit = match self {
            Self::Little => u16::from_le_bytes(unit),
            Self::Big => u16::from_be_bytes(unit),
        };
        u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(OTHER)
    }
}

/// A text as bytes of ASCII, whichever way it is written.
pub(super) struct Letters<F> {
    file: F,
    order: Option<ByteOrder>,
}

impl<F: Read + Seek> Letters<F> {
    /// From the beginning of a file.
    pub(super) fn new(mut file: F) -> io::Result<Self> {
        let mut mark = Vec::new();
        file.by_ref().take(2).read_to_end(&mut mark)?;
        let order = ByteOrder::of(&mark);
        if order.is_none() {
            file.rewind()?;
        }
        Ok(Self { file, order })
    }
}

impl<F: Read> Read for Letters<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(order) = self.order else {
            return self.file.read(buffer);
        };
        let mut units = Vec::new();
        let most = (buffer.len() as u64).saturating_mul(2);
        self.file.by_ref().take(most).read_to_end(&mut units)?;
        let units = units.as_chunks::<2>().0;
        for (place, unit) in buffer.iter_mut().zip(units) {
            *place = order.letter(*unit);
        }
        Ok(units.len())
    }
}

/// A letter of some name, as those behind ASCII are.
const OTHER: u8 = 0x80;
