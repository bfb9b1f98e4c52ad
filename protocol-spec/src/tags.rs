//! How a server tests a record against conditions that it cannot read: tags on placements, tokens
//! in permissions. See `spec/conditions.md` §5.

use bytes::Bytes;

use crate::{
    Error, attributes::Attribute, declare::fields, field::Field, hash::sha256, ids::VersionId, labels,
    messages as pb,
};

/// Stands for one attribute in one vault, for any record. Made by the patient's devices; the server gets
/// those that a permission needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token([u8; Self::LEN]);

impl Token {
    /// How many bytes a token has.
    pub const LEN: usize = 16;

    /// Wraps bytes as they are.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The token's 16 bytes, which the server gets.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// first 8 bytes of SHA-256 (LABEL(RECORD_TAG) ‖ token ‖ version id) (CND-6)
    fn tag(&self, version: &VersionId) -> [u8; RecordTags::TAG_LEN] {
        let hash = sha256(&[&labels::RECORD_TAG.bytes(), &self.0, version.as_bytes()]);
        let mut tag = [0; RecordTags::TAG_LEN];
        tag.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        tag
    }
}

/// The tags of one record version: one for each attribute, ascending, so that none tells what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordTags(Vec<[u8; Self::TAG_LEN]>);

impl RecordTags {
    /// Bytes of a tag: enough that no server meets one by chance.
    pub const TAG_LEN: usize = 8;

    /// Those of a version whose attributes have these tokens (CND-6). Fails with [`Error::Field`] unless there
    /// is one for each attribute.
    pub fn new(tokens: &[Token], version: &VersionId) -> Result<Self, Error> {
        if tokens.len() != Attribute::COUNT {
            return Err(Error::Field { field: "tags" });
        }
        let mut tags: Vec<_> = tokens.iter().map(|token| token.tag(version)).collect();
        tags.sort_unstable();
        Ok(Self(tags))
    }

    /// The tags one behind the other, as they stand in a placement.
    pub fn to_bytes(&self) -> Bytes {
        self.0.concat().into()
    }

    fn holds(&self, token: &Token, version: &VersionId) -> bool {
        self.0.binary_search(&token.tag(version)).is_ok()
    }
}

impl Field<Bytes> for RecordTags {
    fn read(wire: Bytes, field: &'static str) -> Result<Self, Error> {
        let (tags, rest) = wire.as_chunks();
        if tags.len() != Attribute::COUNT || !rest.is_empty() || !tags.is_sorted() {
            return Err(Error::Field { field });
        }
        Ok(Self(tags.to_vec()))
    }

    fn write(&self) -> Bytes {
        self.to_bytes()
    }
}

/// Tokens of which a record must have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGroup(Vec<Token>);

impl TokenGroup {
    /// Most tokens of a group.
    pub const MAX: usize = 32;

    /// A group of these; their order tells nothing. Fails with [`Error::Field`] for none or too many.
    pub fn new(mut tokens: Vec<Token>) -> Result<Self, Error> {
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens).checked("tokens")
    }

    /// The tokens of the group, in ascending order.
    pub fn tokens(&self) -> &[Token] {
        &self.0
    }

    fn checked(self, field: &'static str) -> Result<Self, Error> {
        let ascending = self.0.is_sorted_by(|a, b| a < b);
        if ascending && (1..=Self::MAX).contains(&self.0.len()) {
            Ok(self)
        } else {
            Err(Error::Field { field })
        }
    }
}

impl Field<pb::TokenGroup> for TokenGroup {
    fn read(wire: pb::TokenGroup, field: &'static str) -> Result<Self, Error> {
        let (tokens, rest) = wire.tokens.as_chunks();
        if !rest.is_empty() {
            return Err(Error::Field { field });
        }
        Self(tokens.iter().copied().map(Token).collect()).checked(field)
    }

    fn write(&self) -> pb::TokenGroup {
        let tokens: Vec<u8> = self.0.iter().flat_map(|token| token.0).collect();
        pb::TokenGroup {
            tokens: tokens.into(),
        }
    }
}

fields! {
    /// Conditions as a permission carries them: tokens for the server, the conditions themselves sealed to the
    /// institution and to the patient's devices (CND-8).
    #[derive(Clone, Debug, PartialEq, Eq)]
    SealedConditions: SealedConditions where are_bounded {
        /// Over a collection: a record must have a tag of each.
        groups: Vec<TokenGroup>,
        /// The [`crate::conditions::Conditions`] themselves, sealed under the key that the permission gives.
        sealed: Bytes,
    }
}

impl SealedConditions {
    /// Bytes that sealing adds: salt, commitment, tag.
    pub const OVERHEAD: usize = 72;
    /// Sealed sizes are this times a power of two, and what sealing adds.
    pub const CLASS_UNIT: usize = 64;
    const MAX_GROUPS: usize = 3;
    const MAX_FRAMED: usize = 2048;

    /// Whether a version with these tags has one of each group (CND-9).
    pub fn admit(&self, version: &VersionId, tags: &RecordTags) -> bool {
        let has_one = |group: &TokenGroup| group.0.iter().any(|token| tags.holds(token, version));
        self.groups.iter().all(has_one)
    }

    fn are_bounded(&self) -> Result<(), Error> {
        let framed = self.sealed.len().saturating_sub(Self::OVERHEAD);
        let class = framed / Self::CLASS_UNIT;
        let sized = framed % Self::CLASS_UNIT == 0 && class.is_power_of_two() && framed <= Self::MAX_FRAMED;
        if self.groups.len() <= Self::MAX_GROUPS && sized {
            Ok(())
        } else {
            Err(Error::Field { field: "conditions" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(first: u8) -> Vec<Token> {
        (0..35).map(|number| Token([first + number; 16])).collect()
    }

    fn conditions(groups: &[&[u8]]) -> SealedConditions {
        let group =
            |group: &&[u8]| TokenGroup::new(group.iter().map(|&byte| Token([byte; 16])).collect()).unwrap();
        SealedConditions {
            groups: groups.iter().map(group).collect(),
            sealed: Bytes::from_static(&[0; 136]),
        }
    }

    /// CND-9
    #[test]
    fn a_record_needs_a_tag_of_every_group() {
        let version = VersionId::from_bytes([1; 16]);
        let tags = RecordTags::new(&tokens(100), &version).unwrap();
        for (groups, admitted) in [
            (&[][..], true),
            (&[&[100, 7][..]][..], true),
            (&[&[100][..], &[9, 134]][..], true),
            (&[&[100][..], &[9, 8]][..], false),
            (&[&[99][..]][..], false),
            (&[&[135][..]][..], false),
        ] {
            assert_eq!(conditions(groups).admit(&version, &tags), admitted, "{groups:?}");
        }
    }

    /// CND-6: the same attributes of two records have nothing in common, and a record's tags serve no other.
    #[test]
    fn tags_of_two_records_cannot_be_linked() {
        let (one, other) = (VersionId::from_bytes([1; 16]), VersionId::from_bytes([2; 16]));
        let a = RecordTags::new(&tokens(0), &one).unwrap();
        let b = RecordTags::new(&tokens(0), &other).unwrap();
        assert!(a.0.iter().all(|tag| !b.0.contains(tag)));
        assert!(!conditions(&[&[5]]).admit(&other, &a));
        assert!(RecordTags::new(&tokens(0)[1..], &one).is_err());
    }

    /// CND-6, CND-8
    #[test]
    fn only_one_form_is_read() {
        let tags = RecordTags::new(&tokens(0), &VersionId::from_bytes([1; 16])).unwrap();
        let wire = tags.write();
        assert_eq!(wire.len(), 280);
        assert_eq!(RecordTags::read(wire.clone(), "tags"), Ok(tags));
        let mut swapped = wire.to_vec();
        swapped.rotate_left(8);
        assert!(RecordTags::read(swapped.into(), "tags").is_err());
        assert!(RecordTags::read(wire.slice(8..), "tags").is_err());
        assert!(RecordTags::read(wire.slice(1..), "tags").is_err());

        let good: pb::SealedConditions = conditions(&[&[1, 2], &[3]]).write();
        assert!(SealedConditions::read(good.clone(), "c").is_ok());
        let group = |tokens: Vec<u8>| pb::TokenGroup {
            tokens: tokens.into(),
        };
        for groups in [
            vec![group(vec![])],
            vec![group([[2; 16], [1; 16]].concat())],
            vec![group([[1; 16], [1; 16]].concat())],
            vec![group(vec![1; 17])],
            vec![group((0..33_u8).flat_map(|byte| [byte; 16]).collect())],
            vec![group(vec![1; 16]); 4],
        ] {
            let wire = pb::SealedConditions {
                groups,
                ..good.clone()
            };
            assert!(SealedConditions::read(wire, "c").is_err());
        }
        for length in [0, 72, 135, 137, 72 + 192, 72 + 4096] {
            let wire = pb::SealedConditions {
                sealed: vec![0; length].into(),
                ..good.clone()
            };
            assert!(SealedConditions::read(wire, "c").is_err(), "{length}");
        }
    }
}
