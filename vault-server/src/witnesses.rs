//! Asks witnesses for cosignatures, beside everything else: a witness that is slow or dead stops nothing, the cosigned
//! checkpoint only lags. One that has cosigned another log, or more of it, stops releases. See `spec/log.md` §5.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use protocol_spec::{
    hash::Sha256Digest,
    log::{
        Note, NoteKey, Policy, SignatureLine, SignedCheckpoint, Submission, VerifiedCheckpoint, Witness,
        cosigned_at,
    },
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use crate::{
    start_error::StartError,
    vault::{Refusal, Vault},
};

/// The witnesses of the policy, and how they are asked.
pub(crate) struct Witnesses {
    policy: Policy,
    log: NoteKey,
    pace: Duration,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Leaves of what each has cosigned last, by its name, as far as it is known.
    known: HashMap<String, u64>,
}

/// Longest wait for one witness.
const PATIENCE: Duration = Duration::from_secs(5);
/// For the other witnesses, once there are enough.
const GRACE: Duration = Duration::from_millis(200);
/// Without a quorum, also a log that does not grow is shown again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// A log that does not grow is cosigned again after this, because clients ask when it was cosigned last (LOG-11).
const REFRESH: Duration = Duration::from_secs(3600);

/// Why a witness has not cosigned.
#[derive(Debug, thiserror::Error)]
enum WitnessFailure {
    /// The witness has not answered in time.
    #[error("it does not answer: {0}")]
    Silent(String),
    /// The witness refuses, with this status.
    #[error("it answers {0}")]
    Refused(StatusCode),
    /// It has cosigned more than there is: this log was set back.
    #[error("it has cosigned {seen} leaves, and the log has {here}")]
    Ahead {
        /// How many leaves the witness has cosigned.
        seen: u64,
        /// How many leaves the log has.
        here: u64,
    },
    /// It has cosigned other leaves than there are: this log was set back, and has grown since.
    #[error("what it has cosigned is not continued by the {here} leaves of the log")]
    Other {
        /// How many leaves the log has.
        here: u64,
    },
    /// What it answers is no cosignature of it.
    #[error("its answer is no cosignature: {0}")]
    Malformed(#[from] protocol_spec::Error),
    /// The log's own proof cannot be made.
    #[error("the log has no proof for it")]
    Log,
}

impl Witnesses {
    /// Reads the policy: witnesses that it has URLs of are asked.
    pub(crate) fn open(policy: &Path, pace: Duration, log: NoteKey) -> Result<Self, StartError> {
        let wrong =
            |text: String| StartError::Settings(format!("witness policy {}: {text}", policy.display()));
        let file = fs::read(policy).map_err(|error| wrong(error.to_string()))?;
        let read = Policy::parse(&file).map_err(|error| wrong(error.to_string()))?;
        if !read.speaks_of(&log) {
            return Err(wrong(format!("it is about other logs, this one is {log}")));
        }
        let urls = read
            .witnesses()
            .iter()
            .filter_map(|witness| witness.url.as_deref());
        for url in urls {
            let parsed = add_checkpoint(url).parse::<http::Uri>();
            let scheme = parsed.ok().and_then(|url| url.scheme_str().map(str::to_owned));
            if !matches!(scheme.as_deref(), Some("http" | "https")) {
                return Err(wrong(format!("{url} is no URL")));
            }
        }
        Ok(Self {
            policy: read,
            log,
            pace,
            client: client().map_err(|error| wrong(error.to_string()))?,
            known: HashMap::new(),
        })
    }

    /// Of what the policy demands (OPR-3).
    pub(crate) fn digest(&self) -> Sha256Digest {
        self.policy.digest()
    }

    /// Has every new checkpoint cosigned, for ever; those between two rounds share the second one's. `enough` is whether the
    /// quorum has cosigned in the round before.
    pub(crate) async fn run(mut self, vault: Vault, mut enough: bool) {
        let mut growth = vault.log_growth();
        loop {
            tokio::time::sleep(self.pace).await;
            tokio::select! {
                changed = growth.changed() => if changed.is_err() { return },
                () = vault.witness_rounds().wanted() => {}
                () = tokio::time::sleep(if enough { REFRESH } else { AGAIN }) => {}
            }
            enough = self.ask_all(&vault).await;
        }
    }

    /// Asks all of them once; whether the quorum has cosigned. A server does it before it serves: on an old copy of the data it
    /// would give out what was revoked since (LOG-22).
    pub(crate) async fn ask_all(&mut self, vault: &Vault) -> bool {
        let begun = vault.witness_rounds().begin();
        let enough = self.round(vault).await.unwrap_or_else(|refusal| {
            tracing::error!(cause = refusal.cause, "the log cannot be shown to witnesses");
            false
        });
        vault.witness_rounds().end(begun);
        enough
    }

    /// Asks all of them about the newest checkpoint, and publishes it when the quorum has cosigned; whether it has.
    async fn round(&mut self, vault: &Vault) -> Result<bool, Refusal> {
        let head = SignedCheckpoint::parse(vault.log_head().await?.as_bytes())?.verify(&self.log)?;
        let mut cosigned = head.clone();
        let mut enough = false;
        {
            let this = &*self;
            let asked = this.policy.witnesses().iter().filter_map(|witness| {
                let url = witness.url.as_deref()?;
                let head = &head;
                Some(async move { (witness, this.ask(vault, witness, url, head).await) })
            });
            let mut answers: FuturesUnordered<_> = asked.collect();
            let mut sizes = Vec::new();
            loop {
                let wait = if enough { GRACE } else { PATIENCE * 2 };
                let Ok(Some((witness, answer))) = tokio::time::timeout(wait, answers.next()).await else {
                    break;
                };
                match answer {
                    Ok(line) => {
                        agreed(vault, witness);
                        sizes.push((witness.key.name().to_owned(), head.size));
                        cosigned = cosigned.with(line);
                        enough = self.policy.witnessed(cosigned.clone(), 0).is_ok();
                        if enough {
                            vault.publish_cosigned(&cosigned).await?;
                        }
                    }
                    Err(failure @ (WitnessFailure::Ahead { .. } | WitnessFailure::Other { .. })) => {
                        contradicted(vault, witness, &failure);
                    }
                    Err(failure) => tracing::warn!(
                        witness = witness.key.name(),
                        %failure,
                        "a witness has not cosigned"
                    ),
                }
            }
            drop(answers);
            self.known.extend(sizes);
        }
        Ok(enough)
    }

    /// One witness's cosignature. It may have seen less than was thought, after its own restart or ours: then it says how
    /// much, and is asked once more.
    async fn ask(
        &self,
        vault: &Vault,
        witness: &Witness,
        url: &str,
        head: &VerifiedCheckpoint,
    ) -> Result<SignatureLine, WitnessFailure> {
        let mut old = self.known.get(witness.key.name()).copied().unwrap_or_default();
        for last in [false, true] {
            let path = if old == 0 || old == head.size {
                Vec::new()
            } else {
                let proof = vault.log_path(old, head.size).await;
                proof.map_err(|_| WitnessFailure::Log)?
            };
            let submission = Submission {
                old,
                path,
                checkpoint: head.signed().clone(),
            };
            let (status, answer) = self.post(url, submission.to_string()).await?;
            match status {
                StatusCode::OK => return cosignature(&answer, witness, head),
                StatusCode::CONFLICT if !last => {
                    let seen = answer.trim_end().parse::<u64>();
                    old = seen.map_err(|_| WitnessFailure::Refused(status))?;
                    if old > head.size {
                        return Err(WitnessFailure::Ahead {
                            seen: old,
                            here: head.size,
                        });
                    }
                }
                // Asked about what it has said that it has cosigned, or about the same size with another root.
                StatusCode::CONFLICT if answer.trim_end() == old.to_string() => {
                    return Err(WitnessFailure::Other { here: head.size });
                }
                StatusCode::UNPROCESSABLE_ENTITY => return Err(WitnessFailure::Other { here: head.size }),
                status => return Err(WitnessFailure::Refused(status)),
            }
        }
        Err(WitnessFailure::Refused(StatusCode::CONFLICT))
    }

    async fn post(&self, url: &str, body: String) -> Result<(StatusCode, String), WitnessFailure> {
        let silent = |error: &dyn std::fmt::Display| WitnessFailure::Silent(error.to_string());
        let request = Request::post(add_checkpoint(url)).body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| silent(&error))?;
        let asked = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| silent(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), Note::MAX_LEN).collect().await;
            let body = body.map_err(|error| silent(&error))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .map_err(|error| silent(&error))?
    }
}

/// A witness contradicts: the operator is told how to go on, once.
fn contradicted(vault: &Vault, witness: &Witness, failure: &WitnessFailure) {
    let name = witness.key.name();
    if vault.contradiction().note(name, failure.to_string()) {
        tracing::error!(
            witness = name,
            %failure,
            "a witness contradicts the log: this is an old copy of the data; nothing is given out any more. Stop the server and \
             restore the newest copy of its folder; if the newest data are lost for good, see how to go on with this copy: vault-server \
             restoration --help. If the witness is wrong, take it out of the policy, start again, and confirm that as the server then says"
        );
    }
}

/// A witness has cosigned the newest checkpoint.
fn agreed(vault: &Vault, witness: &Witness) {
    if vault.contradiction().withdraw(witness.key.name()) {
        tracing::warn!(
            witness = witness.key.name(),
            "a witness no longer contradicts the log"
        );
    }
}

/// The line of this witness, verified; others are ignored.
fn cosignature(
    answer: &str,
    witness: &Witness,
    head: &VerifiedCheckpoint,
) -> Result<SignatureLine, WitnessFailure> {
    for line in answer.lines() {
        let line: SignatureLine = line.parse()?;
        if cosigned_at(&head.clone().with(line.clone()), &witness.key)?.is_some() {
            return Ok(line);
        }
    }
    Err(WitnessFailure::Malformed(protocol_spec::Error::Signature))
}

fn add_checkpoint(prefix: &str) -> String {
    format!("{}/add-checkpoint", prefix.trim_end_matches('/'))
}

/// What witnesses say is signed, so TLS only keeps others from cutting them off: the system's roots do, where there are any.
fn client() -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
