"""Batches and receipts: how entries leave, and how head office says it holds them.

Laws of this file:
- A batch is a run of one epoch's entries, byte for byte as they were stored.
- A receipt is a COSE_Sign1 (RFC 9052) by head office over {terminal, epoch, first, last, hash, refused}; anything else,
  whatever its HTTP status said, is not a receipt.
- A receipt counts only for the batch it answers: same terminal, epoch, first, last, and the hash of its last entry.
- A refused record's hash still joins the chain.
- Until its signature held, an answer is anybody's: headers and fields are of exactly the type that is meant.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from terminal.core import cbor
from terminal.core.entries import Receipt, Refused, StoredEntry
from terminal.core.model import EntryName, Value
from terminal.core.parameters import OfficeKeys, TokenAlgorithm
from terminal.core.tokens import signatures

PROTOCOL = 1
LONGEST_RECEIPT = 64 * 1024
LONGEST_BATCH = 4 << 20
EXPORT_MARK = b"onecard-export-1\n"
_ALGORITHMS = {-7: "ES256", -8: "EdDSA"}
_ALG, _KID = 1, 4  # COSE header labels
_END = 1 << 62  # of sequences: what a journal can count


class NotAReceipt(ValueError):
    """Bytes that are no receipt for this batch; the message says why."""


class Batch(Value, frozen=True):
    """A numbered run of entries."""

    terminal: str
    epoch: bytes
    first: int
    entries: tuple[bytes, ...]
    hash: bytes  # of the last entry

    @property
    def last(self) -> int:
        """Sequence of the last entry."""
        return self.first + len(self.entries) - 1


class Statement(Value, frozen=True):
    """What head office says it holds last of a terminal; `name` is None when it holds nothing."""

    terminal: str
    name: EntryName | None
    hash: bytes
    at_ms: int | None = None  # head office's time, where it says it


def cut(terminal: str, run: Sequence[StoredEntry]) -> Batch:
    """The batch of a contiguous run (see Store.unsent)."""
    return Batch(
        terminal=terminal,
        epoch=run[0].name.epoch,
        first=run[0].name.sequence,
        entries=tuple(stored.data for stored in run),
        hash=run[-1].hash,
    )


def encode(batch: Batch) -> bytes:
    """{1: protocol, 2: terminal, 3: epoch, 4: first, 5: [entries]} in deterministic CBOR."""
    return cbor.encode({1: PROTOCOL, 2: batch.terminal, 3: batch.epoch, 4: batch.first, 5: list(batch.entries)})


# --------------------------------------------------------------------------- receipts


def read_receipt(data: bytes, keys: OfficeKeys, batch: Batch) -> Receipt:
    """The receipt for this batch. Raises NotAReceipt."""
    receipt = _receipt(_signed(data, keys))
    expected = (batch.terminal, batch.epoch, batch.first, batch.last, batch.hash)
    if (receipt.terminal, receipt.epoch, receipt.first, receipt.last, receipt.hash) != expected:
        raise NotAReceipt("a receipt for something else")
    if any(not batch.first <= refused.sequence <= batch.last for refused in receipt.refused):
        raise NotAReceipt("it refuses what was not sent")
    return receipt


def read_statement(data: bytes, keys: OfficeKeys, terminal: str) -> Statement:
    """Head office's signed word of what it holds last. Raises NotAReceipt."""
    match _signed(data, keys):
        case {0: "last", 1: str(named), 2: bytes(epoch), 3: int(sequence), 4: bytes(digest), **more} if (
            named == terminal and _is_sequence(sequence)
        ):
            name = EntryName(epoch=epoch, sequence=sequence) if sequence else None
            said = more.get(5)
            return Statement(terminal=terminal, name=name, hash=digest, at_ms=said if type(said) is int else None)
    raise NotAReceipt("not a statement about this terminal")


def _receipt(fields: dict[Any, Any]) -> Receipt:
    match fields:
        case {
            0: "receipt",
            1: str(terminal),
            2: bytes(epoch),
            3: int(first),
            4: int(last),
            5: bytes(digest),
            6: list(refused),
            **more,
        } if not more and _is_sequence(first) and _is_sequence(last):
            names = tuple(_refused(one) for one in refused)
            return Receipt(terminal=terminal, epoch=epoch, first=first, last=last, hash=digest, refused=names)
    raise NotAReceipt("not a receipt")


def _refused(one: object) -> Refused:
    match one:
        case [int(sequence), str(reason)] if _is_sequence(sequence):
            return Refused(sequence=sequence, reason=reason[:64])
    raise NotAReceipt("it refuses in a way not understood")


def _is_sequence(number: object) -> bool:
    """A plain number: true is an int to Python, and beyond 64 bits no database looks."""
    return type(number) is int and 0 <= number < _END


def _signed(data: bytes, keys: OfficeKeys) -> dict[Any, Any]:
    """The payload of a COSE_Sign1 by one of head office's receipt keys."""
    try:
        match cbor.decode(data[1:], LONGEST_RECEIPT) if data[:1] == b"\xd2" else None:
            case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)] if not unprotected:
                algorithm, kid = _headers(protected)
                fields = cbor.decode(payload, LONGEST_RECEIPT)
            case _:
                raise NotAReceipt("not signed by head office")
    except cbor.NotDeterministic as error:
        raise NotAReceipt(str(error)) from error
    message = cbor.encode(["Signature1", protected, b"", payload])
    if not _holds(algorithm, kid, keys, signature, message):
        raise NotAReceipt("no receipt key of head office signed this")
    if not isinstance(fields, dict):
        raise NotAReceipt("signed, but no map")
    return fields


def _headers(protected: bytes) -> tuple[int, bytes]:
    """`alg` and `kid`, and nothing else. Nobody has signed for them yet: they can be of any type."""
    headers = cbor.decode(protected, 128)
    if isinstance(headers, dict) and set(headers) == {_ALG, _KID}:
        algorithm, kid = headers[_ALG], headers[_KID]
        if type(algorithm) is int and type(kid) is bytes:
            return algorithm, kid
    raise NotAReceipt("headers not understood")


def _holds(algorithm: int, kid: bytes, keys: OfficeKeys, signature: bytes, message: bytes) -> bool:
    for key in keys.keys:
        if key.use == "receipt" and key.key_id.encode() == kid and key.suite == _ALGORITHMS.get(algorithm):
            public = signatures.load(TokenAlgorithm(key.suite), bytes.fromhex(key.public_key))
            return len(signature) == 64 and public.verify(signature, message)
    return False


# --------------------------------------------------------------------------- export file


def encode_export(batches: Iterable[Batch]) -> Iterator[bytes]:
    """An export file, piece by piece: a mark, then each batch behind four bytes of length."""
    yield EXPORT_MARK
    for batch in batches:
        data = encode(batch)
        yield len(data).to_bytes(4) + data


def iter_export(data: bytes) -> Iterator[bytes]:
    """The encoded batches of an export file. Raises ValueError where it is cut short or none."""
    if not data.startswith(EXPORT_MARK):
        raise ValueError("not an export file")
    at = len(EXPORT_MARK)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        at += 4 + length
        if not 0 < length <= LONGEST_BATCH or at > len(data):
            raise ValueError("the export file is cut short")
        yield data[at - length : at]
