//! The `vault-server` process: started on a free port, ended when dropped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process::program;

/// The process of the server, and the folders that it writes.
pub(super) struct ServerProcess {
    child: Child,
    // kept open, so that the server can go on printing
    _stdout: BufReader<ChildStdout>,
    data: PathBuf,
    log: PathBuf,
    link: String,
}

impl ServerProcess {
    /// Starts a server with an empty folder and waits until it prints its link.
    pub(super) fn start(folder: &Path, registrar: &str) -> Result<Self> {
        let (data, log) = (folder.join("server"), folder.join("server.log"));
        let mut child = Command::new(program("vault-server")?)
            .arg("--data")
            .arg(&data)
            .args(["--listen", "127.0.0.1:0", "--dev", "--registrar", registrar])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .spawn()
            .context("cannot start vault-server")?;
        let mut stdout = BufReader::new(
            child
                .stdout
                .take()
                .context("the server's output is not connected")?,
        );
        match read_link(&mut stdout) {
            Ok(link) => Ok(Self {
                child,
                _stdout: stdout,
                data,
                log,
                link,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let logged = std::fs::read_to_string(&log).unwrap_or_default();
                Err(error.context(format!("vault-server did not start; it logged:\n{logged}")))
            }
        }
    }

    /// The link to hand to clients.
    pub(super) fn link(&self) -> &str {
        &self.link
    }

    /// All that the operator has: the data folder and the log.
    pub(super) fn possessions(&self) -> [&Path; 2] {
        [&self.data, &self.log]
    }

    /// Asks the server to stop and waits for it.
    pub(super) fn stop(&mut self) -> Result<()> {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        ensure!(
            asked.success(),
            "cannot stop the server with process id {}",
            self.child.id()
        );
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "the server ended with {status}; see {}",
            self.log.display()
        );
        Ok(())
    }

    /// Waits until the server is stopped from outside.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_link(stdout: &mut impl BufRead) -> Result<String> {
    for line in stdout.lines() {
        if let Some(link) = line?.strip_prefix("link: ") {
            return Ok(link.to_owned());
        }
    }
    bail!("it ended before it printed its link")
}
