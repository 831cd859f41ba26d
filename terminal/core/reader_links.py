"""The site's link table: which reader a card or an account belongs to, made at the desk.

Laws of this file:
- One line a link: the Ref of an account or a medium (34 hexadecimal digits), a blank, and the reader sealed under the
  site's key for that Ref, in base64. A copy of the table names nobody, and no line can stand in another's place.
- A reader number may be a citizen number: it is opened only when its card is held out, or to be forgotten, and kept
  nowhere.
- Of two lines with one Ref the later counts, so that a line can simply be added. What is forgotten goes with every
  line of its Ref: an older one would count again.
"""

import base64
import binascii
from collections.abc import Iterable

import msgspec

from terminal.core.base import Ref, Value
from terminal.core.library import ReaderNumber
from terminal.core.site_key import NotOurs, seal, unseal

PURPOSE = b"reader\x00"


class Link(Value, frozen=True):
    """What a line says."""

    number: str
    reader_class: str = ""
    until_ms: int | None = None


def line(ref: Ref, link: Link, key: bytes, nonce: bytes) -> str:
    """One line, its end included."""
    sealed = seal(key, nonce, PURPOSE + ref, msgspec.json.encode(link))
    return f"{ref.hex()} {base64.b64encode(sealed).decode()}\n"


def table(text: str) -> tuple[dict[Ref, bytes], int]:
    """Ref → sealed reader, and how many lines are none."""
    found: dict[Ref, bytes] = {}
    bad = 0
    for one in text.splitlines():
        parsed = _parsed(one)
        if parsed is None:
            bad += bool(one.strip())
        else:
            found[parsed[0]] = parsed[1]
    return found, bad


def without(text: str, number: str, key: bytes) -> tuple[str, int]:
    """The table without whatever links to this reader, and how many cards or accounts are linked no more.

    Lines that are none, or another key's, stay as they are.
    """
    lines = [(one, _parsed(one)) for one in text.splitlines(keepends=True)]
    counting = dict(parsed for _, parsed in lines if parsed is not None)
    gone = {ref for ref, sealed in counting.items() if _is_of(number, ref, sealed, key)}
    kept = (one for one, parsed in lines if parsed is None or not (parsed[0] in gone or _is_of(number, *parsed, key)))
    return "".join(kept), len(gone)


def find(links: dict[Ref, bytes], refs: Iterable[Ref], key: bytes) -> Link | None:
    """The reader of the first of these that is linked; None for nobody, or for a line that is not ours."""
    for ref in refs:
        link = _opened(ref, links[ref], key) if ref in links else None
        if link is not None:
            return link
    return None


def number_of(link: Link) -> ReaderNumber:
    """The reader's number, which shows itself to nobody."""
    return ReaderNumber(link.number)


def _parsed(one: str) -> tuple[Ref, bytes] | None:
    """Ref and sealed reader of a line; None: it is none."""
    try:
        ref, sealed = one.split()
        return Ref(bytes.fromhex(ref)), base64.b64decode(sealed, validate=True)
    except (ValueError, binascii.Error):
        return None


def _opened(ref: Ref, sealed: bytes, key: bytes) -> Link | None:
    """The reader; None: it is not ours."""
    try:
        return msgspec.json.decode(unseal(key, PURPOSE + ref, sealed), type=Link)
    except (NotOurs, msgspec.MsgspecError):
        return None


def _is_of(number: str, ref: Ref, sealed: bytes, key: bytes) -> bool:
    link = _opened(ref, sealed, key)
    return link is not None and link.number == number
