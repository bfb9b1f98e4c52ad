//! What a witness that shares its folder, or is asked by anybody, could be brought to.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use protocol_spec::{
    defence::Defence,
    log::{SignedCheckpoint, Submission},
};
use tempfile::TempDir;
use tests::{
    attack::play_async,
    harness::{Witness, WitnessOptions},
};
use tokio::{net::TcpStream, time::timeout};

use super::witnesses::OwnLog;

fn options(folder: &TempDir, log: &OwnLog, off: &[Defence]) -> WitnessOptions {
    WitnessOptions {
        data: folder.path().join("w"),
        name: "witness.example/w".to_owned(),
        logs: vec![log.key.to_string()],
        listen: "127.0.0.1:0".to_owned(),
        files: None,
        off: off.to_vec(),
    }
}

async fn cosigns(witness: &Witness, old: u64, checkpoint: SignedCheckpoint) -> Result<bool> {
    let submission = Submission {
        old,
        path: Vec::new(),
        checkpoint,
    };
    let (status, _) = witness.submit(&submission).await?;
    Ok(status == StatusCode::OK)
}

/// ATK-85, LOG-20: a restart that overlaps: the second process on the folder does not start, so that it cannot cosign another history
/// than the first. Without the defence both cosign.
#[tokio::test(flavor = "multi_thread")]
async fn two_witnesses_on_one_folder_cosign_no_two_histories() -> Result<()> {
    play_async(&[Defence::WitnessFolder], async |off| {
        let (folder, log) = (TempDir::new()?, OwnLog::new()?);
        let one = Witness::start_as(options(&folder, &log, off))?;
        let Ok(other) = Witness::start_as(options(&folder, &log, off)) else {
            ensure!(cosigns(&one, 0, log.checkpoint(2, log.root(2))?).await?);
            return Ok(false);
        };
        let first = cosigns(&one, 0, log.checkpoint(2, log.root(2))?).await?;
        let second = cosigns(&other, 0, log.checkpoint(2, [7; 32])?).await?;
        Ok(first && second)
    })
    .await
}

/// ATK-86, LOG-21: somebody holds more connections than the witness may have files, and says nothing. The log is cosigned all the
/// same; without limits nobody else is heard.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_no_log_out() -> Result<()> {
    play_async(&[Defence::WitnessLimits], async |off| {
        let (folder, log) = (TempDir::new()?, OwnLog::new()?);
        let witness = Witness::start_as(WitnessOptions {
            files: Some(128),
            ..options(&folder, &log, off)
        })?;
        let address = witness.url().trim_start_matches("http://").to_owned();
        let mut held = Vec::new();
        for _ in 0..300 {
            // Once the kernel's queue is full too, the next one waits for nothing.
            let connected = timeout(Duration::from_secs(1), TcpStream::connect(&address)).await;
            let Ok(Ok(connected)) = connected else {
                break;
            };
            held.push(connected);
        }
        ensure!(held.len() > 128, "{}", held.len());
        let asked = cosigns(&witness, 0, log.checkpoint(2, log.root(2))?);
        let cosigned = timeout(Duration::from_secs(20), asked).await;
        Ok(!matches!(cosigned, Ok(Ok(true))))
    })
    .await
}

/// ATK-86, LOG-21: somebody shows the newest checkpoint, which is public, again and again. It costs the witness no write; without
/// limits, one each time.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_checkpoint_again_and_again_is_not_written() -> Result<()> {
    play_async(&[Defence::WitnessLimits], async |off| {
        let (folder, log) = (TempDir::new()?, OwnLog::new()?);
        let witness = Witness::start_as(options(&folder, &log, off))?;
        ensure!(cosigns(&witness, 0, log.checkpoint(2, log.root(2))?).await?);
        let written = std::fs::metadata(stored(&witness)?)?.modified()?;
        for _ in 0..20 {
            ensure!(cosigns(&witness, 2, log.checkpoint(2, log.root(2))?).await?);
        }
        Ok(std::fs::metadata(stored(&witness)?)?.modified()? != written)
    })
    .await
}

/// What the witness remembers of its log.
fn stored(witness: &Witness) -> Result<PathBuf> {
    let mut files = std::fs::read_dir(witness.data().join("logs"))?;
    Ok(files.next().context("a file")??.path())
}
