//! One crate as its modules: which file each is in, which names it defines, and which it imports.
//!
//! Files are found as the compiler finds them, from `lib.rs` and `main.rs` by `mod`. A file that only `#[cfg(test)]` leads to is
//! therefore no production file, whatever its name is; nor is one outside of `src`, which `#[path]` may lead to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

use super::imports::{self, Import};
use super::production::SourceFile;

/// The files and modules of one package.
pub(super) struct Crate {
    /// The folder of the package.
    pub(super) name: String,
    pub(super) files: Vec<SourceFile>,
    pub(super) modules: Vec<Module>,
}

/// One module, in a file of its own or in that of another.
pub(super) struct Module {
    /// The index in [`Crate::files`] of the file that defines the module.
    pub(super) file: usize,
    /// An index of [`Crate::modules`], as those of `children`.
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// What it defines, modules apart.
    pub(super) defined: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// The file's items, without modules and imports.
    pub(super) items: Vec<Item>,
}

/// The text of the file at a path from the root, if there is one.
pub(super) type ReadFile<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Crate {
    /// Reads all production files of the package in `folder`.
    ///
    /// Fails when one is not Rust, or a `mod` leads to no file.
    pub(super) fn read(folder: &str, read: ReadFile<'_>) -> Result<Self> {
        let mut found = Self {
            name: folder.to_owned(),
            files: Vec::new(),
            modules: Vec::new(),
        };
        let src = format!("{folder}/src");
        for root in ["lib.rs", "main.rs"] {
            let path = format!("{src}/{root}");
            if let Some(text) = read(&path) {
                found.file(&path, &text, &src, None, read)?;
            }
        }
        Ok(found)
    }

    /// Enters a file; the files of its modules are in `folder`.
    fn file(
        &mut self,
        path: &str,
        text: &str,
        folder: &str,
        parent: Option<usize>,
        read: ReadFile<'_>,
    ) -> Result<usize> {
        let mut source = SourceFile::parse(path, text)?;
        let items = std::mem::take(&mut source.items);
        let file = self.files.len();
        self.files.push(source);
        self.module(file, items, folder, parent, read)
    }

    fn module(
        &mut self,
        file: usize,
        items: Vec<Item>,
        folder: &str,
        parent: Option<usize>,
        read: ReadFile<'_>,
    ) -> Result<usize> {
        let index = self.modules.len();
        let imports = imports::of(&items);
        let (modules, items): (Vec<_>, Vec<_>) = items
            .into_iter()
            .filter(|item| !matches!(item, Item::Use(_)))
            .partition(|item| matches!(item, Item::Mod(_)));
        self.modules.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            defined: items.iter().filter_map(defines).collect(),
            imports,
            items,
        });
        for item in modules {
            let Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            if let Some(child) = self.child(file, index, module, folder, read)?
                && let Some(this) = self.modules.get_mut(index)
            {
                this.children.insert(name, child);
            }
        }
        Ok(index)
    }

    fn child(
        &mut self,
        file: usize,
        parent: usize,
        module: ItemMod,
        folder: &str,
        read: ReadFile<'_>,
    ) -> Result<Option<usize>> {
        let below = format!("{folder}/{}", module.ident);
        if let Some((_, items)) = module.content {
            return self.module(file, items, &below, Some(parent), read).map(Some);
        }
        let mut places = vec![format!("{below}.rs"), format!("{below}/mod.rs")];
        if let Some(path) = module.attrs.iter().find_map(elsewhere) {
            if path.contains("..") {
                return Ok(None);
            }
            places = vec![format!("{folder}/{path}")];
        }
        let (path, text) = places
            .into_iter()
            .find_map(|path| read(&path).map(|text| (path, text)))
            .with_context(|| format!("no file for `mod {}` in {folder}", module.ident))?;
        self.file(&path, &text, &below, Some(parent), read).map(Some)
    }
}

/// What `#[path = "…"]` says.
fn elsewhere(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The name that an item defines, if it is one that a path can name.
fn defines(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A crate in the folder `a`, of files that are given with their paths in `src`.
    pub(in crate::shape) fn of(files: &[(&str, &str)]) -> Crate {
        let read = |path: &str| {
            let found = files.iter().find(|(name, _)| format!("a/src/{name}") == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        Crate::read("a", &read).unwrap()
    }

    #[test]
    fn files_are_those_that_modules_lead_to_without_tests() {
        let found = of(&[
            (
                "lib.rs",
                "mod one;\nmod two { mod three; }\n#[cfg(test)]\nmod tests;",
            ),
            ("one.rs", "mod deep;\n#[cfg(test)]\nmod world;"),
            ("one/deep.rs", "fn f() {}"),
            ("one/world.rs", ""),
            ("two/three/mod.rs", ""),
            ("tests.rs", "mod more;"),
        ]);
        let paths: Vec<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "a/src/lib.rs",
                "a/src/one.rs",
                "a/src/one/deep.rs",
                "a/src/two/three/mod.rs"
            ]
        );
    }
}
