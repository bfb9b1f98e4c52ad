//! `vault-server restoration`: the newest data are lost for good, and the server goes on with an older copy of them. Operator and
//! registrar sign where the log goes on; the clients want both. See `protocol-spec/spec/restoration.md`.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};
use prost::Message;
use protocol_spec::{
    keys::IdentityKey,
    log::{Generation, log_key_of},
    messages as pb,
    statement::Signed,
};

use crate::{
    identity::OperatorIdentity,
    store::{RocksConfig, RocksStore},
    vault::{Accepted, Bound, Clock, Refusal, SystemClock, restoring},
};

/// Goes on with an older copy of the data, when the newest is lost for good
#[derive(Clone, Debug, Parser)]
#[command(name = "vault-server restoration", after_help = EXAMPLES)]
pub struct RestorationOptions {
    #[command(subcommand)]
    step: Step,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Write what the registrar is to sign: from which leaf on the log of these data goes on
    Prepare {
        #[command(flatten)]
        data: Data,
        /// Leaves that the log is known to have had, as a witness says in the server's log [default: as many as these data have]
        #[arg(long, value_name = "N")]
        seen: Option<u64>,
        /// Where the file goes; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take in what the registrar has signed; the log goes on with the next start, under another origin
    Begin {
        #[command(flatten)]
        data: Data,
        /// As the registrar gave it back
        file: PathBuf,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct Data {
    /// The server's data directory, which has the older copy and the operator's key
    #[arg(long, value_name = "DIR", env = "MEDVAULT_DATA", hide_env = true)]
    data: PathBuf,
}

const EXAMPLES: &str = "\
Examples, with the server stopped and the newest copy that there is in its place:
  vault-server restoration prepare --data /var/lib/medvault --seen 48213 --out restoration.ask
  medvault registrar restore restoration.ask --out restoration.signed    # the registrar, on its own machine
  vault-server restoration begin --data /var/lib/medvault restoration.signed

Only when no newer copy is anywhere: what came after this one is lost for good. Nothing leaves a patient's vault before one of her
devices was back. Witnesses and their policies name the log by its new key, which `begin` prints.";

impl RestorationOptions {
    /// Does it, and says what comes next.
    ///
    /// Fails when the data do not open, or what was given is not of them.
    pub async fn run(self) -> anyhow::Result<String> {
        match self.step {
            Step::Prepare { data, seen, out } => data.prepare(seen, &out).await,
            Step::Begin { data, file } => data.begin(&file).await,
        }
    }
}

impl Data {
    async fn open(&self) -> anyhow::Result<(RocksStore, OperatorIdentity, IdentityKey)> {
        anyhow::ensure!(
            self.data.join("db").exists(),
            "{} has no data of a server",
            self.data.display()
        );
        let operator = OperatorIdentity::load(&self.data)?;
        let store = RocksStore::open(&self.data, &RocksConfig::default())?;
        let bound = Bound::read(&store).await.map_err(refused)?;
        let registrar = bound.registrar();
        let registrar = registrar.ok_or_else(|| {
            anyhow::anyhow!("these data do not say their registrar: start the server on them once")
        })?;
        bound.check_keys(operator.key(), &registrar, &Accepted::default())?;
        Ok((store, operator, registrar))
    }

    async fn prepare(&self, seen: Option<u64>, out: &Path) -> anyhow::Result<String> {
        let (store, operator, registrar) = self.open().await?;
        let now = SystemClock.now_ms();
        let body = restoring::prepare(&store, &operator, &registrar, seen, now).await;
        store.close().await?;
        let body = body.map_err(refused)?;
        let (size, seen, until) = (body.size, body.seen, body.until);
        let file = pb::RestorationFile {
            by_operator: Some(Signed::sign(body, |message| operator.sign(message)).to_message()),
            by_registrar: None,
            operator_key: operator.key().as_bytes().to_vec().into(),
        };
        let mut new = OpenOptions::new().write(true).create_new(true).open(out)?;
        new.write_all(&file.encode_to_vec())?;
        new.sync_all()?;
        let mut text = String::new();
        writeln!(text, "operator: {}", operator.id())?;
        writeln!(text, "leaves: {size} of {seen}, until {}", time(until))?;
        writeln!(
            text,
            "next: medvault registrar restore {} --out FILE, on the registrar's machine",
            out.display()
        )?;
        Ok(text)
    }

    async fn begin(&self, file: &Path) -> anyhow::Result<String> {
        let file: pb::RestorationFile = protocol_spec::messages::decode(&fs::read(file)?)?;
        let (store, operator, registrar) = self.open().await?;
        let begun = restoring::begin(&store, &operator, &registrar, file).await;
        store.close().await?;
        let begun = begun.map_err(refused)?;
        let log = log_key_of(operator.key(), Generation::new(begun.generation)?)?;
        Ok(format!(
            "log: {log}\nnext: have the witnesses take this log in, then start the server\n"
        ))
    }
}

fn refused(refusal: Refusal) -> anyhow::Error {
    anyhow::anyhow!(
        "{}",
        refusal
            .cause
            .unwrap_or_else(|| refusal.problem.title().to_owned())
    )
}

/// To the second, in UTC.
fn time(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(time).to_string()
}
