//! Large vaults: a list is shown from its end, with the number of what comes before, and read no further than that.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use client_sdk::{Institution, Unlock};
use protocol_spec::messages as pb;
use serde_json::Value;
use tests::harness::{Cli, World, text};

/// More than people are shown without asking.
const ASKED: u64 = 53;

/// People see the end and how many come before; programs get all, or what they ask for.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_are_shown_and_how_many_are_not() -> Result<()> {
    let often = ["--daily-of-known", "1000", "--open-of-known", "1000"];
    let world = World::start_with(&often)?;
    let (patient, id) = world.patient("patient")?;
    let (clinic, _) = world.institution("Clinic")?;
    // Of one whom she knows, more is taken than of a stranger (ACC-8).
    patient.run(&["upload", "request", "--to", "Clinic", "--text", "t"])?;
    let unlock = Unlock::KeyFile(clinic.home().with_extension("key"));
    let asking = Institution::open(clinic.home(), &unlock).await?;
    for number in 0..ASKED {
        asking
            .request_download(id.parse()?, &format!("question {number}"), None)
            .await?;
    }
    for (command, list) in [("inbox", "events"), ("history", "history")] {
        let all = patient.run(&[command])?;
        let count = numbers(&all, list)?.len() as u64;
        ensure!(count >= ASKED, "{command}: {count}");
        let last = patient.run(&[command, "--last", "2"])?;
        ensure!(numbers(&last, list)? == [count - 1, count], "{last}");
        ensure!(last["earlier"] == count - 2, "{last}");
        let since = patient.run(&[command, "--since", "1h"])?;
        ensure!(numbers(&since, list)?.len() as u64 == count, "{since}");
        let future = patient.run(&[command, "--since", "2999-01-01"])?;
        ensure!(numbers(&future, list)?.is_empty(), "{future}");

        let said = in_words(&patient, &[command])?;
        let left_out = format!(
            "{} earlier ones are not shown: medvault {command} --all",
            count - 50
        );
        ensure!(said.contains(&left_out), "{said}");
        let said = in_words(&patient, &[command, "--all"])?;
        ensure!(!said.contains("not shown"), "{said}");
    }
    Ok(())
}

/// FLW-11: whoever says that there are other events than there are is found out, and never followed on for ever.
#[test]
fn a_newest_event_that_is_not_there_is_refused() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, id) = world.patient("patient")?;
    let (clinic, _) = world.institution("Clinic")?;
    let ask = ["download", "request", "--patient", &id, "--text", "may we?"];
    text(&clinic.run(&ask)?, "request_id")?;
    let honest = patient.run(&["inbox", "--last", "5"])?;
    ensure!(numbers(&honest, "events")? == [1], "{honest}");
    for newest in [2, u64::MAX] {
        liar.tell_of("/v1/inbox", move |page: pb::InboxPage| pb::InboxPage {
            newest,
            ..page
        });
        let before = liar.asked("GET /v1/inbox");
        let refused = patient.fail(&["inbox", "--last", "5"])?;
        ensure!(refused.text.contains("missing or out of order"), "{refused:?}");
        ensure!(liar.asked("GET /v1/inbox") - before <= 4, "it goes on");
    }
    Ok(())
}

fn numbers(answer: &Value, list: &str) -> Result<Vec<u64>> {
    let entries = answer[list].as_array().context("no list")?;
    Ok(entries.iter().filter_map(|entry| entry["id"].as_u64()).collect())
}

/// What people read.
fn in_words(who: &Cli, args: &[&str]) -> Result<String> {
    let json = who.command(args)?;
    let mut words = Command::new(json.get_program());
    words.args(json.get_args().filter(|arg| *arg != "--json"));
    for (name, value) in json.get_envs() {
        if let Some(value) = value {
            words.env(name, value);
        }
    }
    let output = words.output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
