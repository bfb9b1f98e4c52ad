//! Client programs that the registrar vouches for: signed in its home, carried to servers, held against a file.

use std::path::{Path, PathBuf};

use clap::Args;
use client_sdk::{Name, Program, ProgramAbout, PublishedProgram, ServerLink, Vouched, publish_program};

use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{fields, plain},
};

/// What a registrar vouches for.
#[derive(Args, Debug)]
pub(crate) struct Vouching {
    /// The program itself, as you have built it
    file: PathBuf,
    /// The name of the program
    #[arg(long, value_parser = name)]
    name: Name,
    /// The version of the program
    #[arg(long, value_parser = name)]
    version: Name,
    /// The machines that it is for
    #[arg(long, value_parser = name)]
    target: Name,
    /// The revision of the source that it was built from
    #[arg(long, value_parser = name)]
    source: Name,
    /// The compiler that built it
    #[arg(long, value_parser = name)]
    toolchain: Name,
    /// Where the registrar's statement goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Do not ask whether it is the right one
    #[arg(long)]
    yes: bool,
}

fn name(text: &str) -> Result<Name, String> {
    text.to_owned().try_into().map_err(|_| {
        "from 1 to 200 bytes without control characters and without white space at its ends".to_owned()
    })
}

/// Signs what a file is, by the registrar.
pub(crate) fn vouch(context: &Context, vouching: Vouching) -> Result<(), Failure> {
    let Vouching {
        file,
        name,
        version,
        target,
        source,
        toolchain,
        out,
        yes,
    } = vouching;
    let registrar = context.registrar()?;
    let out = NewFile::at(&out)?;
    let about = ProgramAbout {
        name,
        version,
        target,
        source,
        toolchain,
    };
    let program = registrar.describe_program(&file, about)?;
    if !yes && !context.json() {
        confirm(
            &lines(&program),
            "Vouch for it, for all to see and for ever? Only if you have built the same file from this source yourself",
        )?;
    }
    let path = out.write(&registrar.vouch(program.clone()))?;
    let statement = path.display().to_string();
    let text = format!(
        "The registrar vouches for {} by\n  {statement}\nNobody sees it before a server has it: \
         medvault directory publish {statement} --server LINK\n",
        title(&program)
    );
    context.say(&text, &fields! { #[serde(flatten)] program, statement })
}

/// Carries a registrar's statement to a server.
pub(crate) async fn publish(context: &Context, file: &Path, server: &ServerLink) -> Result<(), Failure> {
    let PublishedProgram { program, size } =
        publish_program(server, &new_file::read(file)?, &context.nowhere()).await?;
    let text = format!(
        "{} is published.\nIt stands at {} in the server's log of {size} entries, proven.\n",
        title(&program.program),
        program.index
    );
    context.say(&text, &fields! { #[serde(flatten)] program, log_size: size })
}

/// Lists all programs that the registrar vouches for.
pub(crate) async fn list(context: &Context) -> Result<(), Failure> {
    let programs = context.member().await?.trust().programs().await?;
    let all: Vec<String> = programs.iter().map(listed).collect();
    let text = if all.is_empty() {
        "The registrar vouches for no program.\n".to_owned()
    } else {
        all.join("\n")
    };
    context.say(&text, &fields! { programs })
}

/// Says which one a file is.
pub(crate) async fn check(context: &Context, file: &Path) -> Result<(), Failure> {
    let program = context.member().await?.trust().check_program(file).await?;
    let file = file.display().to_string();
    let text = format!(
        "{} is what the registrar vouches for. Look at the version: an older one may have known faults.\n{}",
        plain(&file),
        listed(&program)
    );
    context.say(&text, &fields! { file, #[serde(flatten)] program })
}

fn title(program: &Program) -> String {
    let Program {
        name,
        version,
        target,
        ..
    } = program;
    let [name, version, target] = [name, version, target].map(|text| plain(text.as_str()));
    format!("{name} {version} for {target}")
}

fn lines(program: &Program) -> String {
    format!(
        "program       {}\nsource        {}\ntoolchain     {}\nSHA-256       {}",
        title(program),
        plain(program.source.as_str()),
        plain(program.toolchain.as_str()),
        program.file_hash
    )
}

fn listed(vouched: &Vouched) -> String {
    format!("{}\nin the log at  {}\n", lines(&vouched.program), vouched.index)
}
