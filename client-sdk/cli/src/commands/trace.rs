//! `medvault trace`: runs another command, and shows what it sends and gets meanwhile (LKG-3).

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::Mutex,
};

use clap::{Args, Parser};
use client_sdk::trace::{Carried, Detail, Step, Tracer};
use serde_json::Value;

use crate::{failure::Failure, output::plain, values::Global};

/// A command and where its trace goes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Write the trace to this new file instead of standard error
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Give bodies as they travel, too, and header fields whole; needs --json
    #[arg(long)]
    bytes: bool,
    /// The command with its options, as after `medvault`
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Each attempt of each request is shown with its header fields, its message and the answer, decoded, with sizes and times. Leaves are
counted. Secrets are left out; ids, and who corresponds with whom, are not: give a trace only to whom you would tell that. With --json
--bytes the trace has bodies as they travel, too, without those that hold a secret.
The traced command prints what it always prints. With --json before COMMAND the trace has one JSON object a line.

Examples:
  medvault trace records --home ~/vault
  medvault trace --json --bytes --to all.jsonl inbox
  medvault trace --json --to trace.jsonl download fetch perm_… --out received --home anna
  medvault --home ~/vault trace permit req_… --all 2> trace.txt";

/// The command that is traced, and who is told of what it sends and gets. Its home is the one that is given before `trace`, unless it names another.
///
/// # Errors
/// Usage, as the outer `Result` the trace's own.
pub(crate) fn begin<C: Parser>(
    outer: Global,
    options: Options,
) -> Result<Result<(C, Tracer), clap::Error>, Failure> {
    let mut arguments: Vec<OsString> = vec!["medvault".into()];
    let path = |path: Option<PathBuf>| path.map(OsString::from);
    let inherited = [
        ("--home", path(outer.home)),
        ("--key-file", path(outer.key_file)),
        ("--passphrase-file", path(outer.passphrase_file)),
        (
            "--passphrase-fd",
            outer.passphrase_fd.map(|number| number.to_string().into()),
        ),
    ];
    for (name, value) in inherited {
        let flag = OsString::from(name);
        if let (Some(value), false) = (value, options.command.contains(&flag)) {
            arguments.extend([flag, value]);
        }
    }
    if outer.secrets_in_arguments {
        arguments.push("--secrets-in-arguments".into());
    }
    arguments.extend(options.command);
    let command = match C::try_parse_from(arguments) {
        Ok(command) => command,
        Err(error) => return Ok(Err(error)),
    };
    let out: Box<dyn Write + Send> = match options.to {
        None => Box::new(io::stderr()),
        Some(path) => {
            let made = File::create_new(&path);
            Box::new(made.map_err(|source| Failure::file("cannot write", &path, &source))?)
        }
    };
    let out = Mutex::new(out);
    let detail = if options.bytes {
        Detail::Bodies
    } else {
        Detail::Meaning
    };
    let tracer = Tracer::new(detail, move |step| {
        let text = if outer.json { line(step) } else { paragraph(step) };
        // A trace that cannot be written keeps no command from its work.
        if let Ok(mut out) = out.lock() {
            let _ = out.write_all(text.as_bytes());
        }
    });
    Ok(Ok((command, tracer)))
}

fn line(step: &Step) -> String {
    serde_json::to_string(step).map_or_else(|_| String::new(), |line| line + "\n")
}

/// For people: an arrow for where it goes, then what it says.
fn paragraph(step: &Step) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match step {
        Step::Request {
            number,
            method,
            path,
            fields,
            carried,
        } => {
            let _ = writeln!(text, "--> {number}  {method} {}{}", plain(path), size(carried));
            for (name, value) in fields {
                let _ = writeln!(text, "    {name}: {}", plain(value));
            }
            write_content(&mut text, carried)
        }
        Step::Answer {
            number,
            status,
            millis,
            carried,
            ..
        } => {
            let _ = writeln!(text, "<-- {number}  {status}, {millis} ms{}", size(carried));
            write_content(&mut text, carried)
        }
        Step::Event {
            number,
            millis,
            carried,
        } => {
            let _ = writeln!(text, "<-- {number}  event, {millis} ms{}", size(carried));
            write_content(&mut text, carried)
        }
        Step::End {
            number,
            millis,
            bytes,
            ..
        } => writeln!(text, "<-- {number}  end, {millis} ms, {bytes} bytes"),
        Step::Lost {
            number,
            millis,
            cause,
        } => writeln!(text, "<-- {number}  lost, {millis} ms: {}", plain(cause)),
        Step::Again { attempts } => writeln!(text, "--  once more, after {attempts}"),
        _ => Ok(()),
    };
    text
}

fn size(carried: &Carried) -> String {
    let name = carried.message.map(|name| format!(", {name}"));
    let bytes = carried.bytes.map(|bytes| format!(", {bytes} bytes"));
    name.unwrap_or_default() + &bytes.unwrap_or_default()
}

/// JSON with indentation; of long bytes, length and hash.
fn write_content(text: &mut String, carried: &Carried) -> std::fmt::Result {
    let Some(content) = &carried.content else {
        return Ok(());
    };
    let short = shortened(content.clone());
    for line in format!("{short:#}").lines() {
        writeln!(text, "    {}", plain(line))?;
    }
    Ok(())
}

fn shortened(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            if fields.contains_key("sha256") {
                fields.remove("base64");
            }
            fields
                .into_iter()
                .map(|(name, value)| (name, shortened(value)))
                .collect()
        }
        Value::Array(values) => values.into_iter().map(shortened).collect(),
        other => other,
    }
}
