//! The history as a statement: complete for people, and proof against a server that alters, leaves out or reorders
//! (ATK-37, ATK-40, ATK-41; FLW-11).

use std::fs;

use anyhow::{Context, Result};
use prost::Message;
use protocol_spec::{
    defence::Defence,
    messages::{self as pb, history_entry::What},
};
use serde_json::Value;
use tests::harness::{Cli, Liar, World, text};

/// A patient with two stored records and a download, behind a relay that tells the truth so far.
struct Story {
    _world: World,
    liar: Liar,
    patient: Cli,
}

fn story() -> Result<Story> {
    let (world, liar) = World::start_behind_liar()?;
    let (patient, patient_id) = world.patient("alice")?;
    let (hospital, _) = world.institution("St. Anna")?;
    let file = world.path("result.txt");
    fs::write(&file, "HbA1c 7.4 %")?;
    let asked = patient.run(&[
        "upload",
        "request",
        "--to",
        "St. Anna",
        "--text",
        "results",
        "--uses",
        "2",
        "--max-bytes",
        "1MiB",
    ])?;
    let permission = text(&asked, "permission_id")?;
    for _ in 0..2 {
        hospital.run(&["upload", "send", &permission, &file.display().to_string()])?;
    }
    patient.run(&["records"])?;
    let asked = hospital.run(&[
        "download",
        "request",
        "--patient",
        &patient_id,
        "--text",
        "to read",
    ])?;
    let permitted = patient.run(&["permit", &text(&asked, "request_id")?, "--all"])?;
    let permission = text(&permitted, "permission_id")?;
    let out = world.path("out").display().to_string();
    hospital.run(&["download", "fetch", &permission, "--out", &out])?;
    Ok(Story {
        _world: world,
        liar,
        patient,
    })
}

/// From now on messages at paths that begin so are changed.
pub(crate) fn lie<M: Message + Default>(
    liar: &Liar,
    path: &'static str,
    change: impl Fn(&mut M) + Send + Sync + 'static,
) {
    liar.tell_of(path, move |mut message: M| {
        change(&mut message);
        message
    });
}

fn entries(history: &Value) -> Result<&Vec<Value>> {
    history["history"].as_array().context("no history")
}

fn kind<'a>(history: &'a Value, kind: &str) -> Result<&'a Value> {
    let found = entries(history)?.iter().find(|entry| entry["kind"] == kind);
    found.with_context(|| format!("no {kind} in {history}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_says_who_had_what_under_which_permission() -> Result<()> {
    let Story { patient, _world, .. } = story()?;
    let history = patient.run(&["history"])?;
    let permitted = entries(&history)?
        .iter()
        .find(|entry| entry["kind"] == "permitted" && entry["records"].is_array())
        .context("no permission over records")?;
    assert_eq!(permitted["answered_by"], "this device");
    let released = kind(&history, "released")?;
    assert_eq!(released["permission_id"], permitted["permission_id"]);
    assert_eq!(
        released["records"].as_array().map(Vec::len),
        Some(2),
        "{released}"
    );
    assert_eq!(released["total_bytes"], released["bytes"]);
    let totals = &history["totals"][0];
    assert_eq!(
        (&totals["name"], &totals["records_stored"], &totals["releases"]),
        (&"St. Anna".into(), &2.into(), &1.into())
    );
    assert_eq!(totals["bytes_released"], released["bytes"]);
    let mut stored = entries(&history)?
        .iter()
        .filter(|entry| entry["kind"] == "stored");
    let last = stored.next_back().context("nothing stored")?;
    assert_eq!(last["total_bytes"], totals["bytes_stored"]);

    let none = patient.run(&["history", "--to", "2020-01-01"])?;
    assert!(entries(&none)?.is_empty());
    let all = patient.run(&["history", "--from", "2020-01-01", "--institution", "St. Anna"])?;
    assert_eq!(entries(&all)?.len(), entries(&history)?.len());
    let other = patient.run(&["history", "--institution", "Practice South"])?;
    assert!(entries(&other)?.is_empty());

    let verified = patient.run(&["history", "--verify"])?;
    let checked = &verified["checked"];
    assert_eq!(checked["holds"], true, "{checked}");
    assert_eq!(
        (
            &checked["presentations"],
            &checked["permissions"],
            &checked["records"]
        ),
        (&3.into(), &2.into(), &2.into())
    );
    assert_eq!(checked["entries"], checked["seen_before"], "{checked}");
    Ok(())
}

/// What the server says of an altered history, to a device that sees it for the first time.
fn caught(change: impl Fn(&mut pb::HistoryPage) + Send + Sync + 'static) -> Result<String> {
    let Story {
        liar,
        patient,
        _world,
    } = story()?;
    lie(&liar, "/v1/vault/history", change);
    let refused = patient.fail(&["history", "--verify"])?;
    // The control: the same vault, shown as it is.
    liar.be_honest();
    let honest = patient.run(&["history", "--verify"])?;
    assert_eq!(honest["checked"]["holds"], true, "{honest}");
    text(&refused.json["error"], "message")
}

fn renumber(page: &mut pb::HistoryPage) {
    for (entry, number) in page.entries.iter_mut().zip(1..) {
        entry.number = number;
    }
}

fn is_presented(entry: &pb::HistoryEntry) -> bool {
    matches!(entry.what, Some(What::Presented(_)))
}

/// ATK-40
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_left_out_is_noticed() -> Result<()> {
    // With the gap, and with numbers made good.
    let gap = caught(|page| page.entries.retain(|entry| entry.number != 3))?;
    assert!(gap.contains("missing or out of order"), "{gap}");
    let presentation = caught(|page| {
        let at = page.entries.iter().rposition(is_presented);
        at.map(|at| page.entries.remove(at));
        renumber(page);
    })?;
    assert!(
        presentation.contains("the presentation that opened it does not come before it"),
        "{presentation}"
    );
    // A release with its presentation: by the uses that are left.
    let release = caught(|page| {
        let at = page.entries.iter().rposition(is_presented);
        at.map(|at| page.entries.remove(at));
        page.entries
            .retain(|entry| !matches!(entry.what, Some(What::Released(_))));
        renumber(page);
    })?;
    assert!(release.contains("something was left out or made up"), "{release}");
    let record = caught(|page| {
        page.entries
            .retain(|entry| !matches!(entry.what, Some(What::Stored(_))));
        renumber(page);
    })?;
    assert!(record.contains("does not say how it came there"), "{record}");
    Ok(())
}

/// ATK-40, the control: who only looks, and does not verify, believes a history in which no record was ever stored.
#[tokio::test(flavor = "multi_thread")]
async fn without_verification_an_entry_that_is_left_out_is_not_missed() -> Result<()> {
    let Story {
        liar,
        patient,
        _world,
    } = story()?;
    lie(&liar, "/v1/vault/history", |page: &mut pb::HistoryPage| {
        page.entries
            .retain(|entry| !matches!(entry.what, Some(What::Stored(_))));
        renumber(page);
    });
    let believed = patient.run(&["history"])?;
    let stored = entries(&believed)?
        .iter()
        .filter(|entry| entry["kind"] == "stored");
    assert_eq!(stored.count(), 0, "{believed}");
    Ok(())
}

/// ATK-37
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_altered_is_noticed() -> Result<()> {
    let receipt = caught(|page| {
        for entry in &mut page.entries {
            if let Some(What::Released(receipt)) = &mut entry.what
                && let Some(statement) = &mut receipt.statement
            {
                let mut body = statement.body.to_vec();
                if let Some(last) = body.last_mut() {
                    *last ^= 1;
                }
                statement.body = body.into();
            }
        }
    })?;
    assert!(receipt.contains("does not verify"), "{receipt}");
    let evidence = caught(|page| {
        for entry in &mut page.entries {
            if let Some(What::Presented(presented)) = &mut entry.what
                && let Some(evidence) = &mut presented.evidence
            {
                evidence.signature_pop = evidence.signature_id.clone();
            }
        }
    })?;
    assert!(evidence.contains("signature does not verify"), "{evidence}");
    let proof = caught(|page| {
        for entry in &mut page.entries {
            if let Some(What::Stored(receipt)) = &mut entry.what
                && let Some(proof) = &mut receipt.proof
            {
                proof.proof = proof.proof.replacen("index ", "index 1", 1);
            }
        }
    })?;
    assert!(proof.contains("log proof does not verify"), "{proof}");
    Ok(())
}

/// ATK-41
#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_reordered_are_noticed() -> Result<()> {
    let order = caught(|page| {
        page.entries.reverse();
        renumber(page);
    })?;
    assert!(order.contains("does not come before it"), "{order}");
    Ok(())
}

/// ATK-41, the control: a device that has seen nothing believes a history that ends too early.
#[tokio::test(flavor = "multi_thread")]
async fn without_memory_a_history_that_was_cut_is_believed() -> Result<()> {
    let Story {
        liar,
        patient,
        _world,
    } = story()?;
    patient.run(&["history"])?;
    lie(&liar, "/v1/vault/history", |page: &mut pb::HistoryPage| {
        page.entries.truncate(2);
    });
    fs::remove_file(patient.home().join("history.json"))?;
    let believed = patient.without(&[Defence::HomeSeal]).run(&["history"])?;
    assert_eq!(entries(&believed)?.len(), 2, "{believed}");
    Ok(())
}

/// ATK-41: What a device has seen cannot be changed for it later, also where each entry would be good by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_has_seen_cannot_be_rewritten() -> Result<()> {
    let Story {
        liar,
        patient,
        _world,
    } = story()?;
    patient.run(&["history"])?;
    let lies: [fn(&mut pb::HistoryPage); 3] = [
        |page| page.entries.truncate(2),
        |page| {
            for entry in &mut page.entries {
                entry.at -= 86_400_000;
            }
        },
        |page| {
            let first = page.entries.first().cloned();
            page.entries.extend(first);
            page.entries.rotate_right(1);
            renumber(page);
        },
    ];
    for change in lies {
        lie(&liar, "/v1/vault/history", change);
        let refused = patient.fail(&["history"])?;
        assert!(
            refused
                .text
                .contains("not the one that this device has seen before"),
            "{refused:?}"
        );
    }
    liar.be_honest();
    patient.run(&["history"])?;
    Ok(())
}
