"""From files to a parameter set: whole, checked, or not at all."""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.parameters import ParameterOffice
from terminal.core import parameters_load
from terminal.core.model import HeldProduct, Ref
from terminal.core.parameters import BlockScope, Booking, Bookings, Cards, OfficeKeys, ParameterSet, Slot, StatusList
from terminal.core.parameters_load import ParametersError, load
from tests.core.cases import NOW_MS, ref

HELD = HeldProduct(product="park-annual", from_ms=0, until_ms=NOW_MS)


def office(**changes: Any) -> ParameterOffice:
    """A head office with a whole, good set."""
    return ParameterOffice(Path("unused"), OfficeKeys(keys=()), **changes)


def changed(part: str, change: Callable[[Any], Any], files: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """A good set with one part changed, and the manifest right about it."""
    files = files or office().files(NOW_MS)
    manifest = json.loads(files["manifest.json"])
    name = manifest["files"][part]["file"]
    value = json.loads(files[name])
    files[name] = json.dumps(change(value) or value).encode()
    manifest["files"][part]["sha256"] = hashlib.sha256(files[name]).hexdigest()
    files["manifest.json"] = json.dumps(manifest).encode()
    return files


def test_a_whole_set_is_loaded_with_its_versions() -> None:
    """Every part's version is known: entries carry them."""
    found = load(office().files(NOW_MS))
    assert found.version == 1 and found.issued_ms == NOW_MS
    assert found.versions == dict.fromkeys(parameters_load.PARTS, 1)
    assert found.link_keys[0][0] == 1


def test_bookings_follow_a_replaced_card() -> None:
    """By the end of its aliases; a slot nobody knows, or a booking for nobody, refuses the set."""
    slots = {"noon": Slot(start_ms=1, end_ms=2)}
    aliases = {ref("old"): ref("new")}

    def booked(*rows: Booking) -> ParameterSet:
        bookings = Bookings(slots=slots, bookings={ref("old").hex(): rows, ref("new").hex(): rows[:1]})
        return load(office(aliases=aliases, bookings=bookings).files(NOW_MS))

    noon = Booking(slot="noon", persons=2)
    assert booked(noon).bookings_of == {ref("new"): (noon, noon)}
    for wrong in (Booking(slot="night"), Booking(slot="noon", persons=0)):
        with pytest.raises(ParametersError, match="bookings"):
            booked(noon, wrong)


def test_lookups_are_made_once() -> None:
    """Links, alias chains to their ends, passes by the end of their chain, blocks by name."""
    made = office(
        links={ref("phone"): ref("old")},
        aliases={ref("old"): ref("newer"), ref("newer"): ref("newest")},
        passes={ref("old"): (HELD,), ref("newest"): (HELD,), ref("other"): (HELD,)},
        link_keys={1: "11" * 32, 2: "22" * 32},
    )
    made.block(ref("phone"), BlockScope.PAYMENT)
    made.block(ref("phone"), lost=True)
    found = load(made.files(NOW_MS))
    assert found.alias_of == {ref("old"): ref("newest"), ref("newer"): ref("newest")}
    assert found.link_of == {ref("phone"): ref("old")}
    assert found.passes_of == {ref("newest"): (HELD, HELD), ref("other"): (HELD,)}
    assert len(found.blocks_of[ref("phone")]) == 2
    assert [version for version, _ in found.link_keys] == [2, 1]


def test_a_status_list_is_inflated() -> None:
    """As the draft writes it: base64url of zlib."""
    packed = base64.urlsafe_b64encode(zlib.compress(bytes(100))).decode().rstrip("=")
    found = load(office(status={"main": StatusList(bits=2, lst=packed)}).files(NOW_MS))
    assert found.status_lists["main"] == (2, bytes(100))


def _manifest(**changes: Any) -> dict[str, bytes]:
    files = office().files(NOW_MS)
    return files | {"manifest.json": json.dumps(json.loads(files["manifest.json"]) | changes).encode()}


def _without(name: str) -> dict[str, bytes]:
    return {key: value for key, value in office().files(NOW_MS).items() if not key.startswith(name)}


def _status(bits: int, lst: str) -> dict[str, bytes]:
    return changed("status", lambda value: {"lists": {"main": {"bits": bits, "lst": lst}}})


SUITE = "HPKE-X25519-SHA256-AES256GCM"
RECEIPT = {"key_id": "k", "use": "receipt", "suite": "ES256"}


def _long_line() -> dict[str, bytes]:
    """Cards keep trips where a line has one byte, and the tariff's has two."""
    files = changed("cards", _edit("purse", "state_file", to="1a"))
    assert load(files).cards.purse is not None
    return changed("tariff", _edit("lines", "7", "stops", 0, "code", to="12340007"), files)


def _office_key(use: str, suite: str, public: bytes) -> dict[str, bytes]:
    row = {"key_id": "k", "use": use, "suite": suite, "public_key": public.hex()}
    return changed("office", _edit("keys", to=[row]))


def _edit(*path: Any, to: Any) -> Callable[[Any], None]:
    def edit(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return edit


BOMB = base64.urlsafe_b64encode(zlib.compress(bytes(1 << 20))).decode()
BAD: dict[str, Callable[[], dict[str, bytes]]] = {
    "no manifest": dict,
    "manifest: schema": lambda: {"manifest.json": b"[]"},
    "manifest: nested beyond reason": lambda: {"manifest.json": b"[" * 100_000},
    "manifest: a name that is no UTF-8": lambda: {"manifest.json": b'{"\xcd\x20":1}'},
    "manifest: a part not named": lambda: _manifest(files={}),
    "manifest: version 0": lambda: _manifest(version=0),
    "a file missing": lambda: _without("deny"),
    "a file of another set": lambda: office().files(NOW_MS) | {"tariff-1.json": b"{}"},
    "issuers: root is no key": lambda: changed("issuers", _edit("ride_code", 0, "roots", to={"17": "02"})),
    "issuers: root index": lambda: changed("issuers", _edit("ride_code", 0, "roots", to={"017": "02" * 33})),
    "issuers: issuer": lambda: changed("issuers", _edit("ride_code", 0, "issuer", to="3100000x")),
    "issuers: platform": lambda: changed("issuers", _edit("ride_code", 0, "platforms", to=["1"])),
    "issuers: negative skew": lambda: changed("issuers", _edit("ride_code", 0, "skew_s", to=-1)),
    "issuers: the same row twice": lambda: changed("issuers", lambda v: v | {"ride_code": v["ride_code"] * 2}),
    "issuers: token key": lambda: changed("issuers", _edit("card_token", 0, "public_key", to="XY")),
    "issuers: token key id upper case": lambda: changed("issuers", _edit("card_token", 0, "key_id", to="AB")),
    "issuers: token key twice": lambda: changed("issuers", lambda v: v | {"card_token": v["card_token"][:1] * 2}),
    "tariff: product twice": lambda: changed("tariff", lambda v: v | {"products": v["products"][:1] * 2}),
    "tariff: negative fare": lambda: changed("tariff", _edit("products", 0, "fare_fen", to=-1)),
    "tariff: nobody": lambda: changed("tariff", _edit("products", 0, "persons", to=0)),
    "tariff: zone": lambda: changed("tariff", _edit("time_zone", to="Asia/Nowhere")),
    "tariff: zone like a path": lambda: changed("tariff", _edit("time_zone", to="../../etc/passwd")),
    "tariff: day starts": lambda: changed("tariff", _edit("service_day_starts", to="four")),
    "cards: a city of one byte": lambda: changed("cards", _edit("purse", "city", to="51")),
    "cards: a home issuer": lambda: changed("cards", _edit("purse", "home_issuers", to=["0104"])),
    "cards: a fare the tariff has not": lambda: changed("cards", _edit("purse", "trips", "fare", to="none")),
    "cards: a negative fare": lambda: changed("cards", _edit("purse", "trips", "max_fare_fen", to=-1)),
    "cards: a file nobody knows": lambda: changed("cards", _edit("purse", "state_file", to="1b")),
    "cards: a purse's product with a cap": lambda: changed(
        "cards", _edit("purse", "products", 0, "accumulates", to=["day"])
    ),
    "cards: a purse's product twice": lambda: changed("cards", _edit("purse", "products", 1, "id", to="purse")),
    "cards: a line that EF1A cannot keep": _long_line,
    "links: no key": lambda: changed("links", _edit("link_keys", to=[])),
    "links: short key": lambda: changed("links", _edit("link_keys", 0, "key", to="00")),
    "links: key version": lambda: changed("links", _edit("link_keys", 0, "version", to=256)),
    "links: key version twice": lambda: changed("links", lambda v: v | {"link_keys": v["link_keys"] * 2}),
    "links: a circle": lambda: changed(
        "links", _edit("aliases", to={ref("a").hex(): ref("b").hex(), ref("b").hex(): ref("a").hex()})
    ),
    "links: no ref": lambda: changed("links", _edit("links", to={"00": ref("b").hex()})),
    "deny: no ref": lambda: changed("deny", _edit("blocks", to=[{"ref": "0", "scopes": []}])),
    "deny: unknown scope": lambda: changed(
        "deny", _edit("blocks", to=[{"ref": ref("a").hex(), "scopes": ["everything"]}])
    ),
    "office: a sealing key of low order": lambda: _office_key("sealing", SUITE, bytes(32)),
    "office: a sealing key cut short": lambda: _office_key("sealing", SUITE, bytes(31)),
    "office: a receipt key off the curve": lambda: _office_key("receipt", "ES256", b"\x02" + bytes(31) + b"\x04"),
    "office: a receipt key of low order": lambda: _office_key("receipt", "EdDSA", bytes(32)),
    "office: no hexadecimal": lambda: changed("office", _edit("keys", to=[{**RECEIPT, "public_key": "xy"}])),
    "status: bits": lambda: _status(3, BOMB),
    "status: base64": lambda: _status(1, "?"),
    "status: zlib": lambda: _status(1, "AAAA"),
    "status: cut short": lambda: _status(1, BOMB[:40]),
}


@pytest.mark.parametrize("what", BAD)
def test_a_set_with_one_fault_is_refused_whole(what: str) -> None:
    """Whatever is wrong names its part."""
    with pytest.raises(ParametersError) as raised:
        load(BAD[what]())
    assert raised.value.part and raised.value.what


def test_a_key_of_a_suite_nobody_knows_yet_is_left_alone() -> None:
    """A set that also serves newer terminals is taken."""
    found = load(_office_key("sealing", "SM2-SM4", b"\x01"))
    assert found.office.keys[0].suite == "SM2-SM4"


def test_a_ticket_is_for_somebody() -> None:
    """Where a pass says for how many, it is for one at least, and no slip of the pen."""

    def loaded(persons: int | None) -> int | None:
        held = HeldProduct(product="family", from_ms=0, until_ms=NOW_MS, persons=persons)
        (found,) = load(office(passes={ref("old"): (held,)}).files(NOW_MS)).passes_of[ref("old")]
        return found.persons

    assert [loaded(persons) for persons in (None, 1, 10_000)] == [None, 1, 10_000]
    for persons in (0, 10_001):
        with pytest.raises(ParametersError, match=r"links.*family"):
            loaded(persons)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or a list that would not fit is not unpacked."""
    monkeypatch.setattr(parameters_load, "LONGEST_STATUS_LIST", 1000)
    with pytest.raises(ParametersError, match="inflates beyond"):
        load(_status(1, BOMB))
    monkeypatch.setattr(parameters_load, "LONGEST_FILE", 100)
    with pytest.raises(ParametersError, match="larger than"):
        load(office().files(NOW_MS))


@given(st.binary(max_size=100))
def test_no_bytes_raise_anything_else(noise: bytes) -> None:
    """A damaged file is a ParametersError."""
    for name in ("manifest.json", "tariff-1.json"):
        with pytest.raises(ParametersError):
            load(office().files(NOW_MS) | {name: noise})


def test_a_flipped_bit_refuses_the_set() -> None:
    """In any file but the manifest, at any place: its hash says so, whatever the bytes still mean."""
    good, random = office().files(NOW_MS), Random(1)
    for name in sorted(good.keys() - {"manifest.json"}):
        for _ in range(40):
            bit = random.randrange(len(good[name]) * 8)
            flipped = bytearray(good[name])
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ParametersError, match="SHA-256"):
                load(good | {name: bytes(flipped)})


def test_the_office_writes_what_terminals_load(tmp_path: Path) -> None:
    """Published sets grow in version, and a reader takes them from the directory."""
    made = office()
    made.directory = tmp_path
    assert (made.publish(NOW_MS), made.publish(NOW_MS)) == (1, 2)
    names = json.loads((tmp_path / "manifest.json").read_text())["files"].values()
    raw = {"manifest.json": (tmp_path / "manifest.json").read_bytes()}
    raw |= {row["file"]: (tmp_path / row["file"]).read_bytes() for row in names}
    assert load(raw).version == 2
    assert isinstance(made.ref("ssc", b"1"), bytes) and len(Ref(made.ref("ssc", b"1"))) == 17


def test_a_site_without_card_readers_has_no_cards_file() -> None:
    """A set of before, or of such a site, is whole without it; a file without purse rules takes no purses."""
    files = office().files(NOW_MS)
    manifest = json.loads(files["manifest.json"])
    del manifest["files"]["cards"]
    found = load(files | {"manifest.json": json.dumps(manifest).encode()})
    assert (found.cards.purse, found.cards.social_security) == (None, None)
    assert "cards" not in found.versions
    made = office(cards=Cards())
    assert load(made.files(NOW_MS)).cards == Cards()
