//! A drawing against what it draws: manifests, tables of the specification, endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::flowchart::{arrows, nodes};
use super::pages::Drawing;
use crate::process::cargo;

/// Compares one drawing with what it draws.
///
/// Errors: what it lacks, and what it has beside.
pub(super) fn check(root: &Path, drawing: &Drawing) -> Result<()> {
    let spec = |page: &str| {
        let path = root.join("protocol-spec/spec").join(page);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    match drawing.name.as_str() {
        "crates" => crates(&drawing.text, &metadata()?),
        "states" => states(&drawing.text, &spec("flows.md")?),
        "keys" => keys(&drawing.text, &spec("keys.md")?),
        name if name.starts_with("flow-") => endpoints(&drawing.text, &spec("api.md")?),
        name => bail!("nothing checks a drawing {name}"),
    }
}

/// Each member of the workspace has a page that says what it is for.
///
/// Errors: the members of the workspace that have no README.
pub(super) fn check_readmes() -> Result<()> {
    let folders = metadata()?.into_iter().filter_map(|package| package.folder);
    let without: Vec<String> = folders
        .filter(|folder| !Path::new(folder).join("README.md").exists())
        .collect();
    ensure!(without.is_empty(), "crates without a README.md: {without:?}");
    Ok(())
}

/// A member of the workspace, with the members that it links.
struct Package {
    name: String,
    folder: Option<String>,
    links: Vec<String>,
}

/// What the manifests say; dependencies of tests and build scripts are left out.
fn metadata() -> Result<Vec<Package>> {
    let mut command = cargo(["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let output = command.output().context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
    packages(&metadata)
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let list = metadata["packages"]
        .as_array()
        .context("cargo names no packages")?;
    let package = |package: &Value| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let links = dependencies
            .filter(|dependency| dependency["path"].is_string() && dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned));
        Some(Package {
            name: package["name"].as_str()?.to_owned(),
            folder: package["manifest_path"]
                .as_str()
                .and_then(|path| path.strip_suffix("/Cargo.toml"))
                .map(str::to_owned),
            links: links.collect(),
        })
    };
    let packages: Option<Vec<Package>> = list.iter().map(package).collect();
    packages.context("cargo describes a package without a name")
}

/// The members of the workspace, and who links whom.
fn crates(drawing: &str, packages: &[Package]) -> Result<()> {
    let members = packages.iter().map(|package| package.name.clone()).collect();
    same("crates", &nodes(drawing).into_keys().collect(), &members)?;
    let drawn = arrows(drawing)?
        .into_iter()
        .map(|arrow| format!("{} --> {}", arrow.from, arrow.to));
    let links = |package: &Package| {
        let link = |to: &String| format!("{} --> {to}", package.name);
        package.links.iter().map(link).collect::<Vec<_>>()
    };
    same(
        "arrows",
        &drawn.collect(),
        &packages.iter().flat_map(links).collect(),
    )
}

/// The transitions of `flows.md` §3, each as often as the table has it.
fn states(drawing: &str, page: &str) -> Result<()> {
    let (_, section) = page.split_once("\n## 3. ").context("flows.md has no §3")?;
    let (section, _) = section.split_once("\n## ").unwrap_or((section, ""));
    let mut written = BTreeMap::new();
    for row in rows(section, "| from | event | to |")? {
        let [from, _, to, ..] = row.as_slice() else {
            bail!("a row of flows.md §3 has too few cells: {row:?}");
        };
        let to = to.split(',').next().unwrap_or_default();
        for from in from.split(", ") {
            let from = if from == "–" { "[*]" } else { from };
            *written.entry(format!("{from} --> {to}")).or_insert(0_usize) += 1;
        }
    }
    let mut drawn = BTreeMap::new();
    for arrow in arrows(drawing)? {
        ensure!(
            !arrow.label.is_empty(),
            "{} --> {}: no event",
            arrow.from,
            arrow.to
        );
        // Of several arrows between the same two, Mermaid draws one: their events stand on it together.
        let events = arrow.label.split("<br/>").count();
        let twice = drawn.insert(format!("{} --> {}", arrow.from, arrow.to), events);
        ensure!(twice.is_none(), "{} --> {} stands twice", arrow.from, arrow.to);
    }
    let counted = |of: BTreeMap<String, usize>| {
        of.into_iter()
            .map(|(arrow, count)| format!("{arrow} ({count} times)"))
            .collect()
    };
    same("transitions", &counted(drawn), &counted(written))
}

/// Keys are those of `keys.md` §9, and wrap what KEY-12 has them wrap.
fn keys(drawing: &str, page: &str) -> Result<()> {
    let nodes = nodes(drawing);
    let listed: BTreeSet<String> = rows(page, "| key | made by |")?
        .iter()
        .filter_map(|row| row.first())
        .flat_map(|cell| cell.split(", "))
        .map(|key| key.split(" (").next().unwrap_or(key).to_owned())
        .collect();
    let unknown: Vec<_> = nodes.values().filter(|name| !listed.contains(*name)).collect();
    ensure!(unknown.is_empty(), "keys that §9 does not list: {unknown:?}");
    let name = |id: &String| nodes.get(id).cloned().unwrap_or_default();
    let drawn = arrows(drawing)?
        .iter()
        .filter(|arrow| arrow.label == "wraps")
        .map(|arrow| format!("{} wraps {}", name(&arrow.from), name(&arrow.to)))
        .collect();
    let mut written = BTreeSet::new();
    for row in rows(page, "| role | child key, child id |")? {
        let [_, child, parent, ..] = row.as_slice() else {
            bail!("a row of KEY-12 has too few cells: {row:?}");
        };
        let key = |cell: &str| cell.split(';').next().unwrap_or_default().to_owned();
        let parent = match key(parent).as_str() {
            "key of the collection `own`" => "collection key".to_owned(),
            parent => parent.trim_start_matches("the next ").to_owned(),
        };
        written.insert(format!("{parent} wraps {}", key(child)));
    }
    same("wraps", &drawn, &written)
}

/// Each method and path stands in the table of `api.md` §2.
fn endpoints(drawing: &str, page: &str) -> Result<()> {
    let written: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|code| code.split('?').next().unwrap_or(code))
        .collect();
    let mut seen = 0;
    for method in ["GET", "POST", "PUT"] {
        for (at, _) in drawing.match_indices(&format!("{method} /")) {
            let rest = drawing.get(at..).unwrap_or_default();
            let end = rest
                .char_indices()
                .filter(|(_, c)| " <,:\n".contains(*c))
                .nth(1)
                .map_or(rest.len(), |(end, _)| end);
            let call = rest.get(..end).unwrap_or_default();
            ensure!(written.contains(call), "api.md has no endpoint `{call}`");
            seen += 1;
        }
    }
    ensure!(seen > 0, "no endpoint is named");
    Ok(())
}

/// The rows of the table whose head begins so.
fn rows(page: &str, head: &str) -> Result<Vec<Vec<String>>> {
    let (_, table) = page
        .split_once(head)
        .with_context(|| format!("there is no table `{head}`"))?;
    let cells = |row: &str| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    Ok(rows.map(cells).collect())
}

fn same(what: &str, drawn: &BTreeSet<String>, written: &BTreeSet<String>) -> Result<()> {
    let lacks: Vec<_> = written.difference(drawn).collect();
    let beside: Vec<_> = drawn.difference(written).collect();
    ensure!(
        lacks.is_empty() && beside.is_empty(),
        "{what} that are not drawn: {lacks:?}; that are drawn and are not: {beside:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, links: &[&str]) -> Package {
        Package {
            name: name.into(),
            folder: None,
            links: links.iter().map(|link| (*link).into()).collect(),
        }
    }

    #[test]
    fn a_crate_or_an_arrow_too_many_or_too_few_is_found() {
        let packages = [package("a", &["b"]), package("b", &[])];
        let drawn = |text: &str| crates(text, &packages);
        assert!(drawn("a[\"A\"]\nb[\"B\"]\na --> b").is_ok());
        for wrong in [
            "a[\"A\"]\na --> b",
            "a[\"A\"]\nb[\"B\"]",
            "a[\"A\"]\nb[\"B\"]\na --> b\nb --> a",
            "a[\"A\"]\nb[\"B\"]\nc[\"C\"]\na --> b",
        ] {
            assert!(drawn(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dependencies_of_tests_are_no_arrows() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "a",
            "manifest_path": "/x/a/Cargo.toml",
            "dependencies": [
                { "name": "b", "path": "/x/b", "kind": null },
                { "name": "c", "path": "/x/c", "kind": "dev" },
                { "name": "serde", "kind": null },
            ],
        }] });
        let found = packages(&metadata).unwrap();
        assert_eq!(found[0].links, ["b"]);
        assert_eq!(found[0].folder.as_deref(), Some("/x/a"));
    }

    #[test]
    fn a_state_or_a_transition_too_many_or_too_few_is_found() {
        let page = "\n## 3. P\n\n| from | event | to | refused with |\n|---|---|---|---|\n| – | s | live | |\n\
                    | live, spent | r | revoked, for ever | |\n\n## 4. U\n";
        let drawn = |text: &str| states(text, page);
        let all = "[*] --> live : s\nlive --> revoked : r\nspent --> revoked : r\n";
        assert!(drawn(all).is_ok());
        for wrong in [
            all.replace("spent --> revoked : r\n", ""),
            format!("{all}revoked --> live : never"),
            all.replace("spent --> revoked : r", "spent --> revoked : r<br/>again"),
            format!("{all}spent --> revoked : again"),
            all.replace(" : s", ""),
        ] {
            assert!(drawn(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_that_are_not_listed_and_wraps_that_are_not_made_are_found() {
        let page = "| role | child key, child id | wrapping key, parent id |\n|---|---|---|\n\
                    | 1 | data key; id | key of the collection `own`; its id |\n\n\
                    | key | made by |\n|---|---|\n| data key (32 bytes) | x |\n| collection key, tag key | x |\n";
        let drawn = |text: &str| keys(text, page);
        let nodes = "a[\"collection key<br/>own\"]\nb[\"data key\"]\n";
        assert!(drawn(&format!("{nodes}a -->|wraps| b")).is_ok());
        for wrong in [
            nodes.to_owned(),
            format!("{nodes}a -->|wraps| b\nb -->|wraps| a"),
            format!("{nodes}c[\"skeleton key\"]\na -->|wraps| b"),
        ] {
            assert!(drawn(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_endpoint_that_is_not_there_is_found() {
        let page = "| `POST /v1/permissions` | P |\n| `GET /v1/inbox?after=&limit=` | P |";
        let drawn = |text: &str| endpoints(text, page);
        assert!(drawn("P->>S: POST /v1/permissions<br/>x\nP->>S: GET /v1/inbox").is_ok());
        for wrong in [
            "P->>S: GET /v1/permissions<br/>x",
            "P->>S: POST /v1/permission",
            "P->>S: x",
        ] {
            assert!(drawn(wrong).is_err(), "{wrong}");
        }
    }
}
