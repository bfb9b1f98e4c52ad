//! A server moves, and goes on with an older copy of its data; witnesses are asked for.

use std::{fs, process::Command};

use anyhow::{Result, ensure};
use tests::harness::{Server, ServerOptions, World, program, text};

use super::{Book, file, path, record};
use crate::{operating::free_port, witnesses::copy};

pub(in super::super) fn play(world: &mut World, book: &mut Book) -> Result<()> {
    let (patient, id) = world.patient("patient")?;
    let (practice, _) = world.institution("Practice")?;
    let heart = record(world, &patient, &practice, "Practice")?;
    book.run(&patient, &["server", "show"])?;
    world.server.stop()?;
    let port = free_port()?;
    world.server = Server::start(ServerOptions {
        listen: format!("127.0.0.1:{port}"),
        ..world.server.options().clone()
    })?;
    let link = world.server.link().to_string();
    for who in [&patient, &practice] {
        book.run(who, &["server", "move", &link])?;
    }
    book.run(&patient, &["witnesses", "show"])?;

    let ask = ["download", "request", "--patient", &id, "--text", "t"];
    let request = text(&practice.run(&ask)?, "request_id")?;
    let permit = ["permit", &request, "--record", &heart, "--uses", "9"];
    let permission = text(&patient.run(&permit)?, "permission_id")?;
    let (data, before) = (world.server.data().to_owned(), world.path("before"));
    world.server.stop()?;
    copy(&data, &before)?;
    world.server.restart()?;
    patient.run(&["revoke", &permission])?;
    world.server.stop()?;
    fs::rename(&data, world.path("newest"))?;
    copy(&before, &data)?;
    restored(world, book)?;
    world.server.restart()?;
    book.fail(&patient, &["records"])?;
    for who in [&practice, &patient, &patient] {
        book.run(who, &["server", "accept-restoration"])?;
    }
    let policy = file(world, "none.policy", "quorum none\n")?;
    book.run(&patient, &["witnesses", "use", &policy])?;
    book.run(&patient, &["home", "check"])?;
    Ok(())
}

/// Operator and registrar agree that the server goes on with the older copy.
fn restored(world: &World, book: &mut Book) -> Result<()> {
    let (asked, agreed) = (path(world, "restoration"), path(world, "restoration.signed"));
    let operator = |args: &[&str]| -> Result<()> {
        let mut command = Command::new(program("vault-server")?);
        let (step, rest) = args.split_at(1);
        command.arg("restoration").args(step).arg("--data");
        let output = command.arg(world.server.data()).args(rest).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    };
    operator(&["prepare", "--out", &asked])?;
    let agree = ["registrar", "restore", &asked, "--out", &agreed];
    book.run(&world.registrar, &agree)?;
    operator(&["begin", &agreed])
}
