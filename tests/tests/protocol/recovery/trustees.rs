//! Trustees: enough of them restore the vault, fewer have nothing, and a wrong share is named.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use crypto::{OperatingSystem, RecoverySecret, SigningIdentity};
use prost::Message;
use protocol_spec::{
    bodies::RecoveryShares, defence::Defence, keys::RecipientKey, messages as pb, recovery::Division,
    statement::Signed,
};
use serde_json::Value;
use tests::{
    attack::note,
    harness::{Cli, Refused, World, kept, text},
};

use super::{code, devices, finds, kit, recover};
use crate::flows::array;

/// A patient and three trustees, any two of whom can restore her vault.
struct Circle {
    world: World,
    patient: Cli,
    id: String,
    trustees: [Cli; 3],
}

impl Circle {
    fn new() -> Result<Self> {
        let world = World::start()?;
        let (patient, id) = world.patient("patient")?;
        let (eva, _) = world.patient("eva")?;
        let (leo, _) = world.patient("leo")?;
        let (hospital, _) = world.institution("Hospital North")?;
        let circle = Self {
            world,
            patient,
            id,
            trustees: [eva, leo, hospital],
        };
        circle.entrust("shares")?;
        Ok(circle)
    }

    /// Gives the trustees new shares, in this folder.
    fn entrust(&self, folder: &str) -> Result<Value> {
        let folder = self.world.path(folder);
        fs::create_dir_all(&folder)?;
        let [eva, leo, _] = &self.trustees;
        let id = |trustee: &Cli| -> Result<String> {
            let principal: Value = serde_json::from_slice(&kept(trustee.home(), "principal.json")?)?;
            text(&principal, "id")
        };
        self.patient.run(&[
            "recovery",
            "trustees",
            "--threshold",
            "2",
            "--out",
            &folder.display().to_string(),
            &id(eva)?,
            &id(leo)?,
            "Hospital North",
        ])
    }

    /// A machine that has nothing, its offer, and its check string.
    fn machine(&self, name: &str) -> Result<(Cli, PathBuf, String)> {
        let machine = self.world.principal(name);
        let offer = self.world.path(&format!("{name}.recovery"));
        let asked = machine.run(&["recovery", "ask", "--out", &offer.display().to_string()])?;
        Ok((machine, offer, text(&asked, "check_string")?))
    }

    fn arguments(&self, number: usize, folder: &str, offer: &PathBuf, check: &str) -> (Vec<String>, PathBuf) {
        let name = offer.file_stem().unwrap_or_default().display().to_string();
        let out = self.world.path(&format!("{name}-{folder}-{number}.returned"));
        let share = self.world.path(folder).join(format!("{number}.share"));
        let words = ["recovery", "share"].map(str::to_owned).into_iter();
        let paths = [("--for", offer), ("--out", &out)]
            .map(|(flag, path)| [flag.to_owned(), path.display().to_string()])
            .concat();
        let arguments = words
            .chain([share.display().to_string()])
            .chain(paths)
            .chain(["--check".to_owned(), check.to_owned()])
            .collect();
        (arguments, out)
    }

    /// The trustee with this number gives a share back.
    fn returned(&self, number: usize, folder: &str, offer: &PathBuf, check: &str) -> Result<PathBuf> {
        let (arguments, out) = self.arguments(number, folder, offer, check);
        self.trustees[number - 1].run(&arguments)?;
        Ok(out)
    }

    fn recover_arguments(&self, shares: &[PathBuf]) -> Vec<String> {
        let link = self.world.server.link().to_string();
        let words = ["recover", "--server", &link, "--shares"]
            .map(str::to_owned)
            .into_iter();
        words
            .chain(shares.iter().map(|path| path.display().to_string()))
            .collect()
    }

    fn fail_to_recover(&self, machine: &Cli, shares: &[PathBuf]) -> Result<Refused> {
        machine.fail(&self.recover_arguments(shares))
    }
}

/// RCV-10, RCV-8: two of three, a patient and an institution; the third is not needed, one alone is not enough.
#[test]
fn enough_trustees_restore_the_vault_and_fewer_do_not() -> Result<()> {
    let circle = Circle::new()?;
    assert!(devices(&circle.patient)?.contains(&("trustees".into(), "recovery".into())));
    fs::remove_dir_all(circle.patient.home())?;
    let (machine, offer, check) = circle.machine("machine")?;
    let shares = [1, 3].map(|number| circle.returned(number, "shares", &offer, &check));
    let [eva, hospital] = shares;
    let (eva, hospital) = (eva?, hospital?);

    for few in [
        &[eva.clone()][..],
        std::slice::from_ref(&hospital),
        &[eva.clone(), eva.clone()],
    ] {
        let refused = circle.fail_to_recover(&machine, few)?;
        assert!(refused.text.contains("are not enough, it takes 2"), "{refused:?}");
    }
    let restored = machine.run(&circle.recover_arguments(&[hospital, eva]))?;
    assert_eq!(text(&restored, "patient_id")?, circle.id);
    machine.run(&["records"])?;
    // The member can be removed like any device; then the shares open nothing.
    machine.run(&["device", "remove", "trustees", "--lost"])?;
    let (_, offer, check) = circle.machine("later")?;
    let (arguments, _) = circle.arguments(2, "shares", &offer, &check);
    let refused = circle.trustees[1].fail(&arguments)?;
    assert!(refused.text.contains("opens nothing any more"), "{refused:?}");
    Ok(())
}

/// New trustees replace those before; the kit is another member, and stays.
#[test]
fn kit_and_trustees_are_independent_and_new_trustees_replace_those_before() -> Result<()> {
    let circle = Circle::new()?;
    let (words, made) = kit(&circle.patient, &circle.world.path("kit.pdf"))?;
    assert!(array(&made, "replaced")?.is_empty());
    let (machine, offer, check) = circle.machine("machine")?;
    let before = [1, 2].map(|number| circle.returned(number, "shares", &offer, &check));
    let [first, second] = before;
    let (first, second) = (first?, second?);
    let again = circle.entrust("again")?;
    assert_eq!(array(&again, "replaced")?.len(), 1);
    let refused = circle.fail_to_recover(&machine, &[first.clone(), second])?;
    assert_eq!(code(&refused), "unknown-recovery", "{refused:?}");

    // A share of the old division among those of the new one is named.
    let leo = circle.returned(2, "again", &offer, &check)?;
    let refused = circle.fail_to_recover(&machine, &[leo.clone(), first.clone()])?;
    assert_eq!(code(&refused), "wrong-share", "{refused:?}");
    assert!(refused.text.contains(&first.display().to_string()), "{refused:?}");
    let hospital = circle.returned(3, "again", &offer, &check)?;
    machine.run(&circle.recover_arguments(&[leo, hospital]))?;
    let restored = recover(&circle.world, &circle.world.principal("by-kit"), &words)?;
    assert_eq!(text(&restored, "patient_id")?, circle.id);
    Ok(())
}

/// RCV-9: an offer that came by mail is somebody else's. The trustee who was told another string gives nothing; without
/// the check, the share goes to the forger's machine.
#[test]
fn a_share_goes_to_no_machine_but_the_one_whose_string_was_told() -> Result<()> {
    let circle = Circle::new()?;
    let (_, _, told) = circle.machine("machine")?;
    let (forger, forged, _) = circle.machine("forger")?;
    let eva = &circle.trustees[0];
    let (arguments, out) = circle.arguments(1, "shares", &forged, &told);
    let refused = eva.fail(&arguments)?;
    assert!(refused.text.contains("check string"), "{refused:?}");
    assert!(!out.exists());

    eva.without(&[Defence::ShareCheck]).run(&arguments)?;
    let refused = circle.fail_to_recover(&forger, &[out])?;
    assert!(
        refused.text.contains("it takes 2"),
        "the control: the forger has opened it: {refused:?}"
    );
    Ok(())
}

/// RCV-8: a share is its holder's: nobody else opens the file, not even another trustee.
#[test]
fn a_share_is_of_no_use_to_anybody_but_its_holder() -> Result<()> {
    let circle = Circle::new()?;
    let (_, offer, check) = circle.machine("machine")?;
    let (stranger, _) = circle.world.patient("stranger")?;
    let (arguments, out) = circle.arguments(1, "shares", &offer, &check);
    for other in [
        &circle.trustees[1],
        &circle.trustees[2],
        &stranger,
        &circle.patient,
    ] {
        let refused = other.fail(&arguments)?;
        assert_eq!(code(&refused), "wrong-share", "{refused:?}");
        assert!(!out.exists());
    }
    circle.trustees[0].run(&arguments)?;
    Ok(())
}

/// A share that a trustee has made up, under the real division and sealed as a real one.
fn made_up(real: &[u8], offer: &[u8]) -> Result<Vec<u8>> {
    let real = pb::ReturnedShare::decode(real)?;
    let signed: Signed<RecoveryShares> = real.division.clone().context("no division")?.try_into()?;
    let division = Division::verify(signed)?;
    let offer = pb::RecoveryOffer::decode(offer)?;
    let key = RecipientKey::try_from(offer.recipient_key.as_ref())?;
    let others = RecoverySecret::generate(&OperatingSystem)?.divide(&OperatingSystem, 2, 3)?;
    let share = others
        .first()
        .context("no share")?
        .give_back(&OperatingSystem, &key, &division)?;
    Ok(pb::ReturnedShare {
        share: Some((&share).into()),
        number: 1,
        ..real
    }
    .encode_to_vec())
}

/// RCV-7, ATK-48: who gives back something else is named, before anything is sent. Without the commitments nobody knows
/// who it was.
#[test]
fn a_wrong_share_is_named() -> Result<()> {
    let circle = Circle::new()?;
    let (machine, offer, check) = circle.machine("machine")?;
    let eva = circle.returned(1, "shares", &offer, &check)?;
    let leo = circle.returned(2, "shares", &offer, &check)?;
    let right = fs::read(&eva)?;
    fs::write(&eva, made_up(&right, &fs::read(&offer)?)?)?;
    let shares = [leo.clone(), eva.clone()];
    let refused = circle.fail_to_recover(&machine, &shares)?;
    note(&[], code(&refused) != "wrong-share")?;
    assert_eq!(code(&refused), "wrong-share", "{refused:?}");
    assert!(
        refused.text.contains(&eva.display().to_string()) && refused.text.contains("share 1"),
        "{refused:?}"
    );
    let trusting = machine.without(&[Defence::ShareCommitments]);
    let refused = circle.fail_to_recover(&trusting, &shares)?;
    note(&[Defence::ShareCommitments], !refused.text.contains(".returned"))?;
    assert_eq!(code(&refused), "tampered", "the control: {refused:?}");
    assert!(
        !refused.text.contains(".returned"),
        "the control: nobody is named: {refused:?}"
    );

    // Every flipped bit of the file is noticed, too, whatever it hits.
    for at in (0..right.len()).step_by(97) {
        let mut flipped = right.clone();
        flipped[at] ^= 1;
        fs::write(&eva, &flipped)?;
        let refused = circle.fail_to_recover(&machine, &shares)?;
        assert_ne!(refused.exit, 0, "byte {at}");
        assert!(refused.text.contains(".returned"), "byte {at}: {refused:?}");
    }
    fs::write(&eva, right)?;
    let restored = machine.run(&circle.recover_arguments(&shares))?;
    assert_eq!(text(&restored, "patient_id")?, circle.id);
    Ok(())
}

/// RCV-6: a division is signed by the key that it divides, or it is none.
#[test]
fn a_division_that_somebody_else_has_signed_is_refused() -> Result<()> {
    let circle = Circle::new()?;
    let (_, offer, check) = circle.machine("machine")?;
    let path = circle.world.path("shares").join("1.share");
    let mut share = pb::TrusteeShare::decode(fs::read(&path)?.as_slice())?;
    let signed: Signed<RecoveryShares> = share.division.clone().context("no division")?.try_into()?;
    let body = RecoveryShares {
        threshold: 3,
        ..signed.claimed().clone()
    };
    let stranger = SigningIdentity::generate(&OperatingSystem)?;
    let signed = Signed::sign(body, |message| stranger.sign_bytes(message));
    share.division = Some(signed.to_message());
    fs::write(&path, share.encode_to_vec())?;
    let (arguments, _) = circle.arguments(1, "shares", &offer, &check);
    let refused = circle.trustees[0].fail(&arguments)?;
    assert_eq!(code(&refused), "wrong-share", "{refused:?}");
    assert!(refused.text.contains("signature"), "{refused:?}");
    Ok(())
}

/// What makes no sense is said before anything is written or sent.
#[test]
fn numbers_and_names_that_make_no_sense_are_refused() -> Result<()> {
    let circle = Circle::new()?;
    let before = circle.patient.run(&["device", "list"])?;
    let folder = circle.world.path("none");
    fs::create_dir_all(&folder)?;
    let out = folder.display().to_string();
    let (eva, _) = circle.world.patient("another")?;
    let principal: Value = serde_json::from_slice(&kept(eva.home(), "principal.json")?)?;
    let eva = text(&principal, "id")?;
    let unknown = format!("pat_{}", "a".repeat(52));
    let hospital = "Hospital North";
    for (threshold, trustees, says) in [
        ("1", vec![eva.as_str(), hospital], "threshold"),
        ("3", vec![eva.as_str(), hospital], "threshold"),
        ("2", vec![hospital], "2 to 16"),
        ("2", vec![hospital, hospital], "twice"),
        ("2", vec![circle.id.as_str(), hospital], "your own trustee"),
        ("2", vec![unknown.as_str(), hospital], "no patient"),
        ("2", vec!["Nobody", hospital], "Nobody"),
    ] {
        let arguments = ["recovery", "trustees", "--out", &out, "--threshold", threshold];
        let refused = circle.patient.fail(&[&arguments[..], &trustees].concat())?;
        assert!(refused.text.contains(says), "{says}: {refused:?}");
    }
    assert_eq!(fs::read_dir(&folder)?.count(), 0);
    assert_eq!(circle.patient.run(&["device", "list"])?, before);
    Ok(())
}

/// The operator alone: neither a share, nor who the trustees are, lies on the server.
#[test]
fn the_server_keeps_nothing_of_shares_and_does_not_know_the_trustees() -> Result<()> {
    let mut circle = Circle::new()?;
    let mut needles = Vec::new();
    for number in 1..=3 {
        let file = circle.world.path("shares").join(format!("{number}.share"));
        let share = pb::TrusteeShare::decode(fs::read(file)?.as_slice())?;
        let sealed = share.share.context("no share")?;
        needles.push(sealed.ciphertext.to_vec());
        needles.push(share.division.context("no division")?.body.to_vec());
    }
    circle.world.server.stop()?;
    assert_eq!(finds(circle.world.server.data(), &needles)?, Vec::<String>::new());
    // Control: they are where they were written.
    assert_eq!(finds(&circle.world.path("shares"), &needles)?.len(), 3 + 3 * 3);
    Ok(())
}
