//! One history, read by the patient and shown to a stranger: what is wrong in it, both find.

use super::{
    story::{
        DEVICE, OPERATOR, REGISTRAR, Story, by_device, entry, first_device, hospital, operator, patient,
        public,
    },
    *,
};
use crate::{
    bodies::{
        Delegation, DelegationEnd, DownloadRequest, ReferenceRequest, ReleaseReceipt, Revocation,
        UploadReceipt, UploadRequest,
    },
    delegation::{Power, Scope, SealedName},
    devices::DeviceList,
    ids::{CollectionId, DelegationId, ReleaseId},
    log::Receipt,
    messages::{self as pb, history_entry::What},
    patient::{PatientSigned, PatientVerified},
    permission::{Kind, SignedPermission},
    purpose::Purpose,
    released::VersionLeaves,
    statement::Signed,
};

/// A patient who reads: the list that she has verified, and the directory's entry of the hospital as it is now.
struct Owner {
    devices: Signed<DeviceList>,
    hospital: Institution,
}

impl Owner {
    fn new() -> Self {
        Self {
            devices: first_device().1,
            hospital: Institution::from_entry(entry(), &public(REGISTRAR), operator()).unwrap(),
        }
    }
}

impl Grounds for Owner {
    fn device(&self, device: &Device) -> Result<(), Error> {
        let listed = self.devices.claimed().device(device.id()).is_some();
        ensure(listed, "the device is on no list")
    }

    fn delegation(&self, _: &VerifiedDelegation, stands: bool) -> Result<(), Error> {
        ensure(stands, "there is none")
    }

    fn presenter(&self, _: &VerifiedPermission, id: InstitutionId) -> Result<&Institution, Error> {
        ensure(id == hospital(), "it is another one")?;
        Ok(&self.hospital)
    }
}

/// Reads a history as its owner does. Gives what was proven of it.
fn read(bundle: &pb::CaseBundle) -> Result<ProvenCounts, Error> {
    let mut walk = Walk::new(patient(), Owner::new());
    for entry in &bundle.entries {
        step(&mut walk, bundle, entry)?;
    }
    Ok(walk.counts)
}

fn step(walk: &mut Walk<Owner>, bundle: &pb::CaseBundle, entry: &pb::HistoryEntry) -> Result<(), Error> {
    let key = public(OPERATOR);
    match entry.what.clone().unwrap() {
        What::UploadRequested(said) => {
            walk.upload_requested(&PatientSigned::<UploadRequest>::try_from(said)?.verify()?)
        }
        What::DownloadRequested(said) => {
            let said = Signed::<DownloadRequest>::try_from(said)?.verify_by(&walk.grounds.hospital)?;
            walk.requested(said.hash(), AskedFor::from(&*said))
        }
        What::ReferenceRequested(said) => {
            let said = Signed::<ReferenceRequest>::try_from(said)?.verify_by(&walk.grounds.hospital)?;
            walk.requested(said.hash(), AskedFor::from(&*said))
        }
        What::Permitted(said) => walk.permitted(SignedPermission::try_from(Some(said))?.verify()?, entry.at),
        What::Presented(said) => walk
            .presented(&said, &SessionTicket::verify(&said, &key)?)
            .map(drop),
        What::Stored(said) => walk.stored(&Receipt::<UploadReceipt>::verify(Some(said), &key)?),
        What::Released(said) => {
            let receipt = Receipt::<ReleaseReceipt>::verify(Some(said), &key)?;
            walk.released(&receipt, &leaves(bundle, receipt.statement.release_id))
        }
        What::Revoked(said) => walk
            .revoked(&PatientSigned::<Revocation>::try_from(said)?.verify()?)
            .map(drop),
        other => panic!("{other:?}"),
    }
}

fn leaves(bundle: &pb::CaseBundle, of: ReleaseId) -> Vec<VersionLeaves> {
    let mut all = bundle.released.iter();
    let found = all.find(|released| released.release_id == of.as_bytes()[..]);
    let versions = found.unwrap().versions.iter().cloned();
    versions.map(|leaves| leaves.try_into().unwrap()).collect()
}

const KINDS: [Kind; 3] = [Kind::Upload, Kind::Download, Kind::Reference];

/// What is wrong, in a story that is right.
type Change = (&'static str, fn(&mut Story));

/// The story as it is passes with both; changed, with neither.
fn both_find(kinds: &[Kind], (name, change): &Change, right: impl Fn(&mut Story)) {
    for kind in kinds {
        let mut story = Story::new(*kind);
        right(&mut story);
        assert!(read(&story.bundle()).is_ok(), "{kind:?}, {name}: the control");
        assert!(story.verify().is_ok(), "{kind:?}, {name}: the control");
        change(&mut story);
        assert!(read(&story.bundle()).is_err(), "{kind:?}, {name}");
        assert!(story.verify().is_err(), "{kind:?}, {name}");
    }
}

/// FLW-11: what is proven of a history that is as it should be.
#[test]
fn a_whole_history_is_believed() {
    for kind in KINDS {
        let proven = read(&Story::new(kind).bundle()).unwrap();
        assert_eq!((proven.statements, proven.presentations), (3, 1));
        // A waiting upload's ticket comes without a place in the log.
        assert_eq!(proven.receipts, if kind == Kind::Upload { 1 } else { 2 });
    }
}

/// CAS-4, CND-2: a server that lets an institution present for something else is found out by whoever reads.
#[test]
fn a_presentation_for_another_purpose_is_found_by_both() {
    let treatment = |story: &mut Story| {
        story.permission.purpose = Some(Purpose::TREAT);
        story.presentation.purpose = Purpose::TREAT.code().to_owned();
    };
    let changes: [Change; 2] = [
        ("for another", |story| {
            story.presentation.purpose = Purpose::ETREAT.code().to_owned();
        }),
        ("for none", |story| story.presentation.purpose.clear()),
    ];
    for change in &changes {
        both_find(&[Kind::Download, Kind::Reference], change, treatment);
    }
}

/// CAS-4, PRM-12
#[test]
fn a_presentation_at_another_time_is_found_by_both() {
    let at_its_bounds = |story: &mut Story| {
        story.permission.not_before = 4;
        story.permission.not_after = 5;
    };
    let changes: [Change; 2] = [
        ("too early", |story| {
            story.standby.created = 3;
            story.release.created = 3;
        }),
        ("too late", |story| {
            story.standby.created = 5;
            story.release.created = 5;
        }),
    ];
    for change in &changes {
        both_find(&KINDS, change, at_its_bounds);
    }
}

/// CAS-4, CAS-5: what only one of both walks held before there was one.
#[test]
fn what_moved_is_what_was_permitted() {
    let changes: [Change; 3] = [
        ("another patient's ticket", |story| {
            story.standby.patient_id = PatientId::from_bytes([7; 32]);
            story.release.patient_id = PatientId::from_bytes([7; 32]);
        }),
        ("more bytes", |story| story.permission.bytes = 1),
        ("another request", |story| match story.kind {
            Kind::Upload => story.upload.institution_id = InstitutionId::from_bytes([7; 32]),
            Kind::Reference => story.reference.second_institution_id = InstitutionId::from_bytes([7; 32]),
            _ => story.download.patient_id = PatientId::from_bytes([7; 32]),
        }),
    ];
    for change in &changes {
        both_find(&KINDS, change, |_| ());
    }
}

/// CAS-4, REV-1: nothing begins under a permission that was revoked.
#[test]
fn what_is_presented_after_the_revocation_is_found_by_both() {
    for kind in KINDS {
        let story = Story::new(kind);
        let mut bundle = story.bundle();
        let revoked = bundle.entries.pop().unwrap();
        bundle.entries.insert(2, revoked);
        for (number, entry) in (3..).zip(&mut bundle.entries) {
            entry.number = number;
        }
        assert!(read(&bundle).is_err(), "{kind:?}");
        assert!(
            crate::case::VerifiedCase::verify(bundle, &story.link).is_err(),
            "{kind:?}"
        );
    }
}

/// NOTE-4: what is said about a permission is about one that comes before it, for whom it names.
#[test]
fn a_note_is_about_a_permission_that_comes_before_it() {
    let bundle = Story::new(Kind::Download).bundle();
    let mut walk = Walk::new(patient(), Owner::new());
    let Some(What::Permitted(permission)) = bundle.entries[1].what.clone() else {
        panic!("the permission comes second");
    };
    let permission = SignedPermission::try_from(Some(permission))
        .unwrap()
        .verify()
        .unwrap();
    let (device, about) = (permission.device(), (permission.permission_id, permission.hash()));
    assert!(walk.said_about(device, hospital(), about).is_err(), "before it");
    for entry in &bundle.entries[..2] {
        step(&mut walk, &bundle, entry).unwrap();
    }
    walk.said_about(device, hospital(), about).unwrap();
    let other = InstitutionId::from_bytes([7; 32]);
    assert!(walk.said_about(device, other, about).is_err(), "another reader");
    let another = (about.0, Sha256Digest::of(b"another"));
    assert!(
        walk.said_about(device, hospital(), another).is_err(),
        "another body"
    );
    assert_eq!(walk.counts.statements, 3);
}

fn delegation(device: u8) -> VerifiedDelegation {
    let body = Delegation {
        created: 1,
        operator_id: operator(),
        delegation_id: DelegationId::from_bytes([1; 16]),
        patient_id: patient(),
        delegate_id: PatientId::from_bytes([2; 32]),
        power: Power::Read,
        collections: Scope::new(vec![CollectionId::from_bytes([3; 16])]).unwrap(),
        not_before: 10,
        not_after: 20,
        root_epoch: 0,
        sealed_name: SealedName::try_from(vec![0; 136]).unwrap(),
    };
    VerifiedDelegation::verify(by_device(device, body)).unwrap()
}

fn end(of: &VerifiedDelegation) -> PatientVerified<DelegationEnd> {
    let body = DelegationEnd {
        created: 2,
        patient_id: patient(),
        delegation_id: of.delegation_id,
        delegation_hash: of.hash(),
        last: Vec::new(),
    };
    by_device(DEVICE, body).verify().unwrap()
}

/// DLG-9: a delegation is given once and ended once, and a delegate may act in between, in its time.
#[test]
fn a_delegate_acts_between_the_delegation_and_its_end() {
    let given = delegation(DEVICE);
    let mut walk = Walk::new(patient(), Owner::new());
    let acts = |walk: &Walk<Owner>, at| walk.signer(given.device(), Some(&given), at).is_ok();
    assert!(!acts(&walk, 10), "before it");
    assert!(walk.delegation_ended(&end(&given)).is_err(), "before it");
    walk.delegated(given.clone()).unwrap();
    assert!(walk.delegated(given.clone()).is_err(), "a second time");
    assert!(acts(&walk, 10) && acts(&walk, 19));
    assert!(!acts(&walk, 9) && !acts(&walk, 20), "not in its time");
    walk.delegation_ended(&end(&given)).unwrap();
    assert!(!acts(&walk, 10), "after its end");
    assert!(walk.delegation_ended(&end(&given)).is_err(), "a second time");
    assert_eq!(walk.counts.statements, 2);
}
