"""What a site seals for itself: the link table, and books still to be told of."""

import pytest

from terminal.core.base import Ref
from terminal.core.reader_links import PURPOSE, Link, find, line, number_of, table, without
from terminal.core.site_key import NotOurs, key_of, seal, unseal
from tests.core.cases import ref

KEY, OTHER = bytes(range(32)), bytes(32)
AMBER = Link(number="11010519491231002X", reader_class="adult")


def test_it_opens_with_its_key_for_its_purpose() -> None:
    """Another key, another purpose, a changed or a short text: not ours."""
    sealed = seal(KEY, b"n" * 12, b"waits", b"secret")
    assert unseal(KEY, b"waits", sealed) == b"secret"
    for key, purpose, data in (
        (OTHER, b"waits", sealed),
        (KEY, b"words", sealed),
        (KEY, b"waits", sealed[:-1] + b"\x00"),
        (KEY, b"waits", b"short"),
        (KEY, b"waits", b""),
    ):
        with pytest.raises(NotOurs):
            unseal(key, purpose, data)


def test_a_key_is_64_hexadecimal_digits() -> None:
    """Nothing else is one."""
    assert key_of(KEY.hex() + "\n") == KEY
    for text in ("", "zz", KEY.hex()[2:]):
        with pytest.raises(ValueError, match=r"key|hex"):
            key_of(text)


def test_a_link_is_found_under_its_card_and_no_other() -> None:
    """A line moved to another card names nobody; the later of two lines counts."""
    amber, birch = ref("amber"), ref("birch")
    text = line(amber, Link(number="old"), KEY, b"1" * 12) + line(amber, AMBER, KEY, b"2" * 12)
    links, bad = table(text + "rubbish\n\nzz zz\n")
    assert bad == 2
    found = find(links, (birch, amber), KEY)
    assert found == AMBER and number_of(AMBER) == AMBER.number
    assert find(links, (birch,), KEY) is None
    assert find({birch: links[amber]}, (birch,), KEY) is None
    assert find(links, (amber,), OTHER) is None


def test_a_reader_is_forgotten_with_every_line_of_theirs() -> None:
    """Card and account; a card that is another's now stays so, and one that was another's before is nobody's."""
    amber, birch, caro, dora = ref("amber"), ref("birch"), ref("caro"), ref("dora")
    mine, other = Link(number="R-1"), Link(number="R-2")
    stay = [
        "rubbish\n",
        line(dora, mine, OTHER, b"2" * 12),  # of another key: nobody knows whose
        line(caro, other, KEY, b"3" * 12),
    ]
    go = [
        line(amber, other, KEY, b"4" * 12),  # would count again
        line(amber, mine, KEY, b"5" * 12),
        line(birch, mine, KEY, b"6" * 12),
        line(caro, mine, KEY, b"7" * 12),  # does not count
    ]
    left, gone = without("".join((*go, *stay)), "R-1", KEY)
    assert (left, gone) == ("".join(stay), 2)  # amber and birch
    assert find(table(left)[0], (amber, birch), KEY) is None and find(table(left)[0], (caro,), KEY) == other
    assert without(left, "R-1", KEY) == (left, 0) and without("", "R-1", KEY) == ("", 0)


def test_a_copy_of_the_table_names_nobody() -> None:
    """Neither number nor class stands in it."""
    text = line(ref("amber"), AMBER, KEY, b"1" * 12)
    assert AMBER.number not in text and "adult" not in text


def test_a_line_sealed_for_something_else_is_nobody() -> None:
    """Well sealed, and no reader."""
    amber = Ref(ref("amber"))
    assert find({amber: seal(KEY, b"1" * 12, PURPOSE + amber, b"no json")}, (amber,), KEY) is None
