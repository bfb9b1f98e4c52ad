//! Client programs: what the registrar vouches for, carried to a server,
//! and held against a file. See `protocol-spec/spec/programs.md`.

use std::path::Path;

use protocol_spec::{
    api,
    field::Name,
    link::ServerLink,
    log::{Entry, TlogProof, verify_published},
    programs::{Vouched, verify_program},
    statement::Signed,
    submitted,
};

use crate::{
    Error, Result,
    blocking::blocking,
    connect::{Server, bootstrap},
    ground::Ground,
    transfer::files::file_hash,
    trust::Mirror,
};

/// What a registrar says of a program, beside its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramAbout {
    /// The name of the program.
    pub name: Name,
    /// The version of the program.
    pub version: Name,
    /// The machines that it runs on.
    pub target: Name,
    /// The revision of the source that it was built from.
    pub source: Name,
    /// The compiler that has built it.
    pub toolchain: Name,
}

/// A program that stands in a server's log.
#[derive(Clone, Debug)]
pub struct PublishedProgram {
    /// The program as the log has it.
    pub program: Vouched,
    /// How many leaves the log has.
    pub size: u64,
}

/// Carries what a registrar says of a program to a server, and verifies its place in the log (PRG-2, LOG-3). It needs no home
/// ([`Ground::nowhere`]): the statement proves itself.
/// Errors: [`Error::Tampered`] for what the server's registrar has not signed, or a proof that does not verify;
/// `already-exists` if something else stands under its name, version and target; of the connection.
pub async fn publish_program(link: &ServerLink, file: &[u8], ground: &Ground) -> Result<PublishedProgram> {
    let signed = Signed::from_bytes(file).map_err(Error::tampered(WHAT))?;
    let server = Server::new(bootstrap(link, ground).await?, None, ground)?;
    let program = verify_program(signed, server.registrar()).map_err(Error::tampered(WHAT))?;
    let message = submitted::PublishProgram {
        program: program.signed().clone(),
    };
    let answer = server.post(api::PUBLISH_PROGRAM.here(), &message).await?;
    let refused = Error::tampered::<protocol_spec::Error>;
    let stands = Signed::try_from(answer.program)
        .and_then(|stands| verify_program(stands, server.registrar()))
        .map_err(refused(ANSWER))?;
    if !stands.says_as(&program) {
        return Err(Error::tampered(ANSWER)("it is about another program"));
    }
    let proof = answer.proof.clone().unwrap_or_default();
    let checkpoint = verify_published(answer.proof, &Entry::program(&stands), server.operator())
        .map_err(refused(ANSWER))?;
    let proof: TlogProof = proof.proof.parse()?;
    Ok(PublishedProgram {
        program: Vouched {
            index: proof.index,
            program: stands,
        },
        size: checkpoint.size,
    })
}

/// The program that a file is, by the log as it is now (PRG-4).
pub(crate) async fn check(mirror: &Mirror, file: &Path) -> Result<Vouched> {
    let path = file.to_owned();
    let hash = blocking(move || file_hash(&path)).await?;
    let found = mirror.program(&hash).await?;
    found.ok_or_else(|| Error::UnknownProgram {
        path: file.to_owned(),
        hash: hash.to_string(),
    })
}

const WHAT: &str = "the statement about a program";
const ANSWER: &str = "the server's answer about a program";
