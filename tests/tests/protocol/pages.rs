//! An operator that leads a client around: lists whose pages stand still, go back, or never end (API-21,
//! API-22).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{defence::Defence, messages as pb};
use tests::{
    attack::play,
    harness::{Cli, Liar, World, text},
};

use super::{collections::Scene, institutions_cli::terminal};

/// Asked so often, a client would go on asking.
const AROUND: u64 = 30;

/// Each reading is given up at the second page; a command reads a list a few times.
const SOON: u64 = 8;

/// A cursor of every kind of id, as far back as one can be.
const FIRST: [u8; 32] = [1; 32];

/// What a list says where it goes on.
trait Listed: Message + Default {
    fn stand_still(&mut self);
}

macro_rules! listed {
    ($($page:ident: $field:ident = $cursor:expr;)*) => {
        $(impl Listed for pb::$page {
            fn stand_still(&mut self) {
                self.$field = $cursor;
            }
        })*
    };
}

listed! {
    DelegatedKeyPage: next = 1;
    EntryPage: next = 1;
    HistoryPage: next = 1;
    ReleasedPage: next = 1;
    WrapPage: next = 1;
    DelegationPage: next = Bytes::from_static(&FIRST[..16]);
    PermissionList: next = Bytes::from_static(&FIRST[..16]);
    ReleaseList: next = Bytes::from_static(&FIRST[..16]);
    ReleasedRanges: next = Bytes::from_static(&FIRST[..16]);
    RequestPage: next = Bytes::from_static(&FIRST[..16]);
    TerminalPage: next = Bytes::from_static(&FIRST);
}

/// Records that are placed go on by number, those that are not by id: one that is asked for the one list
/// looks at that cursor alone.
impl Listed for pb::VaultPage {
    fn stand_still(&mut self) {
        self.next_number = 1;
        self.next = Bytes::from_static(&FIRST[..16]);
    }
}

/// One list: which answers it is in, and a command that reads it.
struct List<'a> {
    /// The path contains all of these.
    path: &'a [&'a str],
    reader: &'a Cli,
    command: &'a [&'a str],
}

impl List<'_> {
    /// Whether a reader without these defences is led around. The server tells the truth after a while, so
    /// that this ends.
    fn leads_around<M: Listed>(&self, liar: &Liar, without: &[Defence]) -> Result<bool> {
        let asked = Arc::new(AtomicU64::new(0));
        let path: Vec<String> = self.path.iter().map(ToString::to_string).collect();
        let (count, parts) = (asked.clone(), path.clone());
        liar.tell(move |asked, body| {
            let is_this = parts.iter().all(|part| asked.contains(part.as_str()));
            match M::decode(body.clone()) {
                Ok(mut page) if is_this && count.fetch_add(1, Ordering::SeqCst) < AROUND => {
                    page.stand_still();
                    page.encode_to_vec().into()
                }
                _ => body,
            }
        });
        let count = asked.clone();
        // Some of the cursors are of nothing that the server has: it need not be asked what is behind them.
        liar.take(move |asked, _| {
            let is_this = path.iter().all(|part| asked.contains(part.as_str()));
            let behind = asked.contains("after=req_") && is_this;
            (behind && count.fetch_add(1, Ordering::SeqCst) < AROUND).then(|| {
                let mut page = M::default();
                page.stand_still();
                page.encode_to_vec().into()
            })
        });
        let output = self.reader.without(without).command(self.command)?.output()?;
        liar.be_honest();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let asked = asked.load(Ordering::SeqCst);
        ensure!(
            asked > 0,
            "{:?} does not read {:?}: {said}",
            self.command,
            self.path
        );
        if without.is_empty() {
            ensure!(!output.status.success(), "{:?} succeeds: {said}", self.command);
            ensure!(said.contains("does not go on behind"), "{:?}: {said}", self.path);
            ensure!(asked <= SOON, "{:?} is asked {asked} times", self.path);
        }
        Ok(asked >= AROUND)
    }
}

/// API-21, ATK-65: every list whose pages say where it goes on says that it goes on where it was.
#[test]
fn no_list_leads_around_in_circles() -> Result<()> {
    play(&[Defence::Pages], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let (mother, mother_id) = world.patient("mother")?;
        let scene = Scene::in_world(world)?;
        let (patient, clinic) = (&scene.patient, &scene.clinic);
        scene.record("heart")?;
        let added = patient.run(&[
            "delegate",
            "add",
            &mother_id,
            "--name",
            "Mother",
            "--power",
            "permit",
            "--expires",
            "1d",
        ])?;
        mother.run(&["delegate", "accept", &text(&added, "delegation_id")?])?;
        let permission = scene.permit("default", &[])?;
        scene.fetch(&permission)?;
        let other = scene.permit("default", &[])?;
        scene.request()?;
        let out = |name: &str| scene.world.path(name).display().to_string();
        let (case, fetched) = (out("case.pb"), out("fetched"));
        let of = scene.patient_id.as_str();

        let list = |path: &'static [&'static str], reader, command| List {
            path,
            reader,
            command,
        };
        let led = [
            list(&["/v1/vault/permissions"], patient, &["permissions"])
                .leads_around::<pb::PermissionList>(&liar, without)?,
            list(&["/v1/vault/delegations"], patient, &["delegate", "list"])
                .leads_around::<pb::DelegationPage>(&liar, without)?,
            list(&["/v1/delegations"], &mother, &["delegate", "list"])
                .leads_around::<pb::DelegationPage>(&liar, without)?,
            list(
                &["/v1/delegated-requests"],
                &mother,
                &["inbox", "--acting-for", of],
            )
            .leads_around::<pb::RequestPage>(&liar, without)?,
            list(&["/v1/delegated-keys"], &mother, &["records", "--acting-for", of])
                .leads_around::<pb::DelegatedKeyPage>(&liar, without)?,
            list(&["/v1/vault/records?"], &mother, &["records", "--acting-for", of])
                .leads_around::<pb::VaultPage>(&liar, without)?,
            list(&["/v1/vault/records?"], patient, &["records"])
                .leads_around::<pb::VaultPage>(&liar, without)?,
            list(
                &["/v1/directory/", "/entries"],
                patient,
                &["history", "--export", &case, "--permission", &permission],
            )
            .leads_around::<pb::EntryPage>(&liar, without)?,
            list(
                &["/v1/releases/", "/records?"],
                clinic,
                &["download", "fetch", &other, "--out", &fetched],
            )
            .leads_around::<pb::ReleasedPage>(&liar, without)?,
            list(
                &["/v1/vault/releases/", "/ranges"],
                patient,
                &["revoke", &permission],
            )
            .leads_around::<pb::ReleasedRanges>(&liar, without)?,
            list(
                &["/v1/vault/permissions/", "/releases"],
                patient,
                &["revoke", &permission],
            )
            .leads_around::<pb::ReleaseList>(&liar, without)?,
            list(&["/v1/vault/wraps"], patient, &["revoke", &other])
                .leads_around::<pb::WrapPage>(&liar, without)?,
        ];
        // All or none: a list that is read in another way would hide behind the others.
        let all = led.iter().all(|led| *led);
        ensure!(all || !led.contains(&true), "{led:?}");
        Ok(all)
    })
}

/// API-21: the history is also counted, so that a page that comes again is one with entries out of order.
#[test]
fn the_history_does_not_lead_around_in_circles() -> Result<()> {
    let (world, liar) = World::start_behind_liar()?;
    let scene = Scene::in_world(world)?;
    scene.permit("default", &[])?;
    let history = List {
        path: &["/v1/vault/history"],
        reader: &scene.patient,
        command: &["history"],
    };
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    liar.tell_of("/v1/vault/history", move |mut page: pb::HistoryPage| {
        count.fetch_add(1, Ordering::SeqCst);
        page.stand_still();
        page
    });
    let refused = history.reader.fail(history.command)?;
    assert_eq!(refused.json["error"]["code"], "tampered", "{refused:?}");
    assert!(asked.load(Ordering::SeqCst) <= SOON);
    Ok(())
}

/// API-21, ATK-65: an institution's own list.
#[test]
fn the_list_of_terminals_does_not_lead_around_in_circles() -> Result<()> {
    play(&[Defence::Pages], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let (hospital, id) = world.institution("St. Anna")?;
        terminal(&world, &hospital, &id, "Ward 3")?;
        let list = List {
            path: &["/v1/institutions/terminals"],
            reader: &hospital,
            command: &["institution", "terminal", "list"],
        };
        list.leads_around::<pb::TerminalPage>(&liar, without)
    })
}

/// API-22, ATK-65: pages that go on, each behind the last, and bring nothing.
#[test]
fn a_list_that_goes_on_for_ever_is_given_up() -> Result<()> {
    const PAGES: u64 = 1100;
    play(&[Defence::Pages], |without| {
        let (world, liar) = World::start_behind_liar()?;
        let (patient, _) = world.patient("patient")?;
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        liar.tell(move |path, body| {
            if !path.starts_with("/v1/vault/delegations") {
                return body;
            }
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let id = u128::from(number) << 64;
            let next = match number {
                ..PAGES => Bytes::copy_from_slice(&id.to_be_bytes()),
                _ => Bytes::new(),
            };
            let page = pb::DelegationPage {
                next,
                ..pb::DelegationPage::default()
            };
            page.encode_to_vec().into()
        });
        let output = patient
            .without(without)
            .command(&["delegate", "list"])?
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let asked = asked.load(Ordering::SeqCst);
        let defended = without.is_empty();
        ensure!(output.status.success() != defended, "after {asked} pages: {said}");
        ensure!(
            !defended || said.contains("more pages than there can be"),
            "{said}"
        );
        Ok(asked == PAGES)
    })
}
