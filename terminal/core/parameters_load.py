"""From files to a ParameterSet: whole, checked, ready for lookups; or not at all.

Laws of this file:
- manifest.json names every part with its file, version and SHA-256; a part that is missing, changed, oversized or of
  another schema refuses the whole set.
- Cross-checks are made here, once: a tap only looks up.
- The error says which part, where in it, and what is wrong: a person has to mend it.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from terminal.core import sealing, tariff_check
from terminal.core.model import MOST_PERSONS, HeldProduct, Ref
from terminal.core.parameters import (
    Block,
    Booking,
    Bookings,
    Cards,
    Deny,
    Issuers,
    Links,
    Manifest,
    OfficeKey,
    OfficeKeys,
    ParameterSet,
    Policies,
    Status,
    StatusList,
    Tariff,
    TokenAlgorithm,
)
from terminal.core.tokens import signatures

PARTS: dict[str, type[Any]] = {
    "issuers": Issuers,
    "links": Links,
    "tariff": Tariff,
    "policies": Policies,
    "deny": Deny,
    "status": Status,
    "office": OfficeKeys,
    "cards": Cards,
    "bookings": Bookings,
}
RECEIPT_SUITES = ("ES256", "EdDSA")
OPTIONAL = {"cards", "bookings"}  # a site without card readers, or without slots, has none
LONGEST_FILE = 256 << 20
LONGEST_STATUS_LIST = 64 << 20  # inflated


class ParametersError(ValueError):
    """A set that cannot be taken; `part`, `where` in it, and `what` is wrong."""

    def __init__(self, part: str, where: str, what: str) -> None:
        super().__init__(f"{part}: {where}: {what}")
        self.part, self.where, self.what = part, where, what


def load(raw: Mapping[str, bytes]) -> ParameterSet:
    """The set these files hold. Raises ParametersError."""
    manifest: Manifest = _decode("manifest", raw.get("manifest.json"), Manifest)
    missing = PARTS.keys() - OPTIONAL - manifest.files.keys()
    if missing or manifest.version < 1:
        raise ParametersError("manifest", "files", f"version must be 1 or more, and {sorted(missing)} not missing")
    named = [part for part in PARTS if part in manifest.files]
    parts = {part: _part(part, manifest, raw) for part in named}
    links: Links = parts["links"]
    aliases = _refs("links", "aliases", links.aliases)
    return ParameterSet(
        version=manifest.version,
        issued_ms=manifest.issued_ms,
        versions={part: manifest.files[part].version for part in named},
        issuers=_check_issuers(parts["issuers"]),
        links=links,
        tariff=_check_tariff(parts["tariff"]),
        policies=parts["policies"],
        office=_check_office(parts["office"]),
        cards=_check_cards(parts.get("cards", Cards()), parts["tariff"]),
        bookings=parts.get("bookings", Bookings()),
        bookings_of=MappingProxyType(_bookings(parts.get("bookings", Bookings()), links)),
        link_keys=_link_keys(links),
        link_of=MappingProxyType(_refs("links", "links", links.links)),
        alias_of=MappingProxyType({old: _end_of(old, aliases) for old in aliases}),
        passes_of=MappingProxyType(_passes(links)),
        blocks_of=MappingProxyType(_blocks(parts["deny"])),
        status_lists=MappingProxyType({name: _inflate(name, one) for name, one in parts["status"].lists.items()}),
    )


def _part(part: str, manifest: Manifest, raw: Mapping[str, bytes]) -> Any:
    row = manifest.files[part]
    data = raw.get(row.file)
    if data is not None and hashlib.sha256(data).hexdigest() != row.sha256:
        raise ParametersError(part, row.file, "its SHA-256 is not the manifest's: a mixed or damaged set")
    return _decode(part, data, PARTS[part])


def _decode(part: str, data: bytes | None, kind: type[Any]) -> Any:
    if data is None:
        raise ParametersError(part, "file", "missing")
    if len(data) > LONGEST_FILE:
        raise ParametersError(part, "file", f"larger than {LONGEST_FILE} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParametersError(part, "schema", str(error)) from error


# --------------------------------------------------------------------------- issuers, tariff


def _check_issuers(issuers: Issuers) -> Issuers:
    for row in issuers.ride_code:
        _hex("issuers", f"issuer {row.issuer}", row.issuer, 4)
        for index, key in row.roots.items():
            _hex("issuers", f"issuer {row.issuer} root", index, 1)
            _hex("issuers", f"issuer {row.issuer} root {index}", key, 33)
        for platform in row.platforms:
            _hex("issuers", f"issuer {row.issuer} platform", platform, 4)
        if min(row.clamp_s, row.skew_s) < 0:
            raise ParametersError("issuers", f"issuer {row.issuer}", "clamp_s and skew_s must not be negative")
    _once("issuers", "card_token key_id", (row.key_id for row in issuers.card_token))
    pairs = ((version, row.issuer) for row in issuers.ride_code for version in row.versions)
    _once("issuers", "ride_code (version, issuer)", pairs)
    for token in issuers.card_token:
        _hex("issuers", f"key {token.key_id}", token.public_key, None)
        _hex("issuers", f"key {token.key_id}", token.key_id, None)
    return issuers


def _check_tariff(tariff: Tariff) -> Tariff:
    for where, what in tariff_check.faults(tariff):
        raise ParametersError("tariff", where, what)
    return tariff


def _check_office(office: OfficeKeys) -> OfficeKeys:
    """A key that cannot be used is found here, not at the first tap; a suite we do not know yet is left alone."""
    for key in office.keys:
        public = _hex("office", f"key {key.key_id}", key.public_key, None)
        try:
            _check_office_key(key, public)
        except ValueError as error:
            raise ParametersError("office", f"key {key.key_id}", str(error) or "no key of its suite") from error
    return office


def _check_office_key(key: OfficeKey, public: bytes) -> None:
    if key.use == "sealing" and key.suite == sealing.SUITE:
        sealing.check_key(public)
    elif key.use == "receipt" and key.suite in RECEIPT_SUITES:
        signatures.load(TokenAlgorithm(key.suite), public)


def _fits_1a(code: str) -> bool:
    return not code or code.startswith("00")


def _check_cards(cards: Cards, tariff: Tariff) -> Cards:
    purse = cards.purse
    if purse is None:
        return cards
    for name, value, size in (
        ("city", purse.city, 2),
        ("operator", purse.operator, 2),
        ("acquirer", purse.acquirer, 8),
    ):
        _hex("cards", f"purse {name}", value, size)
    for issuer in purse.home_issuers:
        _hex("cards", "purse home_issuers", issuer, 8)
    _once("cards", "purse products", (product.id for product in purse.products))
    for product in purse.products:
        for where, what in tariff_check.purse_product(tariff, product):
            raise ParametersError("cards", f"purse {where}", what)
    if purse.trips.fare and purse.trips.fare not in tariff.fares:
        raise ParametersError("cards", "purse trips", f"the tariff has no fare {purse.trips.fare!r}")
    if purse.trips.max_fare_fen < 0:
        raise ParametersError("cards", "purse trips", "a fare below nothing")
    if purse.state_file not in ("1e", "1a") or purse.trips.network not in ("vehicle", "acquirer"):
        raise ParametersError("cards", "purse", 'state_file is "1e" or "1a", network "vehicle" or "acquirer"')
    codes = [stop.code for line in tariff.lines.values() for stop in line.stops]
    if purse.state_file == "1a" and not all(map(_fits_1a, codes)):
        raise ParametersError("cards", "purse state_file", "EF1A keeps one byte of a line: stops' codes begin with 00")
    return cards


# --------------------------------------------------------------------------- links, deny, status


def _link_keys(links: Links) -> tuple[tuple[int, bytes], ...]:
    _once("links", "link key version", (row.version for row in links.link_keys))
    if not links.link_keys or not all(0 <= row.version <= 255 for row in links.link_keys):
        raise ParametersError("links", "link_keys", "at least one, each of version 0 to 255")
    keys = [(row.version, _hex("links", f"link key {row.version}", row.key, 32)) for row in links.link_keys]
    return tuple(sorted(keys, reverse=True))


def _end_of(old: Ref, aliases: Mapping[Ref, Ref]) -> Ref:
    seen = {old}
    here = aliases[old]
    while here in aliases:
        if here in seen:
            raise ParametersError("links", "aliases", f"a circle through {here.hex()}")
        seen.add(here)
        here = aliases[here]
    return here


def _refs(part: str, where: str, table: Mapping[str, str]) -> dict[Ref, Ref]:
    return {_ref(part, where, key): _ref(part, where, value) for key, value in table.items()}


def _passes(links: Links) -> dict[Ref, tuple[HeldProduct, ...]]:
    """By the end of each alias chain, so that a pass follows a replaced card."""
    for text, held in links.passes.items():
        for one in held:
            if one.persons is not None and not 1 <= one.persons <= MOST_PERSONS:
                raise ParametersError("links", f"passes.{text}", f"{one.product!r} for {one.persons} people")
    return _by_end("links", links, links.passes)


def _bookings(bookings: Bookings, links: Links) -> dict[Ref, tuple[Booking, ...]]:
    """By the end of each alias chain, as passes."""
    for text, booked in bookings.bookings.items():
        for one in booked:
            if one.slot not in bookings.slots or one.persons < 1:
                raise ParametersError("bookings", text, f"no slot {one.slot!r}, or nobody comes")
    return _by_end("bookings", links, bookings.bookings)


def _by_end(part: str, links: Links, given: Mapping[str, tuple[Any, ...]]) -> dict[Ref, tuple[Any, ...]]:
    aliases = _refs("links", "aliases", links.aliases)
    table: dict[Ref, tuple[Any, ...]] = {}
    for text, held in given.items():
        name = _ref(part, "passes" if part == "links" else "bookings", text)
        end = _end_of(name, aliases) if name in aliases else name
        table[end] = table.get(end, ()) + held
    return table


def _blocks(deny: Deny) -> dict[Ref, tuple[Block, ...]]:
    table: dict[Ref, tuple[Block, ...]] = {}
    for block in deny.blocks:
        name = _ref("deny", "ref", block.ref)
        table[name] = (*table.get(name, ()), block)
    return table


def _inflate(name: str, one: StatusList) -> tuple[int, bytes]:
    if one.bits not in (1, 2, 4, 8):
        raise ParametersError("status", name, "bits must be 1, 2, 4 or 8")
    inflater = zlib.decompressobj()
    try:
        packed = _base64url(one.lst)
        array = inflater.decompress(packed, LONGEST_STATUS_LIST)
    except (ValueError, zlib.error) as error:
        raise ParametersError("status", name, f"lst: {error}") from error
    if not inflater.eof:
        raise ParametersError("status", name, "lst is cut short, or inflates beyond the limit")
    return one.bits, array


def _base64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


# --------------------------------------------------------------------------- small checks


def _ref(part: str, where: str, text: str) -> Ref:
    return Ref(_hex(part, where, text, 17))


def _hex(part: str, where: str, text: str, size: int | None) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if not data or (size is not None and len(data) != size) or data.hex() != text:
        length = "some" if size is None else str(2 * size)
        raise ParametersError(part, where, f"needs {length} lower-case hexadecimal digits")
    return data


def _once(part: str, where: str, names: Iterable[object]) -> None:
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise ParametersError(part, where, f"{name} stands there twice")
        seen.add(name)
