"""Opens what is sealed and unwraps what is wrapped, as protocol-spec/spec says it; written from those pages alone.

Every function takes bytes and returns bytes, or raises Refused. Names are those of the formulas in the page that is
named beside each.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

MALFORMED, OPEN = "malformed", "open failure"
CHUNK, TAG, HEADER = 16384, 16, 56
CONTENT, MANIFEST = 1, 2
COLLECTION_KEY, DATA_KEY, UPLOAD_KEY = 1, 2, 3


class Refused(Exception):
    """Its text is one of the failures of vectors/README.md."""


def refuse_unless(holds: bool, failure: str) -> None:
    if not holds:
        raise Refused(failure)


def label(text: str) -> bytes:
    """overview.md §2: the registered text, then zeros up to 32 bytes."""
    return f"medvault/v1 {text}".encode().ljust(32, b"\0")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def expand(key: bytes, info: bytes, length: int) -> bytes:
    return HKDFExpand(SHA512(), length, info).derive(key)


def aead(key: bytes, nonce: bytes, sealed: bytes, aad: bytes = b"") -> bytes:
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Refused(OPEN) from None


# content.md


def padme(length: int) -> int:
    """CNT-5."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    step = 1 << max(exponent - exponent.bit_length(), 0)
    return -(-length // step) * step


def unframe(plaintext: bytes, size) -> bytes:
    """CNT-10: u32be(length), the bytes, zeros up to size(4 + length)."""
    refuse_unless(len(plaintext) >= 4, OPEN)
    end = 4 + int.from_bytes(plaintext[:4], "big")
    refuse_unless(len(plaintext) == size(end) and not any(plaintext[end:]), OPEN)
    return plaintext[4:end]


def stream_keys(record: dict, kind: int, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """§2: key, base nonce, commitment."""
    context = label("seal content") + (1).to_bytes(4, "big") + record["patient"] + record["record"] + record["version"]
    name = b"c2sp.org/chunked-encryption@v1+AEAD_CHACHA20_POLY1305\0"
    derived = expand(record["data_key"], name + salt + context + bytes([kind]), 76)
    return derived[:32], derived[32:44], derived[44:]


def chunk_nonce(base: bytes, number: int) -> bytes:
    """CNT-4."""
    return bytes(a ^ b for a, b in zip(base, number.to_bytes(12, "big"), strict=True))


def plaintext_length(stream: int) -> int:
    """CNT-3: the n that gives this length of a stream."""
    full, last = divmod(stream - HEADER, CHUNK + TAG)
    refuse_unless(HEADER < stream <= 1 << 52 and last >= TAG, MALFORMED)
    return full * CHUNK + last - TAG


def open_stream(record: dict, kind: int, stream: bytes) -> bytes:
    plaintext_length(len(stream))
    key, base, commitment = stream_keys(record, kind, stream[:24])
    refuse_unless(hmac.compare_digest(commitment, stream[24:HEADER]), OPEN)  # CNT-2
    chunks = range(HEADER, len(stream), CHUNK + TAG)
    return b"".join(
        aead(key, chunk_nonce(base, i), stream[at : at + CHUNK + TAG]) for i, at in enumerate(chunks)
    )


def open_content(record: dict, length: int, stream: bytes) -> bytes:
    """The parts of a record, whose length the manifest names."""
    refuse_unless(plaintext_length(len(stream)) == padme(length), OPEN)  # CNT-5, CNT-15
    plaintext = open_stream(record, CONTENT, stream)
    refuse_unless(not any(plaintext[length:]), OPEN)  # CNT-6
    return plaintext[:length]


def open_manifest(record: dict, stream: bytes) -> bytes:
    """§5."""
    return unframe(open_stream(record, MANIFEST, stream), lambda end: padme(max(end, 1024)))


def seal_content(record: dict, header: bytes, plaintext: bytes) -> bytes:
    """Seals under the salt of a header, and gives the same header back."""
    key, base, commitment = stream_keys(record, CONTENT, header[:24])
    padded = plaintext.ljust(padme(len(plaintext)), b"\0")
    chunks = range(0, len(padded) + 1, CHUNK)  # the last one is always short, and may hold nothing
    cipher = ChaCha20Poly1305(key)
    sealed = (cipher.encrypt(chunk_nonce(base, i), padded[at : at + CHUNK], b"") for i, at in enumerate(chunks))
    return header[:24] + commitment + b"".join(sealed)


# keys.md


def unwrap(wrapping_key: bytes, child: bytes, parent: bytes, epoch: int, role: int, wrapped: bytes) -> bytes:
    """§8."""
    refuse_unless(len(wrapped) == 104, MALFORMED)
    aad = child.ljust(32, b"\0") + parent.ljust(32, b"\0") + epoch.to_bytes(8, "big") + bytes([role])
    derived = expand(wrapping_key, label("key wrap") + wrapped[:24] + aad, 76)
    refuse_unless(hmac.compare_digest(derived[44:], wrapped[24:56]), OPEN)  # KEY-13
    return aead(derived[:32], derived[32:44], wrapped[56:], aad)


def record_key(upload_key: bytes, patient: bytes, record: bytes, version: bytes) -> bytes:
    """KEY-14."""
    return expand(upload_key, label("record key") + patient + record + version, 32)


def open_sealed(seed: bytes, enc: bytes, ciphertext: bytes, name: str, context: bytes) -> bytes:
    """§7 with the secret of §1: HPKE base mode with X-Wing, info of KEY-10, no aad."""
    refuse_unless(len(enc) == 1120 and len(ciphertext) > TAG, MALFORMED)
    expanded = hashlib.shake_256(seed).digest(96)
    halves = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    try:
        return suite.decrypt(enc + ciphertext, MLKEM768X25519PrivateKey(*halves), sha256(label(name) + context))
    except InvalidTag:
        raise Refused(OPEN) from None


def size_class(least: int):
    """The smallest least · 2^k that holds a length."""

    def size(length: int) -> int:
        held = least
        while held < length:
            held *= 2
        return held

    return size


def text_of(plaintext: bytes) -> str:
    """KEY-15."""
    text = unframe(plaintext, size_class(256))
    refuse_unless(len(text) <= 16384, OPEN)
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Refused(OPEN) from None


# permission.md


def permission_keys(plaintext: bytes, keys: int, permission: bytes, possession_key: bytes) -> bytes:
    """§3, PRM-8: the keys, one behind the other, if this is what the body speaks of."""
    length = 32 + 32 * keys
    refuse_unless(len(plaintext) == size_class(64)(length) and not any(plaintext[length:]), OPEN)
    material = plaintext[:length]
    seed = HKDF(SHA256(), 32, None, label("possession key") + permission).derive(material)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    refuse_unless(hmac.compare_digest(public, possession_key), OPEN)  # PRM-7
    return material[32:]
