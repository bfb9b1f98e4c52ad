//! Who pays for what is written, and how much that is.

use crate::vault::who::caller::Caller;

/// Who pays for what a try writes.
#[derive(Clone, Copy)]
pub(in crate::vault) struct Payer {
    pub(in crate::vault) principal: [u8; 32],
    pub(in crate::vault) patient: bool,
}

impl Payer {
    /// None for a device that is nobody's yet: its offer goes by itself, and so would not its account (DEV-12).
    pub(in crate::vault) fn of(caller: &Caller) -> Option<Self> {
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
    pub(in crate::vault) fn is(self, principal: &[u8; 32]) -> bool {
        self.principal == *principal
    }
}

/// What a try has written: bytes that came, bytes that went, bytes of answers.
#[derive(Clone, Copy, Default)]
pub(in crate::vault) struct Written {
    pub(in crate::vault) came: u64,
    pub(in crate::vault) went: u64,
    pub(in crate::vault) answers: u64,
}
