//! A server whose registrar's key the test itself holds.

use anyhow::Result;
use crypto::{OperatingSystem, SigningIdentity};
use data_encoding::BASE32_NOPAD;
use protocol_spec::defence::Defence;
use tempfile::TempDir;

use super::{RawInstitution, Wire};
use crate::harness::{Server, ServerOptions};

/// A server process and the registrar that it believes.
pub struct RawWorld {
    /// The server, which may be stopped and restarted.
    pub server: Server,
    /// The connection to it.
    pub wire: Wire,
    /// Accredits whomever a test likes.
    pub registrar: SigningIdentity,
    folder: TempDir,
}

impl RawWorld {
    /// A fresh server.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[], &[]).await
    }

    /// A fresh weakened server, without these defences.
    pub async fn start_without(off: &[Defence]) -> Result<Self> {
        Self::start_with(&[], off).await
    }

    /// A fresh server with further flags, without these defences.
    pub async fn start_with(extra: &[&str], off: &[Defence]) -> Result<Self> {
        Self::start_in("", extra, off).await
    }

    /// The same, started by a shell script that ends with `exec "$@"`.
    pub async fn start_in(shell: &str, extra: &[&str], off: &[Defence]) -> Result<Self> {
        let folder = TempDir::new()?;
        let registrar = SigningIdentity::generate(&OperatingSystem)?;
        let key = BASE32_NOPAD
            .encode(registrar.public().as_bytes())
            .to_ascii_lowercase();
        let server = Server::start(ServerOptions {
            data: folder.path().join("server"),
            registrar: format!("regkey_{key}"),
            listen: "127.0.0.1:0".into(),
            extra: extra.iter().map(|&flag| flag.to_owned()).collect(),
            shell: shell.to_owned(),
            off: off.to_vec(),
            ahead: 0,
        })?;
        let wire = Wire::connect(server.link()).await?;
        Ok(Self {
            server,
            wire,
            registrar,
            folder,
        })
    }

    /// Accredits and enrols an institution.
    pub async fn institution(&self, name: &str) -> Result<RawInstitution> {
        RawInstitution::enrol(&self.wire, &self.registrar, name).await
    }

    /// One that may open in emergencies.
    pub async fn ambulance(&self, name: &str) -> Result<RawInstitution> {
        RawInstitution::enrol_for(&self.wire, &self.registrar, name, true).await
    }

    /// Which of these bytes stand in a file of the server.
    pub fn found_in_files(&self, needles: &[Vec<u8>]) -> Result<Vec<bool>> {
        let mut found = vec![false; needles.len()];
        for entry in walkdir::WalkDir::new(self.server.data()) {
            let entry = entry?;
            // A server that runs may have removed it meanwhile.
            let Ok(bytes) = std::fs::read(entry.path()) else {
                continue;
            };
            for (needle, found) in needles.iter().zip(&mut found) {
                *found |= bytes.windows(needle.len()).any(|window| window == needle);
            }
        }
        Ok(found)
    }

    /// A path in the temporary folder.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}
