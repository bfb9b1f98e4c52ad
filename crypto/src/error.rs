//! What can go wrong with keys and sealed things.

use thiserror::Error;

/// Why a cryptographic step failed, grouped by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Not sealed for this key and this context, or altered since. Which of them is not said, on purpose:
    /// a finer answer is an oracle.
    #[error("cannot be opened: wrong key, wrong context or altered bytes")]
    Open,
    /// Something has a form that nobody who follows the protocol makes; seen without any key.
    #[error("{what} is malformed")]
    Malformed {
        /// What is not of the form that it must have.
        what: &'static str,
    },
    /// More was given than fits the format.
    #[error("{what} is too long, at most {max} bytes fit")]
    TooLong {
        /// What was to be sealed.
        what: &'static str,
        /// How many bytes fit at most.
        max: u64,
    },
    /// A text is not the words of a secret.
    #[error(transparent)]
    Words(#[from] crate::words_error::WordsError),
    /// Fewer shares than a division asks for say nothing.
    #[error("{have} shares are not enough, it takes {need} of them")]
    TooFewShares {
        /// How many different shares are at hand.
        have: usize,
        /// How many different shares it takes.
        need: u8,
    },
    /// The source of random bytes gave none.
    #[error("the system has no random bytes to give: check it and try again")]
    Randomness,
    /// The source failed while a leaf was being sealed. Sealing on could use a nonce twice.
    #[error("sealing was interrupted: resume at the last complete leaf")]
    Interrupted,
    /// A rule of the protocol is broken.
    #[error(transparent)]
    Protocol(#[from] protocol_spec::Error),
}
