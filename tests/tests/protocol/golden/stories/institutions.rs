//! What the registrar does, an institution's life, the directory and the programs that are vouched for.

use anyhow::Result;
use tests::harness::{Cli, World, text};

use super::{Book, file, path};

pub(in super::super) fn play(world: &mut World, book: &mut Book) -> Result<()> {
    book.run(&world.principal("second registrar"), &["registrar", "init"])?;
    let practice = world.principal("practice");
    let id = joined(world, book, &practice)?;
    let (patient, patient_id) = world.patient("patient")?;
    let (_, clinic) = world.institution("Illinois Clinic")?;
    book.run(&world.registrar, &["registrar", "list"])?;
    terminals(world, book, &practice, &id, (&patient, &patient_id))?;
    alike(world, book)?;
    rotated(world, book, &practice)?;
    book.run(&practice, &["institution", "invite", "--uses", "2"])?;
    programs(world, book, &patient)?;
    directory(book, &patient)?;
    ends(world, book, &patient, &practice, &clinic)
}

fn joined(world: &World, book: &mut Book, practice: &Cli) -> Result<String> {
    let (request, accreditation) = (path(world, "p.request"), path(world, "p.accreditation"));
    let link = world.server.link().to_string();
    book.run(
        practice,
        &["institution", "request", "--name", "Practice", "--out", &request],
    )?;
    let accredit = ["registrar", "accredit", &request, "--out", &accreditation];
    book.run(&world.registrar, &accredit)?;
    let enrol = [
        "institution",
        "enrol",
        "--server",
        &link,
        "--accreditation",
        &accreditation,
    ];
    text(&book.run(practice, &enrol)?, "institution_id")
}

/// One whose name looks like that of another.
fn alike(world: &World, book: &mut Book) -> Result<()> {
    let other = world.principal("other practice");
    let (request, accreditation) = (path(world, "o.request"), path(world, "o.accreditation"));
    let ask = [
        "institution",
        "request",
        "--name",
        "lllinois Clinic",
        "--out",
        &request,
    ];
    other.run(&ask)?;
    let accredit = ["registrar", "accredit", &request, "--out", &accreditation];
    book.fail(&world.registrar, &accredit)?;
    let although = [&accredit[..], &["--although-alike"]].concat();
    book.run(&world.registrar, &although)?;
    let link = world.server.link().to_string();
    let enrol = [
        "institution",
        "enrol",
        "--server",
        &link,
        "--accreditation",
        &accreditation,
    ];
    other.run(&enrol)?;
    Ok(())
}

fn terminals(world: &World, book: &mut Book, practice: &Cli, id: &str, patient: (&Cli, &str)) -> Result<()> {
    let ward = world.principal("ward");
    let request = path(world, "ward.terminal");
    let link = world.server.link().to_string();
    let terminal = |words: &[&'static str]| [&["institution", "terminal"], words].concat();
    let ask = [
        &terminal(&["request", "--name", "Ward 3", "--out"])[..],
        &[&request],
    ]
    .concat();
    let ward_id = text(&book.run(&ward, &ask)?, "terminal_id")?;
    book.run(practice, &[&terminal(&["add"])[..], &[&request]].concat())?;
    let join = [
        &terminal(&["join"])[..],
        &["--server", &link, "--institution", id],
    ]
    .concat();
    book.run(&ward, &join)?;
    book.run(practice, &terminal(&["list"]))?;
    let (patient, patient_id) = patient;
    ward.run(&["download", "request", "--patient", patient_id, "--text", "t"])?;
    book.run(patient, &["inbox"])?;
    book.run(patient, &["history"])?;
    book.run(practice, &[&terminal(&["remove"])[..], &[&ward_id]].concat())?;
    book.run(practice, &terminal(&["list"]))?;
    Ok(())
}

fn rotated(world: &World, book: &mut Book, practice: &Cli) -> Result<()> {
    let (request, accreditation) = (path(world, "2.request"), path(world, "2.accreditation"));
    book.run(practice, &["institution", "rotate", "--out", &request])?;
    let accredit = ["registrar", "accredit", &request, "--out", &accreditation];
    book.run(&world.registrar, &accredit)?;
    let rotate = ["institution", "rotate", "--accreditation", &accreditation];
    book.run(practice, &rotate)?;
    Ok(())
}

fn programs(world: &World, book: &mut Book, patient: &Cli) -> Result<()> {
    let (program, statement) = (file(world, "program", "a program")?, path(world, "statement"));
    let link = world.server.link().to_string();
    book.fail(patient, &["directory", "check", &program])?;
    let about = [
        ["--name", "medvault"],
        ["--version", "0.1.0"],
        ["--target", "x86_64-unknown-linux-gnu"],
        ["--source", "a revision"],
        ["--toolchain", "a compiler"],
        ["--out", &statement],
    ];
    let vouch = [&["registrar", "vouch", &program], about.as_flattened()].concat();
    book.run(&world.registrar, &vouch)?;
    let publish = ["directory", "publish", &statement, "--server", &link];
    book.run(&world.principal("carrier"), &publish)?;
    book.run(patient, &["directory", "programs"])?;
    book.run(patient, &["directory", "check", &program])?;
    Ok(())
}

fn directory(book: &mut Book, patient: &Cli) -> Result<()> {
    book.run(patient, &["directory"])?;
    book.run(patient, &["directory", "list", "Pract"])?;
    book.run(patient, &["directory", "show", "Practice"])?;
    book.run(patient, &["directory", "audit"])?;
    Ok(())
}

fn ends(world: &World, book: &mut Book, patient: &Cli, practice: &Cli, clinic: &str) -> Result<()> {
    let (withdrawal, link) = (path(world, "withdrawal"), world.server.link().to_string());
    let withdraw = ["registrar", "withdraw", clinic, "--out", &withdrawal, "--yes"];
    book.run(&world.registrar, &withdraw)?;
    let bring = ["directory", "withdraw", &withdrawal, "--server", &link];
    book.run(&world.principal("carrier"), &bring)?;
    book.run(practice, &["institution", "retire", "--yes"])?;
    book.run(patient, &["directory"])?;
    Ok(())
}
