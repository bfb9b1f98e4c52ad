//! Sizes of answers: the most that records and their placements take, so that memory is taken before they are read.

/// The most bytes of an answer with so many records, whose sealed manifests have so many.
pub(in crate::vault) fn release_bytes(records: usize, manifest_bytes: u64) -> u64 {
    // One more, for what stands beside them.
    let records = u64::try_from(records).unwrap_or(u64::MAX).saturating_add(1);
    records
        .saturating_mul(BESIDE_MANIFEST)
        .saturating_add(manifest_bytes)
}

/// The most bytes of an answer in which each record comes with its placement.
pub(in crate::vault) fn placed_bytes(records: usize, manifest_bytes: u64) -> u64 {
    let placements = u64::try_from(records)
        .unwrap_or(u64::MAX)
        .saturating_mul(PLACEMENT);
    release_bytes(records, manifest_bytes).saturating_add(placements)
}

/// A record's ids, root, key wraps and receipt: 1 KiB and its proof, which has 45 bytes for each doubling of the log and some 130
/// for each witness: up to 2^26 leaves with three.
pub(in crate::vault) const BESIDE_MANIFEST: u64 = 3 << 10;

/// A device's statement with the longest chain: 32 certificates of less than 200 bytes.
pub(in crate::vault) const PLACEMENT: u64 = 7 << 10;
