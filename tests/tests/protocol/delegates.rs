//! Delegates, attacked (ATK-3, ATK-23, ATK-24, ATK-28, ATK-33, ATK-45; DLG-1 to DLG-11). What must work stands in
//! `delegates_cli`.

use anyhow::{Context, Result, ensure};
use protocol_spec::{
    bodies::Delegation,
    collection::Collection,
    defence::Defence,
    delegation::{Power, Scope},
    ids::{CollectionId, PatientId},
    messages as pb,
    patient::{DeviceChain, PatientSigned},
    permission::RecordSelector,
    problem::Problem,
};
use tests::{
    harness::World,
    raw::{Answer, RawDelegation, RawInstitution, RawPatient, RawWorld, Wire, defended},
};

const OTHER: Collection = Collection {
    id: CollectionId::from_bytes([9; 16]),
    epoch: 0,
};

/// A child, her mother, a clinic, and one record in each of two collections.
struct Family {
    clinic: RawInstitution,
    child: RawPatient,
    mother: RawPatient,
    /// In `default`.
    inside: RecordSelector,
    /// In `OTHER`.
    outside: RecordSelector,
}

impl Family {
    async fn at(world: &RawWorld) -> Result<Self> {
        let wire = &world.wire;
        let clinic = world.institution("Clinic").await?;
        let (child, mother) = (RawPatient::enrol(wire).await?, RawPatient::enrol(wire).await?);
        child.put_collection(wire, Collection::DEFAULT).await?;
        child.put_collection(wire, OTHER).await?;
        let inside = clinic.upload(wire, &child, 100).await?;
        child.place(wire, &inside, Collection::DEFAULT, 1).await?;
        let outside = clinic.upload(wire, &child, 200).await?;
        child.place(wire, &outside, OTHER, 2).await?;
        Ok(Self {
            clinic,
            child,
            mother,
            inside,
            outside,
        })
    }

    /// The clinic asks, and the mother permits these records.
    async fn permit(&self, wire: &Wire, by: &RawDelegation, records: Vec<RecordSelector>) -> Result<Answer> {
        let request = self.clinic.ask(wire, &self.child).await?;
        let (_, permission) =
            (self.mother).permit(wire, &self.clinic.entry, request, records, |body| by.names(body))?;
        let message = RawPatient::through(permission, by);
        self.mother.post_for(wire, "/v1/permissions", &message, by).await
    }

    /// The same over a collection.
    async fn permit_collection(&self, wire: &Wire, by: &RawDelegation, of: Collection) -> Result<Answer> {
        let request = self.clinic.ask(wire, &self.child).await?;
        let (_, permission) =
            (self.mother).over_collection(wire, &self.clinic.entry, request, of, |body| by.over(body, of))?;
        let message = RawPatient::through(permission, by);
        self.mother.post_for(wire, "/v1/permissions", &message, by).await
    }
}

fn reading(body: &mut Delegation) {
    body.power = Power::Read;
}

fn leaves(record: &RecordSelector) -> String {
    format!("/v1/vault/records/{}/leaves?first=0&count=1", record.version_id)
}

/// What a delegate may do, message by message; the attacks below differ from it in one thing.
#[tokio::test]
async fn a_delegate_reads_and_answers_in_her_collections() -> Result<()> {
    let world = RawWorld::start().await?;
    let (wire, family) = (&world.wire, Family::at(&world).await?);
    let by = family.child.delegate(wire, &family.mother, |_| ()).await?;
    let page: pb::VaultPage = (family.mother)
        .get_for(wire, "/v1/vault/records", &by)
        .await?
        .message()?;
    let [record] = page.records.as_slice() else {
        anyhow::bail!("not one record: {page:?}");
    };
    let shown = record.record.as_ref().context("empty")?;
    assert_eq!(shown.version_id, family.inside.version_id.as_bytes()[..]);
    assert!(record.upload_key_wrap.is_empty(), "no upload keys for delegates");
    let read = family.mother.get_for(wire, &leaves(&family.inside), &by).await?;
    assert_eq!(read.body.len() as u64, family.inside.stream_len);
    let permitted = family.permit(wire, &by, vec![family.inside.clone()]).await?;
    assert!(permitted.status.is_success(), "{permitted:?}");
    let permitted = family.permit_collection(wire, &by, Collection::DEFAULT).await?;
    assert!(permitted.status.is_success(), "{permitted:?}");
    Ok(())
}

/// DLG-11: before the first leaf it stands in the history that she reads, with what she signed; once a day, and not what
/// was refused. Without the defence she reads unseen.
#[tokio::test]
async fn no_delegate_reads_unseen() -> Result<()> {
    let seen = async |off: &[Defence]| -> Result<Vec<pb::DelegateRead>> {
        let world = RawWorld::start_without(off).await?;
        let (wire, family) = (&world.wire, Family::at(&world).await?);
        let by = family.child.delegate(wire, &family.mother, reading).await?;
        let beyond = leaves(&family.inside).replace("first=0", "first=1");
        for path in [&leaves(&family.outside), &beyond] {
            let refused = family.mother.get_for(wire, path, &by).await?;
            ensure!(!refused.status.is_success(), "{path}: {refused:?}");
        }
        family.child.get(wire, &leaves(&family.inside)).await?;
        for _ in 0..2 {
            let read = family.mother.get_for(wire, &leaves(&family.inside), &by).await?;
            assert_eq!(read.body.len() as u64, family.inside.stream_len);
        }
        let history: pb::HistoryPage = family.child.get(wire, "/v1/vault/history").await?.message()?;
        let reads = history.entries.into_iter().filter_map(|entry| match entry.what {
            Some(pb::history_entry::What::DelegateRead(read)) => Some(read),
            _ => None,
        });
        let reads: Vec<_> = reads.collect();
        for read in &reads {
            assert_eq!(read.version_id, family.inside.version_id.as_bytes()[..]);
            assert_eq!(read.delegation_hash, by.hash().as_bytes()[..]);
            let evidence = read.evidence.as_ref().context("no evidence")?;
            let device = DeviceChain::try_from(read.device.clone())?.verify(family.mother.id)?;
            let signature = evidence.signature_id.as_ref().try_into()?;
            device.key().verify(&evidence.signature_base_id, signature)?;
            let base = std::str::from_utf8(&evidence.signature_base_id)?;
            let path = format!("/v1/vault/records/{}/leaves", family.inside.version_id);
            ensure!(
                base.contains(&path) && base.contains(&by.id.to_string()),
                "{base}"
            );
        }
        Ok(reads)
    };
    assert_eq!(seen(&[]).await?.len(), 1);
    assert_eq!(seen(&[Defence::DelegateReads]).await?.len(), 0, "the control");
    Ok(())
}

/// DLG-5: who may only read permits nothing.
#[tokio::test]
async fn a_reader_cannot_permit() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let by = family
            .child
            .delegate(&world.wire, &family.mother, reading)
            .await?;
        family.permit(&world.wire, &by, vec![family.inside.clone()]).await
    };
    defended(&[Defence::DelegationScope], Problem::DelegationPower, attack).await
}

/// DLG-5: nor does she see what is asked.
#[tokio::test]
async fn a_reader_does_not_see_requests() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let by = family
            .child
            .delegate(&world.wire, &family.mother, reading)
            .await?;
        family.clinic.ask(&world.wire, &family.child).await?;
        (family.mother)
            .get_for(&world.wire, "/v1/delegated-requests", &by)
            .await
    };
    defended(&[Defence::DelegationScope], Problem::DelegationPower, attack).await
}

/// DLG-6: a record that lies elsewhere is as if it were not there.
#[tokio::test]
async fn a_record_out_of_scope_cannot_be_read() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let by = family.child.delegate(&world.wire, &family.mother, |_| ()).await?;
        (family.mother)
            .get_for(&world.wire, &leaves(&family.outside), &by)
            .await
    };
    defended(&[Defence::DelegationScope], Problem::NotPermitted, attack).await
}

/// DLG-6: and is not permitted to anybody.
#[tokio::test]
async fn a_record_out_of_scope_cannot_be_permitted() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let by = family.child.delegate(&world.wire, &family.mother, |_| ()).await?;
        let records = vec![family.inside.clone(), family.outside.clone()];
        family.permit(&world.wire, &by, records).await
    };
    defended(&[Defence::DelegationScope], Problem::DelegationScope, attack).await
}

/// DLG-6, DLG-7
#[tokio::test]
async fn a_collection_out_of_scope_cannot_be_permitted() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let by = family.child.delegate(&world.wire, &family.mother, |_| ()).await?;
        family.permit_collection(&world.wire, &by, OTHER).await
    };
    defended(&[Defence::DelegationScope], Problem::DelegationScope, attack).await
}

/// DLG-5: past its time a delegation is worth nothing, at any entrance.
#[tokio::test]
async fn an_expired_delegation_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let soon = |body: &mut Delegation| body.not_after = tests::raw::now_ms() + 300;
        let by = family.child.delegate(&world.wire, &family.mother, soon).await?;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        family.mother.get_for(&world.wire, "/v1/vault/records", &by).await
    };
    defended(&[Defence::DelegationLife], Problem::DelegationExpired, attack).await?;
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let later = |body: &mut Delegation| body.not_before = tests::raw::now_ms() + 600_000;
        let by = family.child.delegate(&world.wire, &family.mother, later).await?;
        family.permit(&world.wire, &by, vec![family.inside.clone()]).await
    };
    defended(&[Defence::DelegationLife], Problem::DelegationNotYetValid, attack).await
}

/// DLG-5: from the acknowledgement of its end on, at every entrance.
#[tokio::test]
async fn an_ended_delegation_is_refused() -> Result<()> {
    for entrance in 0..4 {
        let attack = async |world: &mut RawWorld| {
            let (wire, family) = (&world.wire, Family::at(world).await?);
            let by = family.child.delegate(wire, &family.mother, |_| ()).await?;
            family.child.end_delegation(wire, &by).await?;
            match entrance {
                0 => family.mother.get_for(wire, "/v1/vault/records", &by).await,
                1 => family.mother.get_for(wire, &leaves(&family.inside), &by).await,
                2 => family.mother.get_for(wire, "/v1/delegated-requests", &by).await,
                _ => family.permit(wire, &by, vec![family.inside.clone()]).await,
            }
        };
        defended(&[Defence::DelegationLife], Problem::DelegationEnded, attack).await?;
    }
    Ok(())
}

/// DLG-2, depth 1: a delegate who lets somebody else act for the owner, with the delegation that she has.
#[tokio::test]
async fn a_delegate_cannot_delegate_further() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (wire, family) = (&world.wire, Family::at(world).await?);
        let friend = RawPatient::enrol(wire).await?;
        let by = family.child.delegate(wire, &family.mother, |_| ()).await?;
        let sub = (family.mother).delegation(wire, friend.id, |body| body.patient_id = family.child.id)?;
        let message = pb::PutDelegation {
            delegation: Some((&sub.signed.clone().through(by.signed.clone())).into()),
            ..pb::PutDelegation::default()
        };
        (family.mother)
            .post_for(wire, "/v1/vault/delegations", &message, &by)
            .await
    };
    defended(&[Defence::DelegationScope], Problem::NotPermitted, attack).await
}

/// DLG-5: whatever else the owner may ask, no delegate may.
#[tokio::test]
async fn nothing_else_is_for_delegates() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let family = Family::at(world).await?;
        let by = family.child.delegate(&world.wire, &family.mother, |_| ()).await?;
        (family.mother)
            .get_for(&world.wire, "/v1/vault/history", &by)
            .await
    };
    defended(&[Defence::DelegationScope], Problem::NotPermitted, attack).await?;
    let world = RawWorld::start().await?;
    let (wire, family) = (&world.wire, Family::at(&world).await?);
    let by = family.child.delegate(wire, &family.mother, |_| ()).await?;
    for path in [
        "/v1/vault/permissions",
        "/v1/vault/collections",
        "/v1/vault/wraps?collection=col_aaaaaaaaaaaaaaaaaaaaaaaaaa&epoch=0",
        "/v1/vault/devices",
        "/v1/vault/delegations",
        "/v1/delegations",
        "/v1/inbox",
        "/v1/inbox/stream",
        "/v1/vault/history",
        "/v1/directory/events",
    ] {
        let answer = family.mother.get_for(wire, path, &by).await?;
        // What is public takes no signature, and so no delegation.
        let public = path == "/v1/directory/events" && answer.status.is_success();
        ensure!(
            public || answer.problem() == Some(Problem::NotPermitted),
            "{path}: {answer:?}"
        );
    }
    let request = family.clinic.ask(wire, &family.child).await?;
    let (id, permission) = (family.child).permit(
        wire,
        &family.clinic.entry,
        request,
        vec![family.inside.clone()],
        |_| (),
    )?;
    family.child.grant(wire, permission.clone()).await?;
    // By her own device, and by the owner's statement.
    for revocation in [
        family.mother.revocation(&permission, id),
        family.child.revocation(&permission, id),
    ] {
        let answer = (family.mother)
            .post_for(wire, "/v1/revocations", &revocation, &by)
            .await?;
        assert_eq!(answer.problem(), Some(Problem::NotPermitted), "{answer:?}");
    }
    // Somebody else's delegation, and the owner's own use of it.
    let stranger = RawPatient::enrol(wire).await?;
    for other in [&stranger, &family.child] {
        let answer = other.get_for(wire, "/v1/vault/records", &by).await?;
        assert_eq!(answer.problem(), Some(Problem::NotPermitted), "{answer:?}");
    }
    Ok(())
}

/// DLG-7, ATK-33: a delegation over one vault for a permission in another one.
#[tokio::test]
async fn a_delegation_over_another_vault_is_refused() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (wire, family) = (&world.wire, Family::at(world).await?);
        let accomplice = RawPatient::enrol(wire).await?;
        accomplice.put_collection(wire, Collection::DEFAULT).await?;
        let by = accomplice.delegate(wire, &family.mother, |_| ()).await?;
        let forged = RawDelegation {
            owner: family.child.id,
            ..by
        };
        family.permit(wire, &forged, vec![family.inside.clone()]).await
    };
    let off = [
        Defence::OwnStatements,
        Defence::DelegationChain,
        Defence::DelegationScope,
    ];
    defended(&off, Problem::NotPermitted, attack).await
}

/// DLG-4: keys are taken for a delegation that holds, its collections, and epochs that there are.
#[tokio::test]
async fn keys_are_taken_only_for_what_is_delegated() -> Result<()> {
    let world = RawWorld::start().await?;
    let (wire, family) = (&world.wire, Family::at(&world).await?);
    let (child, mother) = (&family.child, &family.mother);
    let by = child.delegate(wire, mother, |_| ()).await?;
    let path = "/v1/vault/delegations/keys";
    let give = async |collection| {
        let message = child.delegated_key(mother, &by, collection)?;
        child.post(wire, path, &message).await
    };
    let next = Collection {
        epoch: 1,
        ..Collection::DEFAULT
    };
    let refused = |answer: Answer| answer.problem();
    assert!(give(Collection::DEFAULT).await?.status.is_success());
    assert_eq!(refused(give(OTHER).await?), Some(Problem::NotPermitted));
    assert_eq!(refused(give(next).await?), Some(Problem::EpochMismatch));
    let theirs = mother.delegated_key(mother, &by, Collection::DEFAULT)?;
    assert_eq!(
        refused(mother.post(wire, path, &theirs).await?),
        Some(Problem::NotPermitted)
    );
    let answer = (mother)
        .get_for(
            wire,
            "/v1/delegated-keys?collection=col_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            &by,
        )
        .await?;
    assert_eq!(answer.message::<pb::DelegatedKeyPage>()?.keys.len(), 1);
    child.end_delegation(wire, &by).await?;
    child.end_delegation(wire, &by).await?;
    assert_eq!(
        refused(give(Collection::DEFAULT).await?),
        Some(Problem::DelegationEnded)
    );
    let given: pb::DelegationPage = child.get(wire, "/v1/vault/delegations").await?.message()?;
    let entry = given.delegations.first().context("no delegation")?;
    assert!(entry.end.is_some() && entry.given.len() == 1, "{entry:?}");
    Ok(())
}

/// DLG-1, DLG-2: what is handed in as a delegation.
#[tokio::test]
async fn a_delegation_is_the_owners_and_for_somebody_who_is_there() -> Result<()> {
    let world = RawWorld::start().await?;
    let (wire, family) = (&world.wire, Family::at(&world).await?);
    let put = async |by: &RawPatient, delegation: &RawDelegation| {
        let answer = by
            .post(wire, "/v1/vault/delegations", &delegation.message())
            .await?;
        Ok::<_, anyhow::Error>(answer.problem())
    };
    let (child, mother) = (&family.child, &family.mother);
    let right = child.delegation(wire, mother.id, |_| ())?;
    assert_eq!(
        put(mother, &right).await?,
        Some(Problem::NotPermitted),
        "not her own"
    );
    assert_eq!(put(child, &right).await?, None);
    assert_eq!(put(child, &right).await?, None, "the same again");
    let nobody = child.delegation(wire, PatientId::from_bytes([7; 32]), |_| ())?;
    assert_eq!(put(child, &nobody).await?, Some(Problem::NotPermitted));
    let nowhere = child.delegation(wire, mother.id, |body| {
        if let Ok(scope) = Scope::new(vec![CollectionId::from_bytes([8; 16])]) {
            body.collections = scope;
        }
    })?;
    assert_eq!(put(child, &nowhere).await?, Some(Problem::EpochMismatch));
    let over = child.delegation(wire, mother.id, |body| {
        (body.not_before, body.not_after) = (1, 2);
    })?;
    assert_eq!(put(child, &over).await?, Some(Problem::DelegationExpired));
    let same_id = child.delegation(wire, mother.id, |body| body.delegation_id = right.id)?;
    assert_eq!(put(child, &same_id).await?, Some(Problem::AlreadyExists));
    let herself = child.delegation(wire, child.id, |_| ())?;
    assert_eq!(put(child, &herself).await?, Some(Problem::Malformed));
    Ok(())
}

/// What an institution's own program says of a permission that a delegate has given, at a server that takes
/// everything: `permission` if it believes it, `unverified` if not.
async fn told(
    edit: impl FnOnce(&mut Delegation),
    over: Collection,
    change: impl FnOnce(&mut protocol_spec::permission::PermissionBody, &RawDelegation),
    without: &[Defence],
) -> Result<String> {
    let weak = [
        Defence::OwnStatements,
        Defence::DelegationScope,
        Defence::DelegationChain,
        Defence::DelegationLife,
        Defence::RequestMatch,
    ];
    let world = World::start_without(&weak)?;
    let (clinic, clinic_id) = world.institution("Clinic")?;
    let wire = Wire::connect(world.server.link()).await?;
    let (child, mother) = (RawPatient::enrol(&wire).await?, RawPatient::enrol(&wire).await?);
    child.put_collection(&wire, Collection::DEFAULT).await?;
    child.put_collection(&wire, OTHER).await?;
    let by = child.delegate(&wire, &mother, edit).await?;
    let mut page: pb::EntryPage = mother
        .get(&wire, &format!("/v1/directory/{clinic_id}/entries"))
        .await?
        .message()?;
    let entry = page.entries.pop().context("an entry")?;
    let entry =
        protocol_spec::directory::Institution::from_entry(entry, &wire.registrar_key, wire.operator_id())?;
    let ask = [
        "download",
        "request",
        "--patient",
        &child.id.to_string(),
        "--text",
        "t",
    ];
    let asked = clinic.run(&ask)?;
    let request = format!("/v1/requests/{}", tests::harness::text(&asked, "request_id")?);
    let stored: pb::StoredRequest = child.get(&wire, &request).await?.message()?;
    let Some(pb::stored_request::Request::Download(request)) = stored.request else {
        anyhow::bail!("no request");
    };
    let hash = protocol_spec::hash::Sha256Digest::of(&request.body);
    let (_, permission) = mother.over_collection(&wire, &entry, hash, over, |body| {
        by.over(body, over);
        change(body, &by);
    })?;
    let message = RawPatient::through(permission, &by);
    mother
        .post_for(&wire, "/v1/permissions", &message, &by)
        .await?
        .message::<pb::Accepted>()
        .context("the server was to take everything")?;
    let clinic = if without.is_empty() {
        clinic
    } else {
        clinic.without(without)
    };
    let inbox = clinic.run(&["inbox"])?;
    let last = inbox["events"]
        .as_array()
        .and_then(|events| events.last())
        .cloned();
    tests::harness::text(&last.context("nothing has come")?, "kind")
}

/// DLG-7: an institution believes owner, delegation and delegate's device by itself, whatever its server takes.
#[tokio::test]
async fn an_institution_refuses_a_delegates_forgery_that_its_server_takes() -> Result<()> {
    let default = Collection::DEFAULT;
    assert_eq!(told(|_| (), default, |_, _| (), &[]).await?, "permission");
    // Beyond the delegation's end.
    let longer = |body: &mut protocol_spec::permission::PermissionBody, _: &RawDelegation| {
        body.not_after += 14_400_000;
    };
    assert_eq!(told(|_| (), default, longer, &[]).await?, "unverified");
    assert_eq!(
        told(|_| (), default, longer, &[Defence::DelegationLife]).await?,
        "permission"
    );
    // By who may only read; over a collection that is not hers to permit.
    for off in [&[][..], &[Defence::DelegationScope]] {
        let believed = if off.is_empty() {
            "unverified"
        } else {
            "permission"
        };
        assert_eq!(told(reading, default, |_, _| (), off).await?, believed, "reader");
        assert_eq!(told(|_| (), OTHER, |_, _| (), off).await?, believed, "elsewhere");
    }
    Ok(())
}

/// DLG-8: a denial through a delegation; every other statement through one is refused.
#[tokio::test]
async fn a_delegate_denies_and_signs_nothing_else() -> Result<()> {
    let world = RawWorld::start().await?;
    let (wire, family) = (&world.wire, Family::at(&world).await?);
    let by = family.child.delegate(wire, &family.mother, |_| ()).await?;
    let (request, request_id) = family.clinic.download_request(wire, &family.child)?;
    let hash = protocol_spec::hash::Sha256Digest::of(&request.body);
    let message = pb::SubmitDownloadRequest {
        request: Some(request),
    };
    family
        .clinic
        .post(wire, "/v1/requests/download", &message)
        .await?
        .message::<pb::Accepted>()?;
    let open: pb::RequestPage = (family.mother)
        .get_for(wire, "/v1/delegated-requests", &by)
        .await?
        .message()?;
    assert_eq!(open.requests.len(), 1);
    let denial = family
        .mother
        .denial_for(request_id, hash, &family.clinic.entry, &by)?;
    let own: pb::SubmitDenial = family.mother.denial(request_id, hash, &family.clinic.entry)?;
    let answer = family.mother.post_for(wire, "/v1/denials", &own, &by).await?;
    assert_eq!(answer.problem(), Some(Problem::NotPermitted), "in her own name");
    let answer = family.mother.post(wire, "/v1/denials", &denial).await?;
    assert_eq!(answer.problem(), Some(Problem::NotPermitted), "without naming it");
    let answer = family.mother.post_for(wire, "/v1/denials", &denial, &by).await?;
    answer.message::<pb::Accepted>()?;
    let open: pb::RequestPage = (family.mother)
        .get_for(wire, "/v1/delegated-requests", &by)
        .await?
        .message()?;
    assert!(open.requests.is_empty(), "it is answered");
    // The statement of an end, made through the delegation that it would end.
    let mut end = family.child.end_of(&by);
    let signed = PatientSigned::<Delegation>::try_from(by.message().delegation)?;
    if let Some(end) = &mut end.end {
        end.delegation = Some(Box::new((&signed).into()));
    }
    let answer = (family.child)
        .post(wire, "/v1/vault/delegations/ends", &end)
        .await?;
    assert_eq!(answer.problem(), Some(Problem::NotPermitted), "{answer:?}");
    Ok(())
}
