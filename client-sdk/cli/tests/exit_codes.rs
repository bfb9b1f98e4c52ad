//! What a shell sees of failures: exit code, one line on standard error, one JSON object on standard output.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

/// A program run in an empty environment, except for what the test says.
fn medvault(home: Option<&Path>, passphrase: Option<&str>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medvault"));
    command.env_clear().args(args).stdin(std::process::Stdio::null());
    if let Some(home) = home {
        command.env("MEDVAULT_HOME", home);
    }
    if let Some(passphrase) = passphrase {
        command.env("MEDVAULT_PASSPHRASE", passphrase);
    }
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One line that names the program and what to do.
fn assert_fails_in_one_line(output: &Output, words: &str) {
    let line = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(
        line.starts_with("medvault: ") && line.ends_with('\n') && line.lines().count() == 1,
        "{line}"
    );
    assert!(line.contains(words), "{line}");
}

fn registrar(home: &Path) -> Value {
    let output = medvault(
        Some(home),
        Some("seven otters carry a violin"),
        &["registrar", "init", "--json"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    json(&output)
}

#[test]
fn help_and_version_are_answers() {
    let version = medvault(None, None, &["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        version.stdout,
        concat!("medvault ", env!("CARGO_PKG_VERSION"), "\n").as_bytes()
    );
    let help = medvault(None, None, &["upload", "send", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).unwrap().contains("Examples:"));
}

#[test]
fn usage_errors_end_with_2_and_are_json_when_asked() {
    let wrong: [&[&str]; 6] = [
        &[],
        &["frobnicate"],
        &["upload", "request", "--to", "X"],
        &["permit", "req_not-an-id", "--all"],
        &["permit", "req_aaaaaaaaaaaaaaaaaaaaaaaaaa"],
        &["upload", "request", "--to", "X", "--text", "T", "--expires", "0s"],
    ];
    for args in wrong {
        assert_eq!(medvault(None, None, args).status.code(), Some(2), "{args:?}");
    }
    let output = medvault(None, None, &["revoke", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(json(&output)["error"]["code"], "usage");
    let message = json(&output)["error"]["message"].to_string();
    assert!(message.contains("<PERMISSION>"), "{message}");
}

#[test]
fn home_and_passphrase_must_be_named() {
    let no_home = medvault(None, Some("seven otters carry a violin"), &["records"]);
    assert_eq!(no_home.status.code(), Some(2));
    assert!(stderr(&no_home).contains("--home"), "{}", stderr(&no_home));
    let folder = tempfile::tempdir().unwrap();
    registrar(folder.path());
    let no_passphrase = medvault(Some(folder.path()), None, &["records", "--json"]);
    assert_eq!(no_passphrase.status.code(), Some(2));
    assert!(
        stderr(&no_passphrase).contains("MEDVAULT_PASSPHRASE"),
        "{}",
        stderr(&no_passphrase)
    );
    assert_eq!(json(&no_passphrase)["error"]["code"], "usage");
}

#[test]
fn a_home_that_is_not_there_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nobody");
    let output = medvault(Some(&missing), Some("seven otters carry a violin"), &["records"]);
    assert_fails_in_one_line(&output, "enrol first");
    assert!(!missing.exists());
    let output = medvault(
        Some(&missing),
        Some("seven otters carry a violin"),
        &["records", "--json"],
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["error"]["code"], "home-missing");
    assert!(json(&output)["error"]["message"].is_string());
}

#[test]
fn a_wrong_passphrase_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let made = registrar(folder.path());
    assert!(made["registrar"].as_str().unwrap().starts_with("regkey_"));
    let request = request_file(folder.path());
    let out = folder.path().join("accreditation");
    let args = [
        "registrar",
        "accredit",
        &request,
        "--yes",
        "--out",
        out.to_str().unwrap(),
    ];
    let output = medvault(Some(folder.path()), Some("battery staple"), &args);
    assert_fails_in_one_line(&output, "does not open this home");
    assert!(!out.exists());
}

#[test]
fn a_key_file_that_is_gone_is_one_line_and_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (home, key) = (folder.path().join("home"), folder.path().join("key"));
    let key_text = key.to_str().unwrap();
    let args = ["registrar", "init", "--key-file", key_text];
    assert_eq!(medvault(Some(&home), None, &args).status.code(), Some(0));
    std::fs::remove_file(&key).unwrap();
    let output = medvault(Some(&home), None, &["records", "--key-file", key_text]);
    assert_fails_in_one_line(&output, "check the path");
    assert!(!key.exists());
}

#[test]
fn the_wrong_kind_of_home_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    registrar(folder.path());
    let output = medvault(
        Some(folder.path()),
        Some("seven otters carry a violin"),
        &["permissions"],
    );
    assert_fails_in_one_line(&output, "name another home");
    let output = medvault(
        Some(folder.path()),
        Some("seven otters carry a violin"),
        &["inbox"],
    );
    assert_fails_in_one_line(&output, "name another home");
}

#[test]
fn a_server_that_does_not_answer_is_one_line_and_leaves_no_home() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("alice");
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let link = format!("https://127.0.0.1:{port}/#{}", "a".repeat(52));
    let output = medvault(
        Some(&home),
        Some("seven otters carry a violin"),
        &["patient", "enrol", "--server", &link],
    );
    assert_fails_in_one_line(&output, "does not answer");
    assert!(!home.join("principal.json").exists());
}

#[test]
fn an_accreditation_needs_no_server_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    registrar(folder.path());
    let request = request_file(folder.path());
    let out = folder.path().join("accreditation");
    let args = [
        "registrar",
        "accredit",
        &request,
        "--json",
        "--out",
        out.to_str().unwrap(),
    ];
    let output = medvault(Some(folder.path()), Some("seven otters carry a violin"), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(json(&output)["name"], "St. Anna");
    let first = std::fs::read(&out).unwrap();
    let again = medvault(Some(folder.path()), Some("seven otters carry a violin"), &args);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(json(&again)["error"]["code"], "io");
    assert_eq!(std::fs::read(&out).unwrap(), first);
}

#[test]
fn nobody_is_accredited_without_confirmation() {
    let folder = tempfile::tempdir().unwrap();
    registrar(folder.path());
    let request = request_file(folder.path());
    let out = folder.path().join("accreditation");
    let args = ["registrar", "accredit", &request, "--out", out.to_str().unwrap()];
    let output = medvault(Some(folder.path()), Some("seven otters carry a violin"), &args);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--yes"), "{}", stderr(&output));
    assert!(!out.exists());
}

/// A request that an institution made in a home of its own.
fn request_file(folder: &Path) -> String {
    let home = folder.join("st-anna");
    let file = folder.join("request").to_str().unwrap().to_owned();
    let args = [
        "institution",
        "request",
        "--name",
        "St. Anna",
        "--out",
        &file,
        "--json",
    ];
    let output = medvault(Some(&home), Some("seven otters carry a violin"), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        json(&output)["institution_id"]
            .as_str()
            .unwrap()
            .starts_with("inst_")
    );
    file
}

/// KEY-20: another passphrase, a key file, and back; what opened before does so no more.
#[test]
fn what_opens_a_home_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("registrar");
    registrar(&home);
    let (first, second) = ("seven otters carry a violin", "nine quiet harbours of tin");
    let (new, key) = (folder.path().join("new"), folder.path().join("key"));
    std::fs::write(&new, format!("{second}\n")).unwrap();
    std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (new, key) = (new.to_str().unwrap(), key.to_str().unwrap());
    let check = |passphrase: Option<&str>, more: &[&str]| {
        medvault(
            Some(&home),
            passphrase,
            &[&["home", "check", "--json"], more].concat(),
        )
    };
    let change = |passphrase: Option<&str>, more: &[&str]| {
        let output = medvault(
            Some(&home),
            passphrase,
            &[&["home", "passphrase", "--json"], more].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        json(&output)["opens_with"].as_str().unwrap().to_owned()
    };
    let untold = medvault(Some(&home), Some(first), &["home", "passphrase"]);
    assert_eq!(untold.status.code(), Some(2));
    assert!(
        stderr(&untold).contains("--new-passphrase-file"),
        "{}",
        stderr(&untold)
    );

    assert_eq!(change(Some(first), &["--new-passphrase-file", new]), "passphrase");
    assert_eq!(
        json(&check(Some(first), &[]))["error"]["code"],
        "wrong-passphrase"
    );
    assert_eq!(check(Some(second), &[]).status.code(), Some(0));
    assert_eq!(change(Some(second), &["--new-key-file", key]), "key-file");
    assert_eq!(
        json(&check(Some(second), &[]))["error"]["code"],
        "wrong-passphrase"
    );
    assert_eq!(check(None, &["--key-file", key]).status.code(), Some(0));
    let back = change(None, &["--key-file", key, "--new-passphrase-file", new]);
    assert_eq!(back, "passphrase");
    // PRG-9: a variable that ends its line opens it as well.
    assert_eq!(check(Some(&format!("{second}\n")), &[]).status.code(), Some(0));
}

#[test]
fn what_would_be_over_within_the_hour_is_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "the MRI of my knee").unwrap();
    let ask = |more: &[&str]| {
        let ask = [
            "upload",
            "request",
            "--to",
            "X",
            "--text-file",
            text.to_str().unwrap(),
        ];
        medvault(
            Some(&folder.path().join("nobody")),
            Some("seven otters carry a violin"),
            &[&ask, more].concat(),
        )
    };
    let short = ask(&["--expires", "6m"]);
    assert_eq!(short.status.code(), Some(2));
    assert!(
        stderr(&short).contains("nobody is there to confirm: give --yes"),
        "{}",
        stderr(&short)
    );
    // Control: with --yes, or six months, it goes on, and finds no keys.
    for meant in [&["--expires", "6m", "--yes"][..], &["--expires", "6months"]] {
        assert_fails_in_one_line(&ask(meant), "enrol first");
    }
}

#[test]
fn a_password_of_a_proxy_is_not_taken_from_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let through = |proxy: &str| {
        medvault(
            Some(folder.path()),
            Some("seven otters carry a violin"),
            &["records", "--proxy", proxy],
        )
    };
    let open = through("http://anna:secret@proxy.example:3128");
    assert_eq!(open.status.code(), Some(2));
    assert!(stderr(&open).contains("MEDVAULT_PROXY"), "{}", stderr(&open));
    assert!(!stderr(&open).contains("secret"), "{}", stderr(&open));
    assert_fails_in_one_line(&through("http://proxy.example:3128"), "enrol first");
    let socks = through("socks5://proxy.example:1080");
    assert_eq!(socks.status.code(), Some(2));
    assert!(stderr(&socks).contains("HTTP CONNECT"), "{}", stderr(&socks));
}
