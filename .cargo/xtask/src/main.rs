//! The project's own commands: `cargo xtask demo | test | check | build | bench | model | attacks | rough | rules | decryptor | drawings | formal | shape | release | transcripts`.
//!
//! Everything builds in the one dev profile and with whole-workspace features, so that RocksDB, by far the
//! most expensive dependency, is compiled once and then reused by every command here.

#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]

mod attacks;
mod bench;
mod build;
mod check;
mod decryptor;
mod demo;
mod drawings;
mod formal;
mod model;
mod prerequisites;
mod process;
mod release;
mod rough;
mod rules;
mod shape;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Development commands of Medvault: build, test, measure, explore, release.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play upload, download and reference between one patient and two hospitals
    Demo(demo::Options),
    /// Build all programs, also the weakened ones that the tests' negative controls start
    Build,
    /// Run everything that CI runs; stop at the first failure
    Test,
    /// Run the static part of `test`: format, drawings, lints, documentation, dependency rules
    Check,
    /// Explore the model of permissions, also with requests that overlap
    Model,
    /// Play every attack of spec/attacks.md, and its negative control
    Attacks(attacks::Options),
    /// Play the troubles that users of other systems report, of tests/ROUGH.md
    Rough(rough::Options),
    /// Write spec/rules.md: all rules of the specification, who keeps each, and which tests cite it
    Rules,
    /// Open the test vectors with a program in another language, written from the specification alone
    Decryptor(decryptor::Options),
    /// Build the programs that users trust, the same bytes on every machine, and say their digests
    Release(release::Options),
    /// Run the formal models of the protocol: every claim must hold, and every control's attack must be found
    Formal(formal::Options),
    /// Compare the drawings in the pages with what they draw, and render each
    Drawings(drawings::Options),
    /// Print the shape of the code: size, circles, long functions, repetition; `check` compares it with shape.toml
    Shape(shape::Options),
    /// Play the three flows and keep what travels: spec/transcripts, both forms
    Transcripts,
    /// Measure throughput, latency and memory; arguments go to the benchmark program
    Bench {
        /// Arguments for the benchmark program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

impl Command {
    /// Whether it compiles the workspace, and so needs what that needs.
    fn compiles(&self) -> bool {
        !matches!(
            self,
            Self::Decryptor(_) | Self::Drawings(_) | Self::Formal(_) | Self::Rules | Self::Shape(_)
        )
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    if command.compiles() {
        prerequisites::ensure()?;
    }
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Build => build::run(),
        Command::Test => test::run(),
        Command::Check => check::run(),
        Command::Model => model::run(),
        Command::Attacks(options) => attacks::run(&options),
        Command::Rough(options) => rough::run(&options),
        Command::Rules => rules::run(),
        Command::Decryptor(options) => decryptor::run(&options),
        Command::Drawings(options) => drawings::run(&options),
        Command::Shape(options) => shape::run(&options),
        Command::Release(options) => release::run(&options),
        Command::Formal(options) => formal::run(&options),
        Command::Transcripts => demo::transcripts::run(),
        Command::Bench { arguments } => bench::run(&arguments),
    }
}
