//! Enrolment: a patient with her first device, an accredited institution. The caller is made from the message before
//! the request's signature is checked, so that the key being enrolled must have signed the request.

use std::sync::Arc;

use protocol_spec::{
    bodies::InstitutionKeys,
    defence::Defence,
    devices::{verify_first, verify_vault_key},
    directory::Institution,
    ids::{DeviceId, InstitutionId, PatientId, TerminalId},
    log::Entry,
    messages as pb,
    patient::DeviceChain,
    problem::Problem,
    statement::{Signed, Verified},
    submitted::{self, Submitted},
};

use crate::vault::{
    ask::received,
    core::{
        refusal::{Refusal, ensure},
        shared::Shared,
        submission::Turn,
        tx::{Operation, Tx},
    },
    device::devices::{self, check_keys},
    tables::{self, PatientRow, Row, RowKey, TerminalRow},
    who::{
        admission,
        caller::{Caller, Intent},
        enrolment::{Credential, Enrolment},
        entries,
    },
};

/// The enrolled caller with this key id (`dev_…` or `inst_…`).
pub(crate) async fn find_key(shared: &Shared, key_id: &str) -> Result<Option<Caller>, Refusal> {
    if let Ok(id) = key_id.parse::<DeviceId>() {
        return find_device(shared, id).await;
    }
    if let Ok(id) = key_id.parse::<InstitutionId>() {
        let verify = |row| {
            let institution = entries::stored_institution(shared, row)?;
            Ok(Some(Caller::Institution(Arc::new(institution))))
        };
        return known(shared, tables::institution(id), *id.as_bytes(), verify).await;
    }
    if let Ok(id) = key_id.parse::<TerminalId>() {
        return find_terminal(shared, id).await;
    }
    Ok(None)
}

/// The patient whose newest list has this device (DEV-6).
async fn find_device(shared: &Shared, id: DeviceId) -> Result<Option<Caller>, Refusal> {
    let Some(row) = tables::device(id).get(&*shared.ledger).await? else {
        return Ok(None);
    };
    let patient = PatientId::try_from(row.patient.as_ref()).map_err(Refusal::damaged)?;
    let verify = |newest: PatientRow| {
        if !Defence::ListedDevices.holds(newest.has(id)) {
            return Ok(None);
        }
        let chain = row.device.and_then(|device| device.chain);
        let device = DeviceChain::try_from(chain).and_then(|chain| chain.verify(patient));
        let device = device.map_err(Refusal::damaged)?;
        ensure(
            device.id() == id,
            Problem::Internal,
            "a device's row has another's key",
        )?;
        Ok(Some(Caller::Patient {
            id: patient,
            device: id,
            key: *device.key(),
        }))
    };
    known(shared, tables::patient(patient), *id.as_bytes(), verify).await
}

/// A terminal speaks for its institution as that is enrolled now.
async fn find_terminal(shared: &Shared, id: TerminalId) -> Result<Option<Caller>, Refusal> {
    let place = tables::terminal_place(id).get(&*shared.ledger).await?;
    let Some(place) = place else { return Ok(None) };
    let of = InstitutionId::try_from(place.institution.as_ref()).map_err(Refusal::damaged)?;
    let verify = |row| {
        let institution = entries::stored_institution(shared, row)?;
        Ok(Some(Caller::Institution(Arc::new(institution))))
    };
    let found = known(shared, tables::institution(of), *of.as_bytes(), verify).await?;
    let Some(Caller::Institution(institution)) = found else {
        return Err(Refusal::damaged("a terminal's institution is not there"));
    };
    let verify = |row: TerminalRow| {
        let certificate = row.terminal.unwrap_or_default().certificate;
        let certificate = Signed::try_from(certificate)
            .and_then(|certificate| institution.verify_terminal(certificate))
            .map_err(Refusal::damaged)?;
        Ok(Some(Caller::Terminal {
            institution: institution.clone(),
            certificate: Arc::new(certificate),
        }))
    };
    let found = known(shared, tables::terminal(of, id), *id.as_bytes(), verify).await?;
    Ok(found.map(|caller| match caller {
        Caller::Terminal { certificate, .. } => Caller::Terminal {
            institution,
            certificate,
        },
        caller => caller,
    }))
}

async fn known<R: Row>(
    shared: &Shared,
    row: RowKey<R>,
    id: [u8; 32],
    verify: impl FnOnce(R) -> Result<Option<Caller>, Refusal>,
) -> Result<Option<Caller>, Refusal> {
    let Shared { ledger, known, .. } = shared;
    let (Some(row), Some(version)) = row.read(&**ledger).await? else {
        return Ok(None);
    };
    known.get(id, version, || verify(row))
}

/// Checks a patient's enrolment (DEV-2) and gives the caller it makes. Verify the request's signature with
/// the caller's key, then call [`enrol`].
pub(crate) fn enrolling_patient(message: pb::EnrolPatient) -> Result<Caller, Refusal> {
    let submitted::EnrolPatient {
        list,
        device: joining,
        vault_key,
        invitation,
        work,
    } = Submitted::read(message)?;
    let patient = list.claimed().patient_id;
    let device = joining.chain.clone().verify(patient)?;
    let list = verify_first(list, device.chain().identity_key())?;
    let listed = list
        .device(device.id())
        .ok_or_else(|| Refusal::absent("another device"))?;
    check_keys(&joining, &device, listed)?;
    ensure(
        device.issuer().is_none(),
        Problem::NotPermitted,
        "the first device is certified by another",
    )?;
    let vault_key = verify_vault_key(vault_key, &list, device.id())?;
    let credential = Credential { invitation, work };
    Ok(Caller::Enrolling(Arc::new(Enrolment {
        device,
        list,
        joining,
        vault_key,
        credential,
    })))
}

/// Checks an institution's enrolment (KEY-7, KEY-8), as [`enrolling_patient`] does.
pub(crate) fn enrolling_institution(
    shared: &Shared,
    message: pb::EnrolInstitution,
) -> Result<Caller, Refusal> {
    let submitted::EnrolInstitution {
        keys,
        accreditation,
        secret,
    } = Submitted::read(message)?;
    let institution = entries::accredited(shared, keys, accreditation, &secret)?;
    let first = institution.sequence() == 0;
    ensure(
        first,
        Problem::ChainConflict,
        "an institution enrols with its first entry",
    )?;
    Ok(Caller::Institution(Arc::new(institution)))
}

/// Enrols a caller that one of the two functions above has made and whose signature is verified.
pub(crate) async fn enrol(
    shared: &Shared,
    caller: &Caller,
    intent: &Intent,
) -> Result<pb::Accepted, Refusal> {
    let turn = Turn {
        shared,
        caller,
        intent,
    };
    match caller {
        Caller::Enrolling(enrolment) => turn.commit(&EnrolPatient(enrolment)).await?,
        Caller::Institution(institution) => {
            turn.commit(&EnrolInstitution { institution }).await?;
            shared.log.placed(&Entry::keys(institution)).await?;
        }
        Caller::Patient { .. } | Caller::Delegate(_) | Caller::NewDevice { .. } => {
            return Err(Refusal::absent("its enrolment was not checked"));
        }
        Caller::Terminal { .. } => return Err(Refusal::absent("terminals do not enrol")),
    }
    Ok(pb::Accepted {})
}

struct EnrolPatient<'a>(&'a Enrolment);

impl Operation for EnrolPatient<'_> {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self(Enrolment {
            device,
            list,
            joining,
            vault_key,
            credential,
        }) = self;
        let key = tables::patient(list.patient_id);
        let stored = tx.read(&tables::device_list(list.patient_id, 0)).await?;
        if tx.read(&key).await?.is_some() {
            let same = stored == Some(list.to_message());
            ensure(same, Problem::AlreadyExists, "enrolled with another device")?;
            return Ok(());
        }
        let invited_by = admission::admit_patient(tx, list.patient_id, credential).await?;
        if let Some(institution) = invited_by {
            received::has_met(tx, *list.patient_id.as_bytes(), institution).await?;
        }
        devices::join(tx, device, joining).await?;
        let row = PatientRow {
            vault_key: Some(vault_key.to_message()),
            root_since: tx.now,
            ..PatientRow::default()
        };
        devices::put_list(tx, &key, row, list, device.chain()).await?;
        Ok(())
    }
}

struct EnrolInstitution<'a> {
    institution: &'a Institution,
}

impl Operation for EnrolInstitution<'_> {
    type Answer = ();

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self { institution } = self;
        let key = tables::institution(institution.id());
        let keys: &Verified<InstitutionKeys> = institution.keys();
        if let Some(stored) = tx.read(&key).await? {
            let same = stored.keys == Some(keys.to_message());
            ensure(same, Problem::AlreadyExists, "enrolled with another entry")?;
            return Ok(());
        }
        entries::put_entry(tx, institution).await?;
        Ok(())
    }
}
