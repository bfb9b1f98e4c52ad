//! The `vault-server` program: settings, one link line, signals, exit codes (0 stopped, 1 failed, 2 usage).

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use vault_server::{
    Running, config::Config, invite::InviteOptions, openapi, restoration::RestorationOptions, serve,
    telemetry,
};

fn main() -> ExitCode {
    // Needs no settings and starts nothing.
    if std::env::args_os().skip(1).eq(["openapi"]) {
        return match io::stdout().write_all(openapi().as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string()),
        };
    }
    if let Err(error) = guard::process() {
        return fail(&format!(
            "cannot keep keys in memory from others ({error}): ask whoever runs this machine"
        ));
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|command| command == "invite")
    {
        return invite();
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|command| command == "restoration")
    {
        return restoration();
    }
    let config = match Config::from_args(std::env::args_os()) {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    if let Err(error) = telemetry::init_logs(&config.log, config.log_format) {
        return fail(&format!(
            "--log is not a filter like info or vault_server=debug: {error}"
        ));
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// Needs the operator's key, and no server that runs.
fn invite() -> ExitCode {
    let options = match InviteOptions::try_parse_from(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match options.make().map(|text| writeln!(io::stdout(), "{text}")) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error.to_string()),
        Err(error) => fail(&error.to_string()),
    }
}

/// Needs the operator's key and the data, and no server that runs on them.
#[tokio::main]
async fn restoration() -> ExitCode {
    let options = match RestorationOptions::try_parse_from(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match options.run().await.map(|text| write!(io::stdout(), "{text}")) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error.to_string()),
        Err(error) => fail(&error.to_string()),
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // It ends nothing from here on, also while the server starts.
    let mut hangup = signal(SignalKind::hangup())?;
    let running = serve(config).await?;
    announce(&running)?;
    let reload = running.reloader();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload();
        }
    });
    let stop = running.stopper();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(running.wait().await?)
}

/// All that ever goes to standard output.
fn announce(running: &Running) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if let Some(addr) = running.admin_addr() {
        writeln!(out, "admin: http://{addr}")?;
    }
    writeln!(out, "log: {}", running.log())?;
    writeln!(out, "link: {}", running.link())?;
    out.flush()
}

fn fail(text: &str) -> ExitCode {
    // When standard error is closed, the exit code still says it.
    drop(writeln!(io::stderr(), "vault-server: {text}"));
    ExitCode::FAILURE
}
