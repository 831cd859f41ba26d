"""Pictures as bytes, for the decoders of the camera's child: the width, then rows of pixels, shown at twice the size.

Laws of this file:
- Whatever is in a picture, a decoder returns symbols of the formats that were asked for, or none.
- Seeds are pictures that can be read: mutations of noise alone would end at the first look for a finder.
"""

import math

import cv2
import numpy as np
import segno
import zxingcpp

from drivers.camera.exhaustive import look_hard
from drivers.camera.motion import Motion
from drivers.camera.pictures import Gray
from drivers.camera.pipeline import still
from drivers.camera.symbols import FORMATS, Symbol
from drivers.camera.zbar import Zbar
from drivers.camera.zxing import Zxing

_ZXING, _ZBAR = Zxing(FORMATS), Zbar(FORMATS)


def picture(data: bytes) -> Gray:
    """Gray, rows by columns; without bytes it is empty."""
    width = data[0] if data else 0
    rows = len(data[1:]) // width if width else 0
    small = np.frombuffer(data[1 : 1 + rows * width], np.uint8).reshape(rows, width)
    return np.kron(small, np.ones((2, 2), np.uint8)).astype(np.uint8)


def zxing(data: bytes) -> None:
    """The main decoder."""
    _check(_ZXING.read(picture(data), "fuzz").symbols)


def zbar(data: bytes) -> None:
    """The other decoder; nothing where libzbar is missing."""
    _check(_ZBAR.read(picture(data), "fuzz"))


def pipeline(data: bytes) -> None:
    """The whole ladder of a gate, all that a kiosk tries, and the motion gate."""
    gray = picture(data)
    _check(still(gray, FORMATS))
    _check(look_hard(gray, FORMATS))
    if gray.size:
        motion = Motion()
        for frame in (gray, 255 - gray):
            motion.watch(cv2.resize(frame, (160, 90)), active=False)


def _check(symbols: list[Symbol]) -> None:
    for one in symbols:
        assert one.format in FORMATS
        assert all(math.isfinite(x) and math.isfinite(y) for x, y in one.corners)
        assert 0.0 <= one.score <= 1.0


def seeds() -> list[bytes]:
    """A QR code of each of two sizes, one upside down, one half covered, and bars."""
    square = _rows(segno.make_qr(b"\x00\xff gate", version=1))
    larger = _rows(segno.make_qr(bytes(range(30)), version=3))
    covered = square.copy()
    covered[9:16] = 90
    bars = zxingcpp.create_barcode("9780804816632", zxingcpp.BarcodeFormat.EAN13)
    line = np.array(zxingcpp.write_barcode_to_image(bars, scale=1))[:12]
    return [_bytes(one) for one in (square, larger, square[::-1, ::-1], covered, np.pad(line, 4, constant_values=255))]


def _rows(code: segno.QRCode) -> Gray:
    return np.array([[0 if dark else 255 for dark in row] for row in code.matrix_iter(border=3)], np.uint8)


def _bytes(gray: Gray) -> bytes:
    return bytes([gray.shape[1]]) + gray.astype(np.uint8).tobytes()
