"""Lengths of pictures: what they may say, for how long, and that no phone hides behind them."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera.frames import FrameSource, Health, JpegPicture, Picture
from drivers.camera.lengths import BELIEVED_S, DOUBT_S, ENOUGH, Lengths
from drivers.camera.looking import Looker
from drivers.camera.messages import Order
from drivers.camera.pipeline import LOOK_AT_REST_S, Pipeline
from simulators.painting import Held, Painter, Shown, coming, jpeg, trembling

PAINTER = Painter(640, 360, seed=2)
NOBODY = [jpeg(PAINTER.picture((), number)) for number in range(8)]
PAYLOAD = bytes(range(100))
PERIOD_S = 0.1


def usual(at_s: float = 0.0) -> Lengths:
    """After some pictures of about 10,000 bytes."""
    lengths = Lengths()
    for number in range(2 * ENOUGH):
        lengths.decoded(10_000 + 20 * (number % 3), at_s + number / 10, changed=False)
    return lengths


LAST_S = (2 * ENOUGH - 1) / 10
TOLD = [
    ("as long as ever", 10_010, LAST_S + 0.1, True),
    ("longer", 10_200, LAST_S + 0.1, False),
    ("shorter", 9_800, LAST_S + 0.1, False),
    ("too long after the last that was decoded", 10_010, LAST_S + BELIEVED_S, False),
    ("before it", 10_010, LAST_S - 0.1, False),
    ("not compressed", 0, LAST_S + 0.1, False),
]


@pytest.mark.parametrize(("length", "now_s", "nothing"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
def test_what_a_length_says(length: int, now_s: float, nothing: bool) -> None:
    """Nothing came, or nothing at all."""
    assert usual().say_nothing_came(length, now_s) is nothing


def test_a_few_pictures_make_nothing_usual() -> None:
    """Nor do pictures that vary too much."""
    few, wild, unknown = Lengths(), Lengths(), Lengths()
    for number in range(ENOUGH - 1):
        few.decoded(10_000, number / 10, changed=False)
    for number in range(40):
        wild.decoded(10_000 + 2_000 * (number % 2), number / 10, changed=False)
        unknown.decoded(0, number / 10, changed=False)
    assert not few.say_nothing_came(10_000, ENOUGH / 10)
    assert not wild.say_nothing_came(10_000, 4.0)
    assert not unknown.say_nothing_came(0, 4.0)  # what was never compressed has no length


def test_one_that_was_wrong_is_not_asked_again_for_long() -> None:
    """Something moved in a picture as long as ever."""
    lengths = usual()
    lengths.decoded(10_010, LAST_S + 0.1, changed=True)
    for later_s, nothing in ((0.2, False), (DOUBT_S - 1, False), (DOUBT_S + 1, True)):
        lengths.decoded(10_010, LAST_S + later_s, changed=False)
        assert lengths.say_nothing_came(10_010, LAST_S + later_s + 0.1) is nothing


def test_a_change_that_was_announced_costs_no_belief() -> None:
    """It was longer, and decoded for that."""
    lengths = usual()
    lengths.decoded(14_000, LAST_S + 0.1, changed=True)
    lengths.decoded(10_010, LAST_S + 0.2, changed=False)
    assert lengths.say_nothing_came(10_010, LAST_S + 0.3)


@given(st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), min_size=1, max_size=60))
def test_however_long_pictures_are_one_is_decoded_in_time(pictures: list[tuple[int, bool]]) -> None:
    """Never more than a quarter of a second without."""
    lengths, decoded_s = Lengths(), 0.0
    lengths.decoded(pictures[0][0], 0.0, changed=False)
    for number, (length, changed) in enumerate(pictures, 1):
        now_s = number * PERIOD_S
        if not lengths.say_nothing_came(length, now_s):
            lengths.decoded(length, now_s, changed=changed)
            decoded_s = now_s
        assert now_s - decoded_s < BELIEVED_S


# --------------------------------------------------------------------------- before a camera


class Row(FrameSource):
    """A source that is handed its pictures, and told its time."""

    def __init__(self) -> None:
        self.health = Health()
        self.picture: Picture | None = None

    def newest(self, after_ns: int, within_s: float, rest_ns: int = 0) -> Picture | None:
        return self.picture


class Stand:
    """A looker ten times a second, and pictures that were decoded."""

    def __init__(self, pad: int = 0) -> None:
        order = Order(
            source="", formats=("QRCode",), mode="gate", width=640, height=360, rate=30, exposure_ms=None,
            check_hz=10, budget_ms=200, memory_mib=256,
        )  # fmt: skip
        self.row, self.pad, self.now_s = Row(), pad, 100.0
        self.looker = Looker(self.row, Pipeline(("QRCode",)), order, confined=False)
        self.decoded: list[float] = []
        self.numbers = itertools.count()

    def see(self, data: bytes) -> list[bytes]:
        """A tenth of a second later, or a thirtieth while it is awake; payloads."""
        self.now_s += PERIOD_S if self.looker._at_rest else PERIOD_S / 3
        self.row.picture = picture = JpegPicture(data.ljust(self.pad, b"\0"), round(self.now_s * 1e9))
        before, decode = len(self.decoded), picture._decode

        def noted(how: int) -> object:
            if len(self.decoded) == before:
                self.decoded.append(self.now_s)
            return decode(how)

        picture._decode = noted  # type: ignore[method-assign, assignment]  # to know which were
        return [one.payload for look in self.looker.next(0.0) for one in look.symbols]

    def wait(self, seconds: float) -> None:
        """Nobody comes."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.see(NOBODY[next(self.numbers) % 8])

    def comes(self, held: Held) -> float:
        """Somebody does; seconds until the first picture with him in it was decoded that was not like the last."""
        random, began_s = Random(1), self.now_s
        for number in range(60):
            part = min(1.0, (self.now_s - began_s) / 0.4)
            how = coming(trembling(held, random), part, "below")
            if PAYLOAD in self.see(jpeg(PAINTER.picture([Shown(PAYLOAD, how)], number))):
                break
            if not self.looker._at_rest:
                break
        return self.now_s - began_s


def test_an_idle_camera_decodes_every_third_picture_it_asks() -> None:
    """And the whole frame when it is due."""
    stand = Stand()
    stand.wait(12.0)
    stand.decoded.clear()
    stand.wait(12.0)
    assert 36 <= len(stand.decoded) <= 60
    assert max(later - sooner for sooner, later in itertools.pairwise(stand.decoded)) < BELIEVED_S + PERIOD_S + 1e-6


WAYS = {
    "bright": Held(),
    "dim": Held(bright=0.3),
    "nearly dark": Held(bright=0.05),
    "dim, small and blurred": Held(code=0.3, bright=0.2, blur=1.5),
    "out of focus": Held(blur=3.0),
}


@pytest.mark.parametrize("held", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("pad", [0, 120_000], ids=["lengths as they come", "every picture of one length"])
def test_nobody_comes_unseen(held: Held, pad: int) -> None:
    """He wakes it no later than without lengths, or within a quarter of a second where they say nothing; once."""
    stand, plain = Stand(pad), Stand(pad)
    plain.looker._period_ns = 0  # decodes every picture
    for one in (stand, plain):
        one.wait(12.0)
    late_s = stand.comes(held) - plain.comes(held)
    assert not stand.looker._at_rest and not plain.looker._at_rest
    assert late_s < (BELIEVED_S + PERIOD_S if pad else 1e-6)
    stand.wait(20.0)
    stand.decoded.clear()
    stand.wait(3.0)
    assert (len(stand.decoded) >= 29) is bool(pad)  # where a length was wrong, none is believed any more


def test_a_phone_that_lies_there_is_read() -> None:
    """From the first picture on, and again by its frame's whole look, though no length changes."""
    stand = Stand()
    lying = [jpeg(PAINTER.picture([Shown(PAYLOAD, Held())], number)) for number in range(8)]
    assert PAYLOAD in stand.see(lying[0])
    seen_s = [stand.now_s for number in range(300) if PAYLOAD in stand.see(lying[number % 8])]
    assert stand.now_s - seen_s[-1] <= LOOK_AT_REST_S + PERIOD_S
    assert max(later - sooner for sooner, later in itertools.pairwise(seen_s)) <= LOOK_AT_REST_S + PERIOD_S
