//! How fast the log is, on a real store on this machine's disk: run by `cargo xtask bench log`.
#![allow(clippy::print_stdout, reason = "a measurement")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actors::KeyPair;
use protocol_spec::log::{SignedCheckpoint, VerifiedCheckpoint, log_key, verify_consistency, verify_leaf};

use crate::{
    identity::OperatorIdentity,
    store::{Commit, CommitId, Ledger, Outcome, RocksConfig, RocksStore},
    vault::{
        SystemClock, VaultLimits,
        core::time::Time,
        log::{Log, Queued},
        tables::{self, LogQueueRow, Row},
    },
};

/// Leaves of one commit of the queue: as many as its numbers tell apart, so that the queue is not what is measured.
const QUEUED: u64 = 256;
/// Timed proofs of each kind at each size.
const PROOFS: u64 = 1000;

fn entry(number: u64) -> Vec<u8> {
    [&[0; 41][..], &number.to_be_bytes()].concat()
}

/// Puts leaves durably into the queue and hands them on.
async fn queue(store: &RocksStore, log: &Log, first: u64) {
    let commit = CommitId::fresh();
    let rows: Vec<Queued> = (0..QUEUED)
        .map(|number| Queued {
            commit,
            number: u8::try_from(number).unwrap(),
            row: LogQueueRow {
                entry: entry(first + number).into(),
            },
        })
        .collect();
    let mut write = Commit::new(commit);
    for queued in &rows {
        let key = tables::log_queue(commit, queued.number).key().clone();
        write = write.put(key, queued.row.bytes());
    }
    assert_eq!(store.commit(write).await, Ok(Outcome::Applied));
    log.queue(rows);
}

/// Median and 99th percentile, in microseconds.
fn quantiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
    (at(50), at(99))
}

/// Times proofs at the log's size, each verified.
async fn proofs(log: &Log, head: &VerifiedCheckpoint, checkpoints: &[VerifiedCheckpoint]) {
    let (mut inclusion, mut consistency) = (Vec::new(), Vec::new());
    for number in 0..PROOFS {
        // Spread over the whole log, in no order.
        let index = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % head.size;
        let begun = Instant::now();
        let path = log.inclusion(index, head.size).await.unwrap();
        inclusion.push(begun.elapsed());
        verify_leaf(head, &entry(index), index, &path).unwrap();
        let old = &checkpoints[usize::try_from(number).unwrap() % checkpoints.len()];
        let begun = Instant::now();
        let path = log.consistency(old.size, head.size).await.unwrap();
        consistency.push(begun.elapsed());
        verify_consistency(old, head, &path).unwrap();
    }
    let ((inclusion, worst_inclusion), (consistency, worst_consistency)) =
        (quantiles(inclusion), quantiles(consistency));
    println!(
        "log size {} | inclusion p50 {inclusion:.0} us p99 {worst_inclusion:.0} us | consistency p50 {consistency:.0} us p99 \
         {worst_consistency:.0} us",
        head.size
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo xtask bench log"]
async fn figures() {
    let leaves: u64 = std::env::var("MEDVAULT_LOG_LEAVES").map_or(1 << 20, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(RocksStore::open(folder.path(), &RocksConfig::default()).unwrap());
    let operator = Arc::new(OperatorIdentity::from_seed(&KeyPair::new(1).seed()).unwrap());
    let key = log_key(operator.key()).unwrap();
    let time = Arc::new(
        Time::load(Arc::new(SystemClock), store.clone(), &VaultLimits::default())
            .await
            .unwrap(),
    );
    let log = Log::open(store.clone(), operator, time, Duration::from_secs(10))
        .await
        .unwrap();
    let newest = async || {
        let note = log.newest().await.unwrap();
        SignedCheckpoint::parse(note.as_bytes())
            .unwrap()
            .verify(&key)
            .unwrap()
    };
    // What a first look into the ledger costs is not counted.
    while log.sequence().await.unwrap() {}
    let (mut checkpoints, mut placing, mut shown) = (Vec::new(), Duration::ZERO, 1024);
    let begun = Instant::now();
    for first in (0..leaves).step_by(usize::try_from(QUEUED).unwrap()) {
        queue(&store, &log, first).await;
        let placed = Instant::now();
        while log.sequence().await.unwrap() {}
        placing += placed.elapsed();
        if first % (leaves / 64).next_multiple_of(QUEUED) == 0 {
            checkpoints.push(newest().await);
        }
        if first + QUEUED == shown {
            let (all, placing) = (begun.elapsed().as_secs_f64(), placing.as_secs_f64());
            println!(
                "log size {shown} | durable leaves a second: queued and placed {:.0}, placed {:.0}",
                shown as f64 / all,
                shown as f64 / placing
            );
            proofs(&log, &newest().await, &checkpoints).await;
            shown *= 4;
        }
    }
    drop(log);
    store.close().await.unwrap();
}
