//! The registry of labels. Every signature, key derivation and HPKE `info` starts with one of these,
//! so that bytes made for one purpose mean nothing in another. See `spec/statements.md` §2.

/// A purpose, as 32 bytes: the ASCII name padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(&'static str);

impl Label {
    /// The label's text, as `spec/statements.md` §2 registers it.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// A name that fits 32 bytes.
    pub(crate) const fn new(name: &'static str) -> Self {
        assert!(name.len() <= 32 && name.is_ascii(), "a label that does not fit");
        Self(name)
    }

    /// The 32 bytes that enter hashes and key derivations.
    pub fn bytes(self) -> [u8; 32] {
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(self.0.bytes()) {
            *to = from;
        }
        out
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Label = Label::new($text);)*

        /// All labels but those of bodies ([`crate::bodies::labels`]).
        pub const ALL: &[Label] = &[$($name),*];
    };
}

labels! {
    // signatures of what is no body, or is one under another label
    /// Card key signs an opening in an emergency, beside the institution.
    EMERGENCY_CARD = "medvault/v1 emergency card";
    /// Device signs the rules by which it answers requests, on its own disk.
    STANDING_RULES = "medvault/v1 standing rules";
    /// Operator signs that its server answers under an authority.
    SERVER_PROOF = "medvault/v1 server proof";

    // HPKE info and key derivation
    /// HPKE `info` of a permission key.
    WRAP_PERMISSION = "medvault/v1 wrap permission";
    /// HPKE `info` of a sealed text.
    SEAL_TEXT = "medvault/v1 seal text";
    /// HPKE `info` of an accreditation secret.
    SEAL_ACCREDITATION = "medvault/v1 seal accreditation";
    /// HPKE `info` of a vault root key.
    WRAP_ROOT_KEY = "medvault/v1 wrap root key";
    /// HPKE `info` of a collection key for a delegate.
    WRAP_DELEGATED_KEY = "medvault/v1 wrap delegated key";
    /// HPKE `info` of an institution's recipient keys for a terminal.
    SEAL_TERMINAL_KEYS = "medvault/v1 seal terminal keys";
    /// Possession key from permission secret and data keys.
    POSSESSION_KEY = "medvault/v1 possession key";
    /// Record data key from an upload key.
    RECORD_KEY = "medvault/v1 record key";
    /// Key, nonce and commitment of a key wrap.
    KEY_WRAP = "medvault/v1 key wrap";
    /// Key, nonce and commitment of a collection's sealed name.
    COLLECTION_NAME = "medvault/v1 collection name";
    /// Key, nonce and commitment of a sealed segment of the vault's index.
    INDEX_SEGMENT = "medvault/v1 index segment";
    /// Key, nonce and commitment of a device's sealed name.
    DEVICE_NAME = "medvault/v1 device name";
    /// Key, nonce and commitment of a delegate's sealed name.
    DELEGATE_NAME = "medvault/v1 delegate name";
    /// Vault key from a vault root key.
    VAULT_KEY = "medvault/v1 vault key";
    /// Short string of a new device's offer and both nonces.
    LINK_SHORT_STRING = "medvault/v1 link short string";
    /// Nonce by which a device answers an offer, from the vault root key.
    LINK_ANSWER = "medvault/v1 link answer";
    /// Proof to a new device that it was approved by whoever has its code.
    LINK_APPROVAL = "medvault/v1 link approval";
    /// Key of a vault's tokens, from the key of its own collection.
    TAG_KEY = "medvault/v1 tag key";
    /// Token of an attribute of records.
    RECORD_TOKEN = "medvault/v1 record token";
    /// Key of a permission's sealed conditions.
    CONDITIONS_KEY = "medvault/v1 conditions key";
    /// Key, nonce and commitment of a permission's sealed conditions.
    CONDITIONS = "medvault/v1 conditions";
    /// A recovery member's Ed25519 seed from its secret.
    RECOVERY_IDENTITY = "medvault/v1 recovery identity";
    /// A recovery member's X-Wing seed from its secret.
    RECOVERY_RECIPIENT = "medvault/v1 recovery recipient";
    /// Proof to whoever has a recovery member's secret that she added it.
    RECOVERY_APPROVAL = "medvault/v1 recovery approval";
    /// HPKE `info` of a share for its holder.
    SEAL_SHARE = "medvault/v1 seal share";
    /// HPKE `info` of a share for a machine that recovers.
    RETURN_SHARE = "medvault/v1 return share";
    /// Card key from the first half of an emergency key.
    EMERGENCY_CARD_KEY = "medvault/v1 emergency card key";
    /// X-Wing seed from both halves of an emergency key.
    EMERGENCY_RECIPIENT = "medvault/v1 emergency recipient";
    /// HPKE `info` of a guardian's half for the guardian.
    SEAL_GUARDIAN_HALF = "medvault/v1 seal guardian half";
    /// HPKE `info` of a guardian's half for an institution.
    SEAL_HELP_HALF = "medvault/v1 seal help half";
    /// Context under which the stream of a record is sealed.
    SEAL_CONTENT = "medvault/v1 seal content";
    /// Secrets of a client's home directory, on its own disk.
    HOME_SECRETS = "medvault/v1 home secrets";
    /// Key of the tags of a client's home directory, on its own disk.
    HOME_SEAL = "medvault/v1 home seal";

    // hashes
    /// Commitment to one share of a recovery secret.
    SHARE_COMMITMENT = "medvault/v1 share commitment";
    /// Check string of a machine that recovers.
    RECOVERY_CHECK = "medvault/v1 recovery check";
    /// Hash of the server's half of an emergency key.
    EMERGENCY_SHARE = "medvault/v1 emergency share";
    /// Check digits of an emergency card's code.
    EMERGENCY_CODE = "medvault/v1 emergency code";
    /// Fingerprint in a server link.
    SERVER_LINK = "medvault/v1 server link";
    /// Keys and commitment that a new device offers, as its code has them.
    LINK_OFFER = "medvault/v1 link offer";
    /// A new device's commitment to its nonce.
    LINK_COMMITMENT = "medvault/v1 link commitment";
    /// Where a new device offers its keys.
    LINK_PLACE = "medvault/v1 link place";
    /// Tag of one record version, from a token.
    RECORD_TAG = "medvault/v1 record tag";
    /// Work of whoever enrols where anybody may.
    ENROLMENT_WORK = "medvault/v1 enrolment work";
    /// Digest in a leaf of the transparency log.
    LOG_LEAF = "medvault/v1 log leaf";
    /// Salt of a leaf, from its vault's salt.
    LOG_SALT = "medvault/v1 log salt";
    /// Tag of a leaf, from its vault's salt.
    LOG_TAG = "medvault/v1 log tag";
    /// Chain over the directory events of the log.
    LOG_DIRECTORY = "medvault/v1 log directory";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::bodies;

    #[test]
    fn no_two_purposes_have_one_label() {
        let all = || ALL.iter().copied().chain(bodies::labels());
        let distinct: HashSet<_> = all().map(Label::bytes).collect();
        assert_eq!(distinct.len(), all().count());
    }
}
