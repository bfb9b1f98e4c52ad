//! Emergencies: who opens what, when, how often; what is written down before anything is given out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use actors::{Institution, KeyPair, Patient, recipient, sealed};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use protocol_spec::{
    bodies::{EmergencyHelp, EmergencyObjection, EmergencyOpening, ReleaseTicket},
    collection::{Collection, CollectionSelector},
    emergency::{ANY_INSTITUTION, EmergencyTerms, GuardianTerms, NOTHING, card_preimage, share_hash},
    hash::Sha256Digest,
    ids::{CollectionId, PatientId, RequestId},
    log::verify_inclusion,
    messages as pb,
    permission::{Kind, PermissionBody, Replaces},
    problem::Problem,
    statement::{Body, Signed},
};

use super::{
    collections::Scene,
    problem,
    world::{HOUR, START, Stores, Terms, World, intent, limits, open, release, stream},
};
use crate::{
    store::{Commit, Key, Ledger, MemoryStore, Outcome, StoreError, Table, Versioned},
    vault::{Intent, Refusal, VaultLimits, core::units::random},
};

use crate::vault::{
    ask::delivery,
    core::submission::submit,
    emergency::{
        self, PutEmergency,
        guardianship::AcceptGuardianship,
        help::{Object, StartHelp},
        opening,
    },
    who::enrol,
};
use pb::{event, history_entry};

const SHARE: [u8; 32] = [9; 32];
/// Seeds of card keys.
const CARD: u8 = 60;
const GUARDIANS: u8 = 61;
const DAY: u64 = 24 * HOUR;

/// A patient with a record in her emergency collection, a guardian, and an ambulance that is accredited for emergencies.
struct Emergency {
    scene: Scene,
    ambulance: Institution,
    guardian: Patient,
}

impl Emergency {
    async fn new() -> Self {
        Self::over(Stores::in_memory(), limits()).await
    }

    async fn over(store: Stores, limits: VaultLimits) -> Self {
        let world = World::over(store, limits).await;
        let record = world.store_record(&world.first, &stream(100)).await;
        let ambulance = Institution::accredited(7, &KeyPair::new(2), world.operator_id(), true);
        let caller = enrol::enrolling_institution(&world.vault, ambulance.enrolment()).unwrap();
        enrol::enrol(&world.vault, &caller, &intent()).await.unwrap();
        let guardian = Patient::new(8);
        let caller = enrol::enrolling_patient(guardian.enrolment()).unwrap();
        enrol::enrol(&world.vault, &caller, &intent()).await.unwrap();
        let scene = Scene {
            world,
            records: vec![record],
        };
        scene.put(CollectionId::EMERGENCY, 0).await.unwrap();
        scene.place(0, CollectionId::EMERGENCY, 1).await.unwrap();
        Self {
            scene,
            ambulance,
            guardian,
        }
    }

    fn world(&self) -> &World {
        &self.scene.world
    }

    fn body(&self, card: u8, guardian: Option<GuardianTerms>) -> PermissionBody {
        let terms = Terms {
            uses: 20,
            not_after: START + 100 * DAY,
            ..Terms::default()
        };
        let world = self.world();
        PermissionBody {
            institution_id: ANY_INSTITUTION,
            directory_entry_hash: NOTHING,
            recipient_key_hash: recipient(card).digest(),
            collection: Some(CollectionSelector {
                collection: Collection {
                    id: CollectionId::EMERGENCY,
                    epoch: 0,
                },
                until: None,
            }),
            emergency: Some(EmergencyTerms {
                card_key: KeyPair::new(card).public(),
                share_hash: share_hash(&SHARE),
                guardian,
            }),
            ..world.permission_body(&self.ambulance, Kind::Emergency, NOTHING, Vec::new(), terms)
        }
    }

    fn message(&self, body: &PermissionBody, card: u8) -> pb::PutEmergency {
        let guardian = body.emergency.and_then(|terms| terms.guardian);
        pb::PutEmergency {
            permission: Some(self.world().patient.permit(body)),
            share: Bytes::copy_from_slice(&SHARE),
            recipient_key: Bytes::copy_from_slice(recipient(card).as_bytes()),
            guardian_half: guardian.map(|_| (&sealed()).into()),
            guardian_root_epoch: 0,
        }
    }

    async fn put(&self, message: pb::PutEmergency) -> Result<pb::Accepted, Refusal> {
        let patient = self.world().as_patient().await;
        submit::<PutEmergency>(&self.world().vault, &patient, &intent(), message).await
    }

    async fn make_card(&self) -> PermissionBody {
        let body = self.body(CARD, None);
        self.put(self.message(&body, CARD)).await.unwrap();
        body
    }

    async fn name_guardian(&self) -> PermissionBody {
        let guardian = GuardianTerms {
            guardian_id: self.guardian.id,
            wait: 2 * HOUR,
        };
        let body = self.body(GUARDIANS, Some(guardian));
        self.put(self.message(&body, GUARDIANS)).await.unwrap();
        let caller = self.world().as_device(&self.guardian).await.unwrap();
        let accept = pb::AcceptGuardianship {
            patient_id: body.patient_id.as_bytes().to_vec().into(),
        };
        let vault = &self.world().vault;
        submit::<AcceptGuardianship>(vault, &caller, &intent(), accept)
            .await
            .unwrap();
        body
    }

    fn opening(&self, hospital: &Institution, card: u8) -> EmergencyOpening {
        EmergencyOpening {
            created: self.world().vault.now_ms(),
            operator_id: self.world().operator_id(),
            opening_id: RequestId::mint(START, random().unwrap()),
            patient_id: self.world().patient.id,
            institution_id: hospital.id,
            card_key: KeyPair::new(card).public(),
        }
    }

    /// Signed by the hospital, and by the card with this seed.
    async fn send(
        &self,
        hospital: &Institution,
        opening: EmergencyOpening,
        by: u8,
    ) -> Result<pb::EmergencyOpened, Refusal> {
        self.send_as(&intent(), hospital, opening, by).await
    }

    async fn send_as(
        &self,
        intent: &Intent,
        hospital: &Institution,
        opening: EmergencyOpening,
        by: u8,
    ) -> Result<pb::EmergencyOpened, Refusal> {
        let signed = hospital.key.signed(opening).to_message();
        let message = pb::EmergencyUse {
            card_signature: Bytes::copy_from_slice(&KeyPair::new(by).sign(&card_preimage(&signed.body))),
            opening: Some(signed),
            ..pb::EmergencyUse::default()
        };
        let caller = self.world().as_hospital(hospital).await;
        opening::open_emergency(&self.world().vault, &caller, intent, message).await
    }

    async fn open(&self, card: u8) -> Result<pb::EmergencyOpened, Refusal> {
        let opening = self.opening(&self.ambulance, card);
        self.send(&self.ambulance, opening, card).await
    }

    fn help(&self, guardian: &Patient, hospital: &Institution) -> EmergencyHelp {
        EmergencyHelp {
            created: START,
            operator_id: self.world().operator_id(),
            help_id: RequestId::mint(START, random().unwrap()),
            patient_id: self.world().patient.id,
            guardian_id: guardian.id,
            institution_id: hospital.id,
            card_key: KeyPair::new(GUARDIANS).public(),
            half: sealed(),
        }
    }

    async fn start(&self, guardian: &Patient, help: EmergencyHelp) -> Result<pb::HelpStarted, Refusal> {
        let message = pb::StartHelp {
            help: Some(guardian.says(help)),
        };
        let caller = self.world().as_device(guardian).await.unwrap();
        submit::<StartHelp>(&self.world().vault, &caller, &intent(), message).await
    }

    async fn begin(&self) -> RequestId {
        let help = self.help(&self.guardian, &self.ambulance);
        let id = help.help_id;
        self.start(&self.guardian, help).await.unwrap();
        id
    }

    async fn object(&self, by: &Patient, help: RequestId) -> Result<pb::Accepted, Refusal> {
        let body = EmergencyObjection {
            created: START,
            operator_id: self.world().operator_id(),
            help_id: help,
            patient_id: by.id,
        };
        let message = pb::SubmitObjection {
            objection: Some(by.says(body)),
        };
        let caller = self.world().as_device(by).await.unwrap();
        submit::<Object>(&self.world().vault, &caller, &intent(), message).await
    }

    async fn list(&self) -> Vec<pb::EmergencyEntry> {
        let patient = self.world().as_patient().await;
        emergency::emergency(&self.world().vault, &patient)
            .await
            .unwrap()
            .entries
    }

    async fn opened_in_history(&self) -> usize {
        let is =
            |entry: &pb::HistoryEntry| matches!(entry.what, Some(history_entry::What::EmergencyOpened(_)));
        self.world()
            .history()
            .await
            .iter()
            .filter(|entry| is(entry))
            .count()
    }
}

/// EMG-7, EMG-8, EMG-9: what an accredited institution with a card gets, who is told, and what it opens.
#[tokio::test]
async fn a_card_opens_the_collection_for_an_accredited_institution() {
    let emergency = Emergency::new().await;
    let (world, body) = (emergency.world(), emergency.make_card().await);
    emergency.name_guardian().await;
    let ambulance = world.as_hospital(&emergency.ambulance).await;
    let early = delivery::deliver(&world.vault, &ambulance, body.permission_id).await;
    assert_eq!(problem(early), Problem::NotPermitted, "before it has opened");

    let opening = emergency.opening(&emergency.ambulance, CARD);
    let hash = Sha256Digest::of(&opening.encode());
    let opened = emergency.send(&emergency.ambulance, opening, CARD).await.unwrap();
    assert_eq!(opened.share, SHARE[..]);
    verify_inclusion(opened.proof, &hash, &world.operator_key()).unwrap();
    let delivery = opened.delivery.unwrap();
    assert_eq!(delivery.permission.unwrap().body, body.encode());
    assert!(delivery.request.is_none());

    // Told, and written down with a place in the log.
    let guardian = world.as_device(&emergency.guardian).await.unwrap();
    for told in [world.as_patient().await, guardian] {
        let events = world.events(&told).await;
        assert!(
            events
                .iter()
                .any(|event| matches!(event, event::What::EmergencyOpened(_)))
        );
    }
    let last = world.history().await.pop().unwrap();
    let Some(history_entry::What::EmergencyOpened(used)) = last.what else {
        panic!("{last:?}")
    };
    verify_inclusion(used.proof, &hash, &world.operator_key()).unwrap();
    assert!(used.entry.is_some());

    // Then it is presented and released like any other, to this institution alone.
    let ticket = release(
        world
            .present(&emergency.ambulance, body.permission_id)
            .await
            .unwrap(),
    );
    // Another terminal, or a home that has lost its journal, opens again and finds it (FLW-17).
    let again = emergency.opening(&emergency.ambulance, CARD);
    let again = emergency.send(&emergency.ambulance, again, CARD).await.unwrap();
    let open = again.delivery.unwrap().open;
    let told = Signed::<ReleaseTicket>::try_from(open[0].release_ticket.clone()).unwrap();
    assert_eq!((open.len(), told.claimed().release_id), (1, ticket.release_id));
    let version = emergency.scene.records[0].version_id;
    let bytes = world
        .fetch(&emergency.ambulance, ticket.release_id, version, 0, 1)
        .await
        .unwrap();
    assert!(!bytes.is_empty());
    let other = world.as_hospital(&world.first).await;
    let foreign = delivery::deliver(&world.vault, &other, body.permission_id).await;
    assert_eq!(problem(foreign), Problem::NotPermitted);
    assert_eq!(
        world
            .close(&emergency.ambulance, ticket.release_id)
            .await
            .unwrap()
            .bytes,
        bytes.len() as u64
    );
    world.check().await;
    world.clock.set(START + DAY);
    let later = delivery::deliver(&world.vault, &ambulance, body.permission_id).await;
    assert_eq!(
        problem(later),
        Problem::NotPermitted,
        "a day later it must open again"
    );
}

/// EMG-6, EMG-7: nobody learns from a refusal whether there is a card.
#[tokio::test]
async fn what_is_wrong_with_an_opening_is_refused_and_changes_nothing() {
    let emergency = Emergency::new().await;
    emergency.make_card().await;
    let (ambulance, hospital) = (&emergency.ambulance, &emergency.world().first);
    let not_accredited = emergency
        .send(hospital, emergency.opening(hospital, CARD), CARD)
        .await;
    assert_eq!(problem(not_accredited), Problem::NotForEmergencies);
    let base = || emergency.opening(ambulance, CARD);
    let stranger = PatientId::from_bytes([99; 32]);
    let alike = [
        (
            EmergencyOpening {
                patient_id: stranger,
                ..base()
            },
            CARD,
        ),
        (emergency.opening(ambulance, 90), 90),
        (base(), 90),
        (
            EmergencyOpening {
                institution_id: hospital.id,
                ..base()
            },
            CARD,
        ),
        (
            EmergencyOpening {
                operator_id: protocol_spec::ids::OperatorId::from_bytes([1; 32]),
                ..base()
            },
            CARD,
        ),
    ];
    for (opening, by) in alike {
        let shown = format!("{opening:?}");
        assert_eq!(
            problem(emergency.send(ambulance, opening, by).await),
            Problem::NotPermitted,
            "{shown}"
        );
    }
    for created in [START - HOUR, START + HOUR] {
        let opening = EmergencyOpening { created, ..base() };
        let late = emergency.send(ambulance, opening, CARD).await;
        assert_eq!(problem(late), Problem::SignatureExpired);
    }
    assert_eq!(emergency.opened_in_history().await, 0);
    let opening = base();
    emergency.send(ambulance, opening.clone(), CARD).await.unwrap();
    let again = emergency.send(ambulance, opening, CARD).await;
    assert_eq!(problem(again), Problem::AlreadyExists, "the same opening");
    assert_eq!(emergency.opened_in_history().await, 1);
}

/// EMG-9: by patient, and by institution; the next day counts anew.
#[tokio::test]
async fn openings_of_a_day_are_bounded() {
    let most = VaultLimits {
        emergencies_per_patient: 2,
        ..limits()
    };
    let emergency = Emergency::over(Stores::in_memory(), most).await;
    emergency.make_card().await;
    for _ in 0..2 {
        emergency.open(CARD).await.unwrap();
    }
    assert_eq!(problem(emergency.open(CARD).await), Problem::EmergencyLimit);
    emergency.world().clock.set(START + DAY + 1);
    emergency.open(CARD).await.unwrap();

    let most = VaultLimits {
        emergencies_per_institution: 1,
        ..limits()
    };
    let emergency = Emergency::over(Stores::in_memory(), most).await;
    emergency.make_card().await;
    emergency.open(CARD).await.unwrap();
    assert_eq!(problem(emergency.open(CARD).await), Problem::EmergencyLimit);
    assert_eq!(emergency.opened_in_history().await, 1);
}

/// EMG-8: an opening that cannot be written down, or does not come into the log, gives nothing.
#[tokio::test]
async fn nothing_is_given_out_before_it_is_written_down() {
    let memory = Arc::new(MemoryStore::default());
    let faulty = Arc::new(Faulty {
        inner: memory.clone(),
        table: AtomicU8::new(0),
    });
    let store = Stores {
        ledger: faulty.clone(),
        blobs: memory,
    };
    let short = VaultLimits {
        log_wait: Duration::from_millis(50),
        ..limits()
    };
    let mut emergency = Emergency::over(store.clone(), short.clone()).await;
    let body = emergency.make_card().await;
    // The commit that would write it down fails.
    for table in [HISTORY, INBOX, LOG_QUEUE] {
        faulty.table.store(table, Ordering::Relaxed);
        assert!(emergency.open(CARD).await.is_err(), "{table}");
        let ambulance = emergency.world().as_hospital(&emergency.ambulance).await;
        let delivered = delivery::deliver(&emergency.world().vault, &ambulance, body.permission_id).await;
        assert_eq!(problem(delivered), Problem::NotPermitted, "{table}");
    }
    faulty.table.store(0, Ordering::Relaxed);
    assert_eq!(emergency.opened_in_history().await, 0);
    // It is written down, but the log does not grow: no half, no challenge.
    faulty.table.store(LOG_HEAD, Ordering::Relaxed);
    let unlogged = emergency.open(CARD).await;
    assert_eq!(problem(unlogged), Problem::Unavailable);
    faulty.table.store(0, Ordering::Relaxed);
    emergency.scene.world.vault = open(&store, &emergency.world().clock, short).await;
    assert_eq!(emergency.opened_in_history().await, 1, "announced all the same");
    assert_eq!(emergency.open(CARD).await.unwrap().share, SHARE[..]);
}

const HISTORY: u8 = 16;
const INBOX: u8 = 17;
const LOG_QUEUE: u8 = 20;
const LOG_HEAD: u8 = 23;

/// A ledger that fails to write one table.
struct Faulty {
    inner: Arc<MemoryStore>,
    table: AtomicU8,
}

impl Ledger for Faulty {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Versioned>>, StoreError>> {
        self.inner.get(keys)
    }

    fn scan<'a>(
        &'a self,
        partition: &'a [u8; 32],
        table: Table,
        from: &'a [u8],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Versioned)>, StoreError>> {
        self.inner.scan(partition, table, from, limit)
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        let fails = Table::new(self.table.load(Ordering::Relaxed));
        if commit.writes.iter().any(|(key, _)| key.table == fails) {
            return Box::pin(async { Err(StoreError::Unavailable) });
        }
        self.inner.commit(commit)
    }

    fn purge<'a>(&'a self, partition: &'a [u8; 32]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.purge(partition)
    }
}

/// EMG-14: a revoked card opens nothing, what runs stops, and the server forgets its half.
#[tokio::test]
async fn a_revoked_card_opens_nothing_any_more() {
    let emergency = Emergency::new().await;
    let (world, body) = (emergency.world(), emergency.make_card().await);
    let (opening, again) = (emergency.opening(&emergency.ambulance, CARD), intent());
    let repeat = || emergency.send_as(&again, &emergency.ambulance, opening.clone(), CARD);
    // An answer that got lost is given again, and counts once.
    let (first, second) = (repeat().await.unwrap(), repeat().await.unwrap());
    assert_eq!((first.share, first.delivery), (second.share, second.delivery));
    assert_eq!(emergency.opened_in_history().await, 1);
    let ticket = release(
        world
            .present(&emergency.ambulance, body.permission_id)
            .await
            .unwrap(),
    );
    world.revoke(&body).await;
    assert!(emergency.list().await.is_empty());
    assert_eq!(problem(emergency.open(CARD).await), Problem::NotPermitted);
    assert_eq!(
        problem(repeat().await),
        Problem::NotPermitted,
        "nor what was answered before"
    );
    let version = emergency.scene.records[0].version_id;
    let cut = world
        .fetch(&emergency.ambulance, ticket.release_id, version, 0, 1)
        .await;
    assert_eq!(problem(cut), Problem::PermissionRevoked);
    // The next card is another one.
    let next = emergency.body(70, None);
    emergency.put(emergency.message(&next, 70)).await.unwrap();
    assert_eq!(problem(emergency.open(CARD).await), Problem::NotPermitted);
    emergency.open(70).await.unwrap();
}

/// EMG-11, EMG-12, PRM-13: the time begins with the help, passes once and for all, and silence does not block.
#[tokio::test]
async fn a_guardians_help_opens_when_the_time_has_passed() {
    let mut emergency = Emergency::new().await;
    emergency.name_guardian().await;
    assert_eq!(
        problem(emergency.open(GUARDIANS).await),
        Problem::NotPermitted,
        "nobody helps"
    );
    emergency.world().clock.set(START + HOUR);
    emergency.begin().await;
    for told in [
        emergency.world().as_patient().await,
        emergency.world().as_hospital(&emergency.ambulance).await,
    ] {
        let events = emergency.world().events(&told).await;
        let Some(event::What::EmergencyHelp(help)) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(help.opens, START + 3 * HOUR);
    }
    assert_eq!(
        problem(emergency.open(GUARDIANS).await),
        Problem::EmergencyWaiting
    );
    emergency.world().clock.set(START + 3 * HOUR - 1);
    assert_eq!(
        problem(emergency.open(GUARDIANS).await),
        Problem::EmergencyWaiting
    );
    let other = Institution::accredited(9, &KeyPair::new(2), emergency.world().operator_id(), true);
    let caller = enrol::enrolling_institution(&emergency.world().vault, other.enrolment()).unwrap();
    enrol::enrol(&emergency.world().vault, &caller, &intent())
        .await
        .unwrap();
    // Nobody has answered anything.
    emergency.world().clock.set(START + 3 * HOUR);
    let foreign = emergency
        .send(&other, emergency.opening(&other, GUARDIANS), GUARDIANS)
        .await;
    assert_eq!(
        problem(foreign),
        Problem::NotPermitted,
        "the guardian has named another"
    );
    assert_eq!(emergency.open(GUARDIANS).await.unwrap().share, SHARE[..]);
    // A clock that is set back does not make it wait again.
    emergency.world().clock.set(START);
    emergency.scene.world.restart().await;
    emergency.open(GUARDIANS).await.unwrap();
    emergency.world().clock.set(START + 3 * HOUR + DAY);
    assert_eq!(problem(emergency.open(GUARDIANS).await), Problem::EmergencyOver);
    emergency.begin().await;
    assert_eq!(
        problem(emergency.open(GUARDIANS).await),
        Problem::EmergencyWaiting,
        "anew"
    );
    emergency.world().check().await;
}

/// EMG-13
#[tokio::test]
async fn an_objection_in_time_is_for_good() {
    let emergency = Emergency::new().await;
    let body = emergency.name_guardian().await;
    let help = emergency.begin().await;
    let not_hers = emergency.object(&emergency.guardian, help).await;
    assert_eq!(problem(not_hers), Problem::NotPermitted);
    let unknown = RequestId::from_bytes([1; 16]);
    let patient = &emergency.world().patient;
    assert_eq!(
        problem(emergency.object(patient, unknown).await),
        Problem::NotPermitted
    );
    emergency.object(patient, help).await.unwrap();
    emergency.object(patient, help).await.unwrap();
    assert!(emergency.list().await[0].objected);
    for hours in [0, 2, 100] {
        emergency.world().clock.set(START + hours * HOUR);
        assert_eq!(
            problem(emergency.open(GUARDIANS).await),
            Problem::EmergencyObjected
        );
        let again = emergency.help(&emergency.guardian, &emergency.ambulance);
        let again = emergency.start(&emergency.guardian, again).await;
        assert_eq!(problem(again), Problem::EmergencyObjected);
    }
    // Named anew.
    emergency.world().revoke(&body).await;
    emergency.name_guardian().await;
    let late = emergency.begin().await;
    emergency.world().clock.set(START + 102 * HOUR);
    assert_eq!(
        problem(emergency.object(patient, late).await),
        Problem::EmergencyOver
    );
    emergency.open(GUARDIANS).await.unwrap();
}

/// EMG-6, EMG-11
#[tokio::test]
async fn only_the_guardian_helps_and_only_an_accredited_institution() {
    let emergency = Emergency::new().await;
    let body = emergency.name_guardian().await;
    emergency.make_card().await;
    let stranger = Patient::new(10);
    let caller = enrol::enrolling_patient(stranger.enrolment()).unwrap();
    enrol::enrol(&emergency.world().vault, &caller, &intent())
        .await
        .unwrap();
    let (guardian, ambulance) = (&emergency.guardian, &emergency.ambulance);
    let wrong = emergency
        .start(&stranger, emergency.help(&stranger, ambulance))
        .await;
    assert_eq!(problem(wrong), Problem::NotPermitted);
    let card = EmergencyHelp {
        card_key: KeyPair::new(CARD).public(),
        ..emergency.help(guardian, ambulance)
    };
    assert_eq!(
        problem(emergency.start(guardian, card).await),
        Problem::NotPermitted
    );
    let hospital = &emergency.world().first;
    let unaccredited = emergency
        .start(guardian, emergency.help(guardian, hospital))
        .await;
    assert_eq!(problem(unaccredited), Problem::NotForEmergencies);
    emergency.begin().await;
    let second = emergency
        .start(guardian, emergency.help(guardian, ambulance))
        .await;
    assert_eq!(problem(second), Problem::AlreadyExists, "one at a time");
    emergency.world().revoke(&body).await;
    emergency.world().clock.set(START + 3 * HOUR);
    assert_eq!(
        problem(emergency.open(GUARDIANS).await),
        Problem::NotPermitted,
        "removed"
    );
    let removed = emergency
        .start(guardian, emergency.help(guardian, ambulance))
        .await;
    assert_eq!(problem(removed), Problem::NotPermitted);
    // What each may know of it.
    let world = emergency.world();
    let stranger = world.as_device(&stranger).await.unwrap();
    let known = emergency::emergency_info(&world.vault, &stranger, world.patient.id);
    assert_eq!(known.await.unwrap(), pb::EmergencyInfo::default());
}

/// EMG-4, EMG-5
#[tokio::test]
async fn what_does_not_fit_is_not_taken() {
    let emergency = Emergency::new().await;
    let body = emergency.make_card().await;
    // EMG-14: the one that takes its place.
    let next = emergency.body(70, None);
    emergency.put(emergency.message(&next, 70)).await.unwrap();
    let third = emergency.body(72, None);
    let refused = emergency.put(emergency.message(&third, 72)).await;
    assert_eq!(problem(refused), Problem::AlreadyExists, "a third card");
    let guardian = GuardianTerms {
        guardian_id: emergency.guardian.id,
        wait: HOUR,
    };
    let guarded = emergency.body(71, Some(guardian));
    let wrong: [fn(&mut pb::PutEmergency); 4] = [
        |message| message.share = vec![8; 32].into(),
        |message| message.recipient_key = Bytes::copy_from_slice(recipient(99).as_bytes()),
        |message| message.guardian_half = None,
        |message| message.share = Bytes::new(),
    ];
    for change in wrong {
        let mut message = emergency.message(&guarded, 71);
        change(&mut message);
        assert_eq!(problem(emergency.put(message).await), Problem::Malformed);
    }
    let nobody = GuardianTerms {
        guardian_id: PatientId::from_bytes([98; 32]),
        wait: HOUR,
    };
    let nobodys = emergency.body(71, Some(nobody));
    let nobodys = emergency.put(emergency.message(&nobodys, 71)).await;
    assert_eq!(
        problem(nobodys),
        Problem::NotPermitted,
        "a guardian who is not enrolled"
    );
    let stale = PermissionBody {
        collection: Some(CollectionSelector {
            collection: Collection {
                id: CollectionId::EMERGENCY,
                epoch: 1,
            },
            until: None,
        }),
        ..guarded.clone()
    };
    assert_eq!(
        problem(emergency.put(emergency.message(&stale, 71)).await),
        Problem::EpochMismatch
    );
    // By the ordinary way, without its halves.
    let ordinary = emergency.world().submit(&guarded).await;
    assert_eq!(problem(ordinary), Problem::Malformed);

    // In the place of the card's: the same card, or none.
    let replacement = |body: &PermissionBody| PermissionBody {
        permission_id: emergency.body(CARD, None).permission_id,
        replaces: Some(Replaces {
            permission_id: body.permission_id,
            permission_hash: Sha256Digest::of(&body.encode()),
            uses_left: body.uses,
            bytes_left: body.bytes,
            signed_again: false,
        }),
        ..body.clone()
    };
    let mut another = replacement(&body);
    another.recipient_key_hash = recipient(98).digest();
    let bare = |body: &PermissionBody| pb::PutEmergency {
        permission: Some(emergency.world().patient.permit(body)),
        ..pb::PutEmergency::default()
    };
    assert_eq!(
        problem(emergency.put(bare(&another)).await),
        Problem::RequestMismatch
    );
    let next = replacement(&body);
    emergency.put(bare(&next)).await.unwrap();
    let opened = emergency.open(CARD).await.unwrap();
    assert_eq!(opened.share, SHARE[..]);
    assert_eq!(opened.delivery.unwrap().permission.unwrap().body, next.encode());
}
