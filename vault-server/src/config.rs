//! All settings in one type, [`Config`], which clap fills: flag before environment (`MEDVAULT_…`)
//! before file before default. The file is TOML and has the flags' names; what it says becomes the
//! flag's default, so every source is parsed by the same rules.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum, error::ErrorKind};
use protocol_spec::{keys::IdentityKey, link::ServerLink};

mod accounts;
mod enrolment;
mod limits;
mod memory;
mod vault_limits;

pub(crate) use self::limits::{MESSAGE_PARTS, PUBLIC_PAGE_PARTS, UNSIGNED_PARTS};
pub use self::{
    accounts::AccountSettings,
    enrolment::{EnrolmentChoice, EnrolmentSettings},
    limits::ClientLimits,
    vault_limits::SessionLimits,
};

/// What a server needs to know at its start.
#[derive(Clone, Debug, Parser)]
#[command(name = "vault-server", version, about, after_help = EXAMPLES, max_term_width = 110)]
pub struct Config {
    /// Data directory; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Address to serve on; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// Address for /livez, /readyz and /metrics, plain HTTP; keep it private [default: none]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// The registrar's public key, as `medvault registrar init` prints it
    #[arg(long, value_name = "KEY", value_parser = registrar_key)]
    pub registrar: IdentityKey,
    /// Make a self-signed certificate, keep it in the data directory and pin it in the link
    #[arg(long)]
    pub dev: bool,
    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// How often these two files are looked at; they are read again when they were replaced, also on SIGHUP
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    pub tls_poll: Duration,
    /// HOST:PORT under which clients reach the server; the first one goes into the link
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = authority)]
    pub public_authority: Vec<String>,
    /// Witnesses of the log and their quorum, a policy of c2sp.org/tlog-policy; those with a URL are asked [default: none]
    #[arg(long, value_name = "FILE")]
    pub witness_policy: Option<PathBuf>,
    /// Shortest time between two checkpoints that witnesses are asked about
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = humantime::parse_duration)]
    pub witness_pace: Duration,
    /// The link is another one than the data were served with, and is meant to be this one
    #[arg(long, value_name = "LINK")]
    pub accept_link: Option<ServerLink>,
    /// The witness policy is another one than the data were served with, and is meant to be the one with this digest; `none` for none
    #[arg(long, value_name = "DIGEST")]
    pub accept_witness_policy: Option<String>,
    /// The data do not show which registrar is theirs, and it is the one with this key
    #[arg(long, value_name = "KEY", value_parser = registrar_key)]
    pub accept_registrar: Option<IdentityKey>,
    /// Settings file, TOML, with the names of these flags
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is logged to standard error: a level, or tracing directives
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Form of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Sizes, counts and times that bound what clients may take.
    #[command(flatten)]
    pub limits: ClientLimits,
    /// Who may enrol as a patient.
    #[command(flatten)]
    pub enrolment: EnrolmentSettings,
    /// How much anybody may have kept, and put before others.
    #[command(flatten)]
    pub accounts: AccountSettings,
    /// What one session and one account may use at most.
    #[command(flatten)]
    pub session_limits: SessionLimits,
}

/// In which form the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people at a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where the server's certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateSource<'a> {
    /// Made by the server itself.
    Development,
    /// Chain and key from PEM files.
    Files {
        /// The file of the certificate chain.
        chain: &'a Path,
        /// The file of the private key.
        key: &'a Path,
    },
}

const EXAMPLES: &str = "\
Examples:
  vault-server --data ./vault --registrar regkey_… --dev
  vault-server --data /var/lib/medvault --registrar regkey_… --listen 0.0.0.0:8443 \\
      --public-authority vault.example:8443 --tls-cert chain.pem --tls-key key.pem --admin 127.0.0.1:9000
  MEDVAULT_LOG_FORMAT=json vault-server --config /etc/medvault.toml
  vault-server … --accept-clock 2026-11-30T04:00:00Z    # it stood still for longer than --clock-gap, and its clock is right
  vault-server … --public-authority new.example:443,vault.example:8443    # it moves: both names, until all clients have moved
  kill -HUP PID    # reads --tls-cert and --tls-key again at once; it ends nothing
  vault-server invite --data /var/lib/medvault --uses 20 --for 30d    # lets twenty patients enrol
  vault-server restoration --help    # the newest data are lost, and an older copy is all there is
  vault-server openapi > openapi.json    # the API that this program serves, as an OpenAPI document

Every flag can be given as MEDVAULT_… in the environment (MEDVAULT_DATA, MEDVAULT_HEADER_BYTES) and by
its name in the settings file (data = \"…\", header-bytes = \"16KiB\").";

impl Config {
    /// Reads arguments (the first is the program's name), environment and file. The error is what clap says, to be
    /// printed by its `exit`; also for help and version.
    pub fn from_args<I>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let mut command = with_environment(Self::command());
        let first_look = command.clone().ignore_errors(true).try_get_matches_from(&args);
        if let Some(path) = first_look.ok().as_ref().and_then(settings_file) {
            command = with_file(command, path)?;
        }
        let matches = command.clone().try_get_matches_from(&args)?;
        let config = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        config
            .certificate_source()
            .map_err(|text| command.error(ErrorKind::ArgumentConflict, text))?;
        config
            .check_memory()
            .map_err(|text| command.error(ErrorKind::ValueValidation, text))?;
        Ok(config)
    }

    /// Which certificate to serve with. The error says what to change in the arguments.
    pub fn certificate_source(&self) -> Result<CertificateSource<'_>, &'static str> {
        match (self.dev, &self.tls_cert, &self.tls_key) {
            (true, None, None) => Ok(CertificateSource::Development),
            (false, Some(chain), Some(key)) => Ok(CertificateSource::Files { chain, key }),
            (true, _, _) => Err("--dev makes its own certificate: leave out --tls-cert and --tls-key"),
            (false, _, _) => Err("a certificate is needed: give --tls-cert and --tls-key, or --dev"),
        }
    }
}

fn settings_file(matches: &ArgMatches) -> Option<&PathBuf> {
    matches.try_get_one("config").ok().flatten()
}

/// Gives every option a variable: that of `--header-bytes` is `MEDVAULT_HEADER_BYTES`.
fn with_environment(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| match arg.get_long() {
        Some(name) => {
            let name = format!("MEDVAULT_{}", name.to_ascii_uppercase().replace('-', "_"));
            arg.env(name).hide_env(true)
        }
        None => arg,
    })
}

fn with_file(mut command: clap::Command, path: &Path) -> Result<clap::Command, clap::Error> {
    let refuse = |command: &mut clap::Command, text: String| {
        let text = format!("settings file {}: {text}", path.display());
        command.error(ErrorKind::ValueValidation, text)
    };
    if path.exists() {
        guard::settings(path).map_err(|error| refuse(&mut command, error.to_string()))?;
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(&mut command, error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| refuse(&mut command, error.to_string()))?;
    for (name, value) in table {
        let known = |arg: &&clap::Arg| arg.get_long() == Some(&name) && name != "config";
        let Some(id) = command
            .get_arguments()
            .find(known)
            .map(|arg| arg.get_id().clone())
        else {
            return Err(refuse(&mut command, format!("unknown setting {name:?}")));
        };
        let Some(values) = setting_texts(&value) else {
            return Err(refuse(
                &mut command,
                format!("{name} must be a text, a number, true or false"),
            ));
        };
        command = command.mut_arg(id, |arg| arg.default_values(values).required(false));
    }
    Ok(command)
}

fn setting_texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Array(values) => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

fn registrar_key(text: &str) -> Result<IdentityKey, String> {
    IdentityKey::from_text(text, IdentityKey::REGISTRAR_PREFIX)
        .map_err(|_| "not a registrar key: copy regkey_… as `medvault registrar init` prints it".to_owned())
}

fn authority(text: &str) -> Result<String, String> {
    let parsed: http::uri::Authority = text.parse().map_err(|_| "expected HOST:PORT".to_owned())?;
    match parsed.port_u16() {
        Some(_) if !text.contains('@') => Ok(text.to_ascii_lowercase()),
        _ => Err("expected HOST:PORT".to_owned()),
    }
}

#[cfg(test)]
mod tests;
