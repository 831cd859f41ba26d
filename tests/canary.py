"""Canaries: riders that exist nowhere else, and a search for every form they could sing in.

Laws of this file:
- A secret is looked for raw and in every text form a program could have given it: hexadecimal, base64 at each of its
  three alignments, base45 at both of its own, as Python, JSON and lists of numbers write bytes.
- Keyed hashes of an account are no secret: docs/limits.md says what they give away.
"""

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from simulators.phone import Phone
from simulators.token_issuer import Wallet, text

RIDER, BLOCKED, HOLDER = Phone("canary-rider1"), Phone("canary-blockd"), Wallet("canary-holder")


def secrets() -> dict[str, bytes]:
    """What must never be found, by what it is."""
    found: dict[str, bytes] = {"subject": HOLDER.subject, "holder's key": HOLDER.key.public[1:]}
    for phone in (RIDER, BLOCKED):
        found |= {
            f"{phone.name} account": phone.account,
            f"{phone.name} digits": phone.account.hex()[:19].encode(),
            f"{phone.name} name": phone.name.encode(),
            f"{phone.name} key": phone.key.public[1:],
        }
    return found


def of_code(code: bytes) -> dict[str, bytes]:
    """What is in this code and in no other: its own signature."""
    return {f"signature {code[-4:].hex()}": code[-32:]}


def forms(secret: bytes) -> dict[str, bytes]:
    """The secret as it could be written, by the name of the form."""
    written = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "python": repr(secret)[2:-1].encode(),
        "json": json.dumps(secret.decode("latin-1"))[1:-1].encode(),
        "numbers": ", ".join(map(str, secret)).encode(),
        "numbers, dense": ",".join(map(str, secret)).encode(),
    }
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + secret)
        inner = whole[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        written[f"base64 {shift}"] = inner
        written[f"base64url {shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    for shift in range(2):
        pairs = secret[shift : len(secret) - (len(secret) - shift) % 2]
        written[f"base45 {shift}"] = text(pairs)[4:]
    return written


def hits(data: bytes, wanted: dict[str, bytes]) -> set[str]:
    """Which secrets stand in `data`, and in which form."""
    return {f"{name} ({form})" for name, one in wanted.items() for form, how in forms(one).items() if how in data}


def search(directories: Iterable[Path], wanted: dict[str, bytes]) -> dict[str, set[str]]:
    """Files → what was found in them, sparse and huge ones included."""
    found = {}
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and not path.is_symlink():
                told = hits(path.read_bytes(), wanted)
                if told:
                    found[path.name] = told
    return found
