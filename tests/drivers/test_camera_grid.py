"""Codes on curved and crumpled paper: a grid that starts near and bends until a decoder agrees.

Laws of this file:
- The patterns that every code has are compared with what an independent library draws.
"""

from typing import Any

import cv2
import numpy as np
import pytest
import segno

from drivers.camera.exhaustive import laid_flat, look_hard, sizes
from drivers.camera.grid import LARGEST_VERSION, flattened_out, known
from drivers.camera.symbols import Unread
from drivers.camera.zxing import Seen, Zxing

PAYLOAD = bytes(range(200, 226))


def bent(payload: bytes, *, bulge: float, module: int = 8) -> tuple[Any, Unread]:
    """A code on a bottle: rows arch by so many modules in the middle. With its corners, and their centre."""
    code = segno.make_qr(payload, version=3, mode="byte", error="l", boost_error=False)
    bits = np.array([[0 if dark else 255 for dark in row] for row in code.matrix_iter(border=6)], np.uint8)
    flat = np.kron(bits, np.ones((module, module), np.uint8)).astype(np.uint8)
    rows, columns = np.mgrid[0 : len(flat), 0 : len(flat)].astype(np.float32)
    arch = bulge * module * (1 - (2 * columns / len(flat) - 1) ** 2)
    curved = cv2.remap(flat, columns, rows + arch.astype(np.float32), cv2.INTER_LINEAR, borderValue=255.0)
    edge, far = 6.0 * module, (len(bits) - 6.0) * module
    lift = bulge * module * (1 - (2 * edge / len(flat) - 1) ** 2)
    corners = (edge, edge - lift), (far, edge - lift), (far, far - lift), (edge, far - lift)
    return curved, Unread(corners=corners, version=3)


@pytest.mark.parametrize("version", range(1, LARGEST_VERSION + 1))
def test_every_code_has_the_known_patterns(version: int) -> None:
    """Finders, timing, alignment, the dark module."""
    drawn = np.array([list(row) for row in segno.make_qr(b"x", version=version).matrix], int)
    expected = known(version)
    assert ((expected < 0) == (drawn == 1))[expected != 0].all()
    assert (expected != 0).sum() > 3 * 64


@pytest.mark.parametrize("bulge", [0.0, 0.7, 1.4])
def test_a_curved_code_is_laid_flat(bulge: float) -> None:
    """From the corners that a decoder gives, and no more."""
    curved, found = bent(PAYLOAD, bulge=bulge)
    (read,) = laid_flat(curved, Seen([], [found])).symbols
    assert (read.payload, read.corners) == (PAYLOAD, found.corners)


def test_the_bend_is_what_makes_it_readable() -> None:
    """The first picture, of the straight grid, is not readable; a later one is."""
    curved, found = bent(PAYLOAD, bulge=1.4)
    pictures = list(flattened_out(curved, found.corners, found.version))
    reads = [bool(Zxing(["QRCode"]).read(one, "x", black_and_white=True, pure=True).symbols) for one in pictures]
    assert not reads[0] and reads[-1]


@pytest.mark.parametrize("version", [0, LARGEST_VERSION + 1])
def test_a_size_that_is_unknown_or_too_large_is_left_alone(version: int) -> None:
    """Nothing is tried."""
    assert list(flattened_out(np.zeros((99, 99), np.uint8), ((0, 0), (9, 0), (9, 9), (0, 9)), version)) == []


@pytest.mark.parametrize(
    "corners", [((0, 0),) * 4, ((0, 0), (5, 0), (10, 0), (15, 0)), ((-900, 3), (1e6, 2), (7, 7), (0, 9))]
)
def test_corners_that_are_no_square_read_nothing(corners: Any) -> None:
    """And raise nothing."""
    found = Unread(corners=corners, version=1)
    assert laid_flat(np.full((80, 80), 200, np.uint8), Seen([], [found])).symbols == []


def test_a_large_picture_is_looked_at_twice() -> None:
    """At a gate camera's size, and at its own."""
    assert [one.shape for one in sizes(np.zeros((3000, 4000), np.uint8))] == [(960, 1280), (3000, 4000)]
    assert len(sizes(np.zeros((720, 1280), np.uint8))) == 1
    assert look_hard(np.zeros((3000, 4000), np.uint8), ["QRCode"]) == []
