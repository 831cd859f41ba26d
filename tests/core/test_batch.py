"""A receipt counts only for the batch it answers, and only when head office signed it."""

from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulators.token_issuer import dumps
from terminal.core import batch as batches
from terminal.core.batch import Batch, NotAReceipt
from terminal.core.entries import StoredEntry
from terminal.core.model import EntryName
from terminal.core.parameters import OfficeKey, OfficeKeys

EPOCH = b"epoch-01"
P256 = ec.derive_private_key(1179, ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = ec.derive_private_key(7, ec.SECP256R1())
KEYS = OfficeKeys(
    keys=(
        OfficeKey(
            key_id="receipt-1",
            use="receipt",
            suite="ES256",
            public_key=P256.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex(),
        ),
        OfficeKey(
            key_id="receipt-2",
            use="receipt",
            suite="EdDSA",
            public_key=EDWARDS.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
        ),
        OfficeKey(key_id="sealing-1", use="sealing", suite="ES256", public_key="00"),
    )
)
RUN = [
    StoredEntry(row=n, name=EntryName(epoch=EPOCH, sequence=n), data=b"entry %d" % n, hash=b"%032d" % n)
    for n in (7, 8, 9)
]
BATCH = batches.cut("bus-1", RUN)
RECEIPT: dict[int, Any] = {0: "receipt", 1: "bus-1", 2: EPOCH, 3: 7, 4: 9, 5: RUN[-1].hash, 6: []}
STATEMENT: dict[int, Any] = {0: "last", 1: "bus-1", 2: EPOCH, 3: 9, 4: RUN[-1].hash}

Sign = Callable[[bytes], bytes]


def es256(message: bytes, key: ec.EllipticCurvePrivateKey = P256) -> bytes:
    """r ‖ s, as COSE has it."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def signed(fields: object, *, headers: object = None, sign: Sign = es256, unprotected: object = None) -> bytes:
    """A COSE_Sign1 over the fields, with whatever is wrong."""
    protected, payload = dumps({1: -7, 4: b"receipt-1"} if headers is None else headers), dumps(fields)
    message = dumps(["Signature1", protected, b"", payload])
    return b"\xd2" + dumps([protected, {} if unprotected is None else unprotected, payload, sign(message)])


def test_a_batch_is_the_entries_as_they_were_stored() -> None:
    """Byte for byte, under the name of the first."""
    assert (BATCH.first, BATCH.last, BATCH.hash) == (7, 9, RUN[-1].hash)
    assert cbor2.loads(batches.encode(BATCH)) == {
        1: 1, 2: "bus-1", 3: EPOCH, 4: 7, 5: [b"entry 7", b"entry 8", b"entry 9"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "sign"),
    [({1: -7, 4: b"receipt-1"}, es256), ({1: -8, 4: b"receipt-2"}, EDWARDS.sign)],
    ids=["ES256", "EdDSA"],
)
def test_a_receipt_for_this_batch_counts(headers: object, sign: Sign) -> None:
    """Under either key of head office; a refused record is named with its reason."""
    receipt = batches.read_receipt(signed(RECEIPT | {6: [[8, "conflict"]]}, headers=headers, sign=sign), KEYS, BATCH)
    assert (receipt.first, receipt.last) == (7, 9)
    assert [(one.sequence, one.reason) for one in receipt.refused] == [(8, "conflict")]


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("nothing", b""),
        ("a portal's page", b"<html>please log in</html>"),
        ("CBOR of another shape", b"\xd2\x80"),
        ("CBOR without its tag", signed(RECEIPT)[1:]),
        ("a byte too many", signed(RECEIPT) + b"\x00"),
        ("cut short", signed(RECEIPT)[:-1]),
        ("an unprotected header", signed(RECEIPT, unprotected={1: 2})),
        ("headers not understood", signed(RECEIPT, headers={1: -7})),
        ("headers that are no map", signed(RECEIPT, headers=[1])),
        ("an algorithm that is an array", signed(RECEIPT, headers={1: [1], 4: b"receipt-1"})),
        ("an algorithm that is a map", signed(RECEIPT, headers={1: {1: 2}, 4: b"receipt-1"})),
        ("an algorithm that is true", signed(RECEIPT, headers={1: True, 4: b"receipt-1"})),
        ("a key's name that is a map", signed(RECEIPT, headers={1: -7, 4: {}})),
        ("a key's name as text", signed(RECEIPT, headers={1: -7, 4: "receipt-1"})),
        ("a payload that is no map", signed([1])),
        ("an unknown key", signed(RECEIPT, headers={1: -7, 4: b"receipt-9"})),
        ("the sealing key", signed(RECEIPT, headers={1: -7, 4: b"sealing-1"})),
        ("an algorithm that is not the key's", signed(RECEIPT, headers={1: -8, 4: b"receipt-1"})),
        ("an unknown algorithm", signed(RECEIPT, headers={1: -999, 4: b"receipt-1"})),
        ("somebody else's signature", signed(RECEIPT, sign=lambda message: es256(message, STRANGER))),
        ("a signature of another length", signed(RECEIPT, sign=lambda message: es256(message)[:-1])),
        ("another terminal", signed(RECEIPT | {1: "bus-2"})),
        ("another epoch", signed(RECEIPT | {2: b"epoch-02"})),
        ("an earlier batch", signed(RECEIPT | {3: 1, 4: 6})),
        ("more than was sent", signed(RECEIPT | {4: 10})),
        ("another content", signed(RECEIPT | {5: bytes(32)})),
        ("a refusal of what was not sent", signed(RECEIPT | {6: [[10, "conflict"]]})),
        ("a refusal not understood", signed(RECEIPT | {6: [10]})),
        ("a statement instead", signed(STATEMENT)),
        ("a field more", signed(RECEIPT | {7: 1})),
        ("a field of another kind", signed(RECEIPT | {2: 1 << 40})),
        ("true for a number", signed(RECEIPT | {3: True})),
        ("true for a refused one", signed(RECEIPT | {6: [[True, "conflict"]]})),
    ],
)
def test_everything_else_is_no_receipt(sentence: str, answer: bytes) -> None:
    """Whatever its HTTP status said; neither a receipt nor a statement."""
    with pytest.raises(NotAReceipt):
        batches.read_receipt(answer, KEYS, BATCH)
    with pytest.raises(NotAReceipt):
        batches.read_statement(answer, KEYS, "bus-9")


def test_true_is_not_one_also_where_it_would_be_the_right_number() -> None:
    """A batch that begins with entry 1 has no receipt that begins with true."""
    first = Batch(terminal="bus-1", epoch=EPOCH, first=1, entries=(b"entry 1",), hash=RUN[0].hash)
    fields = RECEIPT | {3: 1, 4: 1, 5: RUN[0].hash}
    assert batches.read_receipt(signed(fields), KEYS, first).first == 1
    for wrong in ({3: True}, {4: True}, {6: [[True, "conflict"]]}):
        with pytest.raises(NotAReceipt):
            batches.read_receipt(signed(fields | wrong), KEYS, first)


def test_head_office_says_what_it_holds() -> None:
    """The newest entry, or that there is none."""
    held = batches.read_statement(signed(STATEMENT), KEYS, "bus-1")
    assert (held.name, held.hash) == (EntryName(epoch=EPOCH, sequence=9), RUN[-1].hash)
    assert held.at_ms is None
    assert batches.read_statement(signed(STATEMENT | {5: 1_800_000_000_000}), KEYS, "bus-1").at_ms == 1_800_000_000_000
    assert batches.read_statement(signed(STATEMENT | {5: True}), KEYS, "bus-1").at_ms is None
    nothing = batches.read_statement(signed(STATEMENT | {2: b"", 3: 0, 4: b""}), KEYS, "bus-1")
    assert nothing.name is None


@pytest.mark.parametrize(
    ("sentence", "fields"),
    [
        ("about another terminal", STATEMENT | {1: "bus-2"}),
        ("a receipt instead", RECEIPT),
        ("a field missing", {0: "last", 1: "bus-1"}),
        ("a field of another kind", STATEMENT | {4: 5}),
        ("true for a number", STATEMENT | {3: True}),
        ("a number below nothing", STATEMENT | {3: -1}),
        ("a number no database holds", STATEMENT | {3: 1 << 63}),
    ],
)
def test_everything_else_is_no_statement(sentence: str, fields: dict[int, Any]) -> None:
    """Signed, but not this."""
    with pytest.raises(NotAReceipt):
        batches.read_statement(signed(fields), KEYS, "bus-1")


def test_an_export_gives_its_batches_back() -> None:
    """What was written to the file is what is imported."""
    other = Batch(terminal="bus-1", epoch=EPOCH, first=10, entries=(b"entry 10",), hash=bytes(32))
    data = b"".join(batches.encode_export([BATCH, other]))
    assert list(batches.iter_export(data)) == [batches.encode(BATCH), batches.encode(other)]


def test_a_damaged_export_is_told_as_such() -> None:
    """Every truncation that is no whole batch, and what is no export at all."""
    data = b"".join(batches.encode_export([BATCH]))
    mark = len(batches.EXPORT_MARK)
    for end in (*range(mark), *range(mark + 1, len(data))):
        with pytest.raises(ValueError, match="export"):
            list(batches.iter_export(data[:end]))
    assert list(batches.iter_export(data[:mark])) == []
