//! The `medvault` program: one command for each thing a patient, an institution or a registrar does.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 usage. A failure is one line on standard error that says what
//! to do; with `--json` it is also one object on standard output. See `commands` for the list of them.

#[cfg(test)]
mod advice;
mod args;
mod commands;
mod confirm;
mod context;
mod failure;
mod given;
mod new_file;
mod output;
mod piped;
mod progress;
mod qr;
mod shorthand;
mod tending;
mod values;
mod views;
mod window;
mod words;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use client_sdk::{proxy::Choice, trace::Tracer};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::Cli,
    commands::{Command, trace},
    context::Context,
    failure::Failure,
};

fn main() -> ExitCode {
    // Before anything is read that could be secret.
    if let Err(source) = guard::process() {
        return fail(&Failure::unguarded(&source), wants_json());
    }
    match Cli::try_parse() {
        Ok(Cli {
            global,
            command: Command::Trace(options),
        }) => {
            let proxy = global.proxy.clone();
            match trace::begin::<Cli>(global, options) {
                Ok(Ok((mut traced, tracer))) => {
                    // What was given outside holds, unless the command names another.
                    traced.global.proxy = traced.global.proxy.or(proxy);
                    start(traced, Some(tracer))
                }
                Ok(Err(error)) => explain_usage(&error),
                Err(failure) => fail(&failure, wants_json()),
            }
        }
        Ok(cli) => start(cli, None),
        Err(error) => explain_usage(&error),
    }
}

fn start(cli: Cli, tracer: Option<Tracer>) -> ExitCode {
    let json = cli.global.json;
    run(cli, tracer).map_or_else(|failure| fail(&failure, json), |()| ExitCode::SUCCESS)
}

fn run(cli: Cli, tracer: Option<Tracer>) -> Result<(), Failure> {
    start_log();
    check_proxy(&cli.global)?;
    let context = Context::new(cli.global, tracer);
    let runtime = tokio::runtime::Runtime::new().map_err(|source| Failure::runtime(&source))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = commands::run(&context, cli.command) => outcome,
            // Dropping the command removes what it has half written.
            () = interrupted() => Err(Failure::interrupted()),
        }
    });
    runtime.shutdown_timeout(CLEANUP);
    for notice in client_sdk::notice::take() {
        output::note(&format!("note: {notice}"));
    }
    outcome
}

/// A password in an argument is seen by everybody on the machine (PRG-7), in the environment it is not.
fn check_proxy(global: &values::Global) -> Result<(), Failure> {
    let Some(choice) = &global.proxy else {
        return Ok(());
    };
    let from_environment =
        std::env::var("MEDVAULT_PROXY").is_ok_and(|value| value.parse::<Choice>().as_ref() == Ok(choice));
    if let Choice::Through(proxy) = choice
        && proxy.has_credentials()
        && !from_environment
        && !global.secrets_in_arguments
    {
        return Err(Failure::usage(
            "everybody on this machine can read the command line: name a proxy with a password in MEDVAULT_PROXY or HTTPS_PROXY",
        ));
    }
    Ok(())
}

/// Returns when somebody wants the program to stop.
async fn interrupted() {
    tokio::select! {
        () = signal_arrives(SignalKind::interrupt()) => (),
        () = signal_arrives(SignalKind::terminate()) => (),
    }
}

async fn signal_arrives(kind: SignalKind) {
    match signal(kind) {
        Ok(mut arrivals) => {
            arrivals.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// Events of the library on standard error, as far as `MEDVAULT_LOG` asks for them (`MEDVAULT_LOG=debug`).
fn start_log() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("MEDVAULT_LOG") {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
    }
}

/// Help and version are answers; everything else that the parser returns is a usage error.
fn explain_usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let failure = Failure::from(error);
    if wants_json() {
        output::print_error_object(&failure);
    }
    failure.exit_code()
}

/// Whether a program reads the answer, as far as that can be said before the command line is understood.
fn wants_json() -> bool {
    std::env::args_os().any(|arg| arg == "--json")
}

fn fail(failure: &Failure, json: bool) -> ExitCode {
    output::print_failure(failure);
    if json {
        output::print_error_object(failure);
    }
    failure.exit_code()
}

/// How long threads may take to remove what they have half written, on a disk that is busy.
const CLEANUP: Duration = Duration::from_secs(10);
