"""`terminal fare explain|check|schema`: why a ride costs what it costs, step by step.

Laws of this file:
- The very functions a gate asks are asked here; nothing is computed a second time.
- Rides are taken in the order given; what an earlier one leaves behind counts for the later ones.
- Each ride is a run of its own; the same ride written again is a companion's: its vehicle remembers who is on board.
- A line, stop or key that the tariff does not know is told with those it knows: a slip of the pen is no refusal.
- A tariff that cannot be taken is told with every fault and its place.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
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
    Charge,
    Credential,
    EntryName,
    HeldProduct,
    Holder,
    Instant,
    Medium,
    Outcome,
    PassageMode,
    Reason,
    Ref,
    Tap,
    TimeSource,
    Use,
    UseState,
)
from terminal.core.money import decimal
from terminal.core.parameters import Issuers, Links, OfficeKeys, ParameterSet, Policies, Tariff
from terminal.core.phrases import display
from terminal.core.services import pricing, rules
from terminal.core.services.fare import explained
from terminal.core.services.rules import Case

FORM = "WHEN=LINE[:FROM[:TO[:MINUTES]]][@MEDIUM[,MEDIUM]]"
EPILOG = """\
A ride is WHEN=LINE[:FROM[:TO[:MINUTES]]][@MEDIUM[,MEDIUM]], as in  2026-03-02T08:00=network:A:D:25  or
2026-03-02T08:00=24 . MEDIUM is a name of your own; "card" and "code" are of that kind; two: in with one, out with the
other. The same ride twice: a companion.
Examples:
  terminal fare explain config/tariffs/london-bus.json 2026-03-02T08:00=24 2026-03-02T08:40=38
  terminal fare explain config/tariffs/beijing-bus.json --medium card 2026-03-02T08:00=example:0:15.1:40
  terminal fare explain config/tariffs/beijing-bus.json --linked 2026-03-02T08:00=example:0:10:30@card,code
A refused tap is an answer too (exit code 0); a line, stop or key the tariff does not know is exit code 2.
"""
ENTRY, EXIT = 0, -1  # of a ride's media
PASSED_OVER = {
    pricing.Bar.NOT_HERE: "not on this class of vehicle",
    pricing.Bar.NOT_THEIRS: "not for this rider",
    Reason.CONCESSION_REVIEW_DUE: "the yearly review is due",
    Reason.CONCESSION_NOT_NOW: "not at this hour or on this day",
    Reason.CONCESSION_USED_UP: "its counts are used up",
}


class Ride(NamedTuple):
    """One ride of the command line."""

    at: datetime
    line: str
    board: str
    alight: str
    minutes: int
    media: tuple[str, ...] = ("",)


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
    explain.add_argument("--student", metavar="DATE", type=date.fromisoformat, help="a student until that day's end")
    explain.add_argument("--held", action="append", default=[], metavar="PRODUCT", help="what the rider has bought")
    explain.add_argument("--ceiling", type=int, metavar="FEN", help="the issuer's limit of one spend")
    explain.add_argument(
        "--funds", type=int, metavar="FEN", help="what the purse holds at first; rides are taken from it"
    )
    explain.add_argument("--key", default="", help="the fare key the driver pressed")
    explain.add_argument("--linked", action="store_true", help="every medium is of one account")
    explain.add_argument("--vehicle", default="vehicle", help='"": a station\'s gates')
    explain.add_argument("--json", action="store_true", help="one JSON object a tap")
    check = actions.add_parser("check", help="every fault of a tariff file, and where it stands")
    check.add_argument("tariff", type=Path, nargs="+")
    actions.add_parser("schema", help="the JSON schema of a tariff file")


def ride(text: str) -> Ride:
    """A ride of the command line. Raises argparse.ArgumentTypeError."""
    when, _, what = text.partition("=")
    what, at_sign, names = what.partition("@")
    media = tuple(names.split(","))
    line, board, alight, minutes = [*what.split(":"), "", "", "", ""][:4]
    try:
        at = datetime.fromisoformat(when)
        lasts = int(minutes or 20)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}; write {FORM}") from error
    named = not at_sign or (all(media) and len(media) <= 2)
    if not line or what.count(":") > 3 or lasts < 0 or not named:
        raise argparse.ArgumentTypeError(f"{text!r}: write {FORM}")
    return Ride(at, line, board, alight, lasts, media)


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
    unknown = list(_unknown(tariff, options))
    for what in unknown:
        print(f"terminal: {options.tariff}: {what}", file=sys.stderr)
    if unknown:
        return exit_codes.USAGE
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


def _unknown(tariff: Tariff, options: argparse.Namespace) -> Iterator[str]:
    """What the command line names and the tariff does not; a tariff without lines is good on every line."""
    keys = sorted({key for table in tariff.fares.values() for key in table.keys})
    if options.key and options.key not in keys:
        yield f"no fare key {options.key!r}; known: {', '.join(keys) or 'none'}"
    for one in options.rides:
        line = tariff.lines.get(one.line)
        if line is None:
            if tariff.lines:
                yield f"no line {one.line!r}; known: {', '.join(tariff.lines)}"
            continue
        stops = [stop.id for stop in line.stops]
        for stop in (one.board, one.alight):
            if stop and stop not in stops:
                yield f"line {one.line} has no stop {stop!r}; known: {', '.join(stops) or 'none'}"


def _explain(tariff: Tariff, options: argparse.Namespace) -> None:
    rider, zone, total = _Rider(tariff, options), ZoneInfo(tariff.time_zone), 0
    for one in options.rides:
        at = one.at if one.at.tzinfo else one.at.replace(tzinfo=zone)
        taps = [(at, one.board, Role.ENTRY, one.media[ENTRY])]
        if one.alight:
            taps.append((at + timedelta(minutes=one.minutes), one.alight, Role.EXIT, one.media[EXIT]))
        for when, stop, role, medium in taps:
            run_ms = int(at.timestamp() * 1000)
            where = Where(vehicle=options.vehicle, line=one.line, stop=stop, run=run_ms, key=options.key)
            total += rider.tap(when, where, role if one.alight else Role.ANY, medium)
    if not options.json:
        print(f"together {decimal(total, tariff.currency)} {tariff.currency}")


class _Rider:
    """Somebody who rides, with what is remembered of them."""

    def __init__(self, tariff: Tariff, options: argparse.Namespace) -> None:
        self._parameters, self._currency = _parameters(tariff), tariff.currency
        self._options = options
        self._ledgers: dict[Ref, Ledger] = {}
        self._on_board: dict[tuple[str, int], list[Use]] = {}  # what the vehicle of a run remembers
        self._funds: dict[Ref, int] = {}
        self._taps = 0

    def tap(self, when: datetime, where: Where, role: Role, medium: str) -> int:
        """One tap, told; what it cost."""
        at_ms = int(when.timestamp() * 1000)
        self._taps += 1
        claim, account = self._credential(at_ms, medium), _named("account") if self._options.linked else None
        purse, uses = claim.medium_refs[0], self._on_board.setdefault((where.line, where.run), [])
        funds = self._funds.get(purse, self._options.funds)
        case = Case(
            service="fare",
            lane="explained",
            passage=PassageMode.ASSUMED,
            lane_busy=False,
            credential=claim,
            account=account,
            history=history.gather(claim, account, uses),
            parameters=self._parameters,
            at=Instant(utc_ms=at_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0),
            ledgers={name: self._ledgers[name] for name in history.parties(claim, account) if name in self._ledgers},
            where=where,
            role=role,
            funds_fen=funds,
        )
        outcome, steps = explained(case)
        for effect in outcome.effects:
            before = self._ledgers.get(effect.party, ledger.NOTHING)
            self._ledgers[effect.party] = ledger.apply(before, effect, Moment(at_ms=at_ms, where=where))
        if outcome.charge is not None:
            uses.append(_use(case, outcome.charge, self._taps))
            if funds is not None:
                self._funds[purse] = funds - outcome.charge.amount_fen
        priced = [
            {"rule": step.rule, "fen": step.fen, "why": sentences.sentence(step, self._currency)} for step in steps
        ]
        chosen_now = outcome.tap is not Tap.ALIGHT  # getting off is priced by what one boarded on
        passed = _passed_over(case) if chosen_now else ()
        self._tell(when, where, outcome, [*passed, *priced, *self._refusal(outcome)])
        return 0 if outcome.charge is None else outcome.charge.amount_fen

    def _refusal(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Why nobody was let on, in the rider's own words; which keys there are where none was chosen."""
        if outcome.decision.granted:
            return []
        reason, tables = outcome.decision.reason, self._parameters.tariff.fares.values()
        keys = sorted({key for table in tables for key in table.keys}) if reason is Reason.FARE_NOT_CHOSEN else []
        why = display(reason, {}).en + (f"; --key: {', '.join(keys)}" if keys else "")
        return [{"rule": "refused", "fen": None, "why": why}]

    def _tell(self, when: datetime, where: Where, outcome: Outcome, steps: list[dict[str, Any]]) -> None:
        charge, reason = outcome.charge, outcome.decision.reason.value
        fen = None if charge is None else charge.amount_fen
        product = None if charge is None else charge.product
        if self._options.json:
            told = {"at": when.isoformat(), "line": where.line, "stop": where.stop, "reason": reason}
            print(json.dumps(told | {"product": product, "fen": fen, "steps": steps}, ensure_ascii=False))
            return
        cost = "" if fen is None else f", {decimal(fen, self._currency)} as {product}"
        print(f"{when:%Y-%m-%d %H:%M}  {where.line} {where.stop}: {reason}{cost}")
        for step in steps:
            fen_then = "" if step["fen"] is None else decimal(step["fen"], self._currency)
            print(f"    {fen_then:>8}  {step['why']}")

    def _credential(self, at_ms: int, medium: str) -> Credential:
        options, code = self._options, Ref(b"\x01" + self._taps.to_bytes(16))
        holder = Holder(
            card_type=options.card_type,
            age_from=options.age_from,
            residency=options.residency,
            student_until_ms=_end_of(options.student, self._parameters.tariff),
        )
        held = tuple(HeldProduct(product=name, from_ms=0, until_ms=1 << 62) for name in options.held)
        return Credential(
            format="explained",
            medium=Medium(medium if medium in set(Medium) else options.medium),
            issuer="explained",
            medium_refs=(_named(f"medium {medium}"),),
            code_keys=(code,),
            twin_keys=(code,),
            generated_ms=at_ms,
            fresh_until_ms=at_ms,
            holder=holder,
            products=held,
            ceiling_fen=options.ceiling,
        )


def _passed_over(case: Case) -> Iterator[dict[str, Any]]:
    """The products before the one taken, each with what bars the rider from it; all of them where none fits."""
    found = pricing.considered(
        case.service,
        case.credential,
        rules.held(case),
        case.parameters.tariff,
        case.at,
        rules.payer_of(case),
        case.where,
    )
    for product, bar in found:
        if bar is None:
            return
        yield {"rule": "passed_over", "fen": None, "why": f"{product.id} is passed over: {PASSED_OVER[bar]}"}


def _use(case: Case, charge: Charge, number: int) -> Use:
    """A tap as its vehicle remembers it."""
    held = case.credential
    return Use(
        name=EntryName(epoch=b"explained", sequence=number),
        lane=case.lane,
        at_ms=case.at.utc_ms,
        code_key=held.code_keys[0],
        twin_key=held.twin_keys[0],
        medium=held.medium_refs[0],
        account=case.account,
        product=charge.product,
        fare_type=charge.fare_type,
        amount_fen=charge.amount_fen,
        passage=case.passage,
        state=UseState.COMMITTED,
    )


def _named(text: str) -> Ref:
    """A name on this command line, as a terminal would hold it: hashed."""
    return Ref(b"\x01" + hashlib.sha256(text.encode()).digest()[:16])


def _end_of(day: date | None, tariff: Tariff) -> int | None:
    """The last millisecond of a civil day."""
    if day is None:
        return None
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(tariff.time_zone))
    return int(midnight.timestamp() * 1000) - 1


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
