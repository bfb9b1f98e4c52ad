//! `medvault institution rotate` and `retire`: what an institution decides about itself.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    new_file::{self, NewFile},
    output::{fields, moment, plain},
    values::duration,
};

/// The two steps of a rotation.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RotateOptions {
    /// First: make the next key, and a request for the registrar
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "accreditation",
        conflicts_with = "accreditation"
    )]
    out: Option<PathBuf>,
    /// Then: go on with the key that the registrar has accredited
    #[arg(long, value_name = "FILE")]
    accreditation: Option<PathBuf>,
    /// For how long permissions that are wrapped to earlier keys can still be used
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = duration, conflicts_with = "out")]
    overlap: Duration,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RetireOptions {
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Example:
  medvault institution rotate --out st-anna-2.request --home ~/st-anna
  medvault registrar accredit st-anna-2.request --out st-anna-2.accreditation --home ~/registrar
  medvault institution rotate --accreditation st-anna-2.accreditation --overlap 30d --home ~/st-anna
  medvault institution retire --home ~/st-anna

The registrar signs each key, so that nobody who has stolen the identity key can have permissions wrapped to a
key of his own. The home keeps the earlier key until the overlap ends, and then destroys it.";

pub(crate) async fn rotate(context: &Context, options: RotateOptions) -> Result<(), Failure> {
    if let Some(out) = options.out {
        let out = NewFile::at(&out)?;
        let request = context.institution().await?.rotation_request().await?;
        let path = out.write(&request)?;
        let request = path.display().to_string();
        return context.say(
            &format!(
                "The next key is made. Hand the file {request} to the registrar, and go on with --accreditation.\n"
            ),
            &fields! { request: &request },
        );
    }
    let file = options
        .accreditation
        .ok_or_else(|| Failure::usage("give --out FILE for a request, or --accreditation FILE"))?;
    let accreditation = new_file::read(&file)?;
    let institution = context.institution().await?;
    let rotated = institution.rotate(&accreditation, options.overlap).await?;
    let text = format!(
        "Patients wrap to the new key from now on (entry {}); {} terminals have it.\n\
         Permissions under earlier keys can be used until {}.\n",
        rotated.sequence,
        rotated.terminals,
        moment(rotated.overlap_ends)
    );
    context.say(
        &text,
        &fields! { institution_id: institution.id(), #[serde(flatten)] rotated },
    )
}

pub(crate) async fn retire(context: &Context, options: RetireOptions) -> Result<(), Failure> {
    let institution = context.institution().await?;
    if !options.yes && !context.json() {
        let about = format!("{}\n{}", plain(institution.name()), institution.id());
        confirm(&about, "End this institution for ever?")?;
    }
    institution.retire().await?;
    let name = institution.name();
    context.say(
        &format!(
            "{} has retired: nothing is asked, permitted or released any more.\n",
            plain(name)
        ),
        &fields! { institution_id: institution.id(), name },
    )
}
