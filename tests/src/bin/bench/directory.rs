//! The mirror of the directory: how long a client takes to catch up, every event verified and kept.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use client_sdk::{Patient, Unlock};
use serde_json::{Value, json};
use tests::raw::RawWorld;

use crate::samples::Samples;

/// Clients in each state, each a home of its own.
const CLIENTS: usize = 7;

/// Of clients with nothing, with everything, and so many institutions behind.
pub(crate) fn measure(institutions: usize) -> Result<Value> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(institutions))
}

async fn run(institutions: usize) -> Result<Value> {
    let world = RawWorld::start().await?;
    let link = world.server.link();
    let homes: Vec<_> = (0..CLIENTS)
        .map(|number| world.path(&format!("home-{number}")))
        .collect();
    for home in &homes {
        Patient::enrol(home, &unlock(home), link).await?;
    }
    enrol(&world, 0..institutions).await?;
    let empty = each(&homes, 0).await?;
    let nothing = each(&homes, 0).await?;
    let list = each(&homes, institutions).await?;
    enrol(&world, institutions..2 * institutions).await?;
    let behind = each(&homes, 0).await?;
    let kept = std::fs::metadata(homes[0].join("directory.events"))?.len();
    Ok(json!({
        "institutions": institutions,
        "clients": CLIENTS,
        "empty mirror, p50, ms": empty.median(),
        "as many behind, with as many kept, p50, ms": behind.median(),
        "nothing new, p50, ms": nothing.median(),
        "nothing new, and all listed, p50, ms": list.median(),
        "bytes kept for each institution": kept / (2 * institutions as u64).max(1),
    }))
}

async fn enrol(world: &RawWorld, numbers: std::ops::Range<usize>) -> Result<()> {
    for number in numbers {
        world.institution(&format!("Hospital {number}")).await?;
    }
    Ok(())
}

/// Each client opens its home anew, looks institutions up, and finds so many.
async fn each(homes: &[std::path::PathBuf], found: usize) -> Result<Samples> {
    let mut times = Samples::default();
    for home in homes {
        let patient = Patient::open(home, &unlock(home)).await?;
        let filter = if found == 0 { Some("no such name") } else { None };
        let started = Instant::now();
        let entries = patient.trust().institutions(filter).await?;
        times.add(started.elapsed().as_secs_f64() * 1e3);
        ensure!(entries.len() == found, "{} of {found}", entries.len());
    }
    Ok(times)
}

fn unlock(home: &Path) -> Unlock {
    Unlock::KeyFile(home.with_extension("key"))
}
