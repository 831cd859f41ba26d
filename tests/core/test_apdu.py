"""Commands and answers: what is built, what is believed, and where patience ends."""

import pytest

from terminal.core.cards.apdu import (
    UNREADABLE,
    Ask,
    Budget,
    Overrun,
    Side,
    ask_card,
    ask_module,
    command,
    follow,
    read_answer,
)


def whole(first: str, *raw: str, budget: Budget | None = None) -> tuple[str, list[str]]:
    """Follow `first` through these raw answers: the whole answer, and every command that was sent."""
    steps = follow(bytes.fromhex(first), budget or Budget())
    sent = [next(steps).hex()]
    for one in raw:
        try:
            sent.append(steps.send(bytes.fromhex(one)).hex())
        except StopIteration as end:
            return end.value.hex(), sent
    raise AssertionError(f"unfinished after {sent}")


@pytest.mark.parametrize(
    ("sentence", "first", "raw", "answer", "sent"),
    [
        ("as it is", "00b0950008", ["0102 9000"], "01029000", ["00b0950008"]),
        ("fetched", "00a4040001aa", ["6102", "0102 9000"], "01029000", ["00a4040001aa", "00c0000002"]),
        (
            "in two pieces",
            "00a4040001aa",
            ["aa6101", "bb9000"],
            "aabb9000",
            ["00a4040001aa", "00c0000001"],
        ),
        ("another Le", "00b0950008", ["6c02", "0102 9000"], "01029000", ["00b0950008", "00b0950002"]),
        ("with data", "00a4040001aa00", ["6c02", "01029000"], "01029000", ["00a4040001aa00", "00a4040001aa02"]),
        ("only once", "00b0950008", ["6c02", "6c03"], "6c03", ["00b0950008", "00b0950002"]),
        ("nothing at all", "00b0950008", [""], "", ["00b0950008"]),
        ("one byte", "00b0950008", ["90"], "90", ["00b0950008"]),
    ],
)
def test_following(sentence: str, first: str, raw: list[str], answer: str, sent: list[str]) -> None:
    """61xx is fetched, 6Cxx asked again once."""
    assert whole(first, *raw) == (answer, sent), sentence


def test_61xx_for_ever_ends_at_the_budget() -> None:
    """A card that always has more is given up."""
    with pytest.raises(Overrun, match="commands"):
        whole("00b0950008", *["6110"] * 100, budget=Budget(commands=32))


def test_64_kb_end_at_the_budget() -> None:
    """What no short answer can be is not collected."""
    with pytest.raises(Overrun, match="bytes"):
        whole("00b0950008", "00" * 65536 + "9000")


@pytest.mark.parametrize(
    ("sentence", "raw", "data", "sw"),
    [
        ("a status word", "9000", "", 0x9000),
        ("data and a status word", "01026283", "0102", 0x6283),
        ("nothing", "", "", UNREADABLE),
        ("one byte", "90", "", UNREADABLE),
        ("too much", "00" * 257 + "9000", "", UNREADABLE),
    ],
)
def test_an_answer(sentence: str, raw: str, data: str, sw: int) -> None:
    """Two bytes at the end, or it is no answer."""
    found = read_answer(bytes.fromhex(raw))
    assert (found.data.hex(), found.sw) == (data, sw), sentence
    assert found.good == (sw == 0x9000)


def test_commands() -> None:
    """The four shapes of a short command."""
    assert command(0x00, 0x84, 0, 0).hex() == "00840000"
    assert command(0x00, 0x84, 0, 0, le=8).hex() == "0084000008"
    assert command(0x80, 0x72, 0, 0, b"\x01\x02").hex() == "80720000020102"
    assert command(0x00, 0xA4, 4, 0, b"\x01", 0).hex() == "00a40400010100"


def test_a_conversation_says_whom_it_asks() -> None:
    """The card and the module stand in slots of their own."""
    for ask, side in ((ask_card, Side.CARD), (ask_module, Side.MODULE)):
        steps = ask(b"\x00\x84\x00\x00")
        assert next(steps) == Ask(side, b"\x00\x84\x00\x00")
        with pytest.raises(StopIteration) as end:
            steps.send(b"\x90\x00")
        assert end.value.value.good
