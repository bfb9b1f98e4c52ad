//! Random bytes from the operating system. Nothing else in this crate asks it for anything.

use super::SecureRandom;
use crate::Error;

/// The generator of the operating system, or of the browser.
#[derive(Clone, Copy, Debug, Default)]
pub struct OperatingSystem;

impl SecureRandom for OperatingSystem {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(bytes).map_err(|_| Error::Randomness)
    }
}
