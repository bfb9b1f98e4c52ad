//! What the SDK stands on: where a home's files are kept, how a server is reached, what time it is and where chance comes
//! from. Nothing above these traits touches a file system, a socket or a clock, but for what is the user's own (`transfer::files`).
//!
//! | module | does |
//! |---|---|
//! | [`HomeFiles`] | the files of one home |
//! | [`Transport`] | requests to servers, and their answers |
//! | [`System`] | time, and by [`SecureRandom`] chance |
//! | `native` | on a machine with an operating system |
//! | [`memory`] | in this process's memory: for tests, and for what is to leave nothing behind |

mod files;
pub mod memory;
pub(crate) mod native;
mod pieces;
mod system;
mod transport;

use std::{path::Path, sync::Arc};

pub use crypto::SecureRandom;

pub(crate) use self::system::millis;
pub use self::{
    files::{Behind, Held, HomeFiles},
    pieces::Pieces,
    system::System,
    transport::{Answer, Certificate, Connection, FirstCertificate, Transport, TransportFailure, Trust},
};
use crate::{proxy, trace::Tracer};

/// What one home stands on. A path is a folder of this machine, whose servers are reached as its environment says.
#[derive(Clone, Debug)]
pub struct Ground {
    pub(crate) files: Arc<dyn HomeFiles>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) system: Arc<dyn System>,
    pub(crate) tracer: Option<Tracer>,
}

impl Ground {
    /// A ground of these files, this transport and this system, without a tracer.
    pub fn new(files: Arc<dyn HomeFiles>, transport: Arc<dyn Transport>, system: Arc<dyn System>) -> Self {
        Self {
            files,
            transport,
            system,
            tracer: None,
        }
    }

    /// The same with other files, which nobody keeps: for a home of a moment.
    pub(crate) fn with_files_of_a_moment(&self) -> Self {
        Self {
            files: Arc::new(memory::MemoryFiles::default()),
            ..self.clone()
        }
    }

    /// This machine, with the home in this folder.
    pub fn folder(home: &Path) -> Self {
        Self::native(Arc::new(native::HomeFolder::new(home)))
    }

    /// This machine without a home, for what only asks a server.
    pub fn nowhere() -> Self {
        Self::native(Arc::new(memory::MemoryFiles::default()))
    }

    fn native(files: Arc<dyn HomeFiles>) -> Self {
        Self {
            files,
            transport: Arc::new(native::Sockets {
                proxy: proxy::Choice::default(),
            }),
            system: Arc::new(native::Native::default()),
            tracer: None,
        }
    }

    /// The same, whose servers are reached by the sockets of this machine, through the proxies of this choice.
    #[must_use]
    pub fn through(self, proxy: proxy::Choice) -> Self {
        Self {
            transport: Arc::new(native::Sockets { proxy }),
            ..self
        }
    }

    /// The same, with somebody who is told of all that travels.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self {
            tracer: Some(tracer),
            ..self
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Ground {
    fn from(home: &P) -> Self {
        Self::folder(home.as_ref())
    }
}

#[cfg(test)]
pub(crate) mod tests;
