//! Words that ProVerif keeps for itself: a model in which one of them is a name does not parse. They are looked for here, so
//! that a model that was changed where ProVerif is not at hand is found out all the same.

/// The keywords of the typed front end of ProVerif 2.05.
const RESERVED: &str = "\
    among axiom channel choice clauses const def diff do elimtrue else equation equivalence event expand \
    fail for forall foreach free fun get if implementation in insert lemma let letfun letproba new \
    noninterf noselect not nounif or otherwise out param phase pred proba process proof public_vars \
    putbegin query reduc restriction secret select set suchthat sync table then type weaksecret yield";

/// The first reserved word that a ProVerif model uses as a name: one with `:`, `,`, `)` or `=` behind it. What is said with
/// these words has something else there, but for a channel's type and the processes `fail` and `yield`.
pub(super) fn name_of(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic() || letter == '(') {
        rest = rest.get(start..)?;
        if let Some(comment) = rest.strip_prefix("(*") {
            rest = comment.split_once("*)").map_or("", |(_, behind)| behind);
            continue;
        }
        let end = rest
            .find(|letter: char| !is_part_of_a_name(letter))
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at_checked(end.max(1))?;
        let used_as_name = behind.trim_start().starts_with([':', ',', ')', '=']);
        if used_as_name && is_reserved(word) {
            return Some(word);
        }
        rest = behind;
    }
    None
}

fn is_reserved(word: &str) -> bool {
    let said_alone = ["channel", "fail", "yield"].contains(&word);
    !said_alone && RESERVED.split_whitespace().any(|reserved| reserved == word)
}

fn is_part_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '\''
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_word_is_found_where_it_is_a_name() {
        for model in [
            "new secret: key; out(c, x).",
            "fun posskey(key, key): sigsk. let x = posskey(secret, dek) in 0.",
            "let (k2b(a: key), k2b(table: key)) = d in 0.",
            "let out = x in 0.",
        ] {
            assert!(name_of(model).is_some(), "{model}");
        }
    }

    #[test]
    fn what_is_said_with_reserved_words_is_not_a_name() {
        let model = "(* secret: a comment, with = and ) *)\nset ignoreTypes = false.\nfree c: channel.\ntable insts(kempk, sigpk).\n\
                     query attacker(record).\nlet P(skP: sigsk) = get insts(ik, is) in in(c, (x: bitstring)); if x = y then out(c, x).";
        assert_eq!(name_of(model), None);
        assert_eq!(name_of("new secrets: key; new set_1: key."), None);
    }
}
