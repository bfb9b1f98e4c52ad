//! Floods of inboxes: an institution asks and asks, patients make one their delegate or guardian, again and again.

use anyhow::{Context, Result, ensure};
use protocol_spec::{
    collection::Collection, defence::Defence, ids::RequestId, messages as pb, problem::Problem,
};
use tests::{
    harness::{World, text},
    raw::{Answer, Call, RawDelegation, RawInstitution, RawPatient, RawWorld, Wire, defended, defended_with},
};

async fn offer(wire: &Wire, by: &RawPatient, to: &RawPatient) -> Result<(RawDelegation, Answer)> {
    let delegation = by.delegation(wire, to.id, |_| ())?;
    let answer = by
        .post(wire, "/v1/vault/delegations", &delegation.message())
        .await?;
    Ok((delegation, answer))
}

async fn granting(wire: &Wire) -> Result<RawPatient> {
    let patient = RawPatient::enrol(wire).await?;
    patient.put_collection(wire, Collection::DEFAULT).await?;
    Ok(patient)
}

async fn ask(wire: &Wire, by: &RawInstitution, to: &RawPatient) -> Result<(RequestId, Answer)> {
    let (request, id) = by.download_request(wire, to)?;
    let message = pb::SubmitDownloadRequest {
        request: Some(request),
    };
    Ok((id, by.post(wire, "/v1/requests/download", &message).await?))
}

async fn block(wire: &Wire, by: &RawPatient, sender: &[u8; 32], blocked: bool) -> Result<Answer> {
    let message = pb::BlockSender {
        sender_id: sender.to_vec().into(),
        blocked,
    };
    by.post(wire, "/v1/inbox/blocks", &message).await
}

/// ACC-8, ATK-82: an institution that the patient has never dealt with asks a fifth time.
#[tokio::test]
async fn an_institution_asks_a_stranger_a_few_times() -> Result<()> {
    defended(&[Defence::ReceiverBounds], Problem::ReceiverFull, async |world| {
        let wire = &world.wire;
        let (clinic, patient) = (world.institution("Clinic").await?, RawPatient::enrol(wire).await?);
        for _ in 0..4 {
            ask(wire, &clinic, &patient).await?.1.message::<pb::Accepted>()?;
        }
        Ok(ask(wire, &clinic, &patient).await?.1)
    })
    .await
}

/// ACC-8, ATK-82: many institutions, one request each.
#[tokio::test]
async fn strangers_together_fill_no_inbox() -> Result<()> {
    let flags = &["--open-of-strangers", "3"];
    let off = &[Defence::ReceiverBounds];
    defended_with(flags, off, Problem::ReceiverFull, async |world| {
        let wire = &world.wire;
        let patient = RawPatient::enrol(wire).await?;
        for number in 0..3 {
            let clinic = world.institution(&format!("Clinic {number}")).await?;
            ask(wire, &clinic, &patient).await?.1.message::<pb::Accepted>()?;
        }
        let last = world.institution("Last").await?;
        Ok(ask(wire, &last, &patient).await?.1)
    })
    .await
}

/// ACC-8: whom she has dealt with, by her own doing, is no stranger; and what was answered is open no more.
#[tokio::test]
async fn whom_she_has_dealt_with_may_ask_more() -> Result<()> {
    let flags = &["--open-of-strangers", "4", "--open-of-known", "6"];
    let world = RawWorld::start_with(flags, &[]).await?;
    let wire = &world.wire;
    let (clinic, patient) = (world.institution("Clinic").await?, RawPatient::enrol(wire).await?);
    let once_more = async || Ok::<_, anyhow::Error>(ask(wire, &clinic, &patient).await?.1);
    for _ in 0..4 {
        once_more().await?.message::<pb::Accepted>()?;
    }
    ensure!(once_more().await?.problem() == Some(Problem::ReceiverFull));
    let offer = patient.offer(wire, &clinic.entry, |_| ())?;
    patient.submit_offer(wire, &offer).await?;
    for _ in 0..2 {
        once_more().await?.message::<pb::Accepted>()?;
    }
    ensure!(once_more().await?.problem() == Some(Problem::ReceiverFull));
    // Another one finds the place that strangers have.
    let other = world.institution("Other").await?;
    ask(wire, &other, &patient).await?.1.message::<pb::Accepted>()?;
    Ok(())
}

/// ACC-8, ATK-83: a free account makes another patient its delegate a fifth time.
#[tokio::test]
async fn a_patient_offers_another_one_a_few_delegations() -> Result<()> {
    defended(&[Defence::ReceiverBounds], Problem::ReceiverFull, async |world| {
        let wire = &world.wire;
        let (owner, receiver) = (granting(wire).await?, RawPatient::enrol(wire).await?);
        for _ in 0..4 {
            offer(wire, &owner, &receiver)
                .await?
                .1
                .message::<pb::Accepted>()?;
        }
        Ok(offer(wire, &owner, &receiver).await?.1)
    })
    .await
}

/// ACC-10, ATK-83: what somebody was offered, and has not accepted, does not count: it acts for nobody.
#[tokio::test]
async fn an_offered_delegation_counts_for_nothing() -> Result<()> {
    defended(&[Defence::Acceptance], Problem::NotAccepted, async |world| {
        let wire = &world.wire;
        let (owner, receiver) = (granting(wire).await?, RawPatient::enrol(wire).await?);
        let (delegation, answer) = offer(wire, &owner, &receiver).await?;
        answer.message::<pb::Accepted>()?;
        let held: pb::DelegationPage = receiver.get(wire, "/v1/delegations").await?.message()?;
        ensure!(held.delegations.is_empty(), "{held:?}");
        let offered: pb::DelegationPage = receiver.get(wire, "/v1/delegations/offered").await?.message()?;
        ensure!(offered.delegations.len() == 1, "{offered:?}");
        let call = delegation.on(Call::get("/v1/vault/records"));
        wire.call(&call, receiver.key()).await
    })
    .await
}

/// ACC-10, ATK-83: a guardian who never accepted neither helps nor is told.
#[tokio::test]
async fn a_guardian_who_has_not_accepted_does_not_help() -> Result<()> {
    defended(&[Defence::Acceptance], Problem::NotAccepted, async |world| {
        let wire = &world.wire;
        let (patient, guardian) = (RawPatient::enrol(wire).await?, RawPatient::enrol(wire).await?);
        let ambulance = world.ambulance("Ambulance").await?;
        let card = patient.name_guardian(wire, &guardian, 3_600_000).await?;
        Ok(guardian.start_help(wire, &card, &ambulance).await?.1)
    })
    .await
}

/// ACC-9: whoever is blocked is told what everybody is told of whom she has enough; what was open of it is gone, and the
/// history is the one that she has seen.
#[tokio::test]
async fn a_blocked_sender_is_not_heard() -> Result<()> {
    let world = RawWorld::start().await?;
    let wire = &world.wire;
    let (owner, receiver) = (granting(wire).await?, RawPatient::enrol(wire).await?);
    let clinic = world.institution("Clinic").await?;
    let (request, answer) = ask(wire, &clinic, &receiver).await?;
    answer.message::<pb::Accepted>()?;
    offer(wire, &owner, &receiver)
        .await?
        .1
        .message::<pb::Accepted>()?;
    let clinic_id = *clinic.entry.id().as_bytes();
    for sender in [&clinic_id, owner.id.as_bytes()] {
        block(wire, &receiver, sender, true)
            .await?
            .message::<pb::Accepted>()?;
    }
    let inbox: pb::InboxPage = receiver.get(wire, "/v1/inbox").await?.message()?;
    let deleted = |event: &pb::Event| matches!(event.what, Some(pb::event::What::Deleted(_)));
    ensure!(
        inbox.events.len() == 2 && inbox.events.iter().all(deleted),
        "{inbox:?}"
    );
    let gone = clinic.get(wire, &format!("/v1/requests/{request}")).await?;
    ensure!(gone.problem() == Some(Problem::NotPermitted), "{gone:?}");
    let offered: pb::DelegationPage = receiver.get(wire, "/v1/delegations/offered").await?.message()?;
    ensure!(offered.delegations.is_empty(), "{offered:?}");
    let given: pb::DelegationPage = owner.get(wire, "/v1/vault/delegations").await?.message()?;
    ensure!(given.delegations.iter().all(|entry| entry.refused), "{given:?}");

    let (_, refused) = ask(wire, &clinic, &receiver).await?;
    ensure!(refused.problem() == Some(Problem::ReceiverFull), "{refused:?}");
    let (_, refused) = offer(wire, &owner, &receiver).await?;
    ensure!(refused.problem() == Some(Problem::ReceiverFull), "{refused:?}");
    let nobody = block(wire, &receiver, &[7; 32], true).await?;
    ensure!(nobody.problem() == Some(Problem::NotPermitted), "{nobody:?}");

    block(wire, &receiver, &clinic_id, false)
        .await?
        .message::<pb::Accepted>()?;
    ask(wire, &clinic, &receiver).await?.1.message::<pb::Accepted>()?;
    Ok(())
}

/// ACC-9: by the programs: what she has deleted stands nowhere, and her history still verifies.
#[test]
fn what_is_not_answered_can_be_deleted() -> Result<()> {
    let world = World::start()?;
    let (clinic, clinic_id) = world.institution("Clinic")?;
    let (patient, patient_id) = world.patient("patient")?;
    let ask = [
        "download",
        "request",
        "--patient",
        &patient_id,
        "--text",
        "the secret",
    ];
    let request = text(&clinic.run(&ask)?, "request_id")?;
    let seen = patient.run(&["history"])?;
    let entry = seen["history"]
        .as_array()
        .and_then(|all| all.last())
        .context("empty")?;
    assert_eq!(entry["kind"], "download-requested", "{seen}");

    patient.run(&["inbox", "delete", &request])?;
    let inbox = patient.run(&["inbox"])?;
    assert_eq!(inbox["events"][0]["kind"], "deleted", "{inbox}");
    let history = patient.run(&["history", "--verify"])?;
    let kinds = history["history"].as_array().context("no history")?;
    assert!(kinds.iter().any(|entry| entry["kind"] == "deleted"), "{history}");
    let again = patient.fail(&["inbox", "delete", &request])?;
    assert_eq!(again.json["error"]["code"], "not-permitted", "{again:?}");

    patient.run(&["inbox", "block", &clinic_id])?;
    let refused = clinic.fail(&ask)?;
    assert_eq!(refused.json["error"]["code"], "receiver-full", "{refused:?}");
    let senders = patient.run(&["inbox", "senders"])?;
    assert_eq!(senders["senders"][0]["id"], clinic_id, "{senders}");
    assert_eq!(senders["senders"][0]["blocked"], true, "{senders}");
    patient.run(&["inbox", "unblock", &clinic_id])?;
    clinic.run(&ask)?;
    Ok(())
}

/// ACC-8, ATK-82: whoever takes back what it has put before somebody has put it before her all the same: nine times in a day.
#[tokio::test]
async fn taking_back_what_was_sent_begins_no_new_day() -> Result<()> {
    defended(&[Defence::ReceiverBounds], Problem::ReceiverFull, async |world| {
        let wire = &world.wire;
        let (owner, delegate) = (granting(wire).await?, RawPatient::enrol(wire).await?);
        for _ in 0..8 {
            let (delegation, answer) = offer(wire, &owner, &delegate).await?;
            answer.message::<pb::Accepted>()?;
            owner
                .post(wire, "/v1/vault/delegations/ends", &owner.end_of(&delegation))
                .await?
                .message::<pb::Accepted>()?;
        }
        Ok(offer(wire, &owner, &delegate).await?.1)
    })
    .await
}

/// ACC-9, ATK-82: nobody who is blocked goes on in the place of what was accepted before.
#[tokio::test]
async fn whoever_is_blocked_follows_nothing_that_was_accepted() -> Result<()> {
    defended(&[Defence::ReceiverBounds], Problem::ReceiverFull, async |world| {
        let wire = &world.wire;
        let (owner, delegate) = (granting(wire).await?, RawPatient::enrol(wire).await?);
        let before = owner.delegate(wire, &delegate, |_| ()).await?;
        block(wire, &delegate, owner.id.as_bytes(), true)
            .await?
            .message::<pb::Accepted>()?;
        let next = owner.delegation(wire, delegate.id, |_| ())?;
        owner
            .post(wire, "/v1/vault/delegations", &next.message_after(&before))
            .await
    })
    .await
}

/// ACC-10: in the place of one that she has accepted and that holds she acts at once; in the place of any other it is an offer.
#[tokio::test]
async fn a_delegation_in_the_place_of_an_accepted_one_counts_at_once() -> Result<()> {
    let world = RawWorld::start().await?;
    let wire = &world.wire;
    let (owner, stranger) = (granting(wire).await?, granting(wire).await?);
    let delegate = RawPatient::enrol(wire).await?;
    let offered = offer(wire, &owner, &delegate).await?.0;
    let ended = owner.delegate(wire, &delegate, |_| ()).await?;
    owner
        .post(wire, "/v1/vault/delegations/ends", &owner.end_of(&ended))
        .await?
        .message::<pb::Accepted>()?;
    let holds = owner.delegate(wire, &delegate, |_| ()).await?;
    let other = RawPatient::enrol(wire).await?;
    let to_another = owner.delegate(wire, &other, |_| ()).await?;
    let of_another = stranger.delegate(wire, &delegate, |_| ()).await?;
    let cases = [
        (&holds, None),
        // Another has taken its place.
        (&holds, Some(Problem::NotAccepted)),
        (&offered, Some(Problem::NotAccepted)),
        (&ended, Some(Problem::NotAccepted)),
        (&to_another, Some(Problem::NotAccepted)),
        (&of_another, Some(Problem::NotAccepted)),
    ];
    for (at, (before, problem)) in cases.into_iter().enumerate() {
        let next = owner.delegation(wire, delegate.id, |_| ())?;
        owner
            .post(wire, "/v1/vault/delegations", &next.message_after(before))
            .await?
            .message::<pb::Accepted>()?;
        let answer = delegate.get_for(wire, "/v1/vault/records", &next).await?;
        assert_eq!(answer.problem(), problem, "case {at}");
    }
    Ok(())
}

/// ACC-10: by the programs: offered, refused, offered again, accepted, given up.
#[test]
fn a_delegate_accepts_refuses_and_gives_up() -> Result<()> {
    let world = World::start()?;
    let (owner, owner_id) = world.patient("owner")?;
    let (delegate, delegate_id) = world.patient("delegate")?;
    let add = || -> Result<String> {
        let added = owner.run(&["delegate", "add", &delegate_id, "--name", "D", "--expires", "1d"])?;
        text(&added, "delegation_id")
    };
    let state = || -> Result<Vec<String>> {
        let list = owner.run(&["delegate", "list"])?;
        let given = list["given"].as_array().context("no list")?;
        given.iter().map(|one| text(one, "state")).collect()
    };
    let first = add()?;
    assert_eq!(state()?, ["offered"]);
    let read = ["records", "--acting-for", &owner_id];
    let early = delegate.fail(&read)?;
    assert!(early.text.contains("delegate accept"), "{early:?}");
    delegate.run(&["delegate", "refuse", &first])?;
    assert_eq!(state()?, ["refused"]);
    let second = add()?;
    delegate.run(&["delegate", "accept", &second])?;
    delegate.run(&read)?;
    delegate.run(&["delegate", "refuse", &second])?;
    let over = delegate.fail(&read)?;
    assert_eq!(over.json["error"]["code"], "usage", "{over:?}");
    owner.run(&["history", "--verify"])?;
    Ok(())
}
