//! What is wrong with a certificate, as TLS says it (OPR-6).

use rustls::{CertificateError, pki_types::UnixTime};

use crate::CertificateFault;

pub(super) fn of(error: &CertificateError) -> CertificateFault {
    match error {
        CertificateError::ExpiredContext { time, not_after } => CertificateFault::Ended {
            at: not_after.as_secs(),
            now: time.as_secs(),
        },
        CertificateError::NotValidYetContext { time, not_before } => CertificateFault::NotYet {
            from: not_before.as_secs(),
            now: time.as_secs(),
        },
        CertificateError::NotValidForNameContext { presented, .. } => CertificateFault::OtherName {
            names: presented.iter().take(SHOWN).map(|name| bare(name)).collect(),
        },
        CertificateError::NotValidForName => CertificateFault::OtherName { names: Vec::new() },
        // An authority of the same name, with another key, is not the one that the system trusts.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => CertificateFault::UnknownIssuer,
        CertificateError::ApplicationVerificationFailure => CertificateFault::NotPinned,
        CertificateError::Expired => CertificateFault::Ended { at: 0, now: now() },
        CertificateError::NotValidYet => CertificateFault::NotYet { from: 0, now: now() },
        other => CertificateFault::Unusable {
            cause: other.to_string(),
        },
    }
}

/// The name within the library's text: `DnsName("a.example")` is `a.example`.
fn bare(name: &str) -> String {
    let inside = name.split_once('(').map_or(name, |(_, rest)| rest);
    let inside = inside.trim_end_matches(')').trim_matches('"');
    inside.chars().take(LONGEST).collect()
}

fn now() -> u64 {
    UnixTime::now().as_secs()
}

/// Names of a certificate that are shown.
const SHOWN: usize = 5;
/// Characters of a name that are shown.
const LONGEST: usize = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    /// OPR-6
    #[test]
    fn each_cause_has_its_own_code_and_next_step() {
        let table = [
            (
                CertificateError::ExpiredContext {
                    time: at(1_795_996_800),
                    not_after: at(1_793_404_800),
                },
                "certificate-expired",
                "ended at 2026-10-31T00:00:00Z, and this machine's clock says 2026-11-30T00:00:00Z",
                "tell the operator to renew",
            ),
            (
                CertificateError::NotValidYetContext {
                    time: at(0),
                    not_before: at(1_793_404_800),
                },
                "certificate-not-yet-valid",
                "holds from 2026-10-31T00:00:00Z on, and this machine's clock says 1970-01-01T00:00:00Z",
                "set the clock of this machine right",
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: ServerName::try_from("vault.example").unwrap(),
                    presented: vec![r#"DnsName("other.example")"#.to_owned()],
                },
                "certificate-name",
                "is for other.example, and not for this name",
                "medvault server move LINK",
            ),
            (
                CertificateError::UnknownIssuer,
                "certificate-issuer",
                "nobody whom this system trusts",
                "SSL_CERT_FILE",
            ),
            (
                CertificateError::ApplicationVerificationFailure,
                "wrong-server",
                "another one than your link names",
                "Ask the operator by another way",
            ),
            (
                CertificateError::BadEncoding,
                "certificate",
                "cannot be used",
                "tell the operator",
            ),
        ];
        for (error, code, cause, step) in table {
            let fault = of(&error);
            let text = fault.to_string();
            assert_eq!(fault.code(), code);
            assert!(text.contains(cause) && text.contains(step), "{text}");
            assert!(!text.contains("get the link again"), "{text}");
        }
    }
}
