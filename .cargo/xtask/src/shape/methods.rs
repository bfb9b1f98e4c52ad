//! Inherent methods: which type has how many, in how many files, and which names only one method of a crate has.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{ImplItem, ItemImpl, ItemTrait, TraitItem, Type};

use super::modules::Crate;

/// The methods of a crate.
#[derive(Default)]
pub(super) struct Methods {
    /// By name, the files that define an inherent method of it.
    inherent: BTreeMap<String, Vec<usize>>,
    /// Names of the methods of traits, also of those that are only implemented here.
    of_traits: BTreeSet<String>,
    /// By type, the inherent functions and the files of its inherent `impl`s.
    pub(super) types: BTreeMap<String, OfType>,
    file: usize,
}

/// How many inherent functions one type has, and in which files.
#[derive(Default)]
pub(super) struct OfType {
    /// Functions of its inherent `impl`s, with or without `self`.
    pub(super) functions: usize,
    pub(super) files: BTreeSet<usize>,
}

/// Names of methods that types of the standard library and of other crates have as well: such a call does not say whose it is.
const COMMON: &str = "\
    abort accept acquire add all and any append as_bytes as_deref as_mut as_ref as_slice as_str begin \
    bind bytes chain chars clear clone close collect concat connect contains count create dedup display \
    drain elapsed enabled end entry execute exists extend field fields file_name fill filter find finish \
    first flush fold get get_mut height id insert inspect into_bytes into_inner into_iter into_parts \
    is_absolute is_alphanumeric is_ascii is_char_boundary is_closed is_dir is_empty is_err is_file \
    is_finished is_none is_ok is_ready is_some is_sorted is_terminal is_zero iter join keys kind last \
    len lines lock lookup map matches max message metadata min name next notify now nth output parent \
    path peek pop position product push read recv remove repeat replace replacen reserve resize retain \
    rev run send set skip sort split start state status step subscribe sum sync take text then to_owned \
    to_string to_vec trim truncate try_lock unzip url values version wait width with write zip";

impl Methods {
    /// Reads the methods of a crate.
    pub(super) fn of(krate: &Crate) -> Self {
        let mut found = Self::default();
        for module in &krate.modules {
            found.file = module.file;
            for item in &module.items {
                found.visit_item(item);
            }
        }
        found
    }

    /// The file of the inherent method of this name; nothing when the crate has none, or several.
    pub(super) fn file_of(&self, name: &str) -> Option<usize> {
        match self.inherent.get(name).map(Vec::as_slice) {
            Some([file]) => Some(*file),
            _ => None,
        }
    }

    /// Names that only one method of all these crates has: a call of it needs the file that defines it.
    pub(super) fn unmistakable(of_crates: &[Self]) -> BTreeSet<String> {
        let names = of_crates.iter().flat_map(|methods| methods.inherent.keys());
        let is_one = |name: &String| {
            let defined = of_crates.iter().filter_map(|methods| methods.inherent.get(name));
            defined.map(Vec::len).sum::<usize>() == 1
                && !of_crates.iter().any(|methods| methods.of_traits.contains(name))
                && !COMMON.split_whitespace().any(|common| common == name)
        };
        names.filter(|name| is_one(name)).cloned().collect()
    }
}

impl<'ast> Visit<'ast> for Methods {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let functions = item.items.iter().filter_map(|item| match item {
            ImplItem::Fn(function) => Some(function),
            _ => None,
        });
        if item.trait_.is_some() {
            self.of_traits
                .extend(functions.map(|function| function.sig.ident.to_string()));
        } else if let Type::Path(path) = item.self_ty.as_ref()
            && let Some(name) = path.path.segments.last()
        {
            let of_type = self.types.entry(name.ident.to_string()).or_default();
            of_type.files.insert(self.file);
            for function in functions {
                of_type.functions += 1;
                if function.sig.receiver().is_some() {
                    let files = self.inherent.entry(function.sig.ident.to_string()).or_default();
                    files.push(self.file);
                }
            }
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let functions = item.items.iter().filter_map(|item| match item {
            TraitItem::Fn(function) => Some(function.sig.ident.to_string()),
            _ => None,
        });
        self.of_traits.extend(functions);
        visit::visit_item_trait(self, item);
    }
}
