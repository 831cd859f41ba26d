"""The site's link table: which reader a card or an account belongs to, made at the desk.

Laws of this file:
- One line a link: the Ref of an account or a medium (34 hexadecimal digits), a blank, and the reader sealed under the
  site's key for that Ref, in base64. A copy of the table names nobody, and no line can stand in another's place.
- A reader number may be a citizen number: it is opened only when its card is held out, and kept nowhere.
- Of two lines with one Ref the later counts, so that a line can simply be added.
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
        try:
            ref, sealed = one.split()
            found[Ref(bytes.fromhex(ref))] = base64.b64decode(sealed, validate=True)
        except (ValueError, binascii.Error):
            bad += bool(one.strip())
    return found, bad


def find(links: dict[Ref, bytes], refs: Iterable[Ref], key: bytes) -> Link | None:
    """The reader of the first of these that is linked; None for nobody, or for a line that is not ours."""
    for ref in refs:
        if ref in links:
            try:
                return msgspec.json.decode(unseal(key, PURPOSE + ref, links[ref]), type=Link)
            except (NotOurs, msgspec.MsgspecError):
                continue
    return None


def number_of(link: Link) -> ReaderNumber:
    """The reader's number, which shows itself to nobody."""
    return ReaderNumber(link.number)
