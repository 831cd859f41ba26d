"""What a stream of pictures presents: each code once while it is there, and never two by one picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera.presence import Presence
from terminal.core.model import Reason

A, B = b"a ride code", b"another one"
STEP = 33_000_000  # nanoseconds: a picture at 30 a second


def watched(presence: Presence, pictures: str, *, step_ns: int = STEP, from_ns: int = 10**12) -> list[bytes | Reason]:
    """What is presented by pictures: "a", "b", "2" both, "." none, "_" a picture nobody looked at."""
    holds = {"a": [A], "b": [B], "2": [A, B], ".": []}
    given_: list[bytes | Reason] = []
    for number, picture in enumerate(pictures):
        if picture != "_":
            given_ += presence.look(holds[picture], from_ns + number * step_ns)
    return given_


GATE = [
    ("held out for three seconds", "..." + "a" * 90, [A]),
    ("read now and then while it trembles", "a..a....a.a" * 5, [A]),
    ("taken away for a second, then shown again", "aaa" + "." * 30 + "aaa", [A, A]),
    ("lies still, so that nobody looks for long", "aaa" + "_" * 600 + "aaa", [A]),
    ("taken away, nothing moves, and back in the very first picture", "aaa" + "....." + "_" * 60 + "a", [A, A]),
    ("two at once", "2" * 60, [Reason.TWO_CODES]),
    ("two at once, one of them not always read", "2a2b22a2bb2a" * 3, [Reason.TWO_CODES]),
    ("two at once, then one is taken away", "2222" + "a" * 30, [Reason.TWO_CODES, A]),
    ("one, then another is held beside it", "aaa" + "2" * 30, [A, Reason.TWO_CODES]),
    ("one after the other", "aaa" + "." * 12 + "bbb", [A, B]),
    ("one right behind the other waits a moment", "aaabbbbbbbbbbbbb", [A, B]),
    ("one flashes up behind the other", "aaabaaa", [A]),
    ("two, gone, two again", "22" + "." * 40 + "22", [Reason.TWO_CODES, Reason.TWO_CODES]),
    ("a poster is scenery after half a minute", "a" * 950 + "2" * 30, [A, B]),
    ("a code that lay there half a minute is still not presented twice", "a" * 1200, [A]),
]


@pytest.mark.parametrize(("pictures", "presented"), [row[1:] for row in GATE], ids=[row[0] for row in GATE])
def test_at_a_gate(pictures: str, presented: list[bytes | Reason]) -> None:
    """Each row a scene."""
    assert watched(Presence(several=False), pictures) == presented


def test_at_a_kiosk_both_are_used() -> None:
    """Two books on the table, each once."""
    assert watched(Presence(several=True), "2a2b2ab22") == [A, B]


def test_a_phone_that_lies_still_is_missed_once_and_has_not_left() -> None:
    """Looked at once a second, one look in vain: still the same presentation."""
    assert watched(Presence(several=False), "aa.aa.aa", step_ns=900_000_000) == [A]


def test_what_the_lane_could_not_finish_comes_again() -> None:
    """While it is there, not more often than twice a second; what has gone does not."""
    presence = Presence(several=False)
    assert watched(presence, "aaa") == [A]
    presence.again()
    assert watched(presence, "a" * 10, from_ns=10**12 + 3 * STEP) == []
    assert watched(presence, "a" * 10, from_ns=10**12 + 16 * STEP) == [A]
    presence.again()
    assert watched(presence, "." * 60, from_ns=10**12 + 30 * STEP) == []


def test_an_older_picture_says_nothing() -> None:
    """Moments never go back."""
    presence = Presence(several=False)
    assert presence.look([A], 2_000) == [A]
    assert presence.look([B], 1_000) == []


@given(st.lists(st.sets(st.sampled_from([b"a", b"b", b"c", b"d"])), max_size=200), st.booleans())
def test_no_picture_ever_opens_for_two(pictures: list[set[bytes]], kiosk: bool) -> None:
    """Whatever is held out, in whatever order: at a gate at most one payload a picture, never one of two."""
    presence = Presence(several=kiosk)
    for number, payloads in enumerate(pictures):
        presented = presence.look(sorted(payloads), number * STEP)
        if not kiosk:
            assert len(presented) <= 1
            assert presented in ([], [Reason.TWO_CODES]) or len(payloads) == 1
        assert {one for one in presented if not isinstance(one, Reason)} <= payloads


def test_memory_is_bounded() -> None:
    """A screen that shows ten thousand codes a minute."""
    presence = Presence(several=True)
    for number in range(10_000):
        presence.look([b"%d" % number], number * STEP)
    assert len(presence._held) <= 64
