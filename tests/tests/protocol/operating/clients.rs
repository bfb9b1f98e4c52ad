//! What clients say when the way, the home or the clock is amiss: the cause itself, to whom it concerns.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Cli, Server, ServerOptions, World, text};

use crate::collections::Scene;

/// An HTTP proxy that opens tunnels to one server, whatever it is asked for, or to none.
struct Tunnels {
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
}

impl Tunnels {
    fn start(upstream: Option<SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let proxy = Self {
            address: listener.local_addr()?,
            opened: Arc::default(),
        };
        let opened = proxy.opened.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let opened = opened.clone();
                thread::spawn(move || drop(tunnel(&client, upstream, &opened)));
            }
        });
        Ok(proxy)
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn tunnel(client: &TcpStream, upstream: Option<SocketAddr>, opened: &AtomicUsize) -> Result<()> {
    let mut head = BufReader::with_capacity(1, client);
    let mut first = String::new();
    head.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? <= 2 {
            break;
        }
    }
    let (mut to_client, asked) = (client, first.starts_with("CONNECT vault.example:8443 HTTP/1.1"));
    let Some(upstream) = upstream.filter(|_| asked) else {
        to_client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")?;
        return Ok(());
    };
    let server = TcpStream::connect(upstream)?;
    to_client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    opened.fetch_add(1, Ordering::SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &server));
        copy(&server, client);
    });
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    drop(std::io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
}

/// OPR-7: behind a proxy the environment says so, and it is used; errors name it, and who has named it.
#[test]
fn proxies_are_used_and_named() -> Result<()> {
    let world = World::start_with(&["--public-authority", "vault.example:8443"])?;
    let listen = listening(&world)?;
    let (good, bad) = (Tunnels::start(Some(listen))?, Tunnels::start(None)?);
    let link = world.server.link().to_string();
    let behind = |name: &str, value: &str| world.principal("pat").with_env(name, value);
    behind("HTTPS_PROXY", &good.url()).run(&["patient", "enrol", "--server", &link])?;
    ensure!(
        good.opened.load(Ordering::SeqCst) > 0,
        "nobody went through the proxy"
    );
    behind("ALL_PROXY", &good.url()).run(&["records"])?;
    world.principal("pat").run(&["records", "--proxy", &good.url()])?;
    behind("MEDVAULT_PROXY", &good.url()).run(&["records"])?;

    let ask = |who: &Cli, more: &[&str]| who.fail(&[&["records"], more].concat());
    for (refused, words) in [
        (ask(&world.principal("pat"), &[])?, "name that one with --proxy"),
        (
            ask(&behind("HTTPS_PROXY", &bad.url()), &[])?,
            "(of HTTPS_PROXY) (it refuses to open a tunnel there)",
        ),
        (
            ask(&behind("HTTPS_PROXY", "http://127.0.0.1:9"), &[])?,
            "through the proxy 127.0.0.1:9 (of HTTPS_PROXY)",
        ),
        (
            ask(&behind("HTTPS_PROXY", &good.url()), &["--proxy", "none"])?,
            "name that one with --proxy",
        ),
        (
            ask(
                &behind("HTTPS_PROXY", &good.url()).with_env("NO_PROXY", "vault.example"),
                &[],
            )?,
            "name that one with --proxy",
        ),
    ] {
        ensure!(refused.json["error"]["code"] == "unreachable", "{refused:?}");
        ensure!(refused.text.contains(words), "{words}: {refused:?}");
    }
    let socks = ask(&behind("ALL_PROXY", "socks5://127.0.0.1:1080"), &[])?;
    ensure!(
        socks.text.contains("ALL_PROXY") && socks.text.contains("http://HOST:PORT"),
        "{socks:?}"
    );
    Ok(())
}

/// Where a server listens whose link names another address.
fn listening(world: &World) -> Result<SocketAddr> {
    let log = std::fs::read_to_string(world.server.log())?;
    let address = log
        .split("addr=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    Ok(address.context("no address in the log")?.parse()?)
}

/// OPR-8: a home that cannot be written fails as such. Nothing that has come is called unverified for it.
#[test]
fn a_home_that_is_read_only_is_called_that() -> Result<()> {
    let world = World::start()?;
    let (patient, patient_id) = world.patient("pat")?;
    let (anna, _) = world.institution("St. Anna")?;
    anna.run(&["download", "request", "--patient", &patient_id, "--text", "t"])?;
    for command in ["inbox", "history", "records"] {
        let Some(output) = read_only(&patient, &[command])? else {
            return Ok(());
        };
        let said: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
        // What writes nothing may go on; what it shows is then as good as ever.
        ensure!(!said.to_string().contains("unverified"), "{said}");
        if command == "inbox" {
            ensure!(
                output.status.code() == Some(1) && said["error"]["code"] == "io",
                "{said}"
            );
            let text = said["error"]["message"].as_str().unwrap_or_default();
            ensure!(text.contains("Read-only file system"), "{text}");
            ensure!(text.contains(&*patient.home().to_string_lossy()), "{text}");
        }
    }
    let inbox = patient.run(&["inbox"])?;
    ensure!(inbox["events"][0]["kind"] == "download-request", "{inbox}");
    Ok(())
}

/// Runs a command where its home is mounted read-only; nothing where that cannot be done here.
fn read_only(who: &Cli, args: &[&str]) -> Result<Option<std::process::Output>> {
    let mount = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1""#;
    who.output_with_mount(mount, who.home(), args)
}

/// OPR-9: her clock is two hours ahead. She reads at once what that means, and the hospital why it is refused.
#[test]
fn a_clock_that_is_ahead_is_told_to_whom_it_belongs() -> Result<()> {
    let scene = Scene::set()?;
    scene.record("the blood test")?;
    let request = scene.request()?;
    let permit = ["permit", &request, "--all", "--expires", "6h"];
    let output = scene.patient.later(2 * 3600).command(&permit)?.output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let given: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    ensure!(
        told.contains("this machine's clock is 2h ahead of the server's"),
        "{told}"
    );
    ensure!(
        told.contains("set this machine's clock right and permit again"),
        "{told}"
    );
    ensure!(!told.contains("ask the patient"), "{told}");
    ensure!(given["expires"].is_string(), "{given}");
    let refused = scene.fetch_refused(&text(&given, "permission_id")?)?;
    ensure!(
        refused.json["error"]["code"] == "permission-not-yet-valid",
        "{refused:?}"
    );
    ensure!(
        refused
            .text
            .contains("the clock of the patient's device is ahead"),
        "{refused:?}"
    );
    Ok(())
}

/// OPR-9: her clock is a day behind, as that of the world around her is ahead. What she would give is over at once, so nothing is
/// given, and it is her clock that she reads of.
#[test]
fn a_clock_that_is_behind_is_told_to_her() -> Result<()> {
    let scene = Scene::set()?;
    scene.record("the blood test")?;
    let Scene {
        mut world,
        patient,
        patient_id,
        clinic,
        ..
    } = scene;
    let options = world.server.options().clone();
    world.server.stop()?;
    // Two hours later for all but her.
    world.server = Server::start(ServerOptions {
        ahead: 2 * 3600,
        listen: world.server.link().authority().to_owned(),
        ..options
    })?;
    let ask = ["download", "request", "--patient", &patient_id, "--text", "t"];
    let request = text(&clinic.later(2 * 3600).run(&ask)?, "request_id")?;
    let refused = patient.fail(&["permit", &request, "--all", "--expires", "1h"])?;
    ensure!(refused.json["error"]["code"] == "clock-behind", "{refused:?}");
    ensure!(
        refused.text.contains("Set this machine's clock right"),
        "{refused:?}"
    );
    ensure!(!refused.text.contains("ask the patient"), "{refused:?}");
    // By the right clock the same is given.
    patient
        .later(2 * 3600)
        .run(&["permit", &request, "--all", "--expires", "1h"])?;
    Ok(())
}
