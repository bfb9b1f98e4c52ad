//! Onto a stick that a doctor carries: exFAT, mounted for real where the machine can.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use tests::harness::text;

use super::Scene;
use crate::flows::hashes;

/// A real stick, where the system mounts one.
struct Stick {
    device: String,
    folder: PathBuf,
}

impl Stick {
    /// Formats a file with exFAT and mounts it; none where the machine has no programs for that, or does not allow it.
    fn mount(folder: &Path) -> Result<Option<Self>> {
        let run = |program: &str, args: &[&str]| -> Option<String> {
            let output = Command::new(program).args(args).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(text)
        };
        let (image, at) = (folder.join("stick.img"), folder.join("stick"));
        File::create(&image)?.set_len(64 << 20)?;
        fs::create_dir(&at)?;
        let (image, place) = (image.display().to_string(), at.display().to_string());
        let device = run("mkfs.exfat", &[&image]).and_then(|_| run("losetup", &["-f", "--show", &image]));
        let Some(device) = device else {
            return Ok(None);
        };
        let stick = Self { device, folder: at };
        let mounted = run("mount.exfat-fuse", &[&stick.device, &place]).is_some()
            || run("mount", &["-t", "exfat", &stick.device, &place]).is_some();
        Ok(mounted.then_some(stick))
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        for (program, what) in [
            ("umount", vec![self.folder.display().to_string()]),
            ("losetup", vec!["-d".to_owned(), self.device.clone()]),
        ] {
            drop(Command::new(program).args(what).output());
        }
    }
}

/// CNT-18: onto a stick that holds neither two names of different case nor some characters, and knows no modes.
#[test]
fn a_record_comes_onto_a_stick_of_exfat() -> Result<()> {
    let scene = Scene::set()?;
    let Some(stick) = Stick::mount(scene.world.folder())? else {
        println!("SKIPPED: exFAT cannot be mounted here: install exfat-fuse and exfatprogs, and run as root");
        return Ok(());
    };
    let study = scene.study()?;
    for name in ["im1", "IM1", "what?.txt"] {
        fs::write(study.join(name), name)?;
    }
    fs::write(stick.folder.join("x"), "")?;
    ensure!(stick.folder.join("X").exists(), "it is no exFAT");
    let sent = scene.send(&study, &[])?;
    let record = text(&sent, "record_id")?;
    let out = stick.folder.display().to_string();
    scene.patient.run(&["records", "get", &record, "--out", &out])?;
    let received = hashes(&stick.folder.join(&record))?;
    let files: Vec<_> = received.keys().collect();
    assert_eq!(files.len(), 3, "{files:?}");
    let left = fs::read_dir(&stick.folder)?
        .flatten()
        .map(|entry| entry.file_name());
    assert!(
        !left
            .into_iter()
            .any(|name| name.to_string_lossy().contains("partial"))
    );
    Ok(())
}
