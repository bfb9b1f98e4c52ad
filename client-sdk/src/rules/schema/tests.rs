//! The file is read strictly, and the published schema says the same as the reader.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::rules::{EXAMPLE, SCHEMA};

const PERMIT: &str = r#"format = 1
[[rule]]
name = "n"
from = "Clinic"
kind = "download"
action = "permit"
records = { all = true }
"#;

fn refused(text: &str) -> (usize, String) {
    match Rules::parse(text) {
        Err(Error::RulesFile { line, cause }) => (line, cause),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_documented_example_says_what_its_comments_say() {
    let rules = Rules::parse(EXAMPLE).unwrap().rules;
    let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let Action::Permit(permit) = &rules[0].action else {
        panic!("{:?}", rules[0])
    };
    assert_eq!(rules[0].until, Some(1_811_808_000_000));
    let codes: Vec<_> = rules[0].purpose.iter().map(|purpose| purpose.code()).collect();
    assert_eq!(codes, ["TREAT", "ETREAT"]);
    assert_eq!(rules[1].purpose, []);
    assert_eq!((permit.expires.as_secs(), permit.uses), (7200, 1));
    assert_eq!(permit.records.fhir, ["Observation", "DiagnosticReport"]);
    assert_eq!(permit.records.made_by, ["Central Laboratory"]);
    assert_eq!(
        permit.records.received_within,
        Some(Duration::from_secs(90 * 86400))
    );
    let to = Whom::One("Radiology South".to_owned());
    assert_eq!(rules[1].asked, WhatIsAsked::Reference { to });
    assert_eq!(rules[1].until, Some(1_801_414_800_000));
    assert!(matches!(&rules[2].action, Action::Deny { text } if text.contains("research")));
    assert_eq!((&rules[3].from, &rules[3].action), (&Whom::Any, &Action::Ask));
}

#[test]
fn defaults_are_once_within_an_hour_and_no_rules_are_rules() {
    let Action::Permit(permit) = &Rules::parse(PERMIT).unwrap().rules[0].action else {
        panic!()
    };
    assert_eq!((permit.expires, permit.uses), (Duration::from_secs(3600), 1));
    assert_eq!(Rules::parse("format = 1").unwrap().rules, []);
}

#[test]
fn what_is_not_known_is_refused_with_its_line_and_what_is_allowed() {
    let with = |from: &str, to: &str| {
        assert!(PERMIT.contains(from), "{from}");
        PERMIT.replace(from, to)
    };
    let all = "records = { all = true }";
    let cases: &[(String, usize, &str)] = &[
        (
            with("kind =", "knid ="),
            5,
            "unknown field `knid`, expected one of `name`, `from`, `kind`",
        ),
        (
            with("format = 1", "format = 1\nrules = 2"),
            2,
            "unknown field `rules`, expected `format` or `rule`",
        ),
        (
            with("\"permit\"", "\"allow\""),
            6,
            "unknown variant `allow`, expected one of `permit`, `deny`, `ask`",
        ),
        (
            with("\"download\"", "\"upload\""),
            5,
            "expected one of `download`, `reference`, `any`",
        ),
        (
            with(all, "records = { everything = true }"),
            7,
            "unknown field `everything`, expected one of `all`, `media`",
        ),
        (
            with(all, "records = { fhir = [\"no type\"] }"),
            7,
            "FHIR resource type such as Observation",
        ),
        (
            with(all, "records = { media = [\"dicom\"] }"),
            7,
            "media type such as",
        ),
        (
            with(all, "records = { received-within = \"soon\" }"),
            7,
            "duration such as",
        ),
        (
            with(all, "records = { all = true }\npurpose = [\"CURE\"]"),
            8,
            "HL7 code of a purpose of use, such as TREAT",
        ),
        (
            with(all, "records = { all = true }\npurpose = []"),
            2,
            "names at least one purpose",
        ),
        (
            with(all, "records = { all = true }\nuntil = \"June\""),
            8,
            "write a date such as 2027-06-01",
        ),
        (
            with(all, "records = { all = true }\nuntil = 5"),
            8,
            "write a date such as 2027-06-01",
        ),
        (
            with(all, "records = { all = true }\nuntil = 2027-06-01T08:00:00"),
            8,
            "with its offset",
        ),
        (
            with(all, "records = { all = true }\nterms = { uses = 0 }"),
            8,
            "nonzero",
        ),
        (
            with(all, "records = { all = true }\nterms = { use = 1 }"),
            8,
            "expected `expires` or `uses`",
        ),
        (with("format = 1", "format = 2"), 1, "format is not 1"),
        (with("format = 1", ""), 1, "missing field `format`"),
        (with("name = \"n\"", "name ="), 3, ""),
        // Of rules as a whole: the line where the rule begins.
        (with(all, ""), 2, "needs `records`"),
        (
            with(all, "records = { all = true }\ntext = \"t\""),
            2,
            "`text` is for action = \"deny\"",
        ),
        (
            with(all, "records = { all = true }\nto = \"Clinic\""),
            2,
            "`to` is for kind = \"reference\"",
        ),
        (
            with(all, "records = { all = true, fhir = [\"Bundle\"] }"),
            2,
            "either all = true, or",
        ),
        (with(all, "records = {}"), 2, "either all = true, or"),
        (with(all, "records = { all = false }"), 2, "either all = true, or"),
        (with(all, "records = { fhir = [] }"), 2, "at least one"),
        (with(all, "records = { made-by = [\"any\"] }"), 2, "leave it out"),
        (with("\"download\"", "\"any\""), 2, "a permit is for one kind"),
        (with("\"download\"", "\"reference\""), 2, "needs `to`"),
        (with("\"n\"", "\" n\""), 2, "name is 1 to 100 bytes"),
        (with("\"n\"", "\"\""), 2, "name is 1 to 100 bytes"),
        (
            with("\"Clinic\"", "\"\""),
            2,
            "accredited name, its id, or \"any\"",
        ),
        (
            with("\"permit\"\nrecords = { all = true }", "\"deny\""),
            2,
            "a deny needs `text`",
        ),
        (with("\"permit\"", "\"ask\""), 2, "for action = \"permit\" alone"),
        (
            format!("{PERMIT}{}", &PERMIT[11..]),
            8,
            "another rule is called \"n\" too",
        ),
    ];
    for (text, line, words) in cases {
        let (at, cause) = refused(text);
        assert!(
            at == *line && cause.contains(words),
            "line {at}: {cause}\nwanted {line}: {words}\n{text}"
        );
        assert!(!cause.contains('\n'), "{cause}");
    }
}

/// What is validated with the schema: the words that the schema uses, and no others.
fn valid(schema: &Value, value: &Value) -> bool {
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    check(&root, schema, value)
}

fn check(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(words) = schema.as_object() else {
        return schema == &json!(true);
    };
    let length = |text: &Value| text.as_str().map(|text| text.chars().count() as u64);
    words.iter().all(|(word, said)| match word.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" => true,
        "$ref" => check(root, root.pointer(&said.as_str().unwrap()[1..]).unwrap(), value),
        "type" => match said.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            other => panic!("type {other}"),
        },
        "const" => said == value,
        "enum" => said.as_array().unwrap().contains(value),
        "required" => said
            .as_array()
            .unwrap()
            .iter()
            .all(|name| value.get(name.as_str().unwrap()).is_some()),
        "properties" => said
            .as_object()
            .unwrap()
            .iter()
            .all(|(name, schema)| value.get(name).is_none_or(|value| check(root, schema, value))),
        "additionalProperties" => value
            .as_object()
            .is_none_or(|fields| fields.keys().all(|name| schema["properties"].get(name).is_some())),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| check(root, said, item))),
        "minItems" => value
            .as_array()
            .is_none_or(|items| items.len() as u64 >= said.as_u64().unwrap()),
        "minLength" => length(value).is_none_or(|length| length >= said.as_u64().unwrap()),
        "maxLength" => length(value).is_none_or(|length| length <= said.as_u64().unwrap()),
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= said.as_i64().unwrap()),
        "maximum" => value
            .as_i64()
            .is_none_or(|number| number <= said.as_i64().unwrap()),
        "allOf" => said
            .as_array()
            .unwrap()
            .iter()
            .all(|schema| check(root, schema, value)),
        "anyOf" => said
            .as_array()
            .unwrap()
            .iter()
            .any(|schema| check(root, schema, value)),
        "if" => {
            let branch = if check(root, said, value) { "then" } else { "else" };
            schema.get(branch).is_none_or(|schema| check(root, schema, value))
        }
        "then" | "else" => true,
        other => panic!("the test does not know the word {other}"),
    })
}

/// As editors see TOML: dates are strings.
fn as_json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, as_json(value)))
            .collect(),
        other => serde_json::to_value(other).unwrap(),
    }
}

fn root() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

#[test]
fn the_documented_example_validates() {
    let example = as_json(toml::Value::Table(EXAMPLE.parse().unwrap()));
    assert!(valid(&root(), &example), "{example}");
    let mut wrong = example;
    wrong["rule"][0]["colour"] = json!("red");
    assert!(!valid(&root(), &wrong), "the control");
}

#[test]
fn schema_and_reader_know_the_same_fields() {
    // The reader names all that it knows when it meets something that it does not know.
    let known = |text: &str| -> BTreeSet<String> {
        let (_, cause) = refused(text);
        let (_, names) = cause.split_once("expected ").unwrap();
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rule = "format = 1\n[[rule]]\n";
    for (text, fields) in [
        ("zz = 1".to_owned(), "/properties"),
        (format!("{rule}zz = 1"), "/$defs/rule/properties"),
        (
            format!("{rule}records = {{ zz = 1 }}"),
            "/$defs/records/properties",
        ),
        (format!("{rule}terms = {{ zz = 1 }}"), "/$defs/terms/properties"),
    ] {
        let schema = root();
        let fields = schema.pointer(fields).unwrap().as_object().unwrap();
        assert_eq!(known(&text), fields.keys().cloned().collect(), "{text}");
    }
    for (text, values) in [
        (format!("{rule}kind = \"zz\""), "/$defs/rule/properties/kind/enum"),
        (
            format!("{rule}action = \"zz\""),
            "/$defs/rule/properties/action/enum",
        ),
    ] {
        let values: BTreeSet<String> =
            serde_json::from_value(root().pointer(values).unwrap().clone()).unwrap();
        assert_eq!(known(&text), values, "{text}");
    }
}

/// CND-1
#[test]
fn the_schema_knows_the_purposes_that_there_are() {
    let schema = root();
    let known = schema.pointer("/$defs/purpose/enum").unwrap().as_array().unwrap();
    let codes: Vec<_> = known.iter().map(|code| code.as_str().unwrap()).collect();
    let all: Vec<_> = protocol_spec::purpose::Purpose::all()
        .map(|purpose| purpose.code())
        .collect();
    assert_eq!(codes, all);
}

/// A rule of which each field is there, missing, or of a value that may not fit the others.
fn some_rule() -> impl Strategy<Value = String> {
    let field = |values: &'static [&'static str]| proptest::sample::select(values);
    (
        field(&["", "name = \"n\"", "name = \"\"", "name = 5"]),
        field(&["from = \"any\"", "from = \"Clinic\"", "from = \"\"", ""]),
        field(&[
            "kind = \"download\"",
            "kind = \"reference\"",
            "kind = \"any\"",
            "kind = \"upload\"",
        ]),
        field(&["", "", "to = \"any\"", "to = \"Clinic\""]),
        field(&["", "until = 2027-06-01", "until = \"2027-06-01\"", "until = 5"]),
        field(&[
            "action = \"permit\"",
            "action = \"deny\"",
            "action = \"ask\"",
            "action = \"no\"",
            "",
        ]),
        field(&[
            "",
            "",
            "records = { all = true }",
            "records = { all = false }",
            "records = { all = false, media = [\"a/b\"] }",
            "records = { all = true, fhir = [\"Bundle\"] }",
            "records = { media = [] }",
            "records = { made-by = [\"x\"], received-within = \"1d\" }",
            "records = { other = 1 }",
        ]),
        field(&[
            "",
            "",
            "terms = {}",
            "terms = { uses = 0 }",
            "terms = { uses = 2, expires = \"1h\" }",
            "terms = { x = 1 }",
        ]),
        field(&["", "", "text = \"t\"", "text = \"\""]),
        field(&[
            "",
            "",
            "purpose = [\"TREAT\", \"COC\"]",
            "purpose = []",
            "purpose = [\"CURE\"]",
        ]),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, j)| {
            format!(
                "format = 1\n[[rule]]\n{}\n",
                [a, b, c, d, e, f, g, h, i, j].join("\n")
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn the_reader_takes_exactly_what_validates(text in some_rule()) {
        let value = as_json(toml::Value::Table(text.parse().unwrap()));
        prop_assert_eq!(Rules::parse(&text).is_ok(), valid(&root(), &value), "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}") {
        drop(Rules::parse(&text));
        drop(Rules::parse(&format!("{PERMIT}{text}")));
    }
}
