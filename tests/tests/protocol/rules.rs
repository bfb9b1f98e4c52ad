//! Standing rules by the real programs: what a rule permits arrives, what it denies is denied, the rest is left for her;
//! and nobody who only writes to her home decides for her. Each with its control.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::Command,
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use protocol_spec::defence::Defence;
use serde_json::Value;
use tests::harness::{Cli, World, text};

use crate::flows::{array, hashes, upload};

/// A vault with a laboratory result and an image from two institutions, and those who ask.
struct Scene {
    world: World,
    patient: Cli,
    patient_id: String,
    practice: Cli,
    research: Cli,
    stranger: Cli,
    result: String,
}

const RULES: &str = r#"format = 1

[[rule]]
name = "laboratory for the practice"
from = "Practice Huber"
kind = "download"
until = 2999-06-01
action = "permit"
records = { fhir = ["Observation"], made-by = ["Central Laboratory"], received-within = "30d" }
terms = { expires = "2h", uses = 1 }

[[rule]]
name = "no research"
from = "University Research"
kind = "any"
action = "deny"
text = "I do not take part in research."
"#;

impl Scene {
    fn start() -> Result<Self> {
        let world = World::start()?;
        let (patient, patient_id) = world.patient("patient")?;
        let (laboratory, _) = world.institution("Central Laboratory")?;
        let (practice, _) = world.institution("Practice Huber")?;
        let (research, _) = world.institution("University Research")?;
        let (stranger, _) = world.institution("Clinic South")?;
        let observation = world.path("hba1c.json");
        std::fs::write(&observation, r#"{"resourceType":"Observation","status":"final"}"#)?;
        let report = world.path("report.txt");
        std::fs::write(&report, "not for anybody's rule")?;
        let result = upload(
            &patient,
            &laboratory,
            "Central Laboratory",
            &observation.display().to_string(),
        )?;
        // Of the right maker but the wrong type, and of the right type but another maker.
        upload(
            &patient,
            &laboratory,
            "Central Laboratory",
            &report.display().to_string(),
        )?;
        upload(
            &patient,
            &stranger,
            "Clinic South",
            &observation.display().to_string(),
        )?;
        Ok(Self {
            world,
            patient,
            patient_id,
            practice,
            research,
            stranger,
            result,
        })
    }

    fn ask(&self, who: &Cli) -> Result<String> {
        let asked = who.run(&[
            "download",
            "request",
            "--patient",
            &self.patient_id,
            "--text",
            "all of it",
        ])?;
        text(&asked, "request_id")
    }

    fn file(&self, name: &str, rules: &str) -> Result<String> {
        let path = self.world.path(name);
        std::fs::write(&path, rules)?;
        Ok(path.display().to_string())
    }

    fn activate(&self, rules: &str) -> Result<Value> {
        self.patient
            .run(&["rules", "use", &self.file("rules.toml", rules)?])
    }

    /// The same, in whose home files are changed by hand: that this is noticed is another matter (KEY-19).
    fn start_by_hand() -> Result<Self> {
        let scene = Self::start()?;
        Ok(Self {
            patient: scene.patient.without(&[Defence::HomeSeal]),
            ..scene
        })
    }

    fn agent(&self) -> Result<Vec<Value>> {
        Ok(array(&self.patient.run(&["agent", "--once"])?, "decisions")?.clone())
    }

    /// Permissions that let somebody read.
    fn downloads(&self) -> Result<usize> {
        let permissions = self.patient.run(&["permissions"])?;
        let kinds = array(&permissions, "permissions")?.iter();
        Ok(kinds
            .filter(|permission| permission["kind"] == "download")
            .count())
    }
}

/// Request, verdict and rule of each decision.
fn told(decisions: &[Value]) -> Vec<(String, String, Option<String>)> {
    let field = |decision: &Value, name: &str| decision[name].as_str().map(str::to_owned);
    decisions
        .iter()
        .map(|decision| {
            let (request, verdict) = (field(decision, "request_id"), field(decision, "verdict"));
            (
                request.unwrap_or_default(),
                verdict.unwrap_or_default(),
                field(decision, "rule"),
            )
        })
        .collect()
}

#[test]
fn the_agent_permits_denies_and_leaves_the_rest_to_her() -> Result<()> {
    let scene = Scene::start()?;
    let wanted = scene.ask(&scene.practice)?;
    let unwanted = scene.ask(&scene.research)?;
    let other = scene.ask(&scene.stranger)?;

    // The controls: without rules there is no agent, and with rules that match nothing all three stay open.
    let refused = scene.patient.fail(&["agent", "--once"])?;
    ensure!(
        refused.exit == 2 && refused.text.contains("rules use"),
        "{refused:?}"
    );
    scene.activate("format = 1")?;
    let ask = |request: &String| (request.clone(), "ask".to_owned(), None);
    assert_eq!(told(&scene.agent()?), [ask(&wanted), ask(&unwanted), ask(&other)]);
    assert_eq!((scene.agent()?.len(), scene.downloads()?), (0, 0));

    // With the rules the same requests, which are still open, get their answers.
    let active = scene.activate(RULES)?;
    assert_eq!(
        (active["sequence"].as_u64(), array(&active, "rules")?.len()),
        (Some(2), 2)
    );
    let decisions = scene.agent()?;
    let (permit, deny) = ("laboratory for the practice", "no research");
    assert_eq!(
        told(&decisions),
        [
            (wanted.clone(), "permitted".to_owned(), Some(permit.to_owned())),
            (unwanted.clone(), "denied".to_owned(), Some(deny.to_owned())),
            ask(&other),
        ]
    );
    assert_eq!(decisions[0]["records"], serde_json::json!([scene.result]));
    assert_eq!(
        (scene.agent()?.len(), scene.downloads()?),
        (0, 1),
        "nothing is answered twice"
    );

    // The practice receives the laboratory result and nothing else.
    let permission = text(&decisions[0], "permission_id")?;
    let out = scene.world.path("out");
    let fetched = scene.practice.run(&[
        "download",
        "fetch",
        &permission,
        "--out",
        &out.display().to_string(),
    ])?;
    let [record] = array(&fetched, "records")?.as_slice() else {
        anyhow::bail!("{fetched}")
    };
    assert_eq!(text(record, "record_id")?, scene.result);
    assert_eq!(hashes(&out)?.len(), 1);
    let inbox = scene.research.run(&["inbox"])?.to_string();
    ensure!(inbox.contains("I do not take part in research."), "{inbox}");
    ensure!(
        !scene.stranger.run(&["inbox"])?.to_string().contains(&other),
        "{other} is still hers to answer"
    );

    // Her own answer to the third is no rule's.
    scene.patient.run(&["deny", &other, "--text", "not now"])?;
    let history = scene.patient.run(&["history"])?;
    let entries = array(&history, "history")?;
    let answered = |kind: &str| -> Vec<(Option<&str>, Option<&str>)> {
        let those = entries.iter().filter(|entry| entry["kind"] == kind);
        those
            .map(|entry| (entry["name"].as_str(), entry["rule"].as_str()))
            .collect()
    };
    assert_eq!(
        answered("denied"),
        [
            (Some("University Research"), Some(deny)),
            (Some("Clinic South"), None)
        ]
    );
    ensure!(
        answered("permitted").contains(&(Some("Practice Huber"), Some(permit))),
        "{history}"
    );
    let by_rule = entries.iter().filter(|entry| entry.get("rule").is_some()).count();
    assert_eq!(
        by_rule, 2,
        "uploads, presentations and requests are answered by no rule: {history}"
    );
    Ok(())
}

#[test]
fn rules_test_explains_without_answering() -> Result<()> {
    let scene = Scene::start()?;
    let (wanted, other) = (scene.ask(&scene.practice)?, scene.ask(&scene.stranger)?);
    let file = scene.file("try.toml", RULES)?;
    let checked = scene.patient.run(&["rules", "check", &file])?;
    assert_eq!(array(&checked, "rules")?.len(), 2);
    // Nothing is active: the file is tried.
    let none = scene.patient.fail(&["rules", "test", &wanted])?;
    ensure!(
        none.exit == 2 && none.text.contains("no rules are active"),
        "{none:?}"
    );
    let tried = scene.patient.run(&["rules", "test", &wanted, "--file", &file])?;
    assert_eq!(
        (tried["verdict"].as_str(), tried["open"].as_bool()),
        (Some("permit"), Some(true))
    );
    assert_eq!(tried["records"], serde_json::json!([scene.result]));
    let left_out: Vec<_> = array(&tried, "left_out")?
        .iter()
        .map(|left| left["why"].clone())
        .collect();
    assert_eq!(
        left_out,
        [
            "it has a file that is no FHIR resource",
            "another institution made it"
        ]
    );

    scene.activate(RULES)?;
    let explained = scene.patient.run(&["rules", "test", &other])?;
    assert_eq!(explained["verdict"], "ask");
    let looked: Vec<_> = array(&explained, "looked_at")?
        .iter()
        .map(|looked| {
            (
                looked["rule"].as_str(),
                looked["matches"].as_bool(),
                looked["why"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        looked,
        [
            (
                Some("laboratory for the practice"),
                Some(false),
                Some("it is for requests from Practice Huber")
            ),
            (
                Some("no research"),
                Some(false),
                Some("it is for requests from University Research")
            ),
        ]
    );
    assert_eq!(scene.downloads()?, 0, "nothing was answered");

    // Mistakes name the line and what is allowed; institutions must exist under exactly this name.
    let typo = scene.file("typo.toml", &RULES.replace("until =", "untill ="))?;
    let refused = scene.patient.fail(&["rules", "check", &typo])?;
    ensure!(
        refused.exit == 1 && refused.text.contains("line 7: unknown field `untill`"),
        "{refused:?}"
    );
    assert_eq!(refused.json["error"]["code"], "rules-file");
    let unknown = scene.file("unknown.toml", &RULES.replace("Practice Huber", "practice huber"))?;
    let refused = scene.patient.fail(&["rules", "use", &unknown])?;
    assert_eq!(
        refused.json["error"]["code"], "unknown-institution",
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn rules_that_somebody_else_changed_in_the_home_are_refused() -> Result<()> {
    let scene = Scene::start_by_hand()?;
    let active = scene.patient.home().join("rules/active");
    scene.activate("format = 1")?;
    let older = std::fs::read(&active)?;
    scene.activate(RULES)?;
    let honest = std::fs::read_to_string(&active)?;
    let request = scene.ask(&scene.research)?;

    let refused_with = |content: &[u8]| -> Result<()> {
        std::fs::write(&active, content)?;
        for command in [
            ["rules", "show"].as_slice(),
            &["rules", "test", &request],
            &["agent", "--once"],
        ] {
            let refused = scene.patient.fail(command)?;
            ensure!(refused.exit == 1, "{refused:?}");
            assert_eq!(refused.json["error"]["code"], "rules-changed", "{refused:?}");
            ensure!(refused.text.contains("activate them again"), "{refused:?}");
        }
        Ok(())
    };
    let research = r#"from = "any"
kind = "download"
action = "permit"
records = { all = true }
"#;
    let (before, _) = honest
        .split_once("from = \"University Research\"")
        .context("the rule")?;
    refused_with(format!("{before}{research}").as_bytes())?;
    let last = if honest.starts_with('0') { "1" } else { "0" };
    refused_with(format!("{last}{}", &honest[1..]).as_bytes())?;
    refused_with(&older)?;
    assert_eq!(scene.downloads()?, 0);

    // The control: with what was signed last, the same agent answers.
    std::fs::write(&active, &honest)?;
    assert_eq!(
        told(&scene.agent()?),
        [(request, "denied".to_owned(), Some("no research".to_owned()))]
    );
    Ok(())
}

#[test]
fn references_go_only_where_the_rule_says() -> Result<()> {
    let scene = Scene::start()?;
    scene.activate(
        r#"format = 1
[[rule]]
name = "second opinion"
from = "Practice Huber"
kind = "reference"
to = "Clinic South"
action = "permit"
records = { all = true }
"#,
    )?;
    let refer = |to: &str| -> Result<String> {
        let patient = &scene.patient_id;
        let asked = scene.practice.run(&[
            "reference",
            "request",
            "--patient",
            patient,
            "--to",
            to,
            "--text",
            "t",
        ])?;
        text(&asked, "request_id")
    };
    let (right, wrong) = (refer("Clinic South")?, refer("University Research")?);
    let download = scene.ask(&scene.practice)?;
    let decisions = scene.agent()?;
    let verdicts: Vec<_> = told(&decisions)
        .into_iter()
        .map(|(request, verdict, _)| (request, verdict))
        .collect();
    let ask = "ask".to_owned();
    assert_eq!(
        verdicts,
        [
            (right, "permitted".to_owned()),
            (wrong, ask.clone()),
            (download, ask)
        ]
    );
    let permission = text(&decisions[0], "permission_id")?;
    let out = scene.world.path("out").display().to_string();
    let fetched = scene
        .stranger
        .run(&["download", "fetch", &permission, "--out", &out])?;
    assert_eq!(array(&fetched, "records")?.len(), 3);
    // Who referred gains nothing.
    let none = scene.world.path("none").display().to_string();
    assert_eq!(
        scene
            .practice
            .fail(&["download", "fetch", &permission, "--out", &none])?
            .exit,
        1
    );
    Ok(())
}

#[test]
fn the_agent_outlasts_a_restart_of_the_server_and_runs_once_a_home() -> Result<()> {
    let mut scene = Scene::start()?;
    scene.activate(RULES)?;
    let mut agent = scene.patient.spawn(&["agent"])?;
    let stdout = agent.stdout.take().context("standard output")?;
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let next = || -> Result<Value> {
        Ok(serde_json::from_str(
            &lines.recv_timeout(Duration::from_secs(90))?,
        )?)
    };
    let outcome = (|| -> Result<()> {
        let first = scene.ask(&scene.research)?;
        let line = next()?;
        assert_eq!(
            (text(&line, "request_id")?, text(&line, "verdict")?),
            (first, "denied".to_owned())
        );
        let second = scene.patient.fail(&["agent", "--once"])?;
        assert_eq!(second.json["error"]["code"], "home-locked", "{second:?}");

        scene.world.server.kill()?;
        std::thread::sleep(Duration::from_secs(3));
        scene.world.server.restart()?;
        let after = scene.ask(&scene.practice)?;
        let line = next()?;
        assert_eq!(
            (text(&line, "request_id")?, text(&line, "verdict")?),
            (after, "permitted".to_owned())
        );
        Ok(())
    })();
    agent.kill()?;
    agent.wait()?;
    outcome?;
    // What it decided, the next one knows.
    assert_eq!((scene.agent()?.len(), scene.downloads()?), (0, 1));
    Ok(())
}

/// The state in which a crash leaves the home when an answer was sent, and that it was sent was not noted.
#[test]
fn an_answer_that_was_kept_before_a_crash_is_the_one_that_counts() -> Result<()> {
    let scene = Scene::start_by_hand()?;
    scene.activate(RULES)?;
    let (wanted, unwanted) = (scene.ask(&scene.practice)?, scene.ask(&scene.research)?);
    let before = scene.agent()?;
    let home = scene.patient.home().to_owned();
    let forget = |request: &str| forget_that_it_was_sent(&home, request);
    forget(&wanted)?;
    forget(&unwanted)?;
    let mut after = scene.agent()?;
    for (before, after) in before.iter().zip(&mut after) {
        for field in ["request_id", "verdict", "rule", "permission_id", "records"] {
            assert_eq!(before.get(field), after.get(field), "{before} {after}");
        }
    }
    assert_eq!((after.len(), scene.downloads()?), (2, 1));
    assert_eq!(scene.agent()?.len(), 0);

    // When the rules have changed since, nothing is sent again.
    forget(&wanted)?;
    scene.activate("format = 1")?;
    let [decision] = &scene.agent()?[..] else {
        anyhow::bail!("one decision")
    };
    assert_eq!(text(decision, "verdict")?, "ask");
    ensure!(text(decision, "why")?.contains("rules changed"), "{decision}");

    // The control: an answer that the server has from somebody else is not taken for the rule's.
    scene.activate(RULES)?;
    let third = scene.ask(&scene.research)?;
    scene.patient.run(&["deny", &third, "--text", "by hand"])?;
    let kept = home.join("rules/answers").join(&unwanted);
    let forged = std::fs::read_to_string(kept)?
        .replace(&unwanted, &third)
        .replace("\"sequence\": 1", "\"sequence\": 3");
    std::fs::write(home.join("rules/answers").join(&third), forged)?;
    forget(&third)?;
    let decisions = scene.agent()?;
    let [decision] = &decisions[..] else {
        anyhow::bail!("{decisions:?}")
    };
    assert_eq!(
        (text(decision, "request_id")?, text(decision, "verdict")?),
        (third, "ask".to_owned())
    );
    Ok(())
}

/// The state in which a crash leaves the home when an answer was kept and not sent: the server is put back to before.
#[test]
fn an_answer_that_was_kept_and_never_sent_is_sent_after_the_crash() -> Result<()> {
    let mut scene = Scene::start_by_hand()?;
    scene.activate(RULES)?;
    let request = scene.ask(&scene.practice)?;
    // So that the permission names a head that the server then still has.
    scene.patient.run(&["records"])?;
    let data = scene.world.server.data().to_owned();
    let before = scene.world.path("before");
    let copy = |from: &Path, to: &Path| -> Result<()> {
        if to.exists() {
            std::fs::remove_dir_all(to)?;
        }
        let copied = Command::new("cp").arg("-a").args([from, to]).status()?;
        ensure!(copied.success(), "cp failed");
        Ok(())
    };
    scene.world.server.stop()?;
    copy(&data, &before)?;
    scene.world.server.restart()?;
    let seen = ["vault.acts", "log.checkpoint", "log.read"];
    let seen = seen.map(|name| scene.patient.home().join(name));
    let seen: Vec<_> = seen
        .iter()
        .filter_map(|path| Some((path, std::fs::read(path).ok()?)))
        .collect();
    let [first] = &scene.agent()?[..] else {
        anyhow::bail!("one decision")
    };
    let permission = text(first, "permission_id")?;
    scene.world.server.stop()?;
    copy(&before, &data)?;
    scene.world.server.restart()?;
    // As if the answer had never arrived: then the home has seen nothing of what follows from it.
    for (path, bytes) in &seen {
        std::fs::write(path, bytes)?;
    }
    // The control: the server has no answer, and as long as the home says that it was sent, none is sent again.
    assert_eq!((scene.agent()?.len(), scene.downloads()?), (0, 0));
    let open = scene.patient.run(&["rules", "test", &request])?;
    assert_eq!(open["open"], true, "{open}");

    forget_that_it_was_sent(scene.patient.home(), &request)?;
    let [again] = &scene.agent()?[..] else {
        anyhow::bail!("one decision")
    };
    assert_eq!(text(again, "verdict")?, "permitted");
    assert_eq!(
        text(again, "permission_id")?,
        permission,
        "the very permission that was signed"
    );
    let out = scene.world.path("out").display().to_string();
    scene
        .practice
        .run(&["download", "fetch", &permission, "--out", &out])?;
    assert_eq!((scene.agent()?.len(), scene.downloads()?), (0, 1));
    Ok(())
}

fn forget_that_it_was_sent(home: &Path, request: &str) -> Result<()> {
    let file = home.join("rules/answers").join(request);
    let kept = std::fs::read_to_string(&file)?;
    let forgotten = kept.replace("\"state\": \"sent\"", "\"state\": \"signed\"");
    ensure!(kept != forgotten, "{kept}");
    std::fs::write(file, forgotten)?;
    Ok(())
}
