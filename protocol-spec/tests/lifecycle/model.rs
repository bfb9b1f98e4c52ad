//! The model: a server's ledger and clock, two institutions, two devices, and transactions that overlap.
//!
//! As in the server, a transaction reads rows, decides by `protocol_spec::lifecycle`, and commits only if the rows that
//! it has read are still the same. What the model adds is who may do what when: everything, at any time.

use std::hash::Hash;

use protocol_spec::{
    collection::{Collection, CollectionSelector, check_current, check_next},
    ids::CollectionId,
    lifecycle::{Floor, Judgement, Meter, Presented, Rules, session_end},
    permission::{PermissionBody, Replaces},
    problem::Problem,
};
use stateright::{Model, Property};

use crate::world;

/// Permissions of the model: 0 is the first institution's, by the first device; 1 the second institution's, by the
/// second device; 2 takes the place of 0, by the second device.
pub(crate) const PERMISSIONS: usize = 3;
const REPLACES: (usize, usize) = (2, 0);
/// The ledger's last row: the collection.
const COLLECTION: usize = PERMISSIONS;
const ID: CollectionId = CollectionId::DEFAULT;
/// No version of a row.
const OUTDATED: u8 = u8::MAX;

/// What is explored, and which rules are kept.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) bodies: Vec<PermissionBody>,
    pub(crate) rules: Rules,
    /// A commit checks what its transaction has read.
    pub(crate) commit_checks: bool,
    /// A deadline that has passed is written before anybody is told.
    pub(crate) durable_floor: bool,
    /// A permission is over the current epoch (COL-6), and gives what is wrapped under it (COL-7).
    pub(crate) epochs: bool,
    /// Transactions at once.
    pub(crate) in_flight: usize,
    /// The permissions that are given.
    pub(crate) given: &'static [usize],
    /// The clock says 0 to this.
    pub(crate) latest: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    clock: u64,
    floor: Floor,
    /// Rows of permissions, then the collection's, each with its version.
    ledger: [(Option<Row>, u8); PERMISSIONS + 1],
    in_flight: Vec<Transaction>,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    Permission {
        meter: Meter,
        epoch: u64,
        /// Its newest session, as long as it is open.
        session: Option<Session>,
    },
    /// Its current epoch, and the one under which the key of its record is wrapped.
    Collection { epoch: u64, wrapped: u64 },
}

/// A release that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Session {
    ends: u64,
    /// It has handed out the record, and spent its use.
    brought: bool,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A transaction reads and decides.
    Begin(Deed),
    /// The transaction of this number commits, or finds that it must not.
    Commit(usize),
    /// The clock is set, forwards or back.
    Clock(u64),
    /// The process ends and starts again.
    Restart,
}

/// What somebody asks the server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    /// A device gives a permission, over the collection in the epoch that it knows.
    Issue(usize, u64),
    /// A device gives one in the place of another, of which it has seen so much left.
    Replace(u32, u64),
    /// The institution presents it.
    Present(usize),
    /// It asks for the record, of one byte, in its session.
    Use(usize),
    /// Its session ends: it is closed, or its time is over.
    End(usize),
    /// A device takes it back.
    Revoke(usize),
    /// A device opens the next epoch.
    Rekey,
    /// A device wraps the record's key under the current epoch.
    Rewrap,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Transaction {
    deed: Deed,
    reads: [Option<u8>; PERMISSIONS + 1],
    writes: [Option<Row>; PERMISSIONS + 1],
    /// The record was handed out in this session before.
    again: bool,
    /// Whether, when it began, the permission's time was over or had not begun, or somebody had been told that it was.
    too_late: bool,
}

/// What an onlooker notes, who knows no rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    uses: [u32; PERMISSIONS],
    bytes: [u64; PERMISSIONS],
    /// Revoked or replaced, and acknowledged.
    ended: [bool; PERMISSIONS],
    told_over: [bool; PERMISSIONS],
    /// Something was granted or released under a permission that was not live.
    without_live: bool,
    /// A permission was taken over an epoch that was not the current one, or gave a record of another epoch.
    wrong_epoch: bool,
}

impl Vault {
    pub(crate) fn new() -> Self {
        Self {
            bodies: world::permissions(),
            rules: Rules {
                tries: 2,
                ..Rules::ALL
            },
            commit_checks: true,
            durable_floor: true,
            epochs: true,
            in_flight: 2,
            given: &[0, 1, 2],
            latest: 2,
        }
    }

    fn gives(&self, permission: usize) -> bool {
        self.given.contains(&permission)
    }

    /// Whether the time of a permission has passed; if so, that is written.
    fn has_passed(&self, state: &mut State, deadline: u64) -> bool {
        let judgement = state.floor.judge(state.clock, deadline, &self.rules);
        if let (Judgement::PassedOnceWritten(at), true) = (judgement, self.durable_floor) {
            state.floor.written(at);
        }
        judgement.passed()
    }

    /// Reads and decides. A refusal changes nothing but what is known of the time.
    fn begin(&self, state: &mut State, deed: Deed) -> Result<(), Problem> {
        let mut tx = Transaction {
            deed,
            reads: [None; PERMISSIONS + 1],
            writes: [None; PERMISSIONS + 1],
            again: false,
            too_late: false,
        };
        match deed {
            Deed::Issue(permission, epoch) => self.issue(state, &mut tx, permission, epoch)?,
            Deed::Replace(uses_left, bytes_left) => {
                let (new, old) = REPLACES;
                let (meter, epoch, session) = tx.permission(state, old)?;
                let over = self.has_passed(state, self.bodies[old].not_after);
                let seen = Replaces {
                    permission_id: self.bodies[old].permission_id,
                    permission_hash: self.bodies[old].request_hash,
                    uses_left,
                    bytes_left,
                    signed_again: false,
                };
                let meter = meter.replace(&seen, over)?;
                tx.writes[old] = Some(Row::Permission {
                    meter,
                    epoch,
                    session,
                });
                let (current, _) = tx.collection(state);
                self.issue(state, &mut tx, new, current)?;
            }
            Deed::Present(permission) => {
                let body = &self.bodies[permission];
                let (meter, epoch, _) = tx.permission(state, permission)?;
                let begun = state.floor.clone().now(state.clock) >= body.not_before;
                tx.too_late = !begun || self.is_too_late(state, permission);
                let presented = Presented {
                    over: self.has_passed(state, body.not_after),
                    now: state.floor.now(state.clock),
                    purpose: body.purpose,
                };
                let meter = meter.present(body, presented, &self.rules);
                state.note(permission, meter.err());
                let session = Some(Session {
                    ends: session_end(presented.now, u64::MAX, body),
                    brought: false,
                });
                tx.writes[permission] = Some(Row::Permission {
                    meter: meter?,
                    epoch,
                    session,
                });
            }
            Deed::Use(permission) => {
                let (meter, epoch, session) = tx.permission(state, permission)?;
                let Session { ends, brought } = session.ok_or(Problem::ReleaseClosed)?;
                tx.too_late = self.is_too_late(state, permission);
                meter.check_not_ended(&self.rules)?;
                if self.has_passed(state, ends) {
                    state.note(permission, Some(Problem::PermissionExpired));
                    return Err(Problem::ReleaseClosed);
                }
                let selector = CollectionSelector {
                    collection: Collection { id: ID, epoch },
                    until: None,
                };
                let (_, wrapped) = tx.collection(state);
                let there = selector.covers(ID, 1) && wrapped == epoch;
                if self.epochs && !there {
                    return Err(Problem::NotPermitted);
                }
                tx.again = brought;
                let meter = match brought {
                    true => meter,
                    false => meter.spend(1, &self.rules)?.bring(0),
                };
                let session = Some(Session { ends, brought: true });
                tx.writes[permission] = Some(Row::Permission {
                    meter,
                    epoch,
                    session,
                });
            }
            Deed::End(permission) => {
                let (meter, epoch, session) = tx.permission(state, permission)?;
                let Session { brought, .. } = session.ok_or(Problem::ReleaseClosed)?;
                let meter = if brought { meter } else { meter.give_back(0) };
                tx.writes[permission] = Some(Row::Permission {
                    meter,
                    epoch,
                    session: None,
                });
            }
            Deed::Revoke(permission) => {
                let (meter, epoch, session) = tx.permission(state, permission)?;
                let meter = meter.revoke().ok_or(Problem::AlreadyExists)?;
                tx.writes[permission] = Some(Row::Permission {
                    meter,
                    epoch,
                    session,
                });
            }
            Deed::Rekey => {
                let (epoch, wrapped) = tx.collection(state);
                check_next(Some(epoch), epoch + 1)?;
                let epoch = epoch + 1;
                tx.writes[COLLECTION] = Some(Row::Collection { epoch, wrapped });
            }
            Deed::Rewrap => {
                let (epoch, _) = tx.collection(state);
                tx.writes[COLLECTION] = Some(Row::Collection {
                    epoch,
                    wrapped: epoch,
                });
            }
        }
        state.in_flight.push(tx);
        Ok(())
    }

    fn issue(
        &self,
        state: &mut State,
        tx: &mut Transaction,
        permission: usize,
        epoch: u64,
    ) -> Result<(), Problem> {
        let body = &self.bodies[permission];
        tx.reads[permission] = Some(state.ledger[permission].1);
        if state.ledger[permission].0.is_some() {
            return Err(Problem::AlreadyExists);
        }
        if self.has_passed(state, body.not_after) {
            return Err(Problem::PermissionExpired);
        }
        let (current, _) = tx.collection(state);
        if self.epochs {
            check_current(Some(current), epoch)?;
        }
        let meter = Meter::of(body);
        tx.writes[permission] = Some(Row::Permission {
            meter,
            epoch,
            session: None,
        });
        Ok(())
    }

    /// As an onlooker sees it, by the server's time. A session that has begun goes on when a restart forgets how late it
    /// was, until the end that somebody was told.
    fn is_too_late(&self, state: &State, permission: usize) -> bool {
        let now = state.floor.clone().now(state.clock);
        now >= self.bodies[permission].not_after || state.seen.told_over[permission]
    }

    fn commit(&self, state: &mut State, number: usize) {
        let tx = state.in_flight.remove(number);
        let read = |(read, row): (&Option<u8>, &(Option<Row>, u8))| read.is_none_or(|read| read == row.1);
        let unchanged = tx.reads.iter().zip(&state.ledger).all(read);
        if self.commit_checks && !unchanged {
            return;
        }
        tx.observe(state);
        for (row, written) in state.ledger.iter_mut().zip(tx.writes) {
            if written.is_some() {
                *row = (written, row.1 + 1);
            }
        }
        state.forget_versions();
    }
}

impl Transaction {
    fn permission(
        &mut self,
        state: &State,
        permission: usize,
    ) -> Result<(Meter, u64, Option<Session>), Problem> {
        let (row, version) = state.ledger[permission];
        self.reads[permission] = Some(version);
        match row {
            Some(Row::Permission {
                meter,
                epoch,
                session,
            }) => Ok((meter, epoch, session)),
            _ => Err(Problem::NotPermitted),
        }
    }

    fn collection(&mut self, state: &State) -> (u64, u64) {
        self.reads[COLLECTION] = Some(state.ledger[COLLECTION].1);
        state.collection()
    }

    /// What an onlooker sees when this commits.
    fn observe(&self, state: &mut State) {
        let (current, wrapped) = state.collection();
        let seen = &mut state.seen;
        let of = |permission: usize| match self.writes[permission] {
            Some(Row::Permission { epoch, .. }) => epoch,
            _ => u64::MAX,
        };
        match self.deed {
            Deed::Issue(permission, _) => seen.wrong_epoch |= of(permission) != current,
            Deed::Replace(..) => {
                seen.ended[REPLACES.1] = true;
                seen.wrong_epoch |= of(REPLACES.0) != current;
            }
            Deed::Present(permission) => {
                seen.without_live |= self.too_late || seen.ended[permission];
            }
            // What comes again tells nobody anything new.
            Deed::Use(permission) => {
                seen.uses[permission] += u32::from(!self.again);
                seen.bytes[permission] += u64::from(!self.again);
                seen.without_live |= self.too_late || seen.ended[permission];
                seen.wrong_epoch |= of(permission) != wrapped;
            }
            Deed::Revoke(permission) => seen.ended[permission] = true,
            Deed::End(_) | Deed::Rekey | Deed::Rewrap => {}
        }
    }
}

impl State {
    fn collection(&self) -> (u64, u64) {
        match self.ledger[COLLECTION].0 {
            Some(Row::Collection { epoch, wrapped }) => (epoch, wrapped),
            _ => (0, 0),
        }
    }

    fn meter(&self, permission: usize) -> Option<Meter> {
        match self.ledger[permission].0 {
            Some(Row::Permission { meter, .. }) => Some(meter),
            _ => None,
        }
    }

    /// Of a row's version it only matters who has read the present one. So it is 0 again, and what was read before never comes back: else
    /// a session that hands out the same again would make new states without end.
    fn forget_versions(&mut self) {
        for (number, (_, version)) in self.ledger.iter_mut().enumerate() {
            for tx in &mut self.in_flight {
                if let Some(read) = &mut tx.reads[number] {
                    *read = if *read == *version { 0 } else { OUTDATED };
                }
            }
            *version = 0;
        }
    }

    /// Somebody was told why not.
    fn note(&mut self, permission: usize, refusal: Option<Problem>) {
        self.seen.told_over[permission] |= refusal == Some(Problem::PermissionExpired);
    }
}

impl Model for Vault {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let collection = Row::Collection { epoch: 0, wrapped: 0 };
        vec![State {
            clock: 0,
            floor: Floor::load(0),
            ledger: [(None, 0), (None, 0), (None, 0), (Some(collection), 0)],
            in_flight: Vec::new(),
            seen: Seen::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Event>) {
        actions.extend((0..state.in_flight.len()).map(Event::Commit));
        actions.extend(
            (0..=self.latest)
                .filter(|at| *at != state.clock)
                .map(Event::Clock),
        );
        actions.push(Event::Restart);
        if state.in_flight.len() >= self.in_flight {
            return;
        }
        let (epoch, wrapped) = state.collection();
        for &permission in self.given {
            let begin = |deed| Event::Begin(deed);
            if state.meter(permission).is_none() {
                if permission != REPLACES.0 {
                    actions.extend((0..=epoch).map(|known| begin(Deed::Issue(permission, known))));
                }
                continue;
            }
            actions.extend(
                [
                    Deed::Present(permission),
                    Deed::Use(permission),
                    Deed::End(permission),
                    Deed::Revoke(permission),
                ]
                .map(begin),
            );
        }
        let replaceable = state.meter(REPLACES.0).is_none() && state.meter(REPLACES.1).is_some();
        if replaceable && self.gives(REPLACES.0) {
            let body = &self.bodies[REPLACES.1];
            for (uses, bytes) in [(body.uses, body.bytes), (0, body.bytes), (0, 0)] {
                actions.push(Event::Begin(Deed::Replace(uses, bytes)));
            }
        }
        if epoch == 0 {
            actions.push(Event::Begin(Deed::Rekey));
        }
        if wrapped < epoch {
            actions.push(Event::Begin(Deed::Rewrap));
        }
    }

    fn next_state(&self, last: &State, event: Event) -> Option<State> {
        let mut state = last.clone();
        match event {
            // A refusal is an answer as well: what it noted of the time stays.
            Event::Begin(deed) => drop(self.begin(&mut state, deed)),
            Event::Commit(number) => self.commit(&mut state, number),
            Event::Clock(at) => state.clock = at,
            Event::Restart => {
                state.floor = state.floor.restarted();
                state.in_flight.clear();
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_RELEASE, |_, state: &State| !state.seen.without_live),
            Property::always(NO_DOUBLE_SPEND, |model: &Self, state: &State| {
                let within = |permission: usize| {
                    let body = &model.bodies[permission];
                    let unspent = state.meter(permission).map_or(0, |meter| meter.uses());
                    state.seen.uses[permission] + unspent <= body.uses
                        && state.seen.bytes[permission] <= body.bytes
                };
                (0..PERMISSIONS).all(within)
            }),
            Property::always(NO_RETURN, |model: &Self, state: &State| {
                let stays = |permission: usize| {
                    let ended = state
                        .meter(permission)
                        .is_some_and(|meter| meter.revoked || meter.replaced);
                    let over = state.floor.clone().now(0) >= model.bodies[permission].not_after;
                    (!state.seen.ended[permission] || ended) && (!state.seen.told_over[permission] || over)
                };
                (0..PERMISSIONS).all(stays)
            }),
            Property::always(EPOCHS, |_, state: &State| !state.seen.wrong_epoch),
            Property::sometimes("each institution has received", |model: &Self, state: &State| {
                state.seen.bytes[0] > 0 && (state.seen.bytes[1] > 0 || !model.gives(1))
            }),
            Property::sometimes("a use is free again", |model: &Self, state: &State| {
                let again = |meter: Meter| meter.presented > 0 && meter.uses_left == model.bodies[0].uses;
                state.meter(0).is_some_and(again)
            }),
            Property::sometimes(
                "a new permission is used after the old one was",
                |model: &Self, state: &State| {
                    let new = state.seen.bytes[REPLACES.0] > 0 || !model.gives(REPLACES.0);
                    state.seen.bytes[REPLACES.1] > 0 && new
                },
            ),
            Property::sometimes(
                "one is revoked while it is presented",
                |model: &Self, state: &State| {
                    let presenting =
                        |tx: &Transaction| matches!(tx.deed, Deed::Present(0)) && state.seen.ended[0];
                    model.in_flight < 2 || state.in_flight.iter().any(presenting)
                },
            ),
            Property::sometimes(
                "somebody is told that it is over, and the clock goes back",
                |_, state: &State| state.seen.told_over[0] && state.clock == 0,
            ),
            Property::sometimes(
                "a record is released in the second epoch",
                |model: &Self, state: &State| {
                    let released = |of: &usize| state.seen.bytes[*of] > 0 && state.meter(*of).is_some();
                    state.collection() == (1, 1) && model.given.iter().any(released)
                },
            ),
        ]
    }
}

pub(crate) const NO_RELEASE: &str = "no release without a live permission";
pub(crate) const NO_DOUBLE_SPEND: &str = "no double spend";
pub(crate) const NO_RETURN: &str = "no permission comes back to life";
pub(crate) const EPOCHS: &str = "a permission is for one epoch";
