//! Two processes that work in one home, and a server that shows them two histories of her devices (DEV-14, ATK-39).

use std::{
    fs,
    path::Path,
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use prost::Message;
use protocol_spec::{defence::Defence, messages as pb};
use tests::harness::{World, private_folder};

use super::listed;

/// What one process says of the list when another one of its home has met a fork of it, and what the home then knows.
fn shown_a_fork(without: &[Defence]) -> Result<(Output, Vec<String>)> {
    let (world, liar) = World::start_behind_liar_without(&[Defence::DeviceLists])?;
    // What heads find is another matter (VLT-3).
    let device = world.patient("patient")?.0.without(&[Defence::VaultHeads]);
    // Two lists by one device that both continue the first one: this is signed in a copy of its home.
    let copy = world.principal("copy").without(&[Defence::VaultHeads]);
    copy_home(device.home(), copy.home())?;
    copy.run(&["device", "name", "first device", "forked"])?;
    let other = device.clone();
    let (asked, posted) = (AtomicBool::new(false), AtomicBool::new(false));
    liar.tell(move |path, body| {
        if !path.starts_with("/v1/vault/devices") {
            return body;
        }
        if !asked.swap(true, Ordering::SeqCst) {
            // While this answer is on its way, another process of the home signs the other list.
            let named =
                tokio::task::block_in_place(|| other.run(&["device", "name", "first device", "kept"]));
            return named.map_or_else(|error| format!("{error:#}").into(), |_| body);
        }
        if body.is_empty() {
            posted.store(true, Ordering::SeqCst);
        }
        match pb::DeviceLists::decode(body.clone()) {
            Ok(mut lists) if !posted.load(Ordering::SeqCst) => {
                lists.lists.truncate(1);
                Bytes::from(lists.encode_to_vec())
            }
            _ => body,
        }
    });
    let command = match without {
        [] => device.clone(),
        _ => device.without(&[without, &[Defence::VaultHeads]].concat()),
    };
    let output = command.command(&["device", "list"])?.output()?;
    liar.be_honest();
    Ok((output, listed(&device)?))
}

#[test]
fn a_home_keeps_to_one_history_of_its_devices() -> Result<()> {
    let (output, kept) = shown_a_fork(&[])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        said.contains("other lists than this device has seen"),
        "it believed a fork: {output:?}"
    );
    assert_eq!(kept, ["kept"]);
    let (output, _) = shown_a_fork(&[Defence::KeptLists])?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && said.contains("forked"),
        "the control: {output:?}"
    );
    Ok(())
}

/// What becomes of a process that is shown the first list alone, after another one of its home has met the second.
fn shown_what_was_before(without: &[Defence]) -> Result<Output> {
    let (world, liar) = World::start_behind_liar_without(&[Defence::DeviceLists])?;
    // What heads find is another matter (VLT-3).
    let device = world.patient("patient")?.0.without(&[Defence::VaultHeads]);
    let other = device.clone();
    let (asked, named) = (AtomicBool::new(false), AtomicBool::new(false));
    liar.tell(move |path, body| {
        if !path.starts_with("/v1/vault/devices") {
            return body;
        }
        if !asked.swap(true, Ordering::SeqCst) {
            let outcome =
                tokio::task::block_in_place(|| other.run(&["device", "name", "first device", "kept"]));
            named.store(true, Ordering::SeqCst);
            return outcome.map_or_else(|error| format!("{error:#}").into(), |_| body);
        }
        match pb::DeviceLists::decode(body.clone()) {
            Ok(mut lists) if named.load(Ordering::SeqCst) => {
                lists.lists.truncate(1);
                Bytes::from(lists.encode_to_vec())
            }
            _ => body,
        }
    });
    let command = match without {
        [] => device.clone(),
        _ => device.without(&[without, &[Defence::VaultHeads]].concat()),
    };
    let rename = ["device", "name", "first device", "forked"];
    let output = command.command(&rename)?.output()?;
    liar.be_honest();
    if without.is_empty() {
        assert_eq!(listed(&device)?, ["kept"]);
    }
    Ok(output)
}

/// It would sign a list that continues the first one, beside the one that its home has met.
#[test]
fn a_process_goes_on_from_what_its_home_has_seen() -> Result<()> {
    let output = shown_what_was_before(&[])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.contains("older state than this home has seen"),
        "{output:?}"
    );
    let output = shown_what_was_before(&[Defence::KeptLists])?;
    ensure!(output.status.success(), "the control: {output:?}");
    Ok(())
}

fn copy_home(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let at = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            private_folder(&at)?;
        } else {
            fs::copy(entry.path(), at)?;
        }
    }
    fs::copy(from.with_extension("key"), to.with_extension("key"))?;
    Ok(())
}
