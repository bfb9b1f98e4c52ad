//! TLS 1.3 only, X25519MLKEM768 preferred, so that recorded traffic stays closed to later quantum
//! computers. With `--dev` the server makes a certificate once and keeps it; its hash enters the link.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use protocol_spec::hash::Sha256Digest;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{CertificateSource, Config},
    identity::write_private,
};

/// HTTP/2 by its ALPN name.
pub(crate) const H2: &[u8] = b"h2";

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file does not hold what it should.
    #[error("{} holds no usable PEM {what}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Certificate or key.
        what: &'static str,
        /// The reader's reason.
        source: rustls_pki_types::pem::Error,
    },
    /// The development certificate cannot be kept.
    #[error("development certificate {} cannot be read or made: {source}", .path.display())]
    Development {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Others can read the private key.
    #[error("private key {0}")]
    Exposed(#[from] guard::Exposed),
    /// Certificate and key do not fit each other or the library.
    #[error("certificate and key do not work together, give the pair that belongs together: {0}")]
    Pair(#[from] rustls::Error),
}

/// Accepts TLS connections.
pub struct Tls {
    /// Does the handshakes.
    pub acceptor: TlsAcceptor,
    /// SHA-256 of the certificate (DER) if the server made it itself.
    pub development_certificate: Option<Sha256Digest>,
}

impl Tls {
    /// Prepares the certificate that the settings name. Blocks.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(config: &Config, source: CertificateSource<'_>) -> Result<Self, TlsError> {
        let (chain, key) = match source {
            CertificateSource::Files { chain, key } => read_pem(chain, key)?,
            CertificateSource::Development => development(config)?,
        };
        let development_certificate = match source {
            CertificateSource::Development => chain.first().map(|der| Sha256Digest::of(der)),
            CertificateSource::Files { .. } => None,
        };
        let acceptor = TlsAcceptor::from(Arc::new(server_config(chain, key)?));
        Ok(Self {
            acceptor,
            development_certificate,
        })
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
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

fn read_pem(chain: &Path, key: &Path) -> Result<Pair, TlsError> {
    let error = |path: &Path, what| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, what, source }
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(error(chain, "certificate"))?;
    if certificates.is_empty() {
        return Err(error(chain, "certificate")(
            rustls_pki_types::pem::Error::NoItemsFound,
        ));
    }
    if key.exists() {
        guard::server_key(key)?;
    }
    Ok((
        certificates,
        PrivateKeyDer::from_pem_file(key).map_err(error(key, "private key"))?,
    ))
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
        write_private(&key_path, &made.signing_key.serialize_der()).map_err(refuse)?;
        write_private(&path, made.cert.der()).map_err(refuse)?;
    }
    guard::secret(&key_path)?;
    let certificate = fs::read(&path).map_err(refuse)?;
    let key = fs::read(&key_path).map_err(refuse)?;
    Ok((vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into()))
}

/// Names for tools that check them; Medvault's own clients pin the certificate instead.
fn subject_names(config: &Config) -> Vec<String> {
    let hosts = config
        .public_authority
        .iter()
        .filter_map(|authority| authority.rsplit_once(':'));
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.push(config.listen.ip().to_string());
    names.extend(hosts.map(|(host, _)| host.trim_matches(['[', ']']).to_owned()));
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
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
        write_private(&key, made.signing_key.serialize_pem().as_bytes()).unwrap();
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
