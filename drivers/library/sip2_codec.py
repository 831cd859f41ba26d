"""SIP2 on the wire: messages to bytes and back (3M Standard Interchange Protocol 2.00). Pure.

Laws of this file:
- A message is a 2-digit code, fixed fields, then `XXvalue|` fields, `AYn` and `AZcccc`, ended by CR.
- The checksum is the two's complement of the sum of all bytes up to and including `AZ`, as four hexadecimal digits.
- A value that holds a delimiter, a control character or what the charset lacks is refused, never cut: it would say
  something else.
- A personal name (AE), an address and ways to reach somebody are dropped before anything is built from a message.
- Numbers are read leniently (space-padded, empty, absent): what is no number is None.
"""

import datetime
import re
from collections.abc import Mapping
from typing import NamedTuple

from terminal.core.library import Item, Loan, Patron, Payment, Return, SystemStatus
from terminal.core.money import minor_of

LONGEST = 16_384  # bytes of one message; a system that sends more is not speaking SIP2
PERSONAL = {"AE", "BD", "BE", "BF"}  # name, home address, mail address, telephone: never kept
ABSENT_DATE = " " * 18
# Length of the fixed part behind the code, by answer.
FIXED = {"94": 1, "98": 34, "24": 35, "64": 59, "18": 24, "12": 22, "30": 22, "10": 22, "36": 19, "38": 19, "96": 0}
# Patron status: position → what a "Y" there takes away or says.
STATUS_FLAGS = (
    "charge_denied", "renewal_denied", "recall_denied", "hold_denied", "card_lost", "too_many_charged",
    "too_many_overdue", "too_many_renewals", "too_many_claims_returned", "too_many_lost", "excessive_fines",
    "excessive_fees", "recall_overdue", "too_many_billed",
)  # fmt: skip
LISTS = ("AS", "AT", "AU", "AV", "BU", "CD")  # hold, overdue, charged, fine, recall, unavailable items
_FIELD = re.compile(r"[A-Z][A-Z0-9]")
_NUMBER = re.compile(r"[0-9]+\Z")


class NotSayable(ValueError):
    """A value that SIP2 cannot carry."""


class Garbled(ValueError):
    """Bytes that are no message, or not this one."""


class Message(NamedTuple):
    """One message, taken apart. `sequence` and `checked` are None where the other side sends no AY and AZ."""

    code: str
    fixed: str
    fields: tuple[tuple[str, str], ...]
    sequence: int | None
    checked: bool | None

    def first(self, name: str) -> str | None:
        """The first value of a field, or None."""
        return next((value for field, value in self.fields if field == name), None)

    def text(self, name: str) -> str:
        """The first value of a field; empty where absent."""
        return self.first(name) or ""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field that repeats."""
        return tuple(value for field, value in self.fields if field == name and value)


# --------------------------------------------------------------------------- writing


def encode(code: str, fixed: str, fields: Mapping[str, str], sequence: int, charset: str) -> bytes:
    """One message with sequence number and checksum, CR included. Raises NotSayable."""
    parts = [code, fixed]
    for name, value in fields.items():
        if any(character == "|" or ord(character) < 32 or ord(character) == 127 for character in value):
            raise NotSayable(f"field {name} holds a delimiter or a control character")
        parts.append(f"{name}{value}|")
    try:
        body = "".join(parts).encode(charset) + b"AY%dAZ" % sequence
    except UnicodeEncodeError as error:
        raise NotSayable(f"a character cannot be written in {charset}") from error
    return body + checksum(body) + b"\r"


def checksum(body: bytes) -> bytes:
    """Four hexadecimal digits over everything up to and including `AZ`."""
    return b"%04X" % (-sum(body) & 0xFFFF)


def date(utc_ms: int, zone: datetime.tzinfo) -> str:
    """Eighteen characters of local time: YYYYMMDD, four blanks, HHMMSS."""
    return datetime.datetime.fromtimestamp(utc_ms / 1000, zone).strftime("%Y%m%d    %H%M%S")


# --------------------------------------------------------------------------- reading


def decode(line: bytes, charset: str) -> Message:
    """Take one line apart, CR or LF removed. Raises Garbled."""
    if len(line) > LONGEST:
        raise Garbled("longer than any message")
    body, sequence, checked = _trailer(line)
    text = body.decode(charset, "replace")
    code = text[:2]
    if code not in FIXED:
        raise Garbled(f"no answer begins with {code!r}")
    length = FIXED[code]
    fixed, rest = text[2 : 2 + length], text[2 + length :]
    if len(fixed) < length:
        raise Garbled(f"{code} ends within its fixed part")
    return Message(code, fixed, tuple(_fields(rest)), sequence, checked)


def is_whole(line: bytes) -> bool:
    """Whether these bytes end with a checksum that holds: nothing but an end of line can follow."""
    return _trailer(line)[2] is True


def _trailer(line: bytes) -> tuple[bytes, int | None, bool | None]:
    """The body without `AYnAZcccc`, the sequence number, and whether the checksum holds."""
    found = re.search(rb"AY([0-9])AZ([0-9A-Fa-f]{4})\Z", line.rstrip(b" "))
    if found is None:
        return line, None, None
    whole = line[: found.end(1) + 2]
    return line[: found.start()], int(found[1]), checksum(whole) == found[2].upper()


def _fields(text: str) -> list[tuple[str, str]]:
    fields = [(part[:2], part[2:]) for part in text.split("|") if _FIELD.match(part)]
    return [(name, value) for name, value in fields if name not in PERSONAL]


def number(text: str | None) -> int | None:
    """A number, however it is padded; None for what is none."""
    stripped = (text or "").strip()
    return int(stripped) if _NUMBER.match(stripped) and len(stripped) <= 9 else None


def fee(message: Message, currency: str) -> tuple[int | None, str]:
    """BV in minor units of BH, or of the currency given where the system does not say; None for what is no amount."""
    found = message.text("BH") or currency
    return minor_of(message.text("BV"), found), found


def _yes(text: str) -> bool:
    return text in ("Y", "1")


# --------------------------------------------------------------------------- answers


def login(message: Message) -> bool:
    """94: whether we may go on."""
    return message.fixed == "1"


def system_status(message: Message) -> SystemStatus:
    """98. Fixed: six Y or N, time-out, retries, date, version."""
    fixed = message.fixed
    tenths = number(fixed[6:9])
    retries = number(fixed[9:12])
    return SystemStatus(
        online=_yes(fixed[0]),
        checkin_ok=_yes(fixed[1]),
        checkout_ok=_yes(fixed[2]),
        renewal_ok=_yes(fixed[3]),
        offline_ok=_yes(fixed[5]),
        timeout_s=tenths / 10 if tenths and tenths != 999 else None,
        retries=None if retries == 999 else retries,
        version=fixed[30:34],
        institution=message.text("AO"),
        messages=message.text("BX"),
    )


def patron(message: Message, currency: str = "", listed: int | None = None) -> Patron:
    """24 or 64; only the second has counts. `currency`: of what is owed, where the system does not say (BH).
    `listed`: the list that was asked for; some systems send them all.
    """
    status = message.fixed[:14]
    counts = message.fixed[35:59] if message.code == "64" else ""
    holds, overdue, charged, fines = (number(counts[at : at + 4]) for at in (0, 4, 8, 12))
    valid, password = message.first("BL"), message.first("CQ")
    fee_minor, currency = fee(message, currency)
    return Patron(
        valid=valid is None or _yes(valid),
        password_valid=None if password is None else _yes(password),
        may_borrow=status[0] != "Y",
        may_renew=status[1] != "Y",
        blocked_why=tuple(name for name, flag in zip(STATUS_FLAGS, status, strict=False) if flag == "Y"),
        holds=holds,
        overdue=overdue,
        charged=charged,
        fines=fines,
        fee_minor=fee_minor,
        currency=currency,
        items=() if listed is None else message.all(LISTS[listed]),
        message=" ".join(message.all("AF")),
    )


def item(message: Message) -> Item:
    """18."""
    return Item(
        barcode=message.text("AB"),
        title=message.text("AJ"),
        circulation_status=number(message.fixed[0:2]),
        security_marker=number(message.fixed[2:4]),
        due=message.text("AH"),
        message=" ".join(message.all("AF")),
    )


def loan(message: Message, currency: str = "") -> Loan:
    """12 or 30. Fixed: ok, renewal ok, magnetic media, desensitise, date. `currency`: as of a reader's."""
    return Loan(
        ok=_yes(message.fixed[0]),
        renewed=_yes(message.fixed[1]),
        desensitise=_yes(message.fixed[3]),
        barcode=message.text("AB"),
        title=message.text("AJ"),
        due=message.text("AH"),
        fee_minor=fee(message, currency)[0],
        message=" ".join(message.all("AF")),
    )


def given_back(message: Message) -> Return:
    """10. Fixed: ok, resensitise, magnetic media, alert, date."""
    return Return(
        ok=_yes(message.fixed[0]),
        resensitise=_yes(message.fixed[1]),
        alert=_yes(message.fixed[3]),
        barcode=message.text("AB"),
        title=message.text("AJ"),
        home=message.text("AQ"),
        bin=message.text("CL"),
        message=" ".join(message.all("AF")),
    )


def payment(message: Message) -> Payment:
    """38. Fixed: accepted, date; one system in the field (invenio-sip2) writes the date first."""
    accepted = message.fixed[18] if message.fixed[:8].isdecimal() else message.fixed[0]
    return Payment(accepted=_yes(accepted), message=" ".join(message.all("AF")))
