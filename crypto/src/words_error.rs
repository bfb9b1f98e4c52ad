//! Why words are not those of a recovery.

use thiserror::Error as ThisError;

/// Why a text is not the words of a secret. Tells places and counts, never a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum WordsError {
    /// Too few or too many.
    #[error("there are {got} words, not {WORDS}")]
    Count {
        /// How many words were found.
        got: usize,
    },
    /// A word that is not in the list.
    #[error("word {number} is not in the list of words")]
    Unknown {
        /// Which word it is, counted from 1.
        number: usize,
    },
    /// All words are in the list, but they do not belong together.
    #[error("a word is wrong, or two have changed places")]
    Checksum,
}

/// 256 bits and 8 bits of checksum, 11 bits a word.
pub const WORDS: usize = 24;
