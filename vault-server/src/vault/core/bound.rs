//! What the data are bound to: whose operator and registrar the clients have pinned, under which link they know this server, whose
//! cosignatures its log has (OPR-1 to OPR-3). A start with other settings on the same data is a slip in nearly every case, and
//! what clients see of it they keep; so it is refused before anything is served.
//!
//! One row of the ledger says it. As long as nothing stands in the log, nobody depends on it, and it may change freely.

mod proof;

use bytes::Bytes;
use protocol_spec::{
    defence::Defence,
    hash::Sha256Digest,
    ids::{OperatorId, RegistrarId},
    keys::IdentityKey,
    link::{Fingerprint, ServerLink},
    log::Generation,
};

use crate::{
    store::{Commit, CommitId, Decision, Ledger, transact},
    vault::{
        core::{bound::proof::Proof, refusal::Refusal},
        tables::{self, BoundRow, Row},
    },
};

/// What a start would bind the data to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The operator's public key.
    pub operator: IdentityKey,
    /// The registrar's public key.
    pub registrar: IdentityKey,
    /// SHA-256 of the certificate that the link pins, if the server made it itself.
    pub certificate: Option<Sha256Digest>,
    /// Names by which clients may know the server; the first one stands in its link.
    pub authorities: Vec<String>,
    /// Whether the operator has said them: an address to listen on alone is no promise.
    pub named: bool,
    /// Digest of the policy whose witnesses are asked; none without one.
    pub witnesses: Option<Sha256Digest>,
}

/// What the operator says of a change that is meant.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// The link that clients will be given from now on.
    pub link: Option<ServerLink>,
    /// The witness policy, by the digest's beginning, or `none`.
    pub witnesses: Option<String>,
    /// The registrar's key, of data that do not show which one is theirs.
    pub registrar: Option<IdentityKey>,
}

/// What the data say. Read before anything is written.
#[derive(Clone, Debug)]
pub struct Bound {
    row: Option<BoundRow>,
    /// Whether the log was ever begun here, which the operator's key has signed.
    begun: bool,
    /// Whether anything stands in the log, or waits for its place.
    used: bool,
    /// Which of the operator's logs it is.
    generation: Generation,
    /// Of data without the row.
    proof: Proof,
}

/// Which setting differs, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unbound {
    /// Another registrar.
    #[error(
        "these data belong to another registrar than the one of --registrar: {bound} stands in all links and accreditations here. \
         Start with --registrar {bound}, or give a registrar of its own a data directory of its own; nothing was served"
    )]
    Registrar {
        /// The registrar's key, as text.
        bound: String,
    },
    /// Another registrar, of which no more is known than that it is not this one.
    #[error(
        "these data belong to another registrar than the one of --registrar: it has not signed what a registrar has signed here. Start \
         with the registrar's key that stood there before; nothing was served"
    )]
    OtherRegistrar,
    /// Nothing shows which registrar is the right one.
    #[error(
        "these data do not say to which registrar they belong: a server made them that did not write it down, and nothing in them is \
         signed by one. Clients keep its key, so another one would be in their way for ever: look at the settings of before, or have a patient \
         run `medvault server show`; with the key of --registrar it must say {shown}. If it does, start once with \
         --accept-registrar {given}; nothing was served"
    )]
    UnknownRegistrar {
        /// The key of this start, as text.
        given: String,
        /// As clients show it.
        shown: RegistrarId,
    },
    /// Another operator key.
    #[error(
        "operator.key is not the key of these data: they were served by {bound}, and it is the key of {given}. Restore operator.key from a \
         backup of this data directory; nothing was served"
    )]
    Operator {
        /// The operator's id.
        bound: String,
        /// Of the key that lies there.
        given: String,
    },
    /// Another operator key, by the name of the log.
    #[error(
        "operator.key is not the key of these data: their log is {log}, and it is the key of {given}. Restore operator.key from a backup \
         of this data directory; nothing was served"
    )]
    OtherLog {
        /// The name that the log has.
        log: String,
        /// Of the key that lies there.
        given: OperatorId,
    },
    /// A link that clients do not have.
    #[error(
        "{what}, so clients could not go on with the link that they have: {remedy}. If the link is to be another one from now on, start \
         once with --accept-link '{link}', and have everybody run `medvault server move '{link}'`; nothing was served"
    )]
    Link {
        /// What differs.
        what: String,
        /// How to go on with the old one.
        remedy: String,
        /// The link that this start would print.
        link: Box<ServerLink>,
    },
    /// Other witnesses.
    #[error(
        "{what}: clients who ask for the witnesses of before would be shown nothing that those have cosigned, and no witness that knows \
         these data would warn of an old copy. Start with the policy of before; if the change is meant, start once with \
         --accept-witness-policy {accept}; nothing was served"
    )]
    Witnesses {
        /// What differs.
        what: &'static str,
        /// What to confirm it with.
        accept: String,
    },
}

impl Bound {
    /// Reads what the data are bound to.
    pub async fn read(ledger: &dyn Ledger) -> Result<Self, Refusal> {
        let head = tables::log_head().get(ledger).await?;
        let used = match &head {
            Some(head) if head.size > 0 => true,
            // What was queued once leaves traces that take time to pass: nobody looks there for long in a log that is empty.
            _ => !tables::log_queued(Vec::new()).scan(ledger, 1).await?.is_empty(),
        };
        let row = tables::bound().get(ledger).await?;
        let proof = match &row {
            None => Proof::find(ledger, head.as_ref()).await?,
            Some(row) if row.operator().and(row.registrar()).is_some() => Proof::default(),
            Some(_) => return Err(Refusal::damaged("what the data are bound to has no keys")),
        };
        Ok(Self {
            row,
            begun: head.is_some(),
            generation: head.unwrap_or_default().generation()?,
            used,
            proof,
        })
    }

    /// Whether an operator's key has signed something here: it must be there, and is not made anew (OPR-1).
    pub fn has_operator(&self) -> bool {
        self.begun
    }

    /// Which of the operator's logs it is (RST-1).
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The registrar of data that say so.
    pub fn registrar(&self) -> Option<IdentityKey> {
        self.row.as_ref().and_then(BoundRow::registrar)
    }

    /// The keys, which never change (OPR-1).
    pub fn check_keys(
        &self,
        operator: &IdentityKey,
        registrar: &IdentityKey,
        accepted: &Accepted,
    ) -> Result<(), Unbound> {
        if !self.used || Defence::BoundData.is_off() {
            return Ok(());
        }
        let Some(row) = &self.row else {
            return self.check_proof(operator, registrar, accepted);
        };
        if let Some(bound) = row.operator().filter(|bound| bound != operator) {
            return Err(Unbound::Operator {
                bound: OperatorId::from(&bound).to_string(),
                given: OperatorId::from(operator).to_string(),
            });
        }
        match row.registrar().filter(|bound| bound != registrar) {
            Some(bound) => Err(Unbound::Registrar {
                bound: bound.to_text(IdentityKey::REGISTRAR_PREFIX),
            }),
            None => Ok(()),
        }
    }

    /// Data of a server that kept no row: what they hold shows whose they are, or the operator says the registrar.
    fn check_proof(
        &self,
        operator: &IdentityKey,
        registrar: &IdentityKey,
        accepted: &Accepted,
    ) -> Result<(), Unbound> {
        if let Some(log) = self.proof.other_log(operator) {
            return Err(Unbound::OtherLog {
                log: log.to_owned(),
                given: OperatorId::from(operator),
            });
        }
        match &self.proof.signed {
            Some(signed) if signed.is_by(registrar, operator) => Ok(()),
            Some(_) => Err(Unbound::OtherRegistrar),
            None if accepted.registrar.as_ref() == Some(registrar) => Ok(()),
            None => Err(Unbound::UnknownRegistrar {
                given: registrar.to_text(IdentityKey::REGISTRAR_PREFIX),
                shown: RegistrarId::from(registrar),
            }),
        }
    }

    /// The link and the witnesses, which change when the operator says so (OPR-2, OPR-3).
    pub fn check_changes(
        &self,
        new: &Binding,
        accepted: &Accepted,
    ) -> Result<Result<(), Unbound>, protocol_spec::Error> {
        let Some(row) = self.row.as_ref().filter(|_| self.used) else {
            return Ok(Ok(()));
        };
        let link = new.link()?;
        if accepted.link.as_ref() != Some(&link) {
            let changed = row.other_certificate(new).or_else(|| row.other_authority(new));
            if let Some((what, remedy)) = changed {
                return Ok(Err(Unbound::Link {
                    what,
                    remedy,
                    link: Box::new(link),
                }));
            }
        }
        let accept = short(new.witnesses);
        let differs = row.witnesses().is_some() && row.witnesses() != new.witnesses;
        if differs && accepted.witnesses.as_ref() != Some(&accept) {
            let what = match new.witnesses {
                Some(_) => {
                    "--witness-policy names other witnesses, or another quorum, than these data were served with"
                }
                None => "these data were served with --witness-policy, and it is not given now",
            };
            return Ok(Err(Unbound::Witnesses { what, accept }));
        }
        Ok(Ok(()))
    }
}

impl Binding {
    /// What clients are given.
    pub fn link(&self) -> Result<ServerLink, protocol_spec::Error> {
        let fingerprint = Fingerprint::of(&self.operator, &self.registrar, self.certificate.as_ref());
        ServerLink::new(self.authorities.first().map_or("", String::as_str), fingerprint)
    }

    /// Binds the data to this, durably, unless they are already.
    pub async fn keep(&self, ledger: &dyn Ledger) -> Result<(), Refusal> {
        if Defence::BoundData.is_off() {
            return Ok(());
        }
        transact(ledger, |_| self.kept(ledger)).await
    }

    async fn kept(&self, ledger: &dyn Ledger) -> Result<Decision<()>, Refusal> {
        let key = tables::bound();
        let (stored, version) = key.read(ledger).await?;
        let before = stored.clone().unwrap_or_default();
        let authority = match self.authorities.first() {
            Some(first) if self.named => first.clone(),
            _ => before.authority,
        };
        let row = BoundRow {
            operator: Bytes::copy_from_slice(self.operator.as_bytes()),
            registrar: Bytes::copy_from_slice(self.registrar.as_bytes()),
            certificate: bytes(self.certificate),
            authority,
            witnesses: bytes(self.witnesses),
        };
        if stored.as_ref() == Some(&row) {
            return Ok(Decision::Done(()));
        }
        let commit = Commit::new(CommitId::fresh()).urgent();
        let mut commit = commit.put(key.key().clone(), row.bytes());
        commit.checks.push((key.key().clone(), version));
        Ok(Decision::Commit(commit, ()))
    }
}

impl BoundRow {
    fn operator(&self) -> Option<IdentityKey> {
        self.operator.as_ref().try_into().ok()
    }

    fn registrar(&self) -> Option<IdentityKey> {
        self.registrar.as_ref().try_into().ok()
    }

    fn certificate(&self) -> Option<Sha256Digest> {
        self.certificate.as_ref().try_into().ok()
    }

    fn witnesses(&self) -> Option<Sha256Digest> {
        self.witnesses.as_ref().try_into().ok()
    }

    /// What is another certificate, and how to go on with the one of before.
    fn other_certificate(&self, new: &Binding) -> Option<(String, String)> {
        let (before, now) = (self.certificate(), new.certificate);
        if before == now {
            return None;
        }
        let (what, remedy) = match (before, now) {
            (Some(_), None) => (
                "clients have pinned the certificate that this server made itself (--dev), and --tls-cert gives another",
                "start with --dev",
            ),
            (None, Some(_)) => (
                "clients check this server's certificate against their system's roots, and with --dev it makes one itself",
                "start with --tls-cert and --tls-key",
            ),
            _ => (
                "clients have pinned the certificate that this server made itself, and dev-tls.crt holds another",
                "restore dev-tls.crt and dev-tls.key from a backup of this data directory",
            ),
        };
        Some((what.to_owned(), remedy.to_owned()))
    }

    /// The name that clients know, if this server would not answer to it any more.
    fn other_authority(&self, new: &Binding) -> Option<(String, String)> {
        let known = &self.authority;
        if known.is_empty() || new.authorities.contains(known) {
            return None;
        }
        Some((
            format!("clients know this server as {known}, and it would not answer to that name any more"),
            format!("name it too, --public-authority {known}, before or behind another one"),
        ))
    }
}

/// By what a witness policy is confirmed.
fn short(witnesses: Option<Sha256Digest>) -> String {
    witnesses.map_or_else(
        || "none".to_owned(),
        |digest| digest.to_string().chars().take(SHORT).collect(),
    )
}

fn bytes(digest: Option<Sha256Digest>) -> Bytes {
    digest
        .map(|digest| Bytes::copy_from_slice(digest.as_bytes()))
        .unwrap_or_default()
}

/// Hexadecimal digits that tell policies of one operator apart.
const SHORT: usize = 12;

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    fn key(seed: u8) -> IdentityKey {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        IdentityKey::try_from(signing.verifying_key().as_bytes().as_slice()).unwrap()
    }

    fn binding() -> Binding {
        Binding {
            operator: key(1),
            registrar: key(2),
            certificate: None,
            authorities: vec!["vault.example:8443".to_owned(), "127.0.0.1:8443".to_owned()],
            named: true,
            witnesses: Some(Sha256Digest::of(b"policy")),
        }
    }

    fn used(row: BoundRow) -> Bound {
        Bound {
            row: Some(row),
            begun: true,
            used: true,
            generation: Generation::FIRST,
            proof: Proof::default(),
        }
    }

    fn row_of(binding: &Binding) -> BoundRow {
        BoundRow {
            operator: Bytes::copy_from_slice(binding.operator.as_bytes()),
            registrar: Bytes::copy_from_slice(binding.registrar.as_bytes()),
            certificate: bytes(binding.certificate),
            authority: binding.authorities[0].clone(),
            witnesses: bytes(binding.witnesses),
        }
    }

    fn changes(before: &Binding, now: &Binding, accepted: &Accepted) -> Result<(), Unbound> {
        used(row_of(before)).check_changes(now, accepted).unwrap()
    }

    /// OPR-1
    #[test]
    fn keys_never_change_once_something_is_there() {
        let bound = used(row_of(&binding()));
        let said = Accepted {
            registrar: Some(key(3)),
            ..Accepted::default()
        };
        let check = |bound: &Bound, operator, registrar| bound.check_keys(&operator, &registrar, &said);
        assert_eq!(check(&bound, key(1), key(2)), Ok(()));
        // What they say themselves no word overrides.
        let registrar = check(&bound, key(1), key(3)).unwrap_err().to_string();
        let right = key(2).to_text(IdentityKey::REGISTRAR_PREFIX);
        assert!(registrar.contains(&format!("--registrar {right}")), "{registrar}");
        let operator = check(&bound, key(3), key(2)).unwrap_err().to_string();
        assert!(operator.contains("Restore operator.key"), "{operator}");
        let unused = Bound { used: false, ..bound };
        assert_eq!(check(&unused, key(1), key(3)), Ok(()));
    }

    /// OPR-2: another certificate or name is refused until the operator has said the new link; a name that comes beside the old one is not.
    #[test]
    fn a_link_changes_when_the_operator_says_which_one_it_will_be() {
        let real = binding();
        let pinned = |with: &[u8]| Binding {
            certificate: Some(Sha256Digest::of(with)),
            ..binding()
        };
        let moved = Binding {
            authorities: vec!["new.example:443".to_owned()],
            ..binding()
        };
        let beside = Binding {
            authorities: ["new.example:443", "vault.example:8443"]
                .map(str::to_owned)
                .into(),
            ..binding()
        };
        assert_eq!(changes(&real, &beside, &Accepted::default()), Ok(()));
        for (before, now, remedy) in [
            (&real, &pinned(b"own"), "start with --tls-cert and --tls-key"),
            (&pinned(b"own"), &real, "start with --dev"),
            (&pinned(b"own"), &pinned(b"other"), "restore dev-tls.crt"),
            (&real, &moved, "--public-authority vault.example:8443"),
        ] {
            let refused = changes(before, now, &Accepted::default())
                .unwrap_err()
                .to_string();
            assert!(refused.contains(remedy), "{refused}");
            let link = now.link().unwrap();
            assert!(refused.contains(&format!("--accept-link '{link}'")), "{refused}");
            let accepted = |link| Accepted {
                link: Some(link),
                ..Accepted::default()
            };
            assert_eq!(changes(before, now, &accepted(link)), Ok(()));
            assert!(changes(before, now, &accepted(before.link().unwrap())).is_err());
        }
    }

    /// OPR-3: witnesses may come to a log that had none; they do not go, and are not exchanged, without a word.
    #[test]
    fn witnesses_go_when_the_operator_says_so() {
        let without = Binding {
            witnesses: None,
            ..binding()
        };
        let others = Binding {
            witnesses: Some(Sha256Digest::of(b"another policy")),
            ..binding()
        };
        assert_eq!(changes(&without, &binding(), &Accepted::default()), Ok(()));
        for now in [&without, &others] {
            let Err(Unbound::Witnesses { accept, .. }) = changes(&binding(), now, &Accepted::default())
            else {
                panic!("{now:?} was taken");
            };
            let accepted = |text: &str| Accepted {
                witnesses: Some(text.to_owned()),
                ..Accepted::default()
            };
            assert_eq!(changes(&binding(), now, &accepted(&accept)), Ok(()));
            assert!(changes(&binding(), now, &accepted("0123456789ab")).is_err());
        }
    }
}
