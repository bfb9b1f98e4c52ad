//! Somebody who runs as the same user as a program and looks into it: starts it, waits for a file that tells that it is at work,
//! and says on standard output where the needle was found: `memory`, `environment`, `core`.
//!
//! `onlooker NEEDLE-IN-HEX SIGN-FILE PROGRAM ARGUMENT …`, in a folder of its own. It starts the program itself, because some systems let
//! nobody but its parent look.

#![allow(clippy::print_stdout, reason = "its one answer")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let needle = HEXLOWER.decode(arguments.next().context("no needle")?.as_bytes())?;
    let sign = arguments.next().context("no sign")?;
    // Where nothing else is said, dumps are written; `exec` keeps the process.
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let pid = child.id();
    let begun = Instant::now();
    while fs::read(&sign).map_or(true, |text| text.is_empty()) {
        ensure!(begun.elapsed() < PATIENCE, "it did not begin to work");
        ensure!(child.try_wait()?.is_none(), "it ended before it worked");
        std::thread::sleep(Duration::from_millis(50));
    }
    if in_memory(pid, &needle).unwrap_or(false) {
        println!("memory");
    }
    if fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| holds(&environment, b"PATH=")) {
        println!("environment");
    }
    // As if it crashed.
    ensure!(
        Command::new("kill")
            .args(["-ABRT", &pid.to_string()])
            .status()?
            .success()
    );
    child.wait()?;
    for entry in fs::read_dir(".")? {
        let entry = entry?;
        let is_dump = entry.file_name().to_string_lossy().starts_with("core");
        if is_dump && holds(&fs::read(entry.path())?, &needle) {
            println!("core");
        }
    }
    Ok(())
}

/// Whether the needle stands in what the process can write to.
fn in_memory(pid: u32, needle: &[u8]) -> Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').context("no range")?;
        let (start, end) = range.split_once('-').context("no range")?;
        let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
        let mut bytes = vec![0; usize::try_from(end - start)?.min(MOST)];
        // Some ranges cannot be read, whoever asks.
        if memory.read_exact_at(&mut bytes, start).is_ok() && holds(&bytes, needle) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

const PATIENCE: Duration = Duration::from_secs(120);
/// Of one range; a heap of these programs is smaller.
const MOST: usize = 256 << 20;
