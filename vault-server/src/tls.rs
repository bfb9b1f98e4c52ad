//! TLS 1.3 only, X25519MLKEM768 preferred, so that recorded traffic stays closed to later quantum
//! computers. With `--dev` the server makes a certificate once and keeps it; its hash enters the link.
//!
//! | module | holds |
//! |---|---|
//! | `pair` | a certificate chain with its key: until when it holds, for which names |
//! | `chain` | what each certificate of a chain says of itself |
//! | `ending` | how its end comes near |
//! | `keeper` | files that are replaced while the server runs, and a certificate that is about to end (OPR-4, OPR-5) |

mod chain;
mod ending;
mod keeper;
mod pair;

use std::{fs, io, path::PathBuf, sync::Arc};

use protocol_spec::hash::Sha256Digest;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use self::pair::Pair;
pub(crate) use self::{ending::Ending, keeper::Keeper, pair::PemFiles};
use crate::config::{CertificateSource, Config};

/// HTTP/2 by its ALPN name.
pub(crate) const H2: &[u8] = b"h2";

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file does not hold what it should.
    #[error("{} holds no usable PEM {what}: {source}", .path.display())]
    Pem {
        /// The PEM file that cannot be used.
        path: PathBuf,
        /// Which of both it is: certificate or key.
        what: &'static str,
        /// Why it could not be read as PEM.
        source: rustls_pki_types::pem::Error,
    },
    /// The development certificate cannot be kept.
    #[error("development certificate {} cannot be read or made: {source}", .path.display())]
    Development {
        /// The file in the data directory that cannot be used.
        path: PathBuf,
        /// Why the system could not read it.
        source: io::Error,
    },
    /// Others can read the private key.
    #[error("private key {0}")]
    Exposed(#[from] guard::Exposed),
    /// Certificate and key do not fit each other or the library.
    #[error("certificate and key do not work together, give the pair that belongs together: {0}")]
    Pair(#[from] rustls::Error),
    /// Something in the chain is no certificate.
    #[error(
        "certificate {number} of the chain cannot be read, take it out or put the right one there: {source}"
    )]
    Chain {
        /// Where it stands; the server's own is 1.
        number: usize,
        /// Why the TLS library refused it.
        source: rustls::Error,
    },
    /// A certificate that is to take another's place holds now no more, or not yet.
    #[error("the certificate holds from {} to {}, and not now: renew it, or set the clock", time(*.begins), time(*.ends))]
    NotNow {
        /// First second at which it holds, counted from 1970.
        begins: u64,
        /// Last second at which it holds, counted from 1970.
        ends: u64,
    },
    /// A certificate that is to take another's place is for other names.
    #[error("the certificate is not for {host}, and the one before is: clients would refuse it")]
    Name {
        /// A name that clients use.
        host: String,
    },
}

/// The server's side of TLS: handshakes, and the certificate that they show.
pub struct Tls {
    /// What makes a connection one of TLS.
    pub acceptor: TlsAcceptor,
    /// SHA-256 of the certificate (DER) if the server made it itself.
    pub development_certificate: Option<Sha256Digest>,
    /// Reads the certificate anew when its files were replaced.
    pub(crate) keeper: Arc<Keeper>,
}

impl Tls {
    /// Prepares the certificate that the settings name. Blocks.
    pub fn new(config: &Config, source: CertificateSource<'_>) -> Result<Self, TlsError> {
        let (pair, files) = match source {
            CertificateSource::Files { chain, key } => {
                let files = PemFiles::new(chain, key);
                (files.read()?.pair()?, Some(files))
            }
            CertificateSource::Development => (development(config)?, None),
        };
        let development_certificate = match files {
            None => pair.certificate().map(|der| Sha256Digest::of(der)),
            Some(_) => None,
        };
        let keeper = Arc::new(Keeper::new(pair, files, hosts(config)));
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server_config(keeper.clone())?)),
            development_certificate,
            keeper,
        })
    }
}

fn server_config(keeper: Arc<Keeper>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(keeper);
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The hybrid group first; X25519 alone for clients that cannot do better.
fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

/// The certificate kept in the data directory, or a new one. The key is written first: a certificate
/// without its key never lies there.
fn development(config: &Config) -> Result<Pair, TlsError> {
    let (key_path, path) = (config.data.join("dev-tls.key"), config.data.join("dev-tls.crt"));
    let refuse = |source| TlsError::Development {
        path: path.clone(),
        source,
    };
    if !path.try_exists().map_err(refuse)? {
        let made = rcgen::generate_simple_self_signed(subject_names(config))
            .map_err(io::Error::other)
            .map_err(refuse)?;
        guard::write_private(&key_path, &made.signing_key.serialize_der()).map_err(refuse)?;
        guard::write_private(&path, made.cert.der()).map_err(refuse)?;
    }
    guard::secret(&key_path)?;
    let certificate = CertificateDer::from(fs::read(&path).map_err(refuse)?);
    let key = PrivatePkcs8KeyDer::from(fs::read(&key_path).map_err(refuse)?);
    Pair::new(vec![certificate], PrivateKeyDer::from(key))
}

/// Names for tools that check them; Medvault's own clients pin the certificate instead.
fn subject_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.push(config.listen.ip().to_string());
    names.extend(hosts(config));
    names.sort();
    names.dedup();
    names
}

/// The hosts that the operator has given out.
fn hosts(config: &Config) -> Vec<String> {
    let authorities = config.public_authority.iter();
    let hosts = authorities.filter_map(|authority| authority.rsplit_once(':'));
    hosts
        .map(|(host, _)| host.trim_matches(['[', ']']).to_owned())
        .collect()
}

/// Seconds since 1970 for people; the last day of the year 9999 for whatever lies behind it.
pub(crate) fn time(seconds: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(moment).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(dir: &Path) -> Config {
        let registrar = crate::identity::OperatorIdentity::from_seed(&[7; 32])
            .unwrap()
            .key()
            .to_text("regkey");
        let data = dir.to_str().unwrap();
        Config::from_args(["vault-server", "--data", data, "--registrar", &registrar, "--dev"]).unwrap()
    }

    #[test]
    fn the_hybrid_group_is_preferred() {
        assert_eq!(provider().kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn the_development_certificate_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let hash = || {
            Tls::new(&config(dir.path()), CertificateSource::Development)
                .unwrap()
                .development_certificate
        };
        assert!(hash().is_some());
        assert_eq!(hash(), hash());
    }

    #[test]
    fn pem_files_serve_and_bad_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        fs::write(&chain, made.cert.pem()).unwrap();
        guard::write_private(&key, made.signing_key.serialize_pem().as_bytes()).unwrap();
        let source = CertificateSource::Files {
            chain: &chain,
            key: &key,
        };
        assert!(
            Tls::new(&config(dir.path()), source)
                .unwrap()
                .development_certificate
                .is_none()
        );
        let swapped = CertificateSource::Files {
            chain: &key,
            key: &chain,
        };
        let error = Tls::new(&config(dir.path()), swapped).err().unwrap().to_string();
        assert!(error.contains("k.pem holds no usable PEM certificate"), "{error}");
    }
}
