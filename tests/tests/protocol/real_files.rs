//! Real files: every DICOM object of PyPI `pydicom` and twenty FHIR bundles of `carebundle` go through
//! upload, download and reference, and come back bit by bit.
//!
//! The packages are fetched once into the user's cache. Where the registry cannot be reached, the test
//! says so and ends; in CI (`CI=true`) that is a failure.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tests::harness::{World, text};

use crate::flows::{download, hashes, upload};

const PYDICOM: &str = "pydicom==3.0.2";
const CAREBUNDLE: &str = "carebundle==0.5.0";
const DICOM_OBJECTS: usize = 167;
const BUNDLES: usize = 20;

fn cache() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(Path::new(&home).join(".cache/medvault/real-files"))
}

/// Installs a package into a folder of its own, once.
fn installed(package: &str) -> Result<PathBuf> {
    let target = cache()?.join(package);
    if target.join(".complete").exists() {
        return Ok(target);
    }
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
        ])
        .args([target.as_os_str(), package.as_ref()])
        .output()
        .context("python3 cannot be started")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::write(target.join(".complete"), "")?;
    Ok(target)
}

/// Copies every file of pydicom's test data that holds a DICOM object, as pydicom itself tells.
fn dicom_objects(package: &Path, to: &Path) -> Result<usize> {
    const SCRIPT: &str = "
import pathlib, shutil, sys, warnings
warnings.simplefilter('ignore')
import pydicom
source, target = map(pathlib.Path, sys.argv[1:])
for path in sorted(p for p in source.rglob('*') if p.is_file()):
    try:
        found = len(pydicom.dcmread(path, force=True, stop_before_pixels=True)) > 0
    except Exception:
        found = False
    if found and path.name != 'README' and path.suffix not in ('.txt', '.json', '.icc', '.dump', '.gz'):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
";
    python(package, SCRIPT, &[&package.join("pydicom/data/test_files"), to])?;
    Ok(hashes(to)?.len())
}

/// What pydicom says of each file that has a study: its UID, and the first day that there is of study, series, acquisition and content.
fn studies(package: &Path, of: &Path) -> Result<BTreeMap<String, [String; 2]>> {
    const SCRIPT: &str = "
import json, pathlib, sys, warnings
warnings.simplefilter('ignore')
import pydicom
folder = pathlib.Path(sys.argv[1])
found = {}
for path in sorted(p for p in folder.rglob('*') if p.is_file()):
    file = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    dates = (str(file.get(name) or '').replace('.', '') for name in ('StudyDate', 'SeriesDate', 'AcquisitionDate', 'ContentDate'))
    date = next((date for date in dates if len(date) == 8 and date.isdigit() and '1900' <= date), '')
    if file.get('StudyInstanceUID'):
        found[str(path.relative_to(folder))] = str(file.StudyInstanceUID), date and f'{date[:4]}-{date[4:6]}-{date[6:]}'
pathlib.Path(sys.argv[2]).write_text(json.dumps(found))
";
    let list = of.with_extension("studies");
    python(package, SCRIPT, &[of, &list])?;
    let found = serde_json::from_str(&fs::read_to_string(&list)?)?;
    fs::remove_file(list)?;
    Ok(found)
}

fn bundles(package: &Path, to: &Path) -> Result<usize> {
    const SCRIPT: &str = "
import pathlib, sys
from carebundle import generate_bundle
for seed in range(int(sys.argv[2])):
    bundle = generate_bundle(profile='type2_diabetes', seed=seed)
    text = bundle.model_dump_json(exclude_none=True)
    (pathlib.Path(sys.argv[1]) / f'bundle-{seed:02}.json').write_text(text)
";
    fs::create_dir_all(to)?;
    python(package, SCRIPT, &[to, Path::new(&BUNDLES.to_string())])?;
    Ok(hashes(to)?.len())
}

fn python(package: &Path, script: &str, args: &[&Path]) -> Result<()> {
    let output = Command::new("python3")
        .arg("-c")
        .arg(script)
        .args(args)
        .env("PYTHONPATH", package)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn dicom_and_fhir_files_come_back_bit_by_bit() -> Result<()> {
    let packages = installed(PYDICOM).and_then(|pydicom| Ok((pydicom, installed(CAREBUNDLE)?)));
    let (pydicom, carebundle) = match packages {
        Ok(packages) => packages,
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("SKIPPED: {PYDICOM} and {CAREBUNDLE} cannot be fetched: {error:#}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let world = World::start()?;
    let sent = world.path("sent");
    assert_eq!(dicom_objects(&pydicom, &sent.join("dicom"))?, DICOM_OBJECTS);
    assert_eq!(bundles(&carebundle, &sent.join("fhir"))?, BUNDLES);

    let (patient, patient_id) = world.patient("patient")?;
    let (north, _) = world.institution("Hospital North")?;
    let (south, _) = world.institution("Clinic South")?;
    let record = upload(&patient, &north, "Hospital North", &sent.display().to_string())?;
    let listed = patient.run(&["records"])?;
    let parts = listed["records"][0]["parts"].as_array().context("parts")?;
    let told = |field: &str| parts.iter().filter(|part| part[field].is_string()).count();
    assert!(
        told("dicom_study_uid") > 100,
        "{} files tell their study",
        told("dicom_study_uid")
    );
    // CNT-19, CNT-20: our reader finds what pydicom finds, in whatever encoding it is written and whatever it is called.
    let studies = studies(&pydicom, &sent.join("dicom"))?;
    let mut differ = Vec::new();
    for part in parts {
        let name = part["name"].as_str().context("name")?;
        let Some((_, name)) = name.split_once("dicom/") else {
            continue;
        };
        let field = |field: &str| part[field].as_str().unwrap_or_default().to_owned();
        let ours = [field("dicom_study_uid"), field("date")];
        let none = [String::new(), ours[1].clone()];
        let theirs = studies.get(name).unwrap_or(&none);
        if ours != *theirs {
            differ.push((name.to_owned(), ours, theirs.clone()));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(told("fhir_resource_type"), BUNDLES);

    let downloaded = world.path("downloaded");
    let fetched = download(
        &patient,
        &patient_id,
        &south,
        &record,
        &downloaded.display().to_string(),
    )?;
    let parts = fetched["records"][0]["parts"].as_array().context("parts")?;
    assert_eq!(parts.len(), DICOM_OBJECTS + BUNDLES);

    let referred = north.run(&[
        "reference",
        "request",
        "--patient",
        &patient_id,
        "--to",
        "Clinic South",
        "--text",
        "second opinion",
    ])?;
    let permitted = patient.run(&["permit", &text(&referred, "request_id")?, "--record", &record])?;
    let reference = world.path("reference");
    let out = reference.display().to_string();
    south.run(&[
        "download",
        "fetch",
        &text(&permitted, "permission_id")?,
        "--out",
        &out,
    ])?;

    let mut wanted: Vec<_> = hashes(&sent)?.into_values().collect();
    wanted.sort_unstable();
    for folder in [downloaded, reference] {
        let mut found: Vec<_> = hashes(&folder)?.into_values().collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{}", folder.display());
    }
    Ok(())
}
