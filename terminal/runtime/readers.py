"""Who a card belongs to in this library: the site's link table, and what the library system said of readers last.

Laws of this file:
- The table stays sealed, on disk and in memory; one line is opened when its card is held out. To forget a reader every
  line is, one after the other, and nothing of them is kept.
- A file that was replaced or grew is read again; one that cannot be read leaves the last one standing, and is told.
- What the library system said of a reader lives in memory only, under a hash, and is bounded.
"""

import hashlib
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from terminal.core import reader_links
from terminal.core.base import Ref
from terminal.core.library import Patron, ReaderNumber
from terminal.core.reader_links import Link
from terminal.core.visit import Known
from terminal.runtime import durable

REMEMBERED = 2000  # readers whose standing is known from their last visit

log = logging.getLogger(__name__)


class Readers:
    """The readers of one site."""

    def __init__(self, path: Path | None, key: bytes) -> None:
        self.bad_lines = 0
        self.waiting: Callable[[ReaderNumber], int] = lambda number: 0  # loans that wait to be told
        self._path = path
        self._key = key
        self._links: dict[Ref, bytes] = {}
        self._seen: tuple[int, int] | None = None  # modification time and size of what was read
        self._told = False
        self._may_borrow: OrderedDict[bytes, bool] = OrderedDict()

    def __len__(self) -> int:
        """How many links there are."""
        self._refresh()
        return len(self._links)

    def find(self, refs: Sequence[Ref], account: Ref | None) -> Known | None:
        """The reader of this account, or of this medium."""
        self._refresh()
        link = reader_links.find(self._links, refs if account is None else (account, *refs), self._key)
        if link is None:
            return None
        number = reader_links.number_of(link)
        return Known(
            number=number,
            reader_class=link.reader_class,
            until_ms=link.until_ms,
            may_borrow=self._may_borrow.get(_hash(number), True),
            waiting=self.waiting(number),
        )

    def heard(self, number: ReaderNumber, patron: Patron) -> None:
        """What the library system says of a reader now."""
        self._may_borrow[_hash(number)] = patron.valid and patron.may_borrow
        self._may_borrow.move_to_end(_hash(number))
        while len(self._may_borrow) > REMEMBERED:
            self._may_borrow.popitem(last=False)

    def add(self, ref: Ref, link: Link) -> None:
        """Link a card or account to a reader; durable when it returns. Raises OSError."""
        assert self._path is not None
        with self._path.open("a", encoding="utf-8") as file:
            file.write(reader_links.line(ref, link, self._key, secrets.token_bytes(12)))
            file.flush()
            os.fsync(file.fileno())

    def forget(self, number: str) -> int:
        """Whatever links to this reader leaves the table, durably; how many cards or accounts that were.

        Raises OSError, or ValueError where the table is no text.
        """
        assert self._path is not None
        text, gone = reader_links.without(self._path.read_text(encoding="utf-8"), number, self._key)
        durable.replace(self._path, text)
        return gone

    def _refresh(self) -> None:
        """Read the file again where it changed."""
        if self._path is None:
            return
        try:
            now = self._path.stat()
            if (now.st_mtime_ns, now.st_size) == self._seen:
                return
            text = self._path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            if not self._told:
                log.warning("readers", extra={"what": str(error), "links": len(self._links)})
            self._told = True
            return
        self._seen, self._told = (now.st_mtime_ns, now.st_size), False
        self._links, self.bad_lines = reader_links.table(text)
        log.info("readers", extra={"links": len(self._links), "bad lines": self.bad_lines})


def _hash(number: ReaderNumber) -> bytes:
    return hashlib.sha256(number.encode()).digest()[:16]
