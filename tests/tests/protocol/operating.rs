//! What an operator's slip does, and what people read of it (spec/operating.md), by the real programs.

mod certificates;
mod clients;
mod moving;

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use anyhow::{Result, ensure};
use tests::harness::{Cli, Server, ServerOptions, Witness, World, refused_start, text};

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// OPR-1, the gravest slip: the wrong registrar on existing data. Nothing is served; with the right one everybody goes on.
#[test]
fn data_know_their_registrar() -> Result<()> {
    let mut world = World::start()?;
    let (patient, _) = world.patient("pat")?;
    let (anna, _) = world.institution("St. Anna")?;
    let right = world.server.options().clone();
    let link = world.server.link().to_string();
    world.server.stop()?;

    let other = Cli::new(world.path("another-registrar"));
    let other = text(&other.run(&["registrar", "init"])?, "registrar")?;
    let said = refused_start(ServerOptions {
        registrar: other,
        ..right.clone()
    })?;
    ensure!(
        said.contains(&format!("Start with --registrar {}", right.registrar)),
        "{said}"
    );

    world.server.restart()?;
    ensure!(world.server.link().to_string() == link, "{}", world.server.link());
    for who in [&patient, &anna] {
        let shown = who.run(&["directory"])?;
        ensure!(shown["institutions"][0]["name"] == "St. Anna", "{shown}");
    }
    world.institution("Mercy")?;
    ensure!(
        patient.run(&["records"])?["refused"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    Ok(())
}

/// OPR-1: a data directory that came back without its operator's key, or with another's, makes no new one.
#[test]
fn data_know_their_operator() -> Result<()> {
    let mut world = World::start()?;
    let (patient, _) = world.patient("pat")?;
    let options = world.server.options().clone();
    world.server.stop()?;
    let key = options.data.join("operator.key");
    let kept = fs::read(&key)?;

    fs::remove_file(&key)?;
    let said = refused_start(options.clone())?;
    ensure!(
        said.contains("operator.key is missing: restore it from a backup"),
        "{said}"
    );
    ensure!(!key.exists(), "a new key was made");

    fs::write(&key, [9; 32])?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let said = refused_start(options)?;
    ensure!(
        said.contains("operator.key is not the key of these data"),
        "{said}"
    );

    fs::write(&key, kept)?;
    world.server.restart()?;
    patient.run(&["directory"])?;
    Ok(())
}

/// OPR-1: as long as nobody is there, nobody depends on it: who has started with the wrong key starts again.
#[test]
fn before_anybody_came_a_registrar_is_chosen_freely() -> Result<()> {
    let mut world = World::start()?;
    let options = world.server.options().clone();
    world.server.stop()?;
    let other = Cli::new(world.path("another-registrar"));
    let other = text(&other.run(&["registrar", "init"])?, "registrar")?;
    world.server = Server::start(ServerOptions {
        registrar: other,
        ..options
    })?;
    Ok(())
}

/// OPR-3: witnesses that were asked are not left out by leaving out a flag.
#[test]
fn data_know_their_witnesses() -> Result<()> {
    let mut world = World::start()?;
    let log = world.server.log_key().to_owned();
    let witness = Witness::start(&world.path("w"), "witness.example/w", &[log])?;
    let policy = world.path("server.policy");
    fs::write(
        &policy,
        format!("witness w {} {}\nquorum w\n", witness.vkey(), witness.url()),
    )?;
    let policy = policy.display().to_string();
    world.server.stop()?;
    world.server.restart_with(&["--witness-policy", &policy])?;
    let (patient, _) = world.patient("pat")?;
    world.server.stop()?;

    let without = ServerOptions {
        extra: Vec::new(),
        ..world.server.options().clone()
    };
    let said = refused_start(without)?;
    ensure!(said.contains("--accept-witness-policy none"), "{said}");
    world.server.restart_with(&["--witness-policy", &policy])?;
    patient.run(&["directory"])?;
    world.server.stop()?;
    world.server.restart_with(&["--accept-witness-policy", "none"])?;
    patient.run(&["directory"])?;
    Ok(())
}
