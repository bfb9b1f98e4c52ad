//! Where a path leads: to a module, or to the file that defines what it names. Re-exports are followed to the definition.

use super::modules::{Crate, Module};

/// What a path in an import or expression names, once re-exports are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// A module, by its index in [`Crate::modules`].
    Module(usize),
    /// The file of an item: an index of [`Crate::files`].
    Item(usize),
}

/// Re-exports of re-exports that are followed; a chain in the code is far shorter, and a circle of them would not compile.
const MOST_STEPS: usize = 16;

impl Crate {
    /// What a path means in a module; nothing where it leads out of the crate.
    pub(super) fn resolve(&self, module: usize, path: &[String]) -> Option<Resolved> {
        self.follow(module, path, true, MOST_STEPS)
    }

    /// `to_item`: whether the last segment may be a function or a value; before more segments it may not.
    fn follow(&self, module: usize, path: &[String], to_item: bool, steps: usize) -> Option<Resolved> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let mut here = match first.as_str() {
            "crate" => Resolved::Module(self.root_of(module)),
            "self" => Resolved::Module(module),
            "super" => Resolved::Module(self.modules.get(module)?.parent?),
            name => self.member(module, name, to_item && rest.is_empty(), steps)?,
        };
        for (index, name) in rest.iter().enumerate() {
            let Resolved::Module(module) = here else {
                return Some(here);
            };
            let parent = self.modules.get(module)?.parent;
            here = match parent {
                Some(parent) if name == "super" => Resolved::Module(parent),
                _ => {
                    let is_last = to_item && index + 1 == rest.len();
                    match self.member(module, name, is_last, steps) {
                        Some(found) => found,
                        // What a macro defines stands in no list: it is of the module that the path names.
                        None => return self.modules.get(module).map(|module| Resolved::Item(module.file)),
                    }
                }
            };
        }
        Some(here)
    }

    /// What a name means in a module. A function and a module may share one.
    fn member(&self, index: usize, name: &str, to_item: bool, steps: usize) -> Option<Resolved> {
        let module = self.modules.get(index)?;
        let child = module.children.get(name).copied().map(Resolved::Module);
        if !to_item && child.is_some() {
            return child;
        }
        let own = Some(Resolved::Item(module.file)).filter(|_| module.defined.contains(name));
        if to_item && own.is_some() {
            return own;
        }
        let named = module
            .imports
            .iter()
            .find(|import| import.name.as_deref() == Some(name));
        if let Some(import) = named {
            // `use name::…` of another crate is not the import itself.
            let is_itself = import.path.len() == 1 && import.path.first().is_some_and(|first| first == name);
            return if is_itself {
                None
            } else {
                self.follow(index, &import.path, to_item, steps)
            };
        }
        own.or(child)
            .or_else(|| self.through_globs(index, module, name, to_item, steps))
    }

    fn through_globs(
        &self,
        index: usize,
        module: &Module,
        name: &str,
        to_item: bool,
        steps: usize,
    ) -> Option<Resolved> {
        let steps = steps.checked_sub(1)?;
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        globs
            .filter_map(|glob| self.follow(index, &glob.path, false, steps))
            .find_map(|target| match target {
                Resolved::Module(other) if other != index => self.member(other, name, to_item, steps),
                _ => None,
            })
    }

    fn root_of(&self, module: usize) -> usize {
        let mut here = module;
        while let Some(parent) = self.modules.get(here).and_then(|module| module.parent) {
            here = parent;
        }
        here
    }

    /// The file of what a path means.
    pub(super) fn file_of(&self, target: Resolved) -> Option<usize> {
        match target {
            Resolved::Module(module) => self.modules.get(module).map(|module| module.file),
            Resolved::Item(file) => Some(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::modules::tests::of;

    fn leads(files: &[(&str, &str)], module: usize, path: &str) -> Option<String> {
        let found = of(files);
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        let file = found.file_of(found.resolve(module, &path)?)?;
        found
            .files
            .get(file)
            .map(|file| file.path.trim_start_matches("a/src/").to_owned())
    }

    #[test]
    fn a_re_export_is_followed_to_the_definition() {
        let files = [
            (
                "lib.rs",
                "mod one;\nmod two;\npub use one::Deep as Name;\npub use two::*;",
            ),
            ("one.rs", "mod deep;\npub use self::deep::Deep;"),
            ("one/deep.rs", "pub struct Deep;"),
            ("two.rs", "pub fn check() {}\nid! { Made }"),
        ];
        let at = |path: &str| leads(&files, 0, path);
        assert_eq!(at("crate::Name").as_deref(), Some("one/deep.rs"));
        assert_eq!(at("Name::new").as_deref(), Some("one/deep.rs"));
        assert_eq!(at("one::Deep").as_deref(), Some("one/deep.rs"));
        assert_eq!(at("check").as_deref(), Some("two.rs"));
        assert_eq!(at("two::Made").as_deref(), Some("two.rs"));
        assert_eq!(at("std::fs"), None);
    }

    #[test]
    fn a_function_is_not_the_module_of_its_name() {
        let files = [
            ("lib.rs", "mod check;\nmod trail;\nmod other;\nfn check() {}"),
            ("check.rs", "pub fn run() {}"),
            ("trail.rs", "use super::check;"),
            ("other.rs", "use crate::check;"),
        ];
        assert_eq!(leads(&files, 2, "super::check").as_deref(), Some("lib.rs"));
        assert_eq!(leads(&files, 2, "check").as_deref(), Some("lib.rs"));
        assert_eq!(leads(&files, 2, "super::check::run").as_deref(), Some("check.rs"));
        assert_eq!(leads(&files, 3, "check").as_deref(), Some("lib.rs"));
        assert_eq!(leads(&files, 3, "check::run").as_deref(), Some("check.rs"));
    }
}
