//! The refusals of the API: one code, one status, one sentence each (RFC 9457). See `spec/api.md` §6.

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// Why a server refuses a request (`spec/api.md` §6).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Problem {
            $($(#[$doc])* $name,)*
        }

        impl Problem {
            /// All of them, in the order of the specification.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The last part of the problem's `type` URI.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status code of the refusal.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A sentence for people that says what happened.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problems! {
    /// Not the message, field or parameter expected.
    Malformed = "malformed", 400, "the request is malformed";
    /// Another protocol version or suite.
    UnsupportedVersion = "unsupported-version", 400, "this protocol version is not spoken here";
    /// A mutation without its idempotency key.
    IdempotencyKeyMissing = "idempotency-key-missing", 400, "a mutation needs an idempotency key";
    /// Signature absent, not of the profile, or by a key not enrolled: all alike.
    Unauthenticated = "unauthenticated", 401, "the request is not signed by an enrolled key";
    /// `created` or `expires` outside the window.
    SignatureExpired = "signature-expired", 401, "the request's signature is too old or from the future";
    /// The same signature was seen before.
    Replayed = "replayed", 401, "this signed request was already received";
    /// Unknown thing, other people's thing, and bad proof look alike.
    NotPermitted = "not-permitted", 403, "there is no such thing for this principal";
    /// Challenge unknown, used or expired.
    ChallengeInvalid = "challenge-invalid", 403, "the challenge is unknown, used or expired";
    /// Told only to the proven holder.
    PermissionNotYetValid = "permission-not-yet-valid", 403, "the permission is not valid yet";
    /// Told only to the proven holder.
    PermissionExpired = "permission-expired", 403, "the permission has expired";
    /// Told only to the proven holder.
    PermissionRevoked = "permission-revoked", 403, "the patient has revoked the permission";
    /// Told only to the proven holder.
    PermissionReplaced = "permission-replaced", 403, "another permission has taken this one's place";
    /// The holder states another purpose than the permission's.
    PurposeMismatch = "purpose-mismatch", 403, "the permission is for another purpose of use";
    /// The permission has no uses left.
    PermissionSpent = "permission-spent", 403, "all uses of the permission are spent";
    /// The permission has fewer bytes left than this needs.
    BytesSpent = "bytes-spent", 403, "the permission's byte budget does not cover this";
    /// The registrar's signature, the keys or the secret do not fit.
    NotAccredited = "not-accredited", 403, "the accreditation does not cover these keys";
    /// Told only to whom the signature proves to hold the terminal's key.
    TerminalRemoved = "terminal-removed", 403, "the institution has removed this terminal";
    /// Told only to whom the signature proves to hold the terminal's key.
    TerminalExpired = "terminal-expired", 403, "the terminal's certificate has expired";
    /// It asks for nothing more, and nothing is given to it.
    InstitutionRetired = "institution-retired", 403, "the institution has retired";
    /// It asks for nothing more, and nothing is given to it.
    AccreditationWithdrawn = "accreditation-withdrawn", 403, "the registrar has withdrawn the institution's accreditation";
    /// Told only to the proven holder.
    KeyEnded = "key-ended", 403, "the permission is wrapped to a key of the institution that has ended";
    /// Told only to its delegate.
    DelegationEnded = "delegation-ended", 403, "the patient has ended the delegation";
    /// Told only to its delegate.
    DelegationExpired = "delegation-expired", 403, "the delegation has expired";
    /// Told only to its delegate.
    DelegationNotYetValid = "delegation-not-yet-valid", 403, "the delegation is not valid yet";
    /// A delegate who may read, and would permit.
    DelegationPower = "delegation-power", 403, "the delegation does not give this power";
    /// What a delegate permits lies elsewhere.
    DelegationScope = "delegation-scope", 403, "the delegation is for other collections";
    /// The registrar has not accredited the institution for emergencies.
    NotForEmergencies = "not-for-emergencies", 403, "the institution is not accredited for emergencies";
    /// A guardian's help whose waiting time is not over.
    EmergencyWaiting = "emergency-waiting", 403, "the patient can still object: wait";
    /// A guardian's help to which the patient has objected.
    EmergencyObjected = "emergency-objected", 403, "the patient has objected";
    /// Patients enrol here by an invitation, and none that counts came along.
    InvitationNeeded = "invitation-needed", 403, "patients enrol here by invitation";
    /// The invitation's time or uses are over, or who invited may not any more.
    InvitationOver = "invitation-over", 403, "the invitation is used up or over";
    /// The work of an enrolment is missing, or for an older challenge.
    WorkNeeded = "work-needed", 403, "the enrolment needs work over the present challenge";
    /// A delegation or guardianship that its receiver has not accepted.
    NotAccepted = "not-accepted", 403, "it was not accepted yet";
    /// Answered for public resources only, which may be known not to exist.
    NotFound = "not-found", 404, "there is no such resource";
    /// Method not of the resource.
    MethodNotAllowed = "method-not-allowed", 405, "the resource has no such method";
    /// An id that is already taken.
    AlreadyExists = "already-exists", 409, "this id already exists with other content";
    /// The same key with another request.
    IdempotencyMismatch = "idempotency-mismatch", 409, "the idempotency key was used for another request";
    /// An answer to a request that has one already.
    RequestAnswered = "request-answered", 409, "the request is already answered";
    /// A request past its time.
    RequestExpired = "request-expired", 409, "the request has expired";
    /// Permission and request do not belong together.
    RequestMismatch = "request-mismatch", 409, "the permission does not answer this request";
    /// All uses or bytes that are left are held by sessions that are open.
    PermissionInUse = "permission-in-use", 409, "open sessions hold what is left of the permission";
    /// The permission to be replaced has ended, or was used meanwhile.
    ReplacementConflict = "replacement-conflict", 409, "the permission to be replaced has ended or was used meanwhile";
    /// A permission over a record that is not there as described.
    RecordMismatch = "record-mismatch", 409, "a record of the permission is not in the vault as described";
    /// A collection that is not there, or another epoch than its current one.
    EpochMismatch = "epoch-mismatch", 409, "the collection is unknown or its key has another epoch";
    /// An epoch that some record is still wrapped under alone.
    WrapsMissing = "wraps-missing", 409, "not all records of the epoch are wrapped under a later one";
    /// Two devices placed records at once.
    PlacementConflict = "placement-conflict", 409, "another device has placed a record meanwhile";
    /// A head that does not continue the newest, or that the vault does not have.
    HeadConflict = "head-conflict", 409, "the head is not over the vault as it is";
    /// A segment that does not continue the index as it is now.
    IndexConflict = "index-conflict", 409, "the segment does not continue the vault's index";
    /// Two devices changed the list of devices at once, or it is not the newest one.
    DeviceListConflict = "device-list-conflict", 409, "the list of devices has changed meanwhile";
    /// A recovery member that is settled, and may not leave yet.
    RecoveryKept = "recovery-kept", 409, "a recovery kit or trustees leave only with their own or another device's consent, or after a while";
    /// A rotation that was overtaken, or that goes back.
    ChainConflict = "chain-conflict", 409, "the entry does not follow the institution's present one";
    /// An objection after the waiting time, or an opening long after it.
    EmergencyOver = "emergency-over", 409, "the time for this is over";
    /// The upload was committed or given up.
    UploadClosed = "upload-closed", 409, "the upload is closed";
    /// A leaf that is there with another hash, or is being written.
    LeafConflict = "leaf-conflict", 409, "the leaf is there already with other content or is being written";
    /// A commit before all leaves are there.
    LeavesMissing = "leaves-missing", 409, "not all leaves of the upload have arrived";
    /// The release's session is over.
    ReleaseClosed = "release-closed", 409, "the release is closed or has expired";
    /// An institution comes too late to take back what it has stored.
    RecordOpened = "record-opened", 409, "the record was opened or taken into the vault";
    /// A record that is gone for good.
    RecordDeleted = "record-deleted", 410, "the record was deleted, or taken back by whoever stored it";
    /// A body over the limit.
    TooLarge = "too-large", 413, "the request is larger than the server accepts";
    /// A range outside the record.
    RangeNotSatisfiable = "range-not-satisfiable", 416, "the record has no such leaves";
    /// The bytes do not have the hash that was signed.
    DigestMismatch = "digest-mismatch", 422, "the content does not have the hash that was signed";
    /// A public key of small order or not canonical.
    DegenerateKey = "degenerate-key", 422, "a public key is degenerate";
    /// Rate or session limits of this principal.
    TooMany = "too-many", 429, "too many requests or sessions at once";
    /// The receiver has as much as she takes of this sender, or of all whom she never dealt with; or has blocked it.
    ReceiverFull = "receiver-full", 429, "the receiver takes no more of this at present";
    /// Too many emergencies in a day, of one patient or one institution.
    EmergencyLimit = "emergency-limit", 429, "too many emergency openings in a day";
    /// Header section over the limit.
    HeadersTooLarge = "headers-too-large", 431, "the header section is larger than the server accepts";
    /// The server's fault; the log has the cause.
    Internal = "internal", 500, "the server failed; the request may have been carried out";
    /// A leaf fails its checksum: an operator restores it from a copy; nothing was charged for it.
    RecordDamaged = "record-damaged", 500, "what the server has stored of this record is damaged";
    /// Shutting down or out of capacity.
    Unavailable = "unavailable", 503, "the server cannot answer now";
    /// A witness has seen another log, or more of it.
    LogContradicted = "log-contradicted", 503, "a witness has seen more of the server's log than the server has: it gives out nothing";
    /// After a restoration none of the patient's devices has been back.
    Restored = "restored", 503, "the server was restored from an older copy: nothing of this vault moves until a device of the patient was back";
    /// No space left but the reserve.
    StorageFull = "storage-full", 507, "the server's storage is full: it shows what it has, and takes revocations and removals";
    /// The principal has the server keep as much as it may.
    StorageBudget = "storage-budget", 507, "the storage budget of this account is used up";
    /// The body came too slowly.
    TooSlow = "too-slow", 408, "the request's body came too slowly";
}

impl Problem {
    /// Where a problem's `type` URI starts.
    pub const TYPE_PREFIX: &str = "urn:medvault:problem:";

    /// Finds a problem by its `type` URI.
    pub fn from_type(uri: &str) -> Option<Self> {
        let code = uri.strip_prefix(Self::TYPE_PREFIX)?;
        Self::ALL.iter().copied().find(|problem| problem.code() == code)
    }
}
