//! Carries a registrar's withdrawal to a server. It needs no home: the statement proves itself, and what the server answers
//! is proven by its log.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use protocol_spec::{
    api,
    directory::verify_withdrawal,
    ids::InstitutionId,
    link::ServerLink,
    log::{Entry, TlogProof, verify_published},
    statement::Signed,
    submitted,
};

use crate::{
    Error, Result,
    connect::{Server, bootstrap},
    ground::Ground,
};

/// The place of a withdrawal in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WithdrawnAccreditation {
    /// Who is accredited no more.
    #[serde(rename = "institution_id")]
    pub institution: InstitutionId,
    /// Its place in the log.
    pub index: u64,
    /// How many leaves the log has.
    #[serde(rename = "log_size")]
    pub size: u64,
}

/// Submits a withdrawal, and verifies its place in the server's log (INS-15, LOG-3). It needs no home ([`Ground::nowhere`]).
/// Errors: [`Error::Tampered`] for what the server's registrar has not signed, or a proof that does not verify;
/// `not-permitted` for an institution that is not enrolled there; of the connection.
pub async fn withdraw_accreditation(
    link: &ServerLink,
    file: &[u8],
    ground: &Ground,
) -> Result<WithdrawnAccreditation> {
    let signed = Signed::from_bytes(file).map_err(Error::tampered(WHAT))?;
    let server = Server::new(bootstrap(link, ground).await?, None, ground)?;
    let withdrawal = verify_withdrawal(signed, server.registrar()).map_err(Error::tampered(WHAT))?;
    let message = submitted::WithdrawInstitution {
        withdrawal: withdrawal.signed().clone(),
    };
    let answer = server.post(api::WITHDRAW_INSTITUTION.here(), &message).await?;
    let refused = Error::tampered::<protocol_spec::Error>;
    let stands = Signed::try_from(answer.withdrawal)
        .and_then(|stands| verify_withdrawal(stands, server.registrar()))
        .map_err(refused(ANSWER))?;
    if stands.institution_id != withdrawal.institution_id {
        return Err(Error::tampered(ANSWER)("it is about another institution"));
    }
    let proof = answer.proof.clone().unwrap_or_default();
    let checkpoint = verify_published(answer.proof, &Entry::withdrawal(&stands), server.operator())
        .map_err(refused(ANSWER))?;
    let proof: TlogProof = proof.proof.parse()?;
    Ok(WithdrawnAccreditation {
        institution: withdrawal.institution_id,
        index: proof.index,
        size: checkpoint.size,
    })
}

const WHAT: &str = "the withdrawal";
const ANSWER: &str = "the server's answer to the withdrawal";
