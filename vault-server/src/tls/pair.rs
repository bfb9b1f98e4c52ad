//! A certificate chain with its private key, from PEM files or made by the server: until when it holds, and for which names.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use protocol_spec::hash::Sha256Digest;
use rustls::{client::verify_server_name, server::ParsedCertificate, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use zeroize::Zeroizing;

use super::{
    TlsError,
    chain::{Other, Validity, validity},
    provider,
};

/// A chain and its key, as they are shown in handshakes.
#[derive(Debug)]
pub(super) struct Pair {
    certified: Arc<CertifiedKey>,
    /// From when the server's own certificate holds, in seconds since 1970.
    pub(super) begins: u64,
    /// Until when it holds, in seconds since 1970.
    pub(super) ends: u64,
    /// The rest of the chain.
    others: Vec<Other>,
}

impl Pair {
    /// A chain, the server's own certificate first, and the key of that one.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let own = chain.first().map(validity).transpose()?;
        let Validity { begins, ends } = own.ok_or(rustls::Error::NoCertificatesPresented)?;
        let others = chain.iter().zip(1..).skip(1);
        let others = others.map(|(certificate, number)| Other::new(number, certificate));
        Ok(Self {
            others: others.collect::<Result<_, _>>()?,
            certified: Arc::new(CertifiedKey::from_der(chain, key, &provider())?),
            begins,
            ends,
        })
    }

    /// What is to be said of the rest of the chain at this time, in seconds since 1970.
    pub(super) fn warnings(&self, now: u64) -> Vec<String> {
        self.others
            .iter()
            .filter_map(|other| other.warning(now))
            .collect()
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }

    /// The server's own certificate, which is the first of the chain.
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

    /// Reads chain and key from their files; this blocks.
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

const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate for this name and these years, as PEM, with its key.
    pub(in crate::tls) fn made(name: &str, years: (i32, i32)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// The same, issued by an authority with this name and these years, whose own certificate stands behind it.
    pub(in crate::tls) fn chained(years: (i32, i32), root: (&str, i32, i32)) -> (String, String) {
        let of = |(from, to): (i32, i32), names: Vec<String>| {
            let mut params = CertificateParams::new(names).unwrap();
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
            params
        };
        let (name, from, to) = root;
        let mut params = of((from, to), Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = of(years, vec!["vault.example".to_owned()])
            .signed_by(&key, &root)
            .unwrap();
        let root: &rcgen::Certificate = root.as_ref();
        (own.pem() + &root.pem(), key.serialize_pem())
    }

    /// Writes both files, the key for its owner alone.
    pub(in crate::tls) fn put(folder: &Path, (chain, key): &(String, String)) -> PemFiles {
        let (chain_path, key_path) = (folder.join("chain.pem"), folder.join("key.pem"));
        fs::write(&chain_path, chain).unwrap();
        guard::write_private(&key_path, key.as_bytes()).unwrap();
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

    /// OPR-4, OPR-5: a chain whose root is over, as one that was signed by an older root for older clients.
    #[test]
    fn the_servers_own_certificate_alone_says_until_when_a_pair_holds() {
        let folder = tempfile::tempdir().unwrap();
        let pair = |years, root| {
            let files = put(folder.path(), &chained(years, root));
            files.read().unwrap().pair().unwrap()
        };
        // 2026-01-01.
        let now = 1_767_225_600;
        let over = pair((2020, 2030), ("An Old Root", 2000, 2021));
        assert_eq!((over.begins, over.ends), (1_577_836_800, 1_893_456_000));
        assert!(over.holds_at(now));
        let told = over.warnings(now);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("certificate 2 of the chain (An Old Root) ended at 2021-01-01T00:00:00Z:"),
            "{told:?}"
        );
        let soon = over.warnings(1_609_459_200 - 3 * 24 * 3600);
        assert!(
            soon[0].contains("(An Old Root) ends in 3 days, at 2021-01-01"),
            "{soon:?}"
        );
        let later = pair((2020, 2030), ("A Root", 2027, 2030)).warnings(now);
        assert!(
            later[0].contains("(A Root) does not hold before 2027-01-01"),
            "{later:?}"
        );
        assert!(
            pair((2020, 2030), ("A Root", 2000, 2040))
                .warnings(now)
                .is_empty()
        );
        let own = pair((2020, 2021), ("A Root", 2000, 2040));
        assert!(!own.holds_at(now) && own.warnings(now).is_empty());
    }

    /// OPR-4: what is no certificate keeps clients from reading the chain.
    #[test]
    fn what_is_no_certificate_makes_no_chain() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = made("vault.example", (2020, 2030));
        let nothing = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let files = put(folder.path(), &(chain + nothing, key));
        let refused = files.read().unwrap().pair().unwrap_err().to_string();
        assert!(
            refused.starts_with("certificate 2 of the chain cannot be read"),
            "{refused}"
        );
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
