//! `demo-data --out DIR [--slices N] [--seed S]`: writes demo data and prints one JSON object about it.

#![allow(clippy::print_stdout, reason = "the result goes to standard output")]

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use tests::demo_data::{self, Options};

/// Make a CT series (DICOM) and a patient summary (FHIR) of an imaginary patient.
#[derive(Parser)]
struct Arguments {
    /// Folder to write to; made if it does not exist
    #[arg(long)]
    out: PathBuf,
    /// Number of images in the series
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..=9999))]
    slices: u16,
    /// Chooses the patient and all identifiers
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let Arguments { out, slices, seed } = Arguments::parse();
    let data = demo_data::write(&out, Options { slices, seed })?;
    println!("{}", serde_json::to_string(&data)?);
    Ok(())
}
