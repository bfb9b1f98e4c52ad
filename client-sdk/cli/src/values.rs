//! Values of the command line that many commands have: the options of every command, and how durations, sizes, days and codes are read.

use std::{
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use clap::Args;
use client_sdk::{Day, MediaType, PatientId, Purpose, proxy::Choice};

/// The options that every command understands.
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

#[cfg(test)]
mod tests {
    use super::*;

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
