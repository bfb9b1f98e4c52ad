//! A registrar, a server, and whoever is enrolled, in one temporary folder.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use protocol_spec::defence::Defence;
use serde_json::Value;
use tempfile::TempDir;

use super::{Authority, Cli, Liar, Proxy, Server, ServerOptions};

/// Everything a test needs; dropped, nothing is left.
#[derive(Debug)]
pub struct World {
    /// The server, which may be stopped and restarted.
    pub server: Server,
    /// The registrar's principal, which works offline.
    pub registrar: Cli,
    folder: TempDir,
}

impl World {
    /// A fresh server and registrar.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with further flags for the server.
    pub fn start_with(extra: &[&str]) -> Result<Self> {
        Self::start_on("127.0.0.1:0", extra, "", &[])
    }

    /// A weakened server, without these defences.
    pub fn start_without(off: &[Defence]) -> Result<Self> {
        Self::start_on("127.0.0.1:0", &[], "", off)
    }

    /// The same with further flags.
    pub fn start_with_without(extra: &[&str], off: &[Defence]) -> Result<Self> {
        Self::start_on("127.0.0.1:0", extra, "", off)
    }

    /// A server whose data lies on a disk of its own of this size, which fills up.
    pub fn start_on_small_disk(mebibytes: u32) -> Result<Self> {
        // `--data` is the second argument.
        let shell = format!(
            r#"mkdir -p "$3" && mount -t tmpfs -o size={mebibytes}m,mode=700 tmpfs "$3" && exec "$@""#
        );
        Self::start_on("127.0.0.1:0", &[], &shell, &[])
    }

    /// A server that clients reach through a relay.
    pub fn start_behind_proxy() -> Result<(Self, Proxy)> {
        // The server's port must be known before it starts, because its link names the relay.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let proxy = Proxy::start(listen)?;
        let public = proxy.address().to_string();
        Ok((
            Self::start_on(&listen.to_string(), &["--public-authority", &public], "", &[])?,
            proxy,
        ))
    }

    /// A server whose operator answers as a test likes.
    pub fn start_behind_liar() -> Result<(Self, Liar)> {
        Self::start_behind_liar_without(&[])
    }

    /// The same, with a weakened server behind.
    pub fn start_behind_liar_without(off: &[Defence]) -> Result<(Self, Liar)> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // The folder is known when the world is there; the certificate is read with the first connection.
        let folder = TempDir::new()?;
        let liar = Liar::start(listen, &folder.path().join("server"))?;
        let public = liar.address().to_string();
        let extra = ["--public-authority", &public];
        Ok((
            Self::start_in(folder, &listen.to_string(), &extra, "", off)?,
            liar,
        ))
    }

    /// A server with a certificate from files, which clients check against their system's roots: the principals of this world trust
    /// the authority. Whoever likes may enrol.
    pub fn start_certified(
        authority: &Authority,
        public: &str,
        days: (i64, i64),
        extra: &[&str],
    ) -> Result<Self> {
        let folder = TempDir::new()?;
        let roots = folder.path().join("roots.pem");
        authority.write(&roots)?;
        let host = public.rsplit_once(':').context("no port")?.0;
        let issued = authority.issue(folder.path(), host, days)?;
        let flags = issued.flags();
        let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
        all.extend([
            "--public-authority",
            public,
            "--enrolment",
            "open",
            "--enrolment-work",
            "0",
        ]);
        all.extend(extra);
        let listen = format!(
            "127.0.0.1:{}",
            public.rsplit_once(':').map_or("0", |(_, port)| port)
        );
        Self::start_in(folder, &listen, &all, "", &[])
    }

    /// A principal who trusts the authority of [`World::start_certified`], not enrolled.
    pub fn trusting(&self, name: &str) -> Cli {
        let roots = self.path("roots.pem").display().to_string();
        self.principal(name).with_env("SSL_CERT_FILE", &roots)
    }

    fn start_on(listen: &str, extra: &[&str], shell: &str, off: &[Defence]) -> Result<Self> {
        Self::start_in(TempDir::new()?, listen, extra, shell, off)
    }

    fn start_in(folder: TempDir, listen: &str, extra: &[&str], shell: &str, off: &[Defence]) -> Result<Self> {
        let registrar = Cli::new(folder.path().join("registrar"));
        let key = text(&registrar.run(&["registrar", "init"])?, "registrar")?;
        let server = Server::start(ServerOptions {
            data: folder.path().join("server"),
            registrar: key,
            listen: listen.into(),
            extra: extra.iter().map(|&flag| flag.to_owned()).collect(),
            shell: shell.to_owned(),
            off: off.to_vec(),
            ahead: 0,
        })?;
        Ok(Self {
            server,
            registrar,
            folder,
        })
    }

    /// The temporary folder; what tests put there goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A principal with a home of this name, not enrolled.
    pub fn principal(&self, name: &str) -> Cli {
        Cli::new(self.path(&format!("home-{name}")))
    }

    /// A path in the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Enrols a patient; returns her principal and id.
    pub fn patient(&self, name: &str) -> Result<(Cli, String)> {
        let patient = self.principal(name);
        let answer = patient.run(&["patient", "enrol", "--server", &self.server.link().to_string()])?;
        Ok((patient, text(&answer, "patient_id")?))
    }

    /// Has an institution accredited and enrols it; returns its principal and id.
    pub fn institution(&self, name: &str) -> Result<(Cli, String)> {
        self.institution_for(name, &[])
    }

    /// The same, with further flags for the registrar.
    pub fn institution_for(&self, name: &str, flags: &[&str]) -> Result<(Cli, String)> {
        let institution = self.principal(name);
        let accreditation = self.accredit_for(&institution, name, flags)?;
        let link = self.server.link().to_string();
        let answer = institution.run(&[
            "institution",
            "enrol",
            "--server",
            &link,
            "--accreditation",
            &accreditation,
        ])?;
        Ok((institution, text(&answer, "institution_id")?))
    }

    /// Has an institution accredited; returns the path of the accreditation file.
    pub fn accredit(&self, institution: &Cli, name: &str) -> Result<String> {
        self.accredit_for(institution, name, &[])
    }

    fn accredit_for(&self, institution: &Cli, name: &str, flags: &[&str]) -> Result<String> {
        let request = self.path(&format!("{name}.request")).display().to_string();
        let accreditation = self.path(&format!("{name}.accreditation")).display().to_string();
        institution.run(&["institution", "request", "--name", name, "--out", &request])?;
        self.registrar.run(
            &[
                &["registrar", "accredit", &request, "--out", &accreditation],
                flags,
            ]
            .concat(),
        )?;
        Ok(accreditation)
    }
}

/// A string field of a JSON answer.
pub fn text(answer: &Value, field: &str) -> Result<String> {
    Ok(answer
        .get(field)
        .and_then(Value::as_str)
        .with_context(|| format!("no field {field} in {answer}"))?
        .to_owned())
}
