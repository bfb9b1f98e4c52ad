//! Who pays for what is written, and how much that is.

use super::Caller;

/// Who pays for what a try writes.
#[derive(Clone, Copy)]
pub(super) struct Payer {
    pub(super) principal: [u8; 32],
    pub(super) patient: bool,
}

impl Payer {
    /// None for a device that is nobody's yet: its offer goes by itself, and so would not its account (DEV-12).
    pub(super) fn of(caller: &Caller) -> Option<Self> {
        let patient = match caller {
            Caller::NewDevice { .. } => return None,
            Caller::Institution(_) | Caller::Terminal { .. } => false,
            _ => true,
        };
        Some(Self {
            principal: caller.principal(),
            patient,
        })
    }
}

impl Payer {
    /// Whether this principal pays.
    pub(super) fn is(self, principal: &[u8; 32]) -> bool {
        self.principal == *principal
    }
}

/// What a try has written: bytes that came, bytes that went, bytes of answers.
#[derive(Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) came: u64,
    pub(super) went: u64,
    pub(super) answers: u64,
}
