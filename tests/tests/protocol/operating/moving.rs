//! A server that gets another name or port: its data say when that is a slip, and homes follow it when it is meant.

use std::fs;

use anyhow::{Context, Result, ensure};
use protocol_spec::{defence::Defence, link::ServerLink, messages as pb};
use tests::{
    attack::play,
    harness::{Liar, Server, ServerOptions, World, refused_start, text},
    raw::Wire,
};

use super::free_port;
use crate::flows::upload;

/// OPR-10: port and name change, and both homes go on with all they had; the old link says what is the matter.
#[test]
fn homes_follow_a_server_that_moves() -> Result<()> {
    let mut world = World::start()?;
    let (patient, patient_id) = world.patient("pat")?;
    let (anna, _) = world.institution("St. Anna")?;
    let file = world.path("report.txt");
    fs::write(&file, "the report")?;
    let record = upload(&patient, &anna, "St. Anna", &file.display().to_string())?;
    let before = world.server.link().clone();

    world.server.stop()?;
    let port = free_port()?;
    world.server = Server::start(ServerOptions {
        listen: format!("127.0.0.1:{port}"),
        ..world.server.options().clone()
    })?;
    let lost = patient.fail(&["records"])?;
    ensure!(lost.json["error"]["code"] == "unreachable", "{lost:?}");

    // By the new port, and then by another name of the same server.
    let fingerprint = *world.server.link().fingerprint();
    for authority in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let link = ServerLink::new(&authority, fingerprint)?.to_string();
        for who in [&patient, &anna] {
            let moved = who.run(&["server", "move", &link])?;
            ensure!(moved["link"] == link.as_str(), "{moved}");
            let shown = who.run(&["server", "show"])?;
            ensure!(shown["link"] == link.as_str(), "{shown}");
            who.run(&["home", "check"])?;
        }
    }
    ensure!(!before.authority().ends_with(&port.to_string()), "{before}");
    let listed = patient.run(&["records"])?;
    ensure!(listed["records"][0]["record_id"] == record.as_str(), "{listed}");
    let ask = ["download", "request", "--patient", &patient_id, "--text", "t"];
    let request = text(&anna.run(&ask)?, "request_id")?;
    let permission = text(&patient.run(&["permit", &request, "--all"])?, "permission_id")?;
    let out = world.path("out").display().to_string();
    anna.run(&["download", "fetch", &permission, "--out", &out])?;
    patient.run(&["history", "--verify"])?;
    Ok(())
}

/// OPR-10: another server is no moved one, whatever its operator says; the home stays as it was.
#[test]
fn a_home_does_not_follow_to_another_server() -> Result<()> {
    let (world, theirs) = (World::start()?, World::start()?);
    let (patient, _) = world.patient("pat")?;
    let link = theirs.server.link().to_string();
    let refused = patient.fail(&["server", "move", &link])?;
    ensure!(refused.json["error"]["code"] == "other-server", "{refused:?}");
    ensure!(
        refused.text.contains("a server that moves keeps its keys"),
        "{refused:?}"
    );
    let shown = patient.run(&["server", "show"])?;
    ensure!(
        shown["link"] == world.server.link().to_string().as_str(),
        "{shown}"
    );
    patient.run(&["records"])?;
    Ok(())
}

/// OPR-10, ATK-97: somebody shows the operator's and the registrar's keys, which everybody knows, under a name of his own, in a link with
/// the right fingerprint: he would see, from then on, when and how much is sent.
#[test]
fn keys_that_are_shown_prove_no_server() -> Result<()> {
    play(&[Defence::ServerProof], |off| {
        let world = World::start()?;
        let (patient, _) = world.patient("pat")?;
        let upstream = world.server.link().authority().parse()?;
        let liar = Liar::start(upstream, world.server.data())?;
        let wire = tokio::runtime::Runtime::new()?.block_on(Wire::connect(world.server.link()))?;
        let info = pb::ServerInfo {
            version: 1,
            suite: 1,
            operator_key: wire.operator_key.as_bytes().to_vec().into(),
            registrar_key: wire.registrar_key.as_bytes().to_vec().into(),
            proof: vec![7; 64].into(),
            ..pb::ServerInfo::default()
        };
        let shown: bytes::Bytes = prost::Message::encode_to_vec(&info).into();
        liar.take(move |asked, _| asked.starts_with("GET /v1/server?").then(|| shown.clone()));
        let link = ServerLink::new(&liar.address().to_string(), *world.server.link().fingerprint())?;
        let moved = patient
            .without(off)
            .command(&["server", "move", &link.to_string()])?
            .output()?;
        ensure!(liar.asked("GET /v1/server?nonce=") > 0, "nobody was asked");
        let code = moved.status.code().context("killed")?;
        let said = String::from_utf8_lossy(&moved.stdout).into_owned();
        ensure!(code == 0 || said.contains("other-server"), "{said}");
        Ok(code == 0)
    })
}

/// OPR-2: a name that clients know, and a certificate that their links pin, are not left out by leaving out a flag; what is meant is
/// said once, and homes follow.
#[test]
fn data_know_their_link() -> Result<()> {
    let port = free_port()?;
    let (name, other) = (
        format!("vault.localhost:{port}"),
        format!("other.localhost:{port}"),
    );
    let mut world = World::start()?;
    world.patient("pat")?;
    let base = ServerOptions {
        listen: format!("127.0.0.1:{port}"),
        ..world.server.options().clone()
    };
    let called = |names: &str| ServerOptions {
        extra: vec!["--public-authority".to_owned(), names.to_owned()],
        ..base.clone()
    };
    world.server.stop()?;
    world.server = Server::start(called(&name))?;
    world.server.stop()?;

    let said = refused_start(called(&other))?;
    ensure!(
        said.contains(&format!("clients know this server as {name}")),
        "{said}"
    );
    ensure!(said.contains(&format!("--public-authority {name}")), "{said}");
    let link = said
        .split("--accept-link '")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let link = link.context("no link to accept")?.to_owned();
    ensure!(link.starts_with(&format!("https://{other}/#")), "{link}");

    // Another certificate: dev-tls.crt is lost.
    let data = base.data.clone();
    let kept = (
        fs::read(data.join("dev-tls.crt"))?,
        fs::read(data.join("dev-tls.key"))?,
    );
    fs::remove_file(data.join("dev-tls.crt"))?;
    let said = refused_start(called(&name))?;
    ensure!(said.contains("restore dev-tls.crt and dev-tls.key"), "{said}");
    fs::write(data.join("dev-tls.crt"), kept.0)?;
    fs::write(data.join("dev-tls.key"), kept.1)?;

    // Both names at once need no word, and neither does it to take the new one alone once that was in the link.
    world.server = Server::start(called(&format!("{name},{other}")))?;
    ensure!(world.server.link().authority() == name, "{}", world.server.link());
    world.server.stop()?;
    let mut accepting = called(&other);
    accepting.extra.extend(["--accept-link".to_owned(), link.clone()]);
    world.server = Server::start(accepting)?;
    ensure!(world.server.link().to_string() == link, "{}", world.server.link());
    world.server.stop()?;
    world.server = Server::start(called(&other))?;
    Ok(())
}
