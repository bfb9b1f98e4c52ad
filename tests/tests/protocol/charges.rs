//! Nobody is charged for what never came to be (FLW-16 to FLW-20): whatever goes wrong between a presentation and a record,
//! the same command goes on, and one use is enough.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Cli, Proxy, World, text};

use crate::{
    flows::{array, hashes},
    institutions_cli::terminal,
};

/// Long enough that a transfer is found in its middle.
const LENGTH: usize = 64 << 20;

/// A patient, and a hospital that she has asked for one upload, behind a relay.
struct Scene {
    world: World,
    proxy: Proxy,
    patient: Cli,
    patient_id: String,
    north: Cli,
    north_id: String,
}

impl Scene {
    fn set() -> Result<Self> {
        let (world, proxy) = World::start_behind_proxy()?;
        let (patient, patient_id) = world.patient("patient")?;
        let (north, north_id) = world.institution("Hospital North")?;
        Ok(Self {
            world,
            proxy,
            patient,
            patient_id,
            north,
            north_id,
        })
    }

    /// One use, as by default.
    fn offer(&self) -> Result<String> {
        let offer = self
            .patient
            .run(&["upload", "request", "--to", "Hospital North", "--text", "study"])?;
        text(&offer, "permission_id")
    }

    fn file(&self, name: &str, length: usize) -> Result<PathBuf> {
        let folder = self.world.path("sent");
        fs::create_dir_all(&folder)?;
        let bytes: Vec<u8> = (0..length).map(|i| (i * 31 % 251).to_le_bytes()[0]).collect();
        fs::write(folder.join(name), bytes)?;
        Ok(folder.join(name))
    }

    fn sending(&self, permission: &str, file: &Path) -> Result<Child> {
        self.north
            .spawn(&["upload", "send", permission, &file.display().to_string()])
    }

    fn send(&self, permission: &str, file: &Path) -> Result<Value> {
        self.north
            .run(&["upload", "send", permission, &file.display().to_string()])
    }

    /// What she is shown of a permission.
    fn permission(&self, id: &str) -> Result<Value> {
        let list = self.patient.run(&["permissions"])?;
        let found = array(&list, "permissions")?
            .iter()
            .find(|permission| permission["permission_id"] == id);
        found.cloned().context("no such permission")
    }

    /// How many records she has, and whether the whole history holds.
    fn records(&self) -> Result<usize> {
        let count = array(&self.patient.run(&["records"])?, "records")?.len();
        let verified = self.patient.run(&["history", "--verify"])?;
        ensure!(verified["checked"]["holds"] == true, "{verified}");
        Ok(count)
    }

    /// A record of a file, and a permission to read it once, with a budget for that.
    fn readable(&self, file: &Path) -> Result<String> {
        self.readable_often(file, 1, 1)
    }

    /// A record of a file, and a permission to read it with so many uses and a budget for so many times.
    fn readable_often(&self, file: &Path, uses: u32, times: u64) -> Result<String> {
        let sent = self.send(&self.offer()?, file)?;
        let bytes = times * sent["bytes"].as_u64().context("bytes")?;
        self.permit(&sent, uses, bytes)
    }

    fn permit(&self, sent: &Value, uses: u32, bytes: u64) -> Result<String> {
        let asked = self.north.run(&[
            "download",
            "request",
            "--patient",
            &self.patient_id,
            "--text",
            "t",
        ])?;
        let permitted = self.patient.run(&[
            "permit",
            &text(&asked, "request_id")?,
            "--record",
            &text(sent, "record_id")?,
            "--uses",
            &uses.to_string(),
            "--max-bytes",
            &bytes.to_string(),
        ])?;
        text(&permitted, "permission_id")
    }

    /// Whether a folder has what was sent, bit for bit.
    fn has_arrived(&self, folder: &str) -> Result<bool> {
        let contents = |folder: &str| -> Result<Vec<_>> {
            Ok(hashes(&self.world.path(folder))?.into_values().collect())
        };
        Ok(contents(folder)? == contents("sent")?)
    }

    fn out(&self) -> String {
        self.world.path("out").display().to_string()
    }

    fn fetching(&self, permission: &str) -> Result<Child> {
        self.north
            .spawn(&["download", "fetch", permission, "--out", &self.out()])
    }

    fn fetch(&self, permission: &str) -> Result<Value> {
        self.north
            .run(&["download", "fetch", permission, "--out", &self.out()])
    }

    /// Kills a program when a connection of it is cut after so many bytes.
    fn kill_after(&self, bytes: u32, start: impl FnOnce() -> Result<Child>) -> Result<()> {
        let cuts = self.proxy.cuts();
        self.proxy.cut_after(bytes);
        let mut child = start()?;
        wait_for(|| Ok(self.proxy.cuts() > cuts || child.try_wait()?.is_some()))?;
        child.kill()?;
        child.wait()?;
        ensure!(self.proxy.cuts() > cuts, "it ended before it was cut");
        Ok(())
    }
}

fn wait_for(mut there: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !there()? {
        ensure!(started.elapsed() < Duration::from_secs(60), "it never came");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// API-10, FLW-17: a line that cuts every connection in its answers; wherever it does, the next run goes on.
#[test]
fn the_answer_of_a_presentation_may_be_lost() -> Result<()> {
    let scene = Scene::set()?;
    let file = scene.file("result.txt", 2000)?;
    let mut presented = 0;
    let mut finished = 0;
    for (number, bytes) in [3_000, 5_000, 6_000, 6_500, 7_000, 8_000].into_iter().enumerate() {
        let permission = scene.offer()?;
        let cuts = scene.proxy.cuts();
        scene.proxy.cut_each_after(Some(bytes));
        let mut child = scene.sending(&permission, &file)?;
        // Whatever it tries again, it comes no further.
        wait_for(|| Ok(scene.proxy.cuts() >= cuts + 2 || child.try_wait()?.is_some()))?;
        child.kill()?;
        let ended = child.wait()?;
        scene.proxy.cut_each_after(None);
        if ended.success() {
            // Its answers were short enough; what it has told is not told again.
            finished += 1;
            assert_eq!(scene.records()?, number + 1);
            continue;
        }
        ensure!(scene.proxy.cuts() > cuts, "nothing was cut");
        let history = scene.patient.run(&["history"])?;
        let of_it = |entry: &&Value| entry["permission_id"] == permission && entry["kind"] == "presented";
        presented += array(&history, "history")?.iter().filter(of_it).count();
        let sent = scene.send(&permission, &file).context(history.to_string())?;
        assert!(sent["record_id"].is_string(), "{sent}");
        assert_eq!(scene.permission(&permission)?["uses_left"], 0);
        assert_eq!(scene.records()?, number + 1);
    }
    let all = scene.patient.run(&["history"])?;
    let of = |kind: &str| -> Result<usize> {
        let entries = array(&all, "history")?.iter();
        Ok(entries.filter(|entry| entry["kind"] == kind).count())
    };
    assert_eq!(of("stored")?, 6, "{all}");
    // Of each upload once: the answer that was lost is found again, and asked for no second time.
    assert_eq!(of("presented")?, 6, "{all}");
    assert!(
        presented > 0 && finished < 4,
        "no cut came behind a presentation: the test shows nothing"
    );
    Ok(())
}

/// FLW-16, FLW-17: killed wherever it may be, and what its home notes of transfers torn as a power cut may leave it: the same command
/// goes on, one use is enough, and nobody is accused.
#[test]
fn wherever_it_is_killed_and_whatever_is_torn_it_goes_on() -> Result<()> {
    const RUNS: u64 = 12;
    let scene = Scene::set()?;
    let file = scene.file("study.bin", 12 << 20)?;
    for run in 0..RUNS {
        let sending = scene.offer()?;
        kill_and_tear(&scene, run, "uploads", || scene.sending(&sending, &file))?;
        let sent = match scene.send(&sending, &file) {
            Ok(sent) => sent,
            // Where the record is there, and the home does not know any more, that is said (FLW-22).
            Err(error) => {
                let stored = scene.north.run(&["upload", "stored", &sending])?;
                let only = array(&stored, "uploads")?.first().cloned().unwrap_or_default();
                let (said, record) = (format!("{error:#}"), text(&only, "record_id")?);
                ensure!(
                    said.contains("permission-spent") && said.contains(&record),
                    "run {run}: {said}"
                );
                only
            }
        };
        let shown = scene.permission(&sending)?;
        assert_eq!(shown["uses_left"], 0, "run {run}: {shown}");

        let record = text(&sent, "record_id")?;
        let bytes = sent["bytes"].as_u64().context("bytes")?;
        let reading = scene.permit(&sent, 1, bytes)?;
        kill_and_tear(&scene, run, "fetches", || scene.fetching(&reading))?;
        // Where all of it is there, and the home does not know any more, that is said.
        let there = scene.world.path("out").join(&record).exists();
        match scene.fetch(&reading) {
            Ok(fetched) => assert!(fetched["receipt"].is_object(), "run {run}: {fetched}"),
            Err(error) => ensure!(
                there && error.to_string().contains(r#""exists""#),
                "run {run}: {error:#}"
            ),
        }
        assert!(scene.has_arrived("out")?, "run {run}");
        fs::remove_dir_all(scene.world.path("out"))?;
    }
    assert_eq!(scene.records()?, usize::try_from(RUNS)?);
    Ok(())
}

/// Kills a program after a time that grows with the runs, and tears each file below a folder of its home: gone, empty, half, or zeros.
fn kill_and_tear(scene: &Scene, run: u64, folder: &str, start: impl FnOnce() -> Result<Child>) -> Result<()> {
    let mut child = start()?;
    thread::sleep(Duration::from_millis(30 * run));
    // One that has ended by then has told what it did.
    if child.try_wait()?.is_some_and(|status| status.success()) {
        return Ok(());
    }
    child.kill()?;
    child.wait()?;
    for (number, entry) in walkdir::WalkDir::new(scene.north.home().join(folder))
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .enumerate()
    {
        let file = File::options().write(true).open(entry.path())?;
        let length = file.metadata()?.len();
        match (run + u64::try_from(number)?) % 5 {
            0 => fs::remove_file(entry.path())?,
            1 => file.set_len(0)?,
            2 => file.set_len(length / 2)?,
            3 => {
                file.set_len(length / 2)?;
                file.set_len(length)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// FLW-17: whatever has happened to a disk.
#[test]
fn an_upload_whose_home_has_lost_it_goes_on_under_the_same_use() -> Result<()> {
    let scene = Scene::set()?;
    let permission = scene.offer()?;
    let file = scene.file("study.bin", LENGTH)?;
    scene.kill_after(24 << 20, || scene.sending(&permission, &file))?;
    let journals = scene.north.home().join("uploads");
    ensure!(journals.exists(), "there is a journal");
    fs::remove_dir_all(&journals)?;
    let sent = scene.send(&permission, &file)?;
    assert_eq!(
        (&sent["resumed_bytes"], &sent["already"]),
        (&0.into(), &false.into())
    );
    assert_eq!(scene.permission(&permission)?["uses_left"], 0);
    assert_eq!(scene.records()?, 1);
    let spent = scene
        .north
        .fail(&["upload", "send", &permission, &file.display().to_string()])?;
    assert_eq!(spent.json["error"]["code"], "permission-spent", "{spent:?}");
    // What it was spent for is said: whoever has not seen the answer asks nobody again (FLW-22).
    assert!(spent.text.contains(&text(&sent, "record_id")?), "{spent:?}");
    Ok(())
}

/// FLW-19: a mode, a link or a time of a file that is being sent is not its content.
#[cfg(unix)]
#[test]
fn what_is_done_to_a_file_but_not_to_its_content_changes_nothing() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::set()?;
    let permission = scene.offer()?;
    let file = scene.file("study.bin", LENGTH)?;
    let mut child = scene.sending(&permission, &file)?;
    let mut number = 0;
    wait_for(|| {
        number += 1;
        let mode = [0o640, 0o600][number % 2];
        fs::set_permissions(&file, PermissionsExt::from_mode(mode))?;
        if number < 9 {
            fs::hard_link(&file, scene.world.path(&format!("link-{number}")))?;
        }
        thread::sleep(Duration::from_millis(20));
        Ok(child.try_wait()?.is_some())
    })?;
    let output = child.wait_with_output()?;
    assert!(output.status.success() && number > 3, "{number} {output:?}");
    assert_eq!(scene.records()?, 1);
    Ok(())
}

/// FLW-19, CNT-14: a content that changes is named at once; the use stays, and the next run sends what is there then.
#[test]
fn a_content_that_changes_is_named_and_costs_nothing() -> Result<()> {
    let scene = Scene::set()?;
    let permission = scene.offer()?;
    let file = scene.file("study.bin", LENGTH)?;
    let cuts = scene.proxy.cuts();
    // The connection is taken up again; by then much has been read.
    scene.proxy.cut_after(8 << 20);
    let mut child = scene.sending(&permission, &file)?;
    wait_for(|| Ok(scene.proxy.cuts() > cuts || child.try_wait()?.is_some()))?;
    let mut change = File::options().write(true).open(&file)?;
    change.seek(SeekFrom::Start(1000))?;
    change.write_all(b"another finding")?;
    drop(change);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let refused: Value = serde_json::from_str(&said).context(said.clone())?;
    assert_eq!(refused["error"]["code"], "source-changed", "{said}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("study.bin"), "{told}");
    assert_eq!(scene.records()?, 0);

    let sent = scene.send(&permission, &file)?;
    let out = scene.world.path("own").display().to_string();
    scene
        .patient
        .run(&["records", "get", &text(&sent, "record_id")?, "--out", &out])?;
    assert!(scene.has_arrived("own")?);
    assert_eq!(scene.records()?, 1);
    Ok(())
}

/// FLW-9, FLW-17: a budget for once, and killed twice in the middle, once with all that its home knew of it.
#[test]
fn a_download_that_is_killed_goes_on_where_it_stopped() -> Result<()> {
    let scene = Scene::set()?;
    let file = scene.file("study.bin", LENGTH)?;
    let permission = scene.readable(&file)?;
    scene.kill_after(40 << 20, || scene.fetching(&permission))?;
    scene.kill_after(8 << 20, || scene.fetching(&permission))?;
    fs::remove_dir_all(scene.north.home().join("fetches"))?;
    // From here on less than all may come. What was on its way through this machine and not yet on its disk comes again.
    let out = scene.world.path("out");
    assert!(hashes(&out)?.keys().all(|name| name.contains(".partial")));
    let cuts = scene.proxy.cuts();
    scene.proxy.cut_after(u32::try_from(LENGTH - (8 << 20))?);
    let fetched = scene.fetch(&permission)?;
    assert_eq!(scene.proxy.cuts(), cuts, "it came once more from the beginning");
    scene.proxy.cut_after(u32::MAX);
    assert_eq!(fetched["already"], false, "{fetched}");
    assert!(scene.has_arrived("out")?);
    let shown = scene.permission(&permission)?;
    assert_eq!(
        (&shown["uses_left"], &shown["bytes_left"]),
        (&0.into(), &0.into())
    );
    assert_eq!(scene.records()?, 1);
    Ok(())
}

/// FLW-19: what a power cut has done to a part of a download is fetched again, and nobody is accused.
#[test]
fn a_torn_part_of_a_download_is_fetched_again() -> Result<()> {
    let scene = Scene::set()?;
    let file = scene.file("study.bin", LENGTH)?;
    let permission = scene.readable(&file)?;
    scene.kill_after(24 << 20, || scene.fetching(&permission))?;
    let out = scene.world.path("out");
    let left = walkdir::WalkDir::new(&out).into_iter().flatten();
    let part = left
        .filter(|entry| entry.file_name() == "study.bin")
        .last()
        .context("nothing was left")?;
    let mut torn = File::options().write(true).open(part.path())?;
    torn.seek(SeekFrom::Start(3 << 20))?;
    torn.write_all(&[0; 5000])?;
    drop(torn);
    scene.fetch(&permission)?;
    assert!(scene.has_arrived("out")?);
    Ok(())
}

/// API-10: whoever has not seen the answer asks again, and is told what was done.
#[test]
fn a_repeated_command_finds_what_the_one_before_did() -> Result<()> {
    let scene = Scene::set()?;
    let file = scene.file("result.txt", 2000)?;
    let (permission, path) = (scene.offer()?, file.display().to_string());
    let unseen = |args: &[&str]| -> Result<()> {
        // Nobody can read what it says.
        let full = File::options().write(true).open("/dev/full")?;
        let mut child = scene.north.command(args)?.stdout(Stdio::from(full)).spawn()?;
        ensure!(!child.wait()?.success(), "its answer was written");
        Ok(())
    };
    unseen(&["upload", "send", &permission, &path])?;
    assert_eq!(scene.records()?, 1);
    let again = scene.send(&permission, &file)?;
    assert_eq!(again["already"], true, "{again}");
    assert!(again["receipt"].is_object(), "{again}");
    let records = scene.patient.run(&["records"])?;
    assert_eq!(array(&records, "records")?[0]["record_id"], again["record_id"]);
    // It was told: the same is another record from now on, and that is not permitted.
    let spent = scene.north.fail(&["upload", "send", &permission, &path])?;
    assert_eq!(spent.json["error"]["code"], "permission-spent", "{spent:?}");

    let reading = scene.readable(&file)?;
    unseen(&["download", "fetch", &reading, "--out", &scene.out()])?;
    let again = scene.fetch(&reading)?;
    assert_eq!(again["already"], true, "{again}");
    assert!(again["receipt"].is_object(), "{again}");
    let taken = scene
        .north
        .fail(&["download", "fetch", &reading, "--out", &scene.out()])?;
    assert_eq!(taken.json["error"]["code"], "exists", "{taken:?}");
    Ok(())
}

/// FLW-6, FLW-17: what another terminal has begun is named, and its place taken only when somebody says so.
#[test]
fn another_terminals_upload_is_taken_over_on_request() -> Result<()> {
    let scene = Scene::set()?;
    let (ward, ward_id) = terminal(&scene.world, &scene.north, &scene.north_id, "Ward 3")?;
    let (office, _) = terminal(&scene.world, &scene.north, &scene.north_id, "Office")?;
    let permission = scene.offer()?;
    let file = scene.file("study.bin", LENGTH)?;
    let path = file.display().to_string();
    let send = ["upload", "send", &permission, &path];
    scene.kill_after(24 << 20, || ward.spawn(&send))?;
    let refused = office.fail(&send)?;
    assert_eq!(refused.json["error"]["code"], "permission-in-use", "{refused:?}");
    assert!(
        refused.text.contains(&ward_id) && refused.text.contains("--take-over"),
        "{refused:?}"
    );
    office.run(&[&send[..], &["--take-over"]].concat())?;
    assert_eq!(scene.records()?, 1);
    let spent = ward.fail(&send)?;
    assert_eq!(spent.json["error"]["code"], "permission-spent", "{spent:?}");
    Ok(())
}

/// FLW-20: a bit of a leaf has flipped at the server. It is said which record, at once, at both ends, and costs nothing.
#[test]
fn a_damaged_record_is_named_and_costs_nothing() -> Result<()> {
    let mut scene = Scene::set()?;
    let file = scene.file("study.bin", 6 << 20)?;
    let permission = scene.readable(&file)?;
    assert!(scene.world.server.stop()?.success());
    scene.world.server.flip_a_leafs_bit(5 << 20)?;
    scene.world.server.restart()?;

    let started = Instant::now();
    let refused = scene
        .north
        .fail(&["download", "fetch", &permission, "--out", &scene.out()])?;
    assert_eq!(refused.json["error"]["code"], "record-damaged", "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{refused:?}");
    let log = fs::read_to_string(scene.world.server.log())?;
    let named = |line: &&str| line.contains("ERROR") && line.contains("ver_");
    let line = log.lines().find(named).context(log.clone())?;
    let (_, behind) = line.split_once("leaf=").context("which leaf")?;
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    let before: u64 = digits.parse()?;
    ensure!(before > 0, "the first leaf is the damaged one: {line}");

    // Paid is what came before it, and nothing else.
    let shown = scene.permission(&permission)?;
    let total = (6 << 20) + (64 << 10);
    let left = shown["bytes_left"].as_u64().context("bytes_left")?;
    assert!(
        left > total - ((before + 1) << 20) && left < total,
        "{shown} {line}"
    );
    let receipts = scene.patient.run(&["history", "--verify"])?;
    assert_eq!(receipts["checked"]["holds"], true, "{receipts}");
    assert!(
        hashes(&scene.world.path("out"))?.is_empty(),
        "half of a record lies about"
    );
    Ok(())
}

/// FLW-9, FLW-16: a transfer that takes longer than its release goes on under another use, and pays for the rest alone.
#[test]
fn a_download_longer_than_its_release_goes_on_behind_what_has_come() -> Result<()> {
    let mut scene = Scene::set()?;
    let file = scene.file("study.bin", LENGTH)?;
    let sent = scene.send(&scene.offer()?, &file)?;
    let total = sent["bytes"].as_u64().context("bytes")?;
    let permission = scene.permit(&sent, 20, 2 * total)?;
    scene.world.server.stop()?;
    let public = scene.proxy.address().to_string();
    scene
        .world
        .server
        .restart_with(&["--public-authority", &public, "--release-ttl", "4s"])?;
    scene.kill_after(40 << 20, || scene.fetching(&permission))?;
    thread::sleep(Duration::from_secs(5));
    scene.fetch(&permission)?;
    assert!(scene.has_arrived("out")?);
    let shown = scene.permission(&permission)?;
    let left = shown["bytes_left"].as_u64().context("bytes_left")?;
    assert!(left > total / 4, "it paid for all of it again: {shown}");
    assert!(
        shown["uses_left"].as_u64() < Some(19),
        "one release was enough: {shown}"
    );
    assert_eq!(scene.records()?, 1);
    Ok(())
}

/// FLW-17, CND-2: what was begun for another purpose makes room, and what was fetched and put elsewhere is fetched by another use.
#[test]
fn what_an_earlier_run_has_left_stands_in_nobodys_way() -> Result<()> {
    let scene = Scene::set()?;
    let file = scene.file("study.bin", LENGTH)?;
    let permission = scene.readable(&file)?;
    // Cut before a leaf has come.
    let out = scene.out();
    let for_research = [
        "download",
        "fetch",
        &permission,
        "--out",
        &out,
        "--purpose",
        "HRESCH",
    ];
    scene.kill_after(24 << 20, || scene.north.spawn(&for_research))?;
    let treat = [
        "download",
        "fetch",
        &permission,
        "--out",
        &out,
        "--purpose",
        "TREAT",
    ];
    let spent = scene.north.fail(&treat)?;
    // A leaf has come for that purpose, so the only use is spent: it is not said that somebody has it.
    assert_eq!(spent.json["error"]["code"], "permission-spent", "{spent:?}");

    let small = scene.file("result.txt", 2000)?;
    let permission = scene.readable_often(&small, 2, 2)?;
    let first = scene.world.path("first").display().to_string();
    let full = File::options().write(true).open("/dev/full")?;
    let unseen = ["download", "fetch", &permission, "--out", &first];
    let mut child = scene.north.command(&unseen)?.stdout(Stdio::from(full)).spawn()?;
    ensure!(!child.wait()?.success(), "its answer was written");
    let second = scene.world.path("second").display().to_string();
    let fetched = scene
        .north
        .run(&["download", "fetch", &permission, "--out", &second])?;
    assert_eq!(fetched["already"], false, "{fetched}");
    assert_eq!(hashes(&scene.world.path("second"))?.len(), 1);
    Ok(())
}

/// FLW-19: a file that cannot be read is named before anything is presented.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read_is_named_before_it_is_presented() -> Result<()> {
    let scene = Scene::set()?;
    let permission = scene.offer()?;
    let folder = scene.world.path("study");
    fs::create_dir(&folder)?;
    fs::write(folder.join("IM1"), "image")?;
    // Nobody can read it at its beginning, whoever he is.
    std::os::unix::fs::symlink("/proc/self/mem", folder.join("IM2"))?;
    let path = folder.display().to_string();
    let refused = scene
        .north
        .fail(&["upload", "send", &permission, &path, "--follow"])?;
    assert!(refused.text.contains("IM2"), "{refused:?}");
    let history = scene.patient.run(&["history"])?;
    assert!(!history.to_string().contains("\"presented\""), "{history}");
    fs::remove_file(folder.join("IM2"))?;
    scene.send(&permission, &folder)?;
    assert_eq!(scene.records()?, 1);
    Ok(())
}

/// FLW-19: where there is no room for a download it is not presented.
#[test]
fn a_download_that_has_no_room_is_not_presented() -> Result<()> {
    let scene = Scene::set()?;
    let permission = scene.readable(&scene.file("study.bin", 6 << 20)?)?;
    let (out, folder) = (scene.world.path("out"), scene.out());
    fs::create_dir(&out)?;
    let fetch = ["download", "fetch", &permission, "--out", &folder];
    let small = r#"mount -t tmpfs -o size=2m tmpfs "$1""#;
    let Some(refused) = scene.north.output_with_mount(small, &out, &fetch)? else {
        return Ok(());
    };
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("no room") && said.contains("nothing was charged"),
        "{said}"
    );
    let presented = |history: &Value| history.to_string().matches("\"presented\"").count();
    let before = presented(&scene.patient.run(&["history"])?);
    scene.fetch(&permission)?;
    assert!(scene.has_arrived("out")?);
    assert_eq!(presented(&scene.patient.run(&["history"])?), before + 1);
    Ok(())
}

/// FLW-19: what does not fit is said before anything is presented.
#[test]
fn what_is_too_large_is_refused_before_it_is_presented() -> Result<()> {
    let scene = Scene::set()?;
    let offer = scene.patient.run(&[
        "upload",
        "request",
        "--to",
        "Hospital North",
        "--text",
        "t",
        "--max-bytes",
        "1000",
    ])?;
    let permission = text(&offer, "permission_id")?;
    let file = scene.file("result.txt", 20_000)?;
    let refused = scene
        .north
        .fail(&["upload", "send", &permission, &file.display().to_string()])?;
    assert_eq!(refused.json["error"]["code"], "bytes-spent", "{refused:?}");
    let history = scene.patient.run(&["history"])?;
    assert!(!history.to_string().contains("\"presented\""), "{history}");
    assert_eq!(scene.permission(&permission)?["uses_left"], 1);
    Ok(())
}
