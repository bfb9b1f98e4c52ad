//! What an operator's slip does, and what people read of it (spec/operating.md), by the real programs.

mod certificates;
mod clients;
mod moving;

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use anyhow::{Result, ensure};
use protocol_spec::defence::Defence;
use tests::{
    attack::play,
    harness::{Cli, Server, ServerOptions, Witness, World, refused_start, text},
};

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16> {
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

/// OPR-1, ATK-103: data of patients alone, made by a server that did not write down whose they are, served with the wrong registrar: nothing in
/// them shows the slip, and what is written then stands for ever. The registrar's key is asked for, once.
#[test]
fn data_that_do_not_know_their_registrar_ask_for_it() -> Result<()> {
    play(&[Defence::BoundData], |off| {
        let mut world = World::start_without(&[Defence::BoundData])?;
        let (patient, _) = world.patient("pat")?;
        let right = ServerOptions {
            off: off.to_vec(),
            listen: world.server.link().authority().to_owned(),
            ..world.server.options().clone()
        };
        let (link, key) = (world.server.link().to_string(), right.registrar.clone());
        let shown = text(&patient.run(&["server", "show"])?, "registrar_id")?;
        world.server.stop()?;
        let other = Cli::new(world.path("another-registrar"));
        let other = text(&other.run(&["registrar", "init"])?, "registrar")?;
        let wrong = ServerOptions {
            registrar: other.clone(),
            ..right.clone()
        };
        if !off.is_empty() {
            world.server = Server::start(wrong)?;
            return Ok(world.server.link().to_string() != link);
        }
        let accepting = |options: &ServerOptions, key: &str| {
            let mut options = options.clone();
            options
                .extra
                .extend(["--accept-registrar".to_owned(), key.to_owned()]);
            options
        };
        for (options, key) in [
            (wrong.clone(), &other),
            (right.clone(), &key),
            (accepting(&right, &other), &key),
            (accepting(&wrong, &key), &other),
        ] {
            let said = refused_start(options)?;
            // Before it stands what was said to the others.
            let said = said.lines().rfind(|line| line.contains("--accept-registrar"));
            let said = said.unwrap_or_default();
            ensure!(said.contains(&format!("--accept-registrar {key}")), "{said}");
            // What clients show tells the right one from another.
            ensure!(said.contains(&shown) == (*key == right.registrar), "{said}");
        }
        world.server = Server::start(accepting(&right, &key))?;
        ensure!(world.server.link().to_string() == link, "{}", world.server.link());
        patient.run(&["records"])?;
        world.server.stop()?;
        // From here on the data say it.
        let said = refused_start(accepting(&wrong, &other))?;
        ensure!(said.contains(&format!("Start with --registrar {key}")), "{said}");
        world.server = Server::start(right)?;
        patient.run(&["records"])?;
        Ok(false)
    })
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
