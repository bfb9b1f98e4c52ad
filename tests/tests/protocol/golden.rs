//! What every command of `medvault` prints with `--json`, as it was last accepted: names, nesting, kinds of values, words and constant
//! values. Stories play the commands with the real programs; `golden/NAME.json` has what each answered in the story of that name, in
//! its order, with a placeholder where a value is another one each time (`book.rs`).

mod book;
mod commands;
mod stories;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use book::Book;
use tests::harness::World;

/// Commands that no story plays, each with the reason.
const NOT_PLAYED: &[(&str, &str)] = &[];

#[test]
fn records_answer_as_accepted() -> Result<()> {
    play("records", &[], stories::records::play)
}

#[test]
fn people_answer_as_accepted() -> Result<()> {
    play("people", &[], stories::people::play)
}

#[test]
fn devices_answer_as_accepted() -> Result<()> {
    let short_week = ["--recovery-delay", stories::devices::WEEK];
    play("devices", &short_week, stories::devices::play)
}

#[test]
fn institutions_answer_as_accepted() -> Result<()> {
    play("institutions", &[], stories::institutions::play)
}

#[test]
fn operating_answers_as_accepted() -> Result<()> {
    play("operating", &[], stories::operating::play)
}

fn play(name: &str, server: &[&str], story: fn(&mut World, &mut Book) -> Result<()>) -> Result<()> {
    let mut world = World::start_with(server)?;
    let mut book = Book::new(name, &world)?;
    story(&mut world, &mut book)?;
    book.close()
}

/// The program says itself which commands it has.
#[test]
fn every_command_is_played_in_some_story() -> Result<()> {
    let played = book::played()?;
    let all = commands::all()?;
    ensure!(all.len() > 80, "{all:?}");
    let excused: BTreeSet<String> = NOT_PLAYED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<_> = all
        .iter()
        .filter(|name| !played.contains(*name) && !excused.contains(*name))
        .collect();
    ensure!(
        missing.is_empty(),
        "no story of tests/tests/protocol/golden plays {missing:?}: call it in one with --json, or say in NOT_PLAYED why not"
    );
    let unknown: Vec<_> = played
        .union(&excused)
        .filter(|name| !all.contains(*name))
        .collect();
    ensure!(unknown.is_empty(), "medvault has no command {unknown:?}");
    Ok(())
}
