//! The stored models pass the check, and changed ones do not.

use super::*;
use crate::process::workspace_root;

fn stored(ending: &str) -> BTreeMap<String, Model> {
    all(&workspace_root().join("protocol-spec/formal"), ending).unwrap()
}

/// What `check` says when the text of one Verifpal model is changed.
fn refusal(name: &str, change: impl Fn(&str) -> String) -> String {
    let mut models = stored("vp");
    let model = models.remove(name).unwrap();
    let changed = Model::parse(model.path.clone(), change(&model.text)).and_then(|changed| {
        models.insert(changed.name.clone(), changed);
        check(&models, &stored("pv"))
    });
    changed.unwrap_err().to_string()
}

#[test]
fn the_models_are_as_they_must_be() {
    let (verifpal, proverif) = (stored("vp"), stored("pv"));
    check(&verifpal, &proverif).unwrap();
    let controls = verifpal.values().filter(|model| model.control.is_some()).count();
    assert!(
        controls >= verifpal.len() - controls,
        "fewer controls than models"
    );
}

#[test]
fn a_model_without_expectations_is_refused() {
    let without = |text: &str| text.replace("// expect:", "// expected once:");
    assert!(refusal("download", without).contains("no expectations"));
}

#[test]
fn queries_are_explored_with_the_sessions_that_they_name() {
    let text = "// model: m\n// sessions: 1\n// expect: holds | a? x\n// expect: attack @3 | b? y\nqueries[\n\ta? x\n\tb? y\n]\n";
    let model = Model::parse(PathBuf::from("m.vp"), text.to_owned()).unwrap();
    let texts = model.by_sessions();
    assert_eq!(texts.keys().collect::<Vec<_>>(), [&"1", &"3"]);
    assert!(texts["1"].ends_with("queries[\na? x\n]\n") && texts["3"].ends_with("queries[\nb? y\n]\n"));
    assert_eq!(expectation("holds 3 | a? x"), None);
}

#[test]
fn a_query_without_expectation_is_refused() {
    let more = |text: &str| text.replace("queries[", "queries[\n\tconfidentiality? sk_p");
    assert!(refusal("directory", more).contains("expects other queries"));
}

#[test]
fn a_model_without_control_is_refused() {
    let mut models = stored("vp");
    models.retain(|_, model| model.control.as_ref().is_none_or(|(of, _)| of != "directory"));
    let refused = check(&models, &stored("pv")).unwrap_err().to_string();
    assert_eq!(refused, "directory: no control");
}

#[test]
fn a_control_that_expects_no_attack_is_refused() {
    let holds = |text: &str| text.replace("expect: attack", "expect: holds");
    assert!(refusal("directory-without-name", holds).contains("expects no attack"));
}

/// What `check` says when the text of one ProVerif model is changed.
fn refusal_of_proverif(name: &str, change: impl Fn(&str) -> String) -> String {
    let mut models = stored("pv");
    let model = models.remove(name).unwrap();
    let changed = Model::parse(model.path.clone(), change(&model.text)).unwrap();
    models.insert(changed.name.clone(), changed);
    check(&stored("vp"), &models).unwrap_err().to_string()
}

#[test]
fn a_name_that_proverif_keeps_for_itself_is_refused() {
    let kept = |text: &str| text.replace("psec", "secret");
    assert_eq!(
        refusal_of_proverif("download", kept),
        "download: ProVerif keeps the word `secret` for itself: choose another name"
    );
}

#[test]
fn controls_of_proverif_are_held_against_their_models() {
    let mut models = stored("pv");
    models.retain(|_, model| model.control.as_ref().is_none_or(|(of, _)| of != "download"));
    let refused = check(&stored("vp"), &models).unwrap_err().to_string();
    assert_eq!(refused, "download: no control");
    let holds = |text: &str| text.replace("expect: false", "expect: true");
    assert!(refusal_of_proverif("download-without-challenge", holds).contains("expects no attack"));
    let longer =
        |text: &str| text.replace("process\n", &format!("{}process\n", "another line.\n".repeat(20)));
    assert!(refusal_of_proverif("upload-unpinned-directory", longer).contains("lines"));
}

#[test]
fn a_control_that_is_another_model_is_refused() {
    let longer = |text: &str| text.replace("queries[", &format!("{}queries[", "another line\n".repeat(20)));
    assert!(refusal("directory-without-name", longer).contains("lines"));
}

#[test]
fn a_flow_of_which_proverif_claims_something_else_is_refused() {
    let claim = |text: &str| text.replace("confidentiality? record", "confidentiality? record_ct");
    let mut models = stored("vp");
    let model = models.remove("download").unwrap();
    let changed = Model::parse(model.path.clone(), claim(&model.text)).unwrap();
    let refused = check_step(&changed, &stored("pv")["download"])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("not in step"), "{refused}");
}
