//! Floods by people with no account, or with as many as they like (ATK-75 to ATK-79): what is shared out between
//! addresses and principals is not had by one of them alone, and no shortage that passes ends the server.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::Result;
use protocol_spec::{defence::Defence, ids::UploadId, problem::Problem};
use rustix::process::{Pid, Resource, Rlimit};
use tests::{
    attack::play_async,
    raw::{Answer, Call, RawPatient, RawWorld, now_ms, random},
};
use tokio::{io::AsyncWriteExt, time::timeout};

const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 1));
const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 8, 1));

/// So often somebody else asks meanwhile.
const TIMES: usize = 5;

/// Whether somebody was refused for want of something that the attacker has.
fn is_kept_out(answer: &Answer) -> bool {
    matches!(answer.problem(), Some(Problem::Unavailable | Problem::TooMany))
}

/// API-14, API-15, ATK-75
#[tokio::test]
async fn bodies_that_do_not_come_keep_nobody_from_the_directory() -> Result<()> {
    play_async(&[Defence::PublicShares], async |off| {
        let sizes = ["--page-rows", "10", "--public-memory", "512KiB"];
        let parts = ["--unsigned-memory", "256KiB", "--address-memory", "128KiB"];
        let times = ["--queue-timeout", "500ms", "--body-pause", "1h"];
        let world = RawWorld::start_with(&[&sizes[..], &parts, &times].concat(), off).await?;
        let begun = "POST /v1/patients HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k\r\ncontent-length: 16384\r\n\r\n";
        let mut held = Vec::new();
        for _ in 0..40 {
            let mut connection = world.wire.tls_from(ATTACKER).await?;
            connection.write_all(begun.as_bytes()).await?;
            held.push(connection);
        }
        let honest = world.wire.from_address(HONEST)?;
        let mut kept_out = false;
        for _ in 0..TIMES {
            kept_out |= is_kept_out(&honest.ask("/v1/directory/events").await?);
        }
        Ok(kept_out)
    })
    .await
}

/// API-16, ATK-76
#[tokio::test]
async fn free_accounts_take_no_memory_for_what_they_may_not_send() -> Result<()> {
    play_async(&[Defence::TransferShares], async |off| {
        let times = ["--queue-timeout", "500ms", "--body-pause", "1h"];
        let world = RawWorld::start_with(&times, off).await?;
        let hospital = world.institution("Hospital North").await?;
        let patient = RawPatient::enrol(&world.wire).await?;
        let attacker = world.wire.from_address(ATTACKER)?;
        let mut held = Vec::new();
        for _ in 0..3 {
            let account = RawPatient::enrol(&attacker).await?;
            for _ in 0..2 {
                let upload = UploadId::mint(now_ms(), random()?);
                let call = Call::post(format!("/v1/uploads/{upload}/commit"), &())?;
                let head = attacker.head(&call, account.key(), 19 << 20)?;
                let mut connection = attacker.tls_from(ATTACKER).await?;
                connection.write_all(format!("{head}begin").as_bytes()).await?;
                held.push(connection);
            }
        }
        let honest = world.wire.from_address(HONEST)?;
        let uploaded = hospital.upload_leaves(&honest, &patient, 2).await;
        let kept_out = uploaded.err().map(|error| error.to_string());
        // For want of memory, and of nothing else.
        anyhow::ensure!(
            kept_out.as_ref().is_none_or(|error| error.contains("503")),
            "{kept_out:?}"
        );
        Ok(kept_out.is_some())
    })
    .await
}

/// API-8, ATK-77
#[tokio::test]
async fn one_who_fills_the_memory_for_signatures_shuts_nobody_out() -> Result<()> {
    play_async(&[Defence::NonceShares], async |off| {
        let world = RawWorld::start_with(&["--nonces", "64"], off).await?;
        let honest = RawPatient::enrol(&world.wire).await?;
        let attacker = RawPatient::enrol(&world.wire).await?;
        for _ in 0..100 {
            attacker.get(&world.wire, "/v1/log/salt").await?;
        }
        let mut kept_out = false;
        for _ in 0..TIMES {
            kept_out |= is_kept_out(&honest.get(&world.wire, "/v1/log/salt").await?);
        }
        Ok(kept_out)
    })
    .await
}

/// API-8, ATK-77: what was forgotten is not taken again.
#[tokio::test]
async fn what_is_forgotten_is_refused() -> Result<()> {
    let world = RawWorld::start_with(&["--nonces", "64"], &[]).await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let call = Call::get("/v1/log/salt");
    let captured = world.wire.sign(&call, patient.key(), None)?;
    assert!(world.wire.send(captured.clone()).await?.status.is_success());
    assert_eq!(
        world.wire.send(captured.clone()).await?.problem(),
        Some(Problem::Replayed)
    );
    for _ in 0..200 {
        patient.get(&world.wire, "/v1/log/salt").await?;
    }
    let again = world.wire.send(captured).await?.problem();
    assert!(
        matches!(again, Some(Problem::SignatureExpired | Problem::Replayed)),
        "{again:?}"
    );
    Ok(())
}

/// API-14, ATK-78
#[tokio::test]
async fn idle_connections_of_one_address_give_way() -> Result<()> {
    play_async(&[Defence::ConnectionShares], async |off| {
        let flags = ["--connections", "16", "--handshake-timeout", "1h"];
        let world = RawWorld::start_with(&flags, off).await?;
        let mut held = Vec::new();
        for _ in 0..40 {
            held.push(world.wire.tcp_from(ATTACKER).await?);
        }
        let honest = world.wire.from_address(HONEST)?;
        let mut kept_out = false;
        for _ in 0..TIMES {
            let answer = timeout(Duration::from_secs(5), honest.ask("/v1/log/checkpoint")).await;
            kept_out |= !matches!(answer, Ok(Ok(answer)) if answer.status.is_success());
        }
        Ok(kept_out)
    })
    .await
}

/// API-17, ATK-79
#[tokio::test]
async fn a_server_with_few_files_outlives_those_who_take_them() -> Result<()> {
    play_async(&[Defence::Descriptors], async |off| {
        let shell = "ulimit -n 320; exec \"$@\"";
        let flags = [
            "--header-timeout",
            "1h",
            "--idle-timeout",
            "1h",
            "--handshake-timeout",
            "1h",
        ];
        let mut world = RawWorld::start_in(shell, &flags, off).await?;
        let patient = RawPatient::enrol(&world.wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let honest = world.wire.kept_from(HONEST)?;
        hospital.get(&honest, "/v1/inbox").await?;
        let mut held = Vec::new();
        for _ in 0..400 {
            held.push(world.wire.tcp_from(ATTACKER).await?);
        }
        let uploaded = hospital.upload_leaves(&honest, &patient, 2).await;
        // A server that gives up does so at once.
        let ended = ended(&mut world).await?;
        if !ended {
            uploaded?;
        }
        Ok(ended)
    })
    .await
}

/// API-17, ATK-79: the limit sinks while it runs, and rises again.
#[tokio::test]
async fn a_write_for_which_there_is_no_file_fails_alone() -> Result<()> {
    play_async(&[Defence::Descriptors], async |off| {
        let flags = ["--header-timeout", "1h", "--idle-timeout", "1h"];
        let mut world = RawWorld::start_with(&flags, off).await?;
        let patient = RawPatient::enrol(&world.wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let honest = world.wire.kept_from(HONEST)?;
        hospital.get(&honest, "/v1/inbox").await?;
        // Fewer than it has open: not one more.
        let before = allow_files(&world, Some(3))?;
        let refused = hospital.upload_leaves(&honest, &patient, 2).await;
        allow_files(&world, before)?;
        if ended(&mut world).await? {
            return Ok(true);
        }
        let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
        anyhow::ensure!(refused.contains("unavailable"), "{refused:?}");
        hospital.upload_leaves(&honest, &patient, 2).await?;
        Ok(false)
    })
    .await
}

/// Sets how many files the server may open, and gives what it was.
fn allow_files(world: &RawWorld, most: Option<u64>) -> Result<Option<u64>> {
    let pid = Pid::from_raw(world.server.pid().try_into()?);
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: most,
        maximum: limit.maximum,
    };
    Ok(rustix::process::prlimit(pid, Resource::Nofile, limit)?.current)
}

async fn ended(world: &mut RawWorld) -> Result<bool> {
    for _ in 0..30 {
        if world.server.has_ended()? {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}
