//! What a module imports by `use`, in its functions, too.

use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

/// One name of a `use`.
pub(super) struct Import {
    /// As it is written, from the first segment to the last; of a glob, without the star.
    pub(super) path: Vec<String>,
    /// The name that the module has for it; none for a glob.
    pub(super) name: Option<String>,
    /// Whether others may see it: then it is also a re-export, and need not be used in its own module.
    pub(super) is_shown: bool,
}

/// All imports of the items of one module; modules within have their own.
pub(super) fn of(items: &[Item]) -> Vec<Import> {
    let mut found = Imports::default();
    for item in items {
        found.visit_item(item);
    }
    found.0
}

#[derive(Default)]
struct Imports(Vec<Import>);

impl Imports {
    fn leaves(&mut self, tree: &UseTree, path: &[String], is_shown: bool) {
        let with = |name: &syn::Ident| [path, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(inner) => self.leaves(&inner.tree, &with(&inner.ident), is_shown),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.leaves(tree, path, is_shown);
                }
            }
            UseTree::Name(leaf) if leaf.ident == "self" => {
                self.add(path.to_vec(), path.last().cloned(), is_shown);
            }
            UseTree::Name(leaf) => self.add(with(&leaf.ident), Some(leaf.ident.to_string()), is_shown),
            UseTree::Rename(leaf) if leaf.ident == "self" => {
                self.add(path.to_vec(), Some(leaf.rename.to_string()), is_shown);
            }
            UseTree::Rename(leaf) => self.add(with(&leaf.ident), Some(leaf.rename.to_string()), is_shown),
            UseTree::Glob(_) => self.add(path.to_vec(), None, is_shown),
        }
    }

    fn add(&mut self, path: Vec<String>, name: Option<String>, is_shown: bool) {
        self.0.push(Import { path, name, is_shown });
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_shown = !matches!(item.vis, Visibility::Inherited);
        self.leaves(&item.tree, &[], is_shown);
        visit::visit_item_use(self, item);
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}
