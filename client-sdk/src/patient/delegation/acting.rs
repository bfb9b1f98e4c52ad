//! A patient who acts in another's vault: reads what lies in the collections of the delegation, and answers
//! requests, signed by her own device.
//!
//! What a method fails with, besides the errors of the connection and what the server refuses, stands behind
//! `Errors:` in its doc.

use std::path::Path;

use crypto::{Collection, CollectionKey, WrappedKey};
use protocol_spec::{
    api,
    bodies::Placement,
    collection::CollectionSelector,
    delegation::VerifiedDelegation,
    ids::{CollectionId, PatientId, PermissionId, RecordId, RequestId},
    index::IndexEntry,
    messages::{self as pb, stored_request::Request},
    patient::PatientSigned,
    problem::Problem,
};

use crate::{
    Error, PermitTerms, Progress, Received, RecordInfo, Records, Result, Selection,
    connect::Server,
    error::Addressee,
    patient::{
        answers,
        delegation::{
            DelegationState,
            given_keys::GivenKeys,
            offers::{self, HeldDelegation},
            state,
        },
        examine::Examined,
        gone::unknown,
        listing::OwnRecord,
        records::open_record,
        refs::InstitutionRef,
        requests::chosen,
        terms::OpenRequest,
        vault::Vault,
    },
    trust::Asked,
};

impl OpenRequest {
    /// With the names that `patient`'s own verified directory has.
    pub(in crate::patient) async fn of(patient: &Vault, asked: &Asked) -> Result<Self> {
        Ok(Self {
            request_id: asked.request_id,
            kind: asked.kind,
            from: patient.institution_ref(asked.asker.id()).await?,
            to: patient.institution_ref(asked.receiver).await?,
            purpose: asked.purpose,
            expires: asked.expires,
        })
    }
}

/// A patient who acts for another one.
pub struct Delegate<'a> {
    vault: &'a Vault,
    server: Server,
    delegation: VerifiedDelegation,
    keys: GivenKeys,
}

pub(in crate::patient) async fn held_delegations(vault: &Vault) -> Result<Vec<HeldDelegation>> {
    let now = vault.session.clock.now();
    let held = held(vault).await?;
    let info = |(delegation, ended): &(VerifiedDelegation, bool)| {
        HeldDelegation::of(delegation, state(delegation, *ended, now))
    };
    Ok(held.iter().map(info).collect())
}

pub(in crate::patient) async fn acting_for(vault: &Vault, owner: PatientId) -> Result<Delegate<'_>> {
    let now = vault.session.clock.now();
    let mut held = held(vault).await?;
    held.retain(|(delegation, _)| delegation.patient_id == owner);
    let live = |(delegation, ended): &(VerifiedDelegation, bool)| {
        state(delegation, *ended, now) == DelegationState::Live
    };
    held.sort_by_key(|held| (live(held), held.0.power, held.0.not_after));
    let Some((delegation, ended)) = held.pop() else {
        return Err(offers::no_delegate_of(vault, owner).await?);
    };
    let refused = |problem| {
        Err(Error::Refused {
            problem,
            detail: None,
            reader: Addressee::Patient,
        })
    };
    match state(&delegation, ended, now) {
        DelegationState::Live => {}
        DelegationState::Ended => return refused(Problem::DelegationEnded),
        DelegationState::Expired => return refused(Problem::DelegationExpired),
        DelegationState::NotYet => return refused(Problem::DelegationNotYetValid),
        DelegationState::Offered | DelegationState::Refused => return refused(Problem::NotAccepted),
    }
    let server = vault.session.server.acting(delegation.delegation_id)?;
    Ok(Delegate {
        keys: GivenKeys::open(vault, &server, &delegation).await?,
        vault,
        server,
        delegation,
    })
}

/// Delegations that she has accepted, verified, and whether the server says that they have ended.
async fn held(vault: &Vault) -> Result<Vec<(VerifiedDelegation, bool)>> {
    offers::delegations_to_her(vault, api::HELD_DELEGATIONS.here()).await
}

impl Delegate<'_> {
    /// The patient in whose vault the delegate acts.
    pub fn owner(&self) -> PatientId {
        self.delegation.patient_id
    }

    /// The collection of the delegation with this id; `default` and `emergency` have names. Those of the others are
    /// the owner's alone. Errors: [`crate::Error::Usage`].
    pub fn collection(&self, id_or_name: &str) -> Result<CollectionId> {
        let named = match id_or_name {
            "default" => Some(CollectionId::DEFAULT),
            "emergency" => Some(CollectionId::EMERGENCY),
            id => id.parse().ok(),
        };
        let known = named.filter(|id| self.delegation.collections.has(*id));
        known.ok_or_else(|| no_collection(id_or_name))
    }

    /// The records that lie in the collections of the delegation, each verified.
    /// Errors: of the connection; a record that does not verify, or whose key was not given yet, stands in `refused`.
    pub async fn records(&self) -> Result<Records> {
        let (found, refused) = self.found(&Selection::All).await?;
        let info = |record: &Examined| {
            let from = InstitutionRef {
                id: record.verified.maker.id(),
                name: record.verified.maker.name().as_str().to_owned(),
            };
            RecordInfo::of(IndexEntry::from(record), from)
        };
        Ok(Records {
            records: found.iter().map(info).collect(),
            refused,
        })
    }

    /// Opens a record into `out/<record id>/`. Errors: as [`crate::Patient::get_record`].
    pub async fn get_record(
        &self,
        record: RecordId,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<Received> {
        let found = self.one(record).await?;
        open_record(&self.server, found, (out, false), progress).await
    }

    /// As [`Self::get_record`], if it is one file. Errors: as [`crate::Patient::get_file`].
    pub async fn get_file(&self, record: RecordId, out: &Path, progress: &dyn Progress) -> Result<Received> {
        let found = self.one(record).await?;
        open_record(&self.server, found, (out, true), progress).await
    }

    async fn one(&self, record: RecordId) -> Result<Examined> {
        let session = &self.vault.session;
        let began = session.witnesses.begin().await?;
        let (mut found, mut refused) = self.found(&Selection::Records(vec![record])).await?;
        if let Some((_, error)) = refused.pop() {
            return Err(error);
        }
        let found = found.pop().ok_or_else(|| unknown(record))?;
        // A delegation that was ended is not so on an old copy of the server's data (LOG-23).
        let size = session.log.newest_size().await;
        session.log.witnessed_since(began, size).await?;
        Ok(found)
    }

    /// What institutions ask the owner, and is still open.
    /// Errors: [`crate::Error::Refused`] unless the delegation is to permit; [`crate::Error::Tampered`].
    pub async fn requests(&self) -> Result<Vec<OpenRequest>> {
        let mut open = Vec::new();
        let mut pages = self.server.pages(api::DELEGATED_REQUESTS.here());
        while let Some(page) = pages.next().await? {
            for stored in page.requests {
                let asked = self.verify_asked(stored.request).await?;
                open.push(OpenRequest::of(self.vault, &asked).await?);
            }
        }
        Ok(open)
    }

    /// One of them, by its id. Errors: as [`Self::requests`].
    pub async fn request(&self, request: RequestId) -> Result<OpenRequest> {
        OpenRequest::of(self.vault, &self.asked(request).await?).await
    }

    /// Permits a request for the owner: records that lie in the collections of the delegation. The terms have neither
    /// conditions nor a permission to replace, and end with the delegation at the latest (DLG-7, DLG-8).
    /// Errors: as [`crate::Patient::permit`]; [`crate::Error::Usage`] for such terms.
    pub async fn permit(
        &self,
        request: RequestId,
        records: &Selection,
        terms: &PermitTerms,
    ) -> Result<PermissionId> {
        let asked = self.asked(request).await?;
        self.check_terms(terms)?;
        let (found, refused) = self.found(records).await?;
        let own = found.into_iter().map(OwnRecord::from).collect();
        let chosen = chosen((own, refused), records, &terms.conditions)?;
        let limits = terms.limits(&asked, None, self.server.clock().system());
        self.server
            .clock()
            .check_given(limits.not_before, limits.not_after)?;
        let through = Some(&self.delegation);
        let (id, answer) = answers::sign_permit(self.vault, &asked, chosen, &limits, through).await?;
        answer.send(&self.server).await?;
        Ok(id)
    }

    /// Permits a request over a collection of the delegation, as [`crate::Patient::permit_collection`]. Errors: as [`Self::permit`].
    pub async fn permit_collection(
        &self,
        request: RequestId,
        of: CollectionId,
        terms: &PermitTerms,
    ) -> Result<PermissionId> {
        let asked = self.asked(request).await?;
        self.check_terms(terms)?;
        let newest = self.keys.newest(of);
        let (collection, key) = newest.ok_or_else(|| no_collection(&of.to_string()))?;
        let selector = CollectionSelector {
            collection,
            until: None,
        };
        let key = CollectionKey::from_bytes(key.expose());
        let limits = terms.limits(&asked, None, self.server.clock().system());
        self.server
            .clock()
            .check_given(limits.not_before, limits.not_after)?;
        let through = Some(&self.delegation);
        let (id, answer) =
            answers::sign_permit_selector(self.vault, &asked, (selector, key), &limits, through).await?;
        answer.send(&self.server).await?;
        Ok(id)
    }

    /// Denies a request for the owner. Errors: as [`Self::permit`].
    pub async fn deny(&self, request: RequestId, text: &str) -> Result<()> {
        let asked = self.asked(request).await?;
        let answer = answers::sign_denial(self.vault, &asked, text, Some(&self.delegation)).await?;
        answer.send(&self.server).await
    }

    fn check_terms(&self, terms: &PermitTerms) -> Result<()> {
        if terms.replaces.is_some() || !terms.conditions.is_empty() {
            return Err(Error::Usage(
                "a delegate gives no permission with conditions on records, or in the place of another: only the \
                 patient herself can"
                    .into(),
            ));
        }
        let from = terms
            .not_before
            .unwrap_or_else(|| self.server.clock().system().now_ms());
        let until = from.saturating_add(crate::ground::millis(terms.expires));
        if until > self.delegation.not_after {
            return Err(Error::Usage(
                "it would hold longer than the delegation: give a shorter --expires".into(),
            ));
        }
        Ok(())
    }

    async fn asked(&self, id: RequestId) -> Result<Asked> {
        let stored = self.server.get(api::REQUEST.at([&id])).await?;
        let asked = self.verify_asked(stored.request).await?;
        if asked.request_id == id {
            Ok(asked)
        } else {
            Err(Error::tampered("the request")("it is another one"))
        }
    }

    async fn verify_asked(&self, request: Option<Request>) -> Result<Asked> {
        let session = &self.vault.session;
        let asked = match request {
            Some(Request::Download(statement)) => session.asks.download(statement).await?,
            Some(Request::Reference(statement)) => session.asks.reference(statement).await?,
            _ => return Err(Error::tampered("the request")("it is none of an institution's")),
        };
        asked.check_for(self.owner(), self.server.operator_id())?;
        Ok(asked)
    }

    async fn found(&self, chosen: &Selection) -> Result<(Vec<Examined>, Vec<(RecordId, Error)>)> {
        let (mut found, mut refused) = (Vec::new(), Vec::new());
        let mut pages = self.server.pages::<_, u64>(api::VAULT_RECORDS.here()).behind(0);
        while let Some(page) = pages.next().await? {
            for record in page.records {
                let id = record.record.as_ref().map(|stored| stored.record_id.clone());
                let id = RecordId::try_from(id.unwrap_or_default().as_ref())?;
                if matches!(chosen, Selection::Records(ids) if !ids.contains(&id)) {
                    continue;
                }
                match self.read(record).await {
                    Ok(record) => found.push(record),
                    // What fails on this side says nothing about the record (OPR-8).
                    Err(error) if error.is_of_this_side() => return Err(error),
                    Err(error) => refused.push((id, error)),
                }
            }
        }
        found.sort_by_key(|record: &Examined| {
            let created = record.verified.receipt.statement.created;
            (created, record.verified.version_id())
        });
        Ok((found, refused))
    }

    /// A record whose placement the owner's device has signed, in a collection of the delegation.
    async fn read(&self, message: pb::VaultRecord) -> Result<Examined> {
        let session = &self.vault.session;
        let stored = message.record.unwrap_or_default();
        let record = session.records.receipted(self.owner(), stored).await?;
        let placement = PatientSigned::<Placement>::try_from(message.placement)
            .and_then(PatientSigned::verify)
            .map_err(wrong)?;
        let lies_here = placement.patient_id == self.owner()
            && placement.names(&record.receipt.statement)
            && self.delegation.collections.has(placement.collection_id);
        if !lies_here {
            return Err(wrong("it does not lie in a collection of the delegation"));
        }
        let collection = Collection {
            id: placement.collection_id,
            epoch: message.epoch,
        };
        let key = self.keys.get(collection).ok_or_else(|| {
            Error::Usage(
                "the patient's device has not given you its key yet: try again when it was online".into(),
            )
        })?;
        let wrapped = WrappedKey::try_from(message.data_key_wrap.as_ref()).map_err(wrong)?;
        let key = key
            .unwrap_data_key(&wrapped, &collection, &placement.version_id)
            .map_err(wrong)?;
        let verified = session.records.open(record, &key).await?;
        session
            .met
            .version(verified.version_id(), &verified.manifest.hash())?;
        Ok(Examined {
            verified,
            key,
            collection: collection.id,
            number: placement.number,
        })
    }
}

fn no_collection(named: &str) -> Error {
    Error::Usage(format!(
        "{named} is not a collection of this delegation: name one by its id, as `medvault delegate list` shows it"
    ))
}

fn wrong<E: std::fmt::Display>(cause: E) -> Error {
    Error::tampered("the record")(cause)
}
