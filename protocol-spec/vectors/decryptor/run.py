"""Runs the test vectors through opening.py and statements.py: every case must give what its file says.

    python run.py [--vectors FOLDER] [--json]

Ends with 1 if a case differs, if a case has a check that is not known here, or if a folder has no case.
"""

import argparse
import json
import pathlib
import sys
import time

from blake3 import blake3

import opening
import statements
from opening import COLLECTION_KEY, DATA_KEY, UPLOAD_KEY, Refused, sha256


def from_hex(value):
    """Inputs as the files have them: strings of digits are bytes."""
    if isinstance(value, dict):
        return {name: from_hex(inner) for name, inner in value.items()}
    return bytes.fromhex(value) if isinstance(value, str) else value


def sealed(name: str, wrap: dict, context: bytes) -> bytes:
    return opening.open_sealed(wrap["recipient_seed"], wrap["enc"], wrap["ciphertext"], name, context)


def permission(i: dict, keys: int) -> bytes:
    plaintext = sealed("wrap permission", i["wrap"], i["body"])
    return opening.permission_keys(plaintext, keys, i["permission"], i["possession_key"])


def delegated_key(i: dict) -> bytes:
    context = i["owner"] + i["delegate"] + i["delegation_hash"] + i["collection"] + i["epoch"].to_bytes(8, "big")
    return secret(sealed("wrap delegated key", i["key"], context))


def secret(plaintext: bytes) -> bytes:
    opening.refuse_unless(len(plaintext) == 32, opening.OPEN)
    return plaintext


def unwrap(i: dict, key: str, child: str, parent: str, role: int) -> bytes:
    return opening.unwrap(i[key], i[child], i[parent], i["epoch"], role, i["wrap"])


def text(i: dict, sender: str, reader: str) -> str:
    return opening.text_of(sealed("seal text", i["text"], i["request"] + i[sender] + i[reader]))


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


CHECKS = {
    "seal-content": lambda i: blake3(
        opening.seal_content(i["key"], i["header"], pattern(i["plaintext_len"]))
    ).digest(),
    "open-content": lambda i: sha256(opening.open_content(i["key"], i["plaintext_len"], i["stream"])),
    "open-manifest": lambda i: opening.open_manifest(i["key"], i["sealed"]),
    "record-key": lambda i: opening.record_key(i["upload_key"], i["patient"], i["record"], i["version"]),
    "unwrap-collection-key": lambda i: unwrap(i, "vault_root_key", "collection", "patient", COLLECTION_KEY),
    "unwrap-data-key": lambda i: unwrap(i, "collection_key", "version", "collection", DATA_KEY),
    "unwrap-upload-key": lambda i: unwrap(i, "collection_key", "permission", "collection", UPLOAD_KEY),
    "open-permission": lambda i: permission(i, i["keys"]),
    "open-permission-with-conditions": lambda i: permission(i, i["keys"] + 1),
    "open-upload-permission": lambda i: permission(i, 1),
    "open-delegated-key": delegated_key,
    "open-text-to-patient": lambda i: text(i, "institution", "patient"),
    "open-text-to-institution": lambda i: text(i, "patient", "institution"),
    "open-accreditation": lambda i: secret(sealed("seal accreditation", i["secret"], i["registrar"] + i["institution"])),
    "permission": lambda i: sha256(statements.verify_permission(i["permission"])),
    "device": lambda i: statements.device_key(i["patient"], statements.decode(i["chain"], statements.CHAIN)),
}
# Folders of which all cases are run, and one of which those with this check.
FOLDERS = {
    "content": CHECKS, "key-wrap": CHECKS, "permission-key": CHECKS, "permissions": CHECKS, "delegated-key": CHECKS,
    "text": CHECKS, "devices": ["device"],
}  # fmt: skip


def outcome(case: dict) -> tuple[str, str | None]:
    """What the case gives here, as its file would say it."""
    try:
        found = CHECKS[case["check"]](from_hex(case["inputs"]))
    except Refused as refused:
        return str(refused), None
    return "success", found if isinstance(found, str) else found.hex()


def run(folder: pathlib.Path) -> dict:
    """Counts of one folder, with a line for each case that differs."""
    row = {"folder": folder.name, "opened": 0, "refused": 0, "differ": []}
    for path in sorted(folder.glob("*.json")):
        case = json.loads(path.read_text())
        if case["check"] not in FOLDERS[folder.name] and FOLDERS[folder.name] is not CHECKS:
            continue
        try:
            expected, found = (case["expect"], case.get("gives")), outcome(case)
        except Exception as error:  # a case that cannot be run is a case that differs
            expected, found = case["expect"], f"{type(error).__name__}: {error}"
        if found != expected:
            row["differ"].append(f"{path.name}: expected {expected}, found {found}")
        else:
            row["opened" if case["expect"] == "success" else "refused"] += 1
    if row["opened"] == 0 or row["refused"] == 0:
        row["differ"].append("no case that opens, or none that is refused")
    return row


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--vectors", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    started = time.monotonic()
    rows = [run(options.vectors / name) for name in FOLDERS]
    differ = sum(len(row["differ"]) for row in rows)
    counts = {name: sum(row[name] for row in rows) for name in ("opened", "refused")}
    if options.json:
        print(json.dumps({"rows": rows, **counts, "differ": differ}))
    else:
        print(f"{'folder':<16}{'opened':>8}{'refused':>9}{'differ':>8}")
        for row in rows:
            print(f"{row['folder']:<16}{row['opened']:>8}{row['refused']:>9}{len(row['differ']):>8}")
            print("".join(f"    {line}\n" for line in row["differ"]), end="")
        seconds = time.monotonic() - started
        print(f"{counts['opened']} opened, {counts['refused']} refused, {differ} differ, in {seconds:.1f} s")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
