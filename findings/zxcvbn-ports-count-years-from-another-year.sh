#!/usr/bin/env bash
# The same passphrase, two ports of one estimator, two numbers of guesses: zxcvbn counts a year by its distance from "now".
#
# zxcvbn 4.4.2 (npm) takes the year of the machine's clock, as does the crate zxcvbn 3.1.0; zxcvbn 4.5.0 (PyPI) has 2017 written in.
# "1974-03-12 anna": 3.072e8 guesses in Python for ever; in JavaScript 3.072e8 with a clock of 2017, 3.505e8 with one of 2026.
# So a bound in guesses ("refuse below 10^8") is not one bound: it differs between an app and a server that use two ports, and where
# a year is in the passphrase it moves by itself. Medvault asks one port, once, when a passphrase is set.
# Needs: bash, python3 with venv, node, npm.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv py && py/bin/pip -q install zxcvbn==4.5.0
npm init -y >/dev/null && npm install --silent --no-audit --no-fund zxcvbn@4.4.2 >/dev/null
cat >guesses.cjs <<'JS'
const year = Number(process.argv[2]);
const System = Date;
globalThis.Date = class extends System {
  getFullYear() { return year; }
};
console.log("javascript", year, require("zxcvbn")("1974-03-12 anna").guesses.toExponential(3));
JS
seen=$(py/bin/python -c 'from zxcvbn import zxcvbn; print("python %.3e" % zxcvbn("1974-03-12 anna")["guesses"])'
  node guesses.cjs 2017; node guesses.cjs 2026)
echo "$seen"
diff <(printf '%s\n' "python 3.072e+08" "javascript 2017 3.072e+8" "javascript 2026 3.505e+8") <(echo "$seen")
echo "as described"
