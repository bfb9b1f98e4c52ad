//! First contact: a link's fingerprint covers the operator's and the registrar's key, and, of a development
//! server, its certificate. What hashes to it is pinned in the home.

use protocol_spec::{
    Error as SpecError,
    api::{self, RequestTarget, ServerQuery},
    defence::Defence,
    field::{SUITE, VERSION},
    hash::Sha256Digest,
    keys::IdentityKey,
    link::{Fingerprint, ServerLink, verify_proof},
    messages as pb,
    problem::Problem,
};

use super::{Http, call::fetch_unsigned};
use crate::{
    Error, Result,
    ground::{FirstCertificate, Ground, Trust},
    home::Pins,
};

/// Follows a link for the first time. Nothing but an unsigned GET leaves the machine before the
/// fingerprint has been compared (KEY-9).
pub(crate) async fn bootstrap(link: &ServerLink, ground: &Ground) -> Result<Pins> {
    Ok(found(link, ground, api::SERVER.here()).await?.0)
}

/// Follows a link to where a home's server is now: both keys are those of the home, and the operator's has signed that it answers
/// there (OPR-10). Keys alone prove nothing: everybody can show them, and whoever passes on what he is asked could stand between.
pub(crate) async fn follow(link: &ServerLink, home: &Pins, ground: &Ground) -> Result<Pins> {
    let other = |rule| Error::OtherServer {
        authority: link.authority().to_owned(),
        rule,
    };
    let nonce = ground.system.token()?;
    let proven = ServerQuery {
        nonce: Some(nonce.clone()),
    };
    let (pins, info) = match found(link, ground, api::SERVER.ask([], proven)).await {
        Err(error) if error.is_problem(Problem::NotPermitted) => {
            return Err(other(
                "what answers there does not go by that name: its operator has to give it, --public-authority",
            ));
        }
        found => found?,
    };
    if pins.operator != home.operator {
        return Err(other("its operator's key is another"));
    }
    if pins.registrar != home.registrar {
        return Err(other("its registrar's key is another"));
    }
    verify_proof(&pins.operator, link.authority(), &nonce, &info.proof)
        .map_err(|_| other("the operator's key does not say that its server is there"))?;
    Ok(pins)
}

/// What a link leads to, and what that says of itself.
async fn found(
    link: &ServerLink,
    ground: &Ground,
    at: RequestTarget<(), pb::ServerInfo, ServerQuery>,
) -> Result<(Pins, pb::ServerInfo)> {
    let first = FirstCertificate::default();
    let http = Http::to(link.authority(), Trust::Any(first.clone()), ground)?;
    let info = fetch_unsigned(http, link.authority(), at).await?;
    if (info.version, info.suite) != (VERSION, SUITE) {
        return Err(SpecError::Version {
            version: info.version,
            suite: info.suite,
        }
        .into());
    }
    let certificate = first.take();
    let shown = certificate.as_ref().map(|certificate| certificate.digest);
    let pins = pins(link, [&info.operator_key, &info.registrar_key], shown)?;
    match certificate.and_then(|certificate| certificate.fault) {
        Some(fault) if pins.certificate.is_none() => Err(Error::Certificate {
            authority: link.authority().to_owned(),
            fault,
        }),
        _ => Ok((pins, info)),
    }
}

/// The keys that a server has shown, and, where the link's fingerprint covers it, its certificate.
fn pins(link: &ServerLink, keys: [&[u8]; 2], shown: Option<Sha256Digest>) -> Result<Pins> {
    let wrong = |rule| Error::WrongServer {
        authority: link.authority().to_owned(),
        rule,
    };
    let key = |bytes: &[u8]| IdentityKey::try_from(bytes).map_err(|_| wrong("its keys are malformed"));
    let [operator, registrar] = keys.map(key);
    let (operator, registrar) = (operator?, registrar?);
    let shown = shown.ok_or_else(|| wrong("it shows no certificate"))?;
    let matches = |digest| Fingerprint::of(&operator, &registrar, digest) == *link.fingerprint();
    let certificate = if matches(Some(&shown)) || Defence::ServerLink.is_off() {
        Some(shown)
    } else if matches(None) {
        None
    } else {
        return Err(wrong("its keys are not those in the link"));
    };
    Ok(Pins {
        link: link.clone(),
        operator,
        registrar,
        certificate,
    })
}
