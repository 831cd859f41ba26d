"""What a batch and a record hold, read by head office's own code.

Laws of this file:
- Nothing of the terminal's own decoding is used: a shared mistake would hide.
- What cannot be read is None, or Rejected; it never ends head office.
"""

from typing import Any

import cbor2

from simulators import issuer

PROTOCOL = 1


class Rejected(Exception):
    """A request head office does not take; `status` is the HTTP status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def terminal_of(body: bytes) -> str:
    """The terminal a batch names; good only where no certificate says it, as in an export file. Raises Rejected."""
    return read_batch(body)[0]


def read_batch(body: bytes) -> tuple[str, bytes, int, list[bytes]]:
    """(terminal, epoch, first, entries) of a batch. Raises Rejected."""
    try:
        fields = cbor2.loads(body)
    except (cbor2.CBORError, ValueError, RecursionError) as error:
        raise Rejected(400, f"not a batch: {error}") from error
    match fields:
        case {1: int(protocol), 2: str(terminal), 3: bytes(epoch), 4: int(first), 5: list(entries)}:
            whole = protocol == PROTOCOL and len(epoch) == 8 and 1 <= first < 1 << 62 and len(fields) == 5
            if whole and entries and all(isinstance(one, bytes) for one in entries):
                return terminal, epoch, first, entries
    raise Rejected(400, "not a batch: fields not understood")


def read_entry(data: bytes) -> dict[str, Any] | None:
    """An entry's fields, if it has what every entry has."""
    try:
        entry = cbor2.loads(data)
    except (cbor2.CBORError, ValueError, RecursionError):
        return None
    match entry:
        case {
            "terminal": str(),
            "name": {"epoch": bytes(), "sequence": int()},
            "previous": bytes(),
            "fact": {"type": str()},
        }:
            return dict(entry)
    return None


def carried(entry: dict[str, Any]) -> dict[str, Any] | None:
    """The entry itself, or the one it issues again; None where that is none of this terminal."""
    match entry["fact"]:
        case {"type": "reissued", "was": dict(was), "data": bytes(data)}:
            own = read_entry(data)
            return own if own is not None and (own["terminal"], own["name"]) == (entry["terminal"], was) else None
        case {"type": "reissued"}:
            return None
    return entry


def key_of(entry: dict[str, Any]) -> int | None:
    """The number of the content key its evidence is sealed under."""
    match entry.get("sealed"):
        case {"key": int(number), "nonce": int(), "data": bytes()} if 0 <= number < 1 << 62:
            return number
    return None


def follows(fact: dict[str, Any]) -> bytes | None:
    """The epoch before, where the fact begins one."""
    match fact:
        case {"type": "epoch", "previous": {"epoch": bytes(epoch)}}:
            return epoch
    return None


def ride_code_holds(code: bytes) -> bool:
    """Both signatures of a ride code under the default ID, by the independent SM2; the root's is not asked."""
    if len(code) < 198:
        return False
    end = 198 + code[197]
    issued = issuer.verify(code[23:56], code[end + 1 : end + 65], code[3:end])
    return issued and issuer.verify(code[158:191], code[-64:], code[:-65])
