//! Causes against texts: what a person reads names what is wrong, and says what *she* can do.

use std::path::PathBuf;

use protocol_spec::problem::Problem;

use super::*;
use crate::connect::CertificateFault;

fn refused(problem: Problem, reader: Addressee) -> String {
    Error::Refused {
        problem,
        detail: None,
        reader,
    }
    .to_string()
}

fn certificate(fault: CertificateFault) -> Error {
    Error::Certificate {
        authority: "vault.example:8443".into(),
        fault,
    }
}

fn unreachable(proxy: Option<&str>) -> Error {
    Error::Unreachable {
        authority: "vault.example:8443".into(),
        cause: "connection refused".into(),
        proxy: proxy.map(str::to_owned),
    }
}

/// OPR-6 to OPR-9: cause → code → what the text must say → what would be untrue.
#[test]
fn an_error_names_its_own_cause() {
    let read_only =
        Error::io("cannot write in", Path::new("/home/pat/vault"))(io::ErrorKind::ReadOnlyFilesystem.into());
    let table: [(Error, &str, &[&str], &[&str]); 9] = [
        (
            certificate(CertificateFault::Ended { at: 0, now: 1 }),
            "certificate-expired",
            &["vault.example:8443", "ended", "operator"],
            &["link again", "is not the server"],
        ),
        (
            certificate(CertificateFault::NotYet { from: 2, now: 1 }),
            "certificate-not-yet-valid",
            &["clock"],
            &["link again", "is not the server"],
        ),
        (
            certificate(CertificateFault::OtherName {
                names: vec!["old.example".into()],
            }),
            "certificate-name",
            &["old.example", "medvault server move"],
            &["is not the server"],
        ),
        (
            certificate(CertificateFault::UnknownIssuer),
            "certificate-issuer",
            &["SSL_CERT_FILE", "Nothing of yours was sent"],
            &["link again"],
        ),
        (
            certificate(CertificateFault::NotPinned),
            "wrong-server",
            &["another one than your link names", "by another way"],
            &["expired"],
        ),
        (
            unreachable(Some("proxy.example:3128 (of HTTPS_PROXY)")),
            "unreachable",
            &[
                "through the proxy proxy.example:3128 (of HTTPS_PROXY)",
                "--proxy none",
                "NO_PROXY",
            ],
            &["ask the operator"],
        ),
        (
            unreachable(None),
            "unreachable",
            &["connection refused", "--proxy"],
            &["through the proxy"],
        ),
        (
            Error::ClockBehind { own: 0, server: 1 },
            "clock-behind",
            &["this machine's clock", "nothing was given"],
            &["ask the patient"],
        ),
        (
            read_only,
            "io",
            &["/home/pat/vault", "cannot write"],
            &["unverified"],
        ),
    ];
    for (error, code, says, untrue) in table {
        let text = error.to_string();
        assert_eq!(error.code(), code, "{text}");
        for words in says {
            assert!(text.contains(words), "{code} does not say {words:?}: {text}");
        }
        for words in untrue {
            assert!(!text.contains(words), "{code} says {words:?}: {text}");
        }
    }
}

/// OPR-9: nobody is told to ask herself, or to do what only the other side can.
#[test]
fn a_refusal_is_true_for_whoever_reads_it() {
    for problem in Problem::ALL {
        let hers = refused(*problem, Addressee::Patient);
        let title = format!("refused: {}: ", problem.title());
        let next = hers.strip_prefix(&title).unwrap();
        for words in ["ask the patient", "talk to the patient", "ask her", "new request"] {
            assert!(
                !next.contains(words),
                "{}: a patient reads {next:?}",
                problem.code()
            );
        }
        let theirs = refused(*problem, Addressee::Institution);
        for words in ["medvault permissions", "permit again,", "your vault"] {
            assert!(
                !theirs.contains(words),
                "{}: a hospital reads {theirs:?}",
                problem.code()
            );
        }
        for text in [hers, theirs, refused(*problem, Addressee::Anybody)] {
            assert!(
                text.starts_with("refused: ") && text.matches(": ").count() >= 2,
                "{text}"
            );
        }
    }
    for (problem, reader, says) in [
        (
            Problem::PermissionExpired,
            Addressee::Patient,
            "set the clock of this machine right",
        ),
        (
            Problem::PermissionExpired,
            Addressee::Institution,
            "ask the patient for a new permission",
        ),
        (
            Problem::PermissionNotYetValid,
            Addressee::Institution,
            "the clock of the patient's device is ahead",
        ),
        (
            Problem::RequestAnswered,
            Addressee::Patient,
            "medvault permissions",
        ),
        (
            Problem::RequestAnswered,
            Addressee::Institution,
            "make a new request",
        ),
        (
            Problem::RecordDeleted,
            Addressee::Institution,
            "nothing of it is left",
        ),
        (Problem::RecordDeleted, Addressee::Patient, "medvault history"),
        (
            Problem::RecordOpened,
            Addressee::Institution,
            "ask her to delete it",
        ),
        (
            Problem::InstitutionRetired,
            Addressee::Patient,
            "choose another institution",
        ),
        (
            Problem::InstitutionRetired,
            Addressee::Institution,
            "ask the registrar",
        ),
        (Problem::KeyEnded, Addressee::Patient, "try again"),
        (
            Problem::KeyEnded,
            Addressee::Institution,
            "ask the patient to open her vault once",
        ),
    ] {
        let text = refused(problem, reader);
        assert!(text.contains(says), "{reader:?}: {text}");
    }
}

#[test]
fn a_reader_is_known_by_the_key_that_signs() {
    for (id, reader) in [
        (Some("dev_abc"), Addressee::Patient),
        (Some("inst_abc"), Addressee::Institution),
        (Some("term_abc"), Addressee::Institution),
        (Some("nonsense"), Addressee::Anybody),
        (None, Addressee::Anybody),
    ] {
        assert_eq!(Addressee::of(id), reader, "{id:?}");
    }
}

/// OPR-8: what fails on this side is not what was looked at.
#[test]
fn a_home_that_cannot_be_written_says_nothing_about_what_came() {
    let file = PathBuf::from("/home/pat/vault/seal.lock");
    let denied = Error::io("cannot open", &file)(io::ErrorKind::PermissionDenied.into());
    assert!(denied.is_of_this_side());
    assert!(unreachable(None).is_of_this_side());
    assert!(certificate(CertificateFault::UnknownIssuer).is_of_this_side());
    assert!(!Error::tampered("the event")("it is empty").is_of_this_side());
    let refusal = Error::Refused {
        problem: Problem::NotPermitted,
        detail: None,
        reader: Addressee::Patient,
    };
    assert!(!refusal.is_of_this_side());
}
