//! Nodes and arrows, as drawings write them: one a line.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// An arrow, with what stands on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) label: String,
}

/// The nodes that are written as `id["label"]`, by their ids: the first line of each label. Other shapes are no such nodes.
pub(super) fn nodes(text: &str) -> BTreeMap<String, String> {
    let node = |line: &str| {
        let (id, label) = line.trim().split_once("[\"")?;
        let label = label.strip_suffix("\"]")?;
        let first = label.split("<br/>").next()?;
        (!id.starts_with("subgraph ")).then(|| (id.to_owned(), first.to_owned()))
    };
    text.lines().filter_map(node).collect()
}

/// The arrows: `from --> to`, `from -->|label| to` of flowcharts, `from --> to : label` of states.
///
/// Errors: a line with an arrow that is written in another way.
pub(super) fn arrows(text: &str) -> Result<Vec<Arrow>> {
    let lines = text.lines().filter_map(|line| line.split_once("-->"));
    let arrow = |(from, to): (&str, &str)| {
        let (label, to) = match (
            to.strip_prefix('|').and_then(|to| to.split_once('|')),
            to.split_once(" : "),
        ) {
            (Some((label, to)), _) | (None, Some((to, label))) => (label, to),
            (None, None) => ("", to),
        };
        let (from, to) = (from.trim(), to.trim());
        for end in [from, to] {
            ensure!(
                is_id(end),
                "`{from} --> {to}`: an arrow stands on a line of its own, between two ids"
            );
        }
        Ok(Arrow {
            from: from.to_owned(),
            to: to.to_owned(),
            label: label.trim().to_owned(),
        })
    };
    lines.map(arrow).collect()
}

/// `[*]` is where states begin.
fn is_id(text: &str) -> bool {
    text == "[*]" || !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_arrows_are_read() {
        let text = "flowchart TD\n  subgraph a[\"A\"]\n    vault-server[\"one<br/>two\"]\n    c([\"not a node\"])\n  end\n  \
                    vault-server --> c\n  c -->|wraps| vault-server\n";
        assert_eq!(
            nodes(text),
            BTreeMap::from([("vault-server".into(), "one".into())])
        );
        let found = arrows(text).unwrap();
        let read: Vec<_> = found
            .iter()
            .map(|arrow| (&*arrow.from, &*arrow.to, &*arrow.label))
            .collect();
        assert_eq!(read, [("vault-server", "c", ""), ("c", "vault-server", "wraps")]);
        assert_eq!(arrows("[*] --> live : submitted").unwrap()[0].to, "live");
        assert!(arrows("a --> b --> c").is_err());
        assert!(arrows("a --> b[\"b\"]").is_err());
    }
}
