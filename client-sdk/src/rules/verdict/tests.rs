use std::time::Duration;

use proptest::{collection::vec, option, prelude::*, sample::select};
use protocol_spec::purpose::Purpose;

use super::*;

const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 3600 * 1000;

fn institution(n: u8) -> InstitutionId {
    InstitutionId::from_bytes([n; 32])
}

fn known(n: u8) -> Known {
    Known {
        id: institution(n),
        written: format!("Institution {n}"),
    }
}

fn file(media_type: &str, fhir: &str) -> FileFacts {
    FileFacts {
        media_type: media_type.into(),
        fhir_resource_type: fhir.into(),
    }
}

/// Made by institution 9, a day ago.
fn record(n: u8, files: &[FileFacts]) -> RecordFacts {
    RecordFacts {
        record_id: RecordId::from_bytes([n; 16]),
        version_id: VersionId::from_bytes([n; 16]),
        received: NOW - DAY,
        made_by: institution(9),
        files: files.to_vec(),
    }
}

/// A download by institution 1 from a vault with a laboratory result, an image, and a record that has both.
fn facts() -> Facts {
    let (result, image) = (
        file("application/fhir+json", "Observation"),
        file("application/dicom", ""),
    );
    Facts {
        kind: Kind::Download,
        from: institution(1),
        to: institution(1),
        purpose: Some(Purpose::TREAT),
        expires: NOW + DAY,
        records: vec![
            record(1, std::slice::from_ref(&result)),
            record(2, std::slice::from_ref(&image)),
            record(3, &[result, image]),
        ],
    }
}

fn all() -> RecordRule<Known> {
    RecordRule {
        media: vec![],
        fhir: vec![],
        received_within: None,
        made_by: vec![],
    }
}

fn rule(name: &str, action: Action<Known>) -> Rule<Known> {
    Rule {
        name: name.into(),
        from: Whom::One(known(1)),
        asked: WhatIsAsked::Download,
        purpose: vec![],
        until: None,
        action,
    }
}

fn permit(records: RecordRule<Known>) -> Action<Known> {
    Action::Permit(Permit {
        records,
        expires: Duration::from_secs(3600),
        uses: 2,
    })
}

fn deny() -> Action<Known> {
    Action::Deny { text: "no".into() }
}

fn verdict(rules: Vec<Rule<Known>>, facts: &Facts) -> Verdict {
    Rules { rules }.evaluate(facts, NOW)
}

fn permitted(rule: RecordRule<Known>, facts: &Facts) -> Vec<u8> {
    match verdict(vec![self::rule("r", permit(rule))], facts).answer {
        Answer::Permit(grant) => grant
            .records
            .iter()
            .map(|(record, _)| record.as_bytes()[0])
            .collect(),
        Answer::Ask { .. } => vec![],
        Answer::Deny { .. } => panic!("denied"),
    }
}

#[test]
fn what_no_rule_matches_is_left_to_her() {
    let none = verdict(vec![], &facts());
    assert!(matches!(&none.answer, Answer::Ask { why } if why == "no rule matches"));
    assert!(none.rule.is_none() && none.looked_at.is_empty());
    let mut other = rule("other", permit(all()));
    other.from = Whom::One(known(2));
    let verdict = verdict(vec![other], &facts());
    assert!(matches!(verdict.answer, Answer::Ask { .. }));
    assert_eq!(verdict.looked_at[0].why, "it is for requests from Institution 2");
}

#[test]
fn the_first_rule_that_matches_answers_and_none_after_it_is_looked_at() {
    let mut skipped = rule("skipped", permit(all()));
    skipped.asked = WhatIsAsked::Reference { to: Whom::Any };
    let rules = vec![skipped, rule("deny", deny()), rule("permit", permit(all()))];
    let first = verdict(rules.clone(), &facts());
    assert_eq!(
        (first.answer, first.rule.as_deref()),
        (Answer::Deny { text: "no".into() }, Some("deny"))
    );
    let looked: Vec<_> = first
        .looked_at
        .iter()
        .map(|looked| (looked.rule.as_str(), looked.matches))
        .collect();
    assert_eq!(looked, [("skipped", false), ("deny", true)]);
    // The control: in the other order the other one answers.
    let turned = verdict(rules.into_iter().rev().collect(), &facts());
    assert_eq!(turned.rule.as_deref(), Some("permit"));
}

#[test]
fn an_expired_rule_matches_nothing_and_no_permission_outlasts_its_rule() {
    let at = |until: u64| {
        let mut rule = rule("r", permit(all()));
        rule.until = Some(until);
        verdict(vec![rule], &facts())
    };
    for until in [0, NOW - 1, NOW] {
        let verdict = at(until);
        assert!(matches!(verdict.answer, Answer::Ask { .. }) && verdict.rule.is_none());
        assert_eq!(verdict.looked_at[0].why, "its time is over");
    }
    let ends = |until| match at(until).answer {
        Answer::Permit(grant) => grant.not_after,
        other => panic!("{other:?}"),
    };
    assert_eq!(ends(NOW + 1), NOW + 1);
    assert_eq!(ends(NOW + DAY), NOW + 3_600_000);
}

#[test]
fn a_request_that_has_expired_gets_no_answer() {
    let late = Facts {
        expires: NOW,
        ..facts()
    };
    let verdict = verdict(vec![rule("r", permit(all()))], &late);
    assert!(matches!(verdict.answer, Answer::Ask { .. }) && verdict.looked_at.is_empty());
}

/// CND-1: the purpose that the request states; one that states none matches no rule that names some.
#[test]
fn purposes_are_told_apart() {
    let research = "HRESCH".parse().unwrap();
    let stating = |purpose| Facts { purpose, ..facts() };
    for (purposes, matches) in [
        (vec![], [true, true, true]),
        (vec![Purpose::TREAT], [true, false, false]),
        (vec![research, Purpose::TREAT], [true, true, false]),
    ] {
        let mut rule = rule("r", permit(all()));
        rule.purpose = purposes;
        let found = [Some(Purpose::TREAT), Some(research), None]
            .map(|purpose| verdict(vec![rule.clone()], &stating(purpose)).rule.is_some());
        assert_eq!(found, matches, "{:?}", rule.purpose);
    }
}

#[test]
fn kinds_and_receivers_are_told_apart() {
    let reference = Facts {
        kind: Kind::Reference,
        to: institution(2),
        ..facts()
    };
    let upload = Facts {
        kind: Kind::Upload,
        ..facts()
    };
    let to = |whom| WhatIsAsked::Reference { to: whom };
    let cases = [
        (WhatIsAsked::Any, [true, true, false]),
        (WhatIsAsked::Download, [true, false, false]),
        (to(Whom::Any), [false, true, false]),
        (to(Whom::One(known(2))), [false, true, false]),
        (to(Whom::One(known(1))), [false, false, false]),
    ];
    for (asked, matches) in cases {
        let mut rule = rule("r", deny());
        rule.asked = asked;
        let found =
            [&facts(), &reference, &upload].map(|facts| verdict(vec![rule.clone()], facts).rule.is_some());
        assert_eq!(found, matches, "{:?}", rule.asked);
    }
}

#[test]
fn each_condition_must_hold_for_each_file_of_a_record() {
    let media = |text: &str| RecordRule {
        media: vec![text.to_owned().try_into().unwrap()],
        ..all()
    };
    let fhir = RecordRule {
        fhir: vec!["Observation".into()],
        ..all()
    };
    assert_eq!(permitted(all(), &facts()), [1, 2, 3]);
    assert_eq!(permitted(media("application/dicom"), &facts()), [2]);
    assert_eq!(permitted(media("application/*"), &facts()), [1, 2, 3]);
    assert_eq!(permitted(fhir.clone(), &facts()), [1]);
    let both = RecordRule {
        fhir: fhir.fhir.clone(),
        ..media("application/dicom")
    };
    assert_eq!(permitted(both, &facts()), [0_u8; 0]);
    let verdict = verdict(vec![rule("r", permit(fhir))], &facts());
    let why: Vec<_> = verdict.left_out.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(why, ["it has a file that is no FHIR resource"; 2]);
}

#[test]
fn makers_and_times_of_receipt_count() {
    let mut facts = facts();
    facts.records[1].made_by = institution(8);
    facts.records[2].received = NOW - 30 * DAY;
    let made = RecordRule {
        made_by: vec![known(9)],
        ..all()
    };
    assert_eq!(permitted(made, &facts), [1, 3]);
    let within = |days: u64| RecordRule {
        received_within: Some(Duration::from_millis(days * DAY)),
        ..all()
    };
    assert_eq!(permitted(within(30), &facts), [1, 2, 3]);
    assert_eq!(permitted(within(29), &facts), [1, 2]);
    // Five minutes are a difference between clocks, more is a date that nobody can rely on.
    facts.records[0].received = NOW + CLOCK_TOLERANCE;
    assert_eq!(permitted(within(29), &facts), [1, 2]);
    facts.records[0].received = NOW + CLOCK_TOLERANCE + 1;
    assert_eq!(permitted(within(29), &facts), [2]);
}

#[test]
fn a_permit_without_records_is_left_to_her_and_later_rules_do_not_answer() {
    let nothing = RecordRule {
        fhir: vec!["Consent".into()],
        ..all()
    };
    let verdict = verdict(
        vec![rule("first", permit(nothing)), rule("second", permit(all()))],
        &facts(),
    );
    assert!(matches!(&verdict.answer, Answer::Ask { why } if why.contains("no record")));
    assert_eq!(
        (verdict.rule.as_deref(), verdict.looked_at.len()),
        (Some("first"), 1)
    );
}

#[test]
fn more_records_than_a_permission_holds_are_left_to_her() {
    let count = |count: u16| {
        let one = |n: u16| RecordFacts {
            record_id: RecordId::from_bytes(
                [[n.to_be_bytes()[0]; 8], [n.to_be_bytes()[1]; 8]]
                    .concat()
                    .try_into()
                    .unwrap(),
            ),
            ..record(1, &[])
        };
        let facts = Facts {
            records: (0..count).map(one).collect(),
            ..facts()
        };
        permitted(all(), &facts).len()
    };
    assert_eq!((count(4096), count(4097)), (4096, 0));
}

/// A permission names versions: another version of the same record must not come along.
#[test]
fn a_version_that_does_not_fit_leaves_its_record_out() {
    let mut facts = facts();
    facts.records.truncate(2);
    facts.records[1].record_id = facts.records[0].record_id;
    let fhir = RecordRule {
        fhir: vec!["Observation".into()],
        ..all()
    };
    assert_eq!(permitted(fhir.clone(), &facts), [0_u8; 0]);
    facts.records.truncate(1);
    assert_eq!(permitted(fhir, &facts), [1], "the control");
}

fn some_whom() -> impl Strategy<Value = Whom<Known>> {
    prop_oneof![Just(Whom::Any), (1_u8..4).prop_map(|n| Whom::One(known(n)))]
}

fn some_rule() -> impl Strategy<Value = Rule<Known>> {
    let media = vec(
        select(vec!["application/dicom", "application/*", "*/*", "image/png"]),
        0..2,
    );
    let fhir = vec(select(vec!["Observation".to_owned(), "Bundle".to_owned()]), 0..2);
    let records = (
        media,
        fhir,
        option::of(1_u64..40),
        vec((8_u8..11).prop_map(known), 0..2),
    )
        .prop_map(|(media, fhir, days, made_by)| RecordRule {
            media: media
                .into_iter()
                .map(|glob| glob.to_owned().try_into().unwrap())
                .collect(),
            fhir,
            received_within: days.map(|days| Duration::from_millis(days * DAY)),
            made_by,
        });
    let permit = (records, 1_u64..200_000, 1_u32..5).prop_map(|(records, seconds, uses)| {
        Action::Permit(Permit {
            records,
            expires: Duration::from_secs(seconds),
            uses,
        })
    });
    let action = prop_oneof![3 => permit, 1 => Just(deny()), 1 => Just(Action::Ask)];
    let asked = prop_oneof![
        Just(WhatIsAsked::Any),
        Just(WhatIsAsked::Download),
        some_whom().prop_map(|to| WhatIsAsked::Reference { to }),
    ];
    let until = option::of(select(vec![0, NOW - 1, NOW, NOW + 1, NOW + DAY, u64::MAX]));
    let purpose = select(vec![vec![], vec![Purpose::TREAT]]);
    ("[a-c]", some_whom(), asked, purpose, until, action).prop_map(
        |(name, from, asked, purpose, until, action)| Rule {
            name,
            from,
            asked,
            purpose,
            until,
            action,
        },
    )
}

fn some_facts() -> impl Strategy<Value = Facts> {
    let one_file = (
        select(vec![
            "application/dicom",
            "application/fhir+json",
            "image/png",
            "",
        ]),
        select(vec!["", "Observation", "Bundle"]),
    );
    let files = vec(one_file.prop_map(|(media, fhir)| file(media, fhir)), 0..3);
    let record =
        (1_u8..6, 1_u8..9, 0_u64..50, 8_u8..11, files).prop_map(|(id, version, days, maker, files)| {
            RecordFacts {
                record_id: RecordId::from_bytes([id; 16]),
                version_id: VersionId::from_bytes([version; 16]),
                received: NOW + DAY - days * DAY,
                made_by: institution(maker),
                files,
            }
        });
    let kind = select(vec![Kind::Download, Kind::Reference, Kind::Upload]);
    (
        kind,
        1_u8..4,
        1_u8..4,
        option::of(select(vec![Purpose::TREAT, "HRESCH".parse().unwrap()])),
        select(vec![NOW, NOW + 1, NOW + DAY]),
        vec(record, 0..8),
    )
        .prop_map(|(kind, from, to, purpose, expires, records)| Facts {
            kind,
            from: institution(from),
            to: institution(to),
            purpose,
            expires,
            records,
        })
}

/// Whether a rule matches, said once more in the plainest way.
fn matches(rule: &Rule<Known>, facts: &Facts) -> bool {
    let is = |whom: &Whom<Known>, id| match whom {
        Whom::Any => true,
        Whom::One(known) => known.id == id,
    };
    let kind = match &rule.asked {
        WhatIsAsked::Any => facts.kind != Kind::Upload,
        WhatIsAsked::Download => facts.kind == Kind::Download,
        WhatIsAsked::Reference { to } => facts.kind == Kind::Reference && is(to, facts.to),
    };
    let purpose = rule.purpose.is_empty() || rule.purpose.iter().any(|one| facts.purpose == Some(*one));
    rule.until.is_none_or(|until| until > NOW) && is(&rule.from, facts.from) && kind && purpose
}

/// Whether a version fits, said once more in the plainest way.
fn fits(rule: &RecordRule<Known>, record: &RecordFacts) -> bool {
    let limited = !rule.media.is_empty() || !rule.fhir.is_empty();
    rule.received_within.is_none_or(|window| {
        record.received + millis(window) >= NOW && record.received <= NOW + CLOCK_TOLERANCE
    }) && (rule.made_by.is_empty() || rule.made_by.iter().any(|known| known.id == record.made_by))
        && (!limited || !record.files.is_empty())
        && record.files.iter().all(|file| {
            (rule.media.is_empty() || rule.media.iter().any(|glob| glob.matches(&file.media_type)))
                && (rule.fhir.is_empty() || rule.fhir.contains(&file.fhir_resource_type))
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        // A fifth of all rules matches by chance, and is passed over where it must not.
        max_global_rejects: 1 << 20,
        ..ProptestConfig::default()
    })]

    /// The whole of evaluation against a model.
    #[test]
    fn verdicts_are_those_of_the_first_matching_rule(rules in vec(some_rule(), 0..5), facts in some_facts()) {
        let verdict = Rules { rules: rules.clone() }.evaluate(&facts, NOW);
        let first = rules.iter().position(|rule| matches(rule, &facts)).filter(|_| facts.expires > NOW);
        let Some(first) = first else {
            let ask = matches!(verdict.answer, Answer::Ask { .. });
            prop_assert!(ask && verdict.rule.is_none());
            return Ok(());
        };
        let rule = &rules[first];
        prop_assert_eq!(verdict.rule.as_ref(), Some(&rule.name));
        prop_assert_eq!(verdict.looked_at.len(), first + 1);
        prop_assert!(verdict.looked_at[..first].iter().all(|looked| !looked.matches));
        match (&rule.action, &verdict.answer) {
            (Action::Deny { text }, Answer::Deny { text: said }) => prop_assert_eq!(text, said),
            (Action::Ask, Answer::Ask { .. }) => {}
            (Action::Permit(permit), Answer::Permit(grant)) => {
                prop_assert!(!grant.records.is_empty());
                for record in &facts.records {
                    let all_fit = facts.records.iter().filter(|other| other.record_id == record.record_id).all(|version| fits(&permit.records, version));
                    prop_assert_eq!(grant.records.contains(&(record.record_id, record.version_id)), all_fit);
                }
                // Never more than is asked, than the rule says, than there is.
                prop_assert!(grant.records.iter().all(|chosen| facts.records.iter().any(|record| (record.record_id, record.version_id) == *chosen)));
                prop_assert!(grant.records.windows(2).all(|two| two[0] < two[1]));
                prop_assert!(grant.not_after > NOW && grant.not_after <= NOW + millis(permit.expires));
                prop_assert!(rule.until.is_none_or(|until| grant.not_after <= until));
                prop_assert_eq!(grant.uses, permit.uses);
                prop_assert!(facts.kind != Kind::Upload);
            }
            (Action::Permit(permit), Answer::Ask { .. }) => {
                let fit = |id| facts.records.iter().filter(|record| record.record_id == id).all(|version| fits(&permit.records, version));
                prop_assert!(!facts.records.iter().any(|record| fit(record.record_id)));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// A rule that does not match changes nothing, wherever it stands.
    #[test]
    fn rules_that_do_not_match_change_nothing(
        rules in vec(some_rule(), 0..4), other in some_rule(), at in 0_usize..5, facts in some_facts(),
    ) {
        prop_assume!(!matches(&other, &facts));
        let before = Rules { rules: rules.clone() }.evaluate(&facts, NOW);
        let mut more = rules;
        more.insert(at.min(more.len()), other);
        let after = Rules { rules: more }.evaluate(&facts, NOW);
        prop_assert_eq!((before.answer, before.rule, before.left_out), (after.answer, after.rule, after.left_out));
    }
}
