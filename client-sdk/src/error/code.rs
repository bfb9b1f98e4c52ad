//! The names of errors for programs.

use super::Error;

impl Error {
    /// A short, stable name for programs: the problem's code for refusals.
    pub fn code(&self) -> &'static str {
        match self {
            Self::HomeMissing { .. } => "home-missing",
            Self::HomeExists { .. } => "home-exists",
            Self::HomeLocked { .. } => "home-locked",
            Self::HomeKind { .. } => "home-kind",
            Self::HomeDamaged { .. } => "home-damaged",
            Self::HomeAltered { .. } => "home-altered",
            Self::WeakPassphrase => "weak-passphrase",
            Self::Exposed(_) => "exposed",
            Self::RulesFile { .. } => "rules-file",
            Self::RulesChanged { .. } => "rules-changed",
            Self::NotEnrolled { .. } => "not-enrolled",
            Self::WrongUnlock { .. } => "wrong-passphrase",
            Self::Unreachable { .. } => "unreachable",
            Self::WrongServer { .. } => "wrong-server",
            Self::Certificate { fault, .. } => fault.code(),
            Self::OtherServer { .. } => "other-server",
            Self::ClockBehind { .. } => "clock-behind",
            Self::Refused { problem, .. } => problem.code(),
            Self::Tampered { .. } => "tampered",
            Self::RootKeyUnusable { .. } => "root-key-unusable",
            Self::RecordGone { .. } => "record-deleted",
            Self::Contradicted(contradiction) => contradiction.code(),
            Self::Restored { .. } => "log-restored",
            Self::NotWitnessed { .. } => "not-witnessed",
            Self::RevokedOnly { cause, .. } => cause.code(),
            Self::UnknownInstitution { .. } => "unknown-institution",
            Self::UnknownProgram { .. } => "unknown-program",
            Self::AmbiguousInstitution { .. } => "ambiguous-institution",
            Self::LookAlike { .. } => "look-alike",
            Self::Unknown { .. } => "unknown",
            Self::RecoveryWords(_) => "recovery-words",
            Self::UnknownRecovery => "unknown-recovery",
            Self::WrongShare { .. } => "wrong-share",
            Self::TooManyRecords { .. } => "too-many-records",
            Self::Usage(_) => "usage",
            Self::SourceChanged { .. } => "source-changed",
            Self::Exists { .. } => "exists",
            Self::Io { .. } => "io",
            Self::Interrupted { .. } => "interrupted",
            Self::KeyStore(_) => "key-store",
            Self::Crypto(_) => "crypto",
            Self::Protocol(_) => "protocol",
        }
    }
}
