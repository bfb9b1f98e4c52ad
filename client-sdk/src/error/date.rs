//! How times stand in texts for people.

/// To the second, in UTC. Another device has written it: of years that have no text form the number is shown.
pub(crate) fn time(ms: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800_000;
    if ms >= YEAR_10000 {
        return format!("{ms} ms");
    }
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(time).to_string()
}
