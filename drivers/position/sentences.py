"""NMEA 0183: bytes → positions. Pure.

Laws of this file:
- A sentence counts only with its checksum, and a position only where the receiver says it is valid.
- A cut or garbled line costs itself and nothing after it; what never ends is dropped.
- RMC and GGA of any talker (GP, GN, BD, GB, …) are read; of one second's two, both tell the same place.
"""

import re

LONGEST = 120  # NMEA 0183 allows 82; some modules say more
DEGREES = re.compile(rb"(\d{2,3})(\d{2})\.(\d+)")


class Sentences:
    """Cuts a stream into lines, and lines into positions."""

    def __init__(self) -> None:
        self.dropped = 0  # lines that did not hold
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """(lat_e6, lon_e6) of every valid position that ended in these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            self._rest = b""
            self.dropped += 1
        return [place for line in lines if (place := self._position(line)) is not None]

    def _position(self, line: bytes) -> tuple[int, int] | None:
        start = line.rfind(b"$")
        body, star, check = line[start + 1 :].strip().partition(b"*")
        if start < 0 or not star or check.upper() != b"%02X" % checksum(body):
            self.dropped += bool(line.strip())
            return None
        fields = body.split(b",")
        kind = fields[0][2:]
        if kind == b"RMC" and len(fields) > 6 and fields[2] == b"A":
            return _place(fields[3:7])
        if kind == b"GGA" and len(fields) > 6 and fields[6] not in (b"", b"0"):
            return _place(fields[2:6])
        return None


def checksum(body: bytes) -> int:
    """The exclusive or of everything between "$" and "*"."""
    total = 0
    for byte in body:
        total ^= byte
    return total


def _place(fields: list[bytes]) -> tuple[int, int] | None:
    """ddmm.mmmm, N or S, dddmm.mmmm, E or W → micro-degrees."""
    latitude, north, longitude, east = fields
    lat, lon = _degrees(latitude), _degrees(longitude)
    if lat is None or lon is None or north not in (b"N", b"S") or east not in (b"E", b"W"):
        return None
    if lat > 90_000_000 or lon > 180_000_000:
        return None
    return lat if north == b"N" else -lat, lon if east == b"E" else -lon


def _degrees(text: bytes) -> int | None:
    found = DEGREES.fullmatch(text)
    if found is None:
        return None
    degrees, minutes, fraction = found.groups()
    millionths = int(minutes) * 1_000_000 + int(fraction[:6].ljust(6, b"0"))  # of a minute
    return int(degrees) * 1_000_000 + millionths // 60
