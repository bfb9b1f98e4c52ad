//! Collections, by the real programs: one permission for whatever lies in one, and nothing else.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use protocol_spec::{
    bodies::ReleaseTicket, collection::Collection, defence::Defence, ids::CollectionId, messages as pb,
    problem::Problem, statement::Signed,
};
use serde_json::Value;
use tests::{
    harness::{Cli, Refused, World, text},
    raw::{RawPatient, RawWorld, defended, now_ms, random},
};

/// A patient, a practice that sends and a clinic that reads.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) patient: Cli,
    pub(super) patient_id: String,
    pub(super) practice: Cli,
    pub(super) clinic: Cli,
}

impl Scene {
    pub(super) fn set() -> Result<Self> {
        Self::in_world(World::start()?)
    }

    pub(super) fn in_world(world: World) -> Result<Self> {
        let (patient, patient_id) = world.patient("patient")?;
        let (practice, _) = world.institution("Practice")?;
        let (clinic, _) = world.institution("Clinic")?;
        Ok(Self {
            world,
            patient,
            patient_id,
            practice,
            clinic,
        })
    }

    /// A record of one file, adopted.
    pub(super) fn record(&self, content: &str) -> Result<String> {
        self.record_of(content, content)
    }

    /// The same, under another name than its content.
    pub(super) fn record_of(&self, name: &str, content: &str) -> Result<String> {
        self.upload_by(&self.practice, "Practice", (name, content))
    }

    /// The same, made by another institution than the practice.
    pub(super) fn record_by(&self, maker: &Cli, called: &str, content: &str) -> Result<String> {
        self.upload_by(maker, called, (content, content))
    }

    fn upload_by(&self, maker: &Cli, called: &str, (name, content): (&str, &str)) -> Result<String> {
        let file = self.world.path(&format!("{name}.txt"));
        fs::write(&file, content)?;
        let offer = ["upload", "request", "--to", called, "--text", "t"];
        let permission = text(&self.patient.run(&offer)?, "permission_id")?;
        let sent = maker.run(&["upload", "send", &permission, &file.display().to_string()])?;
        self.patient.run(&["records"])?;
        text(&sent, "record_id")
    }

    pub(super) fn request(&self) -> Result<String> {
        self.request_by(&self.clinic)
    }

    pub(super) fn request_by(&self, institution: &Cli) -> Result<String> {
        let ask = [
            "download",
            "request",
            "--patient",
            &self.patient_id,
            "--text",
            "t",
        ];
        text(&institution.run(&ask)?, "request_id")
    }

    pub(super) fn permit(&self, collection: &str, more: &[&str]) -> Result<String> {
        self.permit_to(&self.clinic, collection, more)
    }

    pub(super) fn permit_to(&self, institution: &Cli, collection: &str, more: &[&str]) -> Result<String> {
        let request = self.request_by(institution)?;
        let args = [
            &["permit", &request, "--collection", collection, "--uses", "9"],
            more,
        ]
        .concat();
        text(&self.patient.run(&args)?, "permission_id")
    }

    /// What the clinic's download of a permission gives: the contents of all files.
    pub(super) fn fetch(&self, permission: &str) -> Result<BTreeSet<String>> {
        self.fetch_by(&self.clinic, permission)
    }

    pub(super) fn fetch_by(&self, institution: &Cli, permission: &str) -> Result<BTreeSet<String>> {
        let out = self
            .world
            .path(&format!("out-{}", fs::read_dir(self.world.folder())?.count()));
        institution.run(&[
            "download",
            "fetch",
            permission,
            "--out",
            &out.display().to_string(),
        ])?;
        contents(&out)
    }

    pub(super) fn fetch_refused(&self, permission: &str) -> Result<Refused> {
        let out = self.world.path("refused").display().to_string();
        self.clinic
            .fail(&["download", "fetch", permission, "--out", &out])
    }

    pub(super) fn collections(&self) -> Result<Vec<Value>> {
        let list = self.patient.run(&["collection", "list"])?;
        Ok(list["collections"].as_array().context("no list")?.clone())
    }
}

pub(super) fn contents(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry?;
        if entry.file_type().is_file() {
            found.insert(fs::read_to_string(entry.path())?);
        }
    }
    Ok(found)
}

pub(super) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// COL-6: also what is placed later; with `--until-now`, exactly the records there are.
#[test]
fn a_permission_over_a_collection_covers_what_lies_in_it() -> Result<()> {
    let scene = Scene::set()?;
    let (heart, skin) = (scene.record("heart")?, scene.record("skin")?);
    scene.patient.run(&["collection", "create", "cardiology"])?;
    scene
        .patient
        .run(&["collection", "move", &heart, "--to", "cardiology"])?;
    let open = scene.permit("cardiology", &[])?;
    let bounded = scene.permit("cardiology", &["--until-now"])?;
    assert_eq!(scene.fetch(&open)?, set(&["heart"]));
    assert_eq!(scene.fetch(&bounded)?, set(&["heart"]));

    let later = scene.record("later")?;
    scene
        .patient
        .run(&["collection", "move", &later, &skin, "--to", "cardiology"])?;
    assert_eq!(scene.fetch(&open)?, set(&["heart", "later", "skin"]));
    assert_eq!(scene.fetch(&bounded)?, set(&["heart"]));

    scene
        .patient
        .run(&["collection", "move", &heart, "--to", "default"])?;
    assert_eq!(scene.fetch(&open)?, set(&["later", "skin"]));

    scene.patient.run(&["revoke", &open])?;
    let refused = scene.fetch_refused(&open)?;
    assert!(refused.text.contains("revoked"), "{refused:?}");
    // What lies where is hers to see, and her own records open as before.
    let records = scene.patient.run(&["records"])?;
    let of = |record: &str| {
        let all = records["records"].as_array().into_iter().flatten();
        let mut all = all.filter(|entry| entry["record_id"] == record);
        all.next().map(|entry| entry["collection_id"].clone())
    };
    let ids: Vec<_> = scene
        .collections()?
        .iter()
        .map(|c| c["collection_id"].clone())
        .collect();
    assert_eq!(of(&heart).as_ref(), ids.first());
    assert_eq!(of(&skin).as_ref(), ids.get(1));
    let out = scene.world.path("own");
    scene
        .patient
        .run(&["records", "get", &skin, "--out", &out.display().to_string()])?;
    assert_eq!(contents(&out)?, set(&["skin"]));
    Ok(())
}

/// COL-7: the holder of a permission over one collection asks for what lies in another.
#[tokio::test]
async fn what_lies_in_another_collection_is_not_released() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        let hospital = world.institution("Hospital North").await?;
        let own = Collection {
            id: CollectionId::mint(now_ms(), random()?),
            epoch: 0,
        };
        patient.put_collection(wire, own).await?;
        let (inside, outside) = (
            hospital.upload(wire, &patient, 1_000).await?,
            hospital.upload(wire, &patient, 2_000).await?,
        );
        patient.place(wire, &inside, own, 1).await?;
        patient.put_collection(wire, Collection::DEFAULT).await?;
        patient.place(wire, &outside, Collection::DEFAULT, 2).await?;
        let request = hospital.ask(wire, &patient).await?;
        let id = patient
            .permit_collection(wire, &hospital.entry, request, own)
            .await?;
        let answer: pb::PresentationAnswer = hospital.present(wire, id).await?.message()?;
        let Some(pb::presentation_answer::Answer::Release(release)) = answer.answer else {
            anyhow::bail!("no release")
        };
        let ticket = Signed::<ReleaseTicket>::try_from(release.ticket)?;
        let leaves = |version| {
            let release = ticket.claimed().release_id;
            format!("/v1/releases/{release}/records/{version}/leaves?first=0&count=1")
        };
        let allowed = hospital.get(wire, &leaves(inside.version_id)).await?;
        anyhow::ensure!(allowed.body.len() as u64 == inside.stream_len, "{allowed:?}");
        hospital.get(wire, &leaves(outside.version_id)).await
    };
    defended(&[Defence::ReleasedRecords], Problem::NotPermitted, attack).await
}

/// COL-2: the server has no name of a collection.
#[test]
fn names_of_collections_are_hers_alone() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.record("heart")?;
    let name = "canary-collection-name-Q7";
    let made = scene.patient.run(&["collection", "create", name])?;
    assert_eq!(made["name"], name);
    let refused = scene.patient.fail(&["collection", "create", name])?;
    assert_eq!(refused.exit, 1, "{refused:?}");
    let names: Vec<_> = scene.collections()?.iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["default", name]);
    scene.world.server.stop()?;
    for entry in walkdir::WalkDir::new(scene.world.server.data()) {
        let entry = entry?;
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path())?;
            let found = bytes.windows(name.len()).any(|window| window == name.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
    Ok(())
}

#[test]
fn a_collection_that_is_not_there_is_named() -> Result<()> {
    let scene = Scene::set()?;
    let record = scene.record("heart")?;
    let request = scene.request()?;
    let refused = scene
        .patient
        .fail(&["permit", &request, "--collection", "nowhere"])?;
    assert!(
        refused.text.contains("nowhere") && refused.text.contains("list"),
        "{refused:?}"
    );
    let refused = scene
        .patient
        .fail(&["collection", "move", &record, "--to", "nowhere"])?;
    assert_eq!(refused.exit, 1, "{refused:?}");
    let refused = scene
        .patient
        .fail(&["permit", &request, "--record", &record, "--until-now"])?;
    assert_eq!(refused.exit, 2, "{refused:?}");
    Ok(())
}
