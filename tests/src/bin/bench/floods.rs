//! Floods by one address beside six honest clients, each at an address of its own: what these see, without the flood and with it.
//! Attacker, clients and server share this one machine, so a flood costs them processor time that a real one would not.

mod attackers;

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use protocol_spec::defence::Defence;
use serde_json::{Value, json};
use tests::raw::{Answer, RawPatient, RawWorld, Wire};
use tokio::{task::JoinSet, time::timeout};

use self::attackers::Flood;
use crate::samples::Samples;

/// Clients beside the flood.
const HONEST: u8 = 6;
/// From one question of a client to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// Who has no answer by then was refused.
const PATIENCE: Duration = Duration::from_secs(20);

/// Each flood for so many seconds; `controls`: also against a server without the one defence.
pub(crate) fn measure(seconds: u64, controls: bool) -> Result<Value> {
    attackers::allow_many_files()?;
    let mut figures = json!({});
    for flood in Flood::ALL {
        let mut add = |under: &str, seen: Value| {
            if let Some(map) = figures.as_object_mut() {
                map.insert(format!("{}, {under}", flood.name()), seen);
            }
        };
        add("quiet", run(flood, &[], None)?);
        add("flooded", run(flood, &[], Some(seconds))?);
        if controls {
            add(
                "flooded, without the defence",
                run(flood, &[flood.defence()], Some(seconds))?,
            );
        }
    }
    Ok(figures)
}

/// Without seconds: without the flood, for three of them.
fn run(flood: Flood, off: &[Defence], seconds: Option<u64>) -> Result<Value> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let (honest, hostile) = (runtime()?, runtime()?);
    let world = honest.block_on(RawWorld::start_with(flood.flags(), off))?;
    let clients = honest.block_on(clients(&world))?;
    let attack = match seconds {
        Some(_) => Some(hostile.block_on(flood.begin(&world.wire))?),
        None => None,
    };
    // What is taken at the beginning is taken.
    std::thread::sleep(Duration::from_secs(2));
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(3));
    let seen = honest.block_on(ask(clients, end))?;
    drop(attack);
    hostile.shutdown_background();
    Ok(seen.figures())
}

/// One with an account and an address of his own.
struct Client {
    wire: Wire,
    patient: RawPatient,
}

async fn clients(world: &RawWorld) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for number in 0..HONEST {
        let wire = world
            .wire
            .from_address(IpAddr::V4(Ipv4Addr::new(127, 0, 20 + number, 1)))?;
        let patient = RawPatient::enrol(&wire).await?;
        clients.push(Client { wire, patient });
    }
    Ok(clients)
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    public: Samples,
    signed: Samples,
    refused: usize,
    asked: usize,
}

impl Seen {
    fn figures(&self) -> Value {
        json!({
            "directory p50 ms": self.public.median(),
            "directory p95 ms": self.public.quantile(0.95),
            "history p50 ms": self.signed.median(),
            "history p95 ms": self.signed.quantile(0.95),
            "refused": self.refused,
            "asked": self.asked,
        })
    }
}

/// All clients ask until the end: the directory, which anybody may read, and a long page of their own; on a new connection each time.
async fn ask(clients: Vec<Client>, end: Instant) -> Result<Seen> {
    let mut asking = JoinSet::new();
    for client in clients {
        asking.spawn(async move {
            let mut asked = Vec::new();
            while Instant::now() < end {
                let public = timed(client.wire.ask("/v1/directory/events?limit=10")).await;
                let signed = timed(client.patient.get(&client.wire, "/v1/vault/history")).await;
                asked.push((public, signed));
                tokio::time::sleep(PAUSE).await;
            }
            asked
        });
    }
    let mut seen = Seen::default();
    while let Some(asked) = asking.join_next().await {
        for (public, signed) in asked.context("a client")? {
            for (took, samples) in [(public, &mut seen.public), (signed, &mut seen.signed)] {
                seen.asked += 1;
                match took {
                    Some(millis) => samples.add(millis),
                    None => seen.refused += 1,
                }
            }
        }
    }
    Ok(seen)
}

/// Milliseconds, unless it was refused.
async fn timed(answer: impl Future<Output = Result<Answer>>) -> Option<f64> {
    let started = Instant::now();
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) if answer.status.is_success() => Some(started.elapsed().as_secs_f64() * 1e3),
        _ => None,
    }
}
