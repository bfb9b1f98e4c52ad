//! The transparency log between real programs: what is served, and what clients make of lies about it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use client_sdk::{Error, LogEntry, Patient, Unlock};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use protocol_spec::{
    defence::Defence,
    log::{
        Entry, Growth, LOG_GROWTH, SignedCheckpoint, VaultSalt, log_key,
        tile::{self, TilePath},
    },
    messages as pb,
};
use tests::{
    attack::play,
    harness::{Cli, World},
    raw::{RawPatient, RawWorld},
};

/// LOG-9, LOG-1, LOG-7: checkpoint, tiles and bundles are served to everybody, with how long they may be kept; a patient gets the
/// salt by which she finds her leaves there.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_served_as_tiles_that_can_be_kept() -> Result<()> {
    let world = RawWorld::start().await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let ask = async |path: &str| world.wire.ask(path).await;
    let log = log_key(&world.wire.operator_key)?;
    let checkpoint = loop {
        let answer = ask("/v1/log/checkpoint").await?;
        ensure!(answer.headers[CONTENT_TYPE] == "text/plain; charset=utf-8");
        ensure!(answer.headers[CACHE_CONTROL] == "public, max-age=1");
        let checkpoint = SignedCheckpoint::parse(&answer.body)?.verify(&log)?;
        if checkpoint.size > 0 {
            break checkpoint;
        }
    };
    let salt: pb::LogSalt = patient.get(&world.wire, "/v1/log/salt").await?.message()?;
    let salt = VaultSalt::from_bytes(salt.salt.as_ref().try_into()?);
    let mut hers = 0;
    for path in TilePath::all(tile::TileKind::Entries, checkpoint.size) {
        let answer = ask(&format!("/v1/log/{path}")).await?;
        ensure!(answer.headers[CONTENT_TYPE] == "application/octet-stream");
        ensure!(answer.headers[CACHE_CONTROL] == "public, max-age=31536000, immutable");
        for entry in tile::entries(answer.body, path.width)? {
            hers += usize::from(salt.recognises(&Entry::parse(&entry)?));
        }
    }
    ensure!(hers == 2, "{hers}: her list of devices, and the head over it");
    let hashes = ask(&format!("/v1/log/tile/0/000.p/{}", checkpoint.size)).await?;
    ensure!(hashes.body.len() as u64 == 32 * checkpoint.size);
    for path in [
        "tile/0/000.p/99",
        "tile/0/0",
        "tile/1/000",
        "tile/entries/x000/001",
    ] {
        let answer = ask(&format!("/v1/log/{path}")).await?;
        ensure!(answer.status == 404, "{path}: {answer:?}");
        ensure!(answer.headers[CACHE_CONTROL] == "no-store", "{path}");
    }
    Ok(())
}

/// LOG-3, ATK-4: an entry of the directory that does not stand in the log is not believed; without the check it is.
#[test]
fn what_does_not_stand_in_the_log_is_refused() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, _) = world.patient("patient")?;
    world.institution("St. Anna")?;
    liar.tell_of("/v1/directory/events", |mut page: pb::DirectoryEvents| {
        for event in &mut page.events {
            event.path = vec![Bytes::from_static(&[7; 32]); event.path.len()];
        }
        page
    });
    play(&[Defence::LogProofs], |without| {
        let output = patient.without(without).command(&["directory"])?.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let believed = output.status.success();
        ensure!(believed || said.contains("log proof does not verify"), "{said}");
        Ok(believed)
    })
}

/// What of the log is read by her from this entry on.
async fn read(patient: &Patient, from: u64) -> Result<Vec<LogEntry>, Error> {
    let mut entries = Vec::new();
    let checkpoint = patient
        .scan_log(from, &(), |index, entry| {
            assert_eq!(index, from + entries.len() as u64);
            entries.push(entry);
            Ok(())
        })
        .await?;
    assert_eq!(checkpoint.size, from + entries.len() as u64);
    Ok(entries)
}

/// A change to the entries of a bundle.
type Lie = fn(&mut Vec<Bytes>);

/// LOG-14: the log is read whole, or from where it was read last; not one entry can be altered, left out or exchanged, no tile
/// be another one, and a shorter log is not the one that was read.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_as_it_is_or_not_at_all() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (cli, _) = world.patient("patient")?;
    world.institution("St. Anna")?;
    let unlock = Unlock::KeyFile(cli.home().with_extension("key"));
    let patient = Patient::open(cli.home(), &unlock).await?;
    let all = read(&patient, 0).await?;
    ensure!(
        matches!(all[..], [LogEntry::Salted { .. }, LogEntry::Keys { .. }]),
        "{all:?}"
    );
    ensure!(read(&patient, 1).await? == all[1..]);
    ensure!(read(&patient, 2).await?.is_empty());
    let lies: [(&str, Lie); 4] = [
        ("altered", |entries| entries[0] = entries[0].slice(1..)),
        ("left out", |entries| drop(entries.pop())),
        ("exchanged", |entries| entries.swap(0, 1)),
        ("put in the place of another", |entries| {
            entries[1] = entries[0].clone()
        }),
    ];
    for (what, lie) in lies {
        liar.tell(move |path, body| {
            let Some(Ok(TilePath { width, .. })) = path
                .strip_prefix("/v1/log/")
                .filter(|path| path.contains("entries"))
                .map(str::parse)
            else {
                return body;
            };
            let mut entries = tile::entries(body, width).unwrap_or_default();
            lie(&mut entries);
            let bundle = tile::bundle(entries.iter().map(|entry| &entry[..]));
            bundle.unwrap_or_default().into()
        });
        let refused = read(&patient, 0).await;
        ensure!(
            matches!(refused, Err(Error::Tampered { .. })),
            "{what}: {refused:?}"
        );
    }
    liar.tell(|path, body| match path.contains("/tile/0/") {
        true => body.iter().rev().copied().collect(),
        false => body,
    });
    let refused = read(&patient, 0).await;
    ensure!(matches!(refused, Err(Error::Tampered { .. })), "{refused:?}");
    liar.be_honest();
    let refused = read(&patient, 3).await;
    ensure!(matches!(refused, Err(Error::Tampered { .. })), "{refused:?}");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = std::process::Command::new("cp")
        .arg("-r")
        .args([from, to])
        .status()?;
    ensure!(done.success(), "cp");
    Ok(())
}

/// A server that is set back to an earlier copy of its data and goes on otherwise; the patient has seen more.
fn set_back(without: &[Defence]) -> Result<(Cli, std::process::Output)> {
    let mut world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    world.institution("St. Anna")?;
    world.server.stop()?;
    let (data, kept) = (world.server.data().to_owned(), world.path("kept"));
    copy(&data, &kept)?;
    world.server.restart()?;
    world.institution("Sacred Heart")?;
    patient.run(&["directory"])?;
    world.server.stop()?;
    std::fs::remove_dir_all(&data)?;
    copy(&kept, &data)?;
    world.server.restart()?;
    // The same size, another leaf; and more, so that the fork is longer.
    world.institution("Mercy")?;
    world.institution("Hope")?;
    let patient = patient.without(without);
    let output = patient.command(&["directory"])?.output()?;
    if without.is_empty() {
        for kept in ["log-conflict.older", "log-conflict.newer"] {
            let note = std::fs::read(patient.home().join(kept)).context(kept)?;
            SignedCheckpoint::parse(&note)?;
        }
    }
    Ok((patient, output))
}

/// LOG-4, ATK-38, ATK-41, ATK-4: a history that does not continue the one that was seen is refused, the error says
/// what was seen and what was served, and both signed checkpoints are kept; without the check it is believed.
#[test]
fn a_log_that_was_set_back_is_refused() -> Result<()> {
    // Of the other history, the chain over the directory's events is another one, too.
    play(&[Defence::LogGrowth, Defence::DirectoryHead], |without| {
        let (_, output) = set_back(without)?;
        if output.status.success() {
            return Ok(true);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(1) && said.contains("two histories"),
            "{said}"
        );
        ensure!(said.contains("4 leaves") || said.contains("5 leaves"), "{said}");
        Ok(false)
    })
}

/// What becomes of a proof of growth.
type GrowthLie = fn(Growth) -> Growth;

/// LOG-19, LOG-4: what comes along to prove the log's growth saves the question, and is believed no more than an answer to it.
#[test]
fn growth_that_comes_along_is_believed_no_more_than_what_is_asked_for() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, _) = world.patient("patient")?;
    world.institution("St. Anna")?;
    patient.run(&["directory"])?;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    liar.tell(move |path, body| {
        counted.fetch_add(
            usize::from(path.starts_with("/v1/log/consistency")),
            Ordering::SeqCst,
        );
        body
    });
    let questions = |name: &str, lie: GrowthLie| -> Result<usize> {
        world.institution(name)?;
        liar.tell_in_fields(move |fields| {
            let came = Growth::read(fields);
            fields.remove(LOG_GROWTH);
            for growth in came {
                fields.append(LOG_GROWTH, lie(growth).field());
            }
        });
        let said = patient.run(&["directory"])?.to_string();
        ensure!(said.contains(name), "{said}");
        Ok(asked.swap(0, Ordering::SeqCst))
    };
    let lies: [(&str, GrowthLie, usize); 4] = [
        ("Mercy", |growth| growth, 0),
        (
            "Hope",
            |growth| Growth {
                path: vec![[7; 32]; growth.path.len()],
                ..growth
            },
            1,
        ),
        (
            "Charity",
            |growth| Growth {
                path: vec![],
                ..growth
            },
            1,
        ),
        (
            "Faith",
            |growth| Growth {
                from: growth.from - 1,
                ..growth
            },
            1,
        ),
    ];
    for (name, lie, expected) in lies {
        let questions = questions(name, lie)?;
        ensure!(questions == expected, "{name}: {questions}");
    }
    Ok(())
}
