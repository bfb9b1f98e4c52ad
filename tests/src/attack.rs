//! Attacks with their negative controls: each is played against the programs as they are, and against programs of
//! which a defence is off. What came of either is noted for `cargo xtask attacks`, which infers nothing.

use std::{fs::OpenOptions, io::Write};

use anyhow::{Context, Result, ensure};
use protocol_spec::defence::Defence;

/// The environment variable that names the file for what was observed, one JSON object a line; without it nothing is
/// noted.
pub const NOTES: &str = "MEDVAULT_ATTACK_NOTES";

/// Plays an attack, which says whether it succeeded, twice: with all defences, where it must fail, and without these,
/// where it must succeed.
pub fn play(off: &[Defence], attack: impl Fn(&[Defence]) -> Result<bool>) -> Result<()> {
    let outcome = [&[], off].map(|off| noted(off, attack(off)));
    judge(off, outcome)
}

/// The same for an attack that waits.
pub async fn play_async(off: &[Defence], attack: impl AsyncFn(&[Defence]) -> Result<bool>) -> Result<()> {
    let defended = noted(&[], attack(&[]).await);
    let control = noted(off, attack(off).await);
    judge(off, [defended, control])
}

/// Notes one outcome without these defences, or with all of them.
pub fn note(off: &[Defence], succeeded: bool) -> Result<()> {
    let Some(path) = std::env::var_os(NOTES) else {
        return Ok(());
    };
    let off: Vec<_> = off.iter().map(|defence| format!("{defence:?}")).collect();
    let line = serde_json::json!({ "off": off, "succeeded": succeeded });
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}").context("the notes on attacks")
}

fn noted(off: &[Defence], outcome: Result<bool>) -> Result<bool> {
    let succeeded = outcome?;
    note(off, succeeded)?;
    Ok(succeeded)
}

fn judge(off: &[Defence], [defended, control]: [Result<bool>; 2]) -> Result<()> {
    ensure!(!defended?, "the attack succeeds");
    let control = control.with_context(|| format!("the control without {off:?}"))?;
    ensure!(
        control,
        "the attack fails also without {off:?}: it proves nothing"
    );
    Ok(())
}
