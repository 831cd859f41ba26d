"""The parsers as functions of bytes, and what a campaign begins with.

Laws of this file:
- A target lets through exactly what its parser's docstring says it raises.
- Seeds are good inputs and a few known bad ones, made by the simulators' own encoders.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from drivers.gate import bus
from drivers.office.https import announces_zstd, parse_retry_after
from drivers.scan.framing import FRAMINGS, Framing, LengthPrefixed
from drivers.store import tail_file
from simulators.issuer import demo_issuer
from simulators.office import HeadOffice
from simulators.parameters import ParameterOffice
from simulators.phone import FAULTS, Phone
from simulators.pki import public_halves
from simulators.token_issuer import FAULTS as TOKEN_FAULTS
from simulators.token_issuer import Wallet, demo_token_issuers, dumps, text
from terminal.core import batch as batches
from terminal.core import cbor, entries, tokens
from terminal.core.batch import Batch, NotAReceipt
from terminal.core.cards import apdu
from terminal.core.entries import BadEntry
from terminal.core.model import Credential, EntryName, Instant, TimeSource
from terminal.core.parameters import Issuers, OfficeKeys, ParameterSet
from terminal.core.parameters_load import PARTS, ParametersError, load
from terminal.core.tokens import base45, card_token, ride_code
from tests.core.cases import NOW_MS, instant, parameters
from tests.fuzz import camera_targets, card_targets, library_targets, pictures, signed_targets, site_targets

NOW_S = NOW_MS // 1000


class Target(NamedTuple):
    """One parser."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


# --------------------------------------------------------------------------- codes


@cache
def _known() -> ParameterSet:
    rows = tuple(issuer.row() for issuer in demo_token_issuers())
    return parameters(issuers=Issuers(ride_code=(demo_issuer().row(),), card_token=rows))


@cache
def _good_codes() -> frozenset[tuple[str, int]]:
    """Issuer and second of what may be granted: a code that says something else was never signed."""
    claims = [tokens.verify(code, _known(), instant()) for code in (Phone().code(NOW_S), Wallet().code(NOW_S))]
    return frozenset((claim.issuer, claim.generated_ms) for claim in claims if isinstance(claim, Credential))


def verify_code(data: bytes) -> None:
    """Judged and explained, at several times; a grant only for what was signed."""
    for after_s in (0, -3600, 10**9):
        at = instant(after_s)
        claim = tokens.verify(data, _known(), at)
        if isinstance(claim, Credential):
            assert (claim.issuer, claim.generated_ms) in _good_codes()
            assert tokens.recognise(data) is not None
    assert tokens.explain(data, _known(), instant()).verdict


def ride_code_fields(data: bytes) -> None:
    """A ride code as it is cut apart, signatures unseen."""
    for whole in (data, b"\x80" + len(data).to_bytes(3)[1:] + data):
        parsed = ride_code.parse(whole)
        assert parsed is None or len(parsed.account) == 10


def card_token_claims(data: bytes) -> None:
    """Claims as an issuer could have signed them."""
    with suppress(card_token.Refused, cbor.NotDeterministic):
        card_token.claims_of(cbor.decode(data, card_token.LONGEST))


def card_token_layers(data: bytes) -> None:
    """Both layers, signatures unseen."""
    with suppress(card_token.Refused):
        card_token.parse(card_token.binary(data))


def _code_seeds() -> list[bytes]:
    phone, wallet = Phone(), Wallet()
    codes = [
        phone.code(NOW_S),
        wallet.code(NOW_S),
        text(wallet.code(NOW_S)),
        b"6225000000000000000",
        b"OC1:",
        b"\xd2\x84",
    ]
    codes += [FAULTS[kind](phone, NOW_S) for kind in ("custom field swapped", "length wrong", "certificate format")]
    return codes + [TOKEN_FAULTS[kind](wallet, NOW_S) for kind in ("duplicate key", "indefinite length", "long kid")]


def _claim_seeds() -> list[bytes]:
    full = Wallet(audience="a", account_link=b"\x01" + bytes(16), age_from=60, residency="510100", student_until=NOW_S)
    full.products, full.status = (("park-annual", NOW_S, NOW_S + 1),), ("main", 5)
    return [dumps(Wallet().claims()), dumps(full.claims()), dumps({1: "x"}), dumps({-65538: {}})]


# --------------------------------------------------------------------------- encodings


def decode_cbor(data: bytes) -> None:
    """What is decoded has exactly that encoding."""
    with suppress(cbor.NotDeterministic):
        assert cbor.encode(cbor.decode(data, 4096)) == data


def decode_base45(data: bytes) -> None:
    """What is decoded is encoded as it came."""
    decoded = base45.decode(data)
    assert decoded is None or base45.encode(decoded) == data


def decode_entry(data: bytes) -> None:
    """A journal's bytes after whatever happened to them."""
    with suppress(BadEntry):
        entries.decode(data)


def read_tail_file(data: bytes) -> None:
    """A tail file after whatever happened to it: what counts is a chain, and each of it is found for mending too."""
    start = entries.Head(EntryName(epoch=b"epoch--1", sequence=0), entries.NO_HASH, floor_ms=0, unsent=0, row=0)
    found = list(tail_file.behind(data, start))
    assert [one.end.row for one in found] == [*range(1, len(found) + 1)]
    assert {one.stored.hash for one in found} <= {stored.hash for stored in tail_file.strewn(data)}


# --------------------------------------------------------------------------- the line


def _framings() -> list[Framing]:
    strong = LengthPrefixed(start=b"\x55\xaa", checksum="crc16")
    return [
        *(make() for make in FRAMINGS.values()),
        strong,
        LengthPrefixed(checksum="xor"),
        LengthPrefixed(checksum="sum"),
    ]


def frame(data: bytes) -> None:
    """Cut anywhere, the same payloads come; buffers stay bounded; a silence empties them."""
    cut = data[0] % (len(data) + 1) if data else 0
    for whole, pieces in zip(_framings(), _framings(), strict=True):
        expected = whole.feed(data, 0.0)
        got = pieces.feed(data[:cut], 0.0) + pieces.feed(data[cut:], 0.0)
        assert len(whole._held) <= 8192  # type: ignore[attr-defined]  # the bound itself
        assert got + pieces.silence(1.0) == expected + whole.silence(1.0)
        assert not whole.pending() and whole.dropped == pieces.dropped


def _frame_seeds() -> list[bytes]:
    code = Phone().code(NOW_S)
    body = b"\x00\x05hello"
    return [
        b"\x01\x4c" + code,
        b"\x55\xaa" + body + b"\x00\x00",
        b"hello\r\nworld\n",
        code.hex().encode() + b"\r\n",
        base64.b64encode(code) + b"\r",
        b"\xff\xff\x00",
    ]


# --------------------------------------------------------------------------- the board

REQUESTS = (
    bus.coil(1, 3, True),
    bus.coils(1, [False] * 8),
    bus.registers(1, 2, [5]),
    bus.registers(1, 2, [5, 6]),
    bus.look(1, 8),
    bus.look(1, 0),
    bus.FlashCoilRequest(3, 5, 1),
)


def modbus_answer(data: bytes) -> None:
    """A board's answer, with and without its checksum: taken, or not, and nothing else happens."""
    framer = FramerRTU(DecodePDU(False))
    whole = b"\x01" + data
    for received in (data, whole + FramerRTU.compute_CRC(whole).to_bytes(2)):
        try:
            _, answer = framer.handleFrame(received, 1, 0)
        except Exception:  # the library's own: its connection ends there, and the order is unknown
            continue
        if answer is not None and not answer.isError():
            for request in REQUESTS:
                assert bus.answers(request, answer) in (True, False)


def _modbus_seeds() -> list[bytes]:
    return [
        bytes.fromhex(one)
        for one in (
            "050003ff00",
            "0f00000008",
            "0600020005",
            "1000020002",
            "020100",
            "010101",
            "8502",
            "02020000",
            "05",
        )
    ]


# --------------------------------------------------------------------------- head office


@cache
def _office() -> tuple[HeadOffice, OfficeKeys, Batch]:
    receipt, sealing = (
        ec.derive_private_key(7, ec.SECP256R1()),
        x25519.X25519PrivateKey.from_private_bytes(bytes([9]) * 32),
    )
    office = HeadOffice(Path(":memory:"), receipt, sealing)
    batch = Batch(terminal="bus-1", epoch=b"epoch--1", first=1, entries=(b"one", b"two"), hash=bytes(32))
    return office, public_halves(receipt, sealing), batch


def read_receipt(data: bytes) -> None:
    """Not ours, or exactly this batch's; what head office may sign by mistake included."""
    _, keys, batch = _office()
    with suppress(NotAReceipt):
        receipt = batches.read_receipt(data, keys, batch)
        assert (receipt.first, receipt.last) == (batch.first, batch.last)
    with suppress(NotAReceipt):
        batches.read_statement(data, keys, "bus-1")
    with suppress(NotAReceipt, cbor.NotDeterministic):
        fields = cbor.decode(data, batches.LONGEST_RECEIPT)
        if isinstance(fields, dict):
            batches._receipt(fields)


def read_export(data: bytes) -> None:
    """An export file as somebody may hand it in."""
    with suppress(ValueError):
        assert all(batches.iter_export(data))


def read_headers(data: bytes) -> None:
    """What head office, or a portal, says in its headers."""
    said = data.decode("latin-1")
    seconds = parse_retry_after(said, 1.8e9)
    assert seconds is None or isinstance(seconds, float)
    assert announces_zstd(said) in (True, False)


def _receipt_fields() -> dict[int, Any]:
    _, _, batch = _office()
    return {0: "receipt", 1: "bus-1", 2: batch.epoch, 3: 1, 4: 2, 5: batch.hash, 6: [[1, "conflict"]]}


def _receipt_seeds() -> list[bytes]:
    office, _, _ = _office()
    unsigned = [{1: -7, 4: b"receipt-1"}, {1: [1], 4: b"receipt-1"}, {1: {1: 2}, 4: b"receipt-1"}, {1: -7, 4: [1]}]
    bodies = [b"\xd2" + dumps([dumps(headers), {}, dumps(_receipt_fields()), bytes(64)]) for headers in unsigned]
    good = [office.sign(_receipt_fields()), office.last_held("bus-1"), dumps(_receipt_fields())]
    return [*good, *bodies, b"\xd2\x84"]


# --------------------------------------------------------------------------- parameters


@cache
def _set() -> dict[str, bytes]:
    return ParameterOffice(Path("unused"), _office()[1]).files(NOW_MS)


def load_parameters(data: bytes) -> None:
    """The first byte says which part; its file is the rest, and the manifest is right about it."""
    names = ["manifest", *PARTS]
    name = names[data[0] % len(names)] if data else "manifest"
    files = dict(_set())
    if name == "manifest":
        files["manifest.json"] = data[1:]
    else:
        manifest = json.loads(files["manifest.json"])
        row = manifest["files"][name]
        files[row["file"]], row["sha256"] = data[1:], hashlib.sha256(data[1:]).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()
    with suppress(ParametersError):
        loaded = load(files)
        at = Instant(utc_ms=NOW_MS, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)
        tokens.verify(_code_seeds()[0], loaded, at)  # a set that is taken must be one that can be used
        tokens.verify(_code_seeds()[1], loaded, at)


def _parameter_seeds() -> list[bytes]:
    manifest = json.loads(_set()["manifest.json"])
    seeds = [bytes((0,)) + _set()["manifest.json"]]
    for number, part in enumerate(PARTS, 1):
        seeds.append(bytes((number,)) + _set()[manifest["files"][part]["file"]])
    return seeds


# --------------------------------------------------------------------------- cards


def card_answer(data: bytes) -> None:
    """Any answer of a card has data and a status word, or says that it has none."""
    answer = apdu.read_answer(data)
    assert len(answer.data) <= apdu.LONGEST_ANSWER and 0 <= answer.sw <= 0xFFFF


# --------------------------------------------------------------------------- the table


def planted(data: bytes) -> None:
    """A bug that a campaign must find: a length that is believed."""
    if len(data) > 3 and data[0] == 0xD2 and data[1] > 0x80:
        raise IndexError("planted")


def _an_entry() -> bytes:
    draft = entries.Draft(fact=entries.Commanded(who="a", what="b"), at=instant())
    _, data, _ = entries.link(draft, "bus-1", EntryName(epoch=b"epoch--1", sequence=0), entries.NO_HASH)
    return data


def _tail_seeds() -> list[bytes]:
    data = _an_entry()
    one = tail_file.frame(1, data, entries.entry_hash(data))
    return [one, one + one, one.ljust(tail_file.BLOCK, b"\0") + one, one[:-1]]


TARGETS: dict[str, Target] = {
    "code": Target(verify_code, _code_seeds),
    "ride_code": Target(ride_code_fields, lambda: [Phone().code(NOW_S), Phone().code(NOW_S)[3:]]),
    "card_token": Target(card_token_layers, _code_seeds),
    "card_token_claims": Target(card_token_claims, _claim_seeds),
    "cbor": Target(decode_cbor, lambda: [*_claim_seeds(), b"\xf6", b"\x9f\xff", b"\xd8\x1c\x81\xd8\x1d\x00"]),
    "base45": Target(decode_base45, lambda: [text(b"hello")[4:], b"BB8", b":::", b"a"]),
    "framing": Target(frame, _frame_seeds),
    "modbus_answer": Target(modbus_answer, _modbus_seeds),
    "receipt": Target(read_receipt, _receipt_seeds),
    "signed": Target(signed_targets.signed, signed_targets.signed_seeds),
    "export": Target(read_export, lambda: [b"".join(batches.encode_export([_office()[2]])), b"onecard-export-1\n"]),
    "headers": Target(read_headers, lambda: [b"120", b"Fri, 15 Jan 2027 08:01:00 GMT", b"gzip, zstd;q=0.5"]),
    "entry": Target(decode_entry, lambda: [_an_entry()]),
    "tail_file": Target(read_tail_file, _tail_seeds),
    "parameters": Target(load_parameters, _parameter_seeds),
    "card_answer": Target(card_answer, lambda: [b"\x90\x00", b"\x6f\x10" + bytes(16) + b"\x90\x00", b"\x61\x10"]),
    "picture_zxing": Target(pictures.zxing, pictures.seeds),
    "picture_zbar": Target(pictures.zbar, pictures.seeds),
    "picture_pipeline": Target(pictures.pipeline, pictures.seeds),
    "camera_messages": Target(camera_targets.messages, camera_targets.message_seeds),
    "camera_stream": Target(camera_targets.stream, camera_targets.stream_seeds),
    "card_conversation": Target(card_targets.card_conversation, card_targets.conversation_seeds),
    "card_tlv": Target(card_targets.card_tlv, card_targets.tlv_seeds),
    "pn532": Target(card_targets.pn532_frames, card_targets.frame_seeds),
    "item_tag": Target(library_targets.item_tag, library_targets.tag_seeds),
    "sip2_line": Target(library_targets.sip2_line, library_targets.line_seeds),
    "nmea": Target(site_targets.nmea, site_targets.nmea_seeds),
    "tariff": Target(site_targets.tariff, site_targets.tariff_seeds),
    "configuration": Target(site_targets.configuration, site_targets.configuration_seeds),
    "panel": Target(site_targets.panel, site_targets.panel_seeds),
}
PLANTED = Target(planted, lambda: [b"\x00\x00\x00\x00"])


def find(name: str) -> Target:
    """A target, the planted one included."""
    return PLANTED if name == "planted" else TARGETS[name]
