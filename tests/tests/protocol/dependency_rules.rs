//! Blind by construction: the crate graph itself shows that the server cannot read records.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

fn metadata() -> Result<Metadata> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    Ok(MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(vec!["--locked".into()])
        .exec()?)
}

/// Everything that is linked into a package: normal dependencies, of dependencies, and so on.
fn linked(metadata: &Metadata, package: &str) -> Result<HashSet<String>> {
    let graph = metadata.resolve.as_ref().context("no dependency graph")?;
    let nodes: HashMap<&PackageId, _> = graph.nodes.iter().map(|node| (&node.id, node)).collect();
    let names: HashMap<&PackageId, &str> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.as_str()))
        .collect();
    let root = metadata
        .packages
        .iter()
        .find(|candidate| candidate.name.as_str() == package)
        .context("no such package")?;
    let (mut found, mut queue) = (HashSet::new(), vec![&root.id]);
    while let Some(id) = queue.pop() {
        for dependency in &nodes.get(id).context("no such node")?.deps {
            let normal = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            let name = names.get(&dependency.pkg).context("no such name")?;
            if normal && found.insert((*name).to_owned()) {
                queue.push(&dependency.pkg);
            }
        }
    }
    Ok(found)
}

/// LKG-1, ATK-50.
#[test]
fn vault_server_links_no_cipher() -> Result<()> {
    let metadata = metadata()?;
    let server = linked(&metadata, "vault-server")?;
    for forbidden in ["crypto", "hpke", "chacha20poly1305", "client-sdk"] {
        assert!(!server.contains(forbidden), "vault-server links {forbidden}");
    }
    assert!(server.contains("protocol-spec") && server.contains("rocksdb"));
    // The same search does find them where they belong: the check can fail.
    let client = linked(&metadata, "client-sdk")?;
    assert!(
        ["crypto", "hpke", "chacha20poly1305"]
            .iter()
            .all(|name| client.contains(*name))
    );
    Ok(())
}

#[test]
fn dependencies_run_one_way() -> Result<()> {
    let metadata = metadata()?;
    let ours = [
        "protocol-spec",
        "crypto",
        "client-sdk",
        "medvault",
        "medvault-actors",
        "medvault-guard",
        "medvault-reader",
        "medvault-witness",
        "vault-server",
        "tests",
    ];
    let allowed: HashMap<&str, &[&str]> = HashMap::from([
        ("protocol-spec", &[][..]),
        ("crypto", &["protocol-spec"]),
        ("medvault-actors", &["protocol-spec"]),
        ("medvault-guard", &["protocol-spec"]),
        ("medvault-reader", &[]),
        (
            "client-sdk",
            &["protocol-spec", "crypto", "medvault-guard", "medvault-reader"],
        ),
        (
            "medvault",
            &[
                "protocol-spec",
                "crypto",
                "client-sdk",
                "medvault-guard",
                "medvault-reader",
            ],
        ),
        ("medvault-witness", &["protocol-spec", "medvault-guard"]),
        ("vault-server", &["protocol-spec", "medvault-guard"]),
        (
            "tests",
            &[
                "protocol-spec",
                "crypto",
                "client-sdk",
                "medvault-actors",
                "medvault-guard",
                "medvault-reader",
            ],
        ),
    ]);
    for (package, allowed) in allowed {
        let linked = linked(&metadata, package)?;
        let found: Vec<_> = ours.iter().filter(|name| linked.contains(**name)).collect();
        assert!(
            found.iter().all(|name| allowed.contains(name)),
            "{package} depends on {found:?}"
        );
    }
    Ok(())
}

/// CNT-19, RUSTSEC-2021-0153: what builds a whole DICOM object from a stranger's file, and the crate without a maintainer that
/// comes with it, make data for tests and are in no program.
#[test]
fn no_program_links_a_library_for_whole_dicom_objects() -> Result<()> {
    let metadata = metadata()?;
    let has = |package: &str| -> Result<bool> {
        let linked = linked(&metadata, package)?;
        Ok(linked
            .iter()
            .any(|name| name.starts_with("dicom") || name == "encoding"))
    };
    for program in ["medvault", "medvault-witness", "vault-server"] {
        assert!(!has(program)?, "{program}");
    }
    // The check can fail.
    assert!(has("tests")?);
    Ok(())
}

/// CNT-19, ATK-91: what looks into strangers' files links no cipher, no signature and nothing of ours that could hand it a key.
#[test]
fn what_looks_into_files_holds_no_key() -> Result<()> {
    const KEYS: [&str; 7] = [
        "crypto",
        "protocol-spec",
        "hpke",
        "chacha20poly1305",
        "ed25519-dalek",
        "x25519-dalek",
        "hkdf",
    ];
    let metadata = metadata()?;
    let keys = |package: &str| -> Result<usize> {
        let linked = linked(&metadata, package)?;
        Ok(KEYS.iter().filter(|name| linked.contains(**name)).count())
    };
    assert_eq!(keys("medvault-reader")?, 0);
    // The check can fail.
    assert_eq!(keys("client-sdk")?, KEYS.len());
    Ok(())
}

#[test]
fn one_generation_of_the_curve_crates() -> Result<()> {
    let metadata = metadata()?;
    for crate_name in [
        "curve25519-dalek",
        "ed25519-dalek",
        "x25519-dalek",
        "sha2",
        "chacha20poly1305",
        "hkdf",
    ] {
        let versions: Vec<_> = metadata
            .packages
            .iter()
            .filter(|package| package.name.as_str() == crate_name)
            .map(|p| &p.version)
            .collect();
        assert_eq!(versions.len(), 1, "{crate_name}: {versions:?}");
    }
    Ok(())
}

/// RUSTSEC-2022-0093 (ATK-8): signing must never take a public key from its caller.
#[test]
fn ed25519_hazmat_is_off() -> Result<()> {
    let metadata = metadata()?;
    let graph = metadata.resolve.as_ref().context("no dependency graph")?;
    let dalek = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "ed25519-dalek")
        .context("absent")?;
    let node = graph
        .nodes
        .iter()
        .find(|node| node.id == dalek.id)
        .context("absent")?;
    let features: Vec<String> = node.features.iter().map(ToString::to_string).collect();
    assert!(features.contains(&"zeroize".to_owned()), "{features:?}");
    assert!(!features.contains(&"hazmat".to_owned()), "{features:?}");
    Ok(())
}

/// The feature that lets defences be switched off is on only where somebody asks for it by name.
#[test]
fn no_ordinary_build_is_weakened() -> Result<()> {
    let metadata = metadata()?;
    let graph = metadata.resolve.as_ref().context("no dependency graph")?;
    let mut offered = 0;
    for node in &graph.nodes {
        let on = node.features.iter().any(|feature| feature.as_str() == "weakened");
        assert!(!on, "{} is weakened", node.id);
    }
    for package in metadata.workspace_packages() {
        offered += usize::from(package.features.contains_key("weakened"));
        let default = package.features.get("default");
        assert!(
            default.is_none_or(|features| !features.iter().any(|feature| feature.contains("weakened"))),
            "{}",
            package.name
        );
    }
    assert_eq!(
        offered, 5,
        "protocol-spec, client-sdk, medvault, medvault-witness and vault-server offer it"
    );
    Ok(())
}

/// Each defence that can be switched off is switched off by a test, which then sees an attack succeed.
#[test]
fn every_defence_has_a_control() -> Result<()> {
    let mut tests = String::new();
    for entry in walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/protocol")) {
        let entry = entry?;
        if entry.file_type().is_file() {
            tests += &std::fs::read_to_string(entry.path())?;
        }
    }
    let missing: Vec<_> = protocol_spec::defence::Defence::ALL
        .iter()
        .filter(|defence| !tests.contains(&format!("Defence::{defence:?}")))
        .collect();
    assert!(missing.is_empty(), "no test does without {missing:?}");
    Ok(())
}
