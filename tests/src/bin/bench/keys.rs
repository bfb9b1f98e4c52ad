//! What key management costs, and how it grows with the number of records: permitting by collection and by list,
//! opening a vault, taking a collection's key out of use.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use client_sdk::{
    CollectionId, InCollection, Institution, NewDevice, Patient, PermissionId, PermitTerms, Selection,
    Unlock, UploadTerms,
};
use serde_json::{Map, Value, json};
use tests::harness::World;
use tokio::task::JoinSet;

use crate::samples::Samples;

/// Measures with 1, 1,000 and `records` records, as far as they are fewer.
pub(crate) fn measure(records: usize) -> Result<Value> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(records))
}

struct Scene {
    world: World,
    patient: Patient,
    hospital: Arc<Institution>,
    /// One sends at a time under each.
    uploads: Vec<PermissionId>,
    records: usize,
}

async fn run(records: usize) -> Result<Value> {
    let mut scene = Scene::set(records).await?;
    let mut figures = Map::new();
    let mut counts = vec![1, 1000, records];
    counts.retain(|count| *count <= records);
    counts.dedup();
    for count in &counts {
        scene.grow_to(*count).await?;
        figures.insert(
            format!("permit a collection of {count}, p50, ms"),
            scene.permit_collection().await?.into(),
        );
    }
    scene.grow_to(records).await?;
    let listed = records.min(MAX_LISTED);
    if records <= MAX_LISTED {
        let started = Instant::now();
        scene.permit(&Selection::All).await?;
        let each = started.elapsed().as_secs_f64() * 1e3 / usize_as_f64(listed);
        figures.insert(format!("permit a list of {listed}, ms a record"), round(each));
    }
    figures.insert(
        format!("open a vault of {records} on a new device and list it, s"),
        round(scene.open_anew().await?),
    );
    let (wall, cpu) = scene.revoke().await?;
    figures.insert(format!("new key for a collection of {records}, s"), round(wall));
    figures.insert("of that, processor time of the client, s".to_owned(), round(cpu));
    Ok(Value::Object(figures))
}

impl Scene {
    async fn set(records: usize) -> Result<Self> {
        // One patient and one hospital do what nobody does in a day (ACC-8).
        let world = World::start_with(&[
            "--sessions-per-institution",
            "4096",
            "--daily-of-known",
            "1000000",
            "--daily-to-institution",
            "1000000",
        ])?;
        let (patient, _) = world.patient("patient")?;
        let (hospital, _) = world.institution("Hospital North")?;
        let home = patient.home().to_owned();
        let patient = Patient::open(&home, &key_file(&home)).await?;
        let hospital = Institution::open(hospital.home(), &key_file(hospital.home())).await?;
        let entry = patient.institution("Hospital North").await?;
        let terms = UploadTerms {
            uses: u32::try_from(records)?.saturating_mul(2),
            ..UploadTerms::default()
        };
        let mut uploads = Vec::with_capacity(AT_ONCE);
        for _ in 0..AT_ONCE {
            uploads.push(patient.request_upload(&entry, "results", &terms).await?.1);
        }
        Ok(Self {
            world,
            patient,
            hospital: Arc::new(hospital),
            uploads,
            records: 0,
        })
    }

    /// Stores small records, several at a time, and adopts them.
    async fn grow_to(&mut self, count: usize) -> Result<()> {
        let mut sending = JoinSet::new();
        for (first, upload) in (self.records..).zip(&self.uploads) {
            let (hospital, upload) = (self.hospital.clone(), *upload);
            let file = self.world.path(&format!("result-{first}.txt"));
            sending.spawn(async move {
                for number in (first..count).step_by(AT_ONCE) {
                    std::fs::write(&file, format!("result {number}"))?;
                    hospital
                        .send_upload(upload, std::slice::from_ref(&file), &())
                        .await?;
                }
                anyhow::Ok(())
            });
        }
        for sent in sending.join_all().await {
            sent?;
        }
        anyhow::ensure!(
            self.patient.records().await?.refused.is_empty(),
            "some were refused"
        );
        self.records = count;
        Ok(())
    }

    async fn permit_collection(&self) -> Result<f64> {
        let mut samples = Samples::default();
        for number in 0..REPETITIONS + 5 {
            let request = self
                .hospital
                .request_download(self.patient.id(), "may we?", None)
                .await?;
            let of = InCollection {
                id: CollectionId::DEFAULT,
                until_now: false,
            };
            let started = Instant::now();
            self.patient
                .permit_collection(request, of, &PermitTerms::default())
                .await?;
            if number >= 5 {
                samples.add(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        Ok(samples.median())
    }

    async fn permit(&self, selection: &Selection) -> Result<()> {
        let request = self
            .hospital
            .request_download(self.patient.id(), "may we?", None)
            .await?;
        self.patient
            .permit(request, selection, &PermitTerms::default())
            .await?;
        Ok(())
    }

    /// Links a device; gives the seconds in which that opens the vault for the first time and has the list.
    async fn open_anew(&self) -> Result<f64> {
        let home = self.world.path("new-device");
        let unlock = key_file(&home);
        let mut device = NewDevice::offer(&home, self.world.server.link()).await?;
        let code = device.code();
        let (pending, short) = tokio::try_join!(
            self.patient.pending_device(&code),
            device.short_string(Duration::from_secs(30))
        )?;
        self.patient.approve_device(&pending, &short, "New").await?;
        drop(device.wait(&unlock, Duration::from_secs(30)).await?);
        let started = Instant::now();
        let patient = Patient::open(&home, &unlock).await?;
        let listed = patient.records().await?.records.len();
        anyhow::ensure!(listed == self.records, "{listed} of {}", self.records);
        Ok(started.elapsed().as_secs_f64())
    }

    /// Wall clock and this process' processor time of revoking a permission over all records.
    async fn revoke(&self) -> Result<(f64, f64)> {
        let all = self.patient.permissions().await?;
        let over = all
            .iter()
            .rev()
            .find(|permission| permission.collection.is_some());
        let permission = over.context("no permission")?.permission_id;
        let (started, before) = (Instant::now(), processor_seconds()?);
        self.patient.revoke(permission, &()).await?;
        Ok((started.elapsed().as_secs_f64(), processor_seconds()? - before))
    }
}

fn key_file(home: &std::path::Path) -> Unlock {
    Unlock::KeyFile(home.with_extension("key"))
}

/// Of this process, all threads, from `/proc/self/stat` (proc(5): utime and stime, in ticks of 10 ms).
fn processor_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no stat")?;
    let ticks = |at: usize| -> Result<f64> {
        let field = fields.split_whitespace().nth(at).context("no field")?;
        Ok(field.parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

#[allow(clippy::cast_precision_loss, reason = "a number of records")]
fn usize_as_f64(count: usize) -> f64 {
    count as f64
}

fn round(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

/// Most records that one permission names.
const MAX_LISTED: usize = 4096;
/// Uploads on the way at once.
const AT_ONCE: usize = 8;
/// Permissions that are timed.
const REPETITIONS: usize = 30;
