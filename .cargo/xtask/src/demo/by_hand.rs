//! How to go on by hand: exact commands, with the paths of this run.

use std::path::Path;

use anyhow::{Context, Result};

use super::cast::Cast;
use super::narrator::heading;
use super::principal::{Actor, PASSPHRASE};
use crate::process::program;

/// Prints commands that work while the server runs.
pub(super) fn explain(cast: &Cast, folder: &Path, record: &str) -> Result<()> {
    let programs = program("medvault")?;
    let programs = programs.parent().context("the programs lie in no folder")?;
    let patient = home_option(&cast.patient);
    heading("The server keeps running. In another terminal:");
    println!(
        "  export PATH={}:$PATH MEDVAULT_PASSPHRASE='{PASSPHRASE}'",
        programs.display()
    );
    println!("  medvault records {patient}");
    println!(
        "  medvault records get {record} --out {}/mine {patient}",
        folder.display()
    );
    println!("  medvault permissions {patient}");
    println!("  medvault history {patient}");
    println!("  medvault directory {patient}");
    println!();
    explain_transfers(cast, folder, &patient);
    println!(
        "  another patient, or your own home: medvault patient enrol --home DIR --server '{}'",
        cast.server.link()
    );
    println!(
        "  what the operator sees: {}",
        cast.server
            .possessions()
            .map(|path| path.display().to_string())
            .join(", ")
    );
    println!(
        "  stop with Ctrl-C; then remove everything with: rm -r {}",
        folder.display()
    );
    Ok(())
}

/// Prints how to upload something and how to download it.
fn explain_transfers(cast: &Cast, folder: &Path, patient: &str) {
    let (north, south) = (home_option(&cast.north), home_option(&cast.south));
    println!("  # an upload of your own: the last two commands take the ids that the ones before them print");
    println!(
        "  echo 'my blood test, please' | medvault upload request --to '{}' --text - {patient}",
        cast.north.name()
    );
    println!("  medvault inbox {north}");
    println!("  medvault upload send PERMISSION FILE {north}");
    println!();
    println!("  # and a download");
    println!(
        "  echo 'may we see it?' | medvault download request --patient {} --text - {south}",
        cast.patient_id
    );
    println!("  medvault permit REQUEST --all {patient}");
    println!(
        "  medvault download fetch PERMISSION --out {}/hers {south}",
        folder.display()
    );
    println!();
}

/// The option by which a command is run as this principal.
fn home_option(principal: &Actor) -> String {
    format!("--home {}", principal.home().display())
}

/// Prints how to keep the server running.
pub(super) fn suggest() {
    println!("  Everything has been stopped and removed. To keep the server running and try by hand:");
    println!("      cargo xtask demo --keep");
    println!("  With files of your own:");
    println!("      cargo xtask demo --files DIR");
}
