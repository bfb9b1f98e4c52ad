//! The `medvault-witness` program: for whoever is not the operator of a log, and wants to see to it that the log
//! shows one history to everybody. It speaks `add-checkpoint` of c2sp.org/tlog-witness over plain HTTP; TLS, if it is
//! reached over a network, is its front's.
//!
//! Its folder belongs to one process at a time. Whoever controls a witness can cosign a second history of a log, and no more: clients ask for a quorum. Whoever loses
//! its folder must run another witness under another name, because it has forgotten what it has seen.

mod accept;
mod folder;
mod http;
mod identity;
mod witness;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result};
use clap::Parser;
use protocol_spec::log::{KeyKind, NoteKey};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{folder::Folder, identity::Identity, witness::Witness};

/// Cosigns checkpoints of transparency logs that continue what it has seen of them (c2sp.org/tlog-witness).
#[derive(Debug, Parser)]
#[command(name = "medvault-witness", version, about, after_help = EXAMPLES)]
struct Options {
    /// Folder with its key and the last checkpoint of each log; made if it does not exist
    #[arg(long, value_name = "DIR", env = "MEDVAULT_WITNESS_DATA")]
    data: PathBuf,
    /// Its name, a URL without scheme that nobody else uses
    #[arg(long, value_name = "NAME", env = "MEDVAULT_WITNESS_NAME")]
    name: String,
    /// Address to serve on, plain HTTP; port 0 takes any free one
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8551",
        env = "MEDVAULT_WITNESS_LISTEN"
    )]
    listen: SocketAddr,
    /// A log to witness, as a key NAME+ID+KEY; may be given several times
    #[arg(long = "log", value_name = "VKEY", value_parser = log_key, env = "MEDVAULT_WITNESS_LOGS", value_delimiter = ' ')]
    logs: Vec<NoteKey>,
    /// Connections at once; beyond that the oldest of whoever has most is cut off
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        env = "MEDVAULT_WITNESS_CONNECTIONS"
    )]
    connections: usize,
}

const EXAMPLES: &str = "\
Example:
  medvault-witness --data /var/lib/witness --name witness.example/w1 \\
      --log 'medvault/log/op_…+1a2b3c4d+AV…'

It prints `vkey: …`, the line's key in a policy of clients and servers, and `listening: http://…`, the URL in the server's
policy. The server prints its log's key as `log: …`.";

fn main() -> ExitCode {
    if let Err(error) = guard::process() {
        drop(writeln!(
            io::stderr(),
            "medvault-witness: cannot keep its key in memory from others ({error}): ask whoever runs this machine"
        ));
        return ExitCode::FAILURE;
    }
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed, the exit code still says it.
            drop(writeln!(io::stderr(), "medvault-witness: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(options: Options) -> Result<()> {
    // There is nothing to read again, and a terminal that is closed ends no witness.
    let _hangup = signal(SignalKind::hangup())?;
    // For as long as this runs.
    let _folder = Folder::take(&options.data)?;
    let identity = Identity::load_or_create(&options.data, &options.name)?;
    let vkey = identity.key().clone();
    let witness = Arc::new(Witness::open(&options.data, identity, options.logs)?);
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address", options.listen))?;
    let address = listener.local_addr()?;
    announce(&vkey, address)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    accept::serve(listener, http::router(witness), options.connections, stop).await;
    Ok(())
}

/// All that ever goes to standard output.
fn announce(key: &NoteKey, address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "vkey: {key}")?;
    writeln!(out, "listening: http://{address}")?;
    out.flush()
}

fn log_key(text: &str) -> Result<NoteKey, String> {
    match text.parse::<NoteKey>() {
        Ok(key) if key.kind() == KeyKind::Ed25519 => Ok(key),
        Ok(_) => Err("this is a witness's key: give the log's, as the server prints it".to_owned()),
        Err(error) => Err(format!("{error}: give NAME+ID+KEY as the server prints it")),
    }
}
