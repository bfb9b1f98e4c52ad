//! Certificates from files, as operators have them: replaced while the server runs, near their end, and each kind of wrong one.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use tests::harness::{Authority, Cli, Server, World};

use super::free_port;

/// A world whose server has a certificate for `localhost`, valid for so many days.
fn certified(authority: &Authority, days: i64) -> Result<World> {
    let public = format!("localhost:{}", free_port()?);
    World::start_certified(authority, &public, (-1, days), &["--tls-poll", "200ms"])
}

fn enrolled(world: &World) -> Result<Cli> {
    let patient = world.trusting("pat");
    patient.run(&["patient", "enrol", "--server", &world.server.link().to_string()])?;
    Ok(patient)
}

/// Waits until a metric has changed.
fn changed(server: &Server, before: &str) -> Result<String> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        let now = metric(server, "medvault_certificate_ends_seconds")?;
        if now != before {
            return Ok(now);
        }
        sleep(Duration::from_millis(100));
    }
    bail!("the certificate that is served has not changed")
}

fn metric(server: &Server, name: &str) -> Result<String> {
    let all = server.admin_answer("/metrics")?;
    let line = all.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.unwrap_or_default().trim().to_owned())
}

/// OPR-4, OPR-5: what lies in the files is served by itself, and at once on SIGHUP, which ends nothing; what cannot be served is not, and
/// is said in the log, in the metrics and in `/readyz`; three weeks before the end all of them say that.
#[test]
fn a_certificate_is_replaced_while_the_server_runs() -> Result<()> {
    let authority = Authority::new()?;
    let mut world = certified(&authority, 20)?;
    let patient = enrolled(&world)?;
    let ready = world.server.admin_answer("/readyz")?;
    ensure!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("the certificate ends in"),
        "{ready}"
    );
    let log = fs::read_to_string(world.server.log())?;
    ensure!(
        log.contains("WARN") && log.contains("the certificate ends soon"),
        "{log}"
    );

    let first = metric(&world.server, "medvault_certificate_ends_seconds")?;
    authority.issue(world.folder(), "localhost", (-1, 90))?;
    let second = changed(&world.server, &first)?;
    let ready = world.server.admin_answer("/readyz")?;
    ensure!(ready.ends_with("ready\n"), "{ready}");

    // Of a renewal that went wrong nothing is served.
    fs::write(world.path("chain.pem"), "no certificate")?;
    world.server.signal("HUP")?;
    sleep(Duration::from_secs(1));
    ensure!(metric(&world.server, "medvault_certificate_ends_seconds")? == second);
    ensure!(metric(&world.server, "medvault_certificate_unused")? == "1");
    let ready = world.server.admin_answer("/readyz")?;
    ensure!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("is not served"),
        "{ready}"
    );
    ensure!(!world.server.has_ended()?, "SIGHUP has ended it");
    patient.run(&["records"])?;

    authority.issue(world.folder(), "localhost", (-1, 120))?;
    world.server.signal("HUP")?;
    changed(&world.server, &second)?;
    ensure!(metric(&world.server, "medvault_certificate_unused")? == "0");
    patient.run(&["records"])?;
    let log = fs::read_to_string(world.server.log())?;
    ensure!(log.contains("cannot be served: the one before stays"), "{log}");
    ensure!(log.contains("the certificate was replaced"), "{log}");
    Ok(())
}

/// OPR-4, OPR-5: a chain with an older root that is over, for older clients, is served; which one that is stands in the log and in
/// `/readyz`, and the end that is told is that of the server's own certificate.
#[test]
fn an_older_root_that_is_over_is_told_of_and_refuses_nothing() -> Result<()> {
    let authority = Authority::new()?;
    let world = certified(&authority, 60)?;
    let patient = enrolled(&world)?;
    let first = metric(&world.server, "medvault_certificate_ends_seconds")?;
    Authority::over()?.write(&world.path("old.pem"))?;
    let issued = authority.issue(world.folder(), "localhost", (-1, 90))?;
    let chain = fs::read_to_string(&issued.chain)? + &fs::read_to_string(world.path("old.pem"))?;
    fs::write(&issued.chain, chain)?;
    let second = changed(&world.server, &first)?;
    ensure!(second > first, "{first} {second}");

    let told = "certificate 2 of the chain (an old root) ended at 2021-01-01T00:00:00Z";
    let until = Instant::now() + Duration::from_secs(20);
    let logged = || fs::read_to_string(world.server.log());
    while !world.server.admin_answer("/readyz")?.contains(told) || !logged()?.contains(told) {
        ensure!(Instant::now() < until, "it is not told");
        sleep(Duration::from_millis(100));
    }
    let ready = world.server.admin_answer("/readyz")?;
    ensure!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("\r\n\r\nready\n"),
        "{ready}"
    );
    ensure!(metric(&world.server, "medvault_certificate_unused")? == "0");
    ensure!(metric(&world.server, "medvault_certificate_ends_seconds")? == second);
    ensure!(!logged()?.contains("clients refuse it"), "{}", logged()?);
    patient.run(&["records"])?;
    Ok(())
}

/// OPR-6: each wrong certificate has its own code and says what to do; nobody is sent for a new link.
#[test]
fn each_wrong_certificate_is_called_what_it_is() -> Result<()> {
    let authority = Authority::new()?;
    let mut world = certified(&authority, 90)?;
    let patient = enrolled(&world)?;
    let stranger = world.principal("pat");
    let another = Authority::new()?;
    another.write(&world.path("others.pem"))?;
    let others = stranger.with_env("SSL_CERT_FILE", &world.path("others.pem").display().to_string());
    says(&others, "certificate-issuer", &["SSL_CERT_FILE"])?;
    for (name, days, code, words) in [
        (
            "localhost",
            (-30, -1),
            "certificate-expired",
            ["ended at", "operator"],
        ),
        (
            "localhost",
            (1, 30),
            "certificate-not-yet-valid",
            ["set the clock", "operator"],
        ),
        (
            "other.example",
            (-1, 30),
            "certificate-name",
            ["other.example", "medvault server move"],
        ),
    ] {
        world.server.stop()?;
        authority.issue(world.folder(), name, days)?;
        world.server.restart()?;
        says(&patient, code, &words)?;
        // The same at first contact.
        let new = world.trusting("new");
        let enrol = ["patient", "enrol", "--server", &world.server.link().to_string()];
        let refused = new.fail(&enrol)?;
        ensure!(refused.json["error"]["code"] == code, "{refused:?}");
    }
    // For all that, the home is good.
    world.server.stop()?;
    authority.issue(world.folder(), "localhost", (-1, 30))?;
    world.server.restart()?;
    patient.run(&["records"])?;
    Ok(())
}

fn says(who: &Cli, code: &str, words: &[&str]) -> Result<()> {
    let refused = who.fail(&["records"])?;
    ensure!(refused.json["error"]["code"] == code, "{refused:?}");
    for words in words {
        ensure!(refused.text.contains(words), "{words}: {refused:?}");
    }
    ensure!(!refused.text.contains("get the link again"), "{refused:?}");
    // Once, and not for each thing that a command looks after on its way.
    ensure!(
        refused.text.matches("its certificate").count() == 1,
        "{refused:?}"
    );
    Ok(())
}
