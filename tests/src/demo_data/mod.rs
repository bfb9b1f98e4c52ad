//! Demo data that looks like what hospitals send: a CT series in DICOM and a patient summary in FHIR.
//!
//! Nobody's data: the patient is drawn from a seed, the images show a phantom made of ellipsoids, and the same
//! seed and number of slices give the same bytes on every machine.
//! The names in it serve as canaries: whoever searches the server's folder for them must find nothing.

mod ct;
mod identity;
mod phantom;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use identity::Identity;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number of images in the CT series, at least one.
    pub slices: u16,
    /// Chooses the patient and all identifiers.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { slices: 120, seed: 1 }
    }
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct DemoData {
    /// Folder with one DICOM file an image.
    pub ct: PathBuf,
    /// Number of images in it.
    pub slices: u16,
    /// Size of all images and the summary together, in bytes.
    pub bytes: u64,
    /// The International Patient Summary, a FHIR R4 document in JSON.
    pub ips: PathBuf,
    /// The patient's name as written in the images, `Family^Given`.
    pub patient: String,
    /// Strings that stand in the data and identify the patient.
    pub canaries: Vec<String>,
}

/// Writes the series to `out/ct/` and the summary to `out/ips.json`, making folders as needed.
pub fn write(out: &Path, options: Options) -> Result<DemoData> {
    let identity = Identity::draw(options.seed);
    let ct = out.join("ct");
    fs::create_dir_all(&ct).with_context(|| format!("cannot make the folder {}", ct.display()))?;
    let mut bytes = ct::write_series(&ct, &identity, options.slices)?;

    let ips = out.join("ips.json");
    let summary = serde_json::to_vec_pretty(&summary::document(&identity, options.slices))?;
    fs::write(&ips, &summary).with_context(|| format!("cannot write {}", ips.display()))?;
    bytes += summary.len() as u64;

    Ok(DemoData {
        ct,
        slices: options.slices,
        bytes,
        ips,
        patient: identity.dicom_name(),
        canaries: identity.canaries(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_same_bytes() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let options = Options { slices: 2, seed: 7 };
        let one = write(first.path(), options).unwrap();
        let two = write(second.path(), options).unwrap();
        assert_eq!(one.bytes, two.bytes);
        assert_eq!(fs::read(&one.ips).unwrap(), fs::read(&two.ips).unwrap());
        for image in fs::read_dir(&one.ct).unwrap().flatten() {
            let twin = two.ct.join(image.file_name());
            assert_eq!(fs::read(image.path()).unwrap(), fs::read(twin).unwrap());
        }
    }

    #[test]
    fn every_canary_stands_in_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let data = write(folder.path(), Options { slices: 1, seed: 3 }).unwrap();
        let image = fs::read_dir(&data.ct).unwrap().flatten().next().unwrap();
        let mut all = fs::read(image.path()).unwrap();
        all.extend(fs::read(&data.ips).unwrap());
        for canary in &data.canaries {
            assert!(
                all.windows(canary.len())
                    .any(|window| window == canary.as_bytes()),
                "{canary} is missing"
            );
        }
    }
}
