//! Whoever can write to the home, but not unlock it, cannot change the rules.

use crypto::SigningIdentity;
use protocol_spec::{bodies::Denial, statement::Body};

use super::*;

const RULES: &str = "format = 1\n[[rule]]\nname = \"n\"\nfrom = \"Clinic\"\nkind = \"any\"\naction = \"deny\"\ntext = \"no\"\n";

struct Fixture {
    _dir: tempfile::TempDir,
    home: Home,
    device: SigningIdentity,
    patient: PatientId,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    home.make_folder(FOLDER).unwrap();
    let device = SigningIdentity::from_seed(&[1; 32]).unwrap();
    Fixture {
        _dir: dir,
        home,
        device,
        patient: PatientId::from_bytes([5; 32]),
    }
}

impl Fixture {
    fn signed(&self, sequence: u64) -> String {
        let header = Header {
            format: 1,
            patient: self.patient.to_string(),
            sequence,
            created: 7,
            institutions: [(
                "Clinic".to_owned(),
                InstitutionId::from_bytes([3; 32]).to_string(),
            )]
            .into(),
        };
        let bytes = encode(&header, RULES, |message| self.device.sign_bytes(message)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn put(&self, text: &str) {
        self.home.write(ACTIVE, text.as_bytes()).unwrap();
    }

    fn load(&self) -> Result<Option<StandingRules>> {
        load(&self.home, self.patient, &self.device.public())
    }

    fn refused(&self) -> &'static str {
        match self.load() {
            Err(Error::RulesChanged { cause, .. }) => cause,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn signed_rules_come_back_with_the_institutions_that_were_found() {
    let it = fixture();
    assert_eq!(it.load().unwrap(), None);
    it.put(&it.signed(1));
    let rules = it.load().unwrap().unwrap();
    assert_eq!(
        (rules.sequence, rules.created, rules.text.as_str()),
        (1, 7, RULES)
    );
    let named = rules.rules.institutions();
    assert_eq!(
        (named.len(), named[0].id),
        (1, InstitutionId::from_bytes([3; 32]))
    );
}

#[test]
fn a_file_of_which_any_byte_was_changed_is_refused() {
    let it = fixture();
    let honest = it.signed(1);
    it.put(&honest);
    assert!(it.load().is_ok(), "the control");
    for at in 0..honest.len() {
        let mut bytes = honest.clone().into_bytes();
        bytes[at] ^= 1;
        it.home.write(ACTIVE, &bytes).unwrap();
        it.refused();
    }
    for wrong in [
        "",
        "\n",
        &honest[1..],
        &honest[..honest.len() - 1],
        &format!("{honest}\n"),
    ] {
        it.put(wrong);
        it.refused();
    }
    it.put(&honest);
    assert!(it.load().is_ok(), "the control");
}

#[test]
fn another_device_another_patient_and_another_label_are_refused() {
    let mut it = fixture();
    it.put(&it.signed(1));
    let device = std::mem::replace(&mut it.device, SigningIdentity::from_seed(&[2; 32]).unwrap());
    assert_eq!(it.refused(), "its signature does not verify");
    it.device = device;
    let patient = std::mem::replace(&mut it.patient, PatientId::from_bytes([6; 32]));
    assert_eq!(it.refused(), "it is for another program or patient");
    it.patient = patient;
    assert!(it.load().is_ok(), "the control");
    let honest = it.signed(1);
    let (_, body) = honest.split_once('\n').unwrap();
    let denial = it.device.sign_bytes(&preimage(Denial::LABEL, body.as_bytes()));
    it.put(&format!("{}\n{body}", HEXLOWER.encode(&denial)));
    assert_eq!(it.refused(), "its signature does not verify");
}

#[test]
fn older_rules_are_not_put_back_and_missing_ones_are_missed() {
    let it = fixture();
    for sequence in [1, 2] {
        it.put(&it.signed(sequence));
        assert_eq!(it.load().unwrap().unwrap().sequence, sequence);
    }
    it.put(&it.signed(1));
    assert_eq!(it.refused(), "it is an older one that was put back");
    std::fs::remove_file(it.home.path(ACTIVE)).unwrap();
    assert!(matches!(it.load(), Err(Error::HomeAltered { .. })));
    it.put(&it.signed(2));
    assert!(it.load().is_ok(), "the control");
    // What this does not protect against, as the module says: the number is put back as well.
    it.home.write(HIGHEST, b"1").unwrap();
    it.put(&it.signed(1));
    assert_eq!(it.load().unwrap().unwrap().sequence, 1);
    it.home.write(HIGHEST, b"one").unwrap();
    assert!(matches!(it.load(), Err(Error::HomeDamaged { .. })));
}
