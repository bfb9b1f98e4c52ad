//! A log that goes on after an older copy of the data was put back: what is to be signed, and the leaf that begins the next
//! generation. Done before a server starts, by whoever has its data. See `spec/restoration.md`.

use protocol_spec::{
    bodies::Restoration,
    hash::Sha256Digest,
    ids::RegistrarId,
    keys::IdentityKey,
    log::{Entry, frontier::Frontier},
    messages as pb,
    problem::Problem,
    restoration::verify_restoration,
    statement::{Signed, Verified},
};

use crate::{
    identity::OperatorIdentity,
    store::{Commit, CommitId, Ledger, Outcome},
    vault::{
        core::refusal::{Refusal, ensure},
        log::sequencer::{append, edge, with_tiles},
        tables::{self, LogHeadRow, Row},
    },
};

/// What operator and registrar have to sign for the data as they are; `seen` is how many leaves the log is known to have had, if that is
/// known.
pub(crate) async fn prepare(
    ledger: &dyn Ledger,
    operator: &OperatorIdentity,
    registrar: &IdentityKey,
    seen: Option<u64>,
    now: u64,
) -> Result<Restoration, Refusal> {
    let head = head(ledger).await?;
    let seen = seen.unwrap_or(head.size);
    ensure(
        head.size > 0,
        Problem::Malformed,
        "there is nothing in the log of these data",
    )?;
    ensure(
        seen >= head.size,
        Problem::Malformed,
        "the log of these data has more leaves than that: nothing was lost, as far as is known",
    )?;
    let frontier = Frontier::read(head.size, &head.peaks).map_err(Refusal::damaged)?;
    Ok(Restoration {
        created: now,
        operator_id: operator.id(),
        registrar_id: RegistrarId::from(registrar),
        generation: head.generation()?.next().number(),
        size: head.size,
        root: Sha256Digest::from_bytes(frontier.root()),
        seen,
        until: head.at,
    })
}

/// Begins the next generation of the log with a restoration that both have signed (RST-3, RST-4). The same again changes nothing.
pub(crate) async fn begin(
    ledger: &dyn Ledger,
    operator: &OperatorIdentity,
    registrar: &IdentityKey,
    file: pb::RestorationFile,
) -> Result<Verified<Restoration>, Refusal> {
    let (by_operator, by_registrar) = (
        Signed::<Restoration>::try_from(file.by_operator)?,
        Signed::<Restoration>::try_from(file.by_registrar)?,
    );
    let entry = Entry::Restoration {
        operator: by_operator.to_message(),
        registrar: by_registrar.to_message(),
    };
    let restoration = verify_restoration(by_operator, by_registrar, operator.key(), registrar)?;
    let (before, version) = tables::log_head().read(ledger).await?;
    let before = before.unwrap_or_default();
    if before.generation()?.number() == restoration.generation && before.restored == restoration.size {
        return Ok(restoration);
    }
    let mut frontier = Frontier::read(before.size, &before.peaks).map_err(Refusal::damaged)?;
    ensure(
        restoration.generation == before.generation()?.next().number()
            && restoration.size == before.size
            && restoration.root == Sha256Digest::from_bytes(frontier.root()),
        Problem::Malformed,
        "it is not of these data as they are now: prepare it anew, and have it signed",
    )?;
    let mut commit = Commit::new(CommitId::fresh()).urgent();
    commit.checks.push((tables::log_head().key().clone(), version));
    let mut tiles = edge(ledger, frontier.size).await?;
    let mut events = before.directory()?;
    let bytes = entry.bytes()?.into();
    let commit = append(commit, &mut frontier, &mut tiles, &mut events, &bytes);
    let next = LogHeadRow {
        restorations: before.restorations.saturating_add(1),
        restored: restoration.size,
        ..before
    };
    let head = next.over(operator, &frontier, events)?;
    // What witnesses have cosigned of the log of before is not shown any more.
    let commit = with_tiles(commit, tiles)
        .put(tables::log_head().key().clone(), head.bytes())
        .delete(tables::log_cosigned().key().clone());
    match ledger.commit(commit).await? {
        Outcome::Applied => Ok(restoration),
        Outcome::Conflict(_) => Err(Problem::Unavailable.into()),
    }
}

async fn head(ledger: &dyn Ledger) -> Result<LogHeadRow, Refusal> {
    let head = tables::log_head().get(ledger).await?;
    head.ok_or_else(|| Refusal::new(Problem::Malformed, "these data have no log"))
}
