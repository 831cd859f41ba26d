"""A library system that speaks SIP2 over TCP: readers, copies, loans, and ways to misbehave.

Laws of this file:
- Its reading and writing of messages is its own, written from the protocol and not from the driver.
- It is in the state it says: a loan made is a loan kept, whatever becomes of the answer.
- `trouble` is asked before each answer and does one thing wrong; what it did is counted.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

CODES = ("93", "99", "23", "63", "17", "11", "09", "29", "35", "37", "97")
STAMP = "20270115    080000"
OWED = 1250  # minor units
ALPHABET_LENGTHS = {"93": 2, "99": 8, "23": 21, "63": 31, "17": 18, "11": 38, "09": 37, "29": 38, "35": 18, "37": 25}


@dataclass
class Copy:
    """One copy of a book."""

    title: str
    lent_to: str | None = None
    due: str = ""
    held_for: str | None = None  # who reserved it; on the hold shelf unless it is lent
    returned: list[str] = field(default_factory=list)  # return dates it was told, as the kiosk wrote them


@dataclass
class Dialect:
    """How this system differs from the next."""

    charset: str = "utf-8"
    checks: bool = True  # sends AY and AZ
    padded: bool = False  # numbers padded with blanks, as some systems send them
    institution: str | None = None  # a loan with another AO is refused
    lists_all: bool = False  # 64 brings every list, whichever was asked for
    ignores_no_block: bool = False
    says_online: str = "Y"  # in 98
    says_checkout: str = "Y"  # likewise
    login: tuple[str, str] | None = None


class Library:
    """The system; `start` listens on loopback."""

    def __init__(self, dialect: Dialect | None = None) -> None:
        self.dialect = dialect or Dialect()
        self.readers: dict[str, str] = {}  # number → name, which no kiosk may keep
        self.blocked: set[str] = set()
        self.owed: dict[str, int] = {}  # reader → minor units; who is not named owes OWED
        self.paid: list[tuple[str, int]] = []  # every payment it took
        self.copies: dict[str, Copy] = {}
        self.lent: list[tuple[str, str]] = []  # every loan it made: reader, barcode
        self.on_lent: Callable[[str], None] = lambda barcode: None
        self.heard: list[str] = []
        self.trouble: Callable[[str], str | None] = lambda code: None
        self.troubles: Counter[str] = Counter()
        self.late_s = 0.6  # how late a late answer is
        self.port = 0
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close every line."""
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._lines):
            writer.transport.abort()
        await self._server.wait_closed()

    # ----------------------------------------------------------------------- the line

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        last = b""
        known = self.dialect.login is None
        try:
            while line := (await reader.readuntil(b"\r")).strip(b"\r\n"):
                code, sequence, sound = self._heard(line)
                if not sound:
                    writer.write(self._line("96", "", "", None))
                    continue
                if code == "97":
                    writer.write(last)
                    continue
                if code != "93" and not known:
                    break
                answer, rest = self._answer(code, line)
                known = known or answer == "941"
                last = self._line(answer[:2], answer[2:], rest, sequence)
                if not await self._say(code, last, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._lines.discard(writer)
            writer.transport.abort()

    async def _say(self, code: str, line: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer, or do what trouble says. False: the line is closed."""
        what = self.trouble(code)
        if what is not None:
            self.troubles[what] += 1
        if what == "silent":
            return True
        if what == "close":
            return False
        if what == "96":
            line = self._line("96", "", "", None)
        elif what == "garble":
            line = line[:3] + b"\x7f" + line[4:]
        elif what == "wrong number":
            line = self._line(line[:2].decode(), "", "", 0) if b"AY" not in line else _renumbered(line)
        elif what == "late":
            await asyncio.sleep(self.late_s)
        elif what == "half":
            writer.write(line[: len(line) // 2])
            await writer.drain()
            return False
        if what == "twice":
            line += line
        writer.write(line)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        return True

    def _heard(self, line: bytes) -> tuple[str, int | None, bool]:
        """Code, sequence number, and whether the checksum holds."""
        code = line[:2].decode("ascii", "replace")
        at = line.rfind(b"AZ")
        if at < 0:
            return code, None, True
        total = 0
        for byte in line[: at + 2]:
            total = (total + byte) % 65536
        sound = (total + int(line[at + 2 : at + 6], 16)) % 65536 == 0
        sequence = int(line[at - 1 : at]) if line[at - 3 : at - 1] == b"AY" else None
        if sound and code in ALPHABET_LENGTHS:
            self.heard.append(line.decode(self.dialect.charset))
        return code, sequence, sound

    def _line(self, code: str, fixed: str, rest: str, sequence: int | None) -> bytes:
        body = (code + fixed + rest).encode(self.dialect.charset)
        if self.dialect.checks:
            body += (b"AY%d" % sequence if sequence is not None else b"") + b"AZ"
            body += b"%04X" % (65536 - sum(body) % 65536)
        return body + b"\r\n"

    # ----------------------------------------------------------------------- what it says

    def _answer(self, code: str, line: bytes) -> tuple[str, str]:
        text = line.decode(self.dialect.charset)
        fixed = text[2 : 2 + ALPHABET_LENGTHS[code]]
        fields = {part[:2]: part[2:] for part in text[2 + ALPHABET_LENGTHS[code] :].split("|") if len(part) >= 2}
        answer: tuple[str, str] = getattr(self, f"_on_{code}")(fixed, fields)
        return answer

    def _on_93(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        good = self.dialect.login in (None, (fields.get("CN"), fields.get("CO")))
        return f"94{int(good)}", ""

    def _on_99(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        numbers = " 10  3" if self.dialect.padded else "010003"
        return (
            f"98{self.dialect.says_online}Y{self.dialect.says_checkout}YYY{numbers}{STAMP}2.00",
            "AOcity|BX" + "Y" * 16 + "|",
        )

    def _on_23(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        number = fields["AA"]
        return f"24{self._flags(number)}{fixed[:3]}{STAMP}", self._person(number)

    def _on_63(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        number = fields["AA"]
        lent = [barcode for barcode, copy in self.copies.items() if copy.lent_to == number]
        held = self.held_for(number)
        counts = "".join(self._count(count) for count in (len(held), 0, len(lent), 0, 0, 0))
        lists = {0: "".join(f"AS{barcode}|" for barcode in held), 2: "".join(f"AU{barcode}|" for barcode in lent)}
        listed = "".join(lists.values()) if self.dialect.lists_all else lists.get(fixed[21:31].find("Y"), "")
        return f"64{self._flags(number)}{fixed[:3]}{STAMP}{counts}", self._person(number) + listed

    def _on_17(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        copy = self.copies.get(fields["AB"])
        if copy is None:
            return f"18010000{STAMP}", f"AB{fields['AB']}|AJ|AFno such copy|"
        status = 4 if copy.lent_to else 8 if copy.held_for else 3
        return f"180{status}0201{STAMP}", f"AB{fields['AB']}|AJ{copy.title}|AH{copy.due}|"

    def _on_11(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        if fields.get("BI") == "Y":
            return self._undone(fields)
        why = "wrong institution" if self.dialect.institution not in (None, fields.get("AO")) else ""
        why = why or self.lend(fields["AA"], fields["AB"], fixed[20:38] if fixed[1] == "Y" else None)
        if why:
            return f"120NNN{STAMP}", f"AOcity|AA{fields['AA']}|AB{fields['AB']}|AJ|AH|AF{why}|"
        copy = self.copies[fields["AB"]]
        return f"121NNY{STAMP}", f"AOcity|AA{fields['AA']}|AB{fields['AB']}|AJ{copy.title}|AH{copy.due}|"

    def _undone(self, fields: dict[str, str]) -> tuple[str, str]:
        copy = self.copies[fields["AB"]]
        self.undo(fields["AB"])
        return f"121NNY{STAMP}", f"AOcity|AA{fields['AA']}|AB{fields['AB']}|AJ{copy.title}|AH|"

    def _on_09(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        copy = self.copies.get(fields["AB"])
        if copy is None:
            return f"100NNN{STAMP}", f"AOcity|AB{fields['AB']}|AQ|AFno such copy|"
        self.take_back(fields["AB"], fixed[19:37])
        alert = "Y" if copy.held_for else "N"
        return f"101YN{alert}{STAMP}", f"AOcity|AB{fields['AB']}|AQmain|AJ{copy.title}|CL2|"

    def _on_29(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        copy = self.copies.get(fields["AB"])
        if copy is None or not self.renew(fields["AA"], fields["AB"]):
            return f"300NNN{STAMP}", f"AOcity|AA{fields['AA']}|AB{fields['AB']}|AJ|AH|AFnot lent to you|"
        return f"301YNN{STAMP}", f"AOcity|AA{fields['AA']}|AB{fields['AB']}|AJ{copy.title}|AH{copy.due}|"

    def _on_35(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        return f"36Y{STAMP}", f"AOcity|AA{fields['AA']}|"

    def _on_37(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        whole, _, rest = fields["BV"].partition(".")
        took = self.pay(fields["AA"], int(whole) * 100 + int(rest or "0"))
        return f"38{'Y' if took else 'N'}{STAMP}", f"AOcity|AA{fields['AA']}|{'' if took else 'AFmore than is owed|'}"

    # ----------------------------------------------------------------------- its rules

    def lend(self, reader: str, barcode: str, due: str | None) -> str:
        """Lend; why not, or empty. `due`: of a loan that happened already. Who heeds no-block does not ask then."""
        copy = self.copies.get(barcode)
        if copy is None or reader not in self.readers:
            return "unknown"
        heeds = due is not None and not self.dialect.ignores_no_block
        if not heeds and copy.lent_to not in (None, reader):
            return "lent to somebody else"
        if not heeds and copy.held_for not in (None, reader):
            return "reserved by somebody else"
        if not heeds and reader in self.blocked:
            return "blocked"
        copy.lent_to, copy.due = reader, due or "20270214    235959"
        copy.held_for = None if copy.held_for == reader else copy.held_for
        self.lent.append((reader, barcode))
        self.on_lent(barcode)
        return ""

    def held_for(self, reader: str) -> list[str]:
        """What this reader reserved, here or not."""
        return [barcode for barcode, copy in self.copies.items() if copy.held_for == reader]

    def undo(self, barcode: str) -> None:
        """The book was never released."""
        self.copies[barcode].lent_to = None

    def take_back(self, barcode: str, returned: str) -> None:
        """Take back; when, as the kiosk wrote it."""
        copy = self.copies[barcode]
        copy.lent_to, copy.due = None, ""
        copy.returned.append(returned)

    def renew(self, reader: str, barcode: str) -> bool:
        """Lend for longer."""
        copy = self.copies.get(barcode)
        if copy is None or copy.lent_to != reader:
            return False
        copy.due = "20270316    235959"
        return True

    def pay(self, reader: str, amount: int) -> bool:
        """Take a payment, in minor units; more than is owed is refused."""
        owed = self.owed.get(reader, OWED)
        if reader not in self.readers or amount > owed:
            return False
        self.owed[reader] = owed - amount
        self.paid.append((reader, amount))
        return True

    def _flags(self, number: str) -> str:
        return ("Y" if number in self.blocked else " ") + " " * 13

    def _person(self, number: str) -> str:
        known = number in self.readers
        owed = self.owed.get(number, OWED)
        name = self.readers.get(number, "")
        return f"AOcity|AA{number}|AE{name}|BL{'Y' if known else 'N'}|CQY|BHCNY|BV{owed // 100}.{owed % 100:02}|"

    def _count(self, count: int) -> str:
        return f"{count:>4}" if self.dialect.padded else f"{count:04}"


def _renumbered(line: bytes) -> bytes:
    """The same answer with another question's number, and a good checksum."""
    at = line.rindex(b"AY")
    body = line[: at + 2] + (b"%d" % ((int(line[at + 2 : at + 3]) + 5) % 10)) + b"AZ"
    return body + b"%04X" % (65536 - sum(body) % 65536) + b"\r\n"
