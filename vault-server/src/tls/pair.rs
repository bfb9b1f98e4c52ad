//! A certificate chain with its private key, from PEM files or made by the server: until when it holds, and for which names.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use protocol_spec::hash::Sha256Digest;
use rustls::{
    CertificateError, Error as RustlsError, RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::aws_lc_rs,
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use zeroize::Zeroizing;

use super::{TlsError, provider};

/// What is served.
#[derive(Debug)]
pub(super) struct Pair {
    certified: Arc<CertifiedKey>,
    /// From when it holds, in seconds since 1970.
    pub(super) begins: u64,
    /// Until when all certificates of the chain hold, in seconds since 1970.
    pub(super) ends: u64,
}

impl Pair {
    /// A chain, the server's own certificate first, and the key of that one.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let mut begins = 0;
        let mut ends = u64::MAX;
        for certificate in &chain {
            let (begin, end) = validity(certificate)?;
            begins = begin.max(begins);
            ends = end.min(ends);
        }
        Ok(Self {
            certified: Arc::new(CertifiedKey::from_der(chain, key, &provider())?),
            begins,
            ends,
        })
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }

    /// The server's own certificate.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.certified.cert.first()
    }

    /// Whether clients that come to this host take it.
    pub(super) fn is_for(&self, host: &str) -> bool {
        let name = ServerName::try_from(host).ok();
        let parsed = self
            .certificate()
            .and_then(|der| ParsedCertificate::try_from(der).ok());
        let both = name.zip(parsed);
        both.is_some_and(|(name, certificate)| verify_server_name(&certificate, &name).is_ok())
    }

    /// Whether it holds at this time, in seconds since 1970.
    pub(super) fn holds_at(&self, now: u64) -> bool {
        (self.begins..=self.ends).contains(&now)
    }
}

/// Two files that an operator replaces.
#[derive(Debug)]
pub(crate) struct PemFiles {
    chain: PathBuf,
    key: PathBuf,
}

/// What the two files hold.
pub(super) struct Read {
    files: (PathBuf, PathBuf),
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl PemFiles {
    pub(crate) fn new(chain: &Path, key: &Path) -> Self {
        Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Reads both. Blocks.
    pub(super) fn read(&self) -> Result<Read, TlsError> {
        let of = |path: &Path, what| {
            fs::read(path).map_err(|source| TlsError::Pem {
                path: path.to_owned(),
                what,
                source: rustls_pki_types::pem::Error::Io(source),
            })
        };
        let chain = of(&self.chain, CERTIFICATE)?;
        Ok(Read {
            chain,
            key: Zeroizing::new(of(&self.key, KEY)?),
            files: (self.chain.clone(), self.key.clone()),
        })
    }
}

impl fmt::Display for PemFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.chain.display(), self.key.display())
    }
}

impl Read {
    /// By which another content is told from this one.
    pub(super) fn digest(&self) -> Sha256Digest {
        let key = Sha256Digest::of(&self.key);
        Sha256Digest::of(&[self.chain.as_slice(), key.as_bytes()].concat())
    }

    /// The pair that they are.
    pub(super) fn pair(self) -> Result<Pair, TlsError> {
        let Self {
            files: (chain_path, key_path),
            chain,
            key,
        } = self;
        let wrong = |path: PathBuf, what| move |source| TlsError::Pem { path, what, source };
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let certificates = match certificates {
            Ok(none) if none.is_empty() => Err(rustls_pki_types::pem::Error::NoItemsFound),
            other => other,
        };
        let certificates = certificates.map_err(wrong(chain_path, CERTIFICATE))?;
        guard::server_key(&key_path)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(wrong(key_path, KEY))?;
        Pair::new(certificates, key)
    }
}

/// From and until when a certificate holds, in seconds since 1970. The library says it only to whom it refuses, so it is asked at both
/// ends of time: it looks at the times before it looks for an issuer.
fn validity(certificate: &CertificateDer<'_>) -> Result<(u64, u64), TlsError> {
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
    Ok((begins, ends))
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate for this name and these years, as PEM, with its key.
    pub(in crate::tls) fn made(name: &str, years: (i32, i32)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// Writes both files, the key for its owner alone.
    pub(in crate::tls) fn put(folder: &Path, (chain, key): &(String, String)) -> PemFiles {
        let (chain_path, key_path) = (folder.join("chain.pem"), folder.join("key.pem"));
        fs::write(&chain_path, chain).unwrap();
        crate::identity::write_private(&key_path, key.as_bytes()).unwrap();
        PemFiles::new(&chain_path, &key_path)
    }

    #[test]
    fn a_pair_says_until_when_and_for_whom_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let pair = put(folder.path(), &made("vault.example", (2020, 2030)));
        let pair = pair.read().unwrap().pair().unwrap();
        // 2020-01-01 and 2030-01-01.
        assert_eq!((pair.begins, pair.ends), (1_577_836_800, 1_893_456_000));
        assert!(pair.holds_at(1_893_456_000) && !pair.holds_at(1_893_456_001));
        assert!(pair.is_for("vault.example") && !pair.is_for("other.example"));
    }

    #[test]
    fn what_belongs_to_another_is_no_pair() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, _) = made("vault.example", (2020, 2030));
        let (_, key) = made("vault.example", (2020, 2030));
        let files = put(folder.path(), &(chain, key));
        let refused = files.read().unwrap().pair().unwrap_err().to_string();
        assert!(refused.contains("the pair that belongs together"), "{refused}");
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        let gone = PemFiles::new(Path::new("/nonexistent.pem"), Path::new("/nonexistent.key"));
        let refused = gone.read().err().unwrap().to_string();
        assert!(
            refused.starts_with("/nonexistent.pem holds no usable PEM certificate"),
            "{refused}"
        );
    }
}
