#!/usr/bin/env bash
# A name of two words is as suspicious as any mixture of scripts: unicode-security takes the space for a character out of profile.
#
# The crate unicode-security 0.1.2 gives the restriction levels of UTS #39 §5.2. A level above the last asks that every character
# is of the general profile for identifiers, and a space is not:
#   "Anna"     ASCIIOnly        "КлиникаЮг"   SingleScript
#   "St Anna"  Unrestricted     "Клиника Юг"  Unrestricted   (the level of "Gооgle bank" with Cyrillic letters in it)
# So a bound on the level refuses nearly every name of a hospital, and one that allows the last level refuses nothing. Medvault asks
# for the level of the letters alone, and bounds the other characters by itself.
# Needs: bash, cargo.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "levels"
version = "0.1.0"
edition = "2024"
[dependencies]
unicode-security = "=0.1.2"
[workspace]
TOML
cat >src/main.rs <<'RUST'
use unicode_security::RestrictionLevelDetection;
fn main() {
    for name in ["Anna", "КлиникаЮг", "St Anna", "Клиника Юг", "G\u{43e}\u{43e}gle bank"] {
        println!("{:?}", name.detect_restriction_level());
    }
}
RUST
seen=$(CARGO_TARGET_DIR="$dir/target" cargo run --quiet)
echo "$seen"
diff <(printf '%s\n' ASCIIOnly SingleScript Unrestricted Unrestricted Unrestricted) <(echo "$seen")
echo "as described"
