"""`terminal fare explain|check|schema`: why a ride costs what it costs, step by step.

Laws of this file:
- The very functions a gate asks are asked here; nothing is computed a second time.
- Rides are taken in the order given; what an earlier one leaves behind counts for the later ones.
- A tariff that cannot be taken is told with every fault and its place.
"""

import argparse
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from terminal.cli import exit_codes
from terminal.core import history, ledger, tariff_check
from terminal.core.fares import sentences
from terminal.core.fares.trips import Role
from terminal.core.ledger import Ledger, Moment, Where
from terminal.core.model import (
    Credential,
    HeldProduct,
    History,
    Holder,
    Instant,
    Medium,
    Outcome,
    PassageMode,
    Ref,
    TimeSource,
)
from terminal.core.parameters import Issuers, Links, OfficeKeys, ParameterSet, Policies, Tariff
from terminal.core.services.fare import explained
from terminal.core.services.rules import Case

SOMEBODY = Ref(b"\x01" + b"somebody".ljust(16, b"."))
EPILOG = """\
A ride is WHEN=LINE[:FROM[:TO[:MINUTES]]], as in  2026-03-02T08:00=network:A:D:25  or  2026-03-02T08:00=24 .
Examples:
  terminal fare explain config/tariffs/london-bus.json 2026-03-02T08:00=24 2026-03-02T08:40=38
  terminal fare explain config/tariffs/beijing-bus.json --medium card 2026-03-02T08:00=example:0:15.1:40
"""


class Ride(NamedTuple):
    """One ride of the command line."""

    at: datetime
    line: str
    board: str
    alight: str
    minutes: int


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `fare` part of the command line."""
    parser = commands.add_parser("fare", help="explain a fare, check a tariff")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    explain = actions.add_parser(
        "explain",
        help="why each of these rides costs what it costs",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain.add_argument("tariff", type=Path)
    explain.add_argument("rides", nargs="+", metavar="RIDE", type=ride)
    explain.add_argument("--medium", choices=[one.value for one in Medium], default="code")
    explain.add_argument("--card-type", default="00", help="ride code field 8: 00 ordinary, 02 student, 03 senior")
    explain.add_argument("--age-from", type=int, help="lower end of the age band")
    explain.add_argument("--residency", help="division code, such as 510100")
    explain.add_argument("--held", action="append", default=[], metavar="PRODUCT", help="what the rider has bought")
    explain.add_argument("--ceiling", type=int, metavar="FEN", help="the issuer's limit of one spend")
    explain.add_argument("--vehicle", default="vehicle", help='"": a station\'s gates')
    explain.add_argument("--json", action="store_true", help="one JSON object a tap")
    check = actions.add_parser("check", help="every fault of a tariff file, and where it stands")
    check.add_argument("tariff", type=Path, nargs="+")
    actions.add_parser("schema", help="the JSON schema of a tariff file")


def ride(text: str) -> Ride:
    """A ride of the command line. Raises argparse.ArgumentTypeError."""
    when, _, what = text.partition("=")
    line, board, alight, minutes = [*what.split(":"), "", "", "", ""][:4]
    try:
        at = datetime.fromisoformat(when)
        lasts = int(minutes or 20)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}; write WHEN=LINE[:FROM[:TO[:MINUTES]]]") from error
    if not line or what.count(":") > 3 or lasts < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: write WHEN=LINE[:FROM[:TO[:MINUTES]]]")
    return Ride(at, line, board, alight, lasts)


def run(options: argparse.Namespace) -> int:
    """Run one action."""
    if options.action == "schema":
        print(json.dumps(msgspec.json.schema(Tariff), indent=1))
        return exit_codes.OK
    if options.action == "check":
        return max(_check(path) for path in options.tariff)
    tariff = _read(options.tariff)
    if tariff is None:
        return exit_codes.SETTINGS
    _explain(tariff, options)
    return exit_codes.OK


def _check(path: Path) -> int:
    tariff = _read(path)
    if tariff is None:
        return exit_codes.SETTINGS
    print(f"{path}: {tariff.name or 'a tariff'} with {len(tariff.products)} products")
    return exit_codes.OK


def _read(path: Path) -> Tariff | None:
    """The tariff of a file; None after telling what is wrong with it."""
    try:
        tariff: Tariff = msgspec.json.decode(path.read_bytes(), type=Tariff)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        print(f"terminal: {path}: {error}; `terminal fare schema` says what may stand there", file=sys.stderr)
        return None
    found = list(tariff_check.faults(tariff))
    for where, what in found:
        print(f"terminal: {path}: {where}: {what}", file=sys.stderr)
    return None if found else tariff


# --------------------------------------------------------------------------- explaining


def _explain(tariff: Tariff, options: argparse.Namespace) -> None:
    rider, zone, total = _Rider(tariff, options), ZoneInfo(tariff.time_zone), 0
    for one in options.rides:
        at = one.at if one.at.tzinfo else one.at.replace(tzinfo=zone)
        taps = [(at, one.board, Role.ENTRY)]
        if one.alight:
            taps.append((at + timedelta(minutes=one.minutes), one.alight, Role.EXIT))
        for when, stop, role in taps:
            where = Where(vehicle=options.vehicle, line=one.line, stop=stop, run=int(at.timestamp() * 1000))
            total += rider.tap(when, where, role if one.alight else Role.ANY)
    if not options.json:
        print(f"together {sentences.amount(total)} {tariff.currency}")


class _Rider:
    """Somebody who rides, with what is remembered of them."""

    def __init__(self, tariff: Tariff, options: argparse.Namespace) -> None:
        self._parameters = _parameters(tariff)
        self._options = options
        self._ledgers: dict[Ref, Ledger] = {}
        self._taps = 0

    def tap(self, when: datetime, where: Where, role: Role) -> int:
        """One tap, told; what it cost."""
        at_ms = int(when.timestamp() * 1000)
        self._taps += 1
        claim = self._credential(at_ms)
        case = Case(
            service="fare",
            lane="explained",
            passage=PassageMode.ASSUMED,
            lane_busy=False,
            credential=claim,
            account=None,
            history=History(),
            parameters=self._parameters,
            at=Instant(utc_ms=at_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0),
            ledgers={name: self._ledgers[name] for name in history.parties(claim, None) if name in self._ledgers},
            where=where,
            role=role,
        )
        outcome, steps = explained(case)
        for effect in outcome.effects:
            before = self._ledgers.get(effect.party, ledger.NOTHING)
            self._ledgers[effect.party] = ledger.apply(before, effect, Moment(at_ms=at_ms, where=where))
        told = [{"rule": step.rule, "fen": step.fen, "why": sentences.sentence(step)} for step in steps]
        self._tell(when, where, outcome, told)
        return 0 if outcome.charge is None else outcome.charge.amount_fen

    def _tell(self, when: datetime, where: Where, outcome: Outcome, steps: list[dict[str, Any]]) -> None:
        charge, reason = outcome.charge, outcome.decision.reason.value
        fen = None if charge is None else charge.amount_fen
        product = None if charge is None else charge.product
        if self._options.json:
            told = {"at": when.isoformat(), "line": where.line, "stop": where.stop, "reason": reason}
            print(json.dumps(told | {"product": product, "fen": fen, "steps": steps}, ensure_ascii=False))
            return
        cost = "" if fen is None else f", {sentences.amount(fen)} as {product}"
        print(f"{when:%Y-%m-%d %H:%M}  {where.line} {where.stop}: {reason}{cost}")
        for step in steps:
            print(f"    {sentences.amount(step['fen']):>8}  {step['why']}")

    def _credential(self, at_ms: int) -> Credential:
        options, code = self._options, Ref(b"\x01" + self._taps.to_bytes(16))
        holder = Holder(card_type=options.card_type, age_from=options.age_from, residency=options.residency)
        held = tuple(HeldProduct(product=name, from_ms=0, until_ms=1 << 62) for name in options.held)
        return Credential(
            format="explained",
            medium=Medium(options.medium),
            issuer="explained",
            medium_refs=(SOMEBODY,),
            code_keys=(code,),
            twin_keys=(code,),
            generated_ms=at_ms,
            fresh_until_ms=at_ms,
            holder=holder,
            products=held,
            ceiling_fen=options.ceiling,
        )


def _parameters(tariff: Tariff) -> ParameterSet:
    """A set that holds nothing but this tariff."""
    none: Any = MappingProxyType({})
    return ParameterSet(
        version=1,
        issued_ms=0,
        versions={},
        issuers=Issuers(),
        links=Links(link_keys=()),
        tariff=tariff,
        policies=Policies(),
        office=OfficeKeys(keys=()),
        link_keys=(),
        link_of=none,
        alias_of=none,
        passes_of=none,
        blocks_of=none,
        status_lists=none,
    )
