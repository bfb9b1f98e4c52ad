//! Why a server does not start.

use std::{io, net::SocketAddr};

use protocol_spec::Error;

use crate::{identity::IdentityError, store::OpenError, tls::TlsError, vault::Unbound};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings do not fit together.
    #[error("{0}")]
    Settings(String),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The settings are not those of the data.
    #[error(transparent)]
    Unbound(#[from] Unbound),
    /// The operator's key cannot be read or made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate cannot be read or served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server cannot listen on the address.
    #[error("cannot listen on {addr}, choose another address or stop what uses it: {source}")]
    Listen {
        /// The address as it was configured.
        addr: SocketAddr,
        /// Why the system refused the address.
        source: io::Error,
    },
    /// The link cannot be put together.
    #[error(transparent)]
    Link(#[from] Error),
    /// The stored state cannot be read.
    #[error("the vault does not open: {0}")]
    Vault(String),
}
