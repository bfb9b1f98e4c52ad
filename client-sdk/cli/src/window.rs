//! How much of a long list is shown: people see its end, programs all of it, unless they say otherwise.

use clap::Args;

#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// Only the newest so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    last: Option<u64>,
    /// All of it: people are shown the newest 50 without this, programs (--json) all
    #[arg(long, conflicts_with = "last")]
    all: bool,
}

impl Window {
    /// How many of the newest are shown; none: all. `bounded` when something else says how far back.
    pub(crate) fn most(&self, json: bool, bounded: bool) -> Option<u64> {
        match self.last {
            None if self.all || json || bounded => None,
            None => Some(FOR_PEOPLE),
            last => last,
        }
    }
}

/// The line that says that something is not shown; empty where nothing is left out.
pub(crate) fn earlier(count: u64, command: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!("1 earlier one is not shown: medvault {command} --all\n\n"),
        many => format!("{many} earlier ones are not shown: medvault {command} --all\n\n"),
    }
}

/// What fits on some screens, and is found by whoever scrolls.
const FOR_PEOPLE: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_the_end_and_programs_all() {
        let window = Window::default();
        assert_eq!(window.most(false, false), Some(FOR_PEOPLE));
        assert_eq!(window.most(true, false), None);
        assert_eq!(window.most(false, true), None);
        let last = Window {
            last: Some(3),
            all: false,
        };
        assert!(
            [(true, true), (false, false)]
                .iter()
                .all(|(json, bounded)| last.most(*json, *bounded) == Some(3))
        );
        assert!(earlier(0, "inbox").is_empty());
        assert!(earlier(7, "inbox").starts_with("7 earlier ones are not shown: medvault inbox --all"));
    }
}
