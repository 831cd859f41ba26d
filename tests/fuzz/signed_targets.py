"""Everything signed, with one node replaced by something of another type, and signed again by the right key.

Laws of this file:
- Bytes changed by chance break a signature and are refused there: what stands behind it is never reached. Here the
  signer itself makes the mistake, or is hostile.
- Whatever stands in a node, the answer is one of the closed list; what is taken has exactly the types it says.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
import msgspec

from simulators.issuer import demo_issuer
from simulators.parameters import ParameterOffice
from simulators.phone import Phone
from simulators.token_issuer import ALG, Signer, Wallet, demo_token_issuers, dumps, sign1
from terminal.core import batch as batches
from terminal.core import history, tokens
from terminal.core.batch import Batch, NotAReceipt
from terminal.core.model import Credential, Reason
from terminal.core.parameters import Issuers, OfficeKey, OfficeKeys, ParameterSet, TokenAlgorithm
from terminal.core.parameters_load import PARTS, ParametersError, load
from terminal.core.tokens.explanation import State
from tests.core.cases import NOW_MS, instant, parameters

NOW_S = NOW_MS // 1000
Tree = Any  # maps, arrays and leaves
Place = tuple[Any, ...]  # keys and positions from the root


class Structure(NamedTuple):
    """One thing that is signed: as it is when it is right, and what is done with it."""

    tree: Callable[[], Tree]
    given: Callable[[Tree], None]  # signs, hands over, and asserts


# --------------------------------------------------------------------------- nodes


def nodes(tree: Tree, here: Place = ()) -> Iterator[Place]:
    """Every node's place, the root's first."""
    yield here
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inside in pairs:
        yield from nodes(inside, (*here, key))


def replaced(tree: Tree, at: Place, value: Any) -> Tree:
    """The tree with something else in this place."""
    if not at:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[at[0]] = replaced(tree[at[0]], at[1:], value)
    return copy


def renamed(tree: Tree, at: Place, key: Any) -> Tree:
    """The tree with this member of a map under another key, last of all."""
    above = tree
    for one in at[:-1]:
        above = above[one]
    kept = {one: inside for one, inside in above.items() if one != at[-1]}
    return replaced(tree, at[:-1], kept | {key: above[at[-1]]})


def judge(name: str, number: int, value: Any, *, key: bool = False) -> None:
    """Replace the node of this number, or the key of a map's member, and hand the whole over."""
    structure = STRUCTURES[name]
    tree = structure.tree()
    if key:
        members = [place for place in nodes(tree) if place and isinstance(_at(tree, place[:-1]), dict)]
        if members:
            structure.given(renamed(tree, members[number % len(members)], value))
        return
    places = list(nodes(tree))
    structure.given(replaced(tree, places[number % len(places)], value))


def _at(tree: Tree, at: Place) -> Tree:
    for one in at:
        tree = tree[one]
    return tree


# --------------------------------------------------------------------------- card tokens


@cache
def known() -> ParameterSet:
    """A site that takes all the demo's issuers, with the status list of the wallet's token."""
    rows = tuple(issuer.row() for issuer in demo_token_issuers())
    issuers = Issuers(ride_code=(demo_issuer().row(),), card_token=rows)
    return parameters(issuers=issuers, status_lists={"main": (1, bytes(20))})


@cache
def wallet() -> Wallet:
    """A wallet with every claim there is."""
    return Wallet(
        audience="city-510100",
        account_link=b"\x01" + bytes(16),
        age_from=65,
        residency="510100",
        student_until=NOW_S + 1000,
        products=(("park-annual", NOW_S - 10, NOW_S + 1000),),
        status=("main", 5),
    )


def _presented(code: bytes) -> None:
    """Granted as what it says, or refused for a reason there is; explained in any case."""
    claim = tokens.verify(code, known(), instant())
    if isinstance(claim, Credential):
        _as_it_says(claim)
    else:
        assert claim.reason in Reason
    told = tokens.explain(code, known(), instant(), State(service="fare"))
    assert told.verdict == "verified" or told.verdict in {one.value for one in Reason}


def _as_it_says(value: msgspec.Struct) -> None:
    """Every field is of the type its struct names: true is no number, an array no text."""
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    assert msgspec.convert(plain, type(value), builtin_types=(bytes,)) == value


def _issued(headers: Tree, claims: Tree) -> bytes:
    return sign1(wallet().issuer.signer, headers, dumps(claims))


def _shown(headers: Tree, payload: Tree) -> bytes:
    return b"\xd2" + sign1(wallet().key, headers, dumps(payload))


def _array(layer: bytes) -> Tree:
    """One COSE_Sign1 as an array: its nodes are not signed, and the first to be read."""
    return cbor2.loads(layer)


ISSUER = {1: ALG[TokenAlgorithm.ES256], 4: wallet().issuer.kid}
HOLDER = {1: ALG[TokenAlgorithm.ES256]}


# --------------------------------------------------------------------------- head office


OFFICE = Signer(TokenAlgorithm.ES256, 0, "head office")
KEYS = OfficeKeys(keys=(OfficeKey(key_id="r", use="receipt", suite="ES256", public_key=OFFICE.public.hex()),))
NAMED = {1: -7, 4: b"r"}
BATCH = Batch(terminal="bus-1", epoch=b"epoch--1", first=1, entries=(b"one", b"two"), hash=bytes(32))
RECEIPT = {0: "receipt", 1: "bus-1", 2: BATCH.epoch, 3: 1, 4: 2, 5: BATCH.hash, 6: [[1, "conflict"]]}
STATEMENT = {0: "last", 1: "bus-1", 2: BATCH.epoch, 3: 1, 4: BATCH.hash, 5: NOW_MS}


def _answered(body: bytes) -> None:
    """As the answer to a batch, and to the question."""
    with suppress(NotAReceipt):
        receipt = batches.read_receipt(body, KEYS, BATCH)
        _as_it_says(receipt)
        assert (receipt.first, receipt.last) == (1, 2)
    with suppress(NotAReceipt):
        held = batches.read_statement(body, KEYS, "bus-1")
        _as_it_says(held)
        assert held.name is None or 0 < held.name.sequence < 1 << 63


def _said(headers: Tree, fields: Tree) -> bytes:
    return b"\xd2" + sign1(OFFICE, headers, dumps(fields))


# --------------------------------------------------------------------------- parameters


@cache
def _files() -> dict[str, bytes]:
    return ParameterOffice(Path("unused"), KEYS).files(NOW_MS)


@cache
def _codes() -> tuple[bytes, bytes]:
    return Phone().code(NOW_S), wallet().code(NOW_S)


def _part(name: str) -> Tree:
    file = "manifest.json" if name == "manifest" else json.loads(_files()["manifest.json"])["files"][name]["file"]
    return json.loads(_files()[file])


def _loaded(name: str, tree: Tree) -> None:
    """Refused whole, or a set that can be used: what is taken, a tap stumbles over no more."""
    files = dict(_files())
    data = json.dumps(tree, default=repr, skipkeys=True).encode()
    if name == "manifest":
        files["manifest.json"] = data
    else:
        manifest = json.loads(files["manifest.json"])
        row = manifest["files"][name]
        files[row["file"]], row["sha256"] = data, hashlib.sha256(data).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()
    with suppress(ParametersError):
        found = load(files)
        assert 0 <= history.horizon_ms(found, instant()) < 1 << 63
        for code in _codes():
            told = tokens.explain(code, found, instant(), State(service="fare"))
            assert told.verdict


# --------------------------------------------------------------------------- the table


STRUCTURES: dict[str, Structure] = {
    "claims": Structure(wallet().claims, lambda tree: _presented(_shown(HOLDER, [_issued(ISSUER, tree), NOW_S]))),
    "issuer headers": Structure(
        lambda: ISSUER, lambda tree: _presented(_shown(HOLDER, [_issued(tree, wallet().claims()), NOW_S]))
    ),
    "issuer layer": Structure(
        lambda: _array(wallet().token()), lambda tree: _presented(_shown(HOLDER, [dumps(tree), NOW_S]))
    ),
    "holder payload": Structure(lambda: [wallet().token(), NOW_S], lambda tree: _presented(_shown(HOLDER, tree))),
    "holder headers": Structure(lambda: HOLDER, lambda tree: _presented(_shown(tree, [wallet().token(), NOW_S]))),
    "holder layer": Structure(lambda: _array(wallet().code(NOW_S)[1:]), lambda tree: _presented(b"\xd2" + dumps(tree))),
    "receipt": Structure(lambda: RECEIPT, lambda tree: _answered(_said(NAMED, tree))),
    "statement": Structure(lambda: STATEMENT, lambda tree: _answered(_said(NAMED, tree))),
    "receipt headers": Structure(lambda: NAMED, lambda tree: _answered(_said(tree, RECEIPT))),
    "receipt layer": Structure(
        lambda: _array(_said(NAMED, RECEIPT)[1:]), lambda tree: _answered(b"\xd2" + dumps(tree))
    ),
    **{name: Structure(partial(_part, name), partial(_loaded, name)) for name in ("manifest", *PARTS)},
}
LONGEST_VALUE = 100  # bytes


def signed(data: bytes) -> None:
    """Byte 0 says which structure, bytes 1 and 2 which node, an odd byte 3 that its key is meant; then a CBOR value."""
    name = list(STRUCTURES)[data[0] % len(STRUCTURES)] if data else "claims"
    with suppress(cbor2.CBORDecodeError, cbor2.CBOREncodeError):
        value = cbor2.loads(data[4 : 4 + LONGEST_VALUE], max_depth=6)
        key = bool(data[3] & 1)
        dumps({value: 0} if key else value)
        judge(name, int.from_bytes(data[1:3]), value, key=key)


def signed_seeds() -> list[bytes]:
    """What ended a process once, and a value of each kind."""
    places = list(nodes(wallet().claims()))
    profile, confirmation = places.index((-65538,)), places.index((8,))
    claims = [bytes((0, 0, number, 0)) for number in (profile, confirmation)]
    values = [[7] * 7, [0, wallet().key.cose_key()], True, 1.5, None, b"x", "x", {}, 1 << 70, cbor2.CBORTag(7, 1)]
    unsigned = bytes((list(STRUCTURES).index("receipt headers"), 0, 1, 0))
    return [head + cbor2.dumps(value) for head in (*claims, unsigned) for value in values]
