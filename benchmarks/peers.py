"""Other decoders as their own documentation shows them: a gray picture in, centres and payloads out."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import zxingcpp

Read = Callable[[Any], list[tuple[tuple[float, float], bytes]]]


def zxing(formats: Sequence[str]) -> Read:
    """zxing-cpp, with its defaults."""
    wanted = zxingcpp.BarcodeFormats([getattr(zxingcpp.BarcodeFormat, name) for name in formats])

    def read(gray: Any) -> list[tuple[tuple[float, float], bytes]]:
        found = zxingcpp.read_barcodes(gray, formats=wanted)
        return [(_centre(one.position), one.bytes) for one in found]

    return read


def _centre(at: Any) -> tuple[float, float]:
    points = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
    return sum(point.x for point in points) / 4, sum(point.y for point in points) / 4


def pyzbar(formats: Sequence[str]) -> Read:
    """Pyzbar as shipped, told what to look for; nothing where libzbar is missing."""
    try:
        from pyzbar.pyzbar import ZBarSymbol, decode  # it loads a system library
    except ImportError:
        return lambda gray: []
    wanted = [getattr(ZBarSymbol, name.upper()) for name in formats]

    def read(gray: Any) -> list[tuple[tuple[float, float], bytes]]:
        found = decode(gray, symbols=wanted)
        return [(_middle([(point.x, point.y) for point in one.polygon]), one.data) for one in found]

    return read


def opencv(formats: Sequence[str]) -> Read:
    """OpenCV's own detector, of QR codes or of bars."""
    if "QRCode" in formats:
        return _opencv(cv2.QRCodeDetector().detectAndDecodeMulti)
    return _opencv(cv2.barcode.BarcodeDetector().detectAndDecodeMulti)


def _opencv(decode: Callable[..., Any]) -> Read:
    def read(gray: Any) -> list[tuple[tuple[float, float], bytes]]:
        try:
            _, texts, corners, *_ = decode(gray)
        except (cv2.error, UnicodeDecodeError):
            return []
        if corners is None:
            return []
        return [
            (_middle([(float(x), float(y)) for x, y in four]), text.encode())
            for text, four in zip(texts, corners, strict=False)
            if text
        ]

    return read


def _middle(points: list[tuple[float, float]]) -> tuple[float, float]:
    middle = np.mean(points, axis=0) if points else (0.0, 0.0)
    return float(middle[0]), float(middle[1])
