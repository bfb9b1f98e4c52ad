//! How long functions are: from `fn`, or what stands before it on its line, to the closing brace. Attributes and docs are no part.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

use super::modules::Crate;

/// One function with a body.
pub(super) struct Function {
    /// Where it begins and what it is called: `path:line name`.
    pub(super) place: String,
    pub(super) lines: usize,
}

/// All functions of a crate. What macros are given is not parsed, so functions in there are not among them.
pub(super) fn of(krate: &Crate) -> Vec<Function> {
    let mut found = Functions::default();
    for module in &krate.modules {
        found.path = krate.files.get(module.file).map_or("", |file| file.path.as_str());
        for item in &module.items {
            found.visit_item(item);
        }
    }
    found.found
}

#[derive(Default)]
struct Functions<'a> {
    path: &'a str,
    found: Vec<Function>,
}

impl Functions<'_> {
    fn enter(&mut self, signature: &Signature, block: &Block) {
        let first = signature.span().start().line;
        let last = block.brace_token.span.close().end().line;
        self.found.push(Function {
            place: format!("{}:{first} {}", self.path, signature.ident),
            lines: (last + 1).saturating_sub(first),
        });
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.enter(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.enter(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.enter(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::modules::tests::of as source;
    use super::*;

    #[test]
    fn a_function_is_as_long_as_from_its_name_to_its_brace() {
        let text = "/// Doc.\n#[inline]\npub async fn one(\n    x: u8,\n) {\n}\ntrait T {\n    fn two();\n    fn three() {}\n}\n";
        let found = of(&source(&[("lib.rs", text)]));
        let found: Vec<(&str, usize)> = found
            .iter()
            .map(|function| (function.place.as_str(), function.lines))
            .collect();
        assert_eq!(found, [("a/src/lib.rs:3 one", 4), ("a/src/lib.rs:9 three", 1)]);
    }
}
