//! A server on which an old copy of its data was put back: what was revoked since is not revoked there (LOG-22, LOG-23, REV-11).

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use protocol_spec::defence::Defence;
use serde_json::Value;
use tests::{
    attack::play,
    harness::{Cli, Refused, Witness, World, text},
};

use super::{
    flows::{array, hashes, upload},
    witnesses::copy,
};

/// The operator takes all witnesses away, and means it (OPR-3).
pub(super) const WITHOUT_WITNESSES: &[&str] = &["--accept-witness-policy", "none"];

/// A patient who has permitted a record to a hospital twice, and lets another patient read it; a server with a witness.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) witness: Witness,
    pub(super) patient: Cli,
    patient_id: String,
    pub(super) hospital: Cli,
    pub(super) mother: Cli,
    record: String,
    pub(super) delegation: String,
    pub(super) permission: String,
    pub(super) other: String,
    /// The request that the permission `other` answers.
    request: String,
}

impl Scene {
    pub(super) fn set(off: &[Defence]) -> Result<Self> {
        let mut world = match off {
            [] => World::start()?,
            off => World::start_without(off)?,
        };
        let log = world.server.log_key().to_owned();
        let witness = Witness::start(&world.path("w"), "witness.example/w", &[log])?;
        let line = format!("witness w {} ", witness.vkey());
        let asked = world.path("server.policy");
        fs::write(&asked, format!("{line}{}\nquorum w\n", witness.url()))?;
        fs::write(world.path("client.policy"), format!("{line}\nquorum w\n"))?;
        world.server.stop()?;
        let asked = asked.display().to_string();
        world
            .server
            .restart_with(&["--witness-policy", &asked, "--witness-pace", "50ms"])?;
        let (patient, patient_id) = world.patient("patient")?;
        let (mother, mother_id) = world.patient("mother")?;
        let (hospital, _) = world.institution("St. Anna")?;
        let file = world.path("result.txt");
        fs::write(&file, "HbA1c 7.4 %")?;
        let record = upload(&patient, &hospital, "St. Anna", &file.display().to_string())?;
        patient.run(&["records"])?;
        let permit = || -> Result<(String, String)> {
            let ask = ["download", "request", "--patient", &patient_id, "--text", "t"];
            let asked = text(&hospital.run(&ask)?, "request_id")?;
            let answer = patient.run(&["permit", &asked, "--record", &record, "--uses", "9"])?;
            Ok((text(&answer, "permission_id")?, asked))
        };
        let ((permission, _), (other, request)) = (permit()?, permit()?);
        let add = [
            "delegate",
            "add",
            &mother_id,
            "--name",
            "Mother",
            "--until",
            "2040-04-01",
        ];
        patient.run(&add)?;
        let given = patient.run(&["delegate", "list"])?;
        let delegation = text(&array(&given, "given")?[0], "delegation_id")?;
        mother.run(&["delegate", "accept", &delegation])?;
        Ok(Self {
            world,
            witness,
            patient,
            patient_id,
            hospital,
            mother,
            record,
            delegation,
            permission,
            other,
            request,
        })
    }

    /// The hospital and the delegate ask for the witness themselves.
    pub(super) fn with_policies(self) -> Result<Self> {
        let policy = self.world.path("client.policy").display().to_string();
        for principal in [&self.hospital, &self.mother] {
            principal.run(&["witnesses", "use", &policy])?;
        }
        Ok(self)
    }

    /// A narrower permission in the place of the other one.
    fn narrow(&self) -> Result<String> {
        let permit = [
            "permit",
            &self.request,
            "--record",
            &self.record,
            "--replaces",
            &self.other,
            "--uses",
            "3",
        ];
        text(&self.patient.run(&permit)?, "permission_id")
    }

    /// The patient takes one permission back, and the delegation, as the witness has seen; then the server's data is as it was before.
    pub(super) fn set_back(self) -> Result<OldCopy> {
        self.set_back_after(|_| Ok(()))
    }

    /// As [`Self::set_back`]; `more` is done after the copy was made, before anything is taken back.
    pub(super) fn set_back_after(mut self, more: impl FnOnce(&Self) -> Result<()>) -> Result<OldCopy> {
        let (data, before) = (self.world.server.data().to_owned(), self.world.path("before"));
        self.world.server.stop()?;
        copy(&data, &before)?;
        self.world.server.restart()?;
        let seen = cosigned(&self.witness)?;
        more(&self)?;
        self.patient.run(&["revoke", &self.permission])?;
        self.patient.run(&["delegate", "end", &self.delegation])?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while cosigned(&self.witness)? <= seen {
            ensure!(Instant::now() < deadline, "the witness has seen nothing of it");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.world.server.stop()?;
        let newest = self.world.path("newest");
        fs::rename(&data, &newest)?;
        copy(&before, &data)?;
        Ok(OldCopy { scene: self, newest })
    }

    /// Whether the record arrives; if not, how it is refused.
    pub(super) fn fetch(&self, by: &Cli, permission: &str) -> Result<Result<(), String>> {
        let out = self
            .world
            .path(&format!("out-{}", fs::read_dir(self.world.folder())?.count()));
        let target = out.display().to_string();
        arrived(by, &["download", "fetch", permission, "--out", &target], &out)
    }

    /// The same for whoever acts for the patient.
    pub(super) fn read_as_delegate(&self, by: &Cli) -> Result<Result<(), String>> {
        let out = self
            .world
            .path(&format!("out-{}", fs::read_dir(self.world.folder())?.count()));
        let target = out.display().to_string();
        let get = [
            "records",
            "get",
            &self.record,
            "--acting-for",
            &self.patient_id,
            "--out",
            &target,
        ];
        arrived(by, &get, &out)
    }
}

/// What came into a new folder, or with what code the command failed.
fn arrived(by: &Cli, command: &[&str], out: &Path) -> Result<Result<(), String>> {
    let output = by.command(command)?.output()?;
    let said: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    let files = match out.exists() {
        true => hashes(out)?.len(),
        false => 0,
    };
    if output.status.success() {
        ensure!(files == 1, "{said}");
        return Ok(Ok(()));
    }
    ensure!(files == 0, "{said}");
    Ok(Err(text(&said["error"], "code")?))
}

/// Leaves that the witness has cosigned.
fn cosigned(witness: &Witness) -> Result<u64> {
    let mut most = None;
    for file in fs::read_dir(witness.data().join("logs"))? {
        // What is just being written has another name, and may have gone.
        let note = fs::read_to_string(file?.path()).unwrap_or_default();
        let size = note.lines().nth(1).and_then(|size| size.parse().ok());
        most = most.max(size);
    }
    most.context("a size")
}

/// A server that is stopped, with an old copy of its data in its place.
pub(super) struct OldCopy {
    pub(super) scene: Scene,
    pub(super) newest: PathBuf,
}

impl OldCopy {
    /// The operator puts the newest copy back.
    fn restore(&mut self) -> Result<()> {
        let data = self.scene.world.server.data().to_owned();
        self.scene.world.server.stop()?;
        fs::remove_dir_all(&data)?;
        fs::rename(&self.newest, &data)?;
        Ok(())
    }

    fn revoke(&self, permission: &str) -> Result<Refused> {
        self.scene.patient.fail(&["revoke", permission])
    }

    /// Status line of the operator's own address.
    pub(super) fn ready(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.scene.world.server.admin())?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// ATK-87, LOG-22: an institution that was away holds a permission that was revoked since. The witness tells the server that its log
/// is short, and the server gives out nothing; without the defence, the record.
#[test]
fn an_old_copy_that_a_witness_contradicts_releases_nothing() -> Result<()> {
    play(&[Defence::WitnessWord], |off| {
        let mut old = Scene::set(off)?.set_back()?;
        old.scene.world.server.restart()?;
        // By a home that asks for no witness itself.
        match old.scene.fetch(&old.scene.hospital, &old.scene.permission)? {
            Ok(()) => Ok(true),
            Err(code) if code == "log-contradicted" => Ok(false),
            Err(code) => bail!("refused otherwise: {code}"),
        }
    })
}

/// LOG-22, REV-11: the operator is told, and goes on with the newest copy. Until then revocations are taken, also those that the newest
/// copy does not have; her device sends them again.
#[test]
fn a_contradicted_server_goes_on_with_the_newest_copy() -> Result<()> {
    let mut old = Scene::set(&[])?.set_back()?;
    old.scene.world.server.restart()?;
    let logged = fs::read_to_string(old.scene.world.server.log())?;
    ensure!(logged.contains("restore the newest copy"), "{logged}");
    ensure!(old.ready()?.contains("503") && old.ready()?.contains("contradicts"));
    for permission in [&old.scene.permission, &old.scene.other] {
        let refused = old.revoke(permission)?;
        ensure!(refused.json["error"]["code"] == "older-vault", "{refused:?}");
        ensure!(refused.text.contains("is revoked"), "{refused:?}");
    }
    old.restore()?;
    old.scene.world.server.restart()?;
    ensure!(old.ready()?.contains("200"), "{}", old.ready()?);
    // What the old copy has taken is lost with it, until she is here again.
    let all = old.scene.patient.run(&["permissions"])?;
    for permission in [&old.scene.permission, &old.scene.other] {
        let mut listed = array(&all, "permissions")?.iter();
        let state = listed.find(|one| one["permission_id"] == permission.as_str());
        ensure!(state.is_some_and(|one| one["state"] == "revoked"), "{all}");
        let refused = old.scene.fetch(&old.scene.hospital, permission)?;
        ensure!(refused == Err("permission-revoked".to_owned()), "{refused:?}");
    }
    let waiting = fs::read_to_string(old.scene.patient.home().join("revocations.json"))?;
    ensure!(waiting.lines().next() == Some("[]"), "{waiting}");
    Ok(())
}

/// REV-11: without witnesses the old copy releases under the permission that was revoked. Her device sees that the vault is an older
/// one, says so, and closes it all the same.
#[test]
fn what_has_come_back_to_life_can_be_revoked() -> Result<()> {
    let mut old = Scene::set(&[])?.set_back()?;
    old.scene.world.server.restart_with(WITHOUT_WITNESSES)?;
    let (hospital, permission) = (old.scene.hospital.clone(), old.scene.permission.clone());
    ensure!(
        old.scene.fetch(&hospital, &permission)? == Ok(()),
        "it has come back"
    );
    let refused = old.revoke(&permission)?;
    ensure!(refused.json["error"]["code"] == "older-vault", "{refused:?}");
    ensure!(refused.text.contains("is revoked"), "{refused:?}");
    let after = old.scene.fetch(&hospital, &permission)?;
    ensure!(after == Err("permission-revoked".to_owned()), "{after:?}");
    Ok(())
}

/// REV-11: a permission has taken another's place, which holds again on the old copy. By either id both are closed, there and on the
/// newest copy: the old one does not show the line in which they stand.
#[test]
fn what_took_its_place_is_closed_with_it() -> Result<()> {
    for by_the_new in [true, false] {
        let mut new = String::new();
        let mut old = Scene::set(&[])?.set_back_after(|scene| {
            new = scene.narrow()?;
            scene.patient.run(&["permissions"])?;
            Ok(())
        })?;
        old.scene.world.server.restart_with(WITHOUT_WITNESSES)?;
        let (hospital, before) = (old.scene.hospital.clone(), old.scene.other.clone());
        ensure!(old.scene.fetch(&hospital, &before)? == Ok(()), "it has come back");
        let refused = old.revoke(if by_the_new { &new } else { &before })?;
        ensure!(refused.text.contains("revoked"), "{refused:?}");
        let after = old.scene.fetch(&hospital, &before)?;
        ensure!(after == Err("permission-revoked".to_owned()), "{after:?}");
        old.restore()?;
        old.scene.world.server.restart()?;
        let all = old.scene.patient.run(&["permissions"])?;
        let mut listed = array(&all, "permissions")?.iter();
        let state = listed.find(|one| one["permission_id"] == new.as_str());
        ensure!(state.is_some_and(|one| one["state"] == "revoked"), "{all}");
    }
    Ok(())
}

/// ATK-88, LOG-23: the witness is silent, and the old copy shows what it cosigned before, an hour or a minute ago. An institution with
/// a policy receives nothing; without the check, the record under a revoked permission.
#[test]
fn an_old_cosignature_is_none_for_a_download() -> Result<()> {
    let mut old = Scene::set(&[])?.with_policies()?.set_back()?;
    old.scene.witness.kill()?;
    old.scene.world.server.restart()?;
    play(&[Defence::FreshCosignature], |off| {
        let hospital = by(&old.scene.hospital, off);
        not_witnessed(old.scene.fetch(&hospital, &old.scene.permission)?)
    })
}

/// ATK-88, LOG-23: the same for a delegate whose delegation was ended.
#[test]
fn an_old_cosignature_is_none_for_a_delegate() -> Result<()> {
    let mut old = Scene::set(&[])?.with_policies()?.set_back()?;
    old.scene.witness.kill()?;
    old.scene.world.server.restart()?;
    // Nothing that she has opened on this copy stands in a log that was cosigned.
    play(&[Defence::FreshCosignature], |off| {
        not_witnessed(old.scene.read_as_delegate(&by(&old.scene.mother, off))?)
    })
}

fn by(principal: &Cli, off: &[Defence]) -> Cli {
    match off {
        [] => principal.clone(),
        off => principal.without(off),
    }
}

/// Whether it arrived; if not, it must be for want of cosignatures.
fn not_witnessed(outcome: Result<(), String>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(code) if code == "not-witnessed" => Ok(false),
        Err(code) => bail!("refused otherwise: {code}"),
    }
}

/// LOG-13, LOG-23: where the witness answers, a download with a policy waits for it and goes on, and so does a delegate.
#[test]
fn a_download_with_a_policy_waits_for_one_round() -> Result<()> {
    let scene = Scene::set(&[])?.with_policies()?;
    ensure!(scene.fetch(&scene.hospital, &scene.permission)? == Ok(()));
    ensure!(scene.read_as_delegate(&scene.mother)? == Ok(()));
    Ok(())
}
