//! The vault's own bounds as settings.

use std::time::{Duration, SystemTime};

use clap::Args;

use super::limits::{ClientLimits, size};
use crate::vault::{VaultLimits, since_1970};

/// Sessions, challenges, pages, and how far the clock is believed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits of sessions, pages and time")]
pub struct SessionLimits {
    /// Time to answer a challenge
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub challenge_ttl: Duration,
    /// Life of an upload that is not committed
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub upload_ttl: Duration,
    /// Life of a release that is not closed
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub release_ttl: Duration,
    /// How long a mutation may be repeated under its idempotency key
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub idempotency_ttl: Duration,
    /// After what time one device alone can remove a recovery kit or trustees; shorter than a week only to try it out
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = humantime::parse_duration)]
    pub recovery_delay: Duration,
    /// How often expired sessions are looked for
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    pub sweep_interval: Duration,
    /// How long an answer waits for its place in the log
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub log_wait: Duration,
    /// Uploads and releases that one institution may have open
    #[arg(long, value_name = "N", default_value = "256")]
    pub sessions_per_institution: u32,
    /// Bytes of a sealed manifest
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub sealed_manifest_bytes: usize,
    /// Bytes of all sealed manifests in one release, and 3 KiB beside each
    #[arg(long, value_name = "SIZE", default_value = "20MiB", value_parser = size)]
    pub release_manifest_bytes: usize,
    /// Rows of a page
    #[arg(long, value_name = "N", default_value = "100")]
    pub page_rows: usize,
    /// Bytes after which a page ends
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub page_bytes: usize,
    /// How far the clock may jump ahead while the server runs; it does not go by one that jumps further
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub clock_jump: Duration,
    /// How long the server may have stood still before it asks for --accept-clock
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub clock_gap: Duration,
    /// The clock is right although it is far ahead of the vault's last time, up to this moment: 2026-11-30T04:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = humantime::parse_rfc3339_weak)]
    pub accept_clock: Option<SystemTime>,
}

impl SessionLimits {
    /// As the vault takes them.
    pub(crate) fn vault(&self, limits: &ClientLimits) -> VaultLimits {
        VaultLimits {
            challenge_ttl: self.challenge_ttl,
            upload_ttl: self.upload_ttl,
            release_ttl: self.release_ttl,
            idempotency_ttl: self.idempotency_ttl,
            recovery_delay: self.recovery_delay,
            sweep_interval: self.sweep_interval,
            log_wait: self.log_wait,
            sessions_per_institution: self.sessions_per_institution,
            sealed_manifest_bytes: self.sealed_manifest_bytes,
            release_manifest_bytes: u64::try_from(self.release_manifest_bytes).unwrap_or(u64::MAX),
            page_rows: self.page_rows,
            page_bytes: self.page_bytes,
            request_bytes: u64::try_from(limits.message_bytes).unwrap_or(u64::MAX),
            clock_jump: self.clock_jump,
            clock_gap: self.clock_gap,
            clock_accepted: self.accept_clock.map_or(0, since_1970),
            ..VaultLimits::default()
        }
    }
}
