"""Decodes, judges and verifies a permission with its device chain, as protocol-spec/spec and the .proto files say it.

Not here: what Ed25519 libraries do with keys of small order (KEY-2, STM-3), and delegations (DLG-7), which raise.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from opening import MALFORMED, Refused, label, plaintext_length, refuse_unless, sha256

SIGNATURE, MISMATCH, VERSION = "bad signature", "mismatch", "unsupported version"
UPLOAD, DOWNLOAD, REFERENCE, EMERGENCY = 1, 2, 3, 4
ZEROS, IN_EMERGENCY, OWN = bytes(32), (1).to_bytes(16, "big"), (2).to_bytes(16, "big")

# Fields of the .proto files by number: an int is so many bytes, a dict a message, a list repeats a message, a tuple holds a
# message that may be absent. Strings name other kinds.
HEADER = {1: ("version", "uint"), 2: ("suite", "uint"), 3: ("created", "uint")}
STATEMENT = {1: ("body", "bytes"), 2: ("signature", 64), 3: ("certificate", "bytes")}
CHAIN = {1: ("identity_key", 32), 2: ("certificates", [STATEMENT])}
CERTIFICATE = {1: ("header", HEADER), 2: ("patient_id", 32), 3: ("device_key", 32), 4: ("recipient_key_hash", 32)}
SEALED = {1: ("enc", 1120), 2: ("ciphertext", "bytes")}
PERMISSION = {
    1: ("body", "bytes"), 2: ("signature", 64), 3: ("wrap", SEALED), 4: ("device", CHAIN), 5: ("delegation", "bytes"),
}  # fmt: skip
RECORD = {1: ("record_id", 16), 2: ("version_id", 16), 3: ("content_root", 32), 4: ("stream_len", "uint")}
COLLECTION = {1: ("collection_id", 16), 2: ("epoch", "uint"), 3: ("until", "uint")}
REPLACES = {
    1: ("permission_id", 16), 2: ("permission_hash", 32), 3: ("uses_left", "uint"), 4: ("bytes_left", "uint"),
    5: ("signed_again", "uint"),
}  # fmt: skip
CONDITIONS = {1: ("groups", [{1: ("tokens", "bytes")}]), 2: ("sealed", "bytes")}
GUARDIAN = {1: ("guardian_id", 32), 2: ("wait", "uint")}
HEAD = {1: ("sequence", "uint"), 2: ("hash", 32)}
TERMS = {1: ("card_key", 32), 2: ("share_hash", 32), 3: ("guardian", (GUARDIAN,))}
PERMISSION_BODY = {
    1: ("header", HEADER), 2: ("operator_id", 32), 3: ("permission_id", 16), 4: ("kind", "uint"),
    5: ("patient_id", 32), 6: ("institution_id", 32), 7: ("directory_entry_hash", 32), 8: ("recipient_key_hash", 32),
    9: ("records", [RECORD]), 10: ("not_before", "uint"), 11: ("not_after", "uint"), 12: ("uses", "uint"),
    13: ("bytes", "uint"), 14: ("request_hash", 32), 15: ("possession_key", 32), 16: ("collection", (COLLECTION,)),
    17: ("replaces", (REPLACES,)), 18: ("purpose", "text"), 19: ("conditions", (CONDITIONS,)),
    20: ("vault_head", (HEAD,)), 23: ("delegation_hash", "bytes"), 24: ("emergency", (TERMS,)),
}  # fmt: skip
PURPOSES = """HMARKT HOPERAT CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS HPRGRP HQUALIMP
HSYSADMIN LABELING METAMGT MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR RECORDMGT SYSDEV HTEST TRAIN HPAYMT CLMATTCH COVAUTH
COVERAGE ELIGDTRM ELIGVER ENROLLM MILDCRG REMITADV HRESCH BIORCH CLINTRCH CLINTRCHNPC CLINTRCHPC PRECLINTRCH DSRCH
POARCH TRANSRCH PATRQT FAMRQT PWATRNY SUPNWK PUBHLTH DISASTER THREAT TREAT CLINTRL COC ETREAT BTG ERTREAT POPHLTH""".split()


def require(*holds: bool) -> None:
    refuse_unless(all(holds), MALFORMED)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Value and the place behind it; in its shortest form only."""
    value = shift = 0
    while True:
        require(at < len(data), shift < 70)
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            require(byte != 0 or shift == 7, value < 1 << 64)
            return value, at


def decode(data: bytes, schema: dict) -> dict:
    """STM-5 (here also of messages around bodies), STM-7."""
    message = {name: absent(kind) for name, kind in schema.values()}
    at = last = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        require(number in schema)
        name, kind = schema[number]
        require(number > last or (number == last and isinstance(kind, list)), wire == (0 if kind == "uint" else 2))
        last = number
        value, at = varint(data, at)
        if kind != "uint":
            require(at + value <= len(data))
            value, at = data[at : at + value], at + value
        if isinstance(kind, list):
            message[name].append(decode(value, kind[0]))
        elif isinstance(kind, (dict, tuple)):
            message[name] = decode(value, kind if isinstance(kind, dict) else kind[0])
        else:
            require(bool(value))
            message[name] = value
    for name, kind in schema.values():
        require(not isinstance(kind, dict) or message[name] is not None)
        require(not isinstance(kind, int) or len(message[name]) == kind)
    return message


def absent(kind):
    if isinstance(kind, list):
        return []
    return {"uint": 0, "bytes": b"", "text": b""}.get(kind, b"") if isinstance(kind, (str, int)) else None


def body_of(data: bytes, schema: dict) -> dict:
    """STM-4."""
    body = decode(data, schema)
    refuse_unless(body["header"]["version"] == 1 and body["header"]["suite"] == 1, VERSION)
    return body


def verify(key: bytes, signature: bytes, name: str, body: bytes, more: bytes = b"") -> None:
    """STM-1; a permission's pre-image has more (PRM-2)."""
    try:
        signed = label(name) + len(body).to_bytes(8, "big") + sha256(body) + more
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature:
        raise Refused(SIGNATURE) from None


def device_key(patient: bytes, chain: dict) -> bytes:
    """KEY-5: the key of the device to which the chain leads."""
    require(1 <= len(chain["certificates"]) <= 32)
    refuse_unless(sha256(chain["identity_key"]) == patient, MISMATCH)
    key = chain["identity_key"]
    for statement in chain["certificates"]:
        certificate = body_of(statement["body"], CERTIFICATE)
        refuse_unless(certificate["patient_id"] == patient, MISMATCH)
        verify(key, statement["signature"], "device certificate", statement["body"])
        key = certificate["device_key"]
    return key


def verify_permission(data: bytes) -> bytes:
    """The body's exact bytes, if it is well formed and a device of the patient has signed it with this wrap."""
    permission = decode(data, PERMISSION)
    body = body_of(permission["body"], PERMISSION_BODY)
    judge(body)
    if body["delegation_hash"] or permission["delegation"]:
        raise NotImplementedError("a permission by a delegate")
    key = device_key(body["patient_id"], permission["device"])
    wrap = sha256(permission["wrap"]["enc"] + permission["wrap"]["ciphertext"])
    verify(key, permission["signature"], "permission", permission["body"], wrap)
    return permission["body"]


def judge(body: dict) -> None:
    """PRM-1, COL-5, COL-9, CND-1, CND-8, EMG-1, VLT-6."""
    kind, records, collection = body["kind"], body["records"], body["collection"]
    require(kind in (UPLOAD, DOWNLOAD, REFERENCE, EMERGENCY), len(records) <= 4096)
    require((bool(records) + (collection is not None)) == (0 if kind == UPLOAD else 1))
    require(len({record["version_id"] for record in records}) == len(records))
    for record in records:
        plaintext_length(record["stream_len"])
    require(body["not_before"] < body["not_after"], body["uses"] > 0, body["bytes"] > 0)
    replaces = body["replaces"]
    require(replaces is None or (replaces["permission_id"] != body["permission_id"] and replaces["signed_again"] <= 1))
    require(collection is None or collection["collection_id"] != OWN)
    require(not body["purpose"] or (kind != UPLOAD and body["purpose"].decode("utf-8", "replace") in PURPOSES))
    if body["conditions"] is not None:
        judge_conditions(body["conditions"], kind, collection is not None)
    require((body["vault_head"] is None) == bool(body["delegation_hash"]))
    require((body["emergency"] is not None) == (kind == EMERGENCY))
    if kind == EMERGENCY:
        judge_emergency(body, body["emergency"]["guardian"])


def judge_conditions(conditions: dict, kind: int, over_collection: bool) -> None:
    require(kind != UPLOAD, len(conditions["sealed"]) in [72 + (64 << k) for k in range(5)])
    require(1 <= len(conditions["groups"]) <= 3 if over_collection else not conditions["groups"])
    for group in conditions["groups"]:
        data = group["tokens"]
        tokens = [data[at : at + 16] for at in range(0, len(data), 16)]
        require(1 <= len(tokens) <= 32, len(data) % 16 == 0, sorted(set(tokens)) == tokens)


def judge_emergency(body: dict, guardian: dict | None) -> None:
    collection = body["collection"]
    require(collection is not None and collection["collection_id"] == IN_EMERGENCY and collection["until"] == 0)
    require(all(body[name] == ZEROS for name in ("institution_id", "directory_entry_hash", "request_hash")))
    require(not body["purpose"], body["conditions"] is None, not body["delegation_hash"])
    if guardian is not None:
        require(guardian["guardian_id"] != body["patient_id"], 1000 <= guardian["wait"] <= 30 * 86_400_000)
