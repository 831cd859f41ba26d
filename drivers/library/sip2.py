"""A library system over SIP2 and TCP: the LibrarySystem port.

Laws of this file:
- One question at a time; an answer counts only with this question's code and sequence number, and if the book and the
  reader that it names are those asked for. What is late is dropped, and what obeys a question that came damaged.
- A system that sent one checksum sends them all: an answer without one is garbled.
- A question is said once. It is said again only when the system asks for that (96), with the same sequence number;
  we ask for the answer again (97) only when it came damaged.
- After silence or rubbish the line is closed, also where an answer came after all: a late one must not meet the next
  question, and a system that takes two questions for one answers neither.
- No answer, 96, a closed line and "not ok" are four different things.
- Reader numbers and passwords are in no message of ours, log or error.
"""

import asyncio
import collections
import datetime
import logging
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from drivers.library import sip2_codec as codec
from terminal.core.library import Item, Loan, Patron, Payment, ReaderNumber, Return, Silence, SystemStatus
from terminal.core.model import Value
from terminal.core.money import decimal
from terminal.ports import Clock, DeviceError, LibraryError

AGAIN_LIMIT = 3  # how often one question is said, and one answer asked for
RESEND = b"97"
LINES_KEPT = 16  # of a system that talks unasked
ENDS = re.compile(rb"[\r\n]+")
NAMING = {"AA", "AB"}  # fields in which an answer says whom, and what, it is about

log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[library]` with `driver = "library.sip2"`."""

    host: str
    port: int = 6001
    institution: str = ""  # AO; some systems refuse a loan unless it is empty, others unless it is theirs
    terminal_password: str = ""  # AC
    login_user: str = ""  # CN; empty: no login (93) is sent
    login_password: str = ""  # CO
    location: str = ""  # CP
    blank_due: bool = False  # no offline due date: eighteen blanks, or (some systems refuse blanks) the loan's own time
    charset: str = "utf-8"  # or "gbk"
    language: str = "019"  # SIP2's number for Chinese; 001 is English
    time_zone: str = "Asia/Shanghai"
    echoes: bool = True  # its answers name book and reader as we asked; false for one that writes them otherwise
    patron_question: Literal["63", "23"] = "63"  # 23 for an older system that does not know 63: no lists, no holds
    timeout_s: float = 5.0
    connect_s: float = 3.0
    currency: str = "CNY"  # of what readers owe, where the system does not say


def open(settings: Settings, clock: Clock) -> "Sip2":
    """A line to a library system; made when first needed. Raises DeviceError for settings that cannot work."""
    return Sip2(settings)


class Sip2:
    """The LibrarySystem port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.currency = settings.currency
        self._zone = _zone(settings.time_zone)
        _check_charset(settings.charset)
        self._turn = asyncio.Lock()
        self._line: Line | None = None
        self._sequence = 0
        self._is_checked = False  # the system sends checksums

    # ----------------------------------------------------------------------- the port

    async def status(self) -> SystemStatus:
        """See the port."""
        message = await self._ask("99", "0" + "080" + "2.00", {}, "98")
        return codec.system_status(message)

    async def patron(self, reader: ReaderNumber, at_ms: int, *, listed: int | None = None) -> Patron:
        """See the port."""
        if self._settings.patron_question == "23":
            return await self.patron_status(reader, at_ms)
        summary = "".join("Y" if position == listed else " " for position in range(10))
        fields = {"AO": self._settings.institution, "AA": reader, "AC": self._settings.terminal_password, "AD": ""}
        fixed = self._settings.language + self._date(at_ms) + summary
        return codec.patron(await self._ask("63", fixed, fields, "64"), self._settings.currency, listed)

    async def patron_status(self, reader: ReaderNumber, at_ms: int) -> Patron:
        """The older, shorter question (23), for a system that does not know 63."""
        fields = {"AO": self._settings.institution, "AA": reader, "AC": self._settings.terminal_password, "AD": ""}
        answer = await self._ask("23", self._settings.language + self._date(at_ms), fields, "24")
        return codec.patron(answer, self._settings.currency)

    async def item(self, barcode: str, at_ms: int) -> Item:
        """See the port."""
        fields = {"AO": self._settings.institution, "AB": barcode, "AC": self._settings.terminal_password}
        return codec.item(await self._ask("17", self._date(at_ms), fields, "18"))

    async def checkout(
        self,
        reader: ReaderNumber,
        barcode: str,
        at_ms: int,
        *,
        no_block: bool = False,
        due_ms: int | None = None,
        undo: bool = False,
    ) -> Loan:
        """See the port."""
        due = self._no_due(at_ms) if due_ms is None else self._date(due_ms)
        fixed = "N" + _flag(no_block) + self._date(at_ms) + due
        answer = await self._ask("11", fixed, self._lending(reader, barcode) | {"BI": _flag(undo)}, "12")
        return codec.loan(answer, self._settings.currency)

    async def checkin(
        self, barcode: str, at_ms: int, returned_ms: int, *, no_block: bool = False, undo: bool = False
    ) -> Return:
        """See the port."""
        settings = self._settings
        fields = {"AP": settings.location, "AO": settings.institution, "AB": barcode, "AC": settings.terminal_password}
        fixed = _flag(no_block) + self._date(at_ms) + self._date(returned_ms)
        return codec.given_back(await self._ask("09", fixed, fields | {"BI": _flag(undo)}, "10"))

    async def renew(self, reader: ReaderNumber, barcode: str, at_ms: int) -> Loan:
        """See the port."""
        fixed = "N" + "N" + self._date(at_ms) + self._no_due(at_ms)
        answer = await self._ask("29", fixed, self._lending(reader, barcode), "30")
        return codec.loan(answer, self._settings.currency)

    async def pay(
        self, reader: ReaderNumber, fee_minor: int, currency: str, at_ms: int, *, cash: bool = False, name: str = ""
    ) -> Payment:
        """See the port. Fee type 01 (other), payment type 00 (cash) or 02 (card)."""
        currency = currency or self._settings.currency
        fields = {"BV": decimal(fee_minor, currency), "AO": self._settings.institution, "AA": reader}
        fields["AC"] = self._settings.terminal_password
        fields |= {"BK": name} if name else {}
        fixed = self._date(at_ms) + "01" + ("00" if cash else "02") + f"{currency:3.3}"
        return codec.payment(await self._ask("37", fixed, fields, "38"))

    async def end_session(self, reader: ReaderNumber, at_ms: int) -> bool:
        """See the port."""
        fields = {"AO": self._settings.institution, "AA": reader, "AC": self._settings.terminal_password}
        return (await self._ask("35", self._date(at_ms), fields, "36")).fixed[0] == "Y"

    async def close(self) -> None:
        """See the port."""
        self._drop()

    # ----------------------------------------------------------------------- one question

    async def _ask(self, code: str, fixed: str, fields: Mapping[str, str], answer: str) -> codec.Message:
        """Say it, hear the answer. Raises LibraryError."""
        async with self._turn:
            line = await self._connected()
            return await self._exchange(line, code, fixed, fields, answer)

    async def _exchange(
        self, line: "Line", code: str, fixed: str, fields: Mapping[str, str], answer: str
    ) -> codec.Message:
        self._sequence = (self._sequence + 1) % 10
        try:
            said = codec.encode(code, fixed, fields, self._sequence, self._settings.charset)
        except codec.NotSayable as error:
            raise LibraryError(Silence.UNSAYABLE, str(error)) from error
        named = {name: fields[name] for name in NAMING & fields.keys()} if self._settings.echoes else {}
        question = Question(said, answer, self._sequence, named)
        heard = False
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                message = await self._hear(line, question)
                heard = True
                return message
        except TimeoutError:
            raise LibraryError(Silence.NO_ANSWER, f"message {code}, {self._settings.timeout_s} s") from None
        except ConnectionError as error:
            raise LibraryError(Silence.CLOSED, f"message {code}") from error
        finally:
            if not heard:  # cancelled included: whatever comes now would meet the next question
                self._drop()

    async def _hear(self, line: "Line", question: "Question") -> codec.Message:
        """The answer to what is said here. What answers another question belongs to nobody any more."""
        said, asked = 1, 0
        line.forget()
        line.say(question.said)
        while True:
            message = self._read(await line.hear())
            if message is None or not self._is_sound(message):
                asked += 1
                if asked == AGAIN_LIMIT or line.is_lost:
                    raise LibraryError(Silence.GARBLED, f"message {question.answer}")
                body = RESEND + b"AZ"
                line.say(body + codec.checksum(body) + b"\r")
            elif message.code == "96":
                if said == AGAIN_LIMIT:
                    raise LibraryError(Silence.ASKED_AGAIN, f"{said} times")
                said += 1
                line.say(question.said)
            elif answers(message, question):
                self._is_checked |= message.checked is True
                if asked and question.answer != "94":
                    line.hang_up()  # what was asked for again may still come
                return message
            else:
                log.warning("sip2 answer dropped", extra={"code": message.code, "expected": question.answer})

    def _is_sound(self, message: codec.Message) -> bool:
        """Whether its checksum holds; 96 has none to speak of."""
        return message.checked is not False if message.code == "96" or not self._is_checked else message.checked is True

    def _read(self, line: bytes) -> codec.Message | None:
        """A message; None for what cannot be understood."""
        try:
            return codec.decode(line, self._settings.charset)
        except codec.Garbled:
            return None

    # ----------------------------------------------------------------------- the line

    async def _connected(self) -> "Line":
        if self._line is not None and not self._line.is_lost:
            return self._line
        settings = self._settings
        try:
            async with asyncio.timeout(settings.connect_s):
                loop = asyncio.get_running_loop()
                _, self._line = await loop.create_connection(Line, settings.host, settings.port)
        except (OSError, TimeoutError) as error:
            raise LibraryError(Silence.UNREACHABLE, f"{settings.host}:{settings.port}") from error
        if settings.login_user:
            await self._log_in(self._line)
        return self._line

    async def _log_in(self, line: "Line") -> None:
        settings = self._settings
        fields = {"CN": settings.login_user, "CO": settings.login_password, "CP": settings.location}
        if not codec.login(await self._exchange(line, "93", "00", fields, "94")):
            self._drop()
            raise LibraryError(Silence.NOT_LOGGED_IN, "look at login_user and login_password")

    def _drop(self) -> None:
        """Close at once."""
        if self._line is not None:
            self._line.hang_up()
        self._line = None

    # ----------------------------------------------------------------------- parts of questions

    def _lending(self, reader: ReaderNumber, barcode: str) -> dict[str, str]:
        settings = self._settings
        return {
            "AO": settings.institution,
            "AA": reader,
            "AB": barcode,
            "AC": settings.terminal_password,
            "AD": "",
        }

    def _no_due(self, at_ms: int) -> str:
        return codec.ABSENT_DATE if self._settings.blank_due else self._date(at_ms)

    def _date(self, utc_ms: int) -> str:
        return codec.date(utc_ms, self._zone)


class Question(NamedTuple):
    """One question: its bytes, and what an answer to it looks like."""

    said: bytes
    answer: str  # the code
    sequence: int
    named: Mapping[str, str]  # the book and the reader it is about


def answers(message: codec.Message, question: Question) -> bool:
    """Whether this message answers that question, and no other."""
    if message.code != question.answer or message.sequence not in (None, question.sequence):
        return False
    return all(message.first(name) in (None, value) for name, value in question.named.items())


class Line(asyncio.Protocol):
    """Lines of text over TCP, ended by CR, LF or both; bounded."""

    def __init__(self) -> None:
        self.is_lost = False
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._lines: collections.deque[bytes] = collections.deque(maxlen=LINES_KEPT)
        self._something = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A line is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep whole lines; one longer than any message ends the line.

        A message whose checksum holds is whole: some systems end none that they were asked to tell again.
        """
        *whole, self._rest = ENDS.split(self._rest + data)
        self._lines.extend(line for line in whole if line)
        if codec.is_whole(self._rest):
            self._lines.append(self._rest)
            self._rest = b""
        if len(self._rest) > codec.LONGEST:
            self._lines.append(self._rest[: codec.LONGEST + 1])  # told as rubbish
            self.hang_up()
        self._something.set()

    def connection_lost(self, error: Exception | None) -> None:
        """The other side closed, or we did."""
        self.is_lost = True
        self._something.set()

    def say(self, data: bytes) -> None:
        """Send. Raises ConnectionError when the line is gone."""
        if self.is_lost or self._transport is None:
            raise ConnectionResetError
        self._transport.write(data)

    def forget(self) -> None:
        """What came unasked answers nothing."""
        self._lines.clear()

    async def hear(self) -> bytes:
        """The next line. Raises ConnectionError when there will be none."""
        while not self._lines:
            if self.is_lost:
                raise ConnectionResetError
            self._something.clear()
            await self._something.wait()
        return self._lines.popleft()

    def hang_up(self) -> None:
        """Close at once."""
        self.is_lost = True
        if self._transport is not None:
            self._transport.abort()


def _flag(value: bool) -> str:
    return "Y" if value else "N"


def _zone(name: str) -> datetime.tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise DeviceError(f"no time zone {name!r}", hint="write one such as Asia/Shanghai") from error


def _check_charset(name: str) -> None:
    try:
        "".encode(name)
    except LookupError as error:
        raise DeviceError(f"no charset {name!r}", hint='write "utf-8" or "gbk"') from error
