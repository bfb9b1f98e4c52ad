//! Resident memory of processes, from `/proc` (Linux).

use std::{fs, process::Child, time::Duration};

use anyhow::{Context, Result, ensure};

/// Highest resident memory of a running process so far (`VmHWM`), MiB.
pub(crate) fn peak_mib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}

/// Waits for a process and returns its highest resident memory, MiB, as seen every 5 ms.
pub(crate) fn wait(mut child: Child) -> Result<(u64, Vec<u8>)> {
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = peak_mib(child.id()).unwrap_or_default().max(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().context("output")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((peak, output.stdout))
}
