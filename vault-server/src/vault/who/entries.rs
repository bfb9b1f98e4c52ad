//! Entries of the directory: institutions as they are accredited now.

use protocol_spec::{
    bodies::{Accreditation, InstitutionKeys},
    defence::Defence,
    directory::Institution,
    ids::InstitutionId,
    log::Entry,
    messages as pb,
    problem::Problem,
    statement::Signed,
};

use crate::vault::{
    core::{
        refusal::{Refusal, ensure},
        shared::Shared,
        tx::Tx,
    },
    tables::{self, RecipientKeyRow},
    who::standing::check_entry,
};

/// An entry with its accreditation, whose secret was opened (KEY-7, KEY-8).
pub(in crate::vault) fn accredited(
    shared: &Shared,
    keys: Signed<InstitutionKeys>,
    accreditation: Signed<Accreditation>,
    secret: &[u8],
) -> Result<Institution, Refusal> {
    Institution::verify(keys, accreditation, &shared.registrar, shared.operator.id())
        .and_then(|institution| institution.check_secret(secret).map(|()| institution))
        .map_err(|error| Refusal::new(Problem::NotAccredited, error))
}

/// Reads an entry of the directory.
pub(in crate::vault) fn stored_institution(
    shared: &Shared,
    entry: pb::DirectoryEntry,
) -> Result<Institution, Refusal> {
    Institution::from_entry(entry, &shared.registrar, shared.operator.id()).map_err(Refusal::damaged)
}

/// An institution that must be enrolled and go on.
pub(in crate::vault) async fn institution(
    tx: &mut Tx<'_>,
    id: InstitutionId,
) -> Result<Institution, Refusal> {
    let entry = tx.read_existing(&tables::institution(id)).await?;
    check_entry(Some(&entry))?;
    stored_institution(tx.shared, entry)
}

/// Writes an entry: the institution's newest, in its chain, in the log. Nobody has had its recipient key before
/// (INS-3).
pub(in crate::vault) async fn put_entry(tx: &mut Tx<'_>, institution: &Institution) -> Result<(), Refusal> {
    let (id, sequence) = (institution.id(), institution.sequence());
    let key = tables::recipient_key(institution.recipient_key().digest());
    let unused = tx.read(&key).await?.is_none();
    ensure(
        Defence::Succession.holds(unused),
        Problem::AlreadyExists,
        "the recipient key stands in another entry",
    )?;
    let row = RecipientKeyRow { ends: 0 };
    tx.put(&key, &row);
    let entry = pb::DirectoryEntry {
        keys: Some(institution.keys().to_message()),
        accreditation: Some(institution.accreditation().to_message()),
        ..Default::default()
    };
    tx.publish(&Entry::keys(institution))?;
    tx.put(&tables::entry(id, sequence), &entry);
    tx.put(&tables::institution(id), &entry);
    Ok(())
}
