//! What is wrong with a server's certificate, each cause for itself: an old one, a clock, a name, an issuer and another's
//! certificate want different things done (OPR-6).

use std::fmt;

use crate::error::time;

/// Why a certificate is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// The time of the certificate is over.
    Ended {
        /// When, in seconds since 1970.
        at: u64,
        /// What this machine's clock says, in seconds since 1970.
        now: u64,
    },
    /// Its time has not begun.
    NotYet {
        /// When it begins, in seconds since 1970.
        from: u64,
        /// What this machine's clock says, in seconds since 1970.
        now: u64,
    },
    /// It is for other names than the link's.
    OtherName {
        /// Those that it is for.
        names: Vec<String>,
    },
    /// None of the authorities that this system trusts has issued it.
    UnknownIssuer,
    /// It is another one than the link pins.
    NotPinned,
    /// This system trusts no authority at all.
    NoRoots,
    /// Anything else that makes it unusable.
    Unusable {
        /// What the TLS library says of it.
        cause: String,
    },
}

impl CertificateFault {
    /// A stable name for programs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Ended { .. } => "certificate-expired",
            Self::NotYet { .. } => "certificate-not-yet-valid",
            Self::OtherName { .. } => "certificate-name",
            Self::UnknownIssuer => "certificate-issuer",
            Self::NotPinned => "wrong-server",
            Self::NoRoots => "no-roots",
            Self::Unusable { .. } => "certificate",
        }
    }
}

/// What is wrong, and what to do; it follows the server's name and a colon.
impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { at, now } => write!(
                f,
                "its certificate ended at {}, and this machine's clock says {}: if this clock is right, tell the operator to renew the \
                 certificate, your link and your keys stay good; if it is wrong, set it right",
                time(at.saturating_mul(1000)),
                time(now.saturating_mul(1000))
            ),
            Self::NotYet { from, now } => write!(
                f,
                "its certificate holds from {} on, and this machine's clock says {}: set the clock of this machine right; if it is right, \
                 tell the operator",
                time(from.saturating_mul(1000)),
                time(now.saturating_mul(1000))
            ),
            Self::OtherName { names } => {
                let names = match names.is_empty() {
                    true => "other names".to_owned(),
                    false => names.join(", "),
                };
                write!(
                    f,
                    "its certificate is for {names}, and not for this name: look whether you have the whole link; if the server has another \
                     name now, its operator gives you the new link, for `medvault server move LINK`; else tell the operator"
                )
            }
            Self::UnknownIssuer => f.write_str(
                "its certificate was issued by nobody whom this system trusts: if a virus scanner or a gateway of your network opens \
                 connections, have it let this one through; if the operator has an authority of its own, name that one's certificate in \
                 SSL_CERT_FILE; else tell the operator. Nothing of yours was sent",
            ),
            Self::NotPinned => f.write_str(
                "its certificate is another one than your link names: somebody else answers there, or the operator has made a new one. Ask the \
                 operator by another way than this; if there is a new link, take it with `medvault server move LINK`. Nothing of yours was \
                 sent",
            ),
            Self::NoRoots => f.write_str(
                "this system has no root certificates to check it with: install them (ca-certificates), or name a file of them in \
                 SSL_CERT_FILE",
            ),
            Self::Unusable { cause } => {
                write!(f, "its certificate cannot be used ({cause}): tell the operator")
            }
        }
    }
}
