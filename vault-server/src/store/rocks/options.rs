//! RocksDB's settings, each with its reason. What is not set here has RocksDB's default.

use std::sync::LazyLock;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel, Options,
};

use super::{LEAVES, LEDGER, RocksConfig, SMALL};

/// Memory for writes that are not in table files yet, per column family and for all of them.
const WRITE_BUFFER_BYTES: usize = 16 << 20;
const ALL_WRITE_BUFFERS_BYTES: usize = 32 << 20;

/// Settings of the whole database.
pub(super) fn database(config: &RocksConfig) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // Torn tails are cut off before (`wal`), so what this mode would drop silently does not get here; the
    // stricter modes refuse some tails that a power cut leaves.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // A WAL that vanished or shrank since it was closed is an error, not a gap.
    options.set_track_and_verify_wals_in_manifest(true);
    // Bounds the WAL, and so the time that a restart takes.
    options.set_max_total_wal_size(64 << 20);
    options.set_db_write_buffer_size(ALL_WRITE_BUFFERS_BYTES);
    options.set_max_open_files(config.max_open_files);
    options.set_max_background_jobs(2);
    // Starts write-back early, so that the final sync of a table file has little left to do.
    options.set_bytes_per_sync(1 << 20);
    // Reading the statistics of every file would make opening slower with each record.
    options.set_skip_stats_update_on_db_open(true);
    // RocksDB's own log: small, and below the level at which it may tell about keys.
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(1 << 20);
    options.set_keep_log_file_num(4);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// The column families with their settings.
pub(super) fn column_families(config: &RocksConfig) -> [ColumnFamilyDescriptor; 3] {
    let cache = Cache::new_lru_cache(config.cache_bytes);
    [
        ColumnFamilyDescriptor::new(LEDGER, rows(&cache)),
        ColumnFamilyDescriptor::new(SMALL, rows(&cache)),
        ColumnFamilyDescriptor::new(LEAVES, LEAF_TABLES.clone()),
    ]
}

/// Settings for what goes through the WAL: all its memory is in the write buffers and the cache.
fn rows(cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(16 << 10);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = column_family();
    options.set_block_based_table_factory(&table);
    options
}

/// Settings of the leaf files, for the column family and for those who write files for it.
///
/// No block cache: a leaf read would push out sixty-four blocks of metadata, and what is read
/// again soon is in the system's page cache. Files lie on the last level, where neither age nor
/// size has them compacted again; a whole version is deleted by dropping its files.
pub(super) static LEAF_TABLES: LazyLock<Options> = LazyLock::new(|| {
    let mut table = BlockBasedOptions::default();
    table.disable_cache();
    let mut options = column_family();
    options.set_block_based_table_factory(&table);
    options.set_ttl(0);
    options.set_periodic_compaction_seconds(0);
    options
});

fn column_family() -> Options {
    let mut options = Options::default();
    // Ciphertext, hashes and signatures do not compress.
    options.set_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_write_buffer_number(2);
    options
}
