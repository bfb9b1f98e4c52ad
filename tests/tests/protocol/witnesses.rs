//! Three witnesses as processes, a quorum of two: what clients make of a log that is cosigned, and of one that is not.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use crypto::{OperatingSystem, SigningIdentity};
use http::StatusCode;
use protocol_spec::{
    defence::Defence,
    hash::{Sha256Digest, sha256},
    log::{Checkpoint, NoteKey, SignedCheckpoint, Submission, cosigned_at, log_key},
    messages as pb,
};
use tests::{
    attack::note,
    harness::{Cli, Liar, Witness, World},
    raw::Wire,
};

/// A server with three witnesses, and the policy that clients have: the same without URLs.
struct Scene {
    world: World,
    liar: Liar,
    witnesses: Vec<Witness>,
    policy: String,
}

impl Scene {
    fn start() -> Result<Self> {
        let (mut world, liar) = World::start_behind_liar()?;
        let logs = [world.server.log_key().to_owned()];
        let mut witnesses = Vec::new();
        for number in 1..=3 {
            let folder = world.path(&format!("witness-{number}"));
            witnesses.push(Witness::start(
                &folder,
                &format!("witness.example/{number}"),
                &logs,
            )?);
        }
        let policy = |urls: bool| {
            let line = |(number, witness): (usize, &Witness)| {
                let url = if urls { witness.url() } else { "" };
                format!("witness w{number} {} {url}\n", witness.vkey())
            };
            let witnesses: String = witnesses.iter().enumerate().map(line).collect();
            format!("log {}\n{witnesses}group two 2 w0 w1 w2\nquorum two\n", logs[0])
        };
        let (asked, kept) = (world.path("server.policy"), world.path("client.policy"));
        std::fs::write(&asked, policy(true))?;
        std::fs::write(&kept, policy(false))?;
        let public = liar.address().to_string();
        world.server.stop()?;
        world.server.restart_with(&[
            "--public-authority",
            &public,
            "--witness-policy",
            &asked.display().to_string(),
            "--witness-pace",
            "50ms",
        ])?;
        Ok(Self {
            world,
            liar,
            witnesses,
            policy: kept.display().to_string(),
        })
    }

    /// A patient who asks for the witnesses.
    fn patient(&self, name: &str) -> Result<Cli> {
        let (patient, _) = self.world.patient(name)?;
        patient.run(&["witnesses", "use", &self.policy])?;
        Ok(patient)
    }
}

/// How many institutions the principal sees, once she sees so many.
fn sees(principal: &Cli, institutions: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let output = principal.command(&["directory"])?.output()?;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let seen = answer["institutions"].as_array().map(Vec::len);
        if seen == Some(institutions) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{answer} {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn refused(principal: &Cli) -> Result<String> {
    let refused = principal.fail(&["directory"])?;
    ensure!(refused.json["error"]["code"] == "not-witnessed", "{refused:?}");
    Ok(refused.text)
}

/// LOG-11, LOG-13: entries are seen under cosigned checkpoints, while one of three witnesses is dead, and with all of them again.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_witness_is_tolerated() -> Result<()> {
    let mut scene = Scene::start()?;
    let patient = scene.patient("patient")?;
    let shown = patient.run(&["witnesses", "show"])?;
    ensure!(shown["required"] == true && shown["witnesses"].as_array().map(Vec::len) == Some(3));
    scene.world.institution("St. Anna")?;
    sees(&patient, 1)?;
    scene.witnesses[1].kill()?;
    scene.world.institution("Mercy")?;
    sees(&patient, 2)?;
    scene.witnesses[1].restart()?;
    scene.witnesses[2].kill()?;
    scene.world.institution("Hope")?;
    sees(&patient, 3)?;
    // What is shown to everybody carries the cosignatures.
    let wire = Wire::connect(scene.world.server.link()).await?;
    let note = wire.ask("/v1/log/checkpoint").await?.body;
    let checkpoint = SignedCheckpoint::parse(&note)?.verify(&log_key(&wire.operator_key)?)?;
    let mut cosigned = 0;
    for witness in &scene.witnesses {
        let key: NoteKey = witness.vkey().parse()?;
        cosigned += usize::from(cosigned_at(&checkpoint, &key)?.is_some());
    }
    ensure!(cosigned == 2, "{note:?}");
    Ok(())
}

/// LOG-13, LOG-11: without a quorum the vault goes on, with receipts and proofs; only who is new is not seen, until the
/// quorum is back.
#[test]
fn without_a_quorum_the_vault_goes_on() -> Result<()> {
    let mut scene = Scene::start()?;
    let patient = scene.patient("patient")?;
    let (hospital, _) = scene.world.institution("St. Anna")?;
    hospital.run(&["witnesses", "use", &scene.policy])?;
    sees(&patient, 1)?;
    sees(&hospital, 1)?;
    scene.witnesses[0].kill()?;
    scene.witnesses[2].kill()?;
    let ask = ["upload", "request", "--to", "St. Anna", "--text", "please"];
    patient.run(&ask)?;
    let inbox = hospital.run(&["inbox"])?;
    let permission = inbox["events"][0]["permission_id"]
        .as_str()
        .context("permission")?;
    let file = scene.world.path("result.txt");
    std::fs::write(&file, "HbA1c 7.4 %")?;
    hospital.run(&["upload", "send", permission, &file.display().to_string()])?;
    let records = patient.run(&["records"])?;
    ensure!(
        records["records"].as_array().map(Vec::len) == Some(1),
        "{records}"
    );
    let pending = patient.home().join("log-pending.json");
    ensure!(std::fs::read_to_string(&pending)?.contains("since"));
    // Whoever sets this by hand must not be taken for somebody else.
    let patient = patient.without(&[Defence::HomeSeal]);
    scene.world.institution("Mercy")?;
    sees(&patient, 1)?;
    // What waits for cosignatures does so for a day at most.
    std::fs::write(&pending, r#"{"size": 1000000, "since": 1}"#)?;
    let late = patient.fail(&["directory", "St. Anna"])?;
    ensure!(late.text.contains("more than a day ago"), "{late:?}");
    std::fs::write(&pending, "null")?;
    scene.witnesses[0].restart()?;
    sees(&patient, 2)
}

/// Takes away all lines of signatures but the first, which is the log's.
fn strip(text: &str) -> String {
    let mut lines = 0;
    let kept = text.split_inclusive('\n').filter(|line| {
        lines += usize::from(line.starts_with('—'));
        !line.starts_with('—') || lines == 1
    });
    kept.collect()
}

/// ATK-4, LOG-8: with fewer cosignatures than the quorum nothing is believed; without the check it is.
#[test]
fn fewer_cosignatures_than_the_quorum_are_refused() -> Result<()> {
    let scene = Scene::start()?;
    let patient = scene.patient("patient")?;
    scene.world.institution("St. Anna")?;
    sees(&patient, 1)?;
    scene.liar.tell(|path, body| {
        if path.starts_with("/v1/log/checkpoint") {
            return strip(&String::from_utf8_lossy(&body)).into();
        }
        body
    });
    let said = refused(&patient)?;
    ensure!(said.contains("cosigned by 0 known witnesses"), "{said}");
    patient.without(&[Defence::Witnesses]).run(&["directory"])?;
    scene
        .liar
        .tell_of("/v1/directory/events", |mut page: pb::DirectoryEvents| {
            page.checkpoint = strip(&page.checkpoint);
            page
        });
    refused(&patient)?;
    note(&[], false)?;
    patient.without(&[Defence::Witnesses]).run(&["directory"])?;
    note(&[Defence::Witnesses], true)
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = std::process::Command::new("cp")
        .arg("-r")
        .args([from, to])
        .status()?;
    ensure!(done.success(), "cp");
    Ok(())
}

/// ATK-4, ATK-39, LOG-8, LOG-12: two servers from one snapshot, each for one patient. The witnesses cosign the first one's history;
/// the second patient, who has never seen that, does not believe what stands only in the other. Without the check she does,
/// and each sees another directory.
#[test]
fn a_fork_that_is_shown_to_two_clients_is_refused() -> Result<()> {
    let mut scene = Scene::start()?;
    let (first, second) = (scene.patient("first")?, scene.patient("second")?);
    scene.world.institution("St. Anna")?;
    sees(&first, 1)?;
    sees(&second, 1)?;
    let (data, kept) = (scene.world.server.data().to_owned(), scene.world.path("kept"));
    scene.world.server.stop()?;
    copy(&data, &kept)?;
    scene.world.server.restart()?;
    scene.world.institution("Mercy")?;
    sees(&first, 2)?;
    scene.world.server.stop()?;
    std::fs::remove_dir_all(&data)?;
    copy(&kept, &data)?;
    // Witnesses would not cosign this one, so it shows what nobody has cosigned.
    let public = scene.liar.address().to_string();
    scene
        .world
        .server
        .restart_with(&["--public-authority", &public, "--accept-witness-policy", "none"])?;
    scene.world.institution("Hope")?;
    scene.world.institution("Charity")?;
    refused(&second)?;
    note(&[], false)?;
    let forked = second.without(&[Defence::Witnesses]).run(&["directory"])?;
    let names = forked["institutions"].as_array().context("institutions")?;
    ensure!(names.iter().any(|entry| entry["name"] == "Hope"), "{forked}");
    ensure!(!names.iter().any(|entry| entry["name"] == "Mercy"), "{forked}");
    note(&[Defence::Witnesses], true)
}

/// A log that a test signs itself.
pub(crate) struct OwnLog {
    signing: SigningIdentity,
    pub(crate) key: NoteKey,
    leaves: Vec<Vec<u8>>,
}

impl OwnLog {
    pub(crate) fn new() -> Result<Self> {
        let signing = SigningIdentity::generate(&OperatingSystem)?;
        let key = log_key(&signing.public())?;
        let leaves = (0..8_u8).map(|number| vec![number]).collect();
        Ok(Self { signing, key, leaves })
    }

    pub(crate) fn checkpoint(&self, size: usize, root: [u8; 32]) -> Result<SignedCheckpoint> {
        let checkpoint = Checkpoint {
            origin: self.key.name().to_owned(),
            size: size as u64,
            root: Sha256Digest::from_bytes(root),
            extensions: vec![],
        };
        Ok(SignedCheckpoint::sign(checkpoint, &self.key, |text| {
            self.signing.sign_bytes(text)
        })?)
    }

    /// MTH, for sizes that are powers of two.
    pub(crate) fn root(&self, size: usize) -> [u8; 32] {
        let mut level: Vec<_> = self.leaves[..size]
            .iter()
            .map(|leaf| sha256(&[&[0], leaf]))
            .collect();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| sha256(&[&[1], &pair[0], &pair[1]]))
                .collect();
        }
        level[0]
    }
}

/// LOG-12, ATK-38: a witness that was killed and restarted still knows what it has cosigned, and cosigns nothing else: no smaller
/// log, no other one of the same size, none that does not continue it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_witness_never_cosigns_a_rollback() -> Result<()> {
    let folder = tempfile::TempDir::new()?;
    let log = OwnLog::new()?;
    let mut witness = Witness::start(
        &folder.path().join("w"),
        "witness.example/w",
        &[log.key.to_string()],
    )?;
    let key: NoteKey = witness.vkey().parse()?;
    let submit = async |witness: &Witness, old: u64, path: &[[u8; 32]], checkpoint: &SignedCheckpoint| {
        let submission = Submission {
            old,
            path: path.to_vec(),
            checkpoint: checkpoint.clone(),
        };
        witness.submit(&submission).await
    };
    let (two, four) = (log.checkpoint(2, log.root(2))?, log.checkpoint(4, log.root(4))?);
    let cosigned = |answer: &(StatusCode, String), checkpoint: &SignedCheckpoint| -> Result<()> {
        ensure!(answer.0 == StatusCode::OK, "{answer:?}");
        let line = answer.1.trim_end().parse()?;
        let checkpoint = checkpoint.clone().verify(&log.key)?.with(line);
        ensure!(cosigned_at(&checkpoint, &key)?.is_some());
        Ok(())
    };
    let right = sha256(&[&[1], &sha256(&[&[0], &[2]]), &sha256(&[&[0], &[3]])]);
    cosigned(&submit(&witness, 0, &[], &two).await?, &two)?;
    cosigned(&submit(&witness, 2, &[right], &four).await?, &four)?;
    for round in 0..2 {
        // The same again, for a newer time, is no harm.
        cosigned(&submit(&witness, 4, &[], &four).await?, &four)?;
        let known = (StatusCode::CONFLICT, "4\n".to_owned());
        ensure!(
            submit(&witness, 0, &[], &two).await? == known,
            "a smaller log, as if new"
        );
        ensure!(
            submit(&witness, 2, &[right], &four).await? == known,
            "an old size before that"
        );
        let other = log.checkpoint(4, [7; 32])?;
        ensure!(submit(&witness, 4, &[], &other).await? == known, "another root");
        let status = async |old, path: &[[u8; 32]], checkpoint: &SignedCheckpoint| {
            Ok::<_, anyhow::Error>(submit(&witness, old, path, checkpoint).await?.0)
        };
        ensure!(
            status(4, &[], &two).await? == StatusCode::BAD_REQUEST,
            "an old size above the new"
        );
        let fork = log.checkpoint(8, [8; 32])?;
        ensure!(
            status(4, &[right], &fork).await? == StatusCode::UNPROCESSABLE_ENTITY,
            "a fork"
        );
        let strangers = OwnLog::new()?;
        let foreign = strangers.checkpoint(8, log.root(8))?;
        ensure!(
            status(4, &[], &foreign).await? == StatusCode::NOT_FOUND,
            "another log"
        );
        let text = fork.claimed().text();
        let forged = log
            .key
            .line(strangers.signing.sign_bytes(text.as_bytes()).to_vec());
        let forged = SignedCheckpoint::parse(format!("{text}\n{forged}").as_bytes())?;
        ensure!(
            status(4, &[], &forged).await? == StatusCode::FORBIDDEN,
            "not the log's signature"
        );
        if round == 0 {
            witness.kill()?;
            witness.restart()?;
        }
    }
    // What cannot be read is no reason to begin anew.
    witness.kill()?;
    for file in std::fs::read_dir(folder.path().join("w/logs"))? {
        std::fs::write(file?.path(), "")?;
    }
    ensure!(witness.restart().is_err(), "it has forgotten");
    Ok(())
}
