//! `medvault device given`, `remove` and `retire`: what becomes of a device, and of what it has given.

use std::{
    collections::HashSet,
    io::{IsTerminal, stdin},
};

use clap::Args;
use client_sdk::{
    DeviceId, Patient,
    patient::{DeviceInfo, Given, Removal},
};
use serde::Serialize;

use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    given,
    output::{Report, fields, moment, note, plain, table, word},
    progress::Bar,
    values,
    views::devices,
};

/// The device whose grants are listed.
#[derive(Args, Debug)]
pub(crate) struct GivenOptions {
    /// The device: name or id
    device: String,
    /// Say of each whether this device had seen it at this moment: a moment, or how long ago, such as 3d
    #[arg(long, value_name = "WHEN", value_parser = values::since)]
    since: Option<u64>,
}

/// How a device is removed.
#[derive(Args, Debug)]
pub(crate) struct RemoveOptions {
    /// The device: name or id
    device: String,
    /// It is lost, or somebody else may have it: what it has given ends
    #[arg(long)]
    lost: bool,
    /// Since when: a moment such as 2026-11-29T10:00Z, or how long ago, such as 3d. What this device had seen before then
    /// stays, once you have confirmed it
    #[arg(long, value_name = "WHEN", requires = "lost", value_parser = values::since)]
    since: Option<u64>,
    /// Confirm what stays, or is still listed and goes as well, without being asked
    #[arg(long)]
    yes: bool,
}

/// How a device is retired.
#[derive(Args, Debug)]
pub(crate) struct RetireOptions {
    /// The device: name or id
    device: String,
    /// What ends of what it has given, by its id; may be repeated
    #[arg(long, value_name = "ID")]
    end: Vec<String>,
    /// Confirm what stays without being asked
    #[arg(long)]
    yes: bool,
}

pub(super) async fn given(context: &Context, options: GivenOptions) -> Result<(), Failure> {
    let patient = context.patient().await?;
    let device = find(&patient, &options.device).await?;
    let given = patient.given_by(device, options.since).await?;
    let text = match given.as_slice() {
        [] => "Nothing that it has given holds.\n".to_owned(),
        given => rows_text(given),
    };
    context.say(&text, &fields! { given: &given })
}

pub(super) async fn remove(context: &Context, options: RemoveOptions) -> Result<(), Failure> {
    if !options.lost && is_retired(context)? {
        let RemoveOptions { device, yes, .. } = options;
        let end = Vec::new();
        return retire(context, RetireOptions { device, end, yes }).await;
    }
    let patient = context.patient().await?;
    let device = find(&patient, &options.device).await?;
    confirm_goes(&patient.left_on_list(device).await?, device, options.yes)?;
    let mut stays = Vec::new();
    if let Some(since) = options.since {
        stays = patient
            .staying(device, Some(since), |given| given.earlier)
            .await?;
        confirm_stays(&stays, options.yes, "leave out --since to have all of it end")?;
    }
    finish(context, &patient, (device, options.device), REMOVED, &stays).await
}

pub(super) async fn retire(context: &Context, options: RetireOptions) -> Result<(), Failure> {
    let patient = context.patient().await?;
    let device = find(&patient, &options.device).await?;
    let given = patient.given_by(device, None).await?;
    let unknown = options
        .end
        .iter()
        .find(|id| !given.iter().any(|given| given.id == **id));
    if let Some(id) = unknown {
        return Err(Failure::usage(format!(
            "{} has given no {id}: see medvault device given",
            plain(&options.device)
        )));
    }
    let stays = patient
        .staying(device, None, |given| !options.end.contains(&given.id))
        .await?;
    confirm_stays(&stays, options.yes, "name with --end what is to end")?;
    finish(context, &patient, (device, options.device), RETIRED, &stays).await
}

/// By its id a removal that was broken off is taken up again.
async fn find(patient: &Patient, device: &str) -> Result<DeviceId, Failure> {
    match device.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(patient.find_device(device).await?.id),
    }
}

/// Whether she has the device, which is asked on a terminal alone.
fn is_retired(context: &Context) -> Result<bool, Failure> {
    let either = "say which it is: `device remove --lost` when it is lost or somebody else may have it, `device retire` when \
                  it is in your hand; nothing was changed";
    if context.json() || !stdin().is_terminal() {
        return Err(Failure::usage(either));
    }
    note("Is the device lost, or may somebody else have it? Then all that it has ever given ends.");
    note(
        "Or is it in your hand, and you do not use it any more? Then what it has given is shown, and stays if you like.",
    );
    note("Type lost or retire:");
    match given::typed_line()?.as_str() {
        "lost" => Ok(false),
        "retire" => Ok(true),
        _ => Err(Failure::usage(either)),
    }
}

/// Of a device that is off the list: what it had added goes as well, unless she says otherwise.
fn confirm_goes(left: &[DeviceInfo], device: DeviceId, yes: bool) -> Result<(), Failure> {
    if left.is_empty() || yes {
        return Ok(());
    }
    let about = format!(
        "The device is off the list. It had added these, which are there still:\n{}",
        devices::rows(left)
    );
    let otherwise = format!("to say what stays, medvault device retire {device}");
    if !stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "the device is off the list, and {} that it had added are there still: see medvault device given {device}; to remove \
             them as well, give --yes; {otherwise}",
            left.len()
        )));
    }
    confirm(&about, &format!("Do they go as well? If not, {otherwise}."))
}

fn confirm_stays(stays: &[Given], yes: bool, otherwise: &str) -> Result<(), Failure> {
    // What is spent needs no new signature.
    let rows: Vec<_> = stays.iter().filter(|given| !given.spent).cloned().collect();
    if rows.is_empty() || yes {
        return Ok(());
    }
    let about = format!("This stays, signed again by this device:\n{}", rows_text(&rows));
    if !stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "nobody is there to confirm what stays, {} in number: see medvault device given, then give --yes; or {otherwise}",
            rows.len()
        )));
    }
    confirm(&about, &format!("Does all of it stay? If not, {otherwise}."))
}

async fn finish(
    context: &Context,
    patient: &Patient,
    (device, name): (DeviceId, String),
    done: &'static str,
    stays: &[Given],
) -> Result<(), Failure> {
    let keep: HashSet<String> = stays.iter().map(|given| given.id.clone()).collect();
    let bar = Bar::records("Re-wrapping", context.json());
    let again = match done {
        RETIRED => format!("retire {device}"),
        _ => format!("remove {device} --lost --yes"),
    };
    let Removal {
        ended,
        signed_again,
        not_signed_again,
        leaving,
    } = patient
        .remove_device(device, &keep, &bar)
        .await
        .inspect_err(|_| {
            note(&format!(
                "If the device is off the list already, the rest goes on with: medvault device {again}"
            ));
        })?;
    context.print(&RemovedDevice {
        done,
        device_id: device,
        name,
        ended,
        signed_again,
        not_signed_again: not_signed_again
            .into_iter()
            .map(|(given, why)| NotSigned { given, why })
            .collect(),
        leaving,
    })
}

fn rows_text(rows: &[Given]) -> String {
    table(
        ["ID", "KIND", "GIVEN, AS IT SAYS", "TO"],
        rows.iter().map(|row| {
            [
                row.id.clone(),
                word(&row.kind) + if row.spent { ", spent" } else { "" },
                moment(row.created),
                plain(&row.name),
            ]
        }),
    )
}

#[derive(Serialize)]
struct NotSigned {
    #[serde(flatten)]
    given: Given,
    why: String,
}

#[derive(Serialize)]
struct RemovedDevice {
    done: &'static str,
    device_id: DeviceId,
    name: String,
    ended: Vec<Given>,
    signed_again: Vec<Given>,
    not_signed_again: Vec<NotSigned>,
    leaving: Vec<DeviceId>,
}

impl Report for RemovedDevice {
    fn text(&self) -> String {
        let mut text = format!("{}: {}\n  {}\n", self.done, plain(&self.name), self.device_id);
        for (what, rows) in [
            ("Ended", &self.ended),
            ("Signed again by this device", &self.signed_again),
        ] {
            if !rows.is_empty() {
                text += &format!("{what}:\n{}", rows_text(rows));
            }
        }
        for NotSigned { given, why } in &self.not_signed_again {
            text += &format!(
                "Not signed again, and without new keys: {} {} ({}): {}; give it anew, or end it.\n",
                word(&given.kind),
                given.id,
                plain(&given.name),
                plain(why)
            );
        }
        for member in &self.leaving {
            text += &format!(
                "Still there: {member}. It leaves when another device of yours removes it as well; or in a week, when this device \
                 removes it with the next command that needs the server.\n"
            );
        }
        text
    }
}

const REMOVED: &str = "removed";
const RETIRED: &str = "retired";
