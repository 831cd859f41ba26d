"""Pictures in, symbols out: what a code holds comes back bit for bit, and nothing is believed too easily.

Laws of this file:
- Pictures are painted here from codes that an independent library encodes; nothing of the decoders makes them.
"""

import random
from typing import Any

import cv2
import numpy as np
import pytest
import segno
import zxingcpp

from drivers.camera import pictures, zbar
from drivers.camera.agreement import Agreement, ean13_fits, undisputed
from drivers.camera.exhaustive import look_hard
from drivers.camera.ladder import LINEAR_RUNGS, MATRIX_RUNGS, Ladder
from drivers.camera.motion import Motion
from drivers.camera.pipeline import LADDER_S, LOOK_EVERY_S, Pipeline, still
from drivers.camera.symbols import FORMATS, Symbol, merged
from drivers.camera.zxing import Seen

QR = ["QRCode"]
BARS = ["EAN13", "Code39", "Code128", "Codabar"]
needs_zbar = pytest.mark.skipif(not zbar.available(), reason="libzbar is not installed")


def painted(payload: bytes, *, module: int = 4, dark: int = 0, light: int = 255) -> Any:
    """A QR code in byte mode with its quiet zone."""
    code = segno.make_qr(payload, mode="byte", error="l", boost_error=False)
    bits = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    return np.kron(np.where(bits, dark, light), np.ones((module, module))).astype(np.uint8)


def placed(*codes: tuple[Any, int, int], size: tuple[int, int] = (720, 1280), level: int = 128) -> Any:
    """A frame of one gray with codes at (left, top)."""
    frame = np.full(size, level, np.uint8)
    for code, left, top in codes:
        frame[top : top + code.shape[0], left : left + code.shape[1]] = code
    return frame


def bars(text: str, name: str) -> Any:
    """A row of bars with its quiet zone, in a frame."""
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, name))
    image = np.array(zxingcpp.write_barcode_to_image(code, scale=3))
    return placed((np.pad(image, 30, constant_values=255), 100, 100))


def small(frame: Any) -> Any:
    """What the motion gate sees."""
    return cv2.resize(frame, (160, 90), interpolation=cv2.INTER_AREA)


# --------------------------------------------------------------------------- bit for bit


def test_random_binary_payloads_survive_bit_for_bit() -> None:
    """200 payloads of 64 to 400 bytes, as a phone's screen shows them."""
    draw = random.Random(5)
    pipeline = Pipeline(QR)
    for number in range(200):
        payload = draw.randbytes(draw.randint(64, 400))
        found = pipeline.look(placed((painted(payload), 200, 60)), number * 1.0)
        assert [one.payload for one in found] == [payload]


@needs_zbar
def test_the_other_decoder_keeps_binary_too() -> None:
    """What pyzbar as shipped takes for text in some character set."""
    draw = random.Random(6)
    reader = zbar.Zbar(QR)
    for _ in range(40):
        payload = draw.randbytes(draw.randint(64, 200))
        assert [one.payload for one in reader.read(placed((painted(payload), 200, 60)), "zbar")] == [payload]


@pytest.mark.parametrize(
    ("text", "name"),
    [("9780804816632", "EAN13"), ("SHELF 7-B", "Code39"), ("Reader/0042", "Code128"), ("A40156B", "Codabar")],
)
def test_bars_say_their_characters(text: str, name: str) -> None:
    """Books and old library cards; only what was asked for is looked for."""
    frame = bars(text, name)
    (found,) = Pipeline(BARS).look(frame, 0.0)
    assert (found.payload, found.format, found.is_linear) == (text.encode(), name, True)
    assert Pipeline(QR).look(frame, 0.0) == []


# --------------------------------------------------------------------------- several codes, and where they lie


def test_two_codes_in_one_picture_are_both_told() -> None:
    """A gate refuses them as ambiguous; it must hear of both."""
    frame = placed((painted(b"one"), 100, 100), (painted(b"two"), 800, 300))
    for read in (Pipeline(QR).look(frame, 0.0), look_hard(frame, QR), still(frame, QR)):
        assert {one.payload for one in read} == {b"one", b"two"}


def test_a_second_code_outside_what_moved_is_told_with_the_first() -> None:
    """A phone lies still, another comes: the fast look at what moved must not hide the first."""
    lying = placed((painted(b"lying"), 800, 300))
    pipeline = Pipeline(QR)
    for frame in range(60):
        pipeline.wants(small(lying), frame / 30)
    pipeline.look(lying, 2.0)
    both = placed((painted(b"lying"), 800, 300), (painted(b"coming"), 100, 100))
    assert pipeline.wants(small(both), 2.1)
    assert {one.payload for one in pipeline.look(both, 2.1)} == {b"lying", b"coming"}


def test_corners_are_of_the_whole_frame() -> None:
    """Whatever part of it was looked at, and at whatever size."""
    frame = placed((painted(b"here"), 800, 300))
    pipeline = Pipeline(QR)
    pipeline.wants(small(placed()), 0.0)
    pipeline.look(placed(), 0.0)
    assert pipeline.wants(small(frame), 0.1)
    (found,) = pipeline.look(frame, 0.1)
    x, y = found.centre
    assert 840 < x < 900 and 340 < y < 400


@pytest.mark.parametrize("number", range(len(MATRIX_RUNGS)))
def test_a_rung_tells_where_a_code_lies(number: int) -> None:
    """Every rung reads an easy code of the kind it is for, and scales its corners back."""
    name = MATRIX_RUNGS[number].name
    if "zbar" in name and not zbar.available():
        pytest.skip("libzbar is not installed")
    dark, light = {"inverted": (255, 20), "only the darkest": (10, 200)}.get(name, (20, 255))
    code = painted(b"rung", module=3 if "outlined" in name else 8, dark=dark, light=light)
    left, top = 916 - code.shape[1] // 2, 416 - code.shape[0] // 2
    found = Ladder(QR).attempt(number, placed((code, left, top), level=60)).symbols
    assert [one.payload for one in found] == [b"rung"]
    x, y = found[0].centre
    assert abs(x - 916) < 16 and abs(y - 416) < 16


@needs_zbar
@pytest.mark.parametrize("number", range(len(LINEAR_RUNGS)))
def test_a_rung_for_bars_reads_bars(number: int) -> None:
    """And lies over them."""
    (found,) = Ladder(BARS).attempt(number, bars("9780804816632", "EAN13")).symbols
    assert found.payload == b"9780804816632" and found.holds((250.0, 200.0))


# --------------------------------------------------------------------------- what to believe


def symbol(payload: bytes, *, rung: str = "plain", format: str = "EAN13", left: float = 0.0) -> Symbol:
    """A symbol 100 pixels wide."""
    corners = ((left, 0.0), (left + 100, 0.0), (left + 100, 50.0), (left, 50.0))
    return Symbol(payload=payload, format=format, corners=corners, rung=rung, score=1.0)


GOOD, ALSO_GOOD, BAD = b"9780804816632", b"5030159003930", b"9780804816633"


@pytest.mark.parametrize(
    ("why", "frames", "believed"),
    [
        ("read as it came: at once", [[symbol(GOOD)]], [GOOD]),
        ("hard to read: not at once", [[symbol(GOOD, rung="zbar, bars")]], []),
        ("hard to read, twice: yes", [[symbol(GOOD, rung="zbar, bars")]] * 2, [GOOD]),
        ("twice, but another value", [[symbol(GOOD, rung="z")], [symbol(ALSO_GOOD, rung="z")]], []),
        ("twice, but too long ago", [[symbol(GOOD, rung="z")], *([[]] * 30), [symbol(GOOD, rung="z")]], []),
        ("a check digit that does not fit", [[symbol(BAD)]] * 2, []),
        ("a check digit that does not fit, by a rung", [[symbol(BAD, rung="z")]] * 2, []),
        ("two values from one place", [[symbol(GOOD), symbol(ALSO_GOOD, left=20)]], []),
        ("two values side by side", [[symbol(GOOD), symbol(ALSO_GOOD, left=300)]], [GOOD, ALSO_GOOD]),
        ("a square is believed at once, from any rung", [[symbol(b"\x00", rung="z", format="QRCode")]], [b"\x00"]),
        ("Codabar begins and ends with a letter", [[symbol(b"40156", rung="z", format="Codabar")]] * 2, []),
        ("Codabar, twice", [[symbol(b"A40156B", rung="z", format="Codabar")]] * 2, [b"A40156B"]),
        ("Code 39 has no lower case", [[symbol(b"shelf", rung="z", format="Code39")]] * 2, []),
        ("Code 128, twice", [[symbol(b"Reader", rung="z", format="Code128")]] * 2, [b"Reader"]),
        ("a format nobody asked for", [[symbol(b"1", rung="z", format="ITF")]] * 2, []),
    ],
)
def test_which_symbols_are_believed(why: str, frames: list[list[Symbol]], believed: list[bytes]) -> None:
    """A tenth of a second between frames."""
    agreement = Agreement()
    told: list[Symbol] = []
    for number, frame in enumerate(frames):
        told = agreement.believed(frame, number / 10)
    assert [one.payload for one in told] == believed, why


def test_check_digits() -> None:
    """Every single wrong digit is found."""
    assert ean13_fits(GOOD) and not ean13_fits(GOOD[:12]) and not ean13_fits(b"978080481663X")
    for place in range(13):
        for digit in b"0123456789":
            wrong = GOOD[:place] + bytes([digit]) + GOOD[place + 1 :]
            assert ean13_fits(wrong) == (wrong == GOOD)


def test_one_place_is_one_symbol() -> None:
    """Read twice it is one; two alike side by side are two."""
    first, again, beside = symbol(GOOD), symbol(GOOD, left=4, rung="z"), symbol(GOOD, left=300)
    assert merged([first], [again, beside]) == [first, beside]
    assert undisputed([first, beside]) == [first, beside]


# --------------------------------------------------------------------------- when to look


def test_an_idle_camera_is_looked_at_once_a_second_then_less() -> None:
    """30 frames a second of nothing: about once a second at first, each three seconds once it rests."""
    pipeline, empty = Pipeline(QR), placed()
    looks = []
    for frame in range(900):
        if pipeline.wants(small(empty), frame / 30):
            looks.append(frame)
            assert pipeline.look(empty, frame / 30) == []
    assert 3 <= len([frame for frame in looks if 50 < frame <= 150]) <= 5
    assert 7 <= len([frame for frame in looks if frame > 180]) <= 9


def test_a_phone_that_lies_there_at_the_start_is_seen_within_a_second() -> None:
    """One that only a rung can read, too: light on dark."""
    frame = placed((painted(b"night", dark=255, light=20), 500, 200))
    pipeline = Pipeline(QR)
    seen = [
        at / 30
        for at in range(60)
        if pipeline.wants(small(frame), at / 30)
        and any(one.payload == b"night" for one in pipeline.look(frame, at / 30))
    ]
    assert seen and seen[0] < 1.0


def count_rungs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which rungs are tried, from now on; none of them reads."""
    tried: list[int] = []

    def attempt(ladder: Ladder, number: int, gray: Any) -> Seen:
        tried.append(number)
        return Seen([], [])

    monkeypatch.setattr(Ladder, "attempt", attempt)
    return tried


def test_the_ladder_rests_after_a_second_of_misses_and_moves_again_with_motion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Something that moves once and cannot be read costs rungs for a second."""
    tried = count_rungs(monkeypatch)
    pipeline = Pipeline(QR)

    def watch(frame: Any, since_s: float, seconds: float) -> int:
        before = len(tried)
        for number in range(int(seconds * 30)):
            now = since_s + number / 30
            if pipeline.wants(small(frame), now):
                pipeline.look(frame, now)
        return len(tried) - before

    hand = placed((np.full((300, 300), 30, np.uint8), 400, 200))
    watch(placed(), 0.0, 2.0)
    assert watch(placed(), 2.0, 5.0) == 0
    assert 0 < watch(hand, 10.0, 8.0) <= 30 * LADDER_S + 1
    assert watch(hand, 18.0, 3.0) <= 3
    assert watch(placed(), 30.0, 1.0) > 3
    assert tried[0] <= 1  # from the beginning; the very first is not for whole frames


def test_a_picture_that_never_stands_still_is_tried_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A street behind the door: a third of the frames, not all."""
    tried = count_rungs(monkeypatch)
    pipeline = Pipeline(QR)
    for number in range(300):
        frame = placed((np.full((200, 200), 255, np.uint8), (number * 37) % 1000, 200))
        if pipeline.wants(small(frame), number / 30):
            pipeline.look(frame, number / 30)
    assert 60 < len(tried) < 200


def test_a_kiosk_climbs_the_whole_ladder_on_one_frame() -> None:
    """It may: nobody walks by."""
    frame = placed((painted(b"glare", dark=200, light=255), 500, 200), level=255)
    dark = 255 - frame
    assert [one.payload for one in Pipeline(QR, mode="kiosk").look(dark, 0.0)] == [b"glare"]


def test_a_lamp_switched_on_is_not_motion() -> None:
    """All pixels alike; a hand is."""
    motion = Motion()
    assert motion.watch(small(placed(level=90)), active=False) is None
    assert motion.watch(small(placed(level=130)), active=False) is None
    hand = small(placed((np.full((200, 200), 255, np.uint8), 640, 360), level=130))
    change, later = motion.watch(hand, active=True), motion.watch(hand, active=True)
    assert change is not None and change.moving and later is not None and not later.moving
    left, top, right, bottom = change.box
    assert abs(left - 0.5) < 0.02 and abs(top - 0.5) < 0.02 and right < 0.7 and bottom < 0.82
    assert motion.watch(np.zeros((60, 80), np.uint8), active=False) is None  # another size begins anew


# --------------------------------------------------------------------------- bad pictures


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 500), (500, 1), (2, 3), (90, 160)])
@pytest.mark.parametrize("fill", [0, 255, None])
def test_no_picture_is_too_bad(shape: tuple[int, int], fill: int | None) -> None:
    """Nothing is seen, nothing is raised."""
    noise = np.random.default_rng(1).integers(0, 255, shape)
    frame = (noise if fill is None else np.full(shape, fill)).astype(np.uint8)
    assert still(frame, FORMATS) == [] and look_hard(frame, FORMATS) == []
    assert Pipeline(FORMATS).look(frame, 0.0) == []


def test_without_libzbar_a_rung_is_missing_and_all_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and reads on."""
    monkeypatch.setattr(zbar, "_library", lambda: None)
    assert not zbar.available()
    assert zbar.Zbar(QR).read(placed((painted(b"x"), 100, 100)), "zbar") == []
    assert [one.payload for one in still(placed((painted(b"x"), 100, 100)), QR)] == [b"x"]


def test_a_rung_for_a_part_is_left_out_of_a_whole_frame() -> None:
    """And the next one is taken in its place."""
    ladder = Ladder(QR)
    parts = [number for number in range(len(ladder)) if MATRIX_RUNGS[number].part]
    assert parts and not any(ladder.suits(number, placed()) for number in parts)
    assert all(ladder.suits(number, np.zeros((600, 600), np.uint8)) for number in range(len(ladder)))


def test_treatments_keep_the_size_and_the_type() -> None:
    """But for scaling, which never gives nothing."""
    gray = placed((painted(b"x"), 100, 100))
    for treat in (pictures.evened, pictures.sharpened, pictures.thickened):
        assert treat(gray).shape == gray.shape and treat(gray).dtype == np.uint8
    assert pictures.bent(gray, 2.0).max() == 255 and pictures.cut(gray, 200).max() == 255
    assert pictures.scaled(gray, 0.0001, 0.0001).shape == (1, 1)
    assert LOOK_EVERY_S < 1.0
