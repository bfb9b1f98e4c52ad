//! TLS 1.3 with X25519MLKEM768 preferred, and the three ways to look at a certificate.

use std::sync::Arc;

use protocol_spec::hash::Sha256Digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::fault;
use crate::{
    CertificateFault, Error, Result,
    ground::{Certificate, FirstCertificate, Trust},
};

/// For the server at `authority`.
pub(super) fn config(authority: &str, trust: Trust) -> Result<ClientConfig> {
    config_with(match trust {
        Trust::Pinned(digest) => Check::Pinned(digest),
        Trust::System => Check::System(system_roots().ok_or_else(|| Error::Certificate {
            authority: authority.to_owned(),
            fault: CertificateFault::NoRoots,
        })?),
        // The link's fingerprint decides.
        Trust::Any(first) => Check::Capture {
            first,
            system: system_roots(),
        },
    })
}

#[derive(Debug)]
enum Check {
    Capture {
        first: FirstCertificate,
        system: Option<Arc<WebPkiServerVerifier>>,
    },
    Pinned(Sha256Digest),
    System(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let by_system = |system: &WebPkiServerVerifier| {
            system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let digest = Sha256Digest::of(end_entity);
        match &self.check {
            Check::System(system) => by_system(system),
            Check::Pinned(pin) if *pin == digest => Ok(ServerCertVerified::assertion()),
            Check::Pinned(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Check::Capture { first, system } => {
                let fault = match system.as_deref().map(by_system) {
                    None => Some(CertificateFault::NoRoots),
                    Some(Ok(_)) => None,
                    Some(Err(TlsError::InvalidCertificate(error))) => Some(fault::of(&error)),
                    Some(Err(error)) => Some(CertificateFault::Unusable {
                        cause: error.to_string(),
                    }),
                };
                first.put(Certificate { digest, fault });
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn config_with(check: Check) -> Result<ClientConfig> {
    let provider = provider();
    let verifier = Verifier {
        check,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Usage(format!("TLS cannot be set up: {error}")))?;
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The system's roots; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
fn system_roots() -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .ok()
}
