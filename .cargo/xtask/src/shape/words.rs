//! The paths and method calls in an item, found in its tokens: macros are not expanded, and what they are given is read like the rest.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The paths and the method names that stand in an item.
#[derive(Default)]
pub(super) struct Words {
    /// Segments of each path, also of paths of one segment. Generic arguments end a path.
    pub(super) paths: Vec<Vec<String>>,
    /// Names of the methods that are called on something.
    pub(super) calls: Vec<String>,
}

impl Words {
    /// Adds the words of these tokens.
    pub(super) fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        let mut before = Before::Other;
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            match token {
                TokenTree::Group(group) => {
                    self.read(group.stream());
                    before = Before::Other;
                }
                TokenTree::Punct(sign) => before = before.then(sign.as_char()),
                TokenTree::Literal(_) => before = Before::Other,
                TokenTree::Ident(word) if word == "use" && !is(rest.first(), '<') => {
                    let end = rest.iter().position(|token| is(Some(token), ';'));
                    rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
                }
                TokenTree::Ident(word) => {
                    let mut path = vec![word.to_string()];
                    while let [
                        TokenTree::Punct(one),
                        TokenTree::Punct(two),
                        TokenTree::Ident(next),
                        after @ ..,
                    ] = rest
                        && one.as_char() == ':'
                        && two.as_char() == ':'
                    {
                        path.push(next.to_string());
                        rest = after;
                    }
                    self.word(path, before, rest);
                    before = Before::Other;
                }
            }
        }
    }

    fn word(&mut self, path: Vec<String>, before: Before, after: &[TokenTree]) {
        match before {
            Before::Dot => {
                let is_call = matches!(after.first(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
                    || (is(after.first(), ':') && is(after.get(1), ':'));
                self.calls.extend(path.into_iter().next().filter(|_| is_call));
            }
            // A field with its value or type.
            Before::Other if path.len() == 1 && is(after.first(), ':') && !is(after.get(1), ':') => {}
            Before::Other => self.paths.push(path),
            Before::Dollar if path.first().is_some_and(|first| first == "crate") => self.paths.push(path),
            Before::Dollar | Before::Quote => {}
        }
    }
}

/// The sign that a word stands behind.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// One dot; two are a range.
    Dot,
    /// A variable of a macro, or its crate.
    Dollar,
    /// The quote that begins a lifetime.
    Quote,
    Other,
}

impl Before {
    fn then(self, sign: char) -> Self {
        match sign {
            '.' if self != Self::Dot => Self::Dot,
            '$' => Self::Dollar,
            '\'' => Self::Quote,
            _ => Self::Other,
        }
    }
}

fn is(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_calls_are_found_in_macros_too() {
        let text = "fn f<'a>(x: &'a T) { use b::c; say!(\"{}\", super::g(x.held().len)); 0..n(); x.all::<U>(); S { k: 1 } }";
        let mut words = Words::default();
        words.read(text.parse().unwrap());
        assert_eq!(words.calls, ["held", "all"]);
        let paths: Vec<String> = words.paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(
            paths,
            ["fn", "f", "T", "say", "super::g", "x", "n", "x", "U", "S"]
        );
    }
}
