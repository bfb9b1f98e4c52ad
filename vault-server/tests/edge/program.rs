//! The program itself: what it prints, how it ends, and one clear line for each way not to start.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use super::client::registrar_key;

/// A folder as a server makes its own; one that holds something and is open to others is refused (PRG-6).
fn private_folder() -> tempfile::TempDir {
    let owners = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(owners).tempdir().unwrap()
}

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vault-server"));
    command
        .env_clear()
        .arg("--data")
        .arg(data)
        .args(["--registrar", &registrar_key()]);
    command.env("MEDVAULT_LISTEN", "127.0.0.1:0").stdin(Stdio::null());
    command
}

pub(crate) struct Started {
    pub(crate) child: Child,
    lines: Vec<String>,
}

impl Started {
    pub(crate) fn addr(&self) -> SocketAddr {
        let (_, link) = self.lines[2].split_once("https://").unwrap();
        link.split_once('/').unwrap().0.parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }
}

/// A test that fails leaves no process behind.
impl Drop for Started {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn start(data: &Path) -> Started {
    start_with(data, &["--drain", "2s"])
}

pub(crate) fn start_with(data: &Path, flags: &[&str]) -> Started {
    let mut command = program(data);
    command.args(["--dev", "--admin", "127.0.0.1:0"]).args(flags);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.as_mut().unwrap());
    let lines = stdout.lines().take(3).map(Result::unwrap).collect();
    Started { child, lines }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// It must fail with code 1 and one line on standard error, nothing on standard output.
fn refused(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(output.stdout.is_empty());
    text
}

#[test]
fn it_prints_its_addresses_and_ends_well_when_told_to() {
    let data = private_folder();
    for signal in ["-TERM", "-INT"] {
        let mut started = start(data.path());
        let lines = &started.lines;
        assert!(lines[0].starts_with("admin: http://127.0.0.1:"), "{lines:?}");
        assert!(lines[1].starts_with("log: medvault/log/op_"), "{lines:?}");
        assert!(lines[2].starts_with("link: https://127.0.0.1:"), "{lines:?}");
        started.signal(signal);
        assert!(started.child.wait().unwrap().success());
        let mut rest = String::new();
        started
            .child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        assert_eq!(rest, "", "nothing else goes to standard output");
    }
}

#[test]
fn its_link_stays_the_same_over_restarts_on_one_port() {
    let data = private_folder();
    let fingerprint = || start(data.path()).lines[2].split_once('#').unwrap().1.to_owned();
    assert_eq!(fingerprint(), fingerprint());
}

#[test]
fn a_data_directory_in_use_is_refused() {
    let data = private_folder();
    let _first = start(data.path());
    let mut second = program(data.path());
    second.arg("--dev");
    assert!(refused(second).contains("in use by another server"));
}

#[test]
fn a_port_in_use_is_refused() {
    let data = private_folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = program(data.path());
    command.args(["--dev", "--admin", &taken.local_addr().unwrap().to_string()]);
    assert!(refused(command).contains("choose another address"));
}

#[test]
fn an_address_that_no_client_reaches_needs_a_name() {
    let data = private_folder();
    let mut command = program(data.path());
    command.args(["--dev", "--listen", "0.0.0.0:0"]);
    assert!(refused(command).contains("--public-authority HOST:PORT"));
}

#[test]
fn bad_certificates_are_refused() {
    let data = private_folder();
    let file = data.path().join("empty.pem");
    fs::write(&file, "").unwrap();
    for path in [file.as_path(), Path::new("/nonexistent.pem")] {
        let mut command = program(data.path());
        command.arg("--tls-cert").arg(path).arg("--tls-key").arg(path);
        assert!(refused(command).contains("holds no usable PEM certificate"));
    }
}

#[test]
fn an_exposed_operator_key_is_refused() {
    let data = private_folder();
    fs::write(data.path().join("operator.key"), [7; 32]).unwrap();
    let mut command = program(data.path());
    command.arg("--dev");
    assert!(refused(command).contains("chmod 600"));
}

#[test]
fn wrong_usage_is_another_exit_code() {
    let data = private_folder();
    let output = program(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("--tls-cert and --tls-key, or --dev"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_vault-server"));
    let output = command
        .args(["--dev", "--data", "d", "--registrar", "nonsense"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("medvault registrar init"));
}

/// API-13
#[test]
fn it_prints_its_description_without_settings() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vault-server"));
    let output = command.env_clear().arg("openapi").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(output.stdout, vault_server::openapi().as_bytes());
}

#[test]
fn help_shows_examples() {
    let output = Command::new(env!("CARGO_BIN_EXE_vault-server"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("Examples:") && help.contains("--header-bytes"));
}
