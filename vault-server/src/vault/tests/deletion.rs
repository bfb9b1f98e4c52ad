//! Records that go for good: deleted by the patient, or taken back by who stored them.

use actors::{Institution, Patient};
use bytes::Bytes;
use protocol_spec::{
    bodies::{RecordDeletion, TakeBack},
    content::LEAF_LEN,
    hash::Sha256Digest,
    ids::{RecordId, ReleaseId, VersionId},
    log::{Logged, verify_inclusion},
    messages::{self as pb, presentation_answer::Answer},
    permission::RecordSelector,
    problem::Problem,
    statement::{Body, Signed},
    vault_head::Act,
};

use super::{
    collections::{ONCOLOGY, Scene, selector},
    problem,
    world::{START, Terms, World, intent, stream},
};
use crate::vault::{
    ask::permissions,
    keep::{deletion, index, records, released},
    transfer::{release, sweep},
    who::enrol,
};
use crate::vault::{core::submission::submit, keep::deletion::DeleteRecord, transfer::take_back::Take};
use crate::{
    store::LeafKey,
    vault::{
        Caller, LeafStream, Refusal,
        tables::{self, Counted},
    },
};

impl World {
    pub(super) fn deletion(&self, record: &RecordSelector) -> pb::DeleteRecord {
        self.deletion_of(record.record_id, record.version_id, START)
    }

    fn deletion_of(&self, record_id: RecordId, version_id: VersionId, created: u64) -> pb::DeleteRecord {
        let body = RecordDeletion {
            created,
            patient_id: self.patient.id,
            record_id,
            version_id,
        };
        pb::DeleteRecord {
            deletion: Some(self.patient.says(body)),
        }
    }

    pub(super) async fn delete(&self, record: &RecordSelector) -> Result<pb::LoggedStatement, Refusal> {
        let patient = self.as_patient().await;
        let message = self.deletion(record);
        submit::<DeleteRecord>(&self.vault, &patient, &intent(), message).await
    }

    /// The SHA-256 of the receipt for a stored record.
    async fn receipt_hash(&self, version: VersionId) -> Sha256Digest {
        let key = tables::record(self.patient.id, version);
        let row = key.get(&*self.store.ledger).await.unwrap().unwrap();
        let receipt = row.stored.unwrap().receipt.unwrap().statement.unwrap();
        Sha256Digest::of(&receipt.body)
    }

    async fn take_back_body(&self, hospital: &Institution, record: &RecordSelector) -> TakeBack {
        TakeBack {
            created: START,
            operator_id: self.operator_id(),
            patient_id: self.patient.id,
            institution_id: hospital.id,
            record_id: record.record_id,
            version_id: record.version_id,
            receipt_hash: self.receipt_hash(record.version_id).await,
        }
    }

    pub(super) async fn take_back(
        &self,
        hospital: &Institution,
        record: &RecordSelector,
    ) -> Result<pb::Receipt, Refusal> {
        let body = self.take_back_body(hospital, record).await;
        self.submit_take_back(hospital, body).await
    }

    async fn submit_take_back(&self, hospital: &Institution, body: TakeBack) -> Result<pb::Receipt, Refusal> {
        let message = pb::TakeBackUpload {
            take_back: Some(hospital.key.signed(body).to_message()),
        };
        let caller = self.as_hospital(hospital).await;
        submit::<Take>(&self.vault, &caller, &intent(), message).await
    }

    /// Whether anything of a version is left at the server.
    async fn has_leaf(&self, version: VersionId) -> bool {
        let key = LeafKey {
            version: *version.as_bytes(),
            leaf: 0,
        };
        let leaf = self.store.blobs.get(key).await.unwrap().is_some();
        let ledger = &*self.store.ledger;
        let manifest = tables::manifest(self.patient.id, version);
        assert_eq!(manifest.get(ledger).await.unwrap().is_some(), leaf);
        let record = tables::record(self.patient.id, version);
        assert_eq!(record.get(ledger).await.unwrap().is_some(), leaf);
        leaf
    }

    async fn account_bytes(&self, principal: [u8; 32]) -> u64 {
        let row = tables::account(principal).get(&*self.store.ledger).await;
        row.unwrap().unwrap_or_default().bytes
    }

    async fn released_leaves(&self, release: ReleaseId, version: VersionId) -> LeafStream {
        let hospital = self.as_hospital(&self.second).await;
        let leaves = release::release_leaves(&self.vault, &hospital, release, version, 0, 3).await;
        leaves.unwrap()
    }
}

/// A record of three leaves, placed, and one more beside it.
async fn placed() -> Scene {
    let mut scene = Scene::with_records(1).await;
    let world = &scene.world;
    let record = world.store_record(&world.first, &stream(2 * LEAF_LEN + 9)).await;
    scene.records.insert(0, record);
    scene.put(ONCOLOGY, 0).await.unwrap();
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    scene.place(1, ONCOLOGY, 2).await.unwrap();
    scene
}

async fn placed_count(scene: &Scene) -> u64 {
    let patient = scene.world.as_patient().await;
    index::index(&scene.world.vault, &patient, 0, 1)
        .await
        .unwrap()
        .placed
}

/// DEL-2: whoever wraps anew what lay where a record was deleted goes by the row that counts placements, which a deletion therefore
/// changes.
#[tokio::test]
async fn a_deletion_is_seen_by_whoever_wraps_anew() {
    let scene = placed().await;
    let world = &scene.world;
    let count = async || {
        let key = tables::count(*world.patient.id.as_bytes(), Counted::Placements);
        let rows = world.store.ledger.get(&[key.key().clone()]).await.unwrap();
        let row = rows.into_iter().next().flatten().unwrap();
        (row.version, row.value)
    };
    let before = count().await;
    world.delete(&scene.records[0]).await.unwrap();
    let after = count().await;
    assert!(before.0 != after.0 && before.1 == after.1);
}

/// DEL-1, DEL-2: with all that there is of it, in one commit, for everybody.
#[tokio::test]
async fn a_deleted_record_is_gone_for_everybody() {
    let scene = placed().await;
    let (world, record) = (&scene.world, &scene.records[0]);
    let named = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    let covered = scene.permit(selector(ONCOLOGY, 0, None)).await.unwrap();
    let of_named = world.open_release(&world.second, named.permission_id).await;
    let of_all = world.open_release(&world.second, covered.permission_id).await;
    assert_eq!(placed_count(&scene).await, 2);
    let manifests = |scene: &Scene| {
        let key = tables::account(*scene.world.patient.id.as_bytes());
        let ledger = scene.world.store.ledger.clone();
        async move { key.get(&*ledger).await.unwrap().unwrap().manifests }
    };
    let held = manifests(&scene).await;

    let answer = world.delete(record).await.unwrap();
    let logged = Logged::<RecordDeletion>::verify(answer, &world.operator_key()).unwrap();
    let said = &logged.statement;
    assert_eq!(
        (said.record_id, said.version_id),
        (record.record_id, record.version_id)
    );
    assert!(!world.has_leaf(record.version_id).await);
    let last = *world.acts().await.iter().next_back().unwrap();
    assert_eq!(last, Act::Deletion(record.record_id, said.hash()));
    assert!(manifests(&scene).await < held);

    // Nothing is left in the lists, and nobody is shown it.
    assert_eq!(placed_count(&scene).await, 1);
    let patient = world.as_patient().await;
    let page = records::vault_records(&world.vault, &patient, 0, 0)
        .await
        .unwrap();
    let page = page.read().await.unwrap();
    assert_eq!(page.records.len(), 1);
    let gone = Problem::RecordDeleted;
    let shown = records::vault_record(&world.vault, &patient, record.version_id).await;
    assert_eq!(problem(shown.map(drop)), gone);
    let own = records::own_leaves(&world.vault, &patient, record.version_id, 0, 1).await;
    assert_eq!(problem(own.map(drop)), gone);
    for release in [of_named.release_id, of_all.release_id] {
        let fetched = world.fetch(&world.second, release, record.version_id, 0, 1).await;
        assert_eq!(problem(fetched), gone);
    }
    assert_eq!(
        problem(world.present(&world.second, named.permission_id).await),
        Problem::PermissionInUse
    );
    let hospital = world.as_hospital(&world.second).await;
    let list = released::released_records(&world.vault, &hospital, of_all.release_id, 0, 0).await;
    assert_eq!(list.unwrap().read().await.unwrap().records.len(), 1);

    // Nor does it come back.
    let placement = scene.placement(0, ONCOLOGY, 3);
    assert_eq!(problem(scene.submit(placement, 0).await), gone);
    let asked = world.ask_download(&world.second).await;
    let kind = protocol_spec::permission::Kind::Download;
    let again = world.permission_body(&world.second, kind, asked, vec![record.clone()], Terms::default());
    assert_eq!(problem(world.submit(&again).await), gone);

    let told = |what: &pb::history_entry::What| matches!(what, pb::history_entry::What::RecordDeleted(_));
    let history = world.history().await;
    let history = history.iter().filter_map(|entry| entry.what.as_ref());
    assert_eq!(history.filter(|what| told(what)).count(), 1);
    let events = world.events(&patient).await;
    let told = |what: &&pb::event::What| matches!(what, pb::event::What::RecordDeleted(_));
    assert_eq!(events.iter().filter(told).count(), 1);
    sweep::sweep(&world.vault).await.unwrap();
    world.check().await;
}

/// DEL-1: whoever repeats it, and whoever deletes it once more, gets the first deletion.
#[tokio::test]
async fn the_same_record_is_deleted_once() {
    let scene = placed().await;
    let (world, record) = (&scene.world, &scene.records[0]);
    let patient = world.as_patient().await;
    let (first, message) = (intent(), world.deletion(record));
    let answer = submit::<DeleteRecord>(&world.vault, &patient, &first, message.clone()).await;
    let answer = answer.unwrap();
    let count = world.acts().await.count();
    let repeated = submit::<DeleteRecord>(&world.vault, &patient, &first, message)
        .await
        .unwrap();
    assert_eq!(repeated.statement, answer.statement);
    // Another statement, which names a record that is there: nothing of that one goes.
    let other = world.deletion_of(record.record_id, scene.records[1].version_id, START + 1);
    let other = submit::<DeleteRecord>(&world.vault, &patient, &intent(), other)
        .await
        .unwrap();
    assert_eq!(other.statement, answer.statement);
    assert!(world.has_leaf(scene.records[1].version_id).await);
    assert_eq!(world.acts().await.count(), count);
    let page = deletion::deletions(&world.vault, &patient, None, 0)
        .await
        .unwrap();
    assert_eq!(page.deletions.len(), 1);
    assert_eq!(page.deletions[0].statement, answer.statement);
    assert!(page.next.is_empty());
}

/// DEL-1: her own devices alone, and what is in her vault alone.
#[tokio::test]
async fn nobody_else_deletes_a_record() {
    let scene = placed().await;
    let (world, record) = (&scene.world, &scene.records[0]);
    let stranger = Patient::new(9);
    let enrolling = enrol::enrolling_patient(stranger.enrolment()).unwrap();
    enrol::enrol(&world.vault, &enrolling, &intent()).await.unwrap();
    let callers: [Caller; 3] = [
        world.as_hospital(&world.first).await,
        world.as_hospital(&world.second).await,
        world.as_device(&stranger).await.unwrap(),
    ];
    for caller in callers {
        let message = world.deletion(record);
        let refused = submit::<DeleteRecord>(&world.vault, &caller, &intent(), message).await;
        assert_eq!(problem(refused), Problem::NotPermitted);
    }
    let patient = world.as_patient().await;
    let unknown = VersionId::from_bytes([9; 16]);
    for (record, version) in [
        (record.record_id, unknown),
        (record.record_id, scene.records[1].version_id),
        (RecordId::from_bytes([9; 16]), record.version_id),
    ] {
        let message = world.deletion_of(record, version, START);
        let refused = submit::<DeleteRecord>(&world.vault, &patient, &intent(), message).await;
        assert_eq!(problem(refused), Problem::RecordMismatch);
    }
    assert!(world.has_leaf(record.version_id).await);
}

/// DEL-3: what else a permission names is released, with the deletion of the rest; under one that names nothing else, nothing is.
#[tokio::test]
async fn a_permission_goes_on_without_what_was_deleted() {
    let scene = placed().await;
    let world = &scene.world;
    let terms = || Terms {
        uses: 2,
        ..Terms::default()
    };
    let both = world
        .permit_download(&world.second, scene.records.clone(), terms())
        .await;
    let one = world
        .permit_download(&world.second, vec![scene.records[0].clone()], terms())
        .await;
    let begun = world.present(&world.second, both.permission_id).await.unwrap();
    world.delete(&scene.records[0]).await.unwrap();
    let uses = world.entry(one.permission_id).await.uses_left;
    let refused = world.present(&world.second, one.permission_id).await;
    assert_eq!(problem(refused), Problem::RecordDeleted);
    assert_eq!(world.entry(one.permission_id).await.uses_left, uses);

    let answer = world.present(&world.second, both.permission_id).await.unwrap();
    let (Some(Answer::Release(before)), Some(Answer::Release(after))) = (begun.answer, answer.answer) else {
        panic!("no releases");
    };
    assert_eq!((before.records.len(), before.deleted.len()), (2, 0));
    assert_eq!((after.records.len(), after.deleted.len()), (1, 1));
    assert_eq!(
        after.records[0].version_id,
        scene.records[1].version_id.as_bytes()[..]
    );
    let deleted = Logged::<RecordDeletion>::verify(after.deleted[0].clone(), &world.operator_key()).unwrap();
    assert_eq!(deleted.statement.record_id, scene.records[0].record_id);
    let ticket = Signed::<protocol_spec::bodies::ReleaseTicket>::try_from(after.ticket).unwrap();
    let release = ticket.claimed().release_id;
    world
        .fetch(&world.second, release, scene.records[1].version_id, 0, 1)
        .await
        .unwrap();
    world.check().await;
}

/// DEL-2: what is running stops before the next leaf, for a hospital and for her own devices.
#[tokio::test]
async fn what_is_running_stops_before_the_next_leaf() {
    let scene = placed().await;
    let (world, record) = (&scene.world, &scene.records[0]);
    let permission = world
        .permit_download(&world.second, vec![record.clone()], Terms::default())
        .await;
    let ticket = world.open_release(&world.second, permission.permission_id).await;
    let patient = world.as_patient().await;
    let mut streams = [
        world.released_leaves(ticket.release_id, record.version_id).await,
        records::own_leaves(&world.vault, &patient, record.version_id, 0, 3)
            .await
            .unwrap(),
    ];
    for leaves in &mut streams {
        assert_eq!(leaves.next().await.unwrap().unwrap().len() as u64, LEAF_LEN);
    }
    world.delete(record).await.unwrap();
    for leaves in &mut streams {
        assert_eq!(
            leaves.next().await.unwrap().unwrap_err().problem,
            Problem::RecordDeleted
        );
        assert!(leaves.next().await.is_none());
    }
    // The receipt tells of what had left, and the use is spent.
    let receipt = world.close(&world.second, ticket.release_id).await.unwrap();
    assert!(receipt.bytes > 0);
}

/// DEL-6: nothing of it is left, and the use stays spent.
#[tokio::test]
async fn what_nobody_has_opened_is_taken_back() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(2 * LEAF_LEN)).await;
    let institution = *world.first.id.as_bytes();
    let answer = world.take_back(&world.first, &record).await.unwrap();
    let statement = Signed::<TakeBack>::try_from(answer.statement.clone()).unwrap();
    verify_inclusion(answer.proof, &statement.hash(), &world.operator_key()).unwrap();
    assert!(!world.has_leaf(record.version_id).await);
    let patient = world.as_patient().await;
    let arrivals = world.arrivals(&patient, None, 0).await.unwrap();
    assert!(arrivals.records.is_empty());
    let last = *world.acts().await.iter().next_back().unwrap();
    assert_eq!(last, Act::TakeBack(record.record_id, statement.hash()));
    let history = world.history().await;
    assert!(matches!(
        history.last().unwrap().what,
        Some(pb::history_entry::What::TakenBack(_))
    ));
    let events = world.events(&patient).await;
    assert!(matches!(events.last(), Some(pb::event::What::TakenBack(_))));

    // The same again gets the first one, and she has nothing to delete.
    let body = statement.claimed().clone();
    let again = TakeBack {
        created: START + 5,
        ..body
    };
    let before = world.account_bytes(institution).await;
    let repeated = world.submit_take_back(&world.first, again).await.unwrap();
    assert_eq!(repeated.statement, answer.statement);
    assert_eq!(world.account_bytes(institution).await, before);
    assert_eq!(problem(world.delete(&record).await), Problem::RecordDeleted);
    let list = deletion::deletions(&world.vault, &patient, None, 0)
        .await
        .unwrap();
    assert!(list.deletions.is_empty());
    let key = tables::permission(world.patient.id, uploaded_under(&world).await);
    let permission = key.get(&*world.store.ledger).await.unwrap().unwrap();
    assert!(permission.upload_key_wrap.is_empty(), "it opens nothing any more");
    let entry = world.entry(uploaded_under(&world).await).await;
    assert_eq!((entry.uses_left, entry.uses_held), (0, 0), "the use stays spent");
    sweep::sweep(&world.vault).await.unwrap();
    world.check().await;
}

async fn uploaded_under(world: &World) -> protocol_spec::ids::PermissionId {
    let patient = world.as_patient().await;
    let list = permissions::vault_permissions(&world.vault, &patient, None, 0)
        .await
        .unwrap();
    let body = &list.permissions[0].permission.as_ref().unwrap().body;
    protocol_spec::permission::PermissionBody::decode(body)
        .unwrap()
        .permission_id
}

/// DEL-7: once it was placed, or a leaf of it was handed out to anybody, it is hers.
#[tokio::test]
async fn what_somebody_has_opened_is_not_taken_back() {
    let scene = Scene::with_records(4).await;
    let world = &scene.world;
    let patient = world.as_patient().await;
    // Placed.
    scene.put(ONCOLOGY, 0).await.unwrap();
    scene.place(0, ONCOLOGY, 1).await.unwrap();
    // Read by her, not placed.
    let mut leaves = records::own_leaves(&world.vault, &patient, scene.records[1].version_id, 0, 1)
        .await
        .unwrap();
    leaves.next().await.unwrap().unwrap();
    // Released.
    let permission = world
        .permit_download(&world.second, vec![scene.records[2].clone()], Terms::default())
        .await;
    let ticket = world.open_release(&world.second, permission.permission_id).await;
    world
        .fetch(
            &world.second,
            ticket.release_id,
            scene.records[2].version_id,
            0,
            1,
        )
        .await
        .unwrap();
    for record in &scene.records[..3] {
        let refused = world.take_back(&world.first, record).await;
        assert_eq!(problem(refused), Problem::RecordOpened);
        assert!(world.has_leaf(record.version_id).await);
    }
    // Only listed, with its manifest: nobody has opened it.
    assert_eq!(world.arrivals(&patient, None, 0).await.unwrap().records.len(), 3);
    world.take_back(&world.first, &scene.records[3]).await.unwrap();
    // What she deletes is no more to be taken back; and it may be what she was sent by mistake.
    let receipt = world.take_back_body(&world.first, &scene.records[0]).await;
    world.delete(&scene.records[0]).await.unwrap();
    let late = world.submit_take_back(&world.first, receipt).await;
    assert_eq!(problem(late), Problem::RecordDeleted);
    world.check().await;
}

/// DEL-6: what it has stored itself, by the receipt that it has for it.
#[tokio::test]
async fn nobody_takes_back_what_another_has_stored() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let other = world.store_record(&world.first, &stream(20)).await;
    let right = world.take_back_body(&world.first, &record).await;
    let wrong: [fn(&mut TakeBack, &RecordSelector); 4] = [
        |body, _| body.receipt_hash = Sha256Digest::from_bytes([7; 32]),
        |body, other| body.record_id = other.record_id,
        |body, other| body.version_id = other.version_id,
        |body, _| body.operator_id = protocol_spec::ids::OperatorId::from_bytes([7; 32]),
    ];
    for change in wrong {
        let mut body = right.clone();
        change(&mut body, &other);
        let refused = world.submit_take_back(&world.first, body).await;
        assert_eq!(problem(refused), Problem::NotPermitted);
    }
    let mut body = right.clone();
    assert_eq!(
        problem(world.submit_take_back(&world.second, body.clone()).await),
        Problem::NotPermitted
    );
    body.institution_id = world.second.id;
    assert_eq!(
        problem(world.submit_take_back(&world.second, body.clone()).await),
        Problem::NotPermitted
    );
    assert!(world.has_leaf(record.version_id).await && world.has_leaf(other.version_id).await);
    // Nor is anybody told of what was taken back but who did it.
    world.submit_take_back(&world.first, right).await.unwrap();
    assert_eq!(
        problem(world.submit_take_back(&world.second, body).await),
        Problem::NotPermitted
    );
}

/// ACC-6: what a record took is given back to whom it was charged.
#[tokio::test]
async fn what_a_record_took_is_given_back() {
    let world = World::new().await;
    let record = world.store_record(&world.first, &stream(10)).await;
    let (institution, patient) = (*world.first.id.as_bytes(), *world.patient.id.as_bytes());
    let row = tables::record(world.patient.id, record.version_id);
    let row = row.get(&*world.store.ledger).await.unwrap().unwrap();
    let took = prost::Message::encoded_len(&row) as u64;
    let before = [
        world.account_bytes(institution).await,
        world.account_bytes(patient).await,
    ];
    world.delete(&record).await.unwrap();
    let after = [
        world.account_bytes(institution).await,
        world.account_bytes(patient).await,
    ];
    assert!(before[0] - after[0] > took, "{before:?} {after:?}");
    assert!(before[0] - after[0] < took + 400, "{before:?} {after:?}");
    assert!(after[1] > before[1], "the deletion itself is hers");
}

/// DEL-1: however many there are.
#[tokio::test]
async fn deletions_are_listed_by_pages() {
    let scene = Scene::with_records(5).await;
    let world = &scene.world;
    for record in &scene.records[..3] {
        world.delete(record).await.unwrap();
    }
    world.take_back(&world.first, &scene.records[3]).await.unwrap();
    let patient = world.as_patient().await;
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..8 {
        let page = deletion::deletions(&world.vault, &patient, after, 1)
            .await
            .unwrap();
        for logged in page.deletions {
            let deletion = Logged::<RecordDeletion>::verify(logged, &world.operator_key()).unwrap();
            found.push(deletion.statement.record_id);
        }
        if page.next.is_empty() {
            break;
        }
        after = Some(RecordId::try_from(page.next.as_ref()).unwrap());
    }
    let mut deleted: Vec<_> = scene.records[..3].iter().map(|record| record.record_id).collect();
    deleted.sort_unstable();
    assert_eq!(found, deleted);
    assert_eq!(Bytes::copy_from_slice(found[0].as_bytes()).len(), 16);
}
