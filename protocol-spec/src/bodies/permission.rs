//! The conditions that a patient signs. See `spec/permission.md` §1.

use std::collections::HashSet;

use crate::{
    Error,
    declare::bodies,
    hash::Sha256Digest,
    ids::{CollectionId, InstitutionId, OperatorId, PatientId, PermissionId},
    keys::IdentityKey,
    parts::{
        collection::CollectionSelector,
        emergency::{ANY_INSTITUTION, EmergencyTerms, GuardianTerms, NOTHING},
        head::HeadRef,
        permission::{Kind, RecordSelector, Replaces},
    },
    purpose::Purpose,
    tags::SealedConditions,
};

/// Most records of one permission: wrap and body together then fit a message of 1 MiB.
pub const MAX_RECORDS: usize = 4096;

bodies! {
    /// The signed conditions of a permission.
    PermissionBody: PermissionBody, PERMISSION = "medvault/v1 permission", by device where check {
        operator_id: OperatorId,
        permission_id: PermissionId,
        kind: Kind,
        patient_id: PatientId,
        /// Who may; in emergencies [`crate::emergency::ANY_INSTITUTION`].
        institution_id: InstitutionId,
        /// SHA-256 of the institution's directory entry, as the patient verified it.
        directory_entry_hash: Sha256Digest,
        /// SHA-256 of the X-Wing key that the wrap is for.
        recipient_key_hash: Sha256Digest,
        /// What may be released, one by one; empty for uploads and where there is a collection.
        records: Vec<RecordSelector>,
        /// What may be released: whatever lies in a collection.
        collection: Option<CollectionSelector>,
        /// First millisecond at which it may be presented.
        not_before: u64,
        /// First millisecond at which it may no longer be used.
        not_after: u64,
        /// How often it may be presented.
        uses: u32,
        /// Ciphertext bytes that may be moved, over all uses.
        bytes: u64,
        /// SHA-256 of the body of the request that it answers or comes with.
        request_hash: Sha256Digest,
        /// Key that signs presentations; only the holder of the permission key derives it.
        possession_key: IdentityKey,
        /// The permission whose place it takes.
        replaces: Option<Replaces>,
        /// The one purpose of use; none: any.
        purpose: Option<Purpose>,
        /// Conditions that a record must meet besides being selected.
        conditions: Option<SealedConditions>,
        /// The vault as the signer knows it; none through a delegation (VLT-6).
        vault_head: Option<HeadRef>,
        /// SHA-256 of the delegation that the signer acts under; none: a device of the patient's own signs.
        (delegation_hash) delegation: Option<Sha256Digest>,
        /// How it is opened, of kind emergency alone.
        emergency: Option<EmergencyTerms>,
    }
}

impl PermissionBody {
    /// PRM-1, COL-5, CND-8, DLG-8, EMG-1, VLT-6.
    fn check(&self) -> Result<(), Error> {
        let field = |field| Err(Error::Field { field });
        if self.kind == Kind::Upload && self.purpose.is_some() {
            return field("purpose");
        }
        let formed = self.conditions.as_ref().is_none_or(|conditions| {
            // Without a collection there is nothing that the server could test.
            self.kind != Kind::Upload && conditions.groups.is_empty() == self.collection.is_none()
        });
        if !formed {
            return field("conditions");
        }
        let own = self.kind == Kind::Upload || self.replaces.is_some() || self.conditions.is_some();
        if self.delegation.is_some() && own {
            return field("delegation_hash");
        }
        if self.vault_head.is_some() == self.delegation.is_some() {
            return field("vault_head");
        }
        let distinct: HashSet<_> = self.records.iter().map(|record| record.version_id).collect();
        match (self.kind, &self.collection) {
            (Kind::Upload, Some(_)) => return field("collection"),
            (Kind::Upload, None) | (_, Some(_)) if !self.records.is_empty() => return field("records"),
            (Kind::Download | Kind::Reference | Kind::Emergency, None)
                if !(1..=MAX_RECORDS).contains(&self.records.len()) =>
            {
                return field("records");
            }
            _ if distinct.len() != self.records.len() => return field("records"),
            _ => {}
        }
        if self.not_before >= self.not_after {
            return field("not_after");
        }
        if self.uses == 0 {
            return field("uses");
        }
        if self.bytes == 0 {
            return field("bytes");
        }
        let itself = |replaces: &Replaces| replaces.permission_id == self.permission_id;
        if self.replaces.as_ref().is_some_and(itself) {
            return field("replaces");
        }
        check_emergency(self)
    }
}

/// What an emergency permission must be, and no other may (EMG-1).
fn check_emergency(body: &PermissionBody) -> Result<(), Error> {
    let Some(terms) = body.emergency.as_ref().filter(|_| body.kind == Kind::Emergency) else {
        return if body.kind == Kind::Emergency || body.emergency.is_some() {
            Err(Error::Field { field: "emergency" })
        } else {
            Ok(())
        };
    };
    let whole = body.collection.is_some_and(|selector| {
        selector.collection.id == CollectionId::EMERGENCY && selector.until.is_none()
    });
    let nobody = body.institution_id == ANY_INSTITUTION
        && body.directory_entry_hash == NOTHING
        && body.request_hash == NOTHING;
    let own = |guardian: GuardianTerms| guardian.guardian_id == body.patient_id;
    let field = match () {
        () if !whole => "collection",
        () if !nobody => "institution_id",
        () if body.purpose.is_some() => "purpose",
        () if body.conditions.is_some() => "conditions",
        () if body.delegation.is_some() => "delegation_hash",
        () if terms.guardian.is_some_and(own) => "guardian_id",
        () => return Ok(()),
    };
    Err(Error::Field { field })
}
