//! One `medvault-witness` process on a free port of the loopback interface.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use protocol_spec::{defence::Defence, log::Submission};

use super::{server::lines_of, with_defences_off};

/// A running witness; dropping it ends the process.
#[derive(Debug)]
pub struct Witness {
    child: Child,
    options: WitnessOptions,
    vkey: String,
    url: String,
}

/// How to start a witness.
#[derive(Clone, Debug)]
pub struct WitnessOptions {
    /// Its folder.
    pub data: PathBuf,
    /// Its name.
    pub name: String,
    /// The logs that it knows.
    pub logs: Vec<String>,
    /// `127.0.0.1:0`, or the address of a witness that is restarted.
    pub listen: String,
    /// Files that it may have open; none: as many as this process.
    pub files: Option<u32>,
    /// Defences to do without.
    pub off: Vec<Defence>,
}

impl Witness {
    /// Starts one with its folder here, for these logs.
    pub fn start(data: &Path, name: &str, logs: &[String]) -> Result<Self> {
        Self::start_as(WitnessOptions {
            data: data.to_owned(),
            name: name.to_owned(),
            logs: logs.to_vec(),
            listen: "127.0.0.1:0".to_owned(),
            files: None,
            off: Vec::new(),
        })
    }

    /// The same with all that can be said.
    pub fn start_as(options: WitnessOptions) -> Result<Self> {
        let mut child = command(&options)?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = lines_of(&mut child)?;
        let said = |what: &str| {
            let line = lines.recv_timeout(Duration::from_secs(30))?;
            let text = line.strip_prefix(what).with_context(|| line.clone())?;
            Ok::<_, anyhow::Error>(text.to_owned())
        };
        match said("vkey: ").and_then(|vkey| Ok((vkey, said("listening: ")?))) {
            Ok((vkey, url)) => Ok(Self {
                child,
                options,
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

    /// Shows it a checkpoint; its status, and what it says.
    pub async fn submit(&self, submission: &Submission) -> Result<(StatusCode, String)> {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::post(format!("{}/add-checkpoint", self.url));
        let answer = client
            .request(request.body(Full::from(submission.to_string()))?)
            .await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Starts it again, with one more log that it knows, after [`Witness::kill`].
    pub fn restart_knowing(&mut self, log: &str) -> Result<()> {
        self.options.logs.push(log.to_owned());
        self.restart()
    }

    /// Its folder.
    pub fn data(&self) -> &Path {
        &self.options.data
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
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on the same folder and port, after [`Witness::kill`].
    pub fn restart(&mut self) -> Result<()> {
        *self = Self::start_as(WitnessOptions {
            listen: self.url.trim_start_matches("http://").to_owned(),
            ..self.options.clone()
        })?;
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Its program, or a shell that bounds its files and ends as it.
fn command(options: &WitnessOptions) -> Result<Command> {
    let witness = with_defences_off("medvault-witness", &options.off)?;
    let mut command = match options.files {
        None => witness,
        Some(files) => {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"])
                .arg(witness.get_program())
                .envs(
                    witness
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                );
            shell
        }
    };
    command
        .arg("--data")
        .arg(&options.data)
        .args(["--name", &options.name, "--listen", &options.listen]);
    for log in &options.logs {
        command.args(["--log", log]);
    }
    Ok(command)
}
