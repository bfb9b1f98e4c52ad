//! What each file of a home is worth, by its name.

/// How a file of the home is guarded: whether it must be there, unchanged, and the newest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// It protects: it must be there, unchanged and not set back.
    Protects,
    /// It is believed as it was written; that it is there, and the newest, follows from elsewhere.
    Marked,
    /// It can be made again: what is torn or changed is not there.
    Cache,
    /// It is for others to read, and nothing here follows from it.
    Plain,
}

impl Worth {
    /// The kind of the file of this name.
    pub(super) fn of(name: &str) -> Self {
        let begins = |with: &[&str]| with.iter().any(|with| name.starts_with(with));
        if begins(&["log-conflict.", "directory-conflict."]) {
            Self::Plain
        } else if begins(&[
            "uploads/",
            "fetches/",
            "exposed/",
            "directory-audited.json",
            "rules/cursor.json",
        ]) {
            Self::Cache
        } else if begins(&["rules/answers/"]) {
            Self::Marked
        } else {
            Self::Protects
        }
    }
}
