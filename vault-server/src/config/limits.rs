//! Every limit with its default. What a limit stops is shown by an attack that goes through without it.

use std::time::Duration;

use clap::Args;

/// Sizes in bytes, counts and times that bound what clients may take of the server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits (sizes like 16KiB, times like 10s)")]
pub struct ClientLimits {
    /// Connections at once; then a new one takes the place of one whose address has more. Lowered, and said in the log, if the
    /// system allows fewer open files
    #[arg(long, value_name = "N", default_value = "1024")]
    pub connections: usize,
    /// TLS handshakes of one address in a second; others of it wait, and all of its network (a /24, of IPv6 a /48) may make four
    /// times as many. Raise it where many clients come from one address,
    /// as they all do behind a relay
    #[arg(long, value_name = "N", default_value = "200")]
    pub handshakes_per_address: u32,
    /// Longest life of a connection; it is then told to go and cut off after the drain time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    pub connection_age: Duration,
    /// Time for the TLS handshake
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub handshake_timeout: Duration,
    /// Time for a header section, and for an idle HTTP/1 connection to send the next one
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub header_timeout: Duration,
    /// Time that a connection may have no request running
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub idle_timeout: Duration,
    /// Bytes of a header section
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size)]
    pub header_bytes: usize,
    /// Header fields of a request
    #[arg(long, value_name = "N", default_value = "64")]
    pub header_fields: usize,
    /// Longest pause within a body that arrives
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    pub body_pause: Duration,
    /// Slowest body in either direction, bytes a second, after the first pause allowed; up to eight times as much as memory
    /// grows scarce
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size)]
    pub min_rate: usize,
    /// Longest time that a client may leave what was written to it unread
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub write_stall: Duration,
    /// Bytes of a message
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size)]
    pub message_bytes: usize,
    /// Bytes of an enrolment, which is read before it is known who sends it
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size)]
    pub enrolment_bytes: usize,
    /// Bytes of the message that commits an upload, with sealed manifest and inline content
    #[arg(long, value_name = "SIZE", default_value = "20MiB", value_parser = size)]
    pub commit_bytes: usize,
    /// Memory for leaves, long messages and long answers in transit; requests beyond it wait
    #[arg(long, value_name = "SIZE", default_value = "96MiB", value_parser = size)]
    pub body_memory: usize,
    /// How much of that one principal may hold
    #[arg(long, value_name = "PERCENT", default_value = "50", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub principal_share: u8,
    /// Memory kept for short messages and answers, inboxes and lists of permissions; one principal may hold
    /// an eighth. With 0 they wait for body memory
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub message_memory: usize,
    /// Memory for answers for which nobody has signed; pages of the directory may hold half
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub public_memory: usize,
    /// Memory for bodies that are read before it is known who sends them; one address may hold an eighth
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = size)]
    pub unsigned_memory: usize,
    /// How much of these two one address may hold; of IPv6, 56 bits are one. Behind a relay, all clients have one address
    #[arg(long, value_name = "SIZE", default_value = "2MiB", value_parser = size)]
    pub address_memory: usize,
    /// Time that a request may wait for memory
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub queue_timeout: Duration,
    /// Time after which memory is taken back for who waits, from the slowest body of who holds most
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = humantime::parse_duration)]
    pub reclaim_after: Duration,
    /// Time to answer a request, besides what its body may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,
    /// Requests of one principal at once
    #[arg(long, value_name = "N", default_value = "64")]
    pub requests_per_principal: usize,
    /// Inbox streams of one principal at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub streams_per_principal: usize,
    /// Offers of new devices in ten minutes; each network may have a part of what is free of them
    #[arg(long, value_name = "N", default_value = "4096", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4096))]
    pub link_offers: usize,
    /// Offers of new devices from one address (of IPv6 the first half) in ten minutes; behind a relay, all come from one
    #[arg(long, value_name = "N", default_value = "64")]
    pub link_offers_per_address: usize,
    /// Signatures remembered against replay; when full, the oldest of whoever sent most are forgotten, and refused
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub nonces: usize,
    /// Time between signs of life on an idle inbox stream or HTTP/2 connection
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    pub keep_alive: Duration,
    /// HTTP/2 streams of a connection at once
    #[arg(long, value_name = "N", default_value = "32")]
    pub h2_streams: u32,
    /// HTTP/2 streams that a client may reset before they are served
    #[arg(long, value_name = "N", default_value = "20")]
    pub h2_resets: usize,
    /// Time for running requests at shutdown
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub drain: Duration,
    /// Free space of the data's volume that is kept for revocations, removals and the log; at most an eighth of the volume
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub reserve: usize,
    /// Memory for cached rows and small records
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = size)]
    pub cache: usize,
}

/// One principal may hold this part of the memory kept for messages.
pub(crate) const MESSAGE_PARTS: usize = 8;
/// Public pages may hold this part of the public memory.
pub(crate) const PUBLIC_PAGE_PARTS: usize = 2;
/// One address may hold this part of the memory for unsigned bodies.
pub(crate) const UNSIGNED_PARTS: usize = 8;

impl ClientLimits {
    /// Bytes of body memory that one principal may hold.
    pub(crate) fn principal_memory(&self) -> usize {
        (self.body_memory / 100).saturating_mul(usize::from(self.principal_share))
    }
}

/// `16KiB`, `1MiB`, `2GiB` or a number of bytes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let split = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (number, shift) = split.unwrap_or((text, 0));
    number
        .trim()
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "expected a size like 4096, 16KiB, 1MiB or 2GiB".to_owned())
}
