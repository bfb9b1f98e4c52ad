//! `medvault inbox`: what has arrived, in order, opened and verified.

mod senders;

use std::{fmt::Write, time::Duration};

use clap::Args;
use client_sdk::{InboxEvent, LookAlikes, NewestEvents, PatientId, Purpose, inbox::Party};
use serde::Serialize;

use crate::{
    commands::{
        delegate,
        directory::{looks_like, marks},
    },
    context::{Context, Member},
    failure::Failure,
    output::{Report, moment, plain, timestamp},
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
        return context.print(&delegate::Requests::from(requests));
    }
    let wait = options.wait.map(Duration::from_secs);
    let member = context.member().await?;
    let NewestEvents { events, earlier } = read(&member, &options, wait, context.json()).await?;
    let alike = member.trust().look_alikes().await?;
    let marked = |event: &InboxEvent| Event {
        from_looks_like: party_alike(&alike, Some(&event.from)),
        to_looks_like: party_alike(&alike, event.to.as_ref()),
        ..Event::from(event)
    };
    context.print(&Inbox {
        events: events.iter().map(marked).collect(),
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
    id: u64,
    at: String,
    #[serde(skip)]
    at_ms: u64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<String>,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_name: Option<String>,
    /// Others whose names look like that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from_looks_like: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_looks_like: Vec<String>,
    /// HL7 PurposeOfUse code.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'static str>,
    #[serde(skip)]
    purpose_title: &'static str,
    /// Who has answered for the patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    delegate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    text: String,
}

impl From<&InboxEvent> for Event {
    fn from(event: &InboxEvent) -> Self {
        Self {
            id: event.number,
            at: timestamp(event.at),
            at_ms: event.at,
            kind: event.kind.as_str(),
            request_id: event.request_id.map(|id| id.to_string()),
            permission_id: event.permission_id.map(|id| id.to_string()),
            record_id: event.record_id.map(|id| id.to_string()),
            from: party_id(&event.from),
            from_name: party_name(&event.from),
            from_looks_like: Vec::new(),
            to: event.to.as_ref().map(party_id),
            to_name: event.to.as_ref().and_then(party_name),
            to_looks_like: Vec::new(),
            purpose: event.purpose.map(Purpose::code),
            purpose_title: event.purpose.map(Purpose::title).unwrap_or_default(),
            delegate: event.delegate.map(|id| id.to_string()),
            bytes: event.bytes,
            text: event.text.clone().unwrap_or_default(),
        }
    }
}

fn party_id(party: &Party) -> String {
    match party {
        Party::Patient(id) => id.to_string(),
        Party::Institution { id, .. } => id.to_string(),
        Party::Server => "server".to_owned(),
    }
}

fn party_name(party: &Party) -> Option<String> {
    match party {
        Party::Institution { name, .. } => Some(name.clone()),
        Party::Patient(_) | Party::Server => None,
    }
}

fn party_alike(alike: &LookAlikes, party: Option<&Party>) -> Vec<String> {
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
        let mut block = format!("#{}  {}  {}\n", self.id, moment(self.at_ms), self.kind);
        let mut line = |what: &str, value: &str| {
            let _ = writeln!(block, "    {what:<10}  {value}");
        };
        line(
            "from",
            &named(&self.from, self.from_name.as_deref(), &self.from_looks_like),
        );
        if let Some(to) = &self.to {
            line("to", &named(to, self.to_name.as_deref(), &self.to_looks_like));
        }
        for (what, id) in [
            ("request", &self.request_id),
            ("permission", &self.permission_id),
            ("record", &self.record_id),
        ] {
            if let Some(id) = id {
                line(what, id);
            }
        }
        if let Some(code) = self.purpose {
            line("purpose", &format!("{code} ({})", self.purpose_title));
        }
        if let Some(delegate) = &self.delegate {
            line("delegate", delegate);
        }
        if let Some(bytes) = self.bytes {
            line("bytes", &size(bytes));
        }
        if !self.text.is_empty() {
            let lines: Vec<String> = self.text.lines().map(plain).collect();
            line("text", &lines.join("\n                "));
        }
        block
    }
}

fn named(id: &str, name: Option<&str>, looks_like: &[String]) -> String {
    let named = name.map_or_else(|| id.to_owned(), |name| format!("{} ({id})", plain(name)));
    named + &marks(looks_like)
}

#[cfg(test)]
mod tests {
    use client_sdk::{EventKind, InstitutionId, PermissionId, RequestId};
    use serde_json::json;

    use super::*;

    fn permission() -> InboxEvent {
        InboxEvent {
            number: 7,
            at: 1_700_000_000_000,
            kind: EventKind::Permission,
            from: Party::Institution {
                id: InstitutionId::from_bytes([1; 32]),
                name: "St. Anna".to_owned(),
            },
            request_id: Some(RequestId::from_bytes([2; 16])),
            permission_id: Some(PermissionId::from_bytes([3; 16])),
            record_id: None,
            to: None,
            purpose: Some(Purpose::TREAT),
            delegate: None,
            bytes: None,
            text: Some("a\u{1b}b\n#8".to_owned()),
        }
    }

    #[test]
    fn json_has_the_promised_fields_and_leaves_out_what_is_not_there() {
        let inbox = Inbox {
            events: vec![Event::from(&permission())],
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
        let block = Event::from(&permission()).block();
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
        let other = InstitutionId::from_bytes([9; 32]).to_string();
        let event = Event {
            from_looks_like: vec![other.clone()],
            ..Event::from(&permission())
        };
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
