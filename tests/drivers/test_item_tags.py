"""What is said to a tag and what is made of its answers: frames, and conversations with a tag that has troubles."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.item import iso15693 as air
from drivers.item import talk
from drivers.item.talk import Door, NoTransparentExchange, Rules, Seen, Talk, look, secure
from simulators.card import Left
from simulators.item_reader import TagOnReader
from simulators.item_tag import SimulatedTag, Trouble, tag_of
from terminal.core.items import Content, Securing, TagFault

BOOK = Content(item="31000012345678", owner="CN-1101")
UID = bytes.fromhex("E004010000000007")


def carry(said: Talk[object], reader: TagOnReader, *, limit: int = 200) -> object:
    """Carry a conversation as a reader's thread does; None where the tag left."""
    try:
        command = next(said)
        for _ in range(limit):
            command = said.send(reader.answer(command))
    except StopIteration as end:
        return end.value
    except Left:
        return None
    raise AssertionError("it does not end")


def seen(tag: SimulatedTag, rules: Rules | None = None, known: Seen | None = None) -> Seen:
    """What a look tells of a tag."""
    found = carry(look(rules or Rules(), known), TagOnReader(tag))
    assert isinstance(found, Seen)
    return found


@pytest.mark.parametrize("door", list(Door))
@pytest.mark.parametrize("fixed", [False, True])
def test_a_book_is_seen(door: Door, fixed: bool) -> None:
    """In the library and lent, in either layout, whatever the doors look at."""
    for lent in (False, True):
        found = seen(tag_of(7, BOOK, fixed=fixed, lent=lent), Rules(door=door))
        assert (found.tag.content, found.tag.secured, found.tag.uid) == (BOOK, not lent, "E004010000000007")


def test_memory_is_read_once_and_security_each_time() -> None:
    """As long as the same tag lies there."""
    tag = tag_of(7, BOOK)
    first = seen(tag)
    tag.memory = bytes(112)
    tag.afi = 0xC2
    again = seen(tag, known=first)
    assert (again.tag.content, again.tag.secured) == (BOOK, False)
    assert seen(tag_of(8, Content(item="B8")), known=first).tag.item == "B8"


def test_what_was_not_understood_is_read_again() -> None:
    """A weak answer must not stand for a book as long as it lies there."""
    tag = tag_of(7, BOOK)
    whole, tag.memory = tag.memory, bytes(112)
    first = seen(tag)
    assert first.tag.content is TagFault.EMPTY
    tag.memory = whole
    assert seen(tag, known=first).tag.content == BOOK


def test_a_reader_that_gives_less_than_was_asked() -> None:
    """The memory is told as unreadable, not as another book's."""
    tag = tag_of(7, BOOK)
    reader = TagOnReader(tag)
    tag.read = lambda block, size: None  # type: ignore[method-assign]
    found = carry(look(Rules(), None), reader)
    assert isinstance(found, Seen) and found.tag.content is TagFault.UNREADABLE


@pytest.mark.parametrize(
    ("afi", "eas", "expected"),
    [(0x07, True, True), (0xC2, False, False), (0x07, False, None), (0xC2, True, None), (0x00, True, None)],
)
def test_two_kinds_of_doors_must_agree(afi: int, eas: bool, expected: bool | None) -> None:
    """If they do not, nobody can say whether one alarms."""
    tag = tag_of(7, BOOK)
    tag.afi, tag.eas = afi, eas
    assert seen(tag, Rules(door=Door.BOTH)).tag.secured is expected


def test_a_uid_in_either_order() -> None:
    """Readers differ."""
    found = carry(look(Rules(), None), TagOnReader(tag_of(7, BOOK), uid_reversed=True))
    assert isinstance(found, Seen) and found.tag.uid == "E004010000000007"


@pytest.mark.parametrize("uid", ["04112233445566", "0411223344556677", "11223344"])
def test_another_kind_of_card_is_nobody(uid: str) -> None:
    """A social security card that lies on the pad is no book."""
    tag = tag_of(7, BOOK)
    tag.uid = bytes.fromhex(uid)
    assert carry(look(Rules(), None), TagOnReader(tag)) is None


def test_a_tag_that_changed_under_the_look_is_nobody() -> None:
    """One tag's memory is never another tag's name."""
    one, other = TagOnReader(tag_of(7, BOOK)), TagOnReader(tag_of(8, Content(item="B8")))
    answer = one.answer

    def changing(command: bytes) -> bytes:
        nonlocal answer
        answer = other.answer if command[1] == 0xB0 else answer
        return answer(command)

    one.answer = changing  # type: ignore[method-assign]
    assert carry(look(Rules(), None), one) is None


OUTCOMES = {
    None: Securing.DONE,
    Trouble.LEAVES_BEFORE: None,  # the reader's thread tells that it left
    Trouble.LEAVES_AFTER: None,
    Trouble.LEAVES_READING: None,
    Trouble.LOCKED: Securing.WRITE_FAILED,
    Trouble.DEAF: Securing.WRITE_FAILED,
    Trouble.MUMBLES: Securing.DONE,
    Trouble.LIES: Securing.DIFFERS,
}


@pytest.mark.parametrize("door", list(Door))
@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("trouble", OUTCOMES)
def test_what_was_read_back_decides(trouble: Trouble | None, on: bool, door: Door) -> None:
    """Done is said where the tag is as wanted, and nowhere else."""
    tag = tag_of(7, BOOK, lent=on)
    tag.trouble = trouble
    outcome = carry(secure(Rules(door=door), tag.name, on), TagOnReader(tag))
    assert outcome == OUTCOMES[trouble]
    assert outcome is None or is_true(outcome, tag, on, door)


def is_true(outcome: object, tag: SimulatedTag, on: bool, door: Door) -> bool:
    """Whether a door would do what the outcome says."""
    by_afi, by_eas = tag.afi == (0x07 if on else 0xC2), tag.eas is on
    there = {Door.AFI: by_afi, Door.EAS: by_eas, Door.BOTH: by_afi and by_eas}[door]
    return there is (outcome is Securing.DONE)


def test_a_write_that_is_believed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plant: what is read back is what was meant to be written."""
    real = talk._state
    asked = 0

    def believing(rules: Rules, uid: bytes | None) -> Talk[tuple[air.System, bool | None] | None]:
        nonlocal asked
        asked += 1
        found = yield from real(rules, uid)
        return found if asked == 1 or found is None else (found[0], False)

    monkeypatch.setattr(talk, "_state", believing)
    tag = tag_of(7, BOOK)
    tag.trouble = Trouble.LIES
    outcome = carry(secure(Rules(), tag.name, on=False), TagOnReader(tag))
    assert outcome is Securing.DONE and not is_true(outcome, tag, on=False, door=Door.AFI)


def test_what_is_so_already_is_not_written() -> None:
    """A tag bears a limited number of writes."""
    tag = tag_of(7, BOOK)
    assert carry(secure(Rules(), tag.name, True), TagOnReader(tag)) is Securing.DONE
    assert tag.writes == 0


def test_another_tag_in_its_place_is_not_written() -> None:
    """A write is for the tag that was seen."""
    other = tag_of(8, BOOK)
    assert carry(secure(Rules(), tag_of(7, BOOK).name, False), TagOnReader(other)) is Securing.GONE
    assert (other.writes, other.afi) == (0, 0x07)


def test_an_option_flag_where_the_maker_wants_it() -> None:
    """With writes, and with nothing else."""
    tag = tag_of(7, BOOK)
    carry(secure(Rules(door=Door.BOTH, option_flag=True), tag.name, False), TagOnReader(tag))
    assert {frame[1]: frame[0] & 0x40 for frame in tag.frames} == {0x2B: 0, 0xA5: 0, 0x27: 0x40, 0xA3: 0x40}


def test_a_session_left_open_is_ended() -> None:
    """A tag left in the middle of the last one: the reader still has it."""
    reader = TagOnReader(tag_of(7, BOOK))
    reader.answer(air.BEGIN)
    assert isinstance(carry(look(Rules(), None), reader), Seen)
    assert reader.answer(air.BEGIN)[-2:] == air.OK  # the look ended its own


def test_a_reader_without_transparent_exchange_is_told() -> None:
    """It is the wrong reader, and no book's fault."""
    with pytest.raises(NoTransparentExchange):
        carry(look(Rules(), None), TagOnReader(tag_of(7, BOOK), transparent=False))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("C003009000 9702 0011 9000", "0011"),
        ("9702 0011 9000", "0011"),
        ("C003016401 9000", None),  # the tag is silent
        ("9702 00 9000", None),  # cut
        ("9702 0011 6401", None),
        ("97 9000", None),
        ("9000", None),
        ("", None),
    ],
)
def test_the_tags_answer_among_the_readers_objects(answer: str, expected: str | None) -> None:
    """Or none."""
    found = air.answered(bytes.fromhex(answer))
    assert (found.hex() if found is not None else None) == expected


@pytest.mark.parametrize(
    "frame",
    ["", "00", "010F", "000F" + UID[::-1].hex(), "000F" + UID[::-1].hex() + "0607", "0003" + UID[::-1].hex() + "0607",
     "000F" + UID.hex() + "06071B0301"],
)  # fmt: skip
def test_a_tag_that_does_not_say_enough(frame: str) -> None:
    """Cut, refused, without a memory size, or with a UID that is none."""
    assert air.read_system(bytes.fromhex(frame)) is None


def test_a_tag_without_a_dsfid() -> None:
    """Counts as 00."""
    found = air.read_system(bytes.fromhex("0006" + UID[::-1].hex() + "071B03"))
    assert found == air.System(UID, 0, 0x07, 28, 4)


@given(answers=st.lists(st.binary(max_size=60), max_size=60), door=st.sampled_from(Door), writes=st.booleans())
def test_whatever_a_reader_answers_is_an_outcome(answers: list[bytes], door: Door, writes: bool) -> None:
    """Bounded, and never an exception but the reader's own."""
    rules = Rules(door=door)
    reader = TagOnReader(tag_of(7, BOOK))
    left = iter(answers)
    reader.answer = lambda command: next(left, b"\x6f\x00")  # type: ignore[method-assign]
    with contextlib.suppress(NoTransparentExchange):
        found = carry(secure(rules, UID.hex(), True) if writes else look(rules, None), reader)
        assert found is None or isinstance(found, Seen | Securing)
