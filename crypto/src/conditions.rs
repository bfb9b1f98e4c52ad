//! Tokens and tags, by which a server tests records without reading what by, and the conditions themselves, sealed.
//! See `spec/conditions.md` §5 and §6.

use protocol_spec::{
    attributes::{Attribute, Attributes},
    conditions::Conditions,
    ids::{PatientId, PermissionId, VersionId},
    labels::{CONDITIONS, CONDITIONS_KEY, RECORD_TOKEN, TAG_KEY},
    tags::{RecordTags, SealedConditions, Token, TokenGroup},
};

use crate::{
    CollectionKey, ConditionsKey, Error, SecureRandom, TagKey, committed, kdf,
    padding::{frame, size_class, unframe},
};

impl TagKey {
    /// The tag key of a vault, from the key of its own collection in epoch 0 (CND-5).
    ///
    /// `tag key = HKDF-Expand-SHA-512 (own collection key, LABEL(TAG_KEY) ‖ patient, 32)`
    pub fn derive(own: &CollectionKey, patient: &PatientId) -> Self {
        Self::from_bytes(&kdf::expand(
            own.expose(),
            &[&TAG_KEY.bytes(), patient.as_bytes()],
        ))
    }

    /// `token = HKDF-Expand-SHA-512 (tag key, LABEL(RECORD_TOKEN) ‖ attribute, 16)` (CND-5)
    pub fn token(&self, attribute: &Attribute) -> Token {
        let token = kdf::expand(self.expose(), &[&RECORD_TOKEN.bytes(), attribute.as_bytes()]);
        Token::from_bytes(*token)
    }

    /// The tags of a record version (CND-6). This never fails in practice: a record has as many attributes as tags.
    pub fn tags(&self, record: &Attributes, version: &VersionId) -> Result<RecordTags, Error> {
        let tokens: Vec<_> = record.each().iter().map(|one| self.token(one)).collect();
        Ok(RecordTags::new(&tokens, version)?)
    }

    /// `conditions key = HKDF-Expand-SHA-512 (tag key, LABEL(CONDITIONS_KEY) ‖ permission, 32)` (CND-10)
    pub fn conditions_key(&self, permission: &PermissionId) -> ConditionsKey {
        let info: [&[u8]; 2] = [&CONDITIONS_KEY.bytes(), permission.as_bytes()];
        ConditionsKey::from_bytes(&kdf::expand(self.expose(), &info))
    }

    /// The tokens by which a server tests the records of a collection. This never fails in practice: conditions have
    /// no more attributes than a group has tokens.
    pub fn groups(&self, conditions: &Conditions) -> Result<Vec<TokenGroup>, Error> {
        let group = |attributes: &Vec<Attribute>| {
            let tokens = attributes.iter().map(|one| self.token(one)).collect();
            Ok(TokenGroup::new(tokens)?)
        };
        conditions.groups().iter().map(group).collect()
    }
}

impl ConditionsKey {
    /// Seals a permission's conditions to whoever has its key, with these tokens (CND-10).
    pub fn seal(
        &self,
        random: &dyn SecureRandom,
        conditions: &Conditions,
        patient: &PatientId,
        permission: &PermissionId,
        groups: Vec<TokenGroup>,
    ) -> Result<SealedConditions, Error> {
        let framed = frame(&conditions.encode(), class)?;
        let sealed = committed::seal(
            random,
            self.expose(),
            CONDITIONS,
            &aad(patient, permission),
            &framed,
        )?;
        Ok(SealedConditions {
            groups,
            sealed: sealed.into(),
        })
    }

    /// Opens what [`Self::seal`] made for the same patient and permission. Fails with [`Error::Open`], also for
    /// padding and for what is no condition.
    pub fn open(
        &self,
        sealed: &SealedConditions,
        patient: &PatientId,
        permission: &PermissionId,
    ) -> Result<Conditions, Error> {
        let framed = committed::open(
            self.expose(),
            CONDITIONS,
            &aad(patient, permission),
            &sealed.sealed,
        )?;
        Conditions::decode(unframe(&framed, class)?).map_err(|_| Error::Open)
    }
}

fn aad(patient: &PatientId, permission: &PermissionId) -> Vec<u8> {
    [patient.as_bytes().as_slice(), permission.as_bytes()].concat()
}

fn class(length: usize) -> usize {
    size_class(SealedConditions::CLASS_UNIT, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingSystem;

    const PATIENT: PatientId = PatientId::from_bytes([1; 32]);
    const PERMISSION: PermissionId = PermissionId::from_bytes([2; 16]);

    fn key(byte: u8) -> TagKey {
        TagKey::derive(&CollectionKey::from_bytes(&[byte; 32]), &PATIENT)
    }

    fn conditions() -> Conditions {
        Conditions {
            media_types: ["application/dicom", "text/plain"]
                .map(|one| one.parse().unwrap())
                .into(),
            from: Some("2026-05-01".parse().unwrap()),
            to: Some("2026-05-31".parse().unwrap()),
            undated: false,
        }
    }

    fn record(media_type: &str, day: &str) -> Attributes {
        let day = day.parse().unwrap();
        Attributes {
            media_types: Some([media_type.parse().unwrap()].into()),
            days: Some((day, day)),
        }
    }

    /// CND-5, CND-6: a server with tokens tells what fits from what does not; the tokens of another vault tell nothing.
    #[test]
    fn tokens_and_tags_meet_where_the_record_fits() {
        let version = VersionId::from_bytes([3; 16]);
        let admits = |key: &TagKey, tagger: &TagKey, record: &Attributes| {
            let groups = key.groups(&conditions()).unwrap();
            let sealed = SealedConditions {
                groups,
                sealed: vec![].into(),
            };
            sealed.admit(&version, &tagger.tags(record, &version).unwrap())
        };
        let may = record("text/plain", "2026-05-31");
        assert!(admits(&key(1), &key(1), &may));
        assert!(!admits(&key(1), &key(1), &record("text/plain", "2026-06-01")));
        assert!(!admits(&key(1), &key(1), &record("text/html", "2026-05-31")));
        assert!(!admits(&key(1), &key(2), &may));
        let stranger = PatientId::from_bytes([9; 32]);
        let other = TagKey::derive(&CollectionKey::from_bytes(&[1; 32]), &stranger);
        assert!(!admits(&key(1), &other, &may));
    }

    /// CND-10
    #[test]
    fn open_rejects_wrong_key_patient_permission_and_every_flipped_byte() {
        let own = key(1).conditions_key(&PERMISSION);
        let sealed = own
            .seal(&OperatingSystem, &conditions(), &PATIENT, &PERMISSION, vec![])
            .unwrap();
        assert_eq!(sealed.sealed.len(), 64 + committed::OVERHEAD);
        assert_eq!(committed::OVERHEAD, SealedConditions::OVERHEAD);
        assert_eq!(own.open(&sealed, &PATIENT, &PERMISSION), Ok(conditions()));
        let other = PermissionId::from_bytes([9; 16]);
        for opened in [
            key(1).conditions_key(&other).open(&sealed, &PATIENT, &PERMISSION),
            own.open(&sealed, &PATIENT, &other),
            own.open(&sealed, &PatientId::from_bytes([9; 32]), &PERMISSION),
        ] {
            assert_eq!(opened, Err(Error::Open));
        }
        for at in 0..sealed.sealed.len() {
            let mut bytes = sealed.sealed.to_vec();
            bytes[at] ^= 1;
            let flipped = SealedConditions {
                groups: vec![],
                sealed: bytes.into(),
            };
            assert_eq!(own.open(&flipped, &PATIENT, &PERMISSION), Err(Error::Open));
        }
    }
}
