//! The blind management server: it stores and serves what it cannot read.
//!
//! It keeps ciphertext, wrapped keys and signed statements, authenticates who presents a permission key,
//! and hands out what that permission covers. It links no cipher (LKG-1) and holds no key that opens a record;
//! the one secret it has, the operator's signing key, vouches for tickets, receipts and checkpoints.
//! It is not trusted with contents, and clients check what it says.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | every setting and limit |
//! | `http` | connections, request signatures, bodies, refusals as documents |
//! | `vault` | the state machines: who may do what, when, how often |
//! | `store` | where rows and leaves are kept |
//! | [`invite`] | invitations of the operator's |
//! | [`restoration`] | going on with an older copy of the data, when the newest is lost |
//! | `in_process` | the same server without sockets, for tests |
//! | [`identity`], `tls`, [`telemetry`] | the operator's key, certificates, logs and metrics |
//!
//! A server in this process, as tests start it:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use vault_server::{config::Config, serve};
//!
//! let args = ["vault-server", "--data", "./vault", "--registrar", "regkey_…", "--dev", "--listen", "127.0.0.1:0"];
//! let running = serve(Config::from_args(args)?).await?;
//! println!("link: {}", running.link());
//! running.stop();
//! running.wait().await?;
//! # Ok(())
//! # }
//! ```

pub mod config;
mod files;
mod http;
pub mod identity;
#[doc(hidden)]
pub mod in_process;
pub mod invite;
mod opening;
pub mod restoration;
mod running;
mod start_error;
#[allow(unreachable_pub, reason = "`pub` is what the rest of the crate may use of it")]
mod store;
pub mod telemetry;
#[allow(unreachable_pub, reason = "`pub` is what the rest of the crate may use of it")]
mod tls;
#[allow(unreachable_pub, reason = "`pub` is what the rest of the crate may use of it")]
mod vault;
mod witnesses;

pub use self::{
    running::{Running, StopError, serve},
    start_error::StartError,
};

/// What the server's API is, as an OpenAPI 3.1 document; it needs no running server.
pub fn openapi() -> String {
    http::document()
}
