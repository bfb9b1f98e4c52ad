//! One upload permission for many records over a period: a chronic patient's laboratory (KEY-14, PRM-12, FLW-6; ATK-34).

use std::fs;

use anyhow::{Context, Result};
use crypto::{
    ExpectedPermission, OpenedPermission, OperatingSystem, UploadKey,
    content::{RecordContext, open_manifest, seal_manifest},
};
use protocol_spec::{
    content,
    defence::Defence,
    ids::{PermissionId, RecordId, VersionId},
    permission::{PermissionBody, SignedPermission},
    problem::Problem,
};
use tests::{
    harness::{World, text},
    raw::{Answer, RawInstitution, RawPatient, RawWorld, defended, now_ms, random},
};

#[test]
fn a_laboratory_sends_five_records_under_one_permission_and_no_sixth() -> Result<()> {
    let world = World::start()?;
    let (patient, _) = world.patient("alice")?;
    let (laboratory, _) = world.institution("Laboratory")?;
    let asked = patient.run(&[
        "upload",
        "request",
        "--to",
        "Laboratory",
        "--text",
        "HbA1c, every quarter",
        "--uses",
        "5",
        "--expires",
        "400d",
        "--max-bytes",
        "1MiB",
    ])?;
    let permission = text(&asked, "permission_id")?;
    let file = world.path("result.txt");
    let mut records = Vec::new();
    for quarter in 1..=5 {
        fs::write(&file, format!("HbA1c of quarter {quarter}"))?;
        let sent = laboratory.run(&["upload", "send", &permission, &file.display().to_string()])?;
        records.push(text(&sent, "record_id")?);
        let permissions = patient.run(&["permissions"])?;
        assert_eq!(
            permissions["permissions"][0]["uses_left"],
            5 - quarter,
            "{permissions}"
        );
    }
    let refused = laboratory.fail(&["upload", "send", &permission, &file.display().to_string()])?;
    assert_eq!(refused.json["error"]["code"], "permission-spent", "{refused:?}");

    // Each is a record of its own, adopted and readable.
    let listed = patient.run(&["records"])?;
    assert_eq!(listed["records"].as_array().map(Vec::len), Some(5), "{listed}");
    for (record, quarter) in records.iter().zip(1..) {
        let out = world.path(&format!("quarter-{quarter}"));
        patient.run(&["records", "get", record, "--out", &out.display().to_string()])?;
        let found = walkdir::WalkDir::new(&out).into_iter().flatten();
        let found = found
            .filter(|entry| entry.file_type().is_file())
            .last()
            .context("no file")?;
        assert_eq!(
            fs::read_to_string(found.path())?,
            format!("HbA1c of quarter {quarter}")
        );
    }
    Ok(())
}

/// KEY-14, ATK-34: no record's key opens another one's manifest, and what is permitted to write reads nothing else.
#[tokio::test]
async fn each_record_has_a_key_of_its_own() -> Result<()> {
    let world = RawWorld::start().await?;
    let laboratory = world.institution("Laboratory").await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let offer = patient.offer(&world.wire, &laboratory.entry, |body| body.uses = 5)?;
    let permission = SignedPermission::try_from(offer.message.permission.clone())?.verify()?;
    let expected = ExpectedPermission {
        body: permission.bytes(),
        id: &permission.permission_id,
        keys: 1,
        possession: &permission.possession_key,
        conditions: false,
    };
    let opened = OpenedPermission::<UploadKey>::open(&laboratory.recipient, permission.wrap(), &expected)?;
    let mut sealed = Vec::new();
    for _ in 0..5 {
        let context = RecordContext {
            patient: patient.id,
            record: RecordId::mint(now_ms(), random()?),
            version: VersionId::mint(now_ms(), random()?),
        };
        let key = opened
            .keys
            .record_key(&context.patient, &context.record, &context.version);
        let manifest = seal_manifest(&OperatingSystem, &key, &context, b"a manifest")?;
        sealed.push((key, context, manifest));
    }
    for (i, (key, ..)) in sealed.iter().enumerate() {
        for (j, (_, context, manifest)) in sealed.iter().enumerate() {
            assert_eq!(open_manifest(key, context, manifest).is_ok(), i == j, "{i} {j}");
        }
    }
    Ok(())
}

/// A laboratory with a permission to upload, after this change of it.
async fn standing(
    world: &RawWorld,
    edit: impl FnOnce(&mut PermissionBody),
) -> Result<(RawInstitution, PermissionId)> {
    let laboratory = world.institution("Laboratory").await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let offer = patient.offer(&world.wire, &laboratory.entry, edit)?;
    patient.submit_offer(&world.wire, &offer).await?;
    Ok((laboratory, offer.permission_id))
}

async fn send(world: &RawWorld, from: &RawInstitution, permission: PermissionId) -> Result<Answer> {
    let stream = vec![7; usize::try_from(content::stream_len(1000))?];
    from.upload_under(&world.wire, permission, &stream).await
}

#[tokio::test]
async fn the_sixth_record_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (laboratory, permission) = standing(world, |body| body.uses = 5).await?;
        for _ in 0..5 {
            let answer = send(world, &laboratory, permission).await?;
            anyhow::ensure!(answer.status.is_success(), "{answer:?}");
        }
        send(world, &laboratory, permission).await
    };
    defended(&[Defence::Budgets], Problem::PermissionSpent, attack).await
}

/// ATK-31: The byte budget is one for all records: what the first took is not there for the third.
#[tokio::test]
async fn bytes_are_counted_over_all_records() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let each = content::stream_len(1000);
        let (laboratory, permission) = standing(world, |body| {
            body.uses = 5;
            body.bytes = 2 * each;
        })
        .await?;
        for _ in 0..2 {
            let answer = send(world, &laboratory, permission).await?;
            anyhow::ensure!(answer.status.is_success(), "{answer:?}");
        }
        laboratory.present(&world.wire, permission).await
    };
    defended(&[Defence::Budgets], Problem::BytesSpent, attack).await
}

/// ATK-29
#[tokio::test]
async fn no_record_is_taken_after_the_period() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let end = now_ms() + 2500;
        let (laboratory, permission) = standing(world, |body| {
            body.uses = 5;
            body.not_after = end;
        })
        .await?;
        let answer = send(world, &laboratory, permission).await?;
        anyhow::ensure!(answer.status.is_success(), "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(2600)).await;
        send(world, &laboratory, permission).await
    };
    defended(&[Defence::Deadlines], Problem::PermissionExpired, attack).await
}
