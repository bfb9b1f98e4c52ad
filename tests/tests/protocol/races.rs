//! One use is one use, however many ask at once (ATK-30, FLT-31).

use anyhow::Result;
use protocol_spec::{defence::Defence, messages as pb, problem::Problem};
use tests::{
    attack::note,
    raw::{Answer, Key, RawInstitution, RawPatient, RawWorld},
};

const RACERS: usize = 64;
const RANGES: usize = 16;
/// Races that the control may take until two of its racers meet.
const CONTROLS: usize = 20;

/// FLW-6, ATK-30. In the control, commits are not checked against what they have read.
#[tokio::test(flavor = "multi_thread")]
async fn of_64_presentations_at_once_one_gets_the_single_use() -> Result<()> {
    let (won, lost) = race_for_one_use(RawWorld::start().await?).await?;
    note(&[], won > 1)?;
    assert_eq!((won, lost), (1, RACERS - 1));
    for _ in 0..CONTROLS {
        let weakened = RawWorld::start_without(&[Defence::CommitChecks]).await?;
        if race_for_one_use(weakened).await?.0 > 1 {
            return note(&[Defence::CommitChecks], true);
        }
    }
    note(&[Defence::CommitChecks], false)?;
    anyhow::bail!("the control: one use was never won twice")
}

/// How many presentations won, and how many were told that the use is held.
async fn race_for_one_use(world: RawWorld) -> Result<(usize, usize)> {
    let patient = RawPatient::enrol(&world.wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let offer = patient.offer(&world.wire, &hospital.entry, |_| ())?;
    patient.submit_offer(&world.wire, &offer).await?;

    let name = offer.permission_id.to_string();
    let mut requests = Vec::new();
    for _ in 0..RACERS {
        let delivery = hospital.deliver(&world.wire, offer.permission_id).await?;
        let (_, possession) = hospital.open(&delivery)?;
        let call = RawInstitution::presentation(offer.permission_id, &delivery)?;
        let pop = Key {
            id: &name,
            signing: &possession,
        };
        requests.push(world.wire.sign(&call, hospital.key(), Some(pop))?);
    }
    // Two clients with connections of their own.
    let wires = [
        world.wire.clone(),
        tests::raw::Wire::connect(world.server.link()).await?,
    ];
    let racing: Vec<_> = requests
        .into_iter()
        .zip(wires.into_iter().cycle())
        .map(|(request, wire)| tokio::spawn(async move { wire.send(request).await }))
        .collect();
    let mut answers: Vec<Answer> = Vec::new();
    for racer in racing {
        answers.push(racer.await??);
    }
    let won = answers.iter().filter(|answer| answer.status.is_success()).count();
    let lost = answers
        .iter()
        .filter(|answer| answer.problem() == Some(Problem::PermissionInUse))
        .count();
    Ok((won, lost))
}

/// FLW-9, ATK-31. The budget covers the record three times and a half, and each of the releases is charged for it once.
#[tokio::test(flavor = "multi_thread")]
async fn one_byte_budget_is_not_spent_twice_by_parallel_ranges() -> Result<()> {
    let (released, refused) = race_for_bytes(RawWorld::start().await?).await?;
    note(&[], released > 3)?;
    assert_eq!((released, refused), (3, RANGES - 3));
    for _ in 0..CONTROLS {
        let weakened = RawWorld::start_without(&[Defence::CommitChecks]).await?;
        if race_for_bytes(weakened).await?.0 > 3 {
            return note(&[Defence::CommitChecks], true);
        }
    }
    note(&[Defence::CommitChecks], false)?;
    anyhow::bail!("the control: the budget was never overdrawn")
}

/// How many of the ranges, each the whole record, were released, and how many were refused.
async fn race_for_bytes(world: RawWorld) -> Result<(usize, usize)> {
    let patient = RawPatient::enrol(&world.wire).await?;
    let hospital = world.institution("Hospital North").await?;
    let record = hospital.upload(&world.wire, &patient, 300_000).await?;
    let request = hospital.ask(&world.wire, &patient).await?;
    let budget = record.stream_len * 7 / 2;
    let (id, permission) = patient.permit(
        &world.wire,
        &hospital.entry,
        request,
        vec![record.clone()],
        |body| {
            body.bytes = budget;
            body.uses = u32::try_from(RANGES).unwrap_or(u32::MAX);
        },
    )?;
    patient.grant(&world.wire, permission).await?;
    let mut requests = Vec::new();
    for _ in 0..RANGES {
        let answer: pb::PresentationAnswer = hospital.present(&world.wire, id).await?.message()?;
        let Some(pb::presentation_answer::Answer::Release(release)) = answer.answer else {
            anyhow::bail!("no release")
        };
        let ticket = protocol_spec::statement::Signed::<protocol_spec::bodies::ReleaseTicket>::try_from(
            release.ticket,
        )?;
        let path = format!(
            "/v1/releases/{}/records/{}/leaves?first=0&count=1",
            ticket.claimed().release_id,
            record.version_id
        );
        requests.push(
            world
                .wire
                .sign(&tests::raw::Call::get(path.clone()), hospital.key(), None)?,
        );
    }
    let racing: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let wire = world.wire.clone();
            tokio::spawn(async move { wire.send(request).await })
        })
        .collect();
    let (mut released, mut refused) = (0, 0);
    for racer in racing {
        let answer = racer.await??;
        match answer.problem() {
            None => {
                assert_eq!(answer.body.len() as u64, record.stream_len);
                released += 1;
            }
            Some(problem) => {
                assert_eq!(problem, Problem::BytesSpent);
                refused += 1;
            }
        }
    }
    Ok((released, refused))
}
