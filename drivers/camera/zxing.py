"""zxing-cpp as the main decoder: a gray picture in, symbols out.

Laws of this file:
- Only the formats that are asked for are looked for: it is faster, and fewer parsers meet an untrusted picture.
- `.bytes`, never `.text`: a ride code is binary.
- What was found and could not be read is counted: it says whether trying harder is worth it.
- A decoder that raises saw nothing; what it met is a picture, and pictures are allowed to be bad.
"""

from collections.abc import Sequence
from typing import NamedTuple

import zxingcpp

from drivers.camera.pictures import Gray
from drivers.camera.symbols import LINEAR, Corners, Symbol, Unread, apart

_FORMATS = {
    "QRCode": zxingcpp.BarcodeFormat.QRCodeModel2,  # not its family: nobody issues those
    "EAN13": zxingcpp.BarcodeFormat.EAN13,
    "Code39": zxingcpp.BarcodeFormat.Code39,
    "Code128": zxingcpp.BarcodeFormat.Code128,
    "Codabar": zxingcpp.BarcodeFormat.Codabar,
}
_NAMES = {found: name for name, found in _FORMATS.items()} | {zxingcpp.BarcodeFormat.QRCode: "QRCode"}

_PURE = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])  # asked for model 2 alone, it finds and denies them


class Seen(NamedTuple):
    """What is in a picture: symbols that were read, and codes that were found and not read."""

    symbols: list[Symbol]
    unread: list[Unread]


class Zxing:
    """Reads the given formats. It keeps nothing from one picture to the next."""

    def __init__(self, formats: Sequence[str]) -> None:
        self._bars = any(name in LINEAR for name in formats)
        self.formats = zxingcpp.BarcodeFormats([_FORMATS[name] for name in formats])

    def read(self, gray: Gray, rung: str, *, black_and_white: bool = False, pure: bool = False) -> Seen:
        """Everything in the picture, corners in its own pixels.

        `black_and_white`: it has been binarised already. `pure`: it holds one upright code and its margin alone.
        """
        formats = _PURE if pure else self.formats
        binarizer = zxingcpp.Binarizer.FixedThreshold if black_and_white else zxingcpp.Binarizer.LocalAverage
        try:
            found = zxingcpp.read_barcodes(
                gray,
                formats=formats,
                try_invert=False,
                binarizer=binarizer,
                is_pure=pure,
                return_errors=not self._bars,  # of bars, a wrong guess stands in the way of a right one
            )
        except (RuntimeError, ValueError):
            return Seen([], [])
        symbols = [_symbol(one, rung) for one in found if one.valid]
        unread = [Unread(corners=_corners(one), version=_version(one)) for one in found if not one.valid]
        return Seen(symbols, apart(unread, symbols))


def _symbol(found: zxingcpp.Barcode, rung: str) -> Symbol:
    said = found.extra
    return Symbol(
        payload=found.bytes,
        format=_NAMES.get(found.format) or _NAMES.get(found.symbology) or str(found.format),
        corners=_corners(found),
        rung=rung,
        score=float(said.get("UEC", 1.0)) if isinstance(said, dict) else 1.0,
    )


def _corners(found: zxingcpp.Barcode) -> Corners:
    at = found.position
    a, b, c, d = ((float(p.x), float(p.y)) for p in (at.top_left, at.top_right, at.bottom_right, at.bottom_left))
    return a, b, c, d


def _version(found: zxingcpp.Barcode) -> int:
    said = found.extra.get("Version", "") if isinstance(found.extra, dict) else ""
    return int(said) if said.isdigit() else 0
