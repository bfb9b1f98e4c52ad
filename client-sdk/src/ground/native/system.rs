//! The clocks and the chance of the operating system.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crypto::{OperatingSystem, SecureRandom};
use futures_util::future::BoxFuture;
use protocol_spec::defence::clock_ahead;

use crate::ground::{System, system::millis};

/// This machine. It sleeps in the asynchronous runtime of whoever calls.
#[derive(Debug)]
pub(crate) struct Native {
    begun: Instant,
}

impl Default for Native {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
        }
    }
}

impl System for Native {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(since.saturating_add(clock_ahead()))
    }

    fn uptime(&self) -> Duration {
        self.begun.elapsed()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn hold_up(&self, time: Duration) {
        thread::sleep(time);
    }
}

impl SecureRandom for Native {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), crypto::Error> {
        OperatingSystem.fill(bytes)
    }
}
