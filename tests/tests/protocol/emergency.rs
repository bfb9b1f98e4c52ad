//! Emergency access: by the real programs from card to history, and attack by attack with its control.

mod malicious;

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use crypto::{
    CardHalf, CollectionKey, ExpectedPermission, OpenedPermission, OperatingSystem, ServerHalf,
    SigningIdentity,
};
use protocol_spec::{defence::Defence, messages as pb, permission::SignedPermission, problem::Problem};
use serde_json::Value;
use tests::{
    harness::{Cli, Refused, World, text},
    raw::{Answer, RawCard, RawInstitution, RawPatient, RawWorld, defended},
};

use super::collections::{contents, set};

/// A patient with a record for emergencies and one that is none's business, and an ambulance.
struct Scene {
    world: World,
    patient: Cli,
    patient_id: String,
    practice: Cli,
    ambulance: Cli,
}

impl Scene {
    fn set() -> Result<Self> {
        let world = World::start()?;
        let (patient, patient_id) = world.patient("patient")?;
        let (practice, _) = world.institution("Practice")?;
        let (ambulance, _) = world.institution_for("Ambulance", &["--emergency"])?;
        let scene = Self {
            world,
            patient,
            patient_id,
            practice,
            ambulance,
        };
        let allergies = scene.record("allergies")?;
        scene.record("diary")?;
        scene.patient.run(&["collection", "create", "emergency"])?;
        scene
            .patient
            .run(&["collection", "move", &allergies, "--to", "emergency"])?;
        Ok(scene)
    }

    /// A record of one file, adopted.
    fn record(&self, content: &str) -> Result<String> {
        let file = self.world.path(&format!("{content}.txt"));
        fs::write(&file, content)?;
        let offer = ["upload", "request", "--to", "Practice", "--text", "t"];
        let permission = text(&self.patient.run(&offer)?, "permission_id")?;
        let sent = self
            .practice
            .run(&["upload", "send", &permission, &file.display().to_string()])?;
        self.patient.run(&["records"])?;
        text(&sent, "record_id")
    }

    /// Makes a card, and reads its code from the page.
    fn card(&self, name: &str) -> Result<(Value, String)> {
        let page = self.world.path(name);
        let made = self
            .patient
            .run(&["emergency", "card", "--pdf", &page.display().to_string()])?;
        Ok((made, code(&fs::read(page)?)?))
    }

    fn out(&self) -> Result<String> {
        let folder = format!("out-{}", fs::read_dir(self.world.folder())?.count());
        Ok(self.world.path(&folder).display().to_string())
    }

    fn open(&self, more: &[&str]) -> Result<BTreeSet<String>> {
        let out = self.out()?;
        let open = ["emergency", "open", "--patient", &self.patient_id, "--out", &out];
        self.ambulance.run(&[&open[..], more].concat())?;
        contents(out.as_ref())
    }

    fn refused(&self, by: &Cli, more: &[&str]) -> Result<Refused> {
        let out = self.out()?;
        let open = ["emergency", "open", "--patient", &self.patient_id, "--out", &out];
        let refused = by.fail(&[&open[..], more].concat())?;
        ensure!(
            !std::path::Path::new(&out).exists(),
            "something was left in {out}"
        );
        Ok(refused)
    }

    fn kinds(&self, by: &Cli) -> Result<Vec<String>> {
        let inbox = by.run(&["inbox"])?;
        let events = inbox["events"].as_array().context("no events")?;
        events.iter().map(|event| text(event, "kind")).collect()
    }

    /// What the inbox says of the newest opening.
    fn advice(&self) -> Result<String> {
        let inbox = self.patient.run(&["inbox"])?;
        let events = inbox["events"].as_array().context("no events")?;
        let opened = events.iter().rfind(|event| event["kind"] == "emergency-opened");
        text(opened.context("nothing was opened")?, "text")
    }

    /// Runs the command that the inbox advises after the newest opening, which begins so.
    fn follow(&self, begins: &str) -> Result<()> {
        let advice = self.advice()?;
        let at = advice.find(&format!("medvault {begins}"));
        let command = at.and_then(|at| advice.get(at..)).context(advice.clone())?;
        let command = command.split(';').next().unwrap_or_default();
        let page = self.world.path("advised.pdf").display().to_string();
        let words = command.split_whitespace().skip(1);
        let words: Vec<&str> = words
            .map(|word| if word == "FILE" { page.as_str() } else { word })
            .collect();
        self.patient.run(&words)?;
        Ok(())
    }

    fn history_holds(&self) -> Result<Vec<String>> {
        let history = self.patient.run(&["history", "--verify"])?;
        ensure!(history["checked"]["holds"] == true, "{history}");
        let entries = history["history"].as_array().context("no history")?;
        entries.iter().map(|entry| text(entry, "kind")).collect()
    }
}

/// The code as it stands on the page, in lines.
pub(super) fn code(page: &[u8]) -> Result<String> {
    let page = String::from_utf8_lossy(page);
    let (_, rest) = page.split_once("(emg-").context("no code on the page")?;
    let shown = |line: &str| Some(line.strip_prefix('(')?.strip_suffix(") Tj")?.to_owned());
    let mut lines = format!("(emg-{rest}")
        .lines()
        .filter_map(shown)
        .take_while(|line| {
            line.chars()
                .all(|c| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        .collect::<Vec<_>>();
    lines.truncate(2);
    Ok(lines.concat())
}

fn problem(refused: &Refused) -> &str {
    refused.json["error"]["code"].as_str().unwrap_or_default()
}

/// EMG-6, EMG-7, EMG-14: the whole way of a card, and of the one after it.
#[test]
fn a_card_opens_one_collection_until_there_is_another() -> Result<()> {
    let scene = Scene::set()?;
    let (made, first) = scene.card("first.pdf")?;
    ensure!(made["replaced"].as_array().is_some_and(Vec::is_empty), "{made}");
    let ordinary = scene.refused(&scene.practice, &["--card", &first])?;
    ensure!(problem(&ordinary) == "not-for-emergencies", "{ordinary:?}");
    assert_eq!(scene.open(&["--card", &first])?, set(&["allergies"]));
    // Typed by hand, or scanned.
    let scanned = format!("{} {}", scene.patient_id, first.to_uppercase().replace('-', " "));
    assert_eq!(scene.open(&["--card", &scanned])?, set(&["allergies"]));
    ensure!(
        scene
            .kinds(&scene.patient)?
            .contains(&"emergency-opened".to_owned())
    );
    let kinds = scene.history_holds()?;
    let mut rest = kinds.iter();
    for want in ["permitted", "emergency-opened", "presented", "released"] {
        ensure!(rest.any(|kind| kind == want), "{want} is not in {kinds:?}");
    }

    // Lost: from now on another one.
    let (made, second) = scene.card("second.pdf")?;
    ensure!(
        made["replaced"].as_array().is_some_and(|old| old.len() == 1),
        "{made}"
    );
    let old = scene.refused(&scene.ambulance, &["--card", &first])?;
    ensure!(problem(&old) == "not-permitted", "{old:?}");
    assert_eq!(scene.open(&["--card", &second])?, set(&["allergies"]));
    let collections = scene.patient.run(&["collection", "list"])?;
    let all = collections["collections"].as_array().context("no list")?;
    let emergency = all
        .iter()
        .find(|one| one["name"] == "emergency")
        .context("it is gone")?;
    ensure!(emergency["epoch"] == 1, "{emergency}");
    scene.history_holds()?;
    let typo = scene.refused(&scene.ambulance, &["--card", &second.replace("emg-", "emg-a")])?;
    ensure!(problem(&typo) == "usage", "{typo:?}");
    Ok(())
}

/// EMG-5: another permission over the collection is taken back, which gives it new keys; the card goes on.
#[test]
fn a_card_goes_on_when_the_collection_gets_a_new_key() -> Result<()> {
    let scene = Scene::set()?;
    let (_, card) = scene.card("card.pdf")?;
    let ask = [
        "download",
        "request",
        "--patient",
        &scene.patient_id,
        "--text",
        "t",
    ];
    let request = text(&scene.practice.run(&ask)?, "request_id")?;
    let permit = ["permit", &request, "--collection", "emergency"];
    let permission = text(&scene.patient.run(&permit)?, "permission_id")?;
    scene.patient.run(&["revoke", &permission])?;
    assert_eq!(scene.open(&["--card", &card])?, set(&["allergies"]));
    scene.history_holds()?;
    Ok(())
}

/// EMG-10 to EMG-13: the way without the card; who is silent does not block it, and who objects ends it.
#[test]
fn a_guardian_helps_unless_the_patient_objects() -> Result<()> {
    let scene = Scene::set()?;
    let (guardian, guardian_id) = scene.world.patient("guardian")?;
    let (stranger, stranger_id) = scene.world.patient("stranger")?;
    let add = |wait: &str, who: &str| {
        scene
            .patient
            .run(&["emergency", "guardian", "add", who, "--wait", wait])
    };
    add("3s", &guardian_id)?;
    ensure!(scene.kinds(&guardian)?.contains(&"guardian-named".to_owned()));
    let accept = |by: &Cli| by.run(&["emergency", "guardian", "accept", &scene.patient_id]);
    let help = |by: &Cli, to: &str| {
        by.run(&[
            "emergency",
            "help",
            "--patient",
            &scene.patient_id,
            "--institution",
            to,
        ])
    };
    let fails = |by: &Cli, to: &str| {
        by.fail(&[
            "emergency",
            "help",
            "--patient",
            &scene.patient_id,
            "--institution",
            to,
        ])
    };
    ensure!(problem(&fails(&stranger, "Ambulance")?) == "unknown");
    ensure!(problem(&fails(&guardian, "Practice")?) == "not-for-emergencies");
    ensure!(problem(&scene.refused(&scene.ambulance, &[])?) == "unknown");
    ensure!(problem(&fails(&guardian, "Ambulance")?) == "not-accepted");
    accept(&guardian)?;
    help(&guardian, "Ambulance")?;
    for told in [&scene.patient, &guardian, &scene.ambulance] {
        ensure!(scene.kinds(told)?.contains(&"emergency-help".to_owned()));
    }
    let early = scene.refused(&scene.ambulance, &[])?;
    ensure!(problem(&early) == "emergency-waiting", "{early:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(scene.open(&[])?, set(&["allergies"]));
    ensure!(scene.kinds(&guardian)?.contains(&"emergency-opened".to_owned()));

    // A second guardian, to whom she says no.
    add("1h", &stranger_id)?;
    accept(&stranger)?;
    let begun = help(&stranger, "Ambulance")?;
    let id = text(&begun, "help_id")?;
    scene.patient.run(&["emergency", "object", &id])?;
    let list = scene.patient.run(&["emergency", "guardian", "list"])?;
    let all = list["guardians"].as_array().context("no list")?;
    let objected: Vec<_> = all.iter().filter(|one| one["objected"] == true).collect();
    ensure!(all.len() == 2 && objected.len() == 1, "{list}");
    ensure!(problem(&fails(&stranger, "Ambulance")?) == "emergency-objected");
    scene
        .patient
        .run(&["emergency", "guardian", "remove", &stranger_id])?;
    ensure!(problem(&fails(&stranger, "Ambulance")?) == "unknown");
    // The other guardian's half goes on under the new key.
    assert_eq!(scene.open(&[])?, set(&["allergies"]));
    let kinds = scene.history_holds()?;
    for want in ["emergency-help", "emergency-objected", "emergency-opened"] {
        ensure!(
            kinds.iter().any(|kind| kind == want),
            "{want} is not in {kinds:?}"
        );
    }
    Ok(())
}

/// Chapter 6 of emergency.md: what the inbox advises after an opening ends what was opened with. A new card does not end a guardian's help.
#[test]
fn what_the_inbox_advises_after_an_opening_ends_it() -> Result<()> {
    let scene = Scene::set()?;
    let (guardian, guardian_id) = scene.world.patient("guardian")?;
    let add = ["emergency", "guardian", "add", &guardian_id, "--wait", "1s"];
    scene.patient.run(&add)?;
    guardian.run(&["emergency", "guardian", "accept", &scene.patient_id])?;
    let help = ["emergency", "help", "--patient", &scene.patient_id];
    guardian.run(&[&help[..], &["--institution", "Ambulance"]].concat())?;
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(scene.open(&[])?, set(&["allergies"]));
    scene.card("card.pdf")?;
    assert_eq!(
        scene.open(&[])?,
        set(&["allergies"]),
        "a new card is no end of a guardian's help"
    );

    scene.follow("emergency guardian remove")?;
    let refused = scene.refused(&scene.ambulance, &[])?;
    ensure!(
        ["not-permitted", "unknown"].contains(&problem(&refused)),
        "{refused:?}"
    );
    let ended = scene.advice()?;
    ensure!(ended.contains("opens nothing any more"), "{ended}");

    let (_, card) = scene.card("second.pdf")?;
    assert_eq!(scene.open(&["--card", &card])?, set(&["allergies"]));
    ensure!(scene.advice()?.contains("with your card"), "{}", scene.advice()?);
    scene.follow("emergency card --pdf")?;
    let refused = scene.refused(&scene.ambulance, &["--card", &card])?;
    ensure!(problem(&refused) == "not-permitted", "{refused:?}");
    scene.history_holds()?;
    Ok(())
}

/// EMG-2: the server has a half and the wrap, whoever finds a card has the other; each with all that the other has but
/// its half opens nothing, and both together open it.
#[tokio::test]
async fn either_half_alone_opens_nothing() -> Result<()> {
    let world = RawWorld::start().await?;
    let patient = RawPatient::enrol(&world.wire).await?;
    let card = patient.prepare_emergency(&world.wire, None).await?;
    let permission = SignedPermission::try_from(card.permission.clone())?.verify()?;
    let opens = |half: &CardHalf, share: &ServerHalf| -> Result<bool> {
        let expected = ExpectedPermission {
            body: permission.bytes(),
            id: &permission.permission_id,
            keys: 1,
            conditions: false,
            possession: &permission.possession_key,
        };
        let recipient = half.recipient(share, &patient.id)?;
        Ok(OpenedPermission::<CollectionKey>::open(&recipient, permission.wrap(), &expected).is_ok())
    };
    let zeros = [0; 32];
    ensure!(opens(&card.half, &card.share)?, "the control: both");
    for (half, share) in [
        (
            CardHalf::from_bytes(&zeros),
            ServerHalf::from_bytes(card.share.expose()),
        ),
        (
            CardHalf::from_bytes(card.share.expose()),
            ServerHalf::from_bytes(card.share.expose()),
        ),
        (
            CardHalf::from_bytes(card.half.expose()),
            ServerHalf::from_bytes(&zeros),
        ),
        (
            CardHalf::from_bytes(card.half.expose()),
            ServerHalf::from_bytes(card.half.expose()),
        ),
        (
            CardHalf::generate(&OperatingSystem)?,
            ServerHalf::from_bytes(card.share.expose()),
        ),
        (
            CardHalf::from_bytes(card.half.expose()),
            ServerHalf::generate(&OperatingSystem)?,
        ),
    ] {
        ensure!(!opens(&half, &share)?, "one half opened it");
    }
    // And the card alone gets no half from the server: its finder is no institution.
    let finder = RawPatient::enrol(&world.wire).await?;
    let institution = world.institution("Practice").await?;
    let message = institution.opening(&world.wire, &card, &card.key()?)?;
    let answer = finder
        .post(&world.wire, "/v1/emergency/openings", &message)
        .await?;
    ensure!(answer.problem() == Some(Problem::NotPermitted), "{answer:?}");
    Ok(())
}

/// A patient with a card, or with a guardian who has to wait an hour.
async fn prepared(world: &RawWorld, guarded: bool) -> Result<(RawPatient, RawPatient, RawCard)> {
    let patient = RawPatient::enrol(&world.wire).await?;
    let guardian = RawPatient::enrol(&world.wire).await?;
    let named = guarded.then_some((&guardian, 3_600_000));
    let card = patient.prepare_emergency(&world.wire, named).await?;
    Ok((patient, guardian, card))
}

/// EMG-6, ATK-5
#[tokio::test]
async fn an_institution_without_that_accreditation_opens_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (_, _, card) = prepared(world, false).await?;
        let practice = world.institution("Practice").await?;
        practice.open_emergency(&world.wire, &card).await
    };
    defended(
        &[Defence::EmergencyAccreditation],
        Problem::NotForEmergencies,
        attack,
    )
    .await
}

/// EMG-7, ATK-28: an accredited institution that only knows which card there is.
#[tokio::test]
async fn an_institution_without_the_card_opens_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (_, _, card) = prepared(world, false).await?;
        let ambulance = world.ambulance("Ambulance").await?;
        let message = ambulance.opening(&world.wire, &card, &SigningIdentity::generate(&OperatingSystem)?)?;
        ambulance.send_opening(&world.wire, &message).await
    };
    defended(&[Defence::EmergencyCard], Problem::NotPermitted, attack).await
}

/// EMG-7, ATK-25: what the institution and the card have signed once is sent once more.
#[tokio::test]
async fn an_opening_is_taken_once() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (_, _, card) = prepared(world, false).await?;
        let ambulance = world.ambulance("Ambulance").await?;
        let message = ambulance.opening(&world.wire, &card, &card.key()?)?;
        let first = ambulance.send_opening(&world.wire, &message).await?;
        first.message::<pb::EmergencyOpened>()?;
        ambulance.send_opening(&world.wire, &message).await
    };
    defended(&[Defence::EmergencyReplay], Problem::AlreadyExists, attack).await
}

/// EMG-9
#[tokio::test]
async fn openings_in_a_day_are_bounded() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (_, _, card) = prepared(world, false).await?;
        let ambulance = world.ambulance("Ambulance").await?;
        for _ in 0..6 {
            opened(&ambulance.open_emergency(&world.wire, &card).await?)?;
        }
        ambulance.open_emergency(&world.wire, &card).await
    };
    defended(&[Defence::EmergencyRate], Problem::EmergencyLimit, attack).await
}

/// EMG-11, ATK-45: somebody who has come by the guardian's half, but whom the patient has not named.
#[tokio::test]
async fn nobody_but_the_guardian_begins_to_help() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (_, _, card) = prepared(world, true).await?;
        let ambulance = world.ambulance("Ambulance").await?;
        let stranger = RawPatient::enrol(&world.wire).await?;
        Ok(stranger.start_help(&world.wire, &card, &ambulance).await?.1)
    };
    defended(&[Defence::EmergencyGuardian], Problem::NotPermitted, attack).await
}

/// EMG-12, ATK-29
#[tokio::test]
async fn a_guardians_help_opens_nothing_at_once() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (_, guardian, card) = prepared(world, true).await?;
        let ambulance = world.ambulance("Ambulance").await?;
        begun(&guardian, world, &card, &ambulance).await?;
        ambulance.open_emergency(&world.wire, &card).await
    };
    defended(&[Defence::EmergencyWait], Problem::EmergencyWaiting, attack).await
}

/// EMG-13. Without the waiting time too, so that the control need not wait.
#[tokio::test]
async fn what_she_has_objected_to_opens_nothing() -> Result<()> {
    let attack = async |world: &mut RawWorld| {
        let (patient, guardian, card) = prepared(world, true).await?;
        let ambulance = world.ambulance("Ambulance").await?;
        let help = begun(&guardian, world, &card, &ambulance).await?;
        patient.object(&world.wire, help).await?;
        ambulance.open_emergency(&world.wire, &card).await
    };
    let off = [Defence::EmergencyObjection, Defence::EmergencyWait];
    defended(&off, Problem::EmergencyObjected, attack).await
}

fn opened(answer: &Answer) -> Result<pb::EmergencyOpened> {
    answer.message()
}

async fn begun(
    guardian: &RawPatient,
    world: &RawWorld,
    card: &RawCard,
    to: &RawInstitution,
) -> Result<protocol_spec::ids::RequestId> {
    let (help, answer) = guardian.start_help(&world.wire, card, to).await?;
    answer.message::<pb::HelpStarted>()?;
    Ok(help)
}
