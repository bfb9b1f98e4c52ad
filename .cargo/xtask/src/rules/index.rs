//! The page itself: rules by number, then by who keeps them.

use super::does::Activity;
use super::spec::cite::Citation;
use super::spec::page::{Line, Role, Rule};
use super::tests_of;

/// Where a first sentence is cut at a clause.
const LONG: usize = 160;
/// A sentence that ends sooner says too little alone.
const SHORT: usize = 30;

const HEAD: &str = "# Rules

All rules of these pages: who keeps them (S server, P patient's client, I institution's client, W witness, V verifier,
R registrar: [overview.md](overview.md) §5), where each stands, how it begins, and which tests cite it. §2 has them by who keeps
them.

`cargo xtask rules` makes this page from the others and from the tests. Nobody writes into it, and nothing in it is normative.

## 1. By number
";

/// The whole text of `rules.md`.
pub(super) fn page(rules: &[Rule], does: &[Activity], citations: &[Citation]) -> String {
    let mut lines = vec![HEAD.to_owned()];
    for of_prefix in rules.chunk_by(|one, next| one.prefix() == next.prefix()) {
        let prefix = of_prefix.first().map_or("", Rule::prefix);
        lines.push(format!("### {prefix}\n"));
        lines.push("| rule | who | page | begins | tests |\n|---|---|---|---|---|".to_owned());
        lines.extend(of_prefix.iter().map(|rule| row(rule, citations)));
        lines.push(String::new());
    }
    lines.push("## 2. By who keeps them\n".to_owned());
    lines.push("Where a letter stands behind an id, only that line of the rule is meant.\n".to_owned());
    for role in Role::ALL {
        lines.push(format!("### {}: {}\n", role.letter(), name(role)));
        match role {
            Role::Institution => lines.push(by_activity(rules, does)),
            _ => lines.push(listed(rules, |rule, line| has(role, rule, line))),
        }
        lines.push(String::new());
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Patient => "patient's client",
        Role::Institution => "institution's client",
        Role::Witness => "witness",
        Role::Verifier => "verifier",
        Role::Registrar => "registrar",
    }
}

fn row(rule: &Rule, citations: &[Citation]) -> String {
    let who: Vec<_> = rule.roles.iter().map(|role| role.letter()).collect();
    let page = match &rule.heading {
        Some(heading) => format!(
            "[{} §{}]({}#{})",
            rule.page,
            section(heading),
            rule.page,
            anchor(heading)
        ),
        None => format!("[{}]({})", rule.page, rule.page),
    };
    let cells = [
        rule.id.clone(),
        who.join(", "),
        page,
        begins(rule).replace('|', "\\|"),
        tests_of::cell(&rule.id, citations),
    ];
    format!("| {} |", cells.join(" | "))
}

/// The number of a section.
pub(super) fn section(heading: &str) -> &str {
    heading.split_once(". ").map_or(heading, |(number, _)| number)
}

/// As a heading is linked to: lower case, without punctuation, hyphens for spaces.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The first sentence, or so much of it as is short.
fn begins(rule: &Rule) -> String {
    let first = rule.lines.first().map_or("", |line| line.text.as_str());
    let text = if rule.text.is_empty() { first } else { &rule.text };
    let (mut code, mut depth, mut clause) = (false, 0_i32, None);
    for (at, c) in text.char_indices() {
        match c {
            '`' => code = !code,
            '(' if !code => depth += 1,
            ')' if !code => depth -= 1,
            _ => {}
        }
        let is_end = text
            .get(at + c.len_utf8()..)
            .is_none_or(|rest| rest.starts_with(' '));
        if code || depth > 0 || !is_end {
            continue;
        }
        if c == '.' && at > SHORT {
            return text.get(..=at).unwrap_or(text).to_owned();
        }
        if ":;,".contains(c) {
            if at > LONG {
                let end = clause.unwrap_or(at);
                return format!("{} …", text.get(..end).unwrap_or(text));
            }
            clause = Some(at);
        }
    }
    let whole = text.ends_with('.');
    let text = text.trim_end_matches([':', ',', ';']);
    if whole {
        text.to_owned()
    } else {
        format!("{text} …")
    }
}

/// The rules of which `keeps` says so, without a line (`None`) or line by line; those whose lines are all kept are not
/// taken apart. One row for each prefix.
fn listed(rules: &[Rule], keeps: impl Fn(&Rule, Option<&Line>) -> bool) -> String {
    let of_rule = |rule: &Rule| -> Vec<String> {
        let lines: Vec<_> = rule.lines.iter().filter(|line| keeps(rule, Some(line))).collect();
        let whole = match rule.lines.len() {
            0 => keeps(rule, None),
            all => lines.len() == all,
        };
        if whole {
            return vec![rule.id.clone()];
        }
        lines
            .iter()
            .map(|line| format!("{}{}", rule.id, line.letter))
            .collect()
    };
    let of_prefix = rules.chunk_by(|one, next| one.prefix() == next.prefix());
    let rows = of_prefix.map(|some| some.iter().flat_map(of_rule).collect::<Vec<_>>());
    rows.filter(|ids| !ids.is_empty())
        .map(|ids| format!("* {}", ids.join(", ")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn has(role: Role, rule: &Rule, line: Option<&Line>) -> bool {
    line.map_or(&rule.roles, |line| &line.roles).contains(&role)
}

/// What an institution's client keeps whatever it does, then by what it does.
fn by_activity(rules: &[Rule], does: &[Activity]) -> String {
    let named: Vec<_> = does.iter().flat_map(|activity| &activity.rules).collect();
    let is_named = |rule: &Rule, line: Option<&Line>| {
        let is = |(id, letter): &&(String, Option<char>)| {
            *id == rule.id && letter.is_none_or(|letter| line.is_some_and(|line| line.letter == letter))
        };
        named.iter().any(is)
    };
    let always = listed(rules, |rule, line| {
        has(Role::Institution, rule, line) && !is_named(rule, line)
    });
    let activities = does
        .iter()
        .map(|activity| format!("\n* {}: {}", activity.name, activity.keeps));
    format!(
        "Whatever it does:\n\n{always}\n\nBesides these, an institution that\n{}",
        activities.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{does, spec};

    const KEYS: &str = "# Keys

## 1. Who's who (and where)

**KEY-1** (S, I) An id MUST be `a. b` (see there. Really), always, and ever. Second.

**KEY-2** (S, P, I)
* a. (S, I) First MUST be:
* b. (P, I) second.
* c. (I) third.
";
    const DOES: &str = "| an institution that | keeps, besides |
|---|---|
| uploads | KEY-2b, and more |
";

    fn pages() -> Vec<(String, String)> {
        let page = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        vec![page("keys.md", KEYS), page("overview.md", DOES)]
    }

    #[test]
    fn a_rule_is_found_by_number_and_by_who_keeps_it() {
        let pages = pages();
        let rules = spec::rules(&pages).unwrap();
        let made = page(&rules, &does::read(&pages, &rules).unwrap(), &[]);
        for line in [
            "| KEY-1 | S, I | [keys.md §1](keys.md#1-whos-who-and-where) | An id MUST be `a. b` (see there. Really), always, and ever. |  |",
            "### S: server\n\n* KEY-1, KEY-2a\n",
            "### P: patient's client\n\n* KEY-2b\n",
            "Whatever it does:\n\n* KEY-1, KEY-2a, KEY-2c\n\nBesides these, an institution that\n\n* uploads: KEY-2b, and more\n",
        ] {
            assert!(made.contains(line), "{line:?} is not in {made}");
        }
    }

    #[test]
    fn a_long_sentence_is_cut_at_a_clause() {
        let long = "word ".repeat(40);
        let text = format!("**KEY-1** (S) Short, {long}, and more. Next.");
        let rules = spec::rules(&[("keys.md".to_owned(), text)]).unwrap();
        assert_eq!(begins(&rules[0]), "Short …");
    }
}
