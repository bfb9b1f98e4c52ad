//! Client programs that the registrar vouches for: signed in its home, carried to servers, held against a file.

use std::path::{Path, PathBuf};

use clap::Args;
use client_sdk::{Name, Program, ProgramAbout, PublishedProgram, ServerLink, Vouched, publish_program};
use serde::Serialize;

use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{Report, plain},
};

/// What a registrar vouches for.
#[derive(Args, Debug)]
pub(crate) struct Vouching {
    /// The program itself, as you have built it
    file: PathBuf,
    /// What it is called
    #[arg(long, value_parser = name)]
    name: Name,
    /// Its version
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
    /// Where the statement goes
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
    let shown = Shown::from(&program);
    if !yes && !context.json() {
        confirm(
            &shown.lines(),
            "Vouch for it, for all to see and for ever? Only if you have built the same file from this source yourself",
        )?;
    }
    let path = out.write(&registrar.vouch(program))?;
    context.print(&Made {
        program: shown,
        statement: path.display().to_string(),
    })
}

/// Carries a registrar's statement to a server.
pub(crate) async fn publish(context: &Context, file: &Path, server: &ServerLink) -> Result<(), Failure> {
    let PublishedProgram { program, size } =
        publish_program(server, &new_file::read(file)?, &client_sdk::Ground::nowhere()).await?;
    context.print(&Published {
        program: Listed::from(&program),
        log_size: size,
    })
}

/// Lists all of them.
pub(crate) async fn list(context: &Context) -> Result<(), Failure> {
    let programs = context.member().await?.trust().programs().await?;
    context.print(&Programs {
        programs: programs.iter().map(Listed::from).collect(),
    })
}

/// Says which one a file is.
pub(crate) async fn check(context: &Context, file: &Path) -> Result<(), Failure> {
    let program = context.member().await?.trust().check_program(file).await?;
    context.print(&Checked {
        file: file.display().to_string(),
        program: Listed::from(&program),
    })
}

#[derive(Serialize)]
struct Shown {
    name: String,
    version: String,
    target: String,
    source: String,
    toolchain: String,
    /// Of the file, hex.
    sha256: String,
}

impl From<&Program> for Shown {
    fn from(program: &Program) -> Self {
        let text = |name: &Name| name.as_str().to_owned();
        Self {
            name: text(&program.name),
            version: text(&program.version),
            target: text(&program.target),
            source: text(&program.source),
            toolchain: text(&program.toolchain),
            sha256: program.file_hash.to_string(),
        }
    }
}

impl Shown {
    fn title(&self) -> String {
        let [name, version, target] = [&self.name, &self.version, &self.target].map(|text| plain(text));
        format!("{name} {version} for {target}")
    }

    fn lines(&self) -> String {
        format!(
            "program       {}\nsource        {}\ntoolchain     {}\nSHA-256       {}",
            self.title(),
            plain(&self.source),
            plain(&self.toolchain),
            self.sha256
        )
    }
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    program: Shown,
    /// Its place in the log.
    index: u64,
}

impl From<&Vouched> for Listed {
    fn from(vouched: &Vouched) -> Self {
        Self {
            program: Shown::from(&*vouched.program),
            index: vouched.index,
        }
    }
}

impl Listed {
    fn lines(&self) -> String {
        format!("{}\nin the log at  {}\n", self.program.lines(), self.index)
    }
}

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    program: Shown,
    statement: String,
}

impl Report for Made {
    fn text(&self) -> String {
        let Self { program, statement } = self;
        format!(
            "The registrar vouches for {} by\n  {statement}\nNobody sees it before a server has it: \
             medvault directory publish {statement} --server LINK\n",
            program.title()
        )
    }
}

#[derive(Serialize)]
struct Published {
    #[serde(flatten)]
    program: Listed,
    /// Entries of the log.
    log_size: u64,
}

impl Report for Published {
    fn text(&self) -> String {
        let Self { program, log_size } = self;
        format!(
            "{} is published.\nIt stands at {} in the server's log of {log_size} entries, proven.\n",
            program.program.title(),
            program.index
        )
    }
}

#[derive(Serialize)]
struct Programs {
    programs: Vec<Listed>,
}

impl Report for Programs {
    fn text(&self) -> String {
        if self.programs.is_empty() {
            return "The registrar vouches for no program.\n".to_owned();
        }
        let all: Vec<String> = self.programs.iter().map(Listed::lines).collect();
        all.join("\n")
    }
}

#[derive(Serialize)]
struct Checked {
    file: String,
    #[serde(flatten)]
    program: Listed,
}

impl Report for Checked {
    fn text(&self) -> String {
        format!(
            "{} is what the registrar vouches for. Look at the version: an older one may have known faults.\n{}",
            plain(&self.file),
            self.program.lines()
        )
    }
}
