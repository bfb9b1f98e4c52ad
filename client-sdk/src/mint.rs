//! The clock and new ids: the only places where time and chance enter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol_spec::defence::clock_ahead;

use crate::{Error, Result};

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since.saturating_add(clock_ahead()))
}

/// A duration in milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// N random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Crypto(crypto::Error::Randomness))?;
    Ok(bytes)
}

/// A new id: `mint` is the constructor of its type.
pub(crate) fn id<T>(mint: fn(u64, [u8; 10]) -> T) -> Result<T> {
    Ok(mint(now_ms(), random()?))
}

/// 128 random bits as text: for nonces and idempotency keys.
pub(crate) fn token() -> Result<String> {
    Ok(data_encoding::HEXLOWER.encode(&random::<16>()?))
}
