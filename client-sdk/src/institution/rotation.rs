//! What an institution decides about itself: another recipient key, and its end. See `spec/institutions.md`.

use std::time::Duration;

use protocol_spec::{
    api,
    bodies::{InstitutionKeys, Retirement, Succession},
    directory,
    hash::Sha256Digest,
    messages as pb,
    problem::Problem,
    statement::Signed,
};

use super::{
    Institution,
    ends::Ends,
    enrol::{accreditation_request, open_file},
};
use crate::{DirectoryEntry, Error, Result, mint, mint::millis};

/// What a rotation led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Place of the new entry in the institution's chain.
    pub sequence: u64,
    /// SHA-256 of the new recipient key.
    pub recipient_key: Sha256Digest,
    /// When the earlier keys end, in milliseconds since 1970.
    pub overlap_ends: u64,
    /// Terminals that were given the new key.
    pub terminals: usize,
}

impl Institution {
    /// Makes the next recipient key, and a request to the registrar to accredit it. Asked again before the rotation,
    /// the same key makes a new request.
    ///
    /// # Errors
    /// [`Error::Usage`] in the home of a terminal; [`Error::KeyStore`]; those of the connection.
    pub async fn rotation_request(&self) -> Result<Vec<u8>> {
        self.by_identity_key()?;
        let entry = self.own_entry().await?;
        let present = entry.recipient_key().digest();
        if self.keys.recipient()?.digest() == present {
            self.keys.store.make_recipient_key()?;
        }
        Ok(accreditation_request(&self.keys, entry.name().clone())?.1)
    }

    /// Goes on with the key that the registrar has accredited. Permissions that are wrapped to earlier keys can be
    /// used for `overlap` longer, or until those end anyway. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Tampered`] for an accreditation that is not for this key or not by the server's registrar; what the
    /// server refuses.
    pub async fn rotate(&self, accreditation: &[u8], overlap: Duration) -> Result<Rotated> {
        self.by_identity_key()?;
        let (accreditation, secret) = open_file(&self.keys, self.session.server.registrar(), accreditation)?;
        let present = self.own_entry().await?;
        if present.keys().accreditation_hash == accreditation.hash() {
            return self.rotated(&present, 0);
        }
        let recipient_key = self.keys.recipient()?;
        let keys = InstitutionKeys {
            created: mint::now_ms(),
            operator_id: self.session.server.operator_id(),
            name: accreditation.claimed().name.clone(),
            identity_key: self.keys.store.signing_key(),
            recipient_key,
            accreditation_hash: accreditation.hash(),
            succession: Some(Succession {
                sequence: present.sequence().saturating_add(1),
                previous: present.entry_hash(),
                overlap_ends: self.session.clock.own_ms().saturating_add(millis(overlap)),
            }),
        };
        let keys = Signed::try_sign(keys, |message| self.keys.sign(message))?;
        let next = directory::Institution::verify(
            keys.clone(),
            accreditation.clone(),
            self.session.server.registrar(),
            self.session.server.operator_id(),
        )
        .and_then(|next| next.check_succeeds(&present.link()).map(|()| next))
        .map_err(Error::tampered("the accreditation file"))?;
        let terminals = self.keys_for_terminals(&present).await?;
        let count = terminals.len();
        let message = pb::RotateInstitution {
            keys: Some(keys.to_message()),
            accreditation: Some(accreditation.to_message()),
            secret,
            terminals,
        };
        self.session
            .server
            .post(api::ROTATE_INSTITUTION.here(), &message)
            .await?;
        self.session.mirror.invalidate().await;
        self.rotated(&next, count)
    }

    /// Notes when the earlier keys end, so that they are destroyed then.
    fn rotated(&self, entry: &DirectoryEntry, terminals: usize) -> Result<Rotated> {
        let overlap_ends = entry.keys().succession.map_or(0, |place| place.overlap_ends);
        let recipient_key = entry.recipient_key().digest();
        Ends::change(&self.session.home, |ends| {
            for key in self.keys.store.recipient_keys() {
                if key.digest() != recipient_key {
                    ends.note(&key.digest(), overlap_ends);
                }
            }
        })?;
        Ok(Rotated {
            sequence: entry.sequence(),
            recipient_key,
            overlap_ends,
            terminals,
        })
    }

    /// Ends the institution at this server, for ever: nothing is asked, received or permitted by it from now on.
    ///
    /// # Errors
    /// [`Error::Usage`] in the home of a terminal; [`Error::KeyStore`]; those of the connection.
    pub async fn retire(&self) -> Result<()> {
        self.by_identity_key()?;
        let retirement = Retirement {
            created: mint::now_ms(),
            operator_id: self.session.server.operator_id(),
            institution_id: self.id(),
            entry_hash: self.own_entry().await?.entry_hash(),
        };
        let retirement = Signed::try_sign(retirement, |message| self.keys.sign(message))?;
        let message = pb::RetireInstitution {
            retirement: Some(retirement.to_message()),
        };
        let server = &self.session.server;
        let answer = server.post(api::RETIRE_INSTITUTION.here(), &message).await;
        match answer {
            // An earlier attempt whose answer was lost.
            Err(error) if !error.is_problem(Problem::InstitutionRetired) => Err(error),
            _ => Ok(()),
        }
    }

    /// Its own present entry, verified along the chain.
    pub(super) async fn own_entry(&self) -> Result<DirectoryEntry> {
        self.session.mirror.invalidate().await;
        self.session.mirror.institution(self.id()).await
    }

    /// Only the identity key decides about the institution (INS-10).
    pub(super) fn by_identity_key(&self) -> Result<()> {
        if self.keys.certificate.is_none() {
            return Ok(());
        }
        Err(Error::Usage(
            "this is the home of a terminal: run it in the home of the institution itself".into(),
        ))
    }
}
