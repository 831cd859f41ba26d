"""The link table on disk, and what is remembered of readers; events that wait for a visit."""

import stat
from pathlib import Path

import msgspec
import pytest

from terminal.core.library import ReaderNumber
from terminal.core.reader_links import Link, line
from terminal.core.screen import Button, Page, PageKind, Press, Touch
from terminal.core.visit import Laid, Pressed, Scanned
from terminal.runtime import readers
from terminal.runtime.inbox import MOST, Inbox
from terminal.runtime.readers import Readers
from tests.core.cases import instant, ref
from tests.core.visiting import PATRON, pad

KEY = bytes(range(32))
AMBER = ReaderNumber("R-1")


def test_a_table_that_grows_is_read_again(tmp_path: Path) -> None:
    """At the next card; also one that was replaced."""
    path = tmp_path / "readers.links"
    path.write_text(line(ref("amber"), Link(number="R-1"), KEY, b"1" * 12), encoding="ascii")
    table = Readers(path, KEY)
    found = table.find((ref("amber"),), None)
    assert found is not None and found.number == AMBER and len(table) == 1
    table.add(ref("birch"), Link(number="R-2", reader_class="child", until_ms=5))
    found = table.find((ref("nobody"),), ref("birch"))
    assert found is not None and (found.reader_class, found.until_ms) == ("child", 5)
    path.write_text("nonsense here, twice\n", encoding="ascii")
    assert (len(table), table.bad_lines) == (0, 1)


def test_a_forgotten_reader_is_known_no_more(tmp_path: Path) -> None:
    """At once, and after a start; whoever may read the table, and the others in it, stay."""
    path = tmp_path / "readers.links"
    path.touch(0o640)
    path.chmod(0o640)
    table = Readers(path, KEY)
    for name, number in (("amber", "R-1"), ("birch", "R-2"), ("caro", "R-1")):
        table.add(ref(name), Link(number=number))
    assert len(table) == 3
    assert table.forget("R-1") == 2
    for known in (table, Readers(path, KEY)):
        assert known.find((ref("amber"),), ref("caro")) is None and len(known) == 1
        assert known.find((ref("birch"),), None) is not None
    assert table.forget("R-1") == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_is_gone_leaves_the_last_one_standing(tmp_path: Path) -> None:
    """And is told, once."""
    path = tmp_path / "readers.links"
    path.write_text(line(ref("amber"), Link(number="R-1"), KEY, b"1" * 12), encoding="ascii")
    table = Readers(path, KEY)
    assert len(table) == 1
    path.unlink()
    assert table.find((ref("amber"),), None) is not None
    assert len(Readers(None, KEY)) == 0 and len(Readers(path, KEY)) == 0


def test_what_the_library_said_last_is_remembered_of_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory only, the newest ones."""
    path = tmp_path / "readers.links"
    path.write_text(line(ref("amber"), Link(number="R-1"), KEY, b"1" * 12), encoding="ascii")
    table = Readers(path, KEY)
    table.heard(AMBER, msgspec.structs.replace(PATRON, may_borrow=False))
    found = table.find((ref("amber"),), None)
    assert found is not None and not found.may_borrow
    monkeypatch.setattr(readers, "REMEMBERED", 2)
    for number in range(2):
        table.heard(ReaderNumber(f"other {number}"), PATRON)
    found = table.find((ref("amber"),), None)
    assert found is not None and found.may_borrow


PAGE = Page(kind=PageKind.READER, buttons=(Button(touch=Touch.DONE),))


async def test_a_press_on_a_page_that_is_gone_is_nothing() -> None:
    """What the page now shown does not offer was meant for another."""
    inbox = Inbox()
    inbox.put(Pressed(press=Press(touch=Touch.RENEW, of="B-1"), at=instant()))
    inbox.put(Pressed(press=Press(touch=Touch.DONE), at=instant()))
    event = await inbox.next(PAGE, 10.0)
    assert isinstance(event, Pressed) and event.press.touch is Touch.DONE
    assert inbox.dropped == 1
    assert await inbox.next(PAGE, 0.0) is None


async def test_only_the_newest_pad_counts_and_a_flood_is_bounded() -> None:
    """A book that lay there for a moment between two looks of the visit is not there."""
    inbox = Inbox()
    inbox.put(Laid(pad=pad("B-1"), at=instant()))
    for _ in range(MOST + 5):
        inbox.put(Scanned(barcode="1", at=instant()))
    inbox.put(Laid(pad=pad("B-2"), at=instant()))
    seen = []
    while (event := await inbox.next(PAGE, 0.0)) is not None:
        seen.append(event)
    laid = [event for event in seen if isinstance(event, Laid)]
    assert [event.pad.items for event in laid] == [("B-2",)]
    assert len(seen) <= MOST + 1 and inbox.dropped >= 5
