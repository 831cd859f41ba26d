"""Pictures in, symbols out: what a code holds comes back bit for bit, and nothing is believed too easily.

Laws of this file:
- Pictures are painted here from codes that an independent library encodes; nothing of the decoders makes them.
"""

import random

import numpy as np
import pytest
import segno
from numpy.typing import NDArray

from drivers.camera import zbar
from drivers.camera.exhaustive import look_hard
from drivers.camera.pipeline import Pipeline

Gray = NDArray[np.uint8]


def painted(payload: bytes, *, module: int = 4, error: str = "l") -> Gray:
    """A QR code in byte mode, dark on light, with its quiet zone."""
    code = segno.make_qr(payload, mode="byte", error=error, boost_error=False)
    bits = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    return np.kron(255 - 255 * bits, np.ones((module, module), np.uint8)).astype(np.uint8)


def placed(*codes: tuple[Gray, int, int], size: tuple[int, int] = (720, 1280)) -> Gray:
    """A frame of mid gray with codes at (left, top)."""
    frame = np.full(size, 128, np.uint8)
    for code, left, top in codes:
        frame[top : top + code.shape[0], left : left + code.shape[1]] = code
    return frame


def test_random_binary_payloads_survive_bit_for_bit() -> None:
    """200 payloads of 64 to 400 bytes, as a phone's screen shows them."""
    draw = random.Random(5)
    pipeline = Pipeline(["QRCode"])
    for number in range(200):
        payload = draw.randbytes(draw.randint(64, 400))
        found = pipeline.look(placed((painted(payload, module=4), 200, 60)), number * 1.0)
        assert [one.payload for one in found] == [payload]


@pytest.mark.skipif(not zbar.available(), reason="libzbar is not installed")
def test_the_last_rung_keeps_binary_too() -> None:
    """What pyzbar as shipped takes for text in some character set."""
    draw = random.Random(6)
    reader = zbar.Zbar(["QRCode"])
    for _ in range(40):
        payload = draw.randbytes(draw.randint(64, 200))
        assert [one.payload for one in reader.read(placed((painted(payload), 200, 60)), "zbar")] == [payload]


def test_two_codes_in_one_picture_are_both_told() -> None:
    """A gate refuses them as ambiguous; it must hear of both."""
    frame = placed((painted(b"one"), 100, 100), (painted(b"two"), 800, 300))
    assert {one.payload for one in Pipeline(["QRCode"]).look(frame, 0.0)} == {b"one", b"two"}
    assert {one.payload for one in look_hard(frame, ["QRCode"])} == {b"one", b"two"}


def test_corners_are_of_the_whole_frame() -> None:
    """Whatever part of it was looked at."""
    (found,) = Pipeline(["QRCode"]).look(placed((painted(b"here"), 800, 300)), 0.0)
    x, y = found.centre
    assert 800 < x < 930 and 300 < y < 430
