//! `medvault permit` and `medvault deny`: the patient's answer to a download or reference request.

use std::time::Duration;

use clap::{ArgGroup, Args};
use client_sdk::{
    Conditions, Day, InCollection, LookAlikes, MediaType, Misfit, Patient, PermissionId, PermissionKind,
    PermitTerms, Purpose, RecordId, RequestId, Selection,
    patient::{Coverage, Delegate, InstitutionRef, OpenRequest},
    text,
};

use crate::{
    commands::directory::{looks_like, marks},
    confirm::{MINUTES, confirm, from_now, is_short},
    context::Context,
    failure::Failure,
    given::Text,
    output::{fields, moment as shown, note, plain},
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
    /// Do not ask whether it is meant
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
    let owner = options.whose.acting_for;
    let asks = !options.yes && !context.json();
    let intended = Intended::new(options, asks)?;
    let patient = context.patient().await?;
    tend(&patient).await;
    match owner {
        None => intended.give(context, &patient).await,
        Some(owner) => {
            let delegate = patient.acting_for(owner).await?;
            intended.give_for(context, &patient, &delegate).await
        }
    }
}

/// A permission that is about to be given.
struct Intended {
    request: Named<RequestId>,
    over: Over,
    terms: PermitTerms,
    /// When it is over, in milliseconds since 1970.
    until: u64,
    /// For people: over what it is, how often and how long.
    what: String,
    /// Whether somebody confirms it first.
    asks: bool,
}

/// What a permission is over, as it was named.
enum Over {
    Collection { named: String, until_now: bool },
    Records(Selection),
}

impl Intended {
    fn new(options: PermitOptions, asks: bool) -> Result<Self, Failure> {
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
        let over = match options.collection {
            Some(named) => Over::Collection {
                named,
                until_now: options.until_now,
            },
            None if options.all => Over::Records(Selection::All),
            None => Over::Records(Selection::Records(options.record)),
        };
        let until = ends(options.not_before, options.expires);
        Ok(Self {
            request: options.request.not_last_unseen(asks)?,
            what: what(&over, options.uses, (options.expires, until)),
            over,
            terms,
            until,
            asks,
        })
    }

    /// Gives it as whose vault it is.
    async fn give(self, context: &Context, patient: &Patient) -> Result<(), Failure> {
        let request = shorthand::request(patient, self.request).await?;
        let of = match self.over {
            Over::Collection { named, until_now } => Of::Collection(InCollection {
                id: patient.collection(&named).await?.id,
                until_now,
            }),
            Over::Records(records) => Of::Records(records),
        };
        let coverage = coverage(patient, &of, &self.terms.conditions).await?;
        if self.asks {
            let request = patient.request(request).await?;
            let covered = coverage.as_ref().map(|coverage| line(coverage) + "\n");
            let covered = covered.unwrap_or_default();
            let alike = patient.trust().look_alikes().await?;
            sure(&request, (&self.what, &covered), &alike)?;
        } else if let Some(coverage) = coverage.as_ref().filter(|_| !context.json()) {
            note(&line(coverage));
        }
        let permission = match of {
            Of::Collection(of) => patient.permit_collection(request, of, &self.terms).await?,
            Of::Records(records) => patient.permit(request, &records, &self.terms).await?,
        };
        say_permitted(context, (request, permission), self.until, coverage)
    }

    /// Gives it as a delegate.
    async fn give_for(
        self,
        context: &Context,
        patient: &Patient,
        delegate: &Delegate<'_>,
    ) -> Result<(), Failure> {
        let request = request_of(delegate, self.request).await?;
        if self.asks {
            let request = delegate.request(request).await?;
            sure(&request, (&self.what, ""), &patient.trust().look_alikes().await?)?;
        }
        let permission = match self.over {
            Over::Collection { until_now: true, .. } => return Err(Failure::usage(NOT_UNTIL_NOW)),
            Over::Collection { named, .. } => {
                let of = delegate.collection(&named)?;
                delegate.permit_collection(request, of, &self.terms).await?
            }
            Over::Records(records) => delegate.permit(request, &records, &self.terms).await?,
        };
        say_permitted(context, (request, permission), self.until, None)
    }
}

/// Prints that a permission was given.
fn say_permitted(
    context: &Context,
    (request_id, permission_id): (RequestId, PermissionId),
    until: u64,
    coverage: Option<Coverage>,
) -> Result<(), Failure> {
    let text = format!(
        "Permitted until {}. The permission key is delivered:\n  {permission_id}\n",
        shown(until)
    );
    let expires = text::timestamp(until);
    context.say(
        &text,
        &fields! { request_id, permission_id, expires, #[serde(flatten)] coverage },
    )
}

/// The request that is meant, of those that a delegate sees.
async fn request_of(delegate: &Delegate<'_>, named: Named<RequestId>) -> Result<RequestId, Failure> {
    match named {
        Named::Whole(id) => Ok(id),
        named => named.among(delegate.requests().await?.into_iter().map(|open| open.request_id)),
    }
}

/// When it is over, in milliseconds since 1970.
fn ends(not_before: Option<u64>, expires: Duration) -> u64 {
    let life = u64::try_from(expires.as_millis()).unwrap_or(u64::MAX);
    not_before.map_or_else(|| from_now(expires), |begins| begins.saturating_add(life))
}

/// What a permission is over, as its owner's vault has it.
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

fn what(over: &Over, uses: u32, (expires, until): (Duration, u64)) -> String {
    let what = match over {
        Over::Collection { named, .. } => format!("the collection {}", plain(named)),
        Over::Records(Selection::Records(records)) if records.len() == 1 => "one record".to_owned(),
        Over::Records(Selection::Records(records)) => format!("{} records", records.len()),
        Over::Records(_) => "all records that are there now".to_owned(),
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
            let request = request_of(&delegate, named).await?;
            delegate.deny(request, &text).await?;
            request
        }
    };
    context.say(
        "Denied. The institution is told.\n",
        &fields! { request_id: request },
    )
}
