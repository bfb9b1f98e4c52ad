//! `medvault permit` and `medvault deny`: the patient's answer to a download or reference request.

use std::time::Duration;

use clap::{ArgGroup, Args};
use client_sdk::{
    Conditions, Day, InCollection, LookAlikes, MediaType, Misfit, Patient, PermissionId, PermissionKind,
    PermitTerms, Purpose, RecordId, RequestId, Selection,
    patient::{Coverage, InstitutionRef, OpenRequest},
    text,
};
use serde::Serialize;

use crate::{
    commands::directory::{looks_like, marks},
    confirm::{MINUTES, confirm, from_now, is_short},
    context::Context,
    failure::Failure,
    given::Text,
    output::{Report, moment as shown, note, plain},
    shorthand::{self, Named},
    tending::tend,
    values::{ActingFor, byte_count, day, duration, media_type, moment, purpose},
    views::size,
};

/// What is permitted, and how far.
#[derive(Args, Debug)]
#[command(after_help = PERMIT_EXAMPLES, group = ArgGroup::new("what").required(true))]
pub(crate) struct PermitOptions {
    /// The request, as the inbox shows it, shortened to what names one, or `last` for the newest
    #[arg(value_name = "REQUEST")]
    request: Named<RequestId>,
    /// Records that may be read
    #[arg(long, value_name = "RECORD", num_args = 1.., group = "what")]
    record: Vec<RecordId>,
    /// All records that are in the vault now
    #[arg(long, group = "what")]
    all: bool,
    /// Whatever lies in a collection, also what comes later: name or id
    #[arg(long, value_name = "COLLECTION", group = "what")]
    collection: Option<String>,
    /// Only what lies in the collection now
    #[arg(long, requires = "collection", conflicts_with_all = ["record", "all"])]
    until_now: bool,
    /// Only records none of whose dates is before this day
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Day>,
    /// Only records none of whose dates is after this day
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Day>,
    /// With --from or --to: also records of which no file says a day
    #[arg(long)]
    undated: bool,
    /// Only records all of whose files are of this media type; repeat it for up to four
    #[arg(long = "type", value_name = "TYPE", value_parser = media_type)]
    types: Vec<MediaType>,
    /// The purpose of use that it is for, as an HL7 code; without this, the one that the request states
    #[arg(long, value_name = "CODE", value_parser = purpose)]
    purpose: Option<Purpose>,
    /// When it begins: a day (UTC), or a moment with its offset; without this, now
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    not_before: Option<u64>,
    /// How long from then it is valid
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
    expires: Duration,
    /// How often it may be presented
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value = "1")]
    uses: u32,
    /// A permission of the same request that ends when this one is taken: to narrow or prolong it
    #[arg(long, value_name = "PERMISSION")]
    replaces: Option<PermissionId>,
    /// How many bytes may be received with it; without this, what its uses need
    #[arg(long, value_name = "N", value_parser = byte_count)]
    max_bytes: Option<u64>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    whose: ActingFor,
}

const PERMIT_EXAMPLES: &str = "\
Examples:
  medvault permit req_ae5… --record rec_ae6… rec_ae7…
  medvault permit req_ae5… --all --expires 7d --uses 3
  medvault permit last --all
  medvault permit req_ae5… --collection cardiology --expires 90d --uses 20
  medvault permit req_ae5… --collection default --from 2026-05-01 --to 2026-05-31 --type application/dicom
  medvault permit req_ae5… --all --from 2026-05-01 --undated
  medvault permit req_ae5… --all --type text/plain --purpose TREAT --not-before 2026-06-01 --expires 7d
  medvault permit req_ae5… --all --replaces perm_ae8… --expires 30d
  medvault permit req_ae5… --collection default --acting-for pat_ae9…

The server does not learn media types or days: it tests records by tokens that say nothing.";

/// What is refused, and why.
#[derive(Args, Debug)]
#[command(after_help = DENY_EXAMPLES)]
pub(crate) struct DenyOptions {
    /// The request, as the inbox shows it, or shortened to what names one
    #[arg(value_name = "REQUEST")]
    request: Named<RequestId>,
    /// What to tell the institution that asked
    #[command(flatten)]
    text: Text,
    #[command(flatten)]
    whose: ActingFor,
}

const DENY_EXAMPLES: &str = "\
Example:
  echo 'please ask my family doctor' | medvault deny req_ae5… --text -";

pub(crate) async fn permit(context: &Context, options: PermitOptions) -> Result<(), Failure> {
    let conditions = Conditions {
        media_types: options.types.into_iter().collect(),
        from: options.from,
        to: options.to,
        undated: options.undated,
    };
    let terms = PermitTerms {
        not_before: options.not_before,
        expires: options.expires,
        uses: options.uses,
        bytes: options.max_bytes,
        purpose: options.purpose,
        conditions: checked(conditions)?,
        replaces: options.replaces,
    };
    let asks = !options.yes && !context.json();
    let named = options.request.not_last_unseen(asks)?;
    let until = ends(options.not_before, options.expires);
    let what = what(
        &options.record,
        options.collection.as_deref(),
        options.uses,
        (options.expires, until),
    );
    let patient = context.patient().await?;
    tend(&patient).await;
    if let Some(owner) = options.whose.acting_for {
        let delegate = patient.acting_for(owner).await?;
        let request = match named {
            Named::Whole(id) => id,
            named => named.among(delegate.requests().await?.into_iter().map(|open| open.request_id))?,
        };
        if asks {
            let request = delegate.request(request).await?;
            sure(&request, (&what, ""), &patient.trust().look_alikes().await?)?;
        }
        let until_now = options.until_now;
        let permission = match (options.collection, options.all) {
            (Some(_), _) if until_now => return Err(Failure::usage(NOT_UNTIL_NOW)),
            (Some(collection), _) => {
                let of = delegate.collection(&collection)?;
                delegate.permit_collection(request, of, &terms).await?
            }
            (None, true) => delegate.permit(request, &Selection::All, &terms).await?,
            (None, false) => {
                let records = Selection::Records(options.record);
                delegate.permit(request, &records, &terms).await?
            }
        };
        return context.print(&Permitted {
            request_id: request,
            permission_id: permission,
            expires: until,
            coverage: None,
        });
    }
    let request = shorthand::request(&patient, named).await?;
    let of = match options.collection {
        Some(collection) => Of::Collection(InCollection {
            id: patient.collection(&collection).await?.id,
            until_now: options.until_now,
        }),
        None if options.all => Of::Records(Selection::All),
        None => Of::Records(Selection::Records(options.record)),
    };
    let coverage = coverage(&patient, &of, &terms.conditions).await?;
    if asks {
        let request = patient.request(request).await?;
        let covered = coverage.as_ref().map(|coverage| line(coverage) + "\n");
        let covered = covered.unwrap_or_default();
        sure(&request, (&what, &covered), &patient.trust().look_alikes().await?)?;
    } else if let Some(coverage) = coverage.as_ref().filter(|_| !context.json()) {
        note(&line(coverage));
    }
    let permission = match of {
        Of::Collection(of) => patient.permit_collection(request, of, &terms).await?,
        Of::Records(records) => patient.permit(request, &records, &terms).await?,
    };
    context.print(&Permitted {
        request_id: request,
        permission_id: permission,
        expires: until,
        coverage,
    })
}

/// When it is over, in milliseconds since 1970.
fn ends(not_before: Option<u64>, expires: Duration) -> u64 {
    let life = u64::try_from(expires.as_millis()).unwrap_or(u64::MAX);
    not_before.map_or_else(|| from_now(expires), |begins| begins.saturating_add(life))
}

/// The records that a permission is to name: a whole collection, or single ones.
enum Of {
    Collection(InCollection),
    Records(Selection),
}

/// What conditions come to, where there are any; said before anything is signed (CND-14).
async fn coverage(patient: &Patient, of: &Of, conditions: &Conditions) -> Result<Option<Coverage>, Failure> {
    if conditions.is_empty() {
        return Ok(None);
    }
    let coverage = match of {
        Of::Collection(of) => patient.coverage_in(of.id, conditions).await?,
        Of::Records(records) => patient.coverage(records, conditions).await?,
    };
    Ok(Some(coverage))
}

/// How many records that are there now the conditions cover, and how many not and why.
fn line(coverage: &Coverage) -> String {
    let Coverage {
        covered,
        bytes,
        misfits,
    } = coverage;
    let all = covered + misfits.values().sum::<usize>();
    let why = misfits.iter().map(|(misfit, count)| {
        let more = match misfit {
            Misfit::NoDate => " (--undated takes those along)",
            _ => "",
        };
        format!("\n  {count} not covered: {misfit}{more}")
    });
    format!(
        "The conditions cover {covered} of {all} records that are there now, {}{}",
        size(*bytes),
        why.collect::<String>()
    )
}

/// Names who would read, and whom that one looks like (INS-17), before a permission is signed that cannot be unread.
fn sure(request: &OpenRequest, (what, covered): (&str, &str), alike: &LookAlikes) -> Result<(), Failure> {
    let party = |party: &InstitutionRef| {
        let (name, marks) = (plain(&party.name), marks(&looks_like(alike, party.id)));
        format!("{name}\n  {}{marks}", party.id)
    };
    let purpose = request.purpose.map_or("not said", |purpose| purpose.title());
    let asker = match request.kind {
        PermissionKind::Reference => format!("Asked by:\n  {}\n", party(&request.from)),
        _ => String::new(),
    };
    let about = format!(
        "Would read {what}:\n  {}\n{asker}{covered}Purpose: {purpose}\nAsked until: {}",
        party(&request.to),
        shown(request.expires)
    );
    confirm(&about, "Permit it?")
}

fn what(
    records: &[RecordId],
    collection: Option<&str>,
    uses: u32,
    (expires, until): (Duration, u64),
) -> String {
    let what = match (collection, records.len()) {
        (Some(name), _) => format!("the collection {}", plain(name)),
        (None, 0) => "all records that are there now".to_owned(),
        (None, 1) => "one record".to_owned(),
        (None, many) => format!("{many} records"),
    };
    let short = if is_short(expires) {
        format!(" ({MINUTES})")
    } else {
        String::new()
    };
    format!(
        "{what}, {uses} times within {}, until {}{short}",
        humantime::format_duration(expires),
        shown(until)
    )
}

const NOT_UNTIL_NOW: &str = "a delegate permits a collection as a whole, or records: leave out --until-now, or give \
                             --all";

fn checked(conditions: Conditions) -> Result<Conditions, Failure> {
    if conditions.is_empty() {
        return Ok(conditions);
    }
    conditions.checked().map_err(|_| {
        Failure::from(client_sdk::Error::Usage(
            "conditions are at most four media types, and days from --from up to --to; --undated goes with one of these"
                .into(),
        ))
    })
}

pub(crate) async fn deny(context: &Context, options: DenyOptions) -> Result<(), Failure> {
    let named = options.request.not_last_unseen(false)?;
    let text = options.text.read(context.global()).await?;
    let patient = context.patient().await?;
    let request = match options.whose.acting_for {
        None => {
            let request = shorthand::request(&patient, named).await?;
            patient.deny(request, &text).await?;
            request
        }
        Some(owner) => {
            let delegate = patient.acting_for(owner).await?;
            let request = match named {
                Named::Whole(id) => id,
                named => named.among(delegate.requests().await?.into_iter().map(|open| open.request_id))?,
            };
            delegate.deny(request, &text).await?;
            request
        }
    };
    context.print(&Denied { request_id: request })
}

#[derive(Serialize)]
struct Permitted {
    request_id: RequestId,
    permission_id: PermissionId,
    #[serde(serialize_with = "text::moment")]
    expires: u64,
    #[serde(flatten)]
    coverage: Option<Coverage>,
}

impl Report for Permitted {
    fn text(&self) -> String {
        format!(
            "Permitted until {}. The permission key is delivered:\n  {}\n",
            shown(self.expires),
            self.permission_id
        )
    }
}

#[derive(Serialize)]
struct Denied {
    request_id: RequestId,
}

impl Report for Denied {
    fn text(&self) -> String {
        "Denied. The institution is told.\n".to_owned()
    }
}
