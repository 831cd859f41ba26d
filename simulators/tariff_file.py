"""What a tariff's file says, read by head office: full prices, shares, windows.

Laws of this file:
- Plain dictionaries as the JSON has them; nothing of the terminal's own tariff or pricing is used.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo


class Prices:
    """One tariff file."""

    def __init__(self, tariff: dict[str, Any]) -> None:
        self._tariff = tariff
        self.products = {product["id"]: product for product in tariff["products"]}

    @property
    def transfers(self) -> dict[str, Any]:
        """Its transfers by name."""
        found: dict[str, Any] = self._tariff.get("transfers", {})
        return found

    def table(self, product: dict[str, Any]) -> dict[str, Any]:
        """The fare table a product is priced by."""
        if product.get("fare"):
            found: dict[str, Any] = self._tariff["fares"][product["fare"]]
            return found
        return {"fare_fen": product["fare_fen"]}

    def full(self, product: dict[str, Any], board: dict[str, Any], alight: dict[str, Any] | None) -> int | None:
        """Fen before any discount, or None where a stop, a key or a line is not known."""
        table = self.table(product)
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

    def farthest(self, table: dict[str, Any], where: dict[str, Any]) -> int | None:
        """Fen to the farther end of the line."""
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

    def rule(self, name: str) -> dict[str, Any]:
        """An accumulation by name."""
        found: dict[str, Any] = self._tariff["accumulations"][name]
        return found

    def share(self, product: dict[str, Any], board: dict[str, Any]) -> int:
        """What the product leaves to pay, in per cent."""
        stops = self._tariff.get("lines", {}).get(board.get("line", ""), {}).get("stops", [])
        area = next((stop.get("area", "") for stop in stops if stop["id"] == board.get("stop", "")), "")
        return int(product.get("percent_in", {}).get(area, product.get("percent", 100)))

    def of(self, fen: int, percent: int) -> int:
        """So many per cent, half a unit up."""
        unit = self._tariff.get("round_fen", 1)
        if percent == 100:
            return fen
        exact = fen * percent  # hundredths of a fen
        whole, rest = divmod(exact, 100 * unit)
        return int((whole + (rest * 2 >= 100 * unit)) * unit)

    def window(self, period: str, at_ms: int) -> str:
        """The window an instant falls into, by name."""
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
