"""Head office's clearing: what everybody owes, from the records of all terminals and the tariff's own file.

Laws of this file:
- Nothing of the terminal's pricing is used: plain dictionaries in, another way of counting. Where the terminal keeps a
  sum, this adds up every ride of the window again.
- Rides count in the order they were ridden, whatever the order they arrived in. What arrives twice counts once.
- A ride is what became of it in the end: who walked after the annul pays once. A purse's products are not the tariff's.
- Who taps again on the same run within the pass-back window pays for somebody else: a fare of its own.
- Its word is final: `due` is what a ride costs, `charged` what the terminal told; the difference is given back, or
  asked for with the next bill.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import cbor2

from simulators.tariff_file import Prices

Name = tuple[str, bytes, int]  # terminal, epoch, sequence
ANY = 1 << 60
FUNDS = "funds_fen"  # what the purse held, in a charge
WALKED = ("passed", "late_passage")  # somebody went through on a grant, in time or after its annul


@dataclass
class Settled:
    """One ride as head office sees it."""

    name: Name
    at_ms: int
    party: bytes  # the account, or the medium where nothing is linked
    medium: bytes
    on: tuple[str, int]  # which vehicle (where none is named, the terminal), on which run
    product: str
    charged: int
    due: int
    into: dict[str, tuple[bytes, int]] = field(default_factory=dict)  # accumulation → (party, fen) it counts for
    times: dict[str, int] = field(default_factory=dict)  # accumulation → how many rides; with an unfinished one, two
    debt: tuple[int, int] = (0, 0)  # what it added to its party's debt: fen, rides on trust
    stands: bool = True
    seen: bool = True  # somebody is known to have walked, or it is assumed


@dataclass
class Trip:
    """Boarded, not alighted."""

    name: Name
    at_ms: int
    where: dict[str, Any]
    product: str


class Clearing:
    """One pass over everything that was ridden."""

    def __init__(self, tariff: dict[str, Any]) -> None:
        self.rides: list[Settled] = []
        self._prices = Prices(tariff)
        self._trips: dict[bytes, Trip] = {}
        self._chains: dict[tuple[bytes, str], tuple[Name, int, int, str, int]] = {}  # ride, first, last, line, count
        self._debts: dict[bytes, tuple[int, int]] = {}
        self._let_out_ms: dict[str, int] = {}  # terminal → the last emergency it told of

    def run(self, records: Iterable[tuple[str, bytes]]) -> "Clearing":
        """Settle (terminal, entry bytes) in the order of riding."""
        events: dict[Name, dict[str, Any]] = {}
        for terminal, data in records:
            entry = cbor2.loads(data)
            if entry["fact"]["type"] == "reissued":
                entry = cbor2.loads(entry["fact"]["data"])
            events[terminal, entry["name"]["epoch"], entry["name"]["sequence"]] = entry
        walked = {_of(name, entry["fact"]) for name, entry in events.items() if entry["fact"]["type"] in WALKED}
        for name in sorted(events, key=lambda one: (events[one]["at"]["utc_ms"], *one)):
            fact = events[name]["fact"]
            if fact["type"] != "annulled" or _of(name, fact) not in walked:
                self._event(name, events[name]["at"]["utc_ms"], fact)
        return self

    @property
    def due(self) -> int:
        """Everything that is owed."""
        return sum(ride.due for ride in self.rides if ride.stands)

    @property
    def charged(self) -> int:
        """Everything that terminals told."""
        return sum(ride.charged for ride in self.rides if ride.stands)

    # ----------------------------------------------------------------------- events

    def _event(self, name: Name, at_ms: int, fact: dict[str, Any]) -> None:
        kind = fact["type"]
        if kind == "decision" and fact.get("charge", {}).get("product") in self._prices.products:
            self._grant(name, at_ms, fact)
        elif kind == "emergency_ordered" or (kind == "gate" and fact["signal"] in ("emergency_on", "emergency_off")):
            self._let_out_ms[name[0]] = at_ms  # whoever was on board then owes no end of the line
        elif kind in ("voided", "annulled", "passage_unknown"):
            of = _of(name, fact)
            for ride in self.rides:
                if ride.name == of and kind == "passage_unknown":
                    ride.seen = False
                elif ride.name == of and ride.stands:
                    self._void(ride)

    def _void(self, ride: Settled) -> None:
        ride.stands = False
        self._owe(ride, -ride.debt[0], -ride.debt[1])
        self._trips = {party: trip for party, trip in self._trips.items() if trip.name != ride.name}
        self._chains = {key: chain for key, chain in self._chains.items() if chain[0] != ride.name}

    def _grant(self, name: Name, at_ms: int, fact: dict[str, Any]) -> None:
        charge = fact["charge"]
        party = fact.get("account_ref") or fact["medium_ref"]
        where, medium = fact.get("where", {}), fact["medium_ref"]
        on = (where.get("vehicle") or name[0], where.get("run", 0))
        ride = Settled(name, at_ms, party, medium, on, charge["product"], charge["amount_fen"], 0)
        who = {
            "medium": medium,
            "account": party,
            "channel": b"channel " + party + fact["issuer"].encode(),
        }
        tap, limit, funds = fact.get("tap", "ride"), charge.get("ceiling_fen", ANY), charge.get(FUNDS, ANY)
        if tap == "alight":
            self._alight(ride, who, where, limit, funds)
        elif tap == "board":
            before = self._unfinished(ride, who, limit)
            self._charge(ride, before, ANY, on_trust=fact["reason"] == "grace", settles=False)
            self._trips[party] = Trip(name, at_ms, where, ride.product)
        else:
            self._ride(ride, who, where, limit, min(limit, funds), on_trust=fact["reason"] == "grace")
        self.rides.append(ride)

    def _ride(
        self, ride: Settled, who: dict[str, bytes], where: dict[str, Any], limit: int, room: int, *, on_trust: bool
    ) -> None:
        """`limit` is the issuer's of one spend; `room` what this tap can pay in all, by that and by the purse."""
        product = self._prices.products[ride.product]
        full = self._prices.full(product, where, None)
        if full is None:
            return
        along = self._rides_along(ride, product)
        beside = self._price(ride, who, product, full, where, ride.at_ms, ANY, room, dry=True, along=along)
        before = self._unfinished(ride, who, max(0, limit - beside))
        most = limit - before if before else ANY
        own = self._price(ride, who, product, full, where, ride.at_ms, most, room - before, along=along)
        self._charge(ride, before + own, room, on_trust=on_trust)

    def _rides_along(self, ride: Settled, product: dict[str, Any]) -> bool:
        """Whether its party is on board already: whoever taps now is a companion."""
        rule = product.get("pass_back", {})
        by_account = rule.get("scope", "account") == "account"
        return any(
            one.on == ride.on
            and (one.medium == ride.medium or (by_account and one.party == ride.party))
            and ride.at_ms - one.at_ms < rule.get("window_s", 0) * 1000
            for one in self.rides
            if one.stands and one.seen
        )

    def _alight(self, ride: Settled, who: dict[str, bytes], where: dict[str, Any], limit: int, funds: int) -> None:
        mine = [one for one in (who["account"], who["medium"]) if one in self._trips]
        trip = self._trips[mine[0]] if mine else None
        if trip is None or not self._pairs(trip, where, ride.at_ms):
            product = self._prices.products[ride.product]
            table = self._prices.table(product)
            if table["tap_out"].get("missing_entry", "later") == "farthest":
                full = self._prices.farthest(table, where)
                if full is not None:
                    self._exit(ride, self._full_price(ride, who, product, full, limit), limit, funds)
            return
        del self._trips[mine[0]]
        product = self._prices.products[trip.product]
        full = self._prices.full(product, trip.where, where)
        if full is None:
            return
        rule = self._prices.table(product)["tap_out"]
        if ride.at_ms - trip.at_ms > rule["longest_s"] * 1000:
            full += rule.get("overtime_fen") or 0
        own = self._price(ride, who, product, full, trip.where, trip.at_ms, limit, min(limit, funds))
        self._exit(ride, own, limit, funds)

    def _exit(self, ride: Settled, fen: int, limit: int, funds: int) -> None:
        """Nobody is kept on board: what a purse cannot pay at an exit is owed, as a ride on trust."""
        short = max(0, fen - funds)
        self._charge(ride, fen, min(limit, funds))
        if short:
            ride.due -= short
            ride.debt = ride.debt[0] + short, ride.debt[1] + 1
            self._owe(ride, short, 1)

    def _charge(self, ride: Settled, fen: int, limit: int, *, on_trust: bool = False, settles: bool = True) -> None:
        """A price, and whatever debt there is room for; on trust it becomes a debt itself."""
        owed, count = self._debts.get(ride.party, (0, 0))
        if on_trust:
            ride.debt = (fen, 1)
        else:
            paid_back = min(owed, max(0, limit - fen)) if settles else 0
            ride.debt = (-paid_back, -count if settles and paid_back == owed else 0)
            ride.due += fen + paid_back
        self._owe(ride, *ride.debt)

    def _owe(self, ride: Settled, fen: int, count: int) -> None:
        owed, trusted = self._debts.get(ride.party, (0, 0))
        self._debts[ride.party] = max(0, owed + fen), max(0, trusted + count)

    def _pairs(self, trip: Trip, where: dict[str, Any], at_ms: int) -> bool:
        """Whether an exit ends this trip: on a vehicle in the same run, at a station on the same network; in time."""
        if trip.product not in self._prices.products:
            return False
        rule = self._prices.table(self._prices.products[trip.product]).get("tap_out") or {}
        late = at_ms - trip.at_ms > rule.get("longest_s", 0) * 1000 and rule.get("overtime_fen") is None
        moving = where.get("vehicle") or trip.where.get("vehicle")
        fields = ("vehicle", "line", "direction", "run") if moving else ("line",)
        return not late and all(trip.where.get(field) == where.get(field) for field in fields)

    def _unfinished(self, ride: Settled, who: dict[str, bytes], limit: int) -> int:
        """A trip nobody tapped out of: to the farther end, at full price; only the cap helps."""
        trip = next((self._trips.pop(one) for one in (who["account"], who["medium"]) if one in self._trips), None)
        if trip is None or trip.product not in self._prices.products:
            return 0
        product = self._prices.products[trip.product]
        table = self._prices.table(product)
        full = self._prices.farthest(table, trip.where)
        if trip.at_ms <= self._let_out_ms.get(trip.name[0], -1):
            return 0
        if full is None or table.get("tap_out", {}).get("unfinished", "farthest") == "later":
            return 0
        return self._full_price(ride, who, product, full, limit)

    # ----------------------------------------------------------------------- prices

    def _price(
        self,
        ride: Settled,
        who: dict[str, bytes],
        product: dict[str, Any],
        full: int,
        board: dict[str, Any],
        began_ms: int,
        limit: int,
        room: int,
        *,
        dry: bool = False,
        along: bool = False,
    ) -> int:
        """One ride with its discounts. `room`: what it may cost with a debt; `dry`: only asked, not remembered."""
        fen = self._prices.of(full, self._prices.share(product, board))
        if along:
            return min(fen, limit)
        for name in product.get("transfers", ()):
            fen = self._transfer(name, ride, who, fen, board, began_ms, room, dry=dry)
        for name in product.get("accumulates", ()):
            paid, rides = self._paid(name, who, ride), self._ridden(name, who, ride)
            reached = [
                one["percent"]
                for one in self._prices.rule(name).get("discounts", ())
                if paid >= one.get("from_fen", 0) and rides >= one.get("from_count", 0)
            ]
            fen = self._prices.of(fen, reached[-1]) if reached else fen
        fen = self._capped(ride, who, product, fen, limit)
        if not dry:
            self._count(ride, who, product, fen)
        return fen

    def _full_price(self, ride: Settled, who: dict[str, bytes], product: dict[str, Any], full: int, limit: int) -> int:
        fen = self._capped(ride, who, product, full, limit)
        self._count(ride, who, product, fen)
        return fen

    def _capped(self, ride: Settled, who: dict[str, bytes], product: dict[str, Any], fen: int, limit: int) -> int:
        for name in product.get("accumulates", ()):
            cap = self._prices.rule(name).get("cap_fen")
            if cap is not None:
                fen = min(fen, max(0, cap - self._paid(name, who, ride)))
        return min(fen, limit)

    def _count(self, ride: Settled, who: dict[str, bytes], product: dict[str, Any], fen: int) -> None:
        for name in product.get("accumulates", ()):
            party = who[self._prices.rule(name).get("scope", "medium")]
            ride.into[name] = (party, ride.into.get(name, (party, 0))[1] + fen)
            ride.times[name] = ride.times.get(name, 0) + 1

    def _transfer(
        self,
        name: str,
        ride: Settled,
        who: dict[str, bytes],
        fen: int,
        board: dict[str, Any],
        began_ms: int,
        room: int,
        *,
        dry: bool,
    ) -> int:
        rule = self._prices.transfers[name]
        changed = self._prices.of(max(0, fen - rule.get("off_fen", 0)), rule.get("percent", 0))
        owed = self._debts.get(ride.party, (0, 0))[0] if rule.get("debt_free") else 0
        key, line = (who[rule.get("scope", "medium")], name), board.get("line", "")
        chain = self._chains.get(key)
        first_ms, count = began_ms, 0
        if chain is not None:
            _, chain_first, chain_last, chain_line, chain_count = chain
            since = chain_first if rule.get("since", "first") == "first" else chain_last
            in_time = began_ms - since <= 1000 * (rule["within_s"] + rule.get("grace_s", 0))
            few = rule.get("most") is None or chain_count < rule["most"]
            settles = not owed or owed + changed <= room
            if in_time and few and settles and not (rule.get("other_line") and chain_line == line):
                fen, first_ms, count = changed, chain_first, chain_count + 1
        if not dry:
            self._chains[key] = (ride.name, first_ms, ride.at_ms, line, count)
        return fen

    # ----------------------------------------------------------------------- windows

    def _paid(self, name: str, who: dict[str, bytes], now: Settled) -> int:
        """What every ride of this window cost, this one's earlier part included."""
        return sum(ride.into[name][1] for ride in self._rides_of(name, who, now))

    def _ridden(self, name: str, who: dict[str, bytes], now: Settled) -> int:
        """How many they were."""
        return sum(ride.times[name] for ride in self._rides_of(name, who, now))

    def _rides_of(self, name: str, who: dict[str, bytes], now: Settled) -> list[Settled]:
        """Every ride of this window again."""
        rule = self._prices.rule(name)
        party, window = who[rule.get("scope", "medium")], self._prices.window(rule["period"], now.at_ms)
        rides = [ride for ride in (*self.rides, now) if ride.stands and name in ride.into]
        return [
            ride
            for ride in rides
            if ride.into[name][0] == party and self._prices.window(rule["period"], ride.at_ms) == window
        ]


def _of(name: Name, fact: dict[str, Any]) -> Name:
    """The grant an entry tells of; its own terminal's."""
    return name[0], fact["of"]["epoch"], fact["of"]["sequence"]


def clear(records: Iterable[tuple[str, bytes]], tariff: dict[str, Any]) -> Clearing:
    """What everybody owes, from (terminal, entry bytes) in any order and a tariff file's JSON."""
    return Clearing(tariff).run(records)
