//! What came of a row's attack, and of its control.

use serde_json::{Value, json};

use super::play::{Play, TestOutcome};
use super::table::{Control, Row, TestName};

/// Both columns, each from what was seen of it.
pub(super) struct RowVerdict<'a> {
    row: &'a Row,
    pub(super) defended: bool,
    pub(super) control_succeeds: bool,
}

impl<'a> RowVerdict<'a> {
    pub(super) fn of(row: &'a Row, played: &Play) -> Self {
        let defended = row.missing.is_empty()
            && !row.tests.is_empty()
            && row.tests.iter().all(|test| refused(played.outcome(test)));
        let control_succeeds = row.missing.is_empty()
            && !row.controls.is_empty()
            && row.controls.iter().all(|control| succeeds(row, control, played));
        Self {
            row,
            defended,
            control_succeeds,
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.defended && self.control_succeeds
    }

    pub(super) fn json(&self) -> Value {
        let Row {
            number,
            source,
            attack,
            adversary,
            defence,
            rules,
            code,
            tests,
            controls,
            missing,
        } = self.row;
        json!({
            "id": format!("ATK-{number}"),
            "source": source,
            "attack": attack,
            "adversary": adversary,
            "defence": defence,
            "rules": rules,
            "code": code,
            "tests": tests.iter().map(name).collect::<Vec<_>>(),
            "controls": controls.iter().map(control_name).collect::<Vec<_>>(),
            "missing": missing,
            "defended": self.defended,
            "control_succeeds": self.control_succeeds,
        })
    }
}

/// A test that notes what it sees is believed by its notes; and if it fails all the same, only its control may have.
fn refused(outcome: Option<&TestOutcome>) -> bool {
    let Some(TestOutcome { passed, notes }) = outcome else {
        return false;
    };
    let mut as_it_is = notes.iter().filter(|note| note.off.is_empty()).peekable();
    if as_it_is.peek().is_none() {
        return *passed && notes.is_empty();
    }
    let control_failed = notes.iter().any(|note| !note.off.is_empty() && !note.succeeded);
    as_it_is.all(|note| !note.succeeded) && (*passed || control_failed)
}

/// Without a defence: one of the row's tests has seen the attack succeed, and none has seen it fail.
fn succeeds(row: &Row, control: &Control, played: &Play) -> bool {
    match control {
        Control::Test(test) => played.outcome(test).is_some_and(|outcome| outcome.passed),
        Control::Without(defence) => {
            let outcomes = row.tests.iter().filter_map(|test| played.outcome(test));
            let mut notes = outcomes
                .flat_map(|outcome| &outcome.notes)
                .filter(|note| note.off.contains(defence))
                .peekable();
            notes.peek().is_some() && notes.all(|note| note.succeeded)
        }
    }
}

fn name(test: &TestName) -> String {
    format!("{} {}", test.binary, test.name)
}

fn control_name(control: &Control) -> String {
    match control {
        Control::Without(defence) => format!("without {defence}"),
        Control::Test(test) => name(test),
    }
}

/// One line a row, and under it what is missing.
pub(super) fn table(verdicts: &[RowVerdict<'_>]) -> Vec<String> {
    let mut lines = vec![line(["row", "source", "attack", "defence", "verdict", "control"])];
    for verdict in verdicts {
        let row = verdict.row;
        let defended = if verdict.defended { "defended" } else { "OPEN" };
        let control = if verdict.control_succeeds {
            "succeeds"
        } else {
            "NONE"
        };
        let id = format!("ATK-{}", row.number);
        lines.push(line([
            &id,
            &row.source,
            &row.attack,
            &row.defence,
            defended,
            control,
        ]));
        lines.extend(row.missing.iter().map(|what| format!("        missing: {what}")));
    }
    let (defended, controls) = (
        verdicts.iter().filter(|verdict| verdict.defended).count(),
        verdicts.iter().filter(|verdict| verdict.control_succeeds).count(),
    );
    lines.push(format!(
        "{defended} of {} attacks are defended, and of {controls} the control succeeds",
        verdicts.len()
    ));
    lines
}

fn line([id, source, attack, defence, verdict, control]: [&str; 6]) -> String {
    format!(
        "{id:<7} {:<30} {:<46} {:<46} {verdict:<9} {control}",
        short(source, 30),
        short(attack, 46),
        short(defence, 46)
    )
}

/// The beginning of a text, as much as fits the width.
fn short(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::super::play::Note;
    use super::*;

    fn outcome(passed: bool, notes: &[(&[&str], bool)]) -> TestOutcome {
        let notes = notes.iter().map(|(off, succeeded)| Note {
            off: off.iter().map(|name| (*name).to_owned()).collect(),
            succeeded: *succeeded,
        });
        TestOutcome {
            passed,
            notes: notes.collect(),
        }
    }

    #[test]
    fn only_what_was_seen_to_fail_is_defended() {
        let off: &[&str] = &["Nonces"];
        for (what, passed, notes, defended) in [
            ("a test without notes that passes", true, &[][..], true),
            ("one that fails", false, &[][..], false),
            (
                "both sides as they must be",
                true,
                &[(&[][..], false), (off, true)][..],
                true,
            ),
            (
                "the attack succeeds",
                false,
                &[(&[][..], true), (off, true)][..],
                false,
            ),
            (
                "the control fails",
                false,
                &[(&[][..], false), (off, false)][..],
                true,
            ),
            (
                "something else fails",
                false,
                &[(&[][..], false), (off, true)][..],
                false,
            ),
            ("only the control was played", true, &[(off, true)][..], false),
        ] {
            assert_eq!(refused(Some(&outcome(passed, notes))), defended, "{what}");
        }
        assert!(!refused(None));
    }
}
