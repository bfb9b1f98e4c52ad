//! The whole download flow for one small record, human time excluded: request, permit, deliver, present,
//! opened and verified on disk.

use std::{fs, time::Instant};

use anyhow::Result;
use client_sdk::{Institution, Patient, PermitTerms, Selection, Unlock, UploadTerms};
use serde_json::{Value, json};
use tests::harness::World;

use crate::{samples::Samples, verification::Verification};

/// Plays the flow `repetitions` times with 8 KiB, after ten that are not counted.
pub(crate) fn measure(repetitions: usize) -> Result<Value> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(repetitions))
}

async fn run(repetitions: usize) -> Result<Value> {
    // One hospital asks one patient more often than anybody takes in a day (ACC-8).
    let often = ["--daily-of-known", "1000000", "--open-of-known", "1000000"];
    let world = World::start_with(&often)?;
    let (patient, _) = world.patient("patient")?;
    let (hospital, _) = world.institution("Hospital North")?;
    let key_file = |home: &std::path::Path| Unlock::KeyFile(home.with_extension("key"));
    let patient = Patient::open(patient.home(), &key_file(patient.home())).await?;
    let hospital = Institution::open(hospital.home(), &key_file(hospital.home())).await?;
    let file = world.path("result.bin");
    fs::write(&file, vec![7; 8 * 1024])?;
    let entry = patient.institution("Hospital North").await?;
    let (_, permission) = patient
        .request_upload(&entry, "result", &UploadTerms::default())
        .await?;
    let record = hospital.send_upload(permission, &[file], &()).await?.record_id;
    let selection = Selection::Records(vec![record]);

    let watch = Verification::watch();
    let (mut total, mut ask, mut permit, mut fetch, mut verified) =
        <(Samples, Samples, Samples, Samples, Samples)>::default();
    for number in 0..repetitions + 10 {
        let (started, before) = (Instant::now(), watch.millis());
        let request = hospital.request_download(patient.id(), "may we?", None).await?;
        let asked = started.elapsed().as_secs_f64() * 1e3;
        let permission = patient
            .permit(request, &selection, &PermitTerms::default())
            .await?;
        let permitted = started.elapsed().as_secs_f64() * 1e3;
        hospital
            .fetch(permission, None, &world.path(&format!("out-{number}")), &())
            .await?;
        let fetched = started.elapsed().as_secs_f64() * 1e3;
        if number >= 10 {
            total.add(fetched);
            ask.add(asked);
            permit.add(permitted - asked);
            fetch.add(fetched - permitted);
            verified.add(watch.millis() - before);
        }
    }
    Ok(json!({
        "repetitions": repetitions,
        "whole flow, p50, ms": total.median(),
        "whole flow, p99, ms": total.quantile(0.99),
        "request, p50, ms": ask.median(),
        "permit, p50, ms": permit.median(),
        "deliver, present, open, p50, ms": fetch.median(),
        "of which log, directory and heads, p50, ms": verified.median(),
        "their share of the flow, p50": verified.over(&total).median(),
    }))
}
