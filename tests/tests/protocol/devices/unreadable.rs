//! What a thief's device seals as a name, the server cannot look into. It must neither keep her from removing the device and all
//! that it has given, nor keep from her what it does (DEV-25).

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use protocol_spec::{
    collection::Collection, conditions::Conditions, defence::Defence, delegation::SealedName,
    directory::Institution, hash::Sha256Digest, ids::CollectionId, messages as pb, statement::Signed,
};
use tests::{
    attack::play_async,
    harness::text,
    raw::{RawPatient, Wire, now_ms, random},
};

use super::{array, listed, stolen::Theft};
use crate::{collections::Scene, recovery::kit};

/// As long as a sealed name is that was made well.
const NAME: usize = 136;

/// The thief at the device that he has stolen, and with a member of his own that says what he likes.
struct Thief {
    theft: Theft,
    member: RawPatient,
    wire: Wire,
}

impl Thief {
    async fn begin(off: &[Defence]) -> Result<Self> {
        let theft = Theft::begin(off)?;
        let (words, _) = kit(theft.stolen(), &theft.scene.world.path("thief.pdf"))?;
        let wire = Wire::connect(theft.scene.world.server.link()).await?;
        let member = RawPatient::by_words(&wire, &words).await?;
        Ok(Self { theft, member, wire })
    }

    /// Gives a listed device a name that is none.
    async fn garble(&mut self, place: usize) -> Result<()> {
        let name = garbage()?;
        let relisted = self.member.relist(&self.wire, |list| {
            if let Some(device) = list.devices.get_mut(place) {
                device.sealed_name = name;
            }
        });
        relisted.await
    }

    /// Adds a device that nobody has, under a name that is none.
    async fn add_nameless(&mut self) -> Result<()> {
        let name = garbage()?;
        let (added, message) = self.member.adding(|list| {
            if let Some(device) = list.devices.last_mut() {
                device.sealed_name = name;
            }
        })?;
        let answer = self.member.change(&self.wire, &message).await?;
        answer.message::<pb::Accepted>()?;
        self.member.list = added.actor.list;
        Ok(())
    }

    /// Makes an account of his own her delegate, with what the statement says of the name.
    async fn delegate(&self, epoch: u64) -> Result<()> {
        let account = RawPatient::enrol(&self.wire).await?;
        let name = SealedName::try_from(garbage()?.to_vec())?;
        let delegated = self.member.delegate(&self.wire, &account, |body| {
            body.sealed_name = name;
            body.root_epoch = epoch;
        });
        delegated.await.map(drop)
    }

    fn told(&self) -> Result<String> {
        let output = self.theft.tablet.command(&["device", "list"])?.output()?;
        Ok(String::from_utf8(output.stderr)?)
    }
}

/// An institution as the directory has it.
async fn listed_institution(wire: &Wire, id: &str) -> Result<Institution> {
    let page = wire.ask(&format!("/v1/directory/{id}/entries")).await?;
    let page: pb::EntryPage = page.message()?;
    let entry = page.entries.into_iter().next().context("no entry")?;
    let (keys, accreditation) = (
        Signed::try_from(entry.keys)?,
        Signed::try_from(entry.accreditation)?,
    );
    let (registrar, operator) = (&wire.registrar_key, wire.operator_id());
    Ok(Institution::verify(keys, accreditation, registrar, operator)?)
}

fn garbage() -> Result<Bytes> {
    Ok(Bytes::copy_from_slice(&random::<NAME>()?))
}

/// After this she removes the stolen device: it goes with all that it has given, and everything can be looked at again.
async fn keep_it(attack: impl AsyncFn(&mut Thief) -> Result<()>) -> Result<()> {
    play_async(&[Defence::ForeignNames], async |off| {
        let mut thief = Thief::begin(off).await?;
        attack(&mut thief).await?;
        let tablet = &thief.theft.tablet;
        let lost = ["device", "remove", "first device", "--lost"];
        let removed = tablet.command(&lost)?.output()?;
        if !removed.status.success() {
            ensure!(!off.is_empty(), "{}", String::from_utf8_lossy(&removed.stderr));
            return Ok(true);
        }
        ensure!(listed(tablet)?.len() == 1, "{:?}", listed(tablet)?);
        for look in [
            &["delegate", "list"][..],
            &["collection", "list"],
            &["permissions"],
        ] {
            tablet.run(look)?;
        }
        let delegates = tablet.run(&["delegate", "list"])?;
        let mut given = array(&delegates, "given")?.iter();
        ensure!(given.all(|given| given["state"] == "ended"), "{delegates}");
        let history = tablet.run(&["history", "--verify"])?;
        ensure!(history["checked"]["holds"] == true, "{history}");
        Ok(false)
    })
    .await
}

/// ATK-61, DEV-25: a device that goes with it has a name that does not open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_a_name_goes_with_it() -> Result<()> {
    keep_it(async |thief| thief.add_nameless().await).await
}

/// ATK-59, DEV-25: so it is with a delegate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegate_without_a_name_ends_with_it() -> Result<()> {
    keep_it(async |thief| thief.delegate(0).await).await
}

/// ATK-59, DEV-25: the name of a delegate is under a root key that never was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegate_named_under_no_root_key_ends_with_it() -> Result<()> {
    keep_it(async |thief| thief.delegate(77).await).await
}

/// ATK-61, DEV-25: a collection whose name and key are none. No device could change anything any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_without_a_name_stops_nothing() -> Result<()> {
    keep_it(async |thief| {
        let id = CollectionId::mint(now_ms(), random()?);
        let collection = Collection { id, epoch: 0 };
        thief.member.put_collection(&thief.wire, collection).await
    })
    .await
}

/// ATK-61, DEV-25: a device that stays has a name that does not open, and is to be named anew under the next root key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_stays_without_a_name_stops_nothing() -> Result<()> {
    keep_it(async |thief| thief.garble(1).await).await
}

/// DEV-25: a device that was renamed to what does not open is called as before; one that never had a name, by the beginning of its
/// id, until she gives it one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_open_is_called_as_before_or_by_its_id() -> Result<()> {
    let mut thief = Thief::begin(&[]).await?;
    thief.garble(1).await?;
    thief.add_nameless().await?;
    let tablet = &thief.theft.tablet;
    let devices = tablet.run(&["device", "list"])?;
    let devices = array(&devices, "devices")?;
    assert_eq!(devices[1]["name"], "Tablet", "{devices:?}");
    let nameless = devices.last().context("no device")?;
    let id = nameless["device_id"].as_str().context("no id")?;
    let begins = id.get(..12).context("a short id")?;
    assert_eq!(nameless["name"], format!("unreadable {begins}"), "{devices:?}");
    tablet.run(&["device", "name", id, "Somebody's"])?;
    assert!(listed(tablet)?.contains(&"Somebody's".to_owned()));
    Ok(())
}

/// ATK-61, DEV-24, DEV-25: whoever has no name is told of by the beginning of his id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_a_name_does_nothing_unheard() -> Result<()> {
    play_async(&[Defence::ForeignNames], async |off| {
        let mut thief = Thief::begin(off).await?;
        thief.told()?;
        thief.garble(2).await?;
        thief.add_nameless().await?;
        let told = thief.told()?;
        ensure!(
            off.is_empty() || told.contains("could not be looked at"),
            "{told}"
        );
        Ok(!told.contains("has added the device unreadable dev_"))
    })
    .await
}

/// DLG-10, DEV-25: a delegation ends also while the newest key of its collection is one that does not open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_does_not_open_ends_no_end() -> Result<()> {
    let thief = Thief::begin(&[]).await?;
    let (mother, mother_id) = thief.theft.scene.world.patient("mother")?;
    super::stolen::delegate(&thief.theft.tablet, (&mother, &mother_id), "Mother")?;
    let broken = Collection {
        id: CollectionId::DEFAULT,
        epoch: 1,
    };
    thief.member.put_collection(&thief.wire, broken).await?;
    let delegates = thief.theft.tablet.run(&["delegate", "list"])?;
    let given = array(&delegates, "given")?
        .first()
        .context("no delegate")?
        .clone();
    let id = given["delegation_id"].as_str().context("no id")?;
    thief.theft.tablet.run(&["delegate", "end", id])?;
    thief.theft.placed()?;
    Ok(())
}

/// DEV-25: conditions that do not open hide none of the permissions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_that_do_not_open_hide_no_permission() -> Result<()> {
    play_async(&[Defence::ForeignNames], async |off| {
        let mut thief = Thief::begin(off).await?;
        let Scene { clinic, .. } = &thief.theft.scene;
        let request = thief.theft.scene.request_by(clinic)?;
        let asked = thief
            .member
            .get(&thief.wire, &format!("/v1/requests/{request}"))
            .await?;
        let Some(pb::stored_request::Request::Download(asked)) =
            asked.message::<pb::StoredRequest>()?.request
        else {
            bail!("no request");
        };
        let listed = clinic.run(&["directory"])?;
        let named = array(&listed, "institutions")?
            .iter()
            .find(|one| one["name"] == "Clinic");
        let clinic = text(named.context("no clinic")?, "institution_id")?;
        let clinic = listed_institution(&thief.wire, &clinic).await?;
        let member = &mut thief.member;
        member.head = member.put_head(&thief.wire).await?;
        let conditions = member.conditions(&Conditions {
            to: Some("2026-05-31".parse()?),
            ..Conditions::default()
        })?;
        let (hash, collection) = (Sha256Digest::of(&asked.body), Collection::DEFAULT);
        let permitted = member.permit_collection_with(&thief.wire, &clinic, hash, collection, |body| {
            body.conditions = Some(conditions);
        });
        let permitted = permitted.await?.to_string();
        let shown = thief.theft.tablet.command(&["permissions"])?.output()?;
        if !shown.status.success() {
            return Ok(true);
        }
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
        let mut all = array(&shown, "permissions")?.iter();
        let shown = all
            .find(|one| one["permission_id"] == permitted)
            .context("it is not shown")?;
        ensure!(shown["conditions_unreadable"] == true, "{shown}");
        Ok(false)
    })
    .await
}
