//! Which files of a crate need which others.
//!
//! A file is tied to another when it imports something that is defined there, or names it in a path. Of a re-export, whoever uses it
//! is tied to the file with the definition; whoever only passes it on is not. A module that is imported as such ties by what is used
//! of it. `mod` alone ties nothing.
//!
//! Two kinds of ties are kept apart. A module may use what is below it, because it is made of that: such a tie makes a circle only
//! where that is asked for. And a call of an inherent method is a tie to the file that defines it, when no other method of the
//! production code has the name: imports do not show it.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;

use super::methods::Methods;
use super::modules::Crate;
use super::resolve::Resolved;
use super::words::Words;

/// The names for which one file needs another, by the two files.
pub(super) type Ties = BTreeMap<(usize, usize), BTreeSet<String>>;

/// The ties of a crate.
#[derive(Default)]
pub(super) struct Tied {
    pub(super) by_paths: Ties,
    /// By paths, too, but to a file below the module.
    by_contents: Ties,
    by_methods: Ties,
}

impl Tied {
    /// Finds the ties of a crate. `unmistakable` are the names of methods that count.
    pub(super) fn of(krate: &Crate, methods: &Methods, unmistakable: &BTreeSet<String>) -> Self {
        let mut found = Self::default();
        for (index, module) in krate.modules.iter().enumerate() {
            for import in module.imports.iter().filter(|import| !import.is_shown) {
                let target = krate.resolve(index, &import.path);
                let is_glob = import.name.is_none();
                if is_glob || !matches!(target, Some(Resolved::Module(_))) {
                    let to = target.and_then(|target| krate.file_of(target));
                    found.path(krate, index, to, &import.path);
                }
            }
            let mut words = Words::default();
            for item in &module.items {
                words.read(item.to_token_stream());
            }
            for path in &words.paths {
                if let Some(Resolved::Item(to)) = krate.resolve(index, path) {
                    found.path(krate, index, Some(to), path);
                }
            }
            for call in words.calls.iter().filter(|call| unmistakable.contains(*call)) {
                let to = methods.file_of(call).filter(|to| !krate.is_below(*to, index));
                tie(&mut found.by_methods, module.file, to, format!(".{call}()"));
            }
        }
        found
    }

    /// With the ties of modules to what is below them.
    pub(super) fn with_contents(&self) -> Ties {
        merged(&self.by_paths, &self.by_contents)
    }

    /// With the ties by methods.
    pub(super) fn with_methods(&self) -> Ties {
        merged(&self.by_paths, &self.by_methods)
    }

    fn path(&mut self, krate: &Crate, module: usize, to: Option<usize>, path: &[String]) {
        let Some(from) = krate.modules.get(module).map(|module| module.file) else {
            return;
        };
        let is_below = to.is_some_and(|to| krate.is_below(to, module));
        let ties = if is_below {
            &mut self.by_contents
        } else {
            &mut self.by_paths
        };
        let is_type = |name: &&String| name.starts_with(char::is_uppercase);
        let name = path.iter().find(is_type).or(path.last());
        tie(ties, from, to, name.cloned().unwrap_or_default());
    }
}

fn tie(ties: &mut Ties, from: usize, to: Option<usize>, name: String) {
    if let Some(to) = to.filter(|to| *to != from) {
        ties.entry((from, to)).or_default().insert(name);
    }
}

fn merged(one: &Ties, other: &Ties) -> Ties {
    let mut all = one.clone();
    for (files, names) in other {
        all.entry(*files).or_default().extend(names.iter().cloned());
    }
    all
}

impl Crate {
    /// Whether a file is that of a module below this one.
    fn is_below(&self, file: usize, module: usize) -> bool {
        let mut here = self.modules.iter().position(|found| found.file == file);
        while let Some(below) = here.and_then(|index| self.modules.get(index)) {
            if below.parent == Some(module) {
                return true;
            }
            here = below.parent;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::circles::circles;
    use super::super::modules::tests::of as source;
    use super::*;

    /// How many circles there are by paths, with what modules are made of, and with methods.
    fn found(files: &[(&str, &str)]) -> [usize; 3] {
        let krate = source(files);
        let methods = [Methods::of(&krate)];
        let tied = Tied::of(&krate, &methods[0], &Methods::unmistakable(&methods));
        [&tied.by_paths, &tied.with_contents(), &tied.with_methods()].map(|ties| circles(ties).len())
    }

    const TWO: (&str, &str) = ("two.rs", "pub struct B;\nfn f() { super::one::g(1) }");

    #[test]
    fn two_files_that_need_each_other_are_a_circle() {
        let lib = ("lib.rs", "mod one;\nmod two;");
        let one = ("one.rs", "use crate::two::B;\npub fn g(_: u8) {}");
        assert_eq!(found(&[lib, one, TWO]), [1, 1, 1]);
        let one = (
            "one.rs",
            "#[cfg(test)]\nmod tests { use crate::two::B; }\npub fn g(_: u8) {}",
        );
        assert_eq!(found(&[lib, one, TWO]), [0, 0, 0]);
    }

    #[test]
    fn a_circle_through_a_re_export_is_found_where_the_definition_is() {
        let lib = ("lib.rs", "mod one;\nmod two;\npub use two::B;");
        let one = ("one.rs", "pub fn g(_: u8) { say!(crate::B) }");
        assert_eq!(found(&[lib, one, TWO]), [1, 1, 1]);
    }

    #[test]
    fn a_module_may_use_what_it_is_made_of() {
        let child = ("one.rs", "use super::A;\npub struct C;");
        let lib = ("lib.rs", "mod one;\npub struct A;\npub use one::C;");
        assert_eq!(found(&[lib, child]), [0, 0, 0]);
        let lib = ("lib.rs", "mod one;\npub struct A(one::C);");
        assert_eq!(found(&[lib, child]), [0, 1, 0]);
    }

    #[test]
    fn a_method_tie_makes_a_circle() {
        let lib = ("lib.rs", "mod one;\nmod two;");
        let one = (
            "one.rs",
            "use crate::two::B;\npub struct A;\nimpl A { pub fn seal_all(&self) {} }",
        );
        let two = (
            "two.rs",
            "pub struct B;\nimpl B { fn f<T>(x: T) { x.seal_all() } }",
        );
        assert_eq!(found(&[lib, one, two]), [0, 0, 1]);
        let twice = (
            "two.rs",
            "pub struct B;\nimpl B { fn f<T>(x: T) { x.seal_all() }\nfn seal_all(&self) {} }",
        );
        assert_eq!(found(&[lib, one, twice]), [0, 0, 0]);
    }
}
