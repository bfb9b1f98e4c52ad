//! Where dependencies come from, and which of them run code when they are built (ATK-58). Versions and hashes are pinned
//! in `Cargo.lock`, and every check here is run with `--locked`.

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Whose build scripts somebody has looked at. A new name here is a new program on every developer's machine.
const BUILD_SCRIPTS: &[&str] = &[
    "ahash",
    "anyhow",
    "aws-lc-rs",
    "aws-lc-sys",
    "bindgen",
    "blake3",
    "bzip2-sys",
    "camino",
    "clang-sys",
    "crc32c",
    "crc32fast",
    "crossbeam-utils",
    "curve25519-dalek",
    "encoding_rs",
    "getrandom",
    "heapless",
    "httparse",
    "iana-time-zone-haiku",
    "icu_normalizer_data",
    "icu_properties_data",
    "jsonschema-value",
    "libc",
    "librocksdb-sys",
    "libz-sys",
    "mime_guess",
    "num-traits",
    "oid-registry",
    "parking_lot_core",
    "portable-atomic",
    "prettyplease",
    "proc-macro2",
    "prometheus-client",
    "quote",
    "ref-cast",
    "ring",
    "rustix",
    "rustls",
    "rustversion",
    "serde",
    "serde_core",
    "serde_json",
    "thiserror",
    "unicode-general-category",
    "valuable",
    "wasm-bindgen",
    "wasm-bindgen-shared",
    "windows_aarch64_gnullvm",
    "windows_aarch64_msvc",
    "windows_i686_gnu",
    "windows_i686_gnullvm",
    "windows_i686_msvc",
    "windows_x86_64_gnu",
    "windows_x86_64_gnullvm",
    "windows_x86_64_msvc",
    "wit-bindgen",
    "zerocopy",
    "zmij",
];

fn metadata() -> Result<Metadata> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    Ok(MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(vec!["--locked".into()])
        .exec()?)
}

/// What is wrong with a dependency.
fn objection(package: &Package) -> Option<String> {
    let source = package.source.as_ref()?;
    if source.repr != REGISTRY {
        return Some(format!("{} comes from {}", package.name, source.repr));
    }
    let builds = package
        .targets
        .iter()
        .any(|target| target.kind.contains(&TargetKind::CustomBuild));
    (builds && !BUILD_SCRIPTS.contains(&package.name.as_str()))
        .then(|| format!("{} has a build script that is not in the list", package.name))
}

/// ATK-58
#[test]
fn dependencies_come_from_the_registry_and_run_known_build_scripts() -> Result<()> {
    let metadata = metadata()?;
    let objections: Vec<_> = metadata.packages.iter().filter_map(objection).collect();
    assert!(objections.is_empty(), "{objections:#?}");
    for name in BUILD_SCRIPTS {
        let there = metadata
            .packages
            .iter()
            .any(|package| package.name.as_str() == *name);
        assert!(there, "{name} is no dependency any more");
    }
    Ok(())
}

/// ATK-58, the control: a dependency whose source or build script was planted is one like the others to cargo, and
/// found by the check alone.
#[test]
fn a_planted_dependency_is_found_by_the_check_alone() -> Result<()> {
    let metadata = metadata()?;
    let harmless = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "hex" || package.name.as_str() == "sfv")
        .context("neither hex nor sfv")?;
    assert_eq!(objection(harmless), None);
    let script = metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .find(|target| target.kind.contains(&TargetKind::CustomBuild))
        .context("no build script at all")?;
    let mut with_script = harmless.clone();
    with_script.targets.push(script.clone());
    let mut elsewhere = serde_json::to_value(harmless)?;
    elsewhere["source"] = "git+https://example.org/mirror".into();
    let elsewhere: Package = serde_json::from_value(elsewhere)?;
    for planted in [with_script, elsewhere] {
        assert!(objection(&planted).is_some(), "{}", planted.name);
    }
    Ok(())
}
