//! The production part of one file: what is left of it without the items that stand behind `#[cfg(test)]`.
//!
//! Items are left out as tokens, before anything is parsed, so that no figure can count one of them by mistake.

use std::ops::RangeInclusive;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::Item;

/// One file, without its tests.
pub(super) struct SourceFile {
    /// Its path from the root of the workspace.
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
    pub(super) items: Vec<Item>,
}

/// One line of the production part.
pub(super) struct Line {
    /// Counted from one, tests included.
    pub(super) number: usize,
    pub(super) text: String,
}

impl Line {
    /// Whether it is neither blank nor a comment.
    pub(super) fn is_code(&self) -> bool {
        let text = self.text.trim();
        !text.is_empty() && !text.starts_with("//")
    }
}

impl SourceFile {
    /// Reads the text of a file.
    ///
    /// Fails when it is not Rust.
    pub(super) fn parse(path: &str, text: &str) -> Result<Self> {
        let unreadable = |error: &dyn std::fmt::Display| anyhow!("{path} is not Rust: {error}");
        let tokens: TokenStream = text.parse().map_err(|error| unreadable(&error))?;
        let mut tests = Vec::new();
        let tokens = without_tests(tokens, &mut tests);
        let file: syn::File = syn::parse2(tokens).map_err(|error| unreadable(&error))?;
        let numbered = text.lines().enumerate().map(|(index, line)| Line {
            number: index + 1,
            text: line.to_owned(),
        });
        Ok(Self {
            path: path.to_owned(),
            lines: numbered
                .filter(|line| !tests.iter().any(|test| test.contains(&line.number)))
                .collect(),
            items: file.items,
        })
    }

    /// Lines that are neither blank nor comments.
    pub(super) fn code(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.is_code())
    }
}

/// The tokens without whatever has an attribute `#[cfg(test)]`; the lines of what is left out go to `tests`.
fn without_tests(tokens: TokenStream, tests: &mut Vec<RangeInclusive<usize>>) -> TokenStream {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        if !is_punct(&token, '#') {
            kept.push(within(token, tests));
            continue;
        }
        let first = token.span().start().line;
        let mut attributes = vec![token];
        while let Some(next) =
            rest.next_if(|next| is_punct(next, '#') || is_punct(next, '!') || is_attribute(next))
        {
            attributes.push(next);
        }
        if !attributes.iter().any(is_for_tests) {
            kept.extend(attributes);
            continue;
        }
        let mut last = first;
        let ends_late = rest.peek().is_some_and(ends_at_semicolon);
        for token in rest.by_ref() {
            last = token.span().end().line;
            let is_body = matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            if is_punct(&token, ';') || is_punct(&token, ',') || (is_body && !ends_late) {
                break;
            }
        }
        tests.push(first..=last);
    }
    kept.into_iter().collect()
}

fn within(token: TokenTree, tests: &mut Vec<RangeInclusive<usize>>) -> TokenTree {
    let TokenTree::Group(group) = token else {
        return token;
    };
    let mut stripped = Group::new(group.delimiter(), without_tests(group.stream(), tests));
    stripped.set_span(group.span());
    TokenTree::Group(stripped)
}

/// Whether an item that begins so may have braces before its end.
fn ends_at_semicolon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(word)
        if ["use", "const", "static", "let", "type"].iter().any(|keyword| word == keyword))
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn is_attribute(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

/// `cfg(test)`, alone or as one condition of `all`. What is compiled for `any(test, …)` is compiled without tests, too.
fn is_for_tests(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else {
        return false;
    };
    let text: String = group
        .stream()
        .to_string()
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_cfg_test_is_not_counted() {
        let text = "/// Doc.\nfn one() {}\n\n// why\n#[cfg(test)]\nuse a::{b,\n    c};\nstruct S {\n    /// Doc.\n    \
                    #[cfg(test)]\n    seen: u8,\n    kept: u8,\n}\n#[cfg(test)]\nmod tests {\n    fn two() {}\n}\n";
        let source = SourceFile::parse("a.rs", text).unwrap();
        let numbers = |lines: Vec<&Line>| lines.iter().map(|line| line.number).collect::<Vec<_>>();
        assert_eq!(numbers(source.lines.iter().collect()), [1, 2, 3, 4, 8, 12, 13]);
        assert_eq!(numbers(source.code().collect()), [2, 8, 12, 13]);
        assert_eq!(source.items.len(), 2);
    }

    #[test]
    fn what_is_also_built_without_tests_is_counted() {
        let text = "#[cfg(any(test, feature = \"weakened\"))]\nfn one() {}\n#[cfg(not(test))]\nfn two() {}\n\
                    #[cfg(all(test, unix))]\nfn three() {}\n";
        let source = SourceFile::parse("a.rs", text).unwrap();
        assert_eq!(source.items.len(), 2);
    }
}
