//! `cargo xtask bench`: the project's figures, as medians of several runs on this machine.
//!
//! Server and clients are the real programs, each a process of its own on this one machine, over TLS, and
//! every acknowledged write is fsynced. Absolute figures drift with the machine; the ratio to nginx is
//! measured in the same run, upload by upload.

mod directory;
mod floods;
mod flow;
mod keys;
mod memory;
mod nginx;
mod samples;
mod transfer;
mod verification;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

/// Measures throughput, memory and latency.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Examples:\n  cargo xtask bench --runs 3 --flow-only\n  cargo xtask bench --keys-only --records 100000\n  cargo xtask bench --directory-only\n  cargo xtask bench floods --seconds 20 --controls"
)]
struct Args {
    /// What else to measure, and nothing but that
    #[arg(value_enum)]
    part: Option<Part>,
    /// How long each flood goes on
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Flood also servers without the one defence, as `cargo xtask build` makes them
    #[arg(long)]
    controls: bool,
    /// Counted runs of each transfer, after one that is not counted
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Size of the record whose transfer is timed, MiB
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Size of the record at which memory is watched, MiB; 0 leaves it out
    #[arg(long, default_value_t = 4096)]
    memory_mib: u64,
    /// Repetitions of the download flow
    #[arg(long, default_value_t = 300)]
    flows: usize,
    /// Records in the vault whose key management is timed; making 100000 takes minutes
    #[arg(long, default_value_t = 1000)]
    records: usize,
    /// Measure the download flow only
    #[arg(long, conflicts_with = "keys_only")]
    flow_only: bool,
    /// Measure key management only
    #[arg(long)]
    keys_only: bool,
    /// Institutions whose mirror is timed
    #[arg(long, default_value_t = 1000)]
    institutions: usize,
    /// Measure the mirror of the directory only
    #[arg(long, conflicts_with_all = ["flow_only", "keys_only"])]
    directory_only: bool,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

/// What is measured only when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Floods by one address beside six honest clients
    Floods,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut figures = json!({});
    let mut add = |name: &str, value: Value| {
        if !args.json {
            print(name, &value);
        }
        if let Some(map) = figures.as_object_mut() {
            map.insert(name.to_owned(), value);
        }
    };
    if args.part == Some(Part::Floods) {
        add("floods", floods::measure(args.seconds, args.controls)?);
    }
    let all = args.part.is_none() && !args.flow_only && !args.keys_only && !args.directory_only;
    if all || args.flow_only {
        add("download flow", flow::measure(args.flows)?);
    }
    if all || args.directory_only {
        add("directory", directory::measure(args.institutions)?);
    }
    if all || args.keys_only {
        add("keys", keys::measure(args.records)?);
    }
    if all {
        add("transfer", transfer::measure(args.mib << 20, args.runs)?);
        if args.memory_mib > 0 {
            add("large transfer", transfer::measure(args.memory_mib << 20, 1)?);
        }
    }
    if args.json {
        write_line(&figures.to_string());
    }
    Ok(())
}

/// A heading, then a line a figure.
fn print(name: &str, value: &Value) {
    write_line(&format!("\n{name}"));
    for (figure, value) in value.as_object().into_iter().flatten() {
        write_line(&format!("  {figure:<44} {value}"));
    }
}

#[allow(clippy::print_stdout, reason = "the program's output")]
fn write_line(line: &str) {
    println!("{line}");
}
