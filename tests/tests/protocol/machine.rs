//! What programs owe their secrets on the machine where they run, and how much strangers can make a server write (ATK-90, ATK-92,
//! ATK-93, ATK-95).

mod onlooking;

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use protocol_spec::{defence::Defence, ids::InstitutionId};
use tests::{
    attack::{play, play_async},
    harness::{Cli, Server, ServerOptions, World, text},
    raw::RawWorld,
};

const TEXT: &str = "canary of a medical question";

/// A command as a person types it, without the leave that tests give themselves.
fn by_hand(cli: &Cli, args: &[&str]) -> Result<Command> {
    let mut command = cli.command(args)?;
    command.env_remove("MEDVAULT_SECRETS_IN_ARGUMENTS");
    Ok(command)
}

/// What the text of the newest request to an institution is.
fn asked(institution: &Cli) -> Result<String> {
    let inbox = institution.run(&["inbox"])?;
    let events = inbox["events"].as_array().context("events")?;
    text(events.last().context("no event")?, "text")
}

/// ATK-90, PRG-7: what stands in arguments is seen by everybody, so no text that is to be sealed is taken from there.
#[test]
fn no_text_is_taken_from_arguments() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("patient")?;
    let (hospital, _) = world.institution("Hospital North")?;
    play(&[Defence::SecretArguments], |off| {
        let args = ["upload", "request", "--to", "Hospital North", "--text", TEXT];
        let output = by_hand(&patient.without(off), &args)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() || said.contains("--text -"), "{said}");
        Ok(output.status.success())
    })?;
    // Who means it may; and from standard input or a file nobody needs leave.
    let file = world.path("question");
    fs::write(&file, format!("{TEXT} in a file\n"))?;
    let path = file.display().to_string();
    let ways: [(&[&str], &str, &str); 3] = [
        (&["--text", TEXT, "--secrets-in-arguments"], "", TEXT),
        (&["--text", "-"], "of two\nlines\n", "of two\nlines"),
        (
            &["--text-file", &path],
            "",
            "canary of a medical question in a file",
        ),
    ];
    for (way, input, arrives) in ways {
        let args = [&["upload", "request", "--to", "Hospital North"], way].concat();
        let mut child = by_hand(&patient, &args)?.stdin(Stdio::piped()).spawn()?;
        child.stdin.take().context("input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{way:?}: {output:?}");
        assert_eq!(asked(&hospital)?, arrives);
    }
    Ok(())
}

/// ATK-90, PRG-7: nor the code of a card or of a new device.
#[test]
fn no_code_is_taken_from_arguments() -> Result<()> {
    let world = World::start()?;
    let (patient, id) = world.patient("patient")?;
    let (ambulance, _) = world.institution_for("Ambulance", &["--emergency"])?;
    let card = ["emergency", "open", "--patient", &id, "--card", "emg-aaaa"];
    let device = ["device", "approve", "code_aaaa"];
    for (cli, args) in [(&ambulance, &card[..]), (&patient, &device[..])] {
        play(&[Defence::SecretArguments], |off| {
            let output = by_hand(&cli.without(off), args)?.output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(!output.status.success(), "{said}");
            // No such card or device is there: it was taken when that is what it fails by.
            Ok(!said.contains("--secrets-in-arguments"))
        })?;
    }
    Ok(())
}

/// PRG-7: a passphrase comes from a file or a descriptor, and then stands in no environment.
#[test]
fn a_passphrase_comes_from_a_file_or_a_descriptor() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("passphrase");
    fs::write(&file, "seven otters carry a violin\n")?;
    let home = folder.path().join("home");
    let shell = |script: &str| -> Result<std::process::Output> {
        Ok(Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(tests::harness::program("medvault")?)
            .args([&home, &file])
            .env_remove("MEDVAULT_PASSPHRASE")
            .env_remove("MEDVAULT_KEY_FILE")
            .output()?)
    };
    // Open to others it is not taken.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let open = shell(r#""$1" registrar init --home "$2" --passphrase-file "$3""#)?;
    ensure!(
        !open.status.success() && String::from_utf8_lossy(&open.stderr).contains("chmod 600"),
        "{open:?}"
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let made = shell(r#""$1" registrar init --home "$2" --passphrase-file "$3""#)?;
    ensure!(made.status.success(), "{made:?}");
    // A command that opens the home and needs no server.
    let id = InstitutionId::from_bytes([7; 32]);
    let opens = |source: &str, number: usize| -> Result<bool> {
        let out = folder.path().join(number.to_string());
        let rest = format!(
            r#""$1" registrar withdraw {id} --yes --out {} --home "$2""#,
            out.display()
        );
        let output = shell(&source.replace("OPEN", &rest))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success() || said.contains("does not open this home"),
            "{source}: {said}"
        );
        Ok(output.status.success())
    };
    for (number, (source, right)) in [
        (r#"OPEN --passphrase-file "$3""#, true),
        (r#"OPEN --passphrase-fd 3 3< "$3""#, true),
        (r#"cat "$3" | OPEN --passphrase-fd 0"#, true),
        (r#"echo no otters | OPEN --passphrase-fd 0"#, false),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(opens(source, number)?, right, "{source}");
    }
    Ok(())
}

/// PRG-8, ATK-44: Argon2id makes a guess dear, and the first guesses are still made.
#[test]
fn a_passphrase_that_is_soon_guessed_makes_no_home() -> Result<()> {
    let folder = tempfile::tempdir()?;
    play(&[Defence::PassphraseStrength], |off| {
        let home = folder.path().join(off.len().to_string());
        let mut command = tests::harness::with_defences_off("medvault", off)?;
        let output = command
            .args(["registrar", "init", "--json", "--home"])
            .arg(&home)
            .env("MEDVAULT_PASSPHRASE", "password1")
            .env_remove("MEDVAULT_KEY_FILE")
            .env_remove("MEDVAULT_PASSPHRASE_FILE")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success() || said.contains("weak-passphrase"),
            "{said}"
        );
        Ok(output.status.success())
    })
}

/// ATK-93, PRG-6: homes, data and keys that others can enter, read or change are not used.
#[test]
fn what_is_open_to_others_is_not_used() -> Result<()> {
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    play(&[Defence::FileModes], |off| {
        let world = World::start()?;
        let (patient, _) = world.patient("patient")?;
        let (hospital, _) = world.institution("Hospital North")?;
        open(patient.home(), 0o777)?;
        let key = hospital.home().with_extension("key");
        open(&key, 0o644)?;
        let taken = |cli: &Cli, args: &[&str]| -> Result<bool> {
            let output = cli.without(off).command(args)?.output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(output.status.success() || said.contains("\"exposed\""), "{said}");
            Ok(output.status.success())
        };
        let (home, key) = (taken(&patient, &["records"])?, taken(&hospital, &["inbox"])?);
        let data = world.path("open-data");
        fs::create_dir(&data)?;
        // An empty one is closed instead.
        fs::write(data.join("kept"), "")?;
        open(&data, 0o755)?;
        let server = Server::start(ServerOptions {
            data,
            registrar: text(
                &world.principal("other").run(&["registrar", "init"])?,
                "registrar",
            )?,
            listen: "127.0.0.1:0".into(),
            extra: Vec::new(),
            shell: String::new(),
            off: off.to_vec(),
            ahead: 0,
        });
        let refused = server.as_ref().err().map(|error| format!("{error:#}"));
        ensure!(
            refused.as_ref().is_none_or(|text| text.contains("chmod 700")),
            "{refused:?}"
        );
        ensure!(
            home == key && key == refused.is_none(),
            "{home} {key} {refused:?}"
        );
        Ok(home)
    })
}

/// LKG-4, ATK-95: requests that anybody can make, and that are refused, fill no log.
#[tokio::test]
async fn refusals_do_not_fill_the_log() -> Result<()> {
    const REQUESTS: usize = 300;
    play_async(&[Defence::RefusalLog], async |off: &[Defence]| {
        let world = RawWorld::start_without(off).await?;
        for _ in 0..REQUESTS {
            let answer = world.wire.ask("/v1/inbox").await?;
            ensure!(!answer.status.is_success(), "{answer:?}");
        }
        let log = fs::read_to_string(world.server.log())?;
        let lines = log.lines().filter(|line| line.contains("refused")).count();
        // However long it takes here: five lines, and one about the others, in ten seconds.
        ensure!(lines > 0, "the operator sees nothing: {log}");
        Ok(lines >= REQUESTS)
    })
    .await
}
