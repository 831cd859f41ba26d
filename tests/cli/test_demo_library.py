"""What the demo says of its library: a loan that nobody knows of any more is counted as lost."""

from pathlib import Path
from typing import Any

import pytest

from simulators import pki
from simulators.parameters import ParameterOffice
from terminal.cli.demo_library import figures
from terminal.core.base import EntryName, Ref
from terminal.core.entries import Entry, Fact
from terminal.core.loans import Circulated, Circulation, Fate, Replayed
from terminal.core.model import Reason
from tests.core.cases import instant
from tests.journal_cases import decided


def name(sequence: int) -> EntryName:
    return EntryName(epoch=b"epoch--1", sequence=sequence)


def entry(fact: Fact, sequence: int) -> Entry:
    return Entry(terminal="T1", name=name(sequence), previous=bytes(32), at=instant(), fact=fact)


MADE = {"kind": "library_lent", "book": "30000001"}
TOLD = Replayed(of=name(1), fate=Fate.DONE, reason=Reason.BORROWED)
LISTED = Replayed(of=name(1), fate=Fate.LISTED, reason=Reason.LOAN_REFUSED)
UNDONE = Circulated(lane="desk", what=Circulation.UNDONE, reason=Reason.BOOK_NOT_RELEASED, of=name(1))


@pytest.mark.parametrize(
    ("sentence", "waits", "more", "events", "lost"),
    [
        ("made by the library system", False, [], [MADE], 0),
        ("written, and never made: lost", False, [], [], 1),
        ("still waiting to be told", True, [], [], 0),
        ("told, and made", True, [TOLD], [MADE], 0),
        ("said to be told, and never made: lost", True, [TOLD], [], 1),
        ("on the librarian's list", True, [LISTED], [], 0),
        ("undone", False, [UNDONE], [], 0),
        ("another book was made: lost", False, [], [MADE | {"book": "30000002"}], 1),
    ],
)
def test_a_lost_loan_is_counted(
    sentence: str, waits: bool, more: list[Fact], events: list[dict[str, Any]], lost: int, tmp_path: Path
) -> None:
    """From what others did, not from what the terminal says."""
    keys = pki.write_office_keys(tmp_path / "office-keys")
    parameters = ParameterOffice(tmp_path / "parameters", keys)
    parameters.publish(1_700_000_000_000)
    book = parameters.ref("book", b"30000001")
    loan = Circulated(lane="desk", what=Circulation.LENT, reason=Reason.BORROWED, book=book, waits=waits)
    written = [entry(fact, number) for number, fact in enumerate([loan, *more], 1)]
    found = figures(tmp_path, written, events)
    assert (found["loans"], found["loans_lost"]) == (1, lost), sentence


@pytest.mark.parametrize(
    ("sentence", "returned", "reader", "lost"),
    [
        ("held out once more by who has it: the same loan", False, "anna", 0),
        ("brought back in between, and never made again: lost", True, "anna", 1),
        ("by somebody else, and never made again: lost", False, "bert", 1),
    ],
)
def test_a_book_held_out_once_more(sentence: str, returned: bool, reader: str, lost: int, tmp_path: Path) -> None:
    """A kiosk that was killed offline lends it again to its reader; the library system says that they have it."""
    keys = pki.write_office_keys(tmp_path / "office-keys")
    parameters = ParameterOffice(tmp_path / "parameters", keys)
    parameters.publish(1_700_000_000_000)
    book = parameters.ref("book", b"30000001")
    back = Circulated(lane="desk", what=Circulation.RETURNED, reason=Reason.RETURNED, book=book)
    facts: list[Fact] = [decided("anna"), loan(book, 1), decided(reader), *([back] if returned else []), loan(book, 3)]
    written = [entry(fact, number) for number, fact in enumerate(facts, 1)]
    assert figures(tmp_path, written, [MADE])["loans_lost"] == lost, sentence


def loan(book: Ref, of: int) -> Circulated:
    return Circulated(lane="desk", what=Circulation.LENT, reason=Reason.BORROWED, book=book, of=name(of))
