//! Where the random bytes of keys, salts and encapsulations come from: the caller gives it. Only [`OperatingSystem`] asks a system.

mod operating_system;

use std::convert::Infallible;

use hpke::rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

pub use self::operating_system::OperatingSystem;
use crate::Error;

/// A source of random bytes, which whoever generates or seals is given.
///
/// Its bytes must be uniformly random and independent of all before them, in this process and every other, and nobody may be able
/// to guess them or to find them out later: all keys are made of them, and two texts that are sealed under one key with one salt
/// give each other away. Only a simulation, which protects nobody, may repeat them. It may be asked from several threads at
/// once.
pub trait SecureRandom: Send + Sync {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// With [`Error::Randomness`] when there are no such bytes to be had; weaker ones are never given instead. Nothing is used of
    /// `bytes` then: whatever was to be generated or sealed fails with the same error, and has had no effect.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error>;
}

impl dyn SecureRandom + '_ {
    /// N random bytes that are wiped when dropped.
    pub(crate) fn secret<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, Error> {
        let mut bytes = Zeroizing::new([0; N]);
        self.fill(bytes.as_mut_slice())?;
        Ok(bytes)
    }

    /// N random bytes that may be public, such as a salt.
    pub(crate) fn public<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// Randomness drawn before it is needed, so that a failing system is an error here and not a panic inside
/// a library whose generators cannot fail. Asked for more than it holds, it remembers that it ran dry,
/// and what was made with it must be thrown away.
pub(crate) struct Drawn<const N: usize> {
    bytes: Zeroizing<[u8; N]>,
    used: usize,
    dry: bool,
}

impl<const N: usize> Drawn<N> {
    pub(crate) fn draw(random: &dyn SecureRandom) -> Result<Self, Error> {
        Ok(Self::of(random.secret()?))
    }

    pub(crate) fn of(bytes: Zeroizing<[u8; N]>) -> Self {
        Self {
            bytes,
            used: 0,
            dry: false,
        }
    }

    pub(crate) fn ran_dry(&self) -> bool {
        self.dry
    }
}

impl<const N: usize> TryRng for Drawn<N> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, wanted: &mut [u8]) -> Result<(), Infallible> {
        match self.bytes.get(self.used..self.used.saturating_add(wanted.len())) {
            Some(bytes) => wanted.copy_from_slice(bytes),
            None => self.dry = true,
        }
        self.used = self.used.saturating_add(wanted.len());
        Ok(())
    }
}

impl<const N: usize> TryCryptoRng for Drawn<N> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_randomness_is_handed_out_once_and_says_when_it_ran_dry() {
        let mut drawn = Drawn::of(Zeroizing::new([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(drawn.try_next_u32(), Ok(u32::from_le_bytes([1, 2, 3, 4])));
        assert_eq!(drawn.try_next_u32(), Ok(u32::from_le_bytes([5, 6, 7, 8])));
        assert!(!drawn.ran_dry());
        assert_eq!(drawn.try_next_u64(), Ok(0));
        assert!(drawn.ran_dry());
    }

    #[test]
    fn two_draws_differ() {
        let random: &dyn SecureRandom = &OperatingSystem;
        assert_ne!(random.secret::<32>().unwrap(), random.secret::<32>().unwrap());
        assert_ne!(random.public::<24>().unwrap(), random.public::<24>().unwrap());
    }
}
