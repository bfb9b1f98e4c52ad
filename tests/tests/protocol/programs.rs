//! The registrar vouches for client programs: what is taken for one, and a server that hides or invents one.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use crypto::{OperatingSystem, SigningIdentity};
use prost::Message;
use protocol_spec::{
    bodies::Program, defence::Defence, field::Name, hash::Sha256Digest, ids::RegistrarId, keys::IdentityKey,
    messages as pb, problem::Problem, statement::Signed,
};
use serde_json::Value;
use tests::{
    attack::play,
    harness::{self, Cli, World, text},
    raw::{Answer, RawPatient, RawWorld, Wire, defended},
};

fn name(text: &str) -> Result<Name> {
    Ok(text.to_owned().try_into()?)
}

/// A program by the registrar with this key, after this change, with a signature by this one.
fn program(
    registrar: &IdentityKey,
    signer: &SigningIdentity,
    change: impl FnOnce(&mut Program),
) -> Result<pb::PublishProgram> {
    let mut body = Program {
        created: 1,
        registrar_id: RegistrarId::from(registrar),
        name: name("medvault")?,
        version: name("1.0.0")?,
        target: name("x86_64-unknown-linux-gnu")?,
        source: name("a revision")?,
        toolchain: name("a compiler")?,
        file_hash: Sha256Digest::of(b"a program"),
    };
    change(&mut body);
    let signed = Signed::sign(body, |message| signer.sign_bytes(message));
    Ok(pb::PublishProgram {
        program: Some(signed.to_message()),
    })
}

async fn bring(wire: &Wire, message: &pb::PublishProgram) -> Result<Answer> {
    // Whoever brings it: the signature of the request means nothing.
    let stranger = RawPatient::enrol(wire).await?;
    stranger.post(wire, "/v1/directory/programs", message).await
}

/// ATK-57, PRG-1, PRG-2: nobody but the registrar vouches for a program.
#[tokio::test]
async fn a_server_takes_no_program_of_somebody_elses() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let stranger = SigningIdentity::generate(&OperatingSystem)?;
        let evil = program(&world.registrar.public(), &stranger, |_| ())?;
        bring(&world.wire, &evil).await
    };
    defended(&[Defence::StatementSignatures], Problem::NotPermitted, attack).await?;
    let world = RawWorld::start().await?;
    let stranger = SigningIdentity::generate(&OperatingSystem)?.public();
    let of_another = program(&stranger, &world.registrar, |_| ())?;
    let answer = bring(&world.wire, &of_another).await?;
    ensure!(answer.problem() == Some(Problem::NotPermitted), "{answer:?}");
    Ok(())
}

/// PRG-2: a version is one file for ever, and the same again is answered with the first.
#[tokio::test]
async fn a_second_file_under_a_version_is_refused() -> Result<()> {
    let world = RawWorld::start().await?;
    let registrar = world.registrar.public();
    let vouch = |change: fn(&mut Program)| program(&registrar, &world.registrar, change);
    let first: pb::ProgramPublished = bring(&world.wire, &vouch(|_| ())?).await?.message()?;
    let again: pb::ProgramPublished = bring(&world.wire, &vouch(|program| program.created = 2)?)
        .await?
        .message()?;
    ensure!(first.program == again.program);
    let other = vouch(|program| program.file_hash = Sha256Digest::of(b"another"))?;
    let answer = bring(&world.wire, &other).await?;
    ensure!(answer.problem() == Some(Problem::AlreadyExists), "{answer:?}");
    Ok(())
}

/// Has the registrar vouch for a file, and carries the statement to the server.
fn published(world: &World, file: &Path, version: &str) -> Result<Value> {
    let statement = vouched(world, &world.registrar, file, version)?;
    let link = world.server.link().to_string();
    let carry = ["directory", "publish", &statement, "--server", &link];
    world.principal("carrier").run(&carry)
}

fn vouched(world: &World, registrar: &Cli, file: &Path, version: &str) -> Result<String> {
    let out = world.path(&format!("statement-{version}")).display().to_string();
    let file = file.display().to_string();
    let about = [
        ["--name", "medvault"],
        ["--version", version],
        ["--target", "x86_64-unknown-linux-gnu"],
        ["--source", "a revision"],
        ["--toolchain", "a compiler"],
        ["--out", &out],
    ];
    let vouch = [&["registrar", "vouch", &file], about.as_flattened()].concat();
    let made = registrar.run(&vouch)?;
    ensure!(made["statement"] == out, "{made}");
    Ok(out)
}

fn check(client: &Cli, file: &Path) -> Result<Value> {
    let output = client.command(&["directory", "check"])?.arg(file).output()?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let code = output.status.code();
    ensure!(
        code == Some(if said["error"].is_null() { 0 } else { 1 }),
        "{code:?}: {said}"
    );
    Ok(said)
}

/// PRG-1, PRG-4: this very program, vouched for, published, listed, and known by a patient's and a hospital's client.
#[test]
fn a_program_is_known_by_its_file() -> Result<()> {
    let world = World::start()?;
    let (hospital, _) = world.institution("St. Anna")?;
    let (patient, _) = world.patient("alice")?;
    let medvault = harness::program("medvault")?;
    let unknown = check(&patient, &medvault)?;
    ensure!(unknown["error"]["code"] == "unknown-program", "{unknown}");
    let message = text(&unknown["error"], "message")?;
    ensure!(
        message.contains("do not run it") && message.contains("build it"),
        "{message}"
    );
    let brought = published(&world, &medvault, "0.1.0")?;
    ensure!(
        brought["index"].as_u64() < brought["log_size"].as_u64(),
        "{brought}"
    );
    let sha256 = Sha256Digest::of(&fs::read(&medvault)?).to_string();
    for client in [&patient, &hospital] {
        let known = check(client, &medvault)?;
        for (field, value) in [
            ("name", "medvault"),
            ("version", "0.1.0"),
            ("target", "x86_64-unknown-linux-gnu"),
            ("source", "a revision"),
            ("toolchain", "a compiler"),
            ("sha256", &sha256),
        ] {
            ensure!(known[field] == value, "{field}: {known}");
        }
        ensure!(known["index"] == brought["index"], "{known}");
        let listed = client.run(&["directory", "programs"])?;
        let programs = listed["programs"].as_array().context("programs")?;
        ensure!(programs.len() == 1 && programs[0]["sha256"] == sha256, "{listed}");
    }
    let audited = patient.run(&["directory", "audit"])?;
    ensure!(
        audited["events"] == 2 && audited["institutions"] == 1,
        "{audited}"
    );
    Ok(())
}

/// ATK-57, PRG-4: a file that differs by one byte. Without the comparison it passes for the program.
#[test]
fn a_file_that_differs_by_one_byte_is_no_program() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("alice")?;
    let medvault = harness::program("medvault")?;
    published(&world, &medvault, "0.1.0")?;
    let mut bytes = fs::read(&medvault)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty program")? ^= 1;
    let evil = world.path("evil");
    fs::write(&evil, &bytes)?;
    play(&[Defence::Program], |without| {
        let said = check(&patient.without(without), &evil)?;
        if said["error"].is_null() {
            return Ok(said["version"] == "0.1.0");
        }
        ensure!(said["error"]["code"] == "unknown-program", "{said}");
        Ok(false)
    })
}

/// What a client says of the programs that there are: their versions, or nothing if it does not believe the server.
fn versions(client: &Cli) -> Result<Option<Vec<String>>> {
    let output = client.command(&["directory", "programs"])?.output()?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    if output.status.success() {
        let programs = said["programs"].as_array().context("programs")?;
        let versions = programs.iter().map(|program| text(program, "version"));
        return versions.collect::<Result<_>>().map(Some);
    }
    let code = text(&said["error"], "code")?;
    ensure!(
        ["directory-conflict", "tampered"].contains(&code.as_str()),
        "{said}"
    );
    Ok(None)
}

/// ATK-57, LOG-16: a program that the server does not show, so that only those see it who are to run it. She notices; without the check
/// by the checkpoint's line she does not.
#[test]
fn a_hidden_program_is_noticed() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, _) = world.patient("alice")?;
    let (control, _) = world.patient("control")?;
    let file = world.path("program");
    fs::write(&file, b"a program")?;
    published(&world, &file, "1.0.0")?;
    liar.tell_of("/v1/directory/events", |page: pb::DirectoryEvents| {
        pb::DirectoryEvents {
            events: Vec::new(),
            ..page
        }
    });
    play(&[Defence::DirectoryHead], |without| {
        let patient = if without.is_empty() { &patient } else { &control };
        let seen = versions(&patient.without(without))?;
        ensure!(seen.is_none() || seen.as_deref() == Some(&[]), "{seen:?}");
        Ok(seen.is_some())
    })?;
    liar.be_honest();
    ensure!(versions(&patient)? == Some(vec!["1.0.0".to_owned()]));
    Ok(())
}

/// ATK-57, PRG-3: a server that puts a program into its log that the registrar has not signed. A client believes it if it checks no
/// signatures.
#[tokio::test]
async fn a_client_believes_no_program_of_the_operators_making() -> Result<()> {
    let world = World::start_without(&[Defence::StatementSignatures])?;
    let (patient, _) = world.patient("alice")?;
    let (control, _) = world.patient("control")?;
    let wire = Wire::connect(world.server.link()).await?;
    let info: pb::ServerInfo = wire.ask("/v1/server").await?.message()?;
    let registrar = IdentityKey::try_from(info.registrar_key.as_ref())?;
    let evil = world.path("evil");
    fs::write(&evil, b"an evil program")?;
    let hash = Sha256Digest::of(b"an evil program");
    let message = program(
        &registrar,
        &SigningIdentity::generate(&OperatingSystem)?,
        |program| {
            program.file_hash = hash;
        },
    )?;
    bring(&wire, &message).await?.message::<pb::ProgramPublished>()?;
    play(&[Defence::StatementSignatures], |without| {
        let patient = if without.is_empty() { &patient } else { &control };
        let said = check(&patient.without(without), &evil)?;
        if said["error"].is_null() {
            return Ok(said["sha256"] == hash.to_string());
        }
        ensure!(said["error"]["code"] == "tampered", "{said}");
        Ok(false)
    })
}

/// PRG-2: the carrier's program believes neither a foreign statement nor an answer without its proof.
#[test]
fn the_carrier_of_a_program_verifies_what_it_brings_and_what_it_is_told() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let file = world.path("program");
    fs::write(&file, b"a program")?;
    let other = world.principal("other-registrar");
    other.run(&["registrar", "init"])?;
    let link = world.server.link().to_string();
    let carry = |registrar: &Cli, version: &str| -> Result<_> {
        let statement = vouched(&world, registrar, &file, version)?;
        let refused =
            world
                .principal("carrier")
                .fail(&["directory", "publish", &statement, "--server", &link])?;
        ensure!(refused.json["error"]["code"] == "tampered", "{refused:?}");
        Ok(())
    };
    carry(&other, "foreign")?;
    liar.tell(|path, body| match path.starts_with("/v1/directory/programs") {
        true => {
            let mut answer = pb::ProgramPublished::decode(body).unwrap_or_default();
            let proof = answer.proof.get_or_insert_default();
            proof.proof = proof.proof.replacen("index ", "index 1", 1);
            Bytes::from(answer.encode_to_vec())
        }
        false => body,
    });
    carry(&world.registrar, "own")
}
