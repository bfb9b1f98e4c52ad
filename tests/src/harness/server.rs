//! One `vault-server` process on a free port of the loopback interface.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use protocol_spec::{defence::Defence, link::ServerLink};

use super::{with_clock_ahead, with_defences_off};

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its data directory.
    pub data: PathBuf,
    /// The registrar's public key, as `medvault registrar init` prints it.
    pub registrar: String,
    /// `127.0.0.1:0`, or the address of a server that is restarted.
    pub listen: String,
    /// Further flags.
    pub extra: Vec<String>,
    /// A shell script in a mount namespace of its own that ends with `exec "$@"`; empty for none.
    pub shell: String,
    /// Defences to do without: if any, the weakened build of the server is started.
    pub off: Vec<Defence>,
    /// By how many seconds its clock is ahead; if by any, the weakened build is started.
    pub ahead: u64,
}

/// A running server; dropping it ends the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    options: ServerOptions,
    link: ServerLink,
    admin: String,
    log_key: String,
    log: PathBuf,
}

impl Server {
    /// Starts one and waits until it serves.
    pub fn start(options: ServerOptions) -> Result<Self> {
        let log = options.data.with_extension("log");
        let log_file = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut child = command(&options)?
            .args(["--data".as_ref(), options.data.as_os_str()])
            .args(["--listen", &options.listen, "--registrar", &options.registrar])
            .args(["--admin", "127.0.0.1:0"])
            .args(certified(&options))
            .args(&options.extra)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()?;
        match Self::read_addresses(&mut child) {
            Ok((link, admin, log_key)) => Ok(Self {
                child,
                options,
                link,
                admin,
                log_key,
                log,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let logged = fs::read_to_string(&log).unwrap_or_default();
                Err(error.context(format!("vault-server did not start; it logged:\n{logged}")))
            }
        }
    }

    fn read_addresses(child: &mut Child) -> Result<(ServerLink, String, String)> {
        let lines = lines_of(child)?;
        let (mut link, mut admin, mut log) = (None, None, None);
        let deadline = Instant::now() + Duration::from_secs(60);
        while link.is_none() || admin.is_none() {
            let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
            match line.split_once(": ") {
                Some(("link", text)) => link = Some(text.parse()?),
                Some(("log", text)) => log = Some(text.to_owned()),
                Some(("admin", text)) => admin = Some(text.trim_start_matches("http://").to_owned()),
                _ => bail!("unexpected line on standard output: {line}"),
            }
        }
        Ok((
            link.context("link")?,
            admin.context("admin")?,
            log.context("log")?,
        ))
    }

    /// What it printed.
    pub fn link(&self) -> &ServerLink {
        &self.link
    }

    /// The key of its log, as policies and witnesses name it.
    pub fn log_key(&self) -> &str {
        &self.log_key
    }

    /// `host:port` of `/livez`, `/readyz` and `/metrics`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// How it was started, to start it otherwise.
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status()?;
        anyhow::ensure!(sent.success(), "kill failed");
        Ok(())
    }

    /// What its operator's address answers, head and body.
    pub fn admin_answer(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.admin)?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.options.data
    }

    /// Everything it wrote to standard error, over all restarts.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id, for those who read `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Asks it to stop (SIGTERM) and waits.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let sent = Command::new("kill").arg(self.pid().to_string()).status()?;
        anyhow::ensure!(sent.success(), "kill failed");
        Ok(self.child.wait()?)
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on the same data and port, after [`Server::stop`] or [`Server::kill`].
    pub fn restart(&mut self) -> Result<()> {
        let fresh_port = self.options.listen.ends_with(":0");
        let listen = if fresh_port {
            self.link.authority()
        } else {
            &self.options.listen
        }
        .to_owned();
        *self = Self::start(ServerOptions {
            listen,
            ..self.options.clone()
        })?;
        Ok(())
    }

    /// Flips a bit in the middle of its largest file of leaves. It must not run.
    pub fn flip_a_leafs_bit(&self, at_least: usize) -> Result<()> {
        let files = walkdir::WalkDir::new(self.data()).into_iter();
        let leaves = files
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "sst"))
            .max_by_key(|entry| entry.metadata().map_or(0, |metadata| metadata.len()))
            .context("no leaves")?;
        let mut bytes = fs::read(leaves.path())?;
        ensure!(bytes.len() >= at_least, "the leaves lie elsewhere");
        let middle = bytes.len() / 2;
        *bytes.get_mut(middle).context("empty")? ^= 1;
        Ok(fs::write(leaves.path(), bytes)?)
    }

    /// Starts it again with other flags.
    pub fn restart_with(&mut self, extra: &[&str]) -> Result<()> {
        self.options.extra = extra.iter().map(|&flag| flag.to_owned()).collect();
        self.restart()
    }
}

/// With a certificate of its own making, unless further flags name one.
fn certified(options: &ServerOptions) -> &'static [&'static str] {
    match options.extra.iter().any(|flag| flag == "--tls-cert") {
        true => &[],
        false => &["--dev"],
    }
}

/// Starts a server that must not start, and returns what it says. Nothing of it is left.
pub fn refused_start(options: ServerOptions) -> Result<String> {
    match Server::start(options) {
        Ok(server) => bail!("it serves: {}", server.link()),
        Err(error) => Ok(format!("{error:#}")),
    }
}

/// What a process writes to standard output, line by line, as it comes.
pub(super) fn lines_of(child: &mut Child) -> Result<mpsc::Receiver<String>> {
    let stdout = child.stdout.take().context("standard output")?;
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    Ok(lines)
}

/// The server's program, or a shell that ends as it.
fn command(options: &ServerOptions) -> Result<Command> {
    let ServerOptions {
        shell, off, ahead, ..
    } = options;
    let server = match ahead {
        0 => with_defences_off("vault-server", off)?,
        ahead => with_clock_ahead("vault-server", *ahead, off)?,
    };
    if shell.is_empty() {
        return Ok(server);
    }
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", shell, "sh"])
        .arg(server.get_program())
        .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ok(command)
}

/// Whatever a test does: a server refuses as its description says (API-13). One without its defences may do otherwise.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let undescribed = log.lines().find(|line| line.contains("undescribed refusal"));
        let excused = !self.options.off.is_empty() || std::thread::panicking();
        assert!(excused || undescribed.is_none(), "{undescribed:?}");
    }
}
