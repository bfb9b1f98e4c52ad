//! Whoever submits something, and what is proven to be its own: the one way by which a statement comes into a
//! submission. See `spec/flows.md` (FLW-12).
//!
//! Order of refusals: whether the caller may submit such a thing at all; then, of each statement, whether it speaks of the
//! caller and of this server, whether it verifies, whether the device that asks has signed it, and through which
//! delegation. What an institution signs is verified first.

use std::ops::Deref;

use protocol_spec::{
    bodies::{
        DelegatedKey, Delegation, DelegationEnd, Denial, DownloadRequest, EmergencyHelp, EmergencyObjection,
        EpochClosure, IndexSegment, Placement, RecordDeletion, ReferenceRequest, Retirement, Revocation,
        TakeBack, TerminalCertificate, TerminalRemoval, UploadRequest, VaultHead,
    },
    defence::Defence,
    delegation::VerifiedDelegation,
    devices::DeviceList,
    emergency::Opening,
    hash::Sha256Digest,
    ids::{InstitutionId, OperatorId, PatientId},
    messages as pb,
    patient::{Device, OfPatient, PatientSigned, PatientVerified},
    permission::{PermissionBody, SignedPermission, VerifiedPermission},
    problem::Problem,
    statement::{Body, Signed, Timestamped, Verified},
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        role::{AnyTerminal, IdentityAlone, MayPermit, OwnDevice, Role},
        shared::Shared,
    },
    who::caller::Caller,
};

/// A caller in a role that it may have.
pub(crate) struct Proven<'a, R: Role> {
    shared: &'a Shared,
    caller: &'a Caller,
    principal: R::Principal<'a>,
}

impl<'a, R: Role> Proven<'a, R> {
    /// Refuses a caller for whom it is not.
    pub(in crate::vault) fn new(shared: &'a Shared, caller: &'a Caller) -> Result<Self, Refusal> {
        Ok(Self {
            shared,
            caller,
            principal: R::of(caller)?,
        })
    }

    /// The patient whose vault it is, the institution, or the device.
    pub(in crate::vault) fn principal(&self) -> R::Principal<'a> {
        self.principal
    }

    /// What needs no transaction.
    pub(in crate::vault) fn shared(&self) -> &'a Shared {
        self.shared
    }

    /// A statement of the caller's own.
    pub(in crate::vault) fn statement<S: OwnStatement<R>>(
        &self,
        said: S,
    ) -> Result<Admitted<S::Verified>, Refusal> {
        said.prove(self).map(Admitted)
    }

    fn check_operator(&self, operator: Option<OperatorId>) -> Result<(), Refusal> {
        let here = operator.is_none_or(|operator| operator == self.shared.operator.id());
        ensure(
            Defence::OwnStatements.holds(here),
            Problem::NotPermitted,
            "the statement is for another server",
        )
    }
}

/// A statement that is the caller's own, verified. Nothing but [`Proven::statement`] makes one.
pub(crate) struct Admitted<V>(V);

impl<V> Deref for Admitted<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.0
    }
}

/// A statement as it came, which a caller in this role may make.
pub(in crate::vault) trait OwnStatement<R: Role>: Sized {
    /// As it is used from then on.
    type Verified;

    /// Verifies it, and that it is the caller's.
    fn prove(self, who: &Proven<'_, R>) -> Result<Self::Verified, Refusal>;
}

/// What a patient says of her vault.
pub(in crate::vault) trait OfVault: OfPatient {
    /// For which server, where it says so: what names something of this one needs not.
    fn operator(&self) -> Option<OperatorId>;
}

macro_rules! of_vault {
    (at a server: $($name:ident)*; anywhere: $($other:ident)*) => {
        $(impl OfVault for $name {
            fn operator(&self) -> Option<OperatorId> {
                Some(self.operator_id)
            }
        })*
        $(impl OfVault for $other {
            fn operator(&self) -> Option<OperatorId> {
                None
            }
        })*
    };
}

// Delegations are not among them: what they say is looked at when they are verified.
of_vault!(
    at a server: EmergencyHelp EmergencyObjection UploadRequest VaultHead;
    anywhere: DelegatedKey DelegationEnd Denial EpochClosure IndexSegment Placement RecordDeletion Revocation
);

impl<R, T> OwnStatement<R> for PatientSigned<T>
where
    R: for<'a> Role<Principal<'a> = PatientId>,
    T: OfVault,
{
    type Verified = PatientVerified<T>;

    fn prove(self, who: &Proven<'_, R>) -> Result<PatientVerified<T>, Refusal> {
        who.check_vault(self.claimed().patient_id(), self.claimed().operator())?;
        let statement = self.verify()?;
        who.check_device(statement.device())?;
        who.check_through(statement.delegation())?;
        Ok(statement)
    }
}

impl OwnStatement<OwnDevice> for PatientSigned<Delegation> {
    type Verified = VerifiedDelegation;

    fn prove(self, who: &Proven<'_, OwnDevice>) -> Result<VerifiedDelegation, Refusal> {
        who.check_vault(self.claimed().patient_id, Some(self.claimed().operator_id))?;
        let delegation = VerifiedDelegation::verify(self)?;
        who.check_device(delegation.device())?;
        Ok(delegation)
    }
}

impl<R> OwnStatement<R> for SignedPermission
where
    R: for<'a> Role<Principal<'a> = PatientId>,
{
    type Verified = VerifiedPermission;

    fn prove(self, who: &Proven<'_, R>) -> Result<VerifiedPermission, Refusal> {
        who.check_vault(self.claimed().patient_id, Some(self.claimed().operator_id))?;
        who.caller.check_collection(self.claimed())?;
        let permission = self.verify()?;
        who.check_device(permission.device())?;
        who.check_through(permission.delegation())?;
        Ok(permission)
    }
}

/// Whether it continues the newest list, its commit sees, and verifies it by that.
impl OwnStatement<OwnDevice> for Signed<DeviceList> {
    type Verified = Self;

    fn prove(self, who: &Proven<'_, OwnDevice>) -> Result<Self, Refusal> {
        let claimed = self.claimed();
        let own = who.caller.speaker() == Some((claimed.patient_id, claimed.signer));
        ensure(
            Defence::OwnStatements.holds(own),
            Problem::NotPermitted,
            "the list is another's",
        )?;
        Ok(self)
    }
}

impl<R> Proven<'_, R>
where
    R: for<'a> Role<Principal<'a> = PatientId>,
{
    fn check_vault(&self, patient: PatientId, operator: Option<OperatorId>) -> Result<(), Refusal> {
        ensure(
            Defence::OwnStatements.holds(self.principal == patient),
            Problem::NotPermitted,
            "the statement is another patient's",
        )?;
        self.check_operator(operator)
    }

    /// By the device that asks, which is in the newest list (DEV-6).
    fn check_device(&self, signer: &Device) -> Result<(), Refusal> {
        let asks = self.caller.speaker().map(|(_, device)| device);
        ensure(
            Defence::OwnStatements.holds(asks == Some(signer.id())),
            Problem::NotPermitted,
            "another device signed the statement",
        )
    }

    /// Through the delegation that the caller names, or through none (DLG-7).
    fn check_through(&self, through: Option<&VerifiedDelegation>) -> Result<(), Refusal> {
        let names = self.caller.acting().map(|acting| acting.hash);
        ensure(
            Defence::OwnStatements.holds(names == through.map(VerifiedDelegation::hash)),
            Problem::NotPermitted,
            "the statement is made through another delegation",
        )
    }
}

impl<'a> Proven<'a, MayPermit> {
    /// The same caller, for what no delegate may say.
    pub(in crate::vault) fn own(&self) -> Result<Proven<'a, OwnDevice>, Refusal> {
        Proven::new(self.shared, self.caller)
    }
}

impl Caller {
    /// Whether a permission over a collection is over one that the delegate acts in (DLG-6).
    fn check_collection(&self, permission: &PermissionBody) -> Result<(), Refusal> {
        let over = permission.collection.map(|selector| selector.collection.id);
        let (Some(acting), Some(over)) = (self.acting(), over) else {
            return Ok(());
        };
        ensure(
            acting.has(over),
            Problem::DelegationScope,
            "the delegation is for other collections",
        )
    }
}

/// What an institution or a terminal of it says.
pub(in crate::vault) trait OfInstitution: Timestamped {
    /// Which, and for which server.
    fn place(&self) -> (InstitutionId, OperatorId);
}

macro_rules! of_institution {
    ($($name:ident),*) => {$(
        impl OfInstitution for $name {
            fn place(&self) -> (InstitutionId, OperatorId) {
                (self.institution_id, self.operator_id)
            }
        }
    )*};
}

of_institution!(DownloadRequest, ReferenceRequest, TakeBack);

impl<T: OfInstitution> OwnStatement<AnyTerminal> for Signed<T> {
    type Verified = Verified<T>;

    fn prove(self, who: &Proven<'_, AnyTerminal>) -> Result<Verified<T>, Refusal> {
        let statement = self.verify_by(who.principal)?;
        who.check_terminal(&statement)?;
        let (institution, operator) = statement.place();
        ensure(
            Defence::OwnStatements.holds(institution == who.principal.id()),
            Problem::NotPermitted,
            "the statement is another institution's",
        )?;
        who.check_operator(Some(operator))?;
        Ok(statement)
    }
}

impl Proven<'_, AnyTerminal> {
    /// Signed by whoever asks, not by another terminal of the institution (INS-9).
    fn check_terminal<T: Body>(&self, statement: &Verified<T>) -> Result<(), Refusal> {
        let by = statement.signed().terminal().map(Signed::hash);
        let asks = self.caller.certificate().map(Verified::hash);
        ensure(
            Defence::OwnStatements.holds(by == asks),
            Problem::NotPermitted,
            "another terminal signed the statement",
        )
    }
}

impl OwnStatement<IdentityAlone> for Signed<TerminalCertificate> {
    type Verified = Verified<TerminalCertificate>;

    fn prove(self, who: &Proven<'_, IdentityAlone>) -> Result<Self::Verified, Refusal> {
        Ok(who.principal.verify_terminal(self)?)
    }
}

impl OwnStatement<IdentityAlone> for Signed<TerminalRemoval> {
    type Verified = Verified<TerminalRemoval>;

    fn prove(self, who: &Proven<'_, IdentityAlone>) -> Result<Self::Verified, Refusal> {
        Ok(who.principal.verify_removal(self)?)
    }
}

impl OwnStatement<IdentityAlone> for Signed<Retirement> {
    type Verified = Verified<Retirement>;

    fn prove(self, who: &Proven<'_, IdentityAlone>) -> Result<Self::Verified, Refusal> {
        ensure(
            self.claimed().entry_hash == who.principal.entry_hash(),
            Problem::ChainConflict,
            "it is over another entry",
        )?;
        Ok(who.principal.verify_retirement(self)?)
    }
}

/// What two keys have signed in an emergency.
impl OwnStatement<AnyTerminal> for &pb::EmergencyUse {
    type Verified = Opening;

    fn prove(self, who: &Proven<'_, AnyTerminal>) -> Result<Opening, Refusal> {
        let opening = Opening::verify(self, who.principal)?;
        who.check_operator(Some(opening.operator_id))?;
        who.check_terminal(opening.statement())?;
        Ok(opening)
    }
}

/// The hash by which a statement stands in the log and among the acts.
pub(in crate::vault) trait Hashed {
    /// SHA-256 of the exact body.
    fn hash(&self) -> Sha256Digest;
}

impl<T: Body> Hashed for PatientVerified<T> {
    fn hash(&self) -> Sha256Digest {
        self.hash()
    }
}

impl<T: Body> Hashed for Verified<T> {
    fn hash(&self) -> Sha256Digest {
        self.hash()
    }
}

impl Hashed for Opening {
    fn hash(&self) -> Sha256Digest {
        self.statement().hash()
    }
}

impl Hashed for VerifiedPermission {
    fn hash(&self) -> Sha256Digest {
        self.hash()
    }
}

impl Hashed for VerifiedDelegation {
    fn hash(&self) -> Sha256Digest {
        self.hash()
    }
}
