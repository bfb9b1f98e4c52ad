//! One `medvault-witness` process on a free port of the loopback interface.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{program, server::lines_of};

/// A running witness; dropping it ends the process.
#[derive(Debug)]
pub struct Witness {
    child: Child,
    data: PathBuf,
    name: String,
    logs: Vec<String>,
    vkey: String,
    url: String,
}

impl Witness {
    /// Starts one with its folder here, for these logs.
    ///
    /// # Errors
    /// When it does not say where it listens within 30 seconds.
    pub fn start(data: &Path, name: &str, logs: &[String]) -> Result<Self> {
        Self::start_on(data, name, logs, "127.0.0.1:0")
    }

    fn start_on(data: &Path, name: &str, logs: &[String], listen: &str) -> Result<Self> {
        let mut command = Command::new(program("medvault-witness")?);
        command
            .arg("--data")
            .arg(data)
            .args(["--name", name, "--listen", listen]);
        for log in logs {
            command.args(["--log", log]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = lines_of(&mut child)?;
        let said = |what: &str| {
            let line = lines.recv_timeout(Duration::from_secs(30))?;
            let text = line.strip_prefix(what).with_context(|| line.clone())?;
            Ok::<_, anyhow::Error>(text.to_owned())
        };
        match said("vkey: ").and_then(|vkey| Ok((vkey, said("listening: ")?))) {
            Ok((vkey, url)) => Ok(Self {
                child,
                data: data.to_owned(),
                name: name.to_owned(),
                logs: logs.to_vec(),
                vkey,
                url,
            }),
            Err(error) => {
                drop(child.kill());
                drop(child.wait());
                bail!("medvault-witness did not start: {error:#}")
            }
        }
    }

    /// Its key, as policies name it.
    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    /// Where it is asked.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it without warning (SIGKILL).
    ///
    /// # Errors
    /// When the process cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on the same folder and port, after [`Witness::kill`].
    ///
    /// # Errors
    /// As [`Witness::start`].
    pub fn restart(&mut self) -> Result<()> {
        let listen = self.url.trim_start_matches("http://").to_owned();
        *self = Self::start_on(
            &self.data.clone(),
            &self.name.clone(),
            &self.logs.clone(),
            &listen,
        )?;
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
