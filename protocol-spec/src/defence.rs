//! The defences that a build for negative controls can switch off, one by one.
//!
//! A test that sees an attack fail proves little as long as nobody has seen the same attack succeed. So each
//! attack in `tests/` is played twice: against the programs as they are, and against programs built with the
//! feature `weakened`, of which one defence is off. Without the feature [`Defence::is_off`] is a constant
//! `false`, and the compiler removes the question; a build with optimised own code refuses the feature.

#[cfg(all(feature = "weakened", not(debug_assertions)))]
compile_error!("the feature `weakened` is for negative controls: no release may be built with it");

use std::time::Duration;

macro_rules! defences {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// One check, named after what it keeps out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Defence {
            $($(#[$doc])* $name,)*
        }

        impl Defence {
            /// All defences, in the order in which they are declared.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name by which [`OFF`] switches it off.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

defences! {
    // what everybody checks
    /// Statements verify under the key that the rules demand (STM-2, STM-6, PRM-2).
    StatementSignatures = "statement-signatures";
    /// One encoding of a body, and no unknown fields (STM-5).
    CanonicalBodies = "canonical-bodies";
    /// The one version and suite (STM-4).
    VersionAndSuite = "version-and-suite";
    /// Lists of devices continue the ones before (DEV-3, DEV-4).
    DeviceLists = "device-lists";
    /// Degenerate keys are not admitted, and signatures verify strictly (KEY-2, KEY-3, STM-3).
    KeyAdmission = "key-admission";
    /// Names are of one script, without what cannot be seen (STM-8).
    NameProfile = "name-profile";
    /// Names that look alike are one name (INS-17).
    LookAlikes = "look-alikes";
    /// Entries of the directory are accredited, by the pinned registrar and as they stand (KEY-8).
    Accreditation = "accreditation";
    /// Whoever enrols has opened the accreditation's secret (KEY-7).
    AccreditationSecret = "accreditation-secret";

    /// An institution's entries follow one another, and no recipient key stands in two (INS-1, INS-2, INS-3).
    Succession = "succession";
    /// Terminals are certified by the institution that they speak for (INS-7, INS-9).
    TerminalCertificates = "terminal-certificates";
    /// What is said to stand in the log stands there (LOG-3).
    LogProofs = "log-proofs";
    /// The log that is shown continues the one that was seen (LOG-4).
    LogGrowth = "log-growth";
    /// The registrar has signed a restoration too (RST-2).
    RestorationRegistrar = "restoration-registrar";
    /// The directory is all of what the log has of it (LOG-16).
    DirectoryHead = "directory-head";
    /// The quorum of witnesses has cosigned (LOG-8).
    Witnesses = "witnesses";
    /// The quorum has cosigned since a download began (LOG-23).
    FreshCosignature = "fresh-cosignature";

    // what a witness does
    /// One process has a witness's folder, and what stands in it counts (LOG-20).
    WitnessFolder = "witness-folder";
    /// A witness is not kept busy by anybody (LOG-21).
    WitnessLimits = "witness-limits";

    // what the server checks of requests
    /// Requests are signed by whom they name, over all that the profile covers (API-4, API-6).
    RequestSignatures = "request-signatures";
    /// Requests are meant for this operator (API-1).
    Audience = "audience";
    /// A body has the digest that was signed (API-3).
    ContentDigest = "content-digest";
    /// A signature is taken once (API-8).
    Nonces = "nonces";
    /// Data are served under the keys that they were served with (OPR-1).
    BoundData = "bound-data";
    /// What a process before this one may have taken is not taken again (API-14).
    RestartReplay = "restart-replay";
    /// The log has a bounded number of lines for requests that were refused (LKG-4).
    RefusalLog = "refusal-log";
    /// The same mutation again changes nothing (API-10).
    Idempotency = "idempotency";
    /// Memory for what nobody has signed is shared out between addresses, and taken as bytes come (API-14, API-15).
    PublicShares = "public-shares";
    /// Who may call a route is looked at before there is memory for a body, and free accounts share theirs (API-16).
    TransferShares = "transfer-shares";
    /// The memory for signatures is shared out between principals (API-8).
    NonceShares = "nonce-shares";
    /// Places for connections are shared out between addresses (API-14).
    ConnectionShares = "connection-shares";
    /// Connections leave the store its open files, and what passes ends no process (API-17).
    Descriptors = "descriptors";

    // what the server's state machines check
    /// What a commit has read is still so when it is made (FLW-6).
    CommitChecks = "commit-checks";
    /// Patients and institutions speak for themselves, here (FLW-12).
    OwnStatements = "own-statements";
    /// Whoever asks or signs for a patient is a device of her newest list (DEV-6).
    ListedDevices = "listed-devices";
    /// No single device ends at once what she falls back on (DEV-23).
    KeptRecovery = "kept-recovery";
    /// A new root epoch destroys at once nothing that the one before could open (DEV-29).
    KeptEpochs = "kept-epochs";
    /// One network address offers a bounded number of new devices (DEV-12).
    OffersOfAddress = "offers-of-address";
    /// Patients enrol by invitation, where they do (ACC-1, ACC-2).
    EnrolmentInvitation = "enrolment-invitation";
    /// Where anybody may enrol, it takes work (ACC-4).
    EnrolmentWork = "enrolment-work";
    /// One network address enrols a bounded number of patients (ACC-5).
    EnrolmentsOfAddress = "enrolments-of-address";
    /// What one sender, and all strangers together, put into an inbox is bounded (ACC-8).
    ReceiverBounds = "receiver-bounds";
    /// A delegation or guardianship counts only when it was accepted (ACC-10).
    Acceptance = "acceptance";
    /// What a principal has the server keep stays within its budget (ACC-6, ACC-7).
    StorageBudget = "storage-budget";
    /// A stranger sees the key to which he seals, and nothing else of a vault (DEV-18).
    StrangersView = "strangers-view";
    /// What is left of the places for offers is shared among networks of every size (DEV-12).
    OffersOfNetworks = "offers-of-networks";
    /// Permissions and denials answer their request, once (FLW-1, FLW-2).
    RequestMatch = "request-match";
    /// Permitted records are in the vault as described (FLW-3).
    RecordMatch = "record-match";
    /// Only the institution that is named holds a permission (PRM-9).
    PermissionHolder = "permission-holder";
    /// Whoever presents possesses the permission key (PRM-9).
    Possession = "possession";
    /// A presentation answers a challenge, which is used up (PRM-11).
    Challenges = "challenges";
    /// Permissions, requests and sessions end in time (PRM-12).
    Deadlines = "deadlines";
    /// Uses and bytes are spent (PRM-12, FLW-9).
    Budgets = "budgets";
    /// A server that a witness contradicts gives nothing out (LOG-22).
    WitnessWord = "witness-word";
    /// Nothing moves under a revoked permission (FLW-5).
    Revocation = "revocation";
    /// Nothing moves under a permission whose place another has taken (PRM-14).
    Replacement = "replacement";
    /// A closed epoch's key opens nothing that the server holds (REV-6).
    ClosedEpochs = "closed-epochs";
    /// Of a version that was sealed anew nothing is left under its old key (REV-9).
    ReplacedVersions = "replaced-versions";
    /// Of a record that was deleted or taken back nothing is left, and nothing is handed out (DEL-2).
    DeletedRecords = "deleted-records";
    /// An institution takes back what nobody has opened, and nothing else (DEL-6, DEL-7).
    OpenedRecords = "opened-records";
    /// Nothing moves under a key of an institution that has ended (INS-5).
    KeyOverlap = "key-overlap";
    /// A terminal that was removed, or whose time is over, gets nothing (INS-8, INS-11).
    TerminalLife = "terminal-life";
    /// Terminals do not decide for their institution (INS-10).
    TerminalScope = "terminal-scope";
    /// An institution that has retired gets nothing (INS-13).
    Retirement = "retirement";
    /// An institution whose accreditation was withdrawn gets nothing (INS-15, INS-16).
    Withdrawal = "withdrawal";
    /// After a restoration nothing leaves a vault before one of her devices was back (RST-8).
    RestoredHold = "restored-hold";
    /// A session serves its own institution (§4 and §5 of `flows.md`).
    SessionOwner = "session-owner";
    /// A release gives out the records of its permission (PRM-4).
    ReleasedRecords = "released-records";
    /// Under a permission with conditions, a collection's records are released that fit them (CND-9).
    Conditions = "conditions";
    /// A permission serves the purpose that it is for (CND-2).
    Purpose = "purpose";
    /// A delegate does what her delegation gives, in its collections, and nothing else (DLG-2, DLG-5, DLG-6).
    DelegationScope = "delegation-scope";
    /// A delegation ends in time, or when it is ended (DLG-5, DLG-7).
    DelegationLife = "delegation-life";
    /// Who acts through a delegation has it from the owner of the vault herself (DLG-2, DLG-7).
    DelegationChain = "delegation-chain";
    /// No delegate opens a record unseen, and none is said to have opened what she did not ask for (DLG-11).
    DelegateReads = "delegate-reads";
    /// Institutions that open in an emergency are accredited for it (EMG-6).
    EmergencyAccreditation = "emergency-accreditation";
    /// Whoever opens in an emergency has the card's half (EMG-7).
    EmergencyCard = "emergency-card";
    /// An opening is taken once (EMG-7).
    EmergencyReplay = "emergency-replay";
    /// Openings in a day are bounded (EMG-9).
    EmergencyRate = "emergency-rate";
    /// Guardians help only where they are named (EMG-11).
    EmergencyGuardian = "emergency-guardian";
    /// A guardian's help opens nothing before the waiting time is over (EMG-12).
    EmergencyWait = "emergency-wait";
    /// A guardian's help opens nothing once the patient has objected (EMG-13).
    EmergencyObjection = "emergency-objection";
    /// Leaves have the hashes that were signed, and make the root (FLW-7, FLW-8).
    LeafHashes = "leaf-hashes";

    // what clients check
    /// The server shows the keys in its link (KEY-9).
    ServerLink = "server-link";
    /// A home follows its server to another address when the operator's key says that it is there (OPR-10).
    ServerProof = "server-proof";
    /// A file is a program only by its own hash (PRG-4).
    Program = "program";
    /// A vault root key is the one that the list of devices names (DEV-5).
    RootKey = "root-key";
    /// What any process of a home has seen of the list of devices, no other is shown otherwise (DEV-14).
    KeptLists = "kept-lists";
    /// What a removed device has given ends with it, and gets no new keys (DEV-21, DEV-22).
    SignersWord = "signers-word";
    /// What another device has sealed as a name keeps nobody from anything (DEV-25).
    ForeignNames = "foreign-names";
    /// A new device has the keys that its code names (DEV-9).
    LinkOffer = "link-offer";
    /// A short string follows from what neither side knew before the other was bound (DEV-10).
    ShortString = "short-string";
    /// A new device was approved by whoever has its code (DEV-11).
    LinkApproval = "link-approval";
    /// No vault is shown otherwise than its owner's devices have left it (VLT-3, VLT-5, VLT-8, VLT-9).
    VaultHeads = "vault-heads";
    /// No record is shown where it lay before (COL-10).
    SeenPlacements = "seen-placements";
    /// A record is deleted when a device of hers has signed it, and stays deleted (DEL-4).
    Deletions = "deletions";
    /// Whether a permission holds follows from what her devices have signed and from her clock (VLT-10).
    PermissionStates = "permission-states";
    /// What is left of a permission is never more than was signed, and than its proven use leaves (PRM-17).
    PermissionLeft = "permission-left";
    /// Lists go on behind what has come, and end (API-21, API-22).
    Pages = "pages";
    /// Whoever holds a permission keeps to it, whatever the server allows (CND-11, CND-12).
    Holder = "holder";
    /// A client opens no further release after two that brought nothing (FLW-21).
    IdleReleases = "idle-releases";
    /// A client's home is what it was when it was left (KEY-19).
    HomeSeal = "home-seal";
    /// What ends does so by the client's own clock, whatever time the server says (PRM-16).
    OwnClock = "own-clock";
    /// An emergency permission is wrapped anew to the key that she has signed (EMG-5).
    EmergencyKey = "emergency-key";
    /// A recovery member was added by whoever has its secret (RCV-3).
    RecoveryApproval = "recovery-approval";
    /// A share is the one that its division commits to (RCV-7).
    ShareCommitments = "share-commitments";
    /// A share goes to the machine whose check string was said (RCV-9).
    ShareCheck = "share-check";
    /// Files get names under which they deceive nobody, and which every file system holds apart (CNT-17, CNT-18).
    FileNames = "file-names";
    /// What a client shows of its requests and answers has no secrets in it (LKG-3).
    TraceRedaction = "trace-redaction";

    // what programs owe their secrets on the machine
    /// Nobody reads a program's memory, from a dump or through the system (PRG-5).
    MemoryDumps = "memory-dumps";
    /// Folders and files with keys are their owner's alone (PRG-6).
    FileModes = "file-modes";
    /// No secret is taken from the command line, where everybody on the machine sees it (PRG-7).
    SecretArguments = "secret-arguments";
    /// A passphrase that is soon guessed seals no home (PRG-8).
    PassphraseStrength = "passphrase-strength";
}

/// The environment variable of weakened programs: names of defences that are off, between commas.
pub const OFF: &str = "MEDVAULT_DEFENCES_OFF";

/// The environment variable of weakened programs: by how many seconds their clock is ahead of the machine's.
pub const AHEAD: &str = "MEDVAULT_CLOCK_AHEAD";

/// By how much this program's clock is ahead of the machine's: not at all.
#[cfg(not(feature = "weakened"))]
#[inline(always)]
pub const fn clock_ahead() -> Duration {
    Duration::ZERO
}

/// By how much this program's clock is ahead of the machine's, by [`AHEAD`]: for what takes a week.
#[cfg(feature = "weakened")]
pub fn clock_ahead() -> Duration {
    let seconds = std::env::var(AHEAD).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

impl Defence {
    /// Whether what this defence demands holds, or nobody asks.
    #[inline]
    pub fn holds(self, condition: bool) -> bool {
        condition || self.is_off()
    }

    /// The outcome of this defence's check, if anybody asks.
    #[inline]
    pub fn check<E>(self, outcome: Result<(), E>) -> Result<(), E> {
        if self.is_off() { Ok(()) } else { outcome }
    }
}

#[cfg(not(feature = "weakened"))]
impl Defence {
    /// Whether this program has been told to do without it: never.
    #[inline(always)]
    pub const fn is_off(self) -> bool {
        false
    }
}

#[cfg(feature = "weakened")]
impl Defence {
    /// Whether this program has been told to do without it, by [`OFF`].
    pub fn is_off(self) -> bool {
        static NAMES: std::sync::LazyLock<String> =
            std::sync::LazyLock::new(|| std::env::var(OFF).unwrap_or_default());
        NAMES.split(',').any(|name| name == self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let names: HashSet<_> = Defence::ALL.iter().map(|defence| defence.name()).collect();
        assert_eq!(names.len(), Defence::ALL.len());
    }

    /// What the tests and every program but the controls are built with.
    #[cfg(not(feature = "weakened"))]
    #[test]
    fn nothing_is_off_in_an_ordinary_build() {
        assert!(Defence::ALL.iter().all(|defence| !defence.is_off()));
    }
}
