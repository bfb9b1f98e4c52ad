//! `medvault trace`: runs another command, and shows what it sends and gets meanwhile (LKG-3).

use std::{
    ffi::OsString,
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
/// The inner error is that of the traced command's line, the outer one that of the trace.
pub(crate) fn begin<C: Parser>(
    outer: Global,
    options: Options,
) -> Result<Result<(C, Tracer), clap::Error>, Failure> {
    let arguments = inherited(&outer, options.command);
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

/// The arguments of the traced command, with what was given before `trace` and is not given anew.
fn inherited(outer: &Global, command: Vec<OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["medvault".into()];
    let path = |path: &Option<PathBuf>| path.clone().map(OsString::from);
    let options = [
        ("--home", path(&outer.home)),
        ("--key-file", path(&outer.key_file)),
        ("--passphrase-file", path(&outer.passphrase_file)),
        (
            "--passphrase-fd",
            outer.passphrase_fd.map(|number| number.to_string().into()),
        ),
    ];
    for (name, value) in options {
        let flag = OsString::from(name);
        if let (Some(value), false) = (value, command.contains(&flag)) {
            arguments.extend([flag, value]);
        }
    }
    if outer.secrets_in_arguments {
        arguments.push("--secrets-in-arguments".into());
    }
    arguments.extend(command);
    arguments
}

fn line(step: &Step) -> String {
    serde_json::to_string(step).map_or_else(|_| String::new(), |line| line + "\n")
}

/// For people: an arrow for where it goes, then what it says.
fn paragraph(step: &Step) -> String {
    match step {
        Step::Request {
            number,
            method,
            path,
            fields,
            carried,
        } => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("    {name}: {}\n", plain(value)));
            format!(
                "--> {number}  {method} {}{}\n{}{}",
                plain(path),
                size(carried),
                fields.collect::<String>(),
                content(carried)
            )
        }
        Step::Answer {
            number,
            status,
            millis,
            carried,
            ..
        } => arrived(*number, &status.to_string(), *millis, carried),
        Step::Event {
            number,
            millis,
            carried,
        } => arrived(*number, "event", *millis, carried),
        Step::End {
            number,
            millis,
            bytes,
            ..
        } => format!("<-- {number}  end, {millis} ms, {bytes} bytes\n"),
        Step::Lost {
            number,
            millis,
            cause,
        } => format!("<-- {number}  lost, {millis} ms: {}\n", plain(cause)),
        Step::Again { attempts } => format!("--  once more, after {attempts}\n"),
        _ => String::new(),
    }
}

/// An answer or an event.
fn arrived(number: u64, what: &str, millis: u64, carried: &Carried) -> String {
    let (size, content) = (size(carried), content(carried));
    format!("<-- {number}  {what}, {millis} ms{size}\n{content}")
}

fn size(carried: &Carried) -> String {
    let name = carried.message.map(|name| format!(", {name}"));
    let bytes = carried.bytes.map(|bytes| format!(", {bytes} bytes"));
    name.unwrap_or_default() + &bytes.unwrap_or_default()
}

/// JSON with indentation; of long bytes, length and hash.
fn content(carried: &Carried) -> String {
    let Some(content) = &carried.content else {
        return String::new();
    };
    let short = format!("{:#}", shortened(content.clone()));
    short
        .lines()
        .map(|line| format!("    {}\n", plain(line)))
        .collect()
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
