//! The command line: global options, the list of commands, and how values are read.
//!
//! Each command's own options stand beside what it does, in `commands/`.

use std::{
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use clap::{Args, Parser, Subcommand};
use client_sdk::{Day, MediaType, PatientId, Purpose, proxy::Choice};

use crate::commands::{
    agent, certificate, collection, delegate, device, directory, download, emergency, history, home, inbox,
    institution, patient, permissions, permit, records, recover, recovery, reference, registrar, rules,
    server, trace, upload, verify, witnesses,
};

/// Medical information, end-to-end encrypted: patients hold the keys, the server stores what it cannot read.
#[derive(Debug, Parser)]
#[command(
    name = "medvault",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = OVERVIEW
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Folder with the keys and pins of one patient, institution or registrar
    #[arg(
        long,
        global = true,
        env = "MEDVAULT_HOME",
        value_name = "DIR",
        display_order = 900
    )]
    pub(crate) home: Option<PathBuf>,
    /// Unlock the home with this file of 32 random bytes, made if absent, instead of a passphrase
    #[arg(
        long,
        global = true,
        env = "MEDVAULT_KEY_FILE",
        value_name = "FILE",
        display_order = 901
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// Read the passphrase of the home from the first line of this file, which nobody else can read
    #[arg(
        long,
        global = true,
        env = "MEDVAULT_PASSPHRASE_FILE",
        value_name = "FILE",
        conflicts_with = "key_file",
        display_order = 902
    )]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase of the home from the first line of this open file descriptor
    #[arg(
        long,
        global = true,
        value_name = "N",
        conflicts_with_all = ["key_file", "passphrase_file"],
        display_order = 903
    )]
    pub(crate) passphrase_fd: Option<u32>,
    /// Take texts and codes from the command line, where everybody who is on this machine can see them
    #[arg(
        long,
        global = true,
        env = "MEDVAULT_SECRETS_IN_ARGUMENTS",
        value_parser = clap::builder::BoolishValueParser::new(),
        display_order = 904
    )]
    pub(crate) secrets_in_arguments: bool,
    /// Reach the server through this HTTP proxy, or through none; without this, as HTTPS_PROXY, ALL_PROXY and NO_PROXY say
    #[arg(
        long,
        global = true,
        env = "MEDVAULT_PROXY",
        hide_env_values = true,
        value_name = "http://HOST:PORT|none",
        display_order = 905
    )]
    pub(crate) proxy: Option<Choice>,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long, global = true, display_order = 906)]
    pub(crate) json: bool,
}

/// For whom a patient's command is.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ActingFor {
    /// Act for this patient, who has made you her delegate
    #[arg(long, value_name = "PATIENT")]
    pub(crate) acting_for: Option<PatientId>,
}

/// One of the program's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accredit institutions; works offline
    #[command(subcommand)]
    Registrar(registrar::Command),
    /// Open a vault as a patient
    #[command(subcommand)]
    Patient(patient::Command),
    /// Join a server as an institution
    #[command(subcommand)]
    Institution(institution::Command),
    /// List accredited institutions, each verified; audit the server's log for them
    Directory(directory::Options),
    /// Show what has arrived: requests, permission keys, denials, receipts
    Inbox(inbox::Options),
    /// Bring medical information into a vault
    #[command(subcommand)]
    Upload(upload::Command),
    /// List or read the records of the patient's own vault
    Records(records::Options),
    /// Keep records in collections, which can be permitted as a whole (patient)
    #[command(subcommand)]
    Collection(collection::Command),
    /// Let another patient act in the vault: a parent, a carer, who holds a power of attorney (patient)
    #[command(subcommand)]
    Delegate(delegate::Command),
    /// Open the vault on several devices: link, approve, list, name, remove (patient)
    #[command(subcommand)]
    Device(device::Command),
    /// Prepare for the loss of all devices: a kit of 24 words, trustees, a rehearsal (patient)
    #[command(subcommand)]
    Recovery(recovery::Command),
    /// Open a vault again on a machine that has nothing but a kit's words or trustees' shares (patient)
    Recover(recover::Options),
    /// Prepare for emergencies, open in one, object: a card, guardians
    #[command(subcommand)]
    Emergency(emergency::Command),
    /// Read records with a patient's permission
    #[command(subcommand)]
    Download(download::Command),
    /// Ask a patient to let another institution read
    #[command(subcommand)]
    Reference(reference::Command),
    /// Answer a download or reference request with a permission key (patient)
    Permit(permit::PermitOptions),
    /// Answer a download or reference request with a refusal (patient)
    Deny(permit::DenyOptions),
    /// List the permissions given, with state and uses (patient)
    #[command(after_help = permissions::EXAMPLES)]
    Permissions,
    /// Withdraw a permission: the server releases nothing more to it (patient)
    Revoke(permissions::RevokeOptions),
    /// Check the case of a permission, from the request to its end, without asking anybody
    Verify(verify::Options),
    /// Check the certificate of a revocation, without asking anybody
    Certificate(certificate::Options),
    /// Let this device answer by rules while nobody looks: read, activate, try them (patient)
    #[command(subcommand)]
    Rules(rules::Command),
    /// Answer requests by the active rules, now or for as long as it runs (patient)
    Agent(agent::Options),
    /// Show who asked, permitted, presented and received, with verified receipts (patient)
    History(history::Options),
    /// Ask for cosignatures of the server's log by witnesses that the operator does not run
    #[command(subcommand)]
    Witnesses(witnesses::Command),
    /// Look whether the home is what it was when it was left; change its passphrase
    #[command(subcommand)]
    Home(home::Command),
    /// Show the home's server, or follow it to another name or port
    #[command(subcommand)]
    Server(server::Command),
    /// Run another command, and show every request and answer of it, decoded
    Trace(trace::Options),
}

/// Reads a duration such as `90s`, `1h` or `7d`; zero is refused.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration =
        humantime::parse_duration(text).map_err(|_| "write a duration such as 90s, 1h or 7d".to_owned())?;
    if duration.is_zero() {
        Err("must be longer than zero".to_owned())
    } else {
        Ok(duration)
    }
}

/// Reads a number of bytes: digits, then nothing, or `kB`, `MB`, `GB`, `TB` (powers of 1000), or `KiB`,
/// `MiB`, `GiB`, `TiB` (powers of 1024).
pub(crate) fn byte_count(text: &str) -> Result<u64, String> {
    let form = || "write bytes as a number, or with a unit such as 500MB or 2GiB".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(unit_at).ok_or_else(form)?;
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "TB" => 1000 * 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(form()),
    };
    let count: u64 = digits.parse().map_err(|_| form())?;
    match count.checked_mul(factor) {
        Some(0) => Err("must be more than zero".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("is more than can be counted".to_owned()),
    }
}

/// Reads the HL7 code of a purpose of use.
pub(crate) fn purpose(text: &str) -> Result<Purpose, String> {
    text.parse().map_err(|_| {
        "write an HL7 PurposeOfUse code such as TREAT, ETREAT, HPAYMT, HOPERAT or HRESCH".to_owned()
    })
}

/// Reads a day.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    text.parse()
        .map_err(|_| "write a day from 1900 on, such as 2026-05-31".to_owned())
}

/// Reads a media type; its case and parameters do not count.
pub(crate) fn media_type(text: &str) -> Result<MediaType, String> {
    MediaType::of(text).map_err(|_| "write a media type such as application/dicom".to_owned())
}

/// Reads a day, whose beginning in UTC counts, or a moment with its offset.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    client_sdk::rules::moment(text).map_err(ToOwned::to_owned)
}

/// Reads a moment, with or without seconds, or how long ago it was: milliseconds since 1970.
pub(crate) fn since(text: &str) -> Result<u64, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let now = UNIX_EPOCH.elapsed().unwrap_or_default();
        return Ok(u64::try_from(now.saturating_sub(ago).as_millis()).unwrap_or(u64::MAX));
    }
    let minutes = text.find('T').map(|at| at + "T10:00".len());
    let with_seconds = minutes
        .and_then(|at| text.split_at_checked(at))
        .map(|(minutes, offset)| format!("{minutes}:00{offset}"));
    moment(text)
        .or_else(|error| with_seconds.map_or(Err(error), |text| moment(&text)))
        .map_err(|_| {
            "write how long ago, such as 3d, a day, or a moment with its offset such as 2026-11-29T10:00Z"
                .to_owned()
        })
}

const OVERVIEW: &str = "\
The three flows:
  upload     patient: upload request, institution: upload send, patient: records
  download   institution: download request, patient: permit, institution: download fetch
  reference  first institution: reference request, patient: permit, second: download fetch
Everybody finds the ids in the inbox.

Examples:
  medvault patient enrol --home ~/vault --server https://vault.example:8443/#m3k…
  MEDVAULT_HOME=~/vault medvault inbox --wait 60
  MEDVAULT_HOME=~/vault medvault records --json

The passphrase of a home is asked for on a terminal, or comes from --passphrase-file, --passphrase-fd or, which other
programs of yours can look into, the environment variable MEDVAULT_PASSPHRASE.
A proxy with a user's name and password (http://USER:PASSWORD@HOST:PORT) is named in HTTPS_PROXY or MEDVAULT_PROXY.
Exit codes: 0 done, 1 refused or failed, 2 usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn check(command: &clap::Command) {
            if command.get_name() != "help" {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(help.contains("Example"), "{} has no examples", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn durations_are_read_and_zero_is_refused() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86400)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "7", "0s", "-1h", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn purposes_days_and_media_types_are_read_strictly() {
        assert_eq!(purpose("TREAT"), Ok(Purpose::TREAT));
        assert!(purpose("treat").is_err() && purpose("PurposeOfUse").is_err());
        assert!(day("2026-05-31").is_ok() && day("2026-02-30").is_err() && day("yesterday").is_err());
        assert_eq!(
            media_type("Text/Plain; charset=utf-8").unwrap().as_str(),
            "text/plain"
        );
        assert!(media_type("image/*").is_err() && media_type("dicom").is_err());
        assert_eq!(moment("1970-01-02"), Ok(86_400_000));
        assert!(moment("1970-01-02T08:00:00").is_err());
        assert_eq!(since("1970-01-01T00:01Z"), Ok(60_000));
        assert_eq!(since("1970-01-01T00:01:05Z"), Ok(65_000));
        assert_eq!(since("1970-01-02"), Ok(86_400_000));
        let (now, ago) = (since("0s").unwrap(), since("3d").unwrap());
        assert!((3 * 86_400_000..3 * 86_400_000 + 60_000).contains(&(now - ago)));
        for bad in ["", "soon", "2026-11-29T10:00", "T", "-3d"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn byte_counts_are_read_and_zero_is_refused() {
        assert_eq!(byte_count("1048576"), Ok(1 << 20));
        assert_eq!(byte_count("500MB"), Ok(500_000_000));
        assert_eq!(byte_count("2 GiB"), Ok(2 << 30));
        for bad in ["", "0", "-1", "1e9", "GiB", "12 apples", "99999999999TiB", "é"] {
            assert!(byte_count(bad).is_err(), "{bad}");
        }
    }
}
