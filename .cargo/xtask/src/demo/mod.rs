//! `cargo xtask demo`: one patient, two hospitals, a registrar and a blind server, each a process of its own.
//!
//! It plays upload, download and reference with the programs that people use, says at each step who sends what
//! to whom, then searches the server's folder for what was sent and compares the received files byte for byte.

mod blindness;
mod by_hand;
mod cast;
mod files;
mod narrator;
mod principal;
mod server;
mod story;
pub(crate) mod transcripts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::process::{cargo, program, step};

use cast::Cast;
use narrator::{heading, size};

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub(crate) struct Options {
    /// Send the files of this folder instead of demo data
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Number of images in the CT series
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..=9999))]
    slices: u16,
    /// Leave the server running until Ctrl-C, and its folder afterwards
    #[arg(long)]
    keep: bool,
}

/// Builds the programs, plays the demo, and cleans up what it made.
///
/// Errors: the first step that fails, with the command and what it printed; or what the server could have read.
pub(crate) fn run(options: &Options) -> Result<()> {
    step("build", &mut cargo(["build", "--workspace", "--bins"]))?;
    let started = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("medvault-demo-")
        .tempdir()
        .context("cannot make a temporary folder")?;

    let input = Input::prepare(options, folder.path())?;
    let mut cast = Cast::gather(folder.path())?;
    let told = story::play(&cast, &input.folder)?;
    blindness::prove(&cast.server, &input.folder, &input.canaries, &told.secret_texts)?;
    heading("What arrived");
    for received in &told.received {
        files::compare(&input.folder, received)?;
    }
    heading(&format!("Done in {:.1} s", started.elapsed().as_secs_f64()));

    if options.keep {
        by_hand::explain(&cast, folder.path(), &told.record)?;
        let folder = folder.keep();
        cast.server.wait()?;
        println!(
            "The server has stopped; its folder and the homes are still in {}",
            folder.display()
        );
    } else {
        cast.server.stop()?;
        by_hand::suggest();
    }
    Ok(())
}

/// What the first hospital has of the patient.
struct Input {
    folder: PathBuf,
    /// Strings that identify the patient.
    canaries: Vec<String>,
}

impl Input {
    fn prepare(options: &Options, folder: &Path) -> Result<Self> {
        heading("The files");
        let input = match &options.files {
            Some(own) => Self {
                folder: own.clone(),
                canaries: Vec::new(),
            },
            None => Self::make(options.slices, &folder.join("files"))?,
        };
        let found = files::list(&input.folder)?;
        ensure!(
            !found.is_empty(),
            "{} holds no files: name a folder that does",
            input.folder.display()
        );
        let bytes = found.values().map(|file| file.bytes).sum();
        println!(
            "  {} files, {} in {}",
            found.len(),
            size(bytes),
            input.folder.display()
        );
        Ok(input)
    }

    fn make(slices: u16, folder: &Path) -> Result<Self> {
        let output = Command::new(program("demo-data")?)
            .arg("--out")
            .arg(folder)
            .args(["--slices", &slices.to_string()])
            .output()
            .context("cannot start demo-data")?;
        ensure!(
            output.status.success(),
            "demo-data failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let made: Value =
            serde_json::from_slice(&output.stdout).context("demo-data printed no JSON object")?;
        let patient = made["patient"].as_str().unwrap_or_default();
        println!(
            "  a CT series of {slices} images (DICOM) and a patient summary (FHIR) of {patient}, who does not exist"
        );
        let canaries = made["canaries"].as_array().into_iter().flatten();
        Ok(Self {
            folder: folder.to_path_buf(),
            canaries: canaries.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}
