//! The registry of labels. Every signature, key derivation and HPKE `info` starts with one of these,
//! so that bytes made for one purpose mean nothing in another. See `spec/statements.md` §2.

/// A purpose, as 32 bytes: the ASCII name padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(&'static str);

impl Label {
    /// The name as registered.
    pub const fn name(self) -> &'static str {
        self.0
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
        $($(#[$doc])* pub const $name: Label = Label($text);)*

        /// All registered labels, in the order of the registry.
        pub const ALL: &[Label] = &[$($name),*];
    };
}

labels! {
    // statements (signatures)
    /// Patient identity key or device signs a device's keys.
    DEVICE_CERTIFICATE = "medvault/v1 device certificate";
    /// Patient identity key or device signs which devices there are.
    DEVICE_LIST = "medvault/v1 device list";
    /// Device signs to which key everybody seals.
    VAULT_KEY_STATEMENT = "medvault/v1 vault key statement";
    /// Operator or institution signs who may enrol as a patient.
    INVITATION = "medvault/v1 invitation";
    /// Institution signs its own keys for the registrar.
    ACCREDITATION_REQUEST = "medvault/v1 accreditation req";
    /// Registrar signs an institution's name and key hashes.
    ACCREDITATION = "medvault/v1 accreditation";
    /// Institution signs its keys into the directory.
    INSTITUTION_KEYS = "medvault/v1 institution keys";
    /// Terminal signs its own keys for its institution.
    TERMINAL_REQUEST = "medvault/v1 terminal request";
    /// Institution identity key signs a terminal's keys.
    TERMINAL_CERTIFICATE = "medvault/v1 terminal certificate";
    /// Institution identity key signs that a terminal is no longer its own.
    TERMINAL_REMOVAL = "medvault/v1 terminal removal";
    /// Registrar signs that an institution is accredited no more.
    WITHDRAWAL = "medvault/v1 withdrawal";
    /// Registrar signs what a file is: a client program.
    PROGRAM = "medvault/v1 program";
    /// Operator and registrar sign where the log goes on after an older copy was put back.
    RESTORATION = "medvault/v1 restoration";
    /// Institution signs its own end.
    RETIREMENT = "medvault/v1 retirement";
    /// Device signs an upload request.
    UPLOAD_REQUEST = "medvault/v1 upload request";
    /// Institution signs that it opens in an emergency.
    EMERGENCY_OPENING = "medvault/v1 emergency opening";
    /// Card key signs the same.
    EMERGENCY_CARD = "medvault/v1 emergency card";
    /// Guardian's device signs that an institution may open in an emergency.
    EMERGENCY_HELP = "medvault/v1 emergency help";
    /// Device signs that it objects to a guardian's help.
    EMERGENCY_OBJECTION = "medvault/v1 emergency objection";
    /// Institution signs a download request.
    DOWNLOAD_REQUEST = "medvault/v1 download request";
    /// First institution signs a reference request.
    REFERENCE_REQUEST = "medvault/v1 reference request";
    /// Device signs a permission, its `enc` and its ciphertext.
    PERMISSION = "medvault/v1 permission";
    /// Device signs a denial.
    DENIAL = "medvault/v1 denial";
    /// Device signs a revocation.
    REVOCATION = "medvault/v1 revocation";
    /// Operator signs what left under a revoked permission.
    REVOCATION_RECEIPT = "medvault/v1 revocation receipt";
    /// Device signs what a revocation could not take back.
    REVOCATION_CERTIFICATE = "medvault/v1 revocation cert";
    /// Device signs that a collection's epoch is over.
    EPOCH_CLOSURE = "medvault/v1 epoch closure";
    /// Device signs which collection a record version lies in.
    PLACEMENT = "medvault/v1 placement";
    /// Device signs that a record's content is sealed anew.
    RESEAL = "medvault/v1 reseal";
    /// Device signs that a record is deleted.
    RECORD_DELETION = "medvault/v1 record deletion";
    /// Institution signs that it takes an upload back.
    TAKE_BACK = "medvault/v1 take back";
    /// Device signs what has been done to the vault.
    VAULT_HEAD = "medvault/v1 vault head";
    /// Device signs a segment of the vault's index.
    INDEX_HEAD = "medvault/v1 index head";
    /// Institution signs what a record contains.
    RECORD_MANIFEST = "medvault/v1 record manifest";
    /// Recovery key signs how many shares of it there are, and what each must be.
    RECOVERY_SHARES = "medvault/v1 recovery shares";
    /// Device signs what another patient may do in a vault.
    DELEGATION = "medvault/v1 delegation";
    /// Device signs a collection key that is sealed to a delegate.
    DELEGATED_KEY = "medvault/v1 delegated key";
    /// Device signs that a delegation is over.
    DELEGATION_END = "medvault/v1 delegation end";
    /// Operator signs that it waits for an upload.
    STANDBY_TICKET = "medvault/v1 standby ticket";
    /// Operator signs what it will release.
    RELEASE_TICKET = "medvault/v1 release ticket";
    /// Operator signs what it stored.
    UPLOAD_RECEIPT = "medvault/v1 upload receipt";
    /// Operator signs what it released.
    RELEASE_RECEIPT = "medvault/v1 release receipt";
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
    /// Context of sealed content.
    SEAL_CONTENT = "medvault/v1 seal content";
    /// Secrets of a client's home directory, on its own disk.
    HOME_SECRETS = "medvault/v1 home secrets";
    /// Key of the tags of a client's home directory, on its own disk.
    HOME_SEAL = "medvault/v1 home seal";

    // hashes
    /// Commitment to one share.
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

    #[test]
    fn labels_are_distinct_and_fit_32_bytes() {
        let distinct: HashSet<_> = ALL.iter().map(|label| label.bytes()).collect();
        assert_eq!(distinct.len(), ALL.len());
        assert!(
            ALL.iter()
                .all(|label| label.name().len() <= 32 && label.name().is_ascii())
        );
    }
}
