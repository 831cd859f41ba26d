"""zxing-cpp as the main decoder: a gray picture in, symbols out.

Laws of this file:
- Only the formats that are asked for are looked for: it is faster, and fewer parsers meet an untrusted picture.
- `.bytes`, never `.text`: a ride code is binary.
- A decoder that raises saw nothing; what it met is a picture, and pictures are allowed to be bad.
"""

from collections.abc import Sequence

import zxingcpp

from drivers.camera.pictures import Gray
from drivers.camera.symbols import Symbol

_FORMATS = {
    "QRCode": zxingcpp.BarcodeFormat.QRCode,
    "EAN13": zxingcpp.BarcodeFormat.EAN13,
    "Code39": zxingcpp.BarcodeFormat.Code39,
    "Code128": zxingcpp.BarcodeFormat.Code128,
    "Codabar": zxingcpp.BarcodeFormat.Codabar,
}
_NAMES = {found: name for name, found in _FORMATS.items()}


class Zxing:
    """Reads the given formats. It keeps nothing from one picture to the next."""

    def __init__(self, formats: Sequence[str]) -> None:
        self.formats = zxingcpp.BarcodeFormats([_FORMATS[name] for name in formats])

    def read(
        self, gray: Gray, rung: str, *, invert: bool = False, downscale: bool = True, binarised: bool = False
    ) -> list[Symbol]:
        """Every symbol of the picture, with corners in its own pixels."""
        binarizer = zxingcpp.Binarizer.FixedThreshold if binarised else zxingcpp.Binarizer.LocalAverage
        try:
            found = zxingcpp.read_barcodes(
                gray, formats=self.formats, try_invert=invert, try_downscale=downscale, binarizer=binarizer
            )
        except (RuntimeError, ValueError):
            return []
        return [_symbol(one, rung) for one in found]


def _symbol(found: zxingcpp.Barcode, rung: str) -> Symbol:
    at, said = found.position, found.extra
    corners = tuple((float(p.x), float(p.y)) for p in (at.top_left, at.top_right, at.bottom_right, at.bottom_left))
    return Symbol(
        payload=found.bytes,
        format=_NAMES.get(found.symbology, str(found.symbology)),
        corners=(corners[0], corners[1], corners[2], corners[3]),
        rung=rung,
        score=float(said.get("UEC", 1.0)) if isinstance(said, dict) else 1.0,
    )
