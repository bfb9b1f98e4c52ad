//! The clock and new ids: the only places where time and chance enter.

use std::sync::LazyLock;

pub(crate) use crate::ground::millis;
use crate::{
    Result,
    ground::{System, native::Native},
};

static NATIVE: LazyLock<Native> = LazyLock::new(Native::default);

fn system() -> &'static dyn System {
    &*NATIVE
}

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    system().now_ms()
}

/// N random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    system().random()
}

/// A new id: `mint` is the constructor of its type.
pub(crate) fn id<T>(mint: fn(u64, [u8; 10]) -> T) -> Result<T> {
    system().id(mint)
}
