//! One page of `spec/`, read: a rule is a paragraph that begins with its id, says who must keep it, and may have
//! lettered lines.

use super::cite::cited;

/// Who must keep a rule: `spec/overview.md` §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Server,
    Patient,
    Institution,
    Witness,
    Verifier,
    Registrar,
}

/// A rule as its page has it.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Such as `KEY-3`.
    pub(crate) id: String,
    /// All who keep it, or a line of it.
    pub(crate) roles: Vec<Role>,
    /// What stands before its lettered lines; the whole of it where there are none.
    pub(crate) text: String,
    pub(crate) lines: Vec<Line>,
    /// The name of the file.
    pub(crate) page: String,
    /// The heading of its section; none before the first.
    pub(crate) heading: Option<String>,
}

/// A lettered line of a rule.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) letter: char,
    /// Its own, else those of the rule.
    pub(crate) roles: Vec<Role>,
    pub(crate) text: String,
}

impl Role {
    pub(crate) const ALL: [Self; 6] = [
        Self::Server,
        Self::Patient,
        Self::Institution,
        Self::Witness,
        Self::Verifier,
        Self::Registrar,
    ];

    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Server => "S",
            Self::Patient => "P",
            Self::Institution => "I",
            Self::Witness => "W",
            Self::Verifier => "V",
            Self::Registrar => "R",
        }
    }
}

impl Rule {
    pub(crate) fn prefix(&self) -> &str {
        self.id.split_once('-').map_or("", |(prefix, _)| prefix)
    }

    pub(crate) fn number(&self) -> u32 {
        let number = self
            .id
            .split_once('-')
            .and_then(|(_, number)| number.parse().ok());
        number.unwrap_or_default()
    }

    pub(crate) fn line(&self, letter: char) -> Option<&Line> {
        self.lines.iter().find(|line| line.letter == letter)
    }

    fn read(id: &str, paragraph: &str) -> Result<Self, String> {
        let (head, lines) = match paragraph.split_once("\n* ") {
            Some((head, lines)) => (head, lines.split("\n* ").collect()),
            None => (paragraph, Vec::new()),
        };
        let (roles, text) = roles(head)?.ok_or("it does not say who keeps it")?;
        let expected = 'a'..='z';
        let lines: Vec<_> = expected
            .zip(lines)
            .map(|(letter, line)| Line::read(letter, line))
            .collect::<Result<_, _>>()?;
        let own: Vec<_> = lines.iter().map(|(roles, _)| roles.clone()).collect();
        check_lines(&roles, &own)?;
        Ok(Self {
            id: id.to_owned(),
            text: flat(text),
            lines: lines
                .into_iter()
                .map(|(own, line)| Line {
                    roles: own.unwrap_or_else(|| roles.clone()),
                    ..line
                })
                .collect(),
            roles,
            page: String::new(),
            heading: None,
        })
    }
}

impl Line {
    /// `a. (S, P) text`, the roles being those of the rule where the line names none.
    fn read(letter: char, line: &str) -> Result<(Option<Vec<Role>>, Self), String> {
        let text = line
            .strip_prefix(letter)
            .and_then(|rest| rest.strip_prefix(". "))
            .ok_or_else(|| format!("line {letter} is missing or out of order"))?;
        let (own, text) = roles(text)
            .map_err(|error| format!("line {letter}: {error}"))?
            .map_or((None, text), |(roles, text)| (Some(roles), text));
        let line = Self {
            letter,
            roles: Vec::new(),
            text: flat(text),
        };
        Ok((own, line))
    }
}

/// The rules of one page, in its order.
pub(crate) fn rules(page: &str, text: &str) -> Result<Vec<Rule>, String> {
    let mut found = Vec::new();
    let mut heading = None;
    for paragraph in text.split("\n\n").map(str::trim) {
        if let Some(title) = paragraph.strip_prefix("## ") {
            heading = title.lines().next().map(str::to_owned);
        }
        let Some((id, rest)) = paragraph
            .strip_prefix("**")
            .and_then(|rest| rest.split_once("**"))
        else {
            continue;
        };
        if !has_form(id) {
            continue;
        }
        if cited(id).first().map(|(known, letter)| (known.as_str(), *letter)) != Some((id, None)) {
            return Err(format!("{page}: {id} has a prefix that is not known"));
        }
        let rule = Rule::read(id, rest).map_err(|error| format!("{page}: {id}: {error}"))?;
        found.push(Rule {
            page: page.to_owned(),
            heading: heading.clone(),
            ..rule
        });
    }
    Ok(found)
}

/// Letters, a hyphen, a number: an id, of whichever prefix.
fn has_form(id: &str) -> bool {
    let form = |(prefix, number): (&str, &str)| {
        !prefix.is_empty()
            && prefix.chars().all(|c| c.is_ascii_uppercase())
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
    };
    id.split_once('-').is_some_and(form)
}

/// The roles at the beginning, `(S, P)`, and what follows; none if it begins otherwise.
fn roles(text: &str) -> Result<Option<(Vec<Role>, &str)>, String> {
    let tag = text
        .trim_start()
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'));
    let Some((names, rest)) =
        tag.filter(|(names, _)| names.chars().all(|c| " ,".contains(c) || c.is_ascii_uppercase()))
    else {
        return Ok(None);
    };
    let role = |name: &str| {
        let known = Role::ALL.into_iter().find(|role| role.letter() == name);
        known.ok_or_else(|| format!("there is no role {name:?}"))
    };
    let roles: Vec<_> = names.split(", ").map(role).collect::<Result<_, _>>()?;
    if roles.is_sorted_by(|one, next| one < next) {
        Ok(Some((roles, rest)))
    } else {
        Err(format!("its roles are not in the order of the overview: {names}"))
    }
}

/// Lines say who keeps them all or none; all together they are kept by those of the rule.
fn check_lines(all: &[Role], lines: &[Option<Vec<Role>>]) -> Result<(), String> {
    let own: Vec<_> = lines.iter().flatten().collect();
    if own.is_empty() {
        return Ok(());
    }
    if own.len() != lines.len() {
        return Err("some of its lines say who keeps them, and others do not".to_owned());
    }
    let kept = |role: &Role| own.iter().any(|roles| roles.contains(role));
    if Role::ALL.iter().all(|role| kept(role) == all.contains(role)) {
        Ok(())
    } else {
        Err("its roles are not those of its lines together".to_owned())
    }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
