//! Time and chance: what they owe whoever asks, and what is made of them.

use std::{fmt, future::Future, pin::pin, time::Duration};

use crypto::SecureRandom;
use futures_util::future::{BoxFuture, Either, select};

use crate::Result;

/// The clocks of one machine, real or simulated, and its source of chance: all keys, salts and nonces of whoever stands on it are
/// made of that.
///
/// All of it may be asked from several threads at once. Two clocks, because one is set and the other stands still: whoever
/// decides by the date uses [`Self::now_ms`], whoever waits or measures uses [`Self::uptime`].
pub trait System: SecureRandom + fmt::Debug {
    /// Milliseconds since 1970 by the machine's clock. Its owner may set it, back too: nothing is promised about two answers.
    fn now_ms(&self) -> u64;

    /// How long it has been running, from whatever beginning. It never goes back; it may stand still while the machine sleeps.
    fn uptime(&self) -> Duration;

    /// Is done when [`Self::uptime`] has grown by so much since the call, and not before. Dropped before that, it has no effect.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;

    /// The same, holding this thread up. It is asked for some milliseconds only, where another process holds a lock.
    fn hold_up(&self, time: Duration);
}

impl dyn System + '_ {
    /// How long ago that was.
    pub(crate) fn since(&self, uptime: Duration) -> Duration {
        self.uptime().saturating_sub(uptime)
    }

    /// What comes of `future`, if it is done in time. One that is done at once sets no timer.
    pub(crate) async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        if let Some(done) = futures_util::FutureExt::now_or_never(&mut future) {
            return Some(done);
        }
        match select(future, self.sleep(time)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// As many random bytes as the array has.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A new id: `mint` is the constructor of its type.
    pub(crate) fn id<T>(&self, mint: fn(u64, [u8; 10]) -> T) -> Result<T> {
        Ok(mint(self.now_ms(), self.random()?))
    }

    /// 128 random bits as text: for nonces and idempotency keys.
    pub(crate) fn token(&self) -> Result<String> {
        Ok(data_encoding::HEXLOWER.encode(&self.random::<16>()?))
    }
}

/// A duration in milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
