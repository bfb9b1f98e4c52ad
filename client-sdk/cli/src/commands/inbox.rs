//! `medvault inbox`: what has arrived, in order, opened and verified.

mod senders;

use std::{fmt::Write, time::Duration};

use clap::Args;
use client_sdk::{InboxEvent, InstitutionId, LookAlikes, NewestEvents, PatientId, inbox::Party};
use serde::Serialize;

use crate::{
    commands::{
        delegate,
        directory::{looks_like, marks},
    },
    context::{Context, Member},
    failure::Failure,
    output::{Report, moment, plain, tag},
    values::since,
    views::size,
    window::{self, Window},
};

/// Which events, and whether to wait for one; or what to do about them.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<senders::Command>,
    /// When there is nothing to show, wait so long for the first event
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Only events after the one with this number
    #[arg(long, value_name = "N", conflicts_with_all = ["last", "all", "since"])]
    after: Option<u64>,
    /// Only what arrived since then: how long ago (`3d`), a day, or a moment with its offset
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<u64>,
    #[command(flatten)]
    window: Window,
    /// Show what institutions ask this patient, who has made you her delegate, and is still open
    #[arg(long, value_name = "PATIENT", conflicts_with_all = ["wait", "after", "since", "last", "all"])]
    acting_for: Option<PatientId>,
}

const EXAMPLES: &str = "\
Examples:
  medvault inbox
  medvault inbox --since 3d
  medvault inbox --last 200
  medvault inbox --after 12 --wait 60 --json
  medvault inbox --acting-for pat_ae5…
  medvault inbox delete req_ae5…          what you will not answer
  medvault inbox block inst_ae6…          whom you do not want to hear";

pub(crate) async fn run(context: &Context, options: Options) -> Result<(), Failure> {
    if let Some(command) = options.command {
        return senders::run(context, command).await;
    }
    if let Some(owner) = options.acting_for {
        let patient = context.patient().await?;
        let requests = patient.acting_for(owner).await?.requests().await?;
        return context.print(&delegate::Requests { requests });
    }
    let wait = options.wait.map(Duration::from_secs);
    let member = context.member().await?;
    let NewestEvents { events, earlier } = read(&member, &options, wait, context.json()).await?;
    let alike = member.trust().look_alikes().await?;
    let marked = |event: InboxEvent| Event {
        from_looks_like: party_alike(&alike, Some(&event.from)),
        to_looks_like: party_alike(&alike, event.what.columns().receiver),
        event,
    };
    context.print(&Inbox {
        events: events.into_iter().map(marked).collect(),
        earlier,
    })
}

/// What is asked for. Whoever waits has seen what is there, and wants what comes.
async fn read(
    member: &Member,
    options: &Options,
    wait: Option<Duration>,
    json: bool,
) -> Result<NewestEvents, Failure> {
    let most = options.window.most(json, options.since.is_some());
    if options.after.is_some() || (most.is_none() && options.since.is_none()) {
        let events = member.inbox(options.after.unwrap_or_default(), wait).await?;
        return Ok(NewestEvents { events, earlier: 0 });
    }
    let since = options.since.unwrap_or_default();
    let newest = member.newest_events(most.unwrap_or(u64::MAX), since).await?;
    if newest.events.is_empty() && wait.is_some() {
        let events = member.inbox(newest.earlier, wait).await?;
        return Ok(NewestEvents { events, ..newest });
    }
    Ok(newest)
}

#[derive(Serialize)]
struct Inbox {
    events: Vec<Event>,
    /// How many there are before those that are shown, where the newest were asked for.
    #[serde(skip_serializing_if = "is_zero")]
    earlier: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize)]
struct Event {
    #[serde(flatten)]
    event: InboxEvent,
    /// Others whose names look like the sender's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from_looks_like: Vec<InstitutionId>,
    /// Others whose names look like the receiver's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_looks_like: Vec<InstitutionId>,
}

fn party_alike(alike: &LookAlikes, party: Option<&Party>) -> Vec<InstitutionId> {
    match party {
        Some(Party::Institution { id, .. }) => looks_like(alike, *id),
        _ => Vec::new(),
    }
}

impl Report for Inbox {
    fn text(&self) -> String {
        let blocks: String = self.events.iter().map(Event::block).collect();
        match (self.events.is_empty(), self.earlier) {
            (true, 0) => "Nothing has arrived.\n".to_owned(),
            (true, earlier) => window::earlier(earlier, "inbox") + "Nothing has arrived since.\n",
            (false, earlier) => window::earlier(earlier, "inbox") + &blocks,
        }
    }
}

impl Event {
    /// A heading and one line for each thing there is; the text by others comes last.
    fn block(&self) -> String {
        let InboxEvent {
            number,
            at,
            from,
            what,
            text,
        } = &self.event;
        let mut block = format!("#{number}  {}  {}\n", moment(*at), tag(what, "kind"));
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(block, "    {name:<10}  {value}");
            }
        };
        let about = what.columns();
        line("from", Some(named(from, &self.from_looks_like)));
        line("to", about.receiver.map(|to| named(to, &self.to_looks_like)));
        line("request", about.request.map(|id| id.to_string()));
        line("permission", about.permission.map(|id| id.to_string()));
        line("record", about.record.map(|id| id.to_string()));
        line(
            "purpose",
            about.purpose.map(|of| format!("{} ({})", of.code(), of.title())),
        );
        line("delegate", about.delegate.map(|id| id.to_string()));
        line("bytes", about.bytes.map(size));
        if !text.is_empty() {
            let lines: Vec<String> = text.lines().map(plain).collect();
            line("text", Some(lines.join("\n                ")));
        }
        block
    }
}

fn named(party: &Party, looks_like: &[InstitutionId]) -> String {
    let named = match party {
        Party::Patient(id) => id.to_string(),
        Party::Institution { id, name } => format!("{} ({id})", plain(name)),
        Party::Server => "server".to_owned(),
    };
    named + &marks(looks_like)
}

#[cfg(test)]
mod tests {
    use client_sdk::{InboxWhat, InstitutionId, PermissionId, Purpose, RequestId};
    use serde_json::json;

    use super::*;

    fn permission() -> Event {
        let event = InboxEvent {
            number: 7,
            at: 1_700_000_000_000,
            from: Party::Institution {
                id: InstitutionId::from_bytes([1; 32]),
                name: "St. Anna".to_owned(),
            },
            what: InboxWhat::Permission {
                request_id: RequestId::from_bytes([2; 16]),
                permission_id: PermissionId::from_bytes([3; 16]),
                purpose: Some(Purpose::TREAT),
                delegate: None,
            },
            text: "a\u{1b}b\n#8".to_owned(),
        };
        Event {
            event,
            from_looks_like: Vec::new(),
            to_looks_like: Vec::new(),
        }
    }

    #[test]
    fn json_has_the_promised_fields_and_leaves_out_what_is_not_there() {
        let inbox = Inbox {
            events: vec![permission()],
            earlier: 0,
        };
        let event = json!({
            "id": 7,
            "at": "2023-11-14T22:13:20.000Z",
            "kind": "permission",
            "request_id": RequestId::from_bytes([2; 16]).to_string(),
            "permission_id": PermissionId::from_bytes([3; 16]).to_string(),
            "from": InstitutionId::from_bytes([1; 32]).to_string(),
            "from_name": "St. Anna",
            "purpose": "TREAT",
            "text": "a\u{1b}b\n#8",
        });
        assert_eq!(
            serde_json::to_value(&inbox).unwrap(),
            json!({ "events": [event] })
        );
    }

    #[test]
    fn text_for_people_carries_no_control_characters_and_stays_indented() {
        let block = permission().block();
        assert!(
            block.starts_with("#7  2023-11-14 22:13:20 UTC  permission\n"),
            "{block}"
        );
        assert!(
            block.ends_with("    text        a\\u{1b}b\n                #8\n"),
            "{block}"
        );
        assert!(!block.contains('\u{1b}'));
    }

    /// INS-17
    #[test]
    fn who_looks_like_another_is_marked() {
        let other = InstitutionId::from_bytes([9; 32]);
        let event = Event {
            from_looks_like: vec![other],
            ..permission()
        };
        let other = other.to_string();
        let short = other.get(..21).unwrap();
        let expected = format!(
            "    from        St. Anna ({}), looks like {short}…\n",
            InstitutionId::from_bytes([1; 32])
        );
        assert!(event.block().contains(&expected), "{}", event.block());
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["from_looks_like"], json!([other]));
    }
}
