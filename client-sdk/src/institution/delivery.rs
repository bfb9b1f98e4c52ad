//! A permission key: fetched, verified, opened, compared with its body, presented.

use crypto::{ExpectedPermission, OpenedPermission, RecipientSecret, permission::Granted};
use protocol_spec::{
    api,
    bodies::{ReleaseTicket, StandbyTicket},
    ids::{InstitutionId, PermissionId},
    keys::RecipientKey,
    messages::{self as pb, stored_request::Request},
    permission::{Kind, SignedPermission, VerifiedPermission},
    statement::Signed,
};

use super::{keeping_up, office::Office};
use crate::{
    Error, Result,
    connect::{Patience, Retry},
    error::time,
    keystore::{KeyStore, KeyStoreError, StoredRecipient},
    session::Session,
    trust::Asked,
};

/// A permission that is for this institution, with the challenge to present it over.
pub(crate) struct Delivered {
    pub(crate) permission: VerifiedPermission,
    /// What it answers, as the server says.
    pub(crate) request: Option<pb::StoredRequest>,
    /// This institution's open sessions under it.
    open: Vec<Open>,
    challenge: bytes::Bytes,
}

/// An open session, by its ticket, and whose key presented it.
struct Open {
    ticket: Ticket,
    keyid: String,
}

enum Ticket {
    Upload(StandbyTicket),
    Release(ReleaseTicket),
}

impl Ticket {
    fn expires(&self) -> u64 {
        match self {
            Self::Upload(ticket) => ticket.expires,
            Self::Release(ticket) => ticket.expires,
        }
    }
}

impl Delivered {
    /// The open uploads, and whose key presented each.
    pub(super) fn uploads(&self) -> Vec<(StandbyTicket, String)> {
        let upload = |open: &Open| match &open.ticket {
            Ticket::Upload(ticket) => Some((ticket.clone(), open.keyid.clone())),
            Ticket::Release(_) => None,
        };
        self.open.iter().filter_map(upload).collect()
    }

    /// The open releases, and whose key presented each.
    pub(super) fn releases(&self) -> Vec<(ReleaseTicket, String)> {
        let release = |open: &Open| match &open.ticket {
            Ticket::Release(ticket) => Some((ticket.clone(), open.keyid.clone())),
            Ticket::Upload(_) => None,
        };
        self.open.iter().filter_map(release).collect()
    }

    /// Who else has a session, and until when, for people.
    pub(super) fn others(&self, own: &str) -> Vec<String> {
        let others = self.open.iter().filter(|open| open.keyid != own);
        others
            .map(|open| {
                let until = time(open.ticket.expires());
                format!("{} of your institution has it until {until} at most", open.keyid)
            })
            .collect()
    }
}

/// A permission of an emergency, which answers no request: verified, with the challenge to present it over and the sessions that
/// the institution has open under it.
pub(super) fn in_emergency(
    session: &Session,
    permission: VerifiedPermission,
    challenge: bytes::Bytes,
    open: Vec<pb::OpenSession>,
    to: InstitutionId,
) -> Result<Delivered> {
    let id = permission.permission_id;
    let open = open.into_iter().map(|open| open_session(session, open, id, to));
    Ok(Delivered {
        open: open.collect::<Result<_>>()?,
        permission,
        request: None,
        challenge,
    })
}

/// Fetches a permission and checks who signed it, that it is for these keys and this server, and that it is
/// the one that was met under its id before.
pub(crate) async fn delivered(
    session: &Session,
    id: PermissionId,
    to: InstitutionId,
    keys: &dyn KeyStore,
) -> Result<Delivered> {
    let pb::Delivery {
        permission,
        request,
        challenge,
        open,
        ..
    } = session.server.get(api::DELIVER.at([&id])).await?;
    let permission = SignedPermission::try_from(permission)
        .and_then(SignedPermission::verify)
        .map_err(Error::tampered(WHAT))?;
    // An emergency's is for whoever has both halves of its key; this side then opens it, or does not.
    let emergency = permission.kind == Kind::Emergency;
    let mine = permission.permission_id == id
        && (emergency || permission.institution_id == to)
        && permission.operator_id == session.server.operator_id();
    if !mine {
        return Err(Error::tampered(WHAT)("it is for somebody else"));
    }
    let held = |key: &RecipientKey| permission.recipient_key_hash == key.digest();
    if !emergency && !keys.recipient_keys().iter().any(held) {
        return Err(KeyStoreError::NoSuchKey.into());
    }
    session
        .met
        .permission(id, permission.patient_id, &permission.request_hash)?;
    if let Some(head) = &permission.vault_head {
        session.met.head(permission.patient_id, head)?;
    }
    let open = open.into_iter().map(|open| open_session(session, open, id, to));
    Ok(Delivered {
        open: open.collect::<Result<_>>()?,
        permission,
        request,
        challenge,
    })
}

/// A session of this institution under this permission, as the operator has signed it.
fn open_session(
    session: &Session,
    open: pb::OpenSession,
    id: PermissionId,
    to: InstitutionId,
) -> Result<Open> {
    let pb::OpenSession {
        standby_ticket,
        release_ticket,
        keyid,
    } = open;
    let operator = session.server.operator();
    let (ticket, of) = if release_ticket.is_some() {
        let ticket = Signed::<ReleaseTicket>::try_from(release_ticket)
            .and_then(|ticket| ticket.verify(operator))
            .map_err(Error::tampered(SESSION))?;
        let of = (ticket.permission_id, ticket.institution_id);
        (Ticket::Release(ReleaseTicket::clone(&ticket)), of)
    } else {
        let ticket = Signed::<StandbyTicket>::try_from(standby_ticket)
            .and_then(|ticket| ticket.verify(operator))
            .map_err(Error::tampered(SESSION))?;
        let of = (ticket.permission_id, ticket.institution_id);
        (Ticket::Upload(StandbyTicket::clone(&ticket)), of)
    };
    if of == (id, to) {
        // Shown to people as it is.
        let keyid = keyid
            .chars()
            .filter(char::is_ascii_graphic)
            .take(MOST_KEYID)
            .collect();
        Ok(Open { ticket, keyid })
    } else {
        Err(Error::tampered(SESSION)("it is for something else"))
    }
}

/// What a permission of kind download or reference answers, which comes with it.
pub(crate) async fn answered(session: &Session, delivered: &mut Delivered) -> Result<Asked> {
    let asked = match delivered.request.take().and_then(|stored| stored.request) {
        Some(Request::Download(statement)) => session.asks.download(statement).await?,
        Some(Request::Reference(statement)) => session.asks.reference(statement).await?,
        Some(Request::Upload(_)) | None => return Err(Error::tampered(WHAT)("it answers nothing")),
    };
    if asked.answered_by(&delivered.permission) {
        Ok(asked)
    } else {
        Err(Error::tampered(WHAT)("it answers another request"))
    }
}

pub(super) async fn deliver(office: &Office, id: PermissionId) -> Result<Delivered> {
    keeping_up::keep_up(office).await?;
    delivered(&office.session, id, office.id(), office.key_store()).await
}

/// Opens the permission key, of an emergency with the key that follows from both halves; what is in it belongs
/// to this very body (PRM-8).
pub(super) fn open_key<K: Granted>(
    office: &Office,
    permission: &VerifiedPermission,
    emergency: Option<&RecipientSecret>,
) -> Result<OpenedPermission<K>> {
    let expected = ExpectedPermission {
        body: permission.bytes(),
        id: &permission.permission_id,
        keys: permission.records.len().max(1),
        conditions: permission.conditions.is_some(),
        possession: &permission.possession_key,
    };
    if let Some(both) = emergency {
        return OpenedPermission::open(both, permission.wrap(), &expected).map_err(Error::tampered(WHAT));
    }
    let recipient = StoredRecipient {
        store: &*office.keys.store,
        key: permission.recipient_key_hash,
    };
    OpenedPermission::open(&recipient, permission.wrap(), &expected).map_err(KeyStoreError::opening(WHAT))
}

/// Presents the key. Each attempt needs a challenge of its own; under one idempotency key all of
/// them together spend one use.
pub(super) async fn present<K: Granted>(
    office: &Office,
    mut delivered: Delivered,
    opened: &OpenedPermission<K>,
    message: &pb::Presentation,
    idempotency_key: &str,
) -> Result<pb::presentation_answer::Answer> {
    let id = delivered.permission.permission_id;
    let mut done = 0;
    loop {
        let server = &office.session.server;
        let answer = server
            .present(
                &id,
                &opened.possession,
                &delivered.challenge,
                message,
                idempotency_key,
            )
            .await;
        let Retry { error, useful } = match answer {
            Ok(answer) => {
                return answer
                    .answer
                    .ok_or_else(|| Error::tampered("the ticket")("it is empty"));
            }
            Err(retry) => retry,
        };
        done += 1;
        if !useful || !Patience::LONG.pause(done, office.session.system()).await {
            return Err(error);
        }
        delivered = deliver(office, id).await?;
    }
}

const WHAT: &str = "the permission";
const SESSION: &str = "an open session";
/// Characters of a key's id (API-5).
const MOST_KEYID: usize = 64;
