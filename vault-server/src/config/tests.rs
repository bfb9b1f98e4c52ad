use std::{fs, path::Path, time::Duration};

use super::*;

fn registrar() -> String {
    crate::identity::OperatorIdentity::from_seed(&[7; 32])
        .unwrap()
        .key()
        .to_text("regkey")
}

fn parse(args: &[&str]) -> Result<Config, clap::Error> {
    let registrar = registrar();
    let required = ["vault-server", "--data", "d", "--registrar", &registrar];
    Config::from_args(required.iter().chain(args))
}

fn text(refused: Result<Config, clap::Error>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn defaults_stand() {
    let config = parse(&["--dev"]).unwrap();
    assert_eq!(config.limits.header_bytes, 16 << 10);
    assert_eq!(config.limits.header_timeout, Duration::from_secs(10));
    assert_eq!(config.certificate_source(), Ok(CertificateSource::Development));
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(
        dir.path(),
        "dev = true\nheader-bytes = \"8KiB\"\nconnections = 7\npublic-authority = [\"a:1\", \"b:2\"]\n",
    );
    let config = parse(&["--config", &file, "--connections", "9"]).unwrap();
    assert_eq!(
        (config.limits.header_bytes, config.limits.connections),
        (8 << 10, 9)
    );
    assert_eq!(config.public_authority, ["a:1", "b:2"]);
    assert!(config.dev);
}

#[test]
fn required_settings_may_stand_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(
        dir.path(),
        &format!("data = \"e\"\nregistrar = \"{}\"\ndev = true\n", registrar()),
    );
    assert_eq!(
        Config::from_args(["vault-server", "--config", &file])
            .unwrap()
            .data,
        Path::new("e")
    );
}

#[test]
fn an_unknown_setting_in_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "dev = true\nheder-bytes = 1\n");
    assert!(text(parse(&["--config", &file])).contains("unknown setting \"heder-bytes\""));
    assert!(text(parse(&["--config", "/nonexistent"])).contains("/nonexistent"));
}

#[test]
fn certificate_flags_must_make_sense() {
    assert!(text(parse(&[])).contains("--tls-cert and --tls-key, or --dev"));
    assert!(text(parse(&["--dev", "--tls-cert", "f"])).contains("leave out"));
    let files = ["--tls-cert", "c", "--tls-key", "k"];
    assert!(matches!(
        parse(&files).unwrap().certificate_source(),
        Ok(CertificateSource::Files { .. })
    ));
}

#[test]
fn bad_values_say_what_is_expected() {
    assert!(text(parse(&["--dev", "--header-bytes", "lots"])).contains("expected a size"));
    assert!(text(parse(&["--dev", "--public-authority", "host"])).contains("expected HOST:PORT"));
    let key = Config::from_args(["vault-server", "--data", "d", "--registrar", "reg_x", "--dev"]);
    assert!(text(key).contains("medvault registrar init"));
}

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("settings.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn one_answer_is_well_below_what_one_principal_may_hold() {
    for (flag, value, memory) in [
        ("--release-manifest-bytes", "64MiB", "--body-memory"),
        ("--sealed-manifest-bytes", "24MiB", "--body-memory"),
        ("--commit-bytes", "25MiB", "--body-memory"),
        ("--page-bytes", "25MiB", "--body-memory"),
        ("--body-memory", "64MiB", "--release-manifest-bytes"),
        ("--principal-share", "40", "--release-manifest-bytes"),
        ("--message-bytes", "2MiB", "--message-memory"),
        ("--message-memory", "8MiB", "--message-bytes"),
        ("--sealed-manifest-bytes", "20MiB", "--release-manifest-bytes"),
        ("--enrolment-bytes", "1900KiB", "--address-memory"),
        ("--public-memory", "512KiB", "--enrolment-bytes"),
        ("--unsigned-memory", "128KiB", "--enrolment-bytes"),
    ] {
        let text = text(parse(&["--dev", flag, value]));
        let named = if flag == "--principal-share" {
            "--body-memory"
        } else {
            flag
        };
        assert!(text.contains(named) && text.contains(memory), "{flag}: {text}");
    }
    // Control: where there is as much, it is allowed.
    let large = [
        "--dev",
        "--release-manifest-bytes",
        "64MiB",
        "--body-memory",
        "257MiB",
    ];
    assert!(parse(&large).is_ok());
    assert!(parse(&["--dev", "--message-bytes", "2MiB", "--message-memory", "0"]).is_ok());
}

#[test]
fn a_share_is_a_percentage() {
    for share in ["0", "101", "half"] {
        assert!(parse(&["--dev", "--principal-share", share]).is_err());
    }
}
