//! What follows from an error for whoever goes on.

use protocol_spec::problem::Problem;

use super::Error;

impl Error {
    /// Whether a transfer that ended so cannot be taken up again: refused for good, or its source has changed.
    pub(crate) fn is_final(&self) -> bool {
        use Problem::{
            Internal, LeafConflict, LogContradicted, PermissionInUse, RecordDamaged, ReleaseClosed, Restored,
            SignatureExpired, StorageFull, TooMany, TooSlow, Unavailable,
        };
        match self {
            Self::SourceChanged { .. } => true,
            Self::Refused { problem, .. } => !matches!(
                problem,
                Internal
                    | LeafConflict
                    | LogContradicted
                    | PermissionInUse
                    | RecordDamaged
                    | ReleaseClosed
                    | Restored
                    | SignatureExpired
                    | StorageFull
                    | TooMany
                    | TooSlow
                    | Unavailable
            ),
            _ => false,
        }
    }

    /// Whether the same may succeed a little later, without anybody doing anything about it.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::HomeLocked { .. } => true,
            Self::Refused { .. } => !self.is_final(),
            _ => false,
        }
    }

    /// Whether what failed is this machine, its home, its keys or its way to the server: it says nothing about what was being looked
    /// at, and must not be shown as if it did (OPR-8).
    pub(crate) fn is_of_this_side(&self) -> bool {
        matches!(
            self,
            Self::HomeMissing { .. }
                | Self::HomeExists { .. }
                | Self::HomeLocked { .. }
                | Self::HomeKind { .. }
                | Self::HomeDamaged { .. }
                | Self::HomeAltered { .. }
                | Self::Exposed(_)
                | Self::NotEnrolled { .. }
                | Self::WrongUnlock { .. }
                | Self::Unreachable { .. }
                | Self::Certificate { .. }
                | Self::WrongServer { .. }
                | Self::Io { .. }
                | Self::Interrupted { .. }
                | Self::KeyStore(_)
        )
    }

    /// Whether there is no way to the server: whatever else is tried fails alike, and one word of it is enough.
    pub fn has_no_way(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Certificate { .. } | Self::WrongServer { .. }
        )
    }

    /// Whether the server refused with this problem.
    pub fn is_problem(&self, wanted: Problem) -> bool {
        matches!(self, Self::Refused { problem, .. } if *problem == wanted)
    }
}
