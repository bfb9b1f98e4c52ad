//! What each certificate of a chain says of itself: from and until when it holds, and what it is called.
//!
//! The server's own one alone decides about what is served (OPR-4). Of the others a client takes those that lead to a root it knows: one
//! that is over may lie there for older clients, and most go another way. So they are told of, and refuse nothing.

use std::time::Duration;

use rustls::{
    CertificateError, Error as RustlsError, RootCertStore, client::verify_server_cert_signed_by_trust_anchor,
    crypto::aws_lc_rs, server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    TlsError,
    ending::{Ending, ending},
    time,
};

/// From and until when a certificate holds, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) begins: u64,
    pub(super) ends: u64,
}

/// A certificate behind the server's own.
#[derive(Clone, Debug)]
pub(super) struct Other {
    /// Where it stands; the server's own is 1.
    number: usize,
    /// The common name that it is for, if it has one.
    name: Option<String>,
    /// None of one that is too old in its form to be read.
    validity: Option<Validity>,
}

impl Other {
    /// Fails if it is no certificate.
    pub(super) fn new(number: usize, certificate: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let read = roots.add(certificate.clone());
        read.map_err(|source| TlsError::Chain { number, source })?;
        let subject = roots.roots.first().map(|anchor| anchor.subject.as_ref());
        Ok(Self {
            number,
            name: subject.and_then(common_name),
            validity: validity(certificate).ok(),
        })
    }

    /// What is to be said of it now, if anything.
    pub(super) fn warning(&self, now: u64) -> Option<String> {
        let Validity { begins, ends } = self.validity?;
        let what = match ending(ends, now) {
            _ if begins > now => format!("does not hold before {}", time(begins)),
            Ending::Over => format!("ended at {}", time(ends)),
            Ending::Soon(days) => format!("ends in {days} days, at {}", time(ends)),
            Ending::Far => return None,
        };
        let name = self
            .name
            .as_ref()
            .map_or_else(String::new, |name| format!(" ({name})"));
        let number = self.number;
        Some(format!(
            "certificate {number} of the chain{name} {what}: whoever knows no other way to a root refuses the chain then"
        ))
    }
}

/// The library says it only to whom it refuses, so it is asked at both ends of time: it looks at the times before it looks for an issuer.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Result<Validity, TlsError> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let refused = |seconds| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let roots = RootCertStore::empty();
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], at, algorithms.all)
    };
    let begins = match refused(0) {
        Err(RustlsError::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            not_before.as_secs()
        }
        _ => 0,
    };
    let ends = match refused(u64::MAX) {
        Err(RustlsError::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            not_after.as_secs()
        }
        _ => u64::MAX,
    };
    Ok(Validity { begins, ends })
}

/// The first one of a distinguished name in DER. Its length is one byte: it has 64 letters at most (RFC 5280, ub-common-name).
fn common_name(name: &[u8]) -> Option<String> {
    let at = name
        .windows(COMMON_NAME.len())
        .position(|window| window == COMMON_NAME)?;
    let [_, length, rest @ ..] = name.get(at + COMMON_NAME.len()..)? else {
        return None;
    };
    let text = rest.get(..usize::from(*length))?;
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    Some(String::from_utf8_lossy(text).chars().map(plain).collect())
}

/// The object identifier 2.5.4.3 in DER.
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
