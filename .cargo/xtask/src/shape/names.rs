//! Names and words: types that share a name, wire types away from home, and doc lines that say little.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Ident, ItemEnum, ItemStruct, ItemTrait, ItemType};

use super::modules::Crate;
use super::production::SourceFile;

/// Doc lines of at most so many words are short.
const FEW_WORDS: usize = 4;

/// Names that each command of a program has for its own.
pub(super) const APART: [&str; 2] = ["Command", "Options"];

/// By name, the files that define a struct, enum, trait or type alias of it, in any scope. Types that macros make are not seen.
pub(super) fn types(crates: &[Crate]) -> BTreeMap<String, BTreeSet<&str>> {
    let mut found = Types::default();
    for krate in crates {
        for module in &krate.modules {
            found.path = krate.files.get(module.file).map_or("", |file| file.path.as_str());
            for item in &module.items {
                found.visit_item(item);
            }
        }
    }
    found.found
}

/// Doc lines of the production part: all with a word in them, and the short ones of them.
pub(super) fn doc_lines(source: &SourceFile) -> (usize, usize) {
    let words = source.lines.iter().filter_map(|line| {
        let text = line.text.trim_start();
        let text = text.strip_prefix("///").or_else(|| text.strip_prefix("//!"))?;
        Some(text.split_whitespace().count()).filter(|words| *words > 0)
    });
    let short = words.clone().filter(|words| *words <= FEW_WORDS).count();
    (words.count(), short)
}

/// How often the code names something of the messages' own module.
pub(super) fn wire_types(source: &SourceFile) -> usize {
    source.code().map(|line| line.text.matches("pb::").count()).sum()
}

#[derive(Default)]
struct Types<'a> {
    path: &'a str,
    found: BTreeMap<String, BTreeSet<&'a str>>,
}

impl Types<'_> {
    fn enter(&mut self, name: &Ident) {
        self.found.entry(name.to_string()).or_default().insert(self.path);
    }
}

impl<'ast> Visit<'ast> for Types<'_> {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.enter(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.enter(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.enter(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.enter(&item.ident);
        visit::visit_item_type(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::modules::tests::of as source;
    use super::*;

    #[test]
    fn short_doc_lines_are_those_of_one_to_four_words() {
        let text = "//! Its head.\n\n/// What one two three four says.\n///\n/// Of whom it is.\n// not a doc\nfn f() {}\n\
                    #[cfg(test)]\nmod tests {\n    /// Its id.\n    fn g() {}\n}\n";
        assert_eq!(doc_lines(&SourceFile::parse("a.rs", text).unwrap()), (3, 2));
    }

    #[test]
    fn wire_types_are_counted_in_code_only() {
        let text =
            "use crate::pb;\n// a pb::Event\nfn f(a: pb::A) -> pb::B {}\n#[cfg(test)]\nfn g(a: pb::A) {}\n";
        assert_eq!(wire_types(&SourceFile::parse("a.rs", text).unwrap()), 2);
    }

    #[test]
    fn a_type_is_counted_once_a_file() {
        let files = [
            ("lib.rs", "mod one;\nstruct A;\nfn f() { enum A {} }"),
            ("one.rs", "type A = u8;\ntrait B { type A; }"),
        ];
        let crates = [source(&files)];
        let found = types(&crates);
        assert_eq!(found.get("A").map(BTreeSet::len), Some(2));
        assert_eq!(found.get("B").map(BTreeSet::len), Some(1));
    }
}
