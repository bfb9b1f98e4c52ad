//! `shape.toml`: the most that each figure may be. Lines stay where they are when a limit is lowered, with their comments.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::figures::Figure;

/// What a limit is, by the key of its figure.
pub(super) type Ceilings = BTreeMap<String, usize>;

/// Places that are named of a sum or a maximum that has grown. Of what is counted, each is named: the new one may be the smallest.
const MOST_PLACES: usize = 20;

/// Reads the limits: exactly one for each figure.
///
/// Errors: which figure has no limit, or which limit no figure.
pub(super) fn read(text: &str, figures: &[Figure]) -> Result<Ceilings> {
    let limits: Ceilings = toml::from_str(text).context("not a list of `figure = limit`")?;
    for figure in figures {
        if !limits.contains_key(figure.key) {
            bail!("no limit for {}: it is {} now", figure.key, figure.value);
        }
    }
    match limits
        .keys()
        .find(|key| figures.iter().all(|figure| figure.key != *key))
    {
        Some(key) => bail!("a limit for {key}, which is no figure"),
        None => Ok(limits),
    }
}

/// Says which figures are above their limits, and what makes them; nothing if none is.
pub(super) fn grown(figures: &[Figure], limits: &Ceilings) -> Option<String> {
    let mut said: &[String] = &[];
    let mut above = Vec::new();
    for figure in figures {
        let Some(limit) = limits.get(figure.key).filter(|limit| figure.value > **limit) else {
            continue;
        };
        above.push(format!("{} is {}, and {limit} at most", figure.key, figure.value));
        if figure.from == said {
            continue;
        }
        said = &figure.from;
        let most = if said.len() == figure.value {
            said.len()
        } else {
            MOST_PLACES
        };
        above.extend(said.iter().take(most).map(|place| format!("  {place}")));
        if said.len() > most {
            let more = said.len() - most;
            above.push(format!("  and {more} more: `cargo xtask shape --all`"));
        }
    }
    (!above.is_empty()).then(|| above.join("\n"))
}

/// The limits that can be lowered: key, limit, and the limit that would do.
pub(super) fn loose(figures: &[Figure], limits: &Ceilings) -> Vec<(&'static str, usize, usize)> {
    let loose = figures.iter().filter_map(|figure| {
        let limit = *limits.get(figure.key)?;
        let enough = figure.value.div_ceil(figure.step) * figure.step;
        (enough < limit).then_some((figure.key, limit, enough))
    });
    loose.collect()
}

/// The text of the file with the limits that can be lowered at what they can be lowered to.
pub(super) fn tightened(text: &str, loose: &[(&'static str, usize, usize)]) -> String {
    let line = |line: &str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        match loose.iter().find(|(loose, ..)| *loose == key) {
            Some((_, limit, enough)) => line.replacen(&limit.to_string(), &enough.to_string(), 1),
            None => line.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# What may be.\nlines = 2000 # in 500s\ncircles = 3\nfiles_over_400 = 1\n";

    fn figures(lines: usize, circles: usize) -> [Figure; 3] {
        let figure = |key, value, step| Figure {
            key,
            value,
            step,
            from: vec![format!("{key} one"), format!("{key} two")],
        };
        [
            figure("lines", lines, 500),
            figure("circles", circles, 1),
            figure("files_over_400", 1, 1),
        ]
    }

    #[test]
    fn what_has_grown_is_said_with_its_limit_and_what_makes_it() {
        let figures = figures(2001, 4);
        let limits = read(TEXT, &figures).unwrap();
        let said = grown(&figures, &limits).unwrap();
        assert!(
            said.contains("lines is 2001, and 2000 at most\n  lines one\n  lines two"),
            "{said}"
        );
        assert!(said.contains("circles is 4, and 3 at most"), "{said}");
        assert!(!said.contains("files_over_400"), "{said}");
    }

    #[test]
    fn what_has_shrunk_is_tightened_in_the_file() {
        let figures = figures(1400, 0);
        let limits = read(TEXT, &figures).unwrap();
        assert!(grown(&figures, &limits).is_none());
        let loose = loose(&figures, &limits);
        assert_eq!(loose, [("lines", 2000, 1500), ("circles", 3, 0)]);
        let expected = "# What may be.\nlines = 1500 # in 500s\ncircles = 0\nfiles_over_400 = 1\n";
        assert_eq!(tightened(TEXT, &loose), expected);
    }

    #[test]
    fn every_figure_has_a_limit_and_every_limit_a_figure() {
        let said = |text: &str| read(text, &figures(1, 1)).unwrap_err().to_string();
        assert_eq!(
            said("lines = 1\nfiles_over_400 = 1"),
            "no limit for circles: it is 1 now"
        );
        assert_eq!(
            said(&format!("{TEXT}more = 1")),
            "a limit for more, which is no figure"
        );
    }
}
