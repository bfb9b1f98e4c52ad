//! Statements in an institution's name: by its identity key, or by a terminal that it has certified.

use protocol_spec::{bodies::TerminalCertificate, ids::OperatorId, messages as pb, statement::Signed};

use super::{bad, good};
use crate::{
    case::{Case, Check, Hex},
    world::{self, HOUR, INSTITUTION, NOW, OPERATOR, REGISTRAR, STRANGER, TERMINAL, key},
};

/// A certificate of the terminal, after this change, by this key.
fn certificate(signer: u8, change: impl FnOnce(&mut TerminalCertificate)) -> Signed<TerminalCertificate> {
    let mut certificate = world::terminal_certificate();
    change(&mut certificate);
    key(signer).signed(certificate)
}

fn request(signer: u8) -> Signed<protocol_spec::bodies::DownloadRequest> {
    key(signer).signed(world::download_request())
}

fn check(statement: &pb::Statement) -> Check {
    Check::TerminalStatement {
        entry: (&world::entry()).into(),
        registrar_key: Hex(key(REGISTRAR).public().as_bytes().to_vec()),
        operator: Hex(OperatorId::from(&key(OPERATOR).public()).as_bytes().to_vec()),
        statement: statement.into(),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let by_terminal = |certificate| request(TERMINAL).with_certificate(certificate).to_message();
    let wrong = |rule, expect, name, description, statement: &pb::Statement| {
        bad(rule, expect, name, description, check(statement))
    };
    let mut nested = by_terminal(certificate(INSTITUTION, |_| ()));
    if let Some(certificate) = &mut nested.certificate {
        certificate.certificate = Some(Box::new(world::terminal_certificate_statement()));
    }
    vec![
        good(
            "INS-9",
            "by-the-identity-key",
            "a request by the institution itself",
            check(&request(INSTITUTION).to_message()),
        ),
        good(
            "INS-9",
            "by-a-terminal",
            "a request by a terminal, with its certificate",
            check(&by_terminal(certificate(INSTITUTION, |_| ()))),
        ),
        good(
            "INS-9",
            "at-the-certificates-end",
            "made in the last millisecond of the certificate",
            check(&by_terminal(certificate(INSTITUTION, |it| it.not_after = NOW))),
        ),
        wrong(
            "INS-9",
            "bad signature",
            "without-certificate",
            "a terminal's signature without its certificate",
            &request(TERMINAL).to_message(),
        ),
        wrong(
            "INS-9",
            "bad signature",
            "another-signer",
            "the certificate of a terminal that has not signed",
            &request(STRANGER)
                .with_certificate(certificate(INSTITUTION, |_| ()))
                .to_message(),
        ),
        wrong(
            "INS-7",
            "bad signature",
            "foreign-certificate",
            "certified by another key than the institution's",
            &by_terminal(certificate(STRANGER, |_| ())),
        ),
        wrong(
            "INS-7",
            "mismatch",
            "certificate-for-another-institution",
            "signed by this institution, for another one",
            &by_terminal(certificate(INSTITUTION, |it| {
                it.institution_id = world::institution(STRANGER)
            })),
        ),
        wrong(
            "INS-7",
            "mismatch",
            "certificate-for-another-operator",
            "signed by this institution, for another server",
            &by_terminal(certificate(INSTITUTION, |it| {
                it.operator_id = OperatorId::from(&key(STRANGER).public());
            })),
        ),
        wrong(
            "INS-7",
            "bad signature",
            "certified-by-a-terminal",
            "the certificate comes with a certificate of its own",
            &nested,
        ),
        wrong(
            "INS-9",
            "mismatch",
            "after-the-certificates-end",
            "made after the certificate's end",
            &by_terminal(certificate(INSTITUTION, |it| it.not_after = NOW - HOUR)),
        ),
    ]
}
