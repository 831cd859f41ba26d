"""Head office's clearing: what everybody owes, from the records of all terminals and the tariff's own file.

Laws of this file:
- Nothing of the terminal's pricing is used: plain dictionaries in, another way of counting. Where the terminal keeps a
  sum, this adds up every ride of the window again.
- Rides count in the order they were ridden, whatever the order they arrived in. What arrives twice counts once.
- Its word is final: `due` is what a ride costs, `charged` what the terminal told; the difference is given back, or
  asked for with the next bill.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import cbor2

Name = tuple[str, bytes, int]  # terminal, epoch, sequence
ANY = 1 << 60


@dataclass
class Settled:
    """One ride as head office sees it."""

    name: Name
    at_ms: int
    party: bytes  # the account, or the medium where nothing is linked
    product: str
    charged: int
    due: int
    into: dict[str, tuple[bytes, int]] = field(default_factory=dict)  # accumulation → (party, fen) it counts for
    stands: bool = True


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
        self._tariff = tariff
        self._products = {product["id"]: product for product in tariff["products"]}
        self._trips: dict[bytes, Trip] = {}
        self._chains: dict[tuple[bytes, str], tuple[Name, int, int, str, int]] = {}  # ride, first, last, line, count
        self._debts: dict[bytes, tuple[int, int]] = {}

    def run(self, records: Iterable[tuple[str, bytes]]) -> "Clearing":
        """Settle (terminal, entry bytes) in the order of riding."""
        events: dict[Name, dict[str, Any]] = {}
        for terminal, data in records:
            entry = cbor2.loads(data)
            if entry["fact"]["type"] == "reissued":
                entry = cbor2.loads(entry["fact"]["data"])
            events[terminal, entry["name"]["epoch"], entry["name"]["sequence"]] = entry
        for name in sorted(events, key=lambda one: (events[one]["at"]["utc_ms"], *one)):
            self._event(name, events[name]["at"]["utc_ms"], events[name]["fact"])
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
        if kind == "decision" and "charge" in fact:
            self._grant(name, at_ms, fact)
        elif kind in ("voided", "annulled"):
            of = (name[0], fact["of"]["epoch"], fact["of"]["sequence"])
            for ride in self.rides:
                if ride.name == of and ride.stands:
                    self._void(ride)

    def _void(self, ride: Settled) -> None:
        ride.stands = False
        self._trips = {party: trip for party, trip in self._trips.items() if trip.name != ride.name}
        self._chains = {key: chain for key, chain in self._chains.items() if chain[0] != ride.name}

    def _grant(self, name: Name, at_ms: int, fact: dict[str, Any]) -> None:
        charge = fact["charge"]
        party = fact.get("account_ref") or fact["medium_ref"]
        ride = Settled(name, at_ms, party, charge["product"], charge["amount_fen"], 0)
        who = {
            "medium": fact["medium_ref"],
            "account": party,
            "channel": b"channel " + party + fact["issuer"].encode(),
        }
        where, tap, limit = fact.get("where", {}), fact.get("tap", "ride"), charge.get("ceiling_fen", ANY)
        if tap == "alight":
            self._alight(ride, who, where, limit)
        elif tap == "board":
            before = self._unfinished(ride, who, limit)
            if fact["reason"] == "grace":
                owed, count = self._debts.get(party, (0, 0))
                self._debts[party] = owed + before, count + 1
            else:
                ride.due += before
            self._trips[party] = Trip(name, at_ms, where, ride.product)
        else:
            self._ride(ride, who, where, limit, on_trust=fact["reason"] == "grace")
        self.rides.append(ride)

    def _ride(self, ride: Settled, who: dict[str, bytes], where: dict[str, Any], limit: int, *, on_trust: bool) -> None:
        product = self._products[ride.product]
        full = self._full(product, where, None)
        if full is None:
            return
        beside = self._price(ride, who, product, full, where, ride.at_ms, ANY, dry=True)
        before = self._unfinished(ride, who, max(0, limit - beside))
        own = self._price(ride, who, product, full, where, ride.at_ms, limit - before if before else ANY)
        owed, count = self._debts.get(ride.party, (0, 0))
        if on_trust:
            self._debts[ride.party] = owed + before + own, count + 1
            return
        paid_back = min(owed, max(0, limit - before - own))
        self._debts[ride.party] = (owed - paid_back, 0 if paid_back == owed else count)
        ride.due += before + own + paid_back

    def _alight(self, ride: Settled, who: dict[str, bytes], where: dict[str, Any], limit: int) -> None:
        mine = [one for one in (who["account"], who["medium"]) if one in self._trips]
        trip = self._trips[mine[0]] if mine else None
        if trip is None or not self._pairs(trip, where, ride.at_ms):
            product = self._products[ride.product]
            table = self._table(product)
            if table["tap_out"].get("missing_entry", "later") == "farthest":
                full = self._farthest(table, where)
                if full is not None:
                    ride.due += self._full_price(ride, who, product, full, limit)
            return
        del self._trips[mine[0]]
        product = self._products[trip.product]
        full = self._full(product, trip.where, where)
        if full is None:
            return
        rule = self._table(product)["tap_out"]
        if ride.at_ms - trip.at_ms > rule["longest_s"] * 1000:
            full += rule.get("overtime_fen") or 0
        own = self._price(ride, who, product, full, trip.where, trip.at_ms, limit)
        owed, count = self._debts.get(ride.party, (0, 0))
        paid_back = min(owed, max(0, limit - own))
        self._debts[ride.party] = (owed - paid_back, 0 if paid_back == owed else count)
        ride.due += own + paid_back

    def _pairs(self, trip: Trip, where: dict[str, Any], at_ms: int) -> bool:
        """Whether an exit ends this trip: on a vehicle in the same run, at a station on the same network; in time."""
        if trip.product not in self._products:
            return False
        rule = self._table(self._products[trip.product]).get("tap_out") or {}
        late = at_ms - trip.at_ms > rule.get("longest_s", 0) * 1000 and rule.get("overtime_fen") is None
        moving = where.get("vehicle") or trip.where.get("vehicle")
        fields = ("vehicle", "line", "direction", "run") if moving else ("line",)
        return not late and all(trip.where.get(field) == where.get(field) for field in fields)

    def _unfinished(self, ride: Settled, who: dict[str, bytes], limit: int) -> int:
        """A trip nobody tapped out of: to the farther end, at full price; only the cap helps."""
        trip = next((self._trips.pop(one) for one in (who["account"], who["medium"]) if one in self._trips), None)
        if trip is None or trip.product not in self._products:
            return 0
        product = self._products[trip.product]
        table = self._table(product)
        full = self._farthest(table, trip.where)
        if full is None or table.get("tap_out", {}).get("unfinished", "farthest") == "later":
            return 0
        return self._full_price(ride, who, product, full, limit)

    # ----------------------------------------------------------------------- prices

    def _table(self, product: dict[str, Any]) -> dict[str, Any]:
        if product.get("fare"):
            found: dict[str, Any] = self._tariff["fares"][product["fare"]]
            return found
        return {"fare_fen": product["fare_fen"]}

    def _full(self, product: dict[str, Any], board: dict[str, Any], alight: dict[str, Any] | None) -> int | None:
        table = self._table(product)
        match table.get("measure", "none"):
            case "none":
                return int(table.get("fare_fen", 0))
            case "key":
                found: int | None = table["keys"].get(board.get("key", ""))
                return found
        if alight is None or alight.get("line") != board.get("line"):
            return None
        length = self._length(table, board.get("line", ""), board.get("stop", ""), alight.get("stop", ""))
        return None if length is None else _from_bands(table, length)

    def _farthest(self, table: dict[str, Any], where: dict[str, Any]) -> int | None:
        stops = self._tariff.get("lines", {}).get(where.get("line", ""), {}).get("stops", [])
        if not stops:
            return None
        ends = (stops[0]["id"], stops[-1]["id"])
        lengths = [self._length(table, where["line"], where.get("stop", ""), end) for end in ends]
        known = [length for length in lengths if length is not None]
        return _from_bands(table, max(known)) if known else None

    def _length(self, table: dict[str, Any], line: str, one: str, other: str) -> int | None:
        found = self._tariff.get("lines", {}).get(line)
        if found is None:
            return None
        for pair in (f"{one}>{other}", f"{other}>{one}"):
            if table["measure"] == "metres" and pair in found.get("apart_m", {}):
                return int(found["apart_m"][pair])
        places = {stop["id"]: stop for stop in found["stops"]}
        if one not in places or other not in places:
            return None
        what = "stage" if table["measure"] == "stages" else "at_m"
        return abs(int(places[one].get(what, 0)) - int(places[other].get(what, 0)))

    def _price(
        self,
        ride: Settled,
        who: dict[str, bytes],
        product: dict[str, Any],
        full: int,
        board: dict[str, Any],
        began_ms: int,
        limit: int,
        *,
        dry: bool = False,
    ) -> int:
        """One ride with its discounts; `dry`: only asked, nothing is remembered."""
        fen = self._of(full, self._share(product, board))
        for name in product.get("transfers", ()):
            fen = self._transfer(name, ride, who, fen, board, began_ms, dry=dry)
        for name in product.get("accumulates", ()):
            paid = self._paid(name, who, ride)
            reached = [one["percent"] for one in self._rule(name).get("discounts", ()) if paid >= one["from_fen"]]
            fen = self._of(fen, reached[-1]) if reached else fen
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
            cap = self._rule(name).get("cap_fen")
            if cap is not None:
                fen = min(fen, max(0, cap - self._paid(name, who, ride)))
        return min(fen, limit)

    def _count(self, ride: Settled, who: dict[str, bytes], product: dict[str, Any], fen: int) -> None:
        for name in product.get("accumulates", ()):
            party = who[self._rule(name).get("scope", "medium")]
            ride.into[name] = (party, ride.into.get(name, (party, 0))[1] + fen)

    def _rule(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._tariff["accumulations"][name]
        return found

    def _share(self, product: dict[str, Any], board: dict[str, Any]) -> int:
        stops = self._tariff.get("lines", {}).get(board.get("line", ""), {}).get("stops", [])
        area = next((stop.get("area", "") for stop in stops if stop["id"] == board.get("stop", "")), "")
        return int(product.get("percent_in", {}).get(area, product.get("percent", 100)))

    def _of(self, fen: int, percent: int) -> int:
        unit = self._tariff.get("round_fen", 1)
        if percent == 100:
            return fen
        exact = fen * percent  # hundredths of a fen
        whole, rest = divmod(exact, 100 * unit)
        return int((whole + (rest * 2 >= 100 * unit)) * unit)

    def _transfer(
        self,
        name: str,
        ride: Settled,
        who: dict[str, bytes],
        fen: int,
        board: dict[str, Any],
        began_ms: int,
        *,
        dry: bool,
    ) -> int:
        rule = self._tariff["transfers"][name]
        key, line = (who[rule.get("scope", "medium")], name), board.get("line", "")
        chain = self._chains.get(key)
        first_ms, count = began_ms, 0
        if chain is not None:
            _, chain_first, chain_last, chain_line, chain_count = chain
            since = chain_first if rule.get("since", "first") == "first" else chain_last
            in_time = began_ms - since <= 1000 * (rule["within_s"] + rule.get("grace_s", 0))
            few = rule.get("most") is None or chain_count < rule["most"]
            if in_time and few and not (rule.get("other_line") and chain_line == line):
                fen = self._of(max(0, fen - rule.get("off_fen", 0)), rule.get("percent", 0))
                first_ms, count = chain_first, chain_count + 1
        if not dry:
            self._chains[key] = (ride.name, first_ms, ride.at_ms, line, count)
        return fen

    # ----------------------------------------------------------------------- windows

    def _paid(self, name: str, who: dict[str, bytes], now: Settled) -> int:
        """Every ride of this window again, this one's earlier part included."""
        rule = self._rule(name)
        party, window = who[rule.get("scope", "medium")], self._window(rule["period"], now.at_ms)
        rides = [ride for ride in (*self.rides, now) if ride.stands and name in ride.into]
        return sum(
            ride.into[name][1]
            for ride in rides
            if ride.into[name][0] == party and self._window(rule["period"], ride.at_ms) == window
        )

    def _window(self, period: str, at_ms: int) -> str:
        tariff = self._tariff
        hours, minutes = tariff.get("service_day_starts", "04:00").split(":")
        zone = ZoneInfo(tariff.get("time_zone", "Asia/Shanghai"))
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
        day = (local.replace(tzinfo=None) - timedelta(hours=int(hours), minutes=int(minutes))).date()
        return {"day": day.isoformat(), "week": day.strftime("%G-W%V"), "month": day.strftime("%Y-%m")}[period]


def _from_bands(table: dict[str, Any], length: int) -> int:
    for band in table["bands"]:
        if length <= band["up_to"]:
            fen = int(band["fare_fen"])
            break
    else:
        last, beyond = table["bands"][-1], table.get("beyond")
        fen = int(last["fare_fen"])
        above = length - last["up_to"]
        while beyond is not None and above > 0:
            fen += beyond["add_fen"]
            above -= beyond["every"]
    return fen if table.get("most_fen") is None else min(fen, table["most_fen"])


def clear(records: Iterable[tuple[str, bytes]], tariff: dict[str, Any]) -> Clearing:
    """What everybody owes, from (terminal, entry bytes) in any order and a tariff file's JSON."""
    return Clearing(tariff).run(records)
